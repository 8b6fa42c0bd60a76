"""
How far does each topic go, and how are all of them read at once, side by side in time?

Side by side, so that what belongs together comes close together and can be forgotten: a partition that is ahead of the
slowest by more than a few seconds of the bus's time is not read on until the others have come up. The broker's fetch
buffers (1 MB for each partition) come on top of what `consumers.audit.reconcile.matching` keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
)

from safebus.schemas import topics
from safebus.schemas.errors import BadInput, NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

_AHEAD_MS = 5_000
_CLOCKS_MS = 60_000  # a cluster's brokers have a clock each
_PATIENCE_S = 30.0
_FIXED = (topics.RECEIPTS, topics.QUARANTINE, topics.DECISIONS)

Range = tuple[int, int]  # offsets: the first to read, and the first not to


@dataclass(frozen=True)
class Ends:
    """
    How far everything went at one moment.

    Attributes:
        now: When that was, milliseconds since 1970.
        spans: Of the published records in question.
        others: Of the bus's own records that may follow from them.
        committed: Offset up to which workers had finished, for each published partition on which one said so.
        kept_since: Partner -> time of the oldest notification that its topic still holds, if older ones are gone.
        from_time: Records of the bus itself that are older are not about these events, milliseconds since 1970.
    """

    now: int
    spans: dict[TopicPartition, Range]
    others: dict[TopicPartition, Range]
    committed: dict[TopicPartition, int]
    kept_since: dict[str, int]
    from_time: int

    def decisions(self, *, before: bool) -> tuple[dict[int, int], dict[int, int]]:
        """(starts, ends) by partition of the decisions to look at again; `before`: of those older than the span."""
        found = {tp.partition: span for tp, span in self.others.items() if tp.topic == topics.DECISIONS}
        if before:
            return {}, {p: start for p, (start, _) in found.items()}
        return {p: start for p, (start, _) in found.items()}, {p: end for p, (_, end) in found.items()}


async def ends(
    connection: Connection, *, group: str, since: datetime, until: datetime, clock: Callable[[], datetime]
) -> Ends:
    """
    Fix how far everything goes, in the order that `consumers.audit.reconcile.reconcile` explains.

    Args:
        group: Of the workers.

    Raises:
        NotReachable: The broker does not answer, or hides how far the workers are.
        BadInput: Agencies have no topic to publish to.
    """
    from_ms, to_ms = _ms(since), _ms(until)
    async with _Consumer(connection) as consumer:
        there = await consumer.partitions()
        published = [tp for tp in there if tp.topic.startswith("in.")]
        if not published:
            raise BadInput("the broker has no `in.*` topic; `safebus topics apply` makes them from the register")
        committed = await _committed(connection, group, published)
        fixed: dict[TopicPartition, int] = {}
        for mine in (_is(topics.RECEIPTS), _is_out, _is(topics.QUARANTINE), _is(topics.DECISIONS), _is_in):
            fixed |= await consumer.end_offsets([tp for tp in there if mine(tp.topic)])
        now = _ms(clock())
        counted = list(fixed)
        begins = await consumer.beginning_offsets(counted)
        oldest = await consumer.offsets_for_times(dict.fromkeys(counted, 0))
        by_time = any(found is not None for found in oldest.values())
        starts = await consumer.at(begins, fixed, from_ms - _CLOCKS_MS if by_time else None)
        if by_time:
            first = await consumer.at(begins, fixed, from_ms, only=published)
            last = await consumer.at(begins, fixed, to_ms, only=published)
            spans = {tp: (first[tp], last[tp]) for tp in published}
        else:
            spans = await _spans_by_reading(connection, published, fixed, from_ms, to_ms)
    return Ends(
        now=now,
        spans=spans,
        others={tp: (starts[tp], fixed[tp]) for tp in counted if not _is_in(tp.topic)},
        committed=committed,
        kept_since=_kept_since(begins, fixed, oldest, now),
        from_time=from_ms - _CLOCKS_MS,
    )


async def side_by_side(connection: Connection, ranges: Mapping[TopicPartition, Range]) -> AsyncIterator[Any]:
    """
    Read all these ranges, level in the broker's time.

    Yields:
        aiokafka's records, in order within a partition.

    Raises:
        NotReachable: The broker stops answering.
    """
    open_ends = {tp: end for tp, (start, end) in ranges.items() if start < end}
    if not open_ends:
        return
    async with _Consumer(connection) as consumer:
        await consumer.place({tp: ranges[tp][0] for tp in open_ends})
        reached = dict.fromkeys(open_ends, 0)  # time of the last record that was passed on
        fetched: dict[TopicPartition, list[Any]] = {}
        while open_ends or fetched:
            async with asyncio.timeout(_PATIENCE_S):
                fetched |= await consumer.next(open_ends, wait=not _level(fetched, open_ends, reached))
            for tp in _level(fetched, open_ends, reached):
                records = fetched.pop(tp)
                for record in records:
                    if record.offset < ranges[tp][1]:
                        yield record
                reached[tp] = records[-1].timestamp
                if tp in open_ends:
                    consumer.resume(tp)


def _level(
    fetched: Mapping[TopicPartition, list[Any]],
    open_ends: Mapping[TopicPartition, int],
    reached: Mapping[TopicPartition, int],
) -> list[TopicPartition]:
    """Which of the partitions that something was fetched of are not ahead of the slowest."""
    times = {tp: records[0].timestamp for tp, records in fetched.items()}
    slowest = min([*times.values(), *(reached[tp] for tp in open_ends if tp not in fetched)], default=0)
    return [tp for tp, time in times.items() if time <= slowest + _AHEAD_MS]


class _Consumer:
    """aiokafka's, without a group, for reading only; its errors said plainly."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._consumer = AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=100,
            request_timeout_ms=int(_PATIENCE_S * 1000),
            **connection.settings(),
        )

    async def __aenter__(self) -> _Consumer:
        try:
            await self._consumer.start()
        except KafkaConnectionError as exc:
            await self._consumer.stop()
            raise self._connection.unreachable() from exc
        return self

    async def __aexit__(self, _type: Any, exc: BaseException | None, _trace: Any) -> None:
        await asyncio.wait([asyncio.ensure_future(self._consumer.stop())])
        if isinstance(exc, KafkaError | TimeoutError):
            raise NotReachable(f"the topics could not be read to their ends at `{self._connection.bootstrap}`") from exc

    async def partitions(self) -> list[TopicPartition]:
        cluster = await self._consumer._client.fetch_all_metadata()
        there = sorted(t for t in cluster.topics() if _is_in(t) or _is_out(t) or t in _FIXED)
        self._consumer._client.set_topics(there)
        return [TopicPartition(topic, p) for topic in there for p in sorted(cluster.partitions_for_topic(topic) or ())]

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict(await self._consumer.end_offsets(tps)) if tps else {}

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict(await self._consumer.beginning_offsets(tps)) if tps else {}

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        return dict(await self._consumer.offsets_for_times(times)) if times else {}

    async def at(
        self,
        begins: dict[TopicPartition, int],
        fixed: dict[TopicPartition, int],
        time_ms: int | None,
        *,
        only: list[TopicPartition] | None = None,
    ) -> dict[TopicPartition, int]:
        """Offset of the first record at or after a time, up to the fixed end; None: the beginning."""
        tps = list(fixed) if only is None else only
        if time_ms is None:
            return {tp: begins[tp] for tp in tps}
        found = await self.offsets_for_times(dict.fromkeys(tps, max(0, time_ms)))
        return {tp: fixed[tp] if found[tp] is None else min(found[tp].offset, fixed[tp]) for tp in tps}

    async def place(self, starts: dict[TopicPartition, int]) -> None:
        self._consumer.assign(list(starts))
        for tp, start in starts.items():
            self._consumer.seek(tp, start)

    async def next(self, open_ends: dict[TopicPartition, int], *, wait: bool) -> dict[TopicPartition, list[Any]]:
        """
        What was fetched; those partitions are paused until they are resumed, and those that are through for good.

        A partition with something fetched that nobody takes would hold up all others of its broker: so it is taken at
        once and kept outside of aiokafka. Source: aiokafka 0.14, `prefetch_backoff` in consumer/fetcher.py.
        """
        while True:
            found: dict[TopicPartition, list[Any]] = await self._consumer.getmany(timeout_ms=200 if wait else 0)
            through = [tp for tp, end in open_ends.items() if await self._consumer.position(tp) >= end]
            for tp in through:
                del open_ends[tp]
            for tp in {*found, *through}:
                self._consumer.pause(tp)
            if found or through or not wait:
                return found

    def resume(self, tp: TopicPartition) -> None:
        self._consumer.resume(tp)


