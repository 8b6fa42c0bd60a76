"""
What was written to these partitions in a span of time, in the order of time?

Within a partition the broker's times ascend, so partitions are merged by looking at the next record of each. Nothing is
read ahead of the time that is asked for, but what one fetch brings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader

#: How far the clocks of two brokers, or of two producers on the embedded one, may be apart.
CLOCKS_APART = timedelta(seconds=5)


def ms(when: datetime) -> int:
    """As Kafka counts time: milliseconds since 1970, UTC."""
    return int(when.timestamp() * 1000)


class Span:
    """
    One span of some partitions.

    Args:
        since, until: UTC; `until` is not included. What the broker took outside is never shown.
    """

    def __init__(self, reader: Reader, *, since: datetime, until: datetime) -> None:
        self._reader = reader
        self._since, self._until = since, until
        self._since_ms, self._until_ms = ms(since), ms(until)
        self._late_ms = ms(until + CLOCKS_APART)
        self._open: set[Partition] = set()

    async def begin(self) -> None:
        """Stand at the beginning of the span."""
        for partition, offset in (await self._reader.offsets_at(self._since)).items():
            self._reader.seek(partition, offset)
            self._open.add(partition)

    async def earliest(self) -> Any | None:
        """Take the record that comes next in time; None: there is no more."""
        best = None
        for partition in sorted(self._open):
            record = await self._look(partition)
            if record is not None and (best is None or record.timestamp < best.timestamp):
                best = record
        if best is None:
            return None
        return self._reader.take(Partition(best.topic, best.partition))

    async def up_to(self, at_ms: int | None = None) -> AsyncIterator[Any]:
        """Take all that was written up to a time, one partition after the other; None: all there is."""
        for partition in sorted(self._open):
            while (record := await self._look(partition)) is not None and (at_ms is None or record.timestamp <= at_ms):
                yield self._reader.take(partition)

    async def _look(self, partition: Partition) -> Any | None:
        """The next record of a partition that lies in the span."""
        while partition in self._open:
            record = await self._reader.peek(partition)
            if record is None or record.timestamp >= self._late_ms:
                self._open.discard(partition)
            elif self._since_ms <= record.timestamp < self._until_ms:
                return record
            else:
                self._reader.take(partition)
        return None
