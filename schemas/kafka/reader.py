"""
How do we read partitions forward, each at a pace of its own, without a group?

One consumer, and for each partition a small buffer of what was fetched and not yet taken (`fetched`). A partition is
asked for more only when its buffer is empty, so memory is bounded by one fetch for each partition, however much stands
on the topics. It ends where it ended when we last looked: a busy topic would never end. Offsets may have gaps (marks of
transactions).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError

from safebus.schemas import topics
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.fetched import Fetched
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.partitions import Partition

#: What one fetch brings of each partition where all of them are read alike; Kafka's own default.
WHOLE_FETCH = 1_048_576

#: A gap that is jumped over instead of read: about what one fetch brings.
_JUMP = 500
_LOOK_AGAIN_MS = 200


class Reader(Offsets):
    """
    Partitions that are read without moving anything for anyone else, from their beginnings or where `seek` says.

    Args:
        wanted: Says of a topic's name whether all its partitions are read. None: only `partitions` are.
        partitions: These too.
        must: Topics that have to be there.
        fetch_bytes: What one fetch may bring of each partition.
        committed: Only what is surely written. False: also what stands in a transaction that may yet be undone.
        patience_s: How long the broker may take to answer, or to bring the next record, seconds.

    Attributes:
        begins, ends: Offset of the first record kept, and of the one after the last, when `look` was last called.

    Raises:
        NotReachable: From whatever asks the broker or waits for it: it does not answer, or stops answering.
    """

    def __init__(
        self,
        connection: Connection,
        wanted: Callable[[str], bool] | None = None,
        *,
        partitions: Iterable[Partition] = (),
        must: Iterable[str] = (),
        fetch_bytes: int = 262_144,
        committed: bool = True,
        patience_s: float = 30.0,
    ) -> None:
        super().__init__(
            connection,
            committed=committed,
            patience_s=patience_s,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=fetch_bytes,
        )
        self._wanted, self._named, self._must = wanted, frozenset(partitions), frozenset(must)
        self._fetched = Fetched(self._consumer)
        self.begins: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}

    async def _begin(self) -> None:
        self._fetched.assign(self._named | await self._wanted_there())
        await self.look()
        for partition in self.partitions:
            self.seek(partition, self.begins[partition])

    async def _wanted_there(self) -> set[Partition]:
        if self._wanted is None:
            return set()
        there = {topic: numbers for topic, numbers in (await self.there()).items() if self._wanted(topic)}
        for topic in sorted(self._must - there.keys()):
            raise NotReachable(f"the broker has no topic `{topic}`; `safebus topics plan` shows what there should be")
        return {Partition(topic, number) for topic, numbers in there.items() for number in numbers}

    @property
    def partitions(self) -> Sequence[Partition]:
        """All of them, by topic and number."""
        return list(self._fetched.of)

    async def look(self) -> None:
        """Ask where the partitions begin and end now; until the next call they end there."""
        self.begins = await self.begins_of(self.partitions)
        self.ends = await self.ends_of(self.partitions)
        self.stop_at(self.ends)

    async def offsets_at(self, when: datetime) -> dict[Partition, int]:
        """
        Where records of this time begin, or something before; partitions that end earlier begin at their end.

        The embedded broker knows no times, so there it is the beginning: who asks looks at the times too.
        """
        found = await self.first_since(self.partitions, int(when.timestamp() * 1000))
        knows = any((await self.first_since(self.partitions, 0)).values())
        return {p: first.offset if first else self.ends[p] if knows else self.begins[p] for p, first in found.items()}

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on from here."""
        self._fetched.seek(partition, offset)

    def stop_at(self, ends: Mapping[Partition, int]) -> None:
        """Let these partitions end here, before or after where they ended when we looked."""
        self._fetched.stops |= ends

    def position(self, partition: Partition) -> int:
        """Offset from which the next record comes."""
        return self._fetched.position(partition)

    async def peek(self, partition: Partition) -> Any | None:
        """The next record of this partition; None at its end."""
        kept = self._fetched.of[partition]
        if self._fetched.is_behind(partition):
            async with self._patience(f"`{partition.topic}` could not be read to its end"):
                while self._fetched.is_behind(partition):
                    await self._fetched.take_in(_LOOK_AGAIN_MS)
        return kept[0] if kept else None

    def take(self, partition: Partition) -> Any:
        """Take what `peek` showed."""
        return self._fetched.of[partition].popleft()

    async def take_some(self, partition: Partition) -> list[Any]:
        """What one fetch brings; nothing at the end."""
        await self.peek(partition)
        return self._fetched.take(partition)

    async def at(self, partition: Partition, offsets: Iterable[int]) -> dict[int, Any]:
        """The records at these offsets, as far as they are kept. Going back is a seek; going on is not."""
        found: dict[int, Any] = {}
        if partition not in self._fetched.of:
            return found
        for offset in sorted(offsets):
            if not self.begins[partition] <= offset < self._fetched.stops[partition]:
                continue
            here = self.position(partition)
            if offset < here or offset > here + _JUMP:
                self.seek(partition, offset)
            while (record := await self.peek(partition)) is not None and record.offset <= offset:
                if record.offset == offset:
                    found[offset] = record
                self.take(partition)
        return found

    # All partitions at once

    def behind(self) -> set[Partition]:
        """Of which partitions nothing was fetched though they are not at their ends."""
        return self._fetched.behind()

    @property
    def held(self) -> dict[Partition, Sequence[Any]]:
        """What was fetched and not taken; only of partitions of which there is something."""
        return {partition: kept for partition, kept in self._fetched.of.items() if kept}

    def take_held(self, partition: Partition) -> list[Any]:
        """Take that."""
        return self._fetched.take(partition)

    async def fetch(self, *, wait: bool = True) -> None:
        """Fetch of those that are `behind`; `wait`: until one of them is so no more."""
        before = self.behind()
        async with self._patience(self._not_read()):
            while before:
                await self._fetched.take_in(_LOOK_AGAIN_MS if wait else 0)
                if not wait or self.behind() != before:
                    return

    async def take_any(self) -> list[Any]:
        """What comes next, of whichever partitions; in order within each. Nothing: all are at their ends."""
        while not self.held and self.behind():
            await self.fetch()
        found = [record for partition in self.held for record in self.take_held(partition)]
        self._fetched.ask()  # what comes then is on its way while the caller is busy with these
        return found

    def _not_read(self) -> str:
        found = {partition.topic for partition in self.partitions}
        one = len(found) == 1
        return f"`{found.pop()}` could not be read to its end" if one else "the topics could not be read to their ends"

    @asynccontextmanager
    async def _patience(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except (KafkaError, TimeoutError) as exc:
            raise NotReachable(f"{what} at `{self._connection.bootstrap}`") from exc


async def read_topic(
    connection: Connection,
    topic: str,
    *,
    partitions: Iterable[int] | None = None,
    last: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    starts: Mapping[int, int] | None = None,
    ends: Mapping[int, int] | None = None,
    patience_s: float = 30.0,
) -> AsyncIterator[Any]:
    """
    Read a topic from its beginning to where it ends now; of a transactional one, what is surely written.

    Args:
        partitions: None: all of them.
        last: Only the last so many records of each partition.
        since, until: Only records the broker took in between (`since` included, `until` not), UTC.
        starts, ends: Offset of the first record to read, and of the first not to, by partition.

    Yields:
        aiokafka's records, in order within a partition.

    Raises:
        NotReachable: The broker does not answer, or stops answering for `patience_s` seconds.
    """
    named = None if partitions is None else [Partition(topic, number) for number in partitions]
    if named == []:
        return
    async with Reader(
        connection,
        topic.__eq__ if named is None else None,
        partitions=named or (),
        must=[topic],
        fetch_bytes=WHOLE_FETCH,
        committed=topics.is_transactional(topic),
        patience_s=patience_s,
    ) as reader:
        timed = await reader.offsets_at(since) if since else reader.begins
        for partition in reader.partitions:
            end = min(reader.ends[partition], (ends or {}).get(partition.number, reader.ends[partition]))
            begin = max(timed[partition], (starts or {}).get(partition.number, 0))
            if last is not None:
                begin = max(begin, end - last)
            reader.stop_at({partition: end})
            reader.seek(partition, begin)
        while records := await reader.take_any():
            for record in records:
                at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                if (since is None or at >= since) and (until is None or at < until):
                    yield record
