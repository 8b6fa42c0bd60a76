"""
How far does each topic go, and how are all of them read at once, side by side in time?

Side by side, so that what belongs together comes close together and can be forgotten: a partition that is ahead of the
slowest by more than a few seconds of the bus's time is not read on until the others have come up. The broker's fetch
buffers (1 MB for each partition) come on top of what `consumers.audit.reconcile.matching` keeps.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from safebus.consumers.delivery.source import group_of
from safebus.schemas import topics
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import done_by_each
from safebus.schemas.kafka.offsets import FirstSince, Offsets, settled_ends
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import WHOLE_FETCH, Reader, read_topic

_AHEAD_MS = 5_000
CLOCKS_APART = timedelta(seconds=60)  # a cluster's brokers have a clock each
_CLOCKS_MS = CLOCKS_APART // timedelta(milliseconds=1)

Range = tuple[int, int]  # offsets: the first to read, and the first not to


@dataclass(frozen=True)
class Ends:
    """
    How far everything went at one moment.

    Attributes:
        now: When that was, milliseconds since 1970.
        spans: Of the published records in question.
        kept: Of all that is kept of what was published.
        others: Of the bus's own records that may follow from them.
        committed: Offset up to which workers had finished, for each published partition on which one said so.
        delivered: The same of the partners' topics and their adapters.
        kept_since: Partner -> time of the oldest notification that its topic still holds, if older ones are gone.
        aside_since: Time of the oldest entry in quarantine, if older ones are gone; else 0.
        cut: Where topics begin that are kept for ever, and do not begin at their beginning.
        taken_back: Partitions that end before what a worker or an adapter is done with, and where they end.
        events_kept_since: Published partition -> time of the oldest record that is kept, where older ones are gone.
        from_time: Records of the bus itself that are older are not about these events, milliseconds since 1970.
    """

    now: int
    spans: dict[Partition, Range]
    kept: dict[Partition, Range]
    others: dict[Partition, Range]
    committed: dict[Partition, int]
    delivered: dict[Partition, int]
    kept_since: dict[str, int]
    aside_since: int
    cut: dict[Partition, int]
    taken_back: dict[Partition, int]
    events_kept_since: dict[Partition, int]
    from_time: int

    def decisions(self, *, before: bool) -> tuple[dict[int, int], dict[int, int]]:
        """(starts, ends) by partition of the decisions to look at again; `before`: of those older than the span."""
        found = {p.number: span for p, span in self.others.items() if p.topic == topics.DECISIONS}
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
        NotReachable: The broker does not answer, or hides how far the workers are, or a decision is not settled.
        BadInput: Agencies have no topic to publish to.
    """
    from_ms, to_ms = _ms(since), _ms(until)
    async with Offsets(connection, committed=False) as asked, Offsets(connection) as asked_surely:
        there = [Partition(topic, n) for topic, numbers in (await asked.there()).items() for n in numbers]
        published = [partition for partition in there if _is_in(partition.topic)]
        if not published:
            raise BadInput("the broker has no `in.*` topic; `safebus topics apply` makes them from the register")
        groups = {group: published}
        for partition in there:
            if (partner := topics.partner_of_notifications(partition.topic)) is not None:
                groups.setdefault(group_of(partner), []).append(partition)
        done = await done_by_each(connection, groups)
        committed = {partition: at.up_to for partition, at in done.pop(group).items()}
        delivered = {partition: at.up_to for each in done.values() for partition, at in each.items()}
        fixed: dict[Partition, int] = {}
        for mine in (_is_receipts, _is_parked, _is_out, _is(topics.QUARANTINE), _is(topics.DECISIONS), _is_in):
            ours = [partition for partition in there if mine(partition.topic)]
            surely = any(topics.is_transactional(partition.topic) for partition in ours)
            fixed |= await (settled_ends(asked_surely, asked, ours) if surely else asked.ends_of(ours))
        now = _ms(clock())
        begins = await asked.begins_of(fixed)
        oldest = await asked.first_since(fixed, 0)
        for_ever = await asked.begins_of(p for p in there if topics.is_kept_for_ever(p.topic))
        if any(oldest.values()):
            starts = await _at(asked, fixed, fixed, from_ms - _CLOCKS_MS)
            first = await _at(asked, fixed, published, from_ms)
            last = await _at(asked, fixed, published, to_ms)
            spans = {partition: (first[partition], last[partition]) for partition in published}
        else:
            starts = begins
            spans = await _spans_by_reading(connection, published, fixed, from_ms, to_ms)
    return Ends(
        now=now,
        spans=spans,
        kept={partition: (begins[partition], fixed[partition]) for partition in published},
        others={p: (starts[p], end) for p, end in fixed.items() if not _is_in(p.topic)},
        committed=committed,
        delivered=delivered,
        kept_since=_kept_since(begins, fixed, oldest, now),
        aside_since=max((_oldest_of(oldest[p], now) for p in fixed if _is_cut_aside(p, begins)), default=0),
        # The embedded broker, which knows no times, keeps little of anything.
        cut={p: begin for p, begin in for_ever.items() if begin > 0} if any(oldest.values()) else {},
        taken_back={p: fixed[p] for p, done_up_to in {**committed, **delivered}.items() if done_up_to > fixed[p]},
        events_kept_since={p: _oldest_of(oldest[p], now) for p in published if begins[p] > 0},
        from_time=from_ms - _CLOCKS_MS,
    )


