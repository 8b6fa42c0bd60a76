"""
How did the register come to what it is: who changed what, when, and why?

Made from the log alone, so an entry that stood for a minute is seen as well as one that stands today. When a change
came is the broker's word; who made it, when and why is what was written down with it (`operations` has the signed
record of each command).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from safebus.schemas.bus_records import RegisterRecord


class What(StrEnum):
    """What a record of the register did."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "written again, the same"
    ENDED = "ended"
    NOTHING = "ended, and was not there"


@dataclass(frozen=True)
class Step:
    """
    One record of the register.

    Attributes:
        at: When the broker took it in, UTC.
        fields: Which fields of the entry are not what they were; all of one that is added or ended are none.
        before, after: The entry, as JSON; None: there is none.
        stood: Of what it replaced or ended: how long that had stood.
    """

    offset: int
    at: datetime
    record: RegisterRecord
    what: What
    fields: tuple[str, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    stood: timedelta | None


def history(log: Sequence[tuple[int, RegisterRecord]], taken_in: Sequence[tuple[int, int]]) -> Iterator[Step]:
    """
    Every record, in order.

    Args:
        taken_in: Offset and time, in milliseconds since 1970, of each record of the log.
    """
    stands: dict[str, tuple[Mapping[str, Any], datetime]] = {}
    for (offset, record), (_, taken) in zip(log, taken_in, strict=True):
        at = datetime.fromtimestamp(taken / 1000, UTC)
        before, since = stands.pop(record.record_id, (None, at))
        after = None if record.body is None else json.loads(record.body)
        if after is not None:
            stands[record.record_id] = after, at
        fields = _not_the_same(before, after) if before is not None and after is not None else ()
        stood = None if before is None else at - since
        yield Step(offset, at, record, _what(before, after), fields, before, after, stood)


def offset_at(taken_in: Sequence[tuple[int, int]], when: datetime) -> int:
    """The offset of the last record that the broker had taken in by then; -1: there was none."""
    place = bisect_right([at for _, at in taken_in], int(when.timestamp() * 1000))
    return taken_in[place - 1][0] if place else -1


def _what(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> What:
    if before is None:
        return What.NOTHING if after is None else What.ADDED
    if after is None:
        return What.ENDED
    return What.SAME if before == after else What.CHANGED


def _not_the_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
