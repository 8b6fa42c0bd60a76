"""Which topics does the broker have?"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError, KafkaError

from safebus.schemas.errors import BadInput, NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import stop_consumer


async def topics_there(connection: Connection) -> dict[str, int]:
    """
    Topic -> number of partitions.

    Raises:
        NotReachable: No broker answers, or it does not say.
    """
    consumer = AIOKafkaConsumer(group_id=None, **connection.settings())
    try:
        await consumer.start()
        # A consumer's own view holds only what it subscribed to.
        cluster = await consumer._client.fetch_all_metadata()
    except KafkaConnectionError as exc:
        raise connection.unreachable() from exc
    except KafkaError as exc:  # it went away between the two, or lets us see nothing
        raise NotReachable(
            f"`{connection.bootstrap}` does not say which topics there are ({type(exc).__name__}); "
            "`safebus doctor` looks"
        ) from exc
    finally:
        await stop_consumer(consumer)
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in sorted(cluster.topics())}


class TopicsThere:
    """
    The topics that matter to a worker, as the broker had them when it was last asked.

    Attributes:
        publishing: The `in.*` topics.
        recipients: Who has an `out.*` topic.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.publishing: list[str] = []
        self.recipients: list[str] = []

    async def look(self) -> list[str]:
        """
        Ask again; returns `publishing`.

        Raises:
            NotReachable: No broker answers.
            BadInput: There is no `in.*` topic, so a worker would have nothing to do and nobody would notice.
        """
        there = await topics_there(self._connection)
        publishing = [topic for topic in there if topic.startswith("in.")]
        if not publishing:
            raise BadInput("the broker has no `in.*` topic; `safebus topics apply` makes them from the register")
        self.publishing = publishing
        self.recipients = [topic.removeprefix("out.") for topic in there if topic.startswith("out.")]
        return publishing
