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


#: Read off W3C DPV 2.3, ConsentStatus: one can ask at any time; only what was given can be renewed, withdrawn (by the
#: person), revoked (by another), invalidated or run out, and who is asked again may refuse; silence follows nothing.
FOLLOWS = {
    "unknown": "requested deferred given refused",
    "requested": "requested deferred given refused",
    "deferred": "requested deferred given refused",
    "given": "requested deferred renewed refused expired invalidated revoked withdrawn",
    "renewed": "requested deferred renewed refused expired invalidated revoked withdrawn",
    "refused": "requested deferred given",
    "expired": "requested deferred given renewed refused",
    "invalidated": "requested deferred given refused",
    "revoked": "requested deferred given refused",
    "withdrawn": "requested deferred given refused",
}
#: What a person said of what they want, or what ended it: everything but asking.
ASKED = {State.REQUESTED, State.DEFERRED}


@pytest.mark.parametrize("current", State)
@pytest.mark.parametrize("new", State)
def test_a_consent_moves_only_as_dpv_lets_it(current: State, new: State) -> None:
    assert (may_follow(current, new) is None) == (new in FOLLOWS[current].split())


def test_a_move_that_is_not_allowed_names_those_that_are() -> None:
    assert may_follow(State.REFUSED, State.WITHDRAWN) == (
        "a consent that is `refused` cannot become `withdrawn`; from here it can become deferred, given, requested"
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


@pytest.mark.parametrize("no", [state for state in State if state not in HOLDS | ASKED])
@pytest.mark.parametrize("yes", sorted(HOLDS))
def test_of_a_yes_and_a_no_of_the_same_instant_the_no_counts_whatever_was_recorded_later(yes: State, no: State) -> None:
    assert stands(said(yes), said(no)) == ConsentStanding(no, 1)
    assert stands(said(no), said(yes)) == ConsentStanding(no, 0)


def test_of_the_same_instant_a_yes_that_has_run_out_counts_as_what_it_is() -> None:
    """Given to everyone for good, and to the school until now."""
    for_a_time = said(State.GIVEN, at=NOON - HOUR, expires_at=NOON, recipients=("ash-primary",))

    assert stands(for_a_time, said(State.GIVEN, at=NOON - HOUR)).state is State.EXPIRED


def test_of_the_same_instant_an_objection_counts_before_another_end() -> None:
    """It is shown to whoever is told all the same (R11)."""
    assert stands(said(State.REFUSED), said(State.EXPIRED)) == ConsentStanding(State.REFUSED, 0)


def test_of_the_same_instant_and_kind_the_one_recorded_later_is_named() -> None:
    assert stands(said(State.GIVEN), said(State.GIVEN)) == ConsentStanding(State.GIVEN, 1)


@pytest.mark.parametrize("asking", sorted(ASKED))
@pytest.mark.parametrize("before", [state for state in State if state not in ASKED])
def test_asking_again_takes_nothing_back(before: State, asking: State) -> None:
    assert stands(said(before), said(asking, at=NOON + HOUR), now=NOON + HOUR) == ConsentStanding(before, 0)


def test_what_has_run_out_has_run_out_though_someone_asked_again() -> None:
    ran_out = said(State.GIVEN, at=NOON - 2 * HOUR, expires_at=NOON - HOUR)

    assert stands(ran_out, said(State.REQUESTED)) == ConsentStanding(State.EXPIRED, 0)


def test_where_nothing_was_decided_for_this_recipient_the_newest_request_says_how_it_stands() -> None:
    others = said(State.GIVEN, recipients=("meadow-practice",))

    assert stands(others, said(State.REQUESTED), said(State.DEFERRED, at=NOON - HOUR)) == ConsentStanding(
        State.REQUESTED, 1
    )


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


_HISTORY = st.lists(st.tuples(st.sampled_from(State), st.integers(0, 5), st.booleans()), max_size=6)


def _said_in(history: list[tuple[State, int, bool]]) -> list[ConsentEntry]:
    return [
        said(state, at=NOON - hours * HOUR, recipients=() if for_all else ("meadow-practice",))
        for state, hours, for_all in history
    ]


@given(_HISTORY)
def test_consent_holds_only_if_all_that_was_decided_last_was_a_yes(history: list[tuple[State, int, bool]]) -> None:
    decided = [(hours, state) for state, hours, for_all in history if for_all and state not in ASKED]
    newest = min((hours for hours, _ in decided), default=None)
    last_words = {state for hours, state in decided if hours == newest}

    assert stands(*_said_in(history)).holds == (bool(last_words) and last_words <= {State.GIVEN, State.RENEWED})


@given(_HISTORY, st.integers(0, 5), st.sampled_from([State.REFUSED, State.WITHDRAWN, State.REVOKED, *sorted(ASKED)]))
def test_no_refusal_and_no_question_ever_makes_a_consent_hold(
    history: list[tuple[State, int, bool]], hours: int, more: State
) -> None:
    before = _said_in(history)

    assert stands(*before).holds or not stands(*before, said(more, at=NOON - hours * HOUR)).holds


@given(_HISTORY, st.randoms(use_true_random=False))
def test_it_does_not_hang_on_the_order_in_which_it_was_typed_in(
    history: list[tuple[State, int, bool]], rng: Any
) -> None:
    entries = _said_in(history)
    mixed = rng.sample(entries, len(entries))

    assert stands(*entries).holds == stands(*mixed).holds


LATER, LATEST = NOON - timedelta(hours=2), NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("spoken", "state"),
    [
        ([(State.REFUSED, "court", LATER), (State.GIVEN, "parent", LATEST)], State.REFUSED),
        ([(State.REFUSED, "court", LATER), (State.GIVEN, "court", LATEST)], State.GIVEN),
        ([(State.GIVEN, "court", LATER), (State.WITHDRAWN, "parent", LATEST)], State.WITHDRAWN),
        ([(State.GIVEN, "parent", LATER), (State.REFUSED, "court", LATEST)], State.REFUSED),
        ([(State.REFUSED, "parent", LATER), (State.GIVEN, "parent", LATEST)], State.GIVEN),
    ],
    ids=str,
)
def test_what_a_court_refused_only_a_court_can_permit(spoken: list[tuple[State, str, datetime]], state: State) -> None:
    entries = [said(each, expressed_by=who, at=at) for each, who, at in spoken]

    assert stands(*entries).state is state