async def side_by_side(connection: Connection, ranges: Mapping[Partition, Range]) -> AsyncIterator[Any]:
    """
    Read all these ranges, level in the broker's time.

    Yields:
        aiokafka's records, in order within a partition.

    Raises:
        NotReachable: The broker stops answering.
    """
    wanted = {partition: span for partition, span in ranges.items() if span[0] < span[1]}
    if not wanted:
        return
    reached = dict.fromkeys(wanted, 0)  # time of the last record that was passed on
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(
                Reader(connection, partitions=some, fetch_bytes=WHOLE_FETCH, committed=committed)
            )
            for committed in (True, False)
            if (some := [p for p in wanted if topics.is_transactional(p.topic) is committed])
        ]
        reader_of = {partition: reader for reader in readers for partition in reader.partitions}
        for partition, (start, end) in wanted.items():
            reader_of[partition].seek(partition, start)
            reader_of[partition].stop_at({partition: end})
        while True:
            held = {partition: records for reader in readers for partition, records in reader.held.items()}
            behind = {partition for reader in readers for partition in reader.behind()}
            if not held and not behind:
                return
            level = _level(held, behind, reached)
            for partition in level:
                records = reader_of[partition].take_held(partition)
                for record in records:
                    yield record
                reached[partition] = records[-1].timestamp
            # If all that is held is ahead, it is ahead of one that is behind: that one is waited for.
            slowest = None if level else reader_of[min(behind, key=lambda p: (reached[p], p))]
            for reader in readers:
                await reader.fetch(wait=reader is slowest)


def _level(
    held: Mapping[Partition, Sequence[Any]], behind: Collection[Partition], reached: Mapping[Partition, int]
) -> list[Partition]:
    """Which of the partitions that something was fetched of are not ahead of the slowest."""
    times = {partition: records[0].timestamp for partition, records in held.items()}
    slowest = min([*times.values(), *(reached[partition] for partition in behind)], default=0)
    return [partition for partition, time in times.items() if time <= slowest + _AHEAD_MS]


async def _at(
    asked: Offsets, fixed: Mapping[Partition, int], partitions: Iterable[Partition], time_ms: int
) -> dict[Partition, int]:
    """Offset of the first record at or after a time, up to the fixed end."""
    found = await asked.first_since(partitions, max(0, time_ms))
    return {
        partition: min(first.offset, fixed[partition]) if first else fixed[partition]
        for partition, first in found.items()
    }


async def _spans_by_reading(
    connection: Connection, partitions: list[Partition], fixed: dict[Partition, int], since: int, until: int
) -> dict[Partition, Range]:
    """For the embedded broker, which cannot find a record by its time."""
    spans: dict[Partition, Range] = {partition: (fixed[partition], fixed[partition]) for partition in partitions}
    for topic in sorted({partition.topic for partition in partitions}):
        stops = {partition.number: fixed[partition] for partition in partitions if partition.topic == topic}
        closed: set[int] = set()
        async for record in read_topic(connection, topic, partitions=stops, ends=stops):
            partition = Partition(topic, record.partition)
            first, end = spans[partition]
            if record.timestamp >= since and record.partition not in closed:
                first = min(first, record.offset)
                if record.timestamp >= until:
                    closed.add(record.partition)
                    end = record.offset
                spans[partition] = (min(first, end), end)
    return spans


def _oldest_of(kept: FirstSince | None, now: int) -> int:
    """Since when a partition keeps what it has; where it has nothing, since now."""
    return now if kept is None else kept.timestamp


def _is_cut_aside(partition: Partition, begins: Mapping[Partition, int]) -> bool:
    return partition.topic == topics.QUARANTINE and begins[partition] > 0


def _kept_since(
    begins: dict[Partition, int], fixed: dict[Partition, int], oldest: Mapping[Partition, FirstSince | None], now: int
) -> dict[str, int]:
    found: dict[str, int] = {}
    for partition, begin in begins.items():
        if _is_out(partition.topic) and begin > 0:
            partner = partition.topic.removeprefix("out.")
            first = oldest.get(partition)
            at = first.timestamp if first is not None and first.offset < fixed[partition] else now
            found[partner] = max(at, found.get(partner, 0))
    return found


def _is(name: str) -> Callable[[str], bool]:
    return lambda topic: topic == name


def _is_receipts(topic: str) -> bool:
    return topics.partner_of_receipts(topic) is not None


def _is_parked(topic: str) -> bool:
    return topics.partner_of_parked(topic) is not None


def _is_in(topic: str) -> bool:
    return topic.startswith("in.")


def _is_out(topic: str) -> bool:
    return topic.startswith("out.")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
