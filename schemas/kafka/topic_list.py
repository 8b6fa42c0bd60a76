"""Which topics does the broker have?"""

from __future__ import annotations

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
