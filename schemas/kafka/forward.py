"""
How do we read many partitions forward, each at a pace of its own, without a group?

One consumer, and for each partition a small buffer of what was fetched and not yet taken. A partition is asked for more
only when its buffer is empty, so memory is bounded by one fetch for each partition, however much stands on the topics.
Offsets may have gaps (marks of transactions); only what is committed is seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection

#: A gap that is jumped over instead of read: about what one fetch brings.
_JUMP = 500


class Forward:
    """
    Readers of partitions that only they share. Made by `forward`.

    Attributes:
        begins, ends: Offset of the first record kept, and of the one after the last, when `look` was last called.
    """

    def __init__(self, consumer: Any, connection: Connection, patience_s: float) -> None:
        self._consumer, self._connection, self._patience_s = consumer, connection, patience_s
        self._waiting: dict[TopicPartition, deque[Any]] = {}
        self._stops: dict[TopicPartition, int] = {}
        self._asked: set[TopicPartition] = set()
        self.begins: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}

    @property
    def partitions(self) -> Sequence[TopicPartition]:
        """All of them, by topic and number."""
        return sorted(self._waiting)

    async def look(self) -> None:
        """Ask where the partitions begin and end now; until the next call they end there."""
        if self._waiting:
            with _said_plainly(self._connection, "where its topics end"):
                self.begins = await self._consumer.beginning_offsets(self.partitions)
                self.ends = await self._consumer.end_offsets(self.partitions)
        self._stops = dict(self.ends)

    async def offsets_at(self, when: datetime) -> dict[TopicPartition, int]:
        """
        Where records of this time begin, or something before; partitions that end earlier begin at their end.

        The embedded broker knows no times, so there it is the beginning: who asks looks at the times too.
        """
        if not self._waiting:
            return {}
        with _said_plainly(self._connection, "which records are of a time"):
            at_ms = int(when.timestamp() * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(self.partitions, at_ms))
            ever = await self._consumer.offsets_for_times(dict.fromkeys(self.partitions, 0))
        knows = any(ever.values())
        return {
            tp: found[tp].offset if found.get(tp) else self.ends[tp] if knows else self.begins[tp]
            for tp in self.partitions
        }

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Go on from here."""
        self._waiting[tp].clear()
        self._consumer.seek(tp, offset)
        self._pause(tp)

    async def peek(self, tp: TopicPartition) -> Any | None:
        """
        The next record of this partition; None at its end.

        Raises:
            NotReachable: The broker does not answer, or stops answering.
        """
        waiting = self._waiting[tp]
        if not waiting:
            await self._fill(tp)
        return waiting[0] if waiting else None

    def take(self, tp: TopicPartition) -> Any:
        """Take what `peek` showed."""
        return self._waiting[tp].popleft()

    async def take_some(self, tp: TopicPartition) -> list[Any]:
        """What one fetch brings; nothing at the end."""
        await self.peek(tp)
        waiting = self._waiting[tp]
        found = list(waiting)
        waiting.clear()
        return found

    async def at(self, tp: TopicPartition, offsets: Iterable[int]) -> dict[int, Any]:
        """The records at these offsets, as far as they are kept. Going back is a seek; going on is not."""
        found: dict[int, Any] = {}
        if tp not in self._waiting:
            return found
        for offset in sorted(offsets):
            if not self.begins[tp] <= offset < self._stops[tp]:
                continue
            here = await self._position(tp)
            if offset < here or offset > here + _JUMP:
                self.seek(tp, offset)
            while (record := await self.peek(tp)) is not None and record.offset <= offset:
                if record.offset == offset:
                    found[offset] = record
                self.take(tp)
        return found

    async def _position(self, tp: TopicPartition) -> int:
        waiting = self._waiting[tp]
        return int(waiting[0].offset if waiting else await self._consumer.position(tp))

    async def _fill(self, wanted: TopicPartition) -> None:
        """Fetch until this partition has something or is at its end; what comes for others is kept too."""
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._waiting[wanted] and await self._consumer.position(wanted) < self._stops[wanted]:
                    await self._ask()
                    for tp, records in (await self._consumer.getmany(timeout_ms=200)).items():
                        stop = self._stops[tp]
                        self._waiting[tp].extend(r for r in records if r.offset < stop)
                        if records[-1].offset >= stop:  # it came since we looked, and is read after the next look
                            self._consumer.seek(tp, stop)
                        # aiokafka asks nothing of a broker from which it still holds something: so it never may.
                        self._pause(tp)
        except (KafkaError, TimeoutError) as exc:
            raise NotReachable(
                f"`{wanted.topic}` could not be read to its end at `{self._connection.bootstrap}`"
            ) from exc

    async def _ask(self) -> None:
        # Never a partition at its end: the broker would let all of them wait for it.
        for tp, waiting in self._waiting.items():
            if tp not in self._asked and not waiting and await self._consumer.position(tp) < self._stops[tp]:
                self._consumer.resume(tp)
                self._asked.add(tp)

    def _pause(self, tp: TopicPartition) -> None:
        self._consumer.pause(tp)
        self._asked.discard(tp)


@asynccontextmanager
async def forward(
    connection: Connection,
    wanted: Callable[[str], bool],
    *,
    must: Iterable[str] = (),
    fetch_bytes: int = 262_144,
    patience_s: float = 30.0,
) -> AsyncIterator[Forward]:
    """
    Read topics forward, from their beginnings or from where `Forward.seek` says.

    Args:
        wanted: By a topic's name.
        must: Topics that have to be there.
        fetch_bytes: What one fetch may bring of each partition.

    Raises:
        NotReachable: The broker does not answer, or has not got a topic that must be there.
    """
    consumer = AIOKafkaConsumer(
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=fetch_bytes,
        request_timeout_ms=int(patience_s * 1000),
        **connection.settings(),
    )
    try:
        try:
            await consumer.start()
        except KafkaConnectionError as exc:
            raise connection.unreachable() from exc
        reader = Forward(consumer, connection, patience_s)
        await _place(reader, consumer, wanted, must)
        yield reader
    finally:
        # aiokafka cancels tasks of its own and may let that through, as if we were cancelled: so a task apart.
        await asyncio.wait([asyncio.ensure_future(consumer.stop())])
        await consumer._client.close()


async def _place(reader: Forward, consumer: Any, wanted: Callable[[str], bool], must: Iterable[str]) -> None:
    with _said_plainly(reader._connection, "which topics there are"):
        cluster = await consumer._client.fetch_all_metadata()
    there = {topic for topic in cluster.topics(exclude_internal_topics=True) if wanted(topic)}
    for topic in sorted(set(must) - there):
        raise NotReachable(f"the broker has no topic `{topic}`; `safebus topics plan` shows what there should be")
    tps = [TopicPartition(topic, p) for topic in sorted(there) for p in sorted(cluster.partitions_for_topic(topic))]
    consumer.assign(tps)
    reader._waiting = {tp: deque() for tp in tps}
    await reader.look()
    for tp in tps:
        reader.seek(tp, reader.begins[tp])


@contextmanager
def _said_plainly(connection: Connection, asked: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as exc:
        raise NotReachable(f"the broker at `{connection.bootstrap}` does not say {asked}") from exc
