"""A change of the register has the command beside it that made it, and a command the change that it made."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.audit.unrecorded import WRITES_WITHIN, Unrecorded, unrecorded
from safebus.schemas.bus_records import Operation, RegisterRecord
from safebus.schemas.keys import PersonKey
from safebus.streams.register.write import request_digest

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
KEY = PersonKey(b"k" * 32, (b"l" * 32,))
SECOND = timedelta(seconds=1)
_offsets = count()


def entry(name: str, *, at: timedelta = SECOND, **changes: Any) -> RegisterRecord:
    record = RegisterRecord(
        record_id=f"partner/{name}",
        kind="partner",
        body="{}",
        recorded_at=NOON + at,
        recorded_by="anna",
        reason="they joined",
    )
    return record.model_copy(update=changes)


def act(*, at: timedelta = timedelta(0), offset: int | None = None, **changes: Any) -> OnRecord:
    """Something that a person did; `at`: after 1970 where it is long, else after noon."""
    when = NOON + at if at < timedelta(days=365) else datetime.fromtimestamp(0, UTC) + at
    operation = Operation(
        operation_id=str(uuid.uuid4()),
        at=when,
        certificate="",
        system_user="anna",
        what="register load",
        about=("partner/ash",),
        number=1,
        reason="they joined",
    )
    return OnRecord(operation.model_copy(update=changes), when, next(_offsets) if offset is None else offset, False)


def command(*records: RegisterRecord, key: PersonKey = KEY, **changes: Any) -> OnRecord:
    """The one that was to write these."""
    return act(**{"number": len(records), "request": request_digest(records, key), **changes})


def found(
    records: Sequence[RegisterRecord], acts: Sequence[OnRecord], *, taken: dict[int, timedelta] | None = None
) -> list[Unrecorded]:
    """In the hour from noon."""
    log = list(enumerate(records))
    taken_in = {offset: NOON + (taken or {}).get(offset, record.recorded_at - NOON) for offset, record in log}
    until, now = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    return unrecorded(log, taken_in, acts, since=NOON, until=until, now=now, key=KEY.digests)


ASH, BEECH, ELM = entry("ash"), entry("beech"), entry("elm")


@pytest.mark.parametrize("generation", [1, 2])
def test_what_a_command_wrote_stands_beside_it(generation: int) -> None:
    two = [ASH, BEECH]

    assert found(two, [command(*two, key=KEY.of(generation))]) == []


def test_what_was_written_past_the_commands_is_named() -> None:
    [alone] = found([ASH, BEECH], [act(what="operations list")])

    assert (alone.where, alone.about, alone.by) == ("register/0/0", ("partner/ash", "partner/beech"), "anna")
    assert alone.what == "2 entries were written, and no command on record was to write just these"


@pytest.mark.parametrize(
    "written", [[ASH, BEECH.model_copy(update={"body": None})], [BEECH, ASH], [ASH], [ASH, BEECH, ELM]]
)
def test_what_is_not_what_the_command_was_to_write_is_named_with_the_command(written: list[RegisterRecord]) -> None:
    where = [each.where for each in found(written, [command(ASH, BEECH, offset=7)])]

    assert where == ["register/0/0", "operations/0/7"]


def test_what_was_slipped_in_later_under_the_same_time_is_named_alone() -> None:
    other = entry("oak", at=2 * SECOND)
    [alone] = found([ASH, BEECH, other, ELM], [command(ASH, BEECH), command(other)])

    assert (alone.where, alone.about) == ("register/0/3", ("partner/elm",))


def test_commands_of_one_entry_each_may_meet_in_one_millisecond() -> None:
    assert found([ASH, BEECH], [command(ASH), command(BEECH)]) == []
    assert [each.about for each in found([ASH, ELM, BEECH], [command(ASH), command(BEECH)])] == [("partner/elm",)]


def test_a_command_writes_once() -> None:
    again = entry("ash", at=60 * SECOND)

    assert [each.where for each in found([ASH, again], [command(ASH)])] == ["register/0/1"]
    assert found([ASH, again], [command(ASH), command(again, at=59 * SECOND)]) == []


def test_one_that_failed_and_was_run_again_and_one_that_has_just_begun_are_no_loss() -> None:
    failed, again = command(ASH), command(ASH)
    just_now = command(BEECH, at=timedelta(hours=2))

    assert found([ASH], [failed, again, just_now]) == []


def test_of_commands_of_an_earlier_release_ids_and_time_are_compared() -> None:
    """They put no digest on record, and the first of two persons counted what the second wrote."""
    load = act(about=("partner/ash", "partner/beech"), number=2)
    pause = act(what="partners pause", about=("ash",))
    word = entry("ash", record_id="deliveries/ash")
    first = command(ELM, operation_id="first")
    second = act(about=("partner/elm",), seconds="first")

    assert found([ASH, BEECH], [load]) == []
    assert found([word], [pause]) == []
    assert found([ELM], [first, second]) == []
    assert found([ASH, BEECH], [act(what="up", about=("register",), number=2)]) == []
    assert len(found([ASH, BEECH], [act(about=("partner/ash", "partner/elm"), number=2)])) == 1
    assert len(found([ASH, BEECH], [act(about=("partner/ash", "partner/beech"), number=2, what="explain")])) == 1


def test_a_command_that_changed_nothing_is_named() -> None:
    """A withdrawal that was taken away again leaves the command that recorded it."""
    [alone] = found([], [command(ASH, offset=3)])

    assert (alone.where, alone.about, alone.by) == ("operations/0/3", ("partner/ash",), "anna")
    assert "failed, or that was taken away" in alone.what


def test_what_waits_for_a_second_person_is_of_nothing_that_was_written() -> None:
    first, second = command(ASH, number=0), command(ASH, seconds="first")
    both = [ASH.model_copy(update={"reason": "they joined; asked for by ben (first)"})]

    assert found([], [first]) == []
    assert found(both, [first, second]) == []
    assert [each.where for each in found(both, [first])] == ["register/0/0"]


def test_another_reason_than_the_commands_is_named() -> None:
    confirmed = ASH.model_copy(update={"reason": "they joined; confirmed: Ash Primary"})
    [other] = found([ASH, BEECH.model_copy(update={"reason": "because"})], [command(ASH, BEECH, offset=4)])

    assert found([confirmed], [command(ASH)]) == []
    assert (other.where, other.about, other.what) == (
        "register/0/1",
        ("partner/beech",),
        "another reason stands there than at operations/0/4",
    )


@pytest.mark.parametrize(
    ("taken", "right"),
    [(timedelta(0), True), (WRITES_WITHIN, True), (WRITES_WITHIN + SECOND, False), (timedelta(minutes=-2), False)],
)
def test_a_change_follows_its_command_soon(taken: timedelta, right: bool) -> None:
    ours = command(ASH, at=timedelta(minutes=-10))
    log = [(0, ASH)]
    taken_in = {0: NOON + timedelta(minutes=-10) + taken}
    span = {"since": NOON - timedelta(hours=3), "until": NOON + timedelta(hours=3), "now": NOON + timedelta(hours=3)}

    assert (unrecorded(log, taken_in, [ours], **span, key=KEY.digests) == []) is right


def test_what_lies_outside_of_the_span_is_not_judged() -> None:
    late = timedelta(hours=1)

    assert found([ASH, BEECH], [], taken={0: -SECOND, 1: -SECOND}) == []
    assert found([entry("ash", at=late)], [command(BEECH, at=late)]) == []
    assert found([ASH], [command(ASH, at=-SECOND)]) == []
