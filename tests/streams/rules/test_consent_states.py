"""Where does consent stand, and what may follow what?"""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from a_register import NOON
from hypothesis import given
from hypothesis import strategies as st

from safebus.streams.rules.consent import (
    HOLDS,
    OBJECTS,
    ConsentEntry,
    ConsentStanding,
    Meaning,
    State,
    may_follow,
    standing,
)

HOUR = timedelta(hours=1)


def said(state: State, *, at: datetime = NOON, **changes: Any) -> ConsentEntry:
    values = {
        "person_id": "ava",
        "meaning": Meaning.SERVICE_AGREEMENT,
        "purpose": "notice",
        "state": state,
        "decided_at": at,
        "expressed_by": "parent",
        "method": "in person",
    }
    return ConsentEntry(**(values | changes))


def stands(*entries: ConsentEntry, recipient: str = "ash-primary", now: datetime = NOON) -> ConsentStanding:
    return standing(list(enumerate(entries)), recipient=recipient, now=now)


#: Read off W3C DPV 2.3, ConsentStatus: one can ask at any time while nothing stands; only what was given can be
#: renewed, withdrawn (by the person), revoked (by another), invalidated or run out; silence follows nothing.
FOLLOWS = {
    "unknown": "requested deferred given refused",
    "requested": "requested deferred given refused",
    "deferred": "requested deferred given refused",
    "given": "renewed expired invalidated revoked withdrawn",
    "renewed": "renewed expired invalidated revoked withdrawn",
    "refused": "requested given",
    "expired": "requested given renewed refused",
    "invalidated": "requested deferred given refused",
    "revoked": "requested deferred given refused",
    "withdrawn": "requested given refused",
}


@pytest.mark.parametrize("current", State)
@pytest.mark.parametrize("new", State)
def test_a_consent_moves_only_as_dpv_lets_it(current: State, new: State) -> None:
    assert (may_follow(current, new) is None) == (new in FOLLOWS[current].split())


def test_a_move_that_is_not_allowed_names_those_that_are() -> None:
    assert may_follow(State.REFUSED, State.WITHDRAWN) == (
        "a consent that is `refused` cannot become `withdrawn`; from here it can become given, requested"
    )


def test_only_what_was_given_holds_and_only_a_no_is_an_objection() -> None:
    assert {state for state in State if ConsentStanding(state, 0).holds} == HOLDS == {State.GIVEN, State.RENEWED}
    assert {State.REFUSED, State.WITHDRAWN} == OBJECTS


def test_what_nobody_recorded_is_unknown_and_does_not_hold() -> None:
    assert stands() == ConsentStanding(State.UNKNOWN, None)
    assert not stands().holds


def test_the_newest_decision_wins_in_whatever_order_they_were_recorded() -> None:
    history = [said(State.GIVEN), said(State.WITHDRAWN, at=NOON + HOUR), said(State.REFUSED, at=NOON - HOUR)]

    found = {stands(*order, now=NOON + 2 * HOUR).state for order in permutations(history)}

    assert found == {State.WITHDRAWN}


def test_of_two_at_the_same_instant_the_one_recorded_later_wins() -> None:
    assert stands(said(State.GIVEN), said(State.REFUSED)) == ConsentStanding(State.REFUSED, 1)
    assert stands(said(State.REFUSED), said(State.GIVEN)) == ConsentStanding(State.GIVEN, 1)


@pytest.mark.parametrize("state", sorted(HOLDS))
@pytest.mark.parametrize(
    ("left", "then"), [(timedelta(microseconds=1), None), (timedelta(), State.EXPIRED), (-HOUR, State.EXPIRED)]
)
def test_an_agreement_for_a_time_ends_at_that_time(state: State, left: timedelta, then: State | None) -> None:
    entry = said(state, at=NOON - HOUR, expires_at=NOON + left)

    assert stands(entry) == ConsentStanding(then or state, 0)


def test_a_refusal_does_not_run_out() -> None:
    assert stands(said(State.REFUSED, expires_at=NOON - HOUR)).state is State.REFUSED


def test_a_decision_for_one_recipient_says_nothing_about_another() -> None:
    entry = said(State.GIVEN, recipients=("ash-primary",))

    assert stands(entry) == ConsentStanding(State.GIVEN, 0)
    assert stands(entry, recipient="meadow-practice") == ConsentStanding(State.UNKNOWN, None)


def test_a_decision_for_everyone_and_one_for_one_compete_by_their_time() -> None:
    for_all = said(State.GIVEN)
    not_the_school = said(State.REFUSED, at=NOON + HOUR, recipients=("ash-primary",))

    assert stands(for_all, not_the_school, now=NOON + HOUR).state is State.REFUSED
    assert stands(for_all, not_the_school, now=NOON + HOUR, recipient="meadow-practice").state is State.GIVEN


def test_a_yes_that_is_dated_ahead_does_not_hold_before_its_day() -> None:
    """Nor does it outlast a withdrawal until then."""
    ahead = said(State.GIVEN, at=NOON + HOUR)

    assert stands(ahead) == ConsentStanding(State.UNKNOWN, None)
    assert stands(ahead, said(State.WITHDRAWN)) == ConsentStanding(State.WITHDRAWN, 1)
    assert stands(ahead, now=NOON + HOUR) == ConsentStanding(State.GIVEN, 0)


def test_a_no_that_is_dated_ahead_counts_at_once() -> None:
    assert stands(said(State.GIVEN), said(State.WITHDRAWN, at=NOON + HOUR)).state is State.WITHDRAWN


@given(st.lists(st.tuples(st.sampled_from(State), st.integers(0, 5), st.booleans()), max_size=6))
def test_consent_holds_only_if_the_newest_decision_was_a_yes(history: list[tuple[State, int, bool]]) -> None:
    entries = [
        said(state, at=NOON - hours * HOUR, recipients=() if for_all else ("meadow-practice",))
        for state, hours, for_all in history
    ]

    about_all = [(-hours, i, state) for i, (state, hours, for_all) in enumerate(history) if for_all]
    last_word = max(about_all)[2] if about_all else State.UNKNOWN

    assert stands(*entries).holds == (last_word in {State.GIVEN, State.RENEWED})
