"""
Is on the topic exactly what the callers were told?

An answer names a place. So whoever was told `partition 2, offset 17` finds their event there, and finds it as often
as it was published, no more. Of one case, what was told first stands first; for whoever waits for an answer before the
next call, that is the order in which it happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Told:
    """What a caller heard of an event: it is there, at this place."""

    event_id: str
    case: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Found:
    """A record of the topic."""

    event_id: str
    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True)
class Verdict:
    """Event ids that are not as they should be."""

    lost: Sequence[str] = ()  # told, and not there
    elsewhere: Sequence[str] = ()  # told, there, and not where the caller was told
    doubled: Sequence[str] = ()  # there more often than it was published
    unknown: Sequence[str] = ()  # there, and nobody asked for it
    changed: Sequence[str] = ()  # there twice, and not the same
    out_of_order: Sequence[str] = ()  # before one that its caller was told of earlier


def judged(told: Sequence[Told], *, published: Mapping[str, int], found: Iterable[Found]) -> Verdict:
    """
    Args:
        told: As each caller heard it, in order.
        published: How often somebody began to publish it.
    """
    records = list(found)
    at = {(each.partition, each.offset): each.event_id for each in records}
    often = Counter(each.event_id for each in records)
    values = defaultdict(set)
    for each in records:
        values[each.event_id].add(each.value)
    return Verdict(
        lost=[each.event_id for each in told if not often[each.event_id]],
        elsewhere=[e.event_id for e in told if often[e.event_id] and at.get((e.partition, e.offset)) != e.event_id],
        doubled=[event_id for event_id, count in often.items() if count > published.get(event_id, count)],
        unknown=[event_id for event_id in often if event_id not in published],
        changed=[event_id for event_id, different in values.items() if len(different) > 1],
        out_of_order=list(_out_of_order(told, records)),
    )


def _out_of_order(told: Sequence[Told], records: Sequence[Found]) -> Iterable[str]:
    first: dict[str, tuple[int, int]] = {}
    for each in sorted(records, key=lambda record: record.offset):
        first.setdefault(each.event_id, (each.partition, each.offset))
    cases = defaultdict(list)
    for one in told:
        if one.event_id in first:
            cases[one.case].append(one.event_id)
    for event_ids in cases.values():
        for earlier, later in pairwise(event_ids):
            (partition, offset), (next_partition, next_offset) = first[earlier], first[later]
            if partition != next_partition or offset >= next_offset:
                yield later
