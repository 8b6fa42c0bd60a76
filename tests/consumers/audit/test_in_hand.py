"""In whose hands something is, by the last word that counts; what was closed and refused again is open again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from safebus.consumers.audit.in_hand import InHand, State, in_hand, is_about_hands
from safebus.consumers.audit.operations import OnRecord
from safebus.schemas.bus_records import Operation

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def act(minutes: int, what: str, *about: str, by: str = "op-anna", to: str | None = None) -> OnRecord:
    operation = Operation(
        operation_id=str(minutes),
        at=at(minutes),
        certificate=by,
        system_user="x",
        what=what,
        about=about,
        number=len(about),
        reason=f"because {minutes}",
        to=to,
    )
    return OnRecord(operation, at(minutes), minutes, proven=True)


def stands(*acts: OnRecord, again: dict[str, datetime] | None = None) -> InHand:
    return in_hand({"n": NOON}, acts, counts=lambda one: one.who != "police", again=again or {})["n"]


def test_what_nobody_said_anything_about_is_open_since_it_came() -> None:
    assert stands(act(1, "parked close", "p", "another")) == InHand(State.OPEN, NOON)


def test_the_last_word_counts() -> None:
    assign = act(1, "parked assign", "p", "n", to="op-ben")
    close = act(2, "parked close", "p", "n", by="op-ben")
    reopened = act(3, "parked assign", "p", "n", to="op-cleo")

    assert stands(assign) == InHand(State.ASSIGNED, at(1), "op-ben", "op-anna", "because 1")
    assert stands(assign, close) == InHand(State.CLOSED, at(2), "op-ben", "op-ben", "because 2")
    assert stands(assign, close, reopened) == InHand(State.ASSIGNED, at(3), "op-cleo", "op-anna", "because 3")


def test_what_is_closed_and_refused_again_is_open_again_and_with_whoever_had_it() -> None:
    assign, close = act(1, "parked assign", "p", "n", to="op-ben"), act(2, "parked close", "p", "n")
    again = InHand(State.OPEN_AGAIN, at(3), "op-ben", "op-anna", "because 2")

    assert stands(assign, close, again={"n": at(1)}).state is State.CLOSED
    assert stands(assign, close, again={"n": at(3)}) == again
    assert stands(assign, close, again={"n": at(2)}).state is State.OPEN_AGAIN  # who can say which was first?
    assert stands(assign, close, act(4, "parked close", "p", "n"), again={"n": at(3)}).state is State.CLOSED
    assert stands(assign, again={"n": at(3)}).state is State.ASSIGNED


def test_the_word_of_a_process_or_an_agency_closes_nothing() -> None:
    """They may write to `operations` for what they do themselves; an alert would be gone from the list."""
    assert stands(act(1, "parked close", "p", "n", by="police")) == InHand(State.OPEN, NOON)


def test_only_acts_of_this_kind_about_this_partner_are_looked_at() -> None:
    acts = [act(1, what, "p", "n").operation for what in ("parked close", "parked assign", "parked redrive")]

    assert [is_about_hands(one, "parked", "p") for one in acts] == [True, True, False]
    assert [is_about_hands(one, "parked", "q") for one in acts] == [False, False, False]
    assert [is_about_hands(one, "quarantine") for one in acts] == [False, False, False]
