"""Which topics does the broker have?"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from schemas.broker_link import Connection
from schemas.errors import BadInput


async def topics_there(connection: Connection) -> dict[str, int]:
    """
    Topic -> number of partitions.

    Raises:
        NotReachable: No broker answers.
    """
    consumer = AIOKafkaConsumer(group_id=None, **connection.settings())
    try:
        await consumer.start()
    except KafkaConnectionError as exc:
        await consumer.stop()
        raise connection.unreachable() from exc
    try:
        # A consumer's own view holds only what it subscribed to.
        cluster = await consumer._client.fetch_all_metadata()
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in sorted(cluster.topics())}
    finally:
        await consumer.stop()


async def publishing_topics(connection: Connection) -> list[str]:
    """
    Every `in.*` topic.

    Raises:
        BadInput: There is none, so a worker would have nothing to do and nobody would notice.
    """
    found = [topic for topic in await topics_there(connection) if topic.startswith("in.")]
    if not found:
        raise BadInput("the broker has no `in.*` topic; `safebus topics apply` makes them from the register")
    return found