async def _committed(connection: Connection, group: str, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(request_timeout_ms=int(_PATIENCE_S * 1000), **connection.settings())
    try:
        await admin.start()
        found = await _once_there(lambda: _offsets(admin, group, tps))
    except GroupAuthorizationFailedError as exc:
        raise NotReachable(
            f"this certificate may not see how far `{group}` is; ask for DESCRIBE on that group"
        ) from exc
    except KafkaError as exc:
        raise NotReachable(
            f"`{connection.bootstrap}` does not say how far `{group}` is ({type(exc).__name__})"
        ) from exc
    finally:
        await admin.close()
    return {tp: at.offset for tp, at in found.items() if at.offset >= 0}


async def _offsets(admin: AIOKafkaAdminClient, group: str, tps: list[TopicPartition]) -> dict[TopicPartition, Any]:
    """
    Of every partition; -1: nothing was committed.

    aiokafka 0.14 passes over the error of an answer as a whole, and gives none of them: taken as it is, a group whose
    coordinator wakes up would seem to have done nothing.
    """
    found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(group, partitions=tps)
    if not found.keys() >= set(tps):
        raise GroupCoordinatorNotAvailableError()
    return found


async def _once_there(ask: Callable[[], Awaitable[Any]]) -> Any:
    """A broker that has just started does not know yet which of its nodes keeps the offsets of groups."""
    give_up = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        try:
            return await ask()
        except KafkaError as exc:
            if not exc.retriable or asyncio.get_running_loop().time() > give_up:
                raise
        await asyncio.sleep(0.1)


async def _spans_by_reading(
    connection: Connection, tps: list[TopicPartition], fixed: dict[TopicPartition, int], since: int, until: int
) -> dict[TopicPartition, Range]:
    """For the embedded broker, which cannot find a record by its time."""
    spans: dict[TopicPartition, Range] = {tp: (fixed[tp], fixed[tp]) for tp in tps}
    for topic in sorted({tp.topic for tp in tps}):
        stops = {tp.partition: fixed[tp] for tp in tps if tp.topic == topic}
        closed: set[int] = set()
        async for record in read_topic(connection, topic, partitions=stops, ends=stops):
            tp = TopicPartition(topic, record.partition)
            first, end = spans[tp]
            if record.timestamp >= since and record.partition not in closed:
                first = min(first, record.offset)
                if record.timestamp >= until:
                    closed.add(record.partition)
                    end = record.offset
                spans[tp] = (min(first, end), end)
    return spans


def _kept_since(
    begins: dict[TopicPartition, int], fixed: dict[TopicPartition, int], oldest: dict[TopicPartition, Any], now: int
) -> dict[str, int]:
    found: dict[str, int] = {}
    for tp, begin in begins.items():
        if _is_out(tp.topic) and begin > 0:
            partner = tp.topic.removeprefix("out.")
            first = oldest.get(tp)
            at = first.timestamp if first is not None and first.offset < fixed[tp] else now
            found[partner] = max(at, found.get(partner, 0))
    return found


def _is(name: str) -> Callable[[str], bool]:
    return lambda topic: topic == name


def _is_in(topic: str) -> bool:
    return topic.startswith("in.")


def _is_out(topic: str) -> bool:
    return topic.startswith("out.")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
