"""
What of the bus did an answer look at: of each topic from where to where, and what is not kept any more?

An answer about a span is worth what was there to be looked at. What a topic no longer has is explained where it keeps
its records for a time only, and by nothing where it keeps them for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.topics import Topic


@dataclass(frozen=True)
class Covered:
    """
    One topic.

    Attributes:
        partitions: How many it has; 0: it is not there, or not shown to whoever asks.
        records: How many offsets its partitions keep, marks of transactions among them.
        gone: How many were there before these, and are not kept any more.
        oldest: When the broker took in the oldest that is kept; None: nothing is.
        kept_for: As the bus has it kept; None: for ever.
    """

    topic: str
    partitions: int
    records: int
    gone: int
    oldest: datetime | None
    kept_for: timedelta | None

    @property
    def unexplained(self) -> bool:
        """Something was taken away of a topic that keeps everything."""
        return bool(self.gone) and self.kept_for is None


async def coverage(connection: Connection, expected: Iterable[Topic]) -> list[Covered]:
    """
    What these topics hold now, by name.

    Raises:
        NotReachable: The broker does not answer.
    """
    wanted = {topic.name: topic for topic in expected}
    found: dict[str, list[tuple[int, int, datetime | None]]] = defaultdict(list)
    async with Reader(connection, wanted.__contains__, fetch_bytes=65_536, committed=False) as reader:
        for partition in reader.partitions:
            begins, ends = reader.begins[partition], reader.ends[partition]
            reader.seek(partition, begins)
            first = await reader.peek(partition) if begins < ends else None
            at = None if first is None else datetime.fromtimestamp(first.timestamp / 1000, UTC)
            found[partition.topic].append((begins, ends, at))
    return [_covered(topic, found[name]) for name, topic in sorted(wanted.items())]


def _covered(topic: Topic, partitions: list[tuple[int, int, datetime | None]]) -> Covered:
    times = [at for _, _, at in partitions if at is not None]
    return Covered(
        topic.name,
        len(partitions),
        sum(ends - begins for begins, ends, _ in partitions),
        sum(begins for begins, _, _ in partitions),
        min(times, default=None),
        None if topic.kept_ms < 0 else timedelta(milliseconds=topic.kept_ms),
    )
