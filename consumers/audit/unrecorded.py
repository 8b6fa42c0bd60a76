"""
Does each change of the register have the command beside it that made it, and each such command its change?

A command that changes the register first puts on record who does it, why, and a keyed digest of what is to be written
(`deploy.service.operations`). So whoever writes to the register past the commands leaves a change of which nothing
tells, and whoever takes a change away leaves a command that changed nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from safebus.consumers.audit.operations import OnRecord
from safebus.schemas import topics
from safebus.schemas.bus_records import MOST_ABOUT, Operation, RegisterRecord
from safebus.schemas.keys import DigestKey
from safebus.streams.register.write import request_content

#: A command writes at once after it is on record; one that is halted in between may take this long.
WRITES_WITHIN: Final = timedelta(hours=1)
#: The broker's clock and another broker's.
_APART: Final = timedelta(minutes=1)
_NAMED: Final = 5
_OF_THE_REGISTER: Final = frozenset({"consent record", "partners pause", "partners resume", "keys switch", "up"})
#: In place of a digest, of those that have none.
_NO_DIGEST: Final = ""


@dataclass(frozen=True)
class Unrecorded:
    """
    One thing that stands on one of the two alone.

    Attributes:
        where: The record that shows it, `topic/partition/offset`.
        about: Ids of register entries, the first few; or what the command was about.
        by: Who, as it says itself.
    """

    where: str
    about: tuple[str, ...]
    by: str
    what: str


class _Write(NamedTuple):
    """What was written to the register at once, by offset, and when the broker took the first of it in."""

    at: datetime
    records: Sequence[tuple[int, RegisterRecord]]


_Asked = dict[str, list[OnRecord]]  # by the digest of what was to be written


def unrecorded(
    log: Sequence[tuple[int, RegisterRecord]],
    taken_in: Mapping[int, datetime],
    acts: Iterable[OnRecord],
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    key: DigestKey,
) -> list[Unrecorded]:
    """
    What does not belong together, of a span, in order.

    Args:
        log: The whole register, by offset; `taken_in`: when the broker took each of it in.
        acts: Everything on `operations`.
        until: Not included.
        now: What was put on record a moment before may not be written yet.
        key: Of the bus; the digests are keyed.
    """
    acts = list(acts)
    seconded = {act.operation.seconds for act in acts}
    asked: _Asked = defaultdict(list)
    for act in acts:
        # What was asked for and needs a second person is of nothing that was written.
        if act.operation.request is not None and act.operation.number and act.operation.operation_id not in seconded:
            asked[act.operation.request].append(act)
        elif act.operation.request is None and is_of_the_register(act.operation):
            asked[_NO_DIGEST].append(act)
    found: list[Unrecorded] = []
    done: dict[str, int] = {}  # what was written, and by which command last
    for together in _writes(log, taken_in):
        for write, by in _matched(together, asked, key):
            if by is not None and by.operation.request is not None:
                done[by.operation.request] = max(by.offset, done.get(by.operation.request, -1))
            if since <= write.at < until:
                found += _alone(write) if by is None else _differ(write, by)
    asked.pop(_NO_DIGEST, None)
    left = [
        act
        for digest, acts_left in asked.items()
        for act in acts_left
        # One that failed and was run again is no loss.
        if since <= act.at < min(until, now - _APART) and act.offset > done.get(digest, -1)
    ]
    return found + [_came_to_nothing(act) for act in sorted(left, key=lambda act: act.offset)]


def _writes(log: Sequence[tuple[int, RegisterRecord]], taken_in: Mapping[int, datetime]) -> Iterator[_Write]:
    """All that one command wrote says that it was written at the same moment."""
    by_time: dict[datetime, list[tuple[int, RegisterRecord]]] = defaultdict(list)
    for offset, record in log:
        by_time[record.recorded_at].append((offset, record))
    for together in by_time.values():
        yield _Write(taken_in[together[0][0]], together)


def _matched(together: _Write, asked: _Asked, key: DigestKey) -> Iterator[tuple[_Write, OnRecord | None]]:
    """
    With the command of each.

    Where no command was to write all of that, some of it was written by somebody else, or commands met in one
    millisecond: then what stands side by side is looked at, then each for itself.
    """
    act = _of(together, asked, key)
    if act is not None or len(together.records) == 1:
        yield together, act
        return
    runs = list(_side_by_side(together))
    parts = runs if len(runs) > 1 else [_Write(together.at, [each]) for each in together.records]
    left: list[tuple[int, RegisterRecord]] = []
    for part in parts:
        if (act := _of(part, asked, key)) is None:
            left += part.records
        else:
            yield part, act
    if left:
        yield _Write(together.at, left), None


def _side_by_side(write: _Write) -> Iterator[_Write]:
    run = [write.records[0]]
    for before, each in pairwise(write.records):
        if each[0] != before[0] + 1:
            yield _Write(write.at, run)
            run = []
        run.append(each)
    yield _Write(write.at, run)


def _of(write: _Write, asked: _Asked, key: DigestKey) -> OnRecord | None:
    """The last command before it that was to write just this; each writes once."""
    some = [
        act
        for digest in key.digests_of(request_content(record for _, record in write.records))
        for act in asked.get(digest, ())
        if act.at - _APART <= write.at <= act.at + WRITES_WITHIN
    ]
    if not some:
        some = [act for act in asked.get(_NO_DIGEST, ()) if _may_be_of(write, act)]
    if not some:
        return None
    act = max(some, key=lambda act: act.offset)
    asked[act.operation.request or _NO_DIGEST].remove(act)
    return act


def _may_be_of(write: _Write, act: OnRecord) -> bool:
    """Of a command of an earlier release, which put no digest on record: by its ids, as far as listed, and its time."""
    ids = [record.record_id for _, record in write.records]
    about = act.operation.about[:MOST_ABOUT]
    named = all(any(each == one or each.endswith(f"/{one}") for one in about) for each in ids[: len(about)])
    soon = act.at - _APART <= write.at <= act.at + WRITES_WITHIN
    return soon and act.operation.number == len(ids) and (named or act.operation.what == "up")


def is_of_the_register(operation: Operation) -> bool:
    """Is it a command that changes the register?"""
    return operation.what.startswith("register ") or operation.what in _OF_THE_REGISTER


def _alone(write: _Write) -> Iterator[Unrecorded]:
    what = f"{len(write.records)} entries were written, and no command on record was to write just these"
    yield _named(write.records, what)


def _differ(write: _Write, act: OnRecord) -> Iterator[Unrecorded]:
    """A command gives its reason to each entry, and may add to it what was confirmed or who was the second person."""
    other = [(at, record) for at, record in write.records if not record.reason.startswith(act.operation.reason)]
    if other:
        yield _named(other, f"another reason stands there than at {topics.OPERATIONS}/0/{act.offset}")


def _named(records: Sequence[tuple[int, RegisterRecord]], what: str) -> Unrecorded:
    first, record = records[0]
    ids = tuple(each.record_id for _, each in records[:_NAMED])
    return Unrecorded(f"{topics.REGISTER}/0/{first}", ids, record.recorded_by, what)


def _came_to_nothing(act: OnRecord) -> Unrecorded:
    what = f"`{act.operation.what}` was to change the register, and did not: it failed, or that was taken away"
    return Unrecorded(f"{topics.OPERATIONS}/0/{act.offset}", act.operation.about[:_NAMED], act.who, what)
