"""
What was fetched of each partition and not yet taken, and what is fetched next?

aiokafka asks nothing of a broker from which it still holds something, so one partition that nobody takes from would
starve all others. Therefore it never holds anything: what comes is taken from it at once and kept here, and a partition
is paused for as long as something of it is kept, or nothing more is wanted of it.

Source: aiokafka 0.14, `_get_actions_per_node` in consumer/fetcher.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition

from safebus.schemas.kafka.partitions import Partition


class Fetched:
    """
    A small buffer for each partition of one consumer.

    Attributes:
        of: Partition -> records that were fetched and not taken.
        stops: Partition -> offset of the first record that is not wanted.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._next: dict[Partition, int] = {}  # offset that the consumer goes on with
        self._asked: set[Partition] = set()
        self.of: dict[Partition, deque[Any]] = {}
        self.stops: dict[Partition, int] = {}

    def assign(self, partitions: Iterable[Partition]) -> None:
        """These, and nothing is fetched of them before `seek`."""
        self.of = {partition: deque() for partition in sorted(partitions)}
        if self.of:
            self._consumer.assign([TopicPartition(*p) for p in self.of])
            self._consumer.pause(*(TopicPartition(*p) for p in self.of))

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on from here."""
        self.of[partition].clear()
        self._go_on_at(partition, offset)
        self._pause(partition)

    def position(self, partition: Partition) -> int:
        """Offset from which the next record comes."""
        kept = self.of[partition]
        return int(kept[0].offset) if kept else self._next[partition]

    def is_behind(self, partition: Partition) -> bool:
        """Nothing of it is kept though it is not at its end."""
        return not self.of[partition] and self._next[partition] < self.stops[partition]

    def behind(self) -> set[Partition]:
        """The partitions that are."""
        return {partition for partition in self.of if self.is_behind(partition)}

    def take(self, partition: Partition) -> list[Any]:
        """All that is kept of it."""
        found = list(self.of[partition])
        self.of[partition].clear()
        return found

    def ask(self) -> None:
        """Let the consumer fetch of all that are behind."""
        for partition in self.behind() - self._asked:
            self._consumer.resume(TopicPartition(*partition))
            self._asked.add(partition)

    async def take_in(self, wait_ms: int) -> None:
        """Keep what comes in this time of all that are behind."""
        self.ask()
        asked = list(self._asked)
        self._keep(await self._consumer.getmany(timeout_ms=wait_ms))
        for partition in asked:
            self._next[partition] = await self._consumer.position(TopicPartition(*partition))
            # Never a partition at its end: the broker would let all of them wait for it.
            if not self.is_behind(partition):
                self._pause(partition)

    def _keep(self, fetched: Mapping[TopicPartition, list[Any]]) -> None:
        for tp, records in fetched.items():
            partition = Partition(*tp)
            stop = self.stops[partition]
            self.of[partition].extend(record for record in records if record.offset < stop)
            if records[-1].offset >= stop:  # it came since the ends were learnt, and is read when they are moved
                self._go_on_at(partition, stop)
            self._pause(partition)

    def _pause(self, partition: Partition) -> None:
        self._consumer.pause(TopicPartition(*partition))
        self._asked.discard(partition)

    def _go_on_at(self, partition: Partition, offset: int) -> None:
        self._consumer.seek(TopicPartition(*partition), offset)
        self._next[partition] = offset
