"""Which topics does the broker have?"""

from __future__ import annotations

from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets


async def topics_there(connection: Connection) -> dict[str, int]:
    """
    Topic -> number of partitions.

    Raises:
        NotReachable: No broker answers, or it does not say.
    """
    async with Offsets(connection) as asked:
        return {topic: len(partitions) for topic, partitions in (await asked.there()).items()}


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
