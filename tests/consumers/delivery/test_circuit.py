"""Whose fault it is when a partner refuses something, and how one that takes nothing is asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.consumers.adapters.adapter import PartnerAnswer, Reply
from safebus.consumers.delivery import retry
from safebus.consumers.delivery.circuit import AT_ONCE, REFUSALS_TO_PARK, Circuit, Fault, Head, Verdict
from safebus.schemas.bus_records import DestinationStanding as State
from safebus.schemas.bus_records import DestinationState

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NO = PartnerAnswer(Reply.NOT_LET_IN, "403")
BUSY = PartnerAnswer(Reply.BUSY, "503")
SECOND = timedelta(seconds=1)


def heads(*keys: str) -> list[Head]:
    return [Head(key, due=True) for key in keys]


def refuse(circuit: Circuit, key: str, *, others: bool, now: datetime = NOON) -> Verdict:
    return circuit.refused(key, NO, others=others, now=now)


def take(circuit: Circuit, key: str, *, now: datetime = NOON, began: datetime | None = None) -> None:
    circuit.taken(key, effect=True, began=began or now, now=now)


# Whose fault it is


def test_after_a_refusal_another_one_is_asked_and_one_at_a_time() -> None:
    circuit = Circuit()
    verdict = refuse(circuit, "a", others=True)

    assert verdict == Verdict(Fault.NOT_KNOWN, NOON + 5 * SECOND)
    assert circuit.state is State.DOUBTED
    assert circuit.choose(heads("a", "b", "c"), now=NOON, under_way=0) == ["b"]
    assert circuit.choose(heads("a", "c"), now=NOON, under_way=1) == []


def test_one_that_is_refused_three_times_while_others_are_taken_is_at_fault() -> None:
    circuit, verdicts = Circuit(), []
    for times in range(REFUSALS_TO_PARK):
        now = NOON + times * timedelta(minutes=1)
        verdicts.append(refuse(circuit, "a", others=True, now=now).fault)
        take(circuit, f"other-{times}", now=now + SECOND)

    assert verdicts == [Fault.NOT_KNOWN, Fault.NOT_KNOWN, Fault.MESSAGE]
    assert circuit.state is State.LETS_IN
    assert circuit.news == []


def test_one_that_is_refused_again_holds_up_nobody_while_others_are_taken() -> None:
    """Nobody but itself is in doubt: no alarm, and the others go out several at a time."""
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    take(circuit, "b", now=NOON + SECOND)
    again = refuse(circuit, "a", others=False, now=NOON + 5 * SECOND)

    assert again == Verdict(Fault.NOT_KNOWN, NOON + 35 * SECOND)
    assert circuit.state is State.LETS_IN
    many = [f"n-{n}" for n in range(20)]
    assert circuit.choose(heads("a", *many), now=NOON + 6 * SECOND, under_way=0) == many[:AT_ONCE]


def test_what_was_under_way_when_one_was_refused_shows_nothing_of_it() -> None:
    """A column was added between the two: the one that went before was taken, all later ones are not."""
    circuit = Circuit()
    for n in range(REFUSALS_TO_PARK + 2):
        now = NOON + n * timedelta(minutes=1)
        verdict = refuse(circuit, "a", others=True, now=now)
        take(circuit, f"before-{n}", began=now - SECOND, now=now + SECOND)

        assert verdict.fault is not Fault.MESSAGE


def test_what_was_there_already_shows_nothing() -> None:
    """A folder that can be read and not be written says so of every repeat."""
    circuit = Circuit()
    for n in range(REFUSALS_TO_PARK + 2):
        verdict = refuse(circuit, "a", others=False, now=NOON + n * SECOND)
        circuit.taken(f"before-{n}", effect=False, began=NOON + n * SECOND, now=NOON + n * SECOND)

        assert verdict.fault is Fault.DESTINATION
    assert circuit.state is State.HELD


def test_three_different_ones_in_a_row_speak_against_the_destination() -> None:
    circuit = Circuit()
    verdicts = [refuse(circuit, key, others=True) for key in "abc"]

    assert [v.fault for v in verdicts] == [Fault.NOT_KNOWN, Fault.NOT_KNOWN, Fault.DESTINATION]
    assert circuit.state is State.HELD
    assert [news.event for news in circuit.news] == ["destination.held"]


def test_where_one_was_taken_less_than_a_minute_ago_it_takes_ten_in_a_row() -> None:
    """Of many that are bad three often come together, and each pause would be everybody's."""
    held_after = []
    for later in (59 * SECOND, 61 * SECOND):
        circuit, keys = Circuit(), iter(KEYS)
        take(circuit, next(keys))
        while circuit.state is not State.HELD:
            refuse(circuit, next(keys), others=True, now=NOON + later)
        held_after.append(KEYS.index(next(keys)) - 1)

    assert held_after == [10, 3]


def test_one_alone_holds_its_destination_and_whatever_comes_is_asked_at_once() -> None:
    """Nobody knows whose fault it is, a person is told, and an alert about another child does not wait for them."""
    circuit = Circuit()
    verdict = refuse(circuit, "a", others=False)

    assert verdict == Verdict(Fault.DESTINATION, NOON + 30 * SECOND)
    assert circuit.choose(heads("a"), now=NOON + 29 * SECOND, under_way=0) == []
    assert circuit.choose(heads("a", "b"), now=NOON + 29 * SECOND, under_way=0) == ["b"]


def test_one_alone_that_others_showed_to_be_at_fault_is_parked_in_time_though_nobody_else_comes() -> None:
    circuit = Circuit()
    refuse(circuit, "a", others=False)
    take(circuit, "b", now=NOON + SECOND)
    verdicts = [refuse(circuit, "a", others=False, now=NOON + n * timedelta(minutes=2)).fault for n in (1, 2, 3, 4)]

    assert verdicts == [Fault.NOT_KNOWN, Fault.NOT_KNOWN, Fault.NOT_KNOWN, Fault.MESSAGE]


def test_whoever_is_refused_holds_it_no_matter_how_often_while_nothing_is_taken() -> None:
    circuit = Circuit()
    verdicts = {refuse(circuit, key, others=False, now=NOON + n * SECOND).fault for n in range(50) for key in "abcd"}

    assert verdicts <= {Fault.NOT_KNOWN, Fault.DESTINATION}


def test_a_hold_is_on_record_once() -> None:
    circuit = Circuit()

    assert [refuse(circuit, "a", others=False).known for _ in range(3)] == [False, True, True]


def test_where_what_was_refused_is_taken_later_nothing_is_parked_and_a_person_is_told() -> None:
    """One server of several is wrong, so whatever meets it is refused, and it is nobody's fault."""
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    take(circuit, "b", now=NOON + SECOND)
    take(circuit, "a", now=NOON + 5 * SECOND)
    faults = set()
    for n in range(8):
        now = NOON + timedelta(minutes=n + 1)
        faults.add(refuse(circuit, "c", others=True, now=now).fault)
        take(circuit, f"other-{n}", now=now + SECOND)
    much_later = NOON + timedelta(hours=2)

    assert faults == {Fault.NOT_KNOWN}
    assert [news.event for news in circuit.news] == ["destination.flaky"]
    assert refuse(circuit, "c", others=True, now=much_later).fault is Fault.MESSAGE


def test_a_hold_that_came_from_doubt_is_on_record_at_once() -> None:
    """The one that was to show whose fault it is was busy, so no answer tells of the hold."""
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    circuit.choose(heads("a", "b"), now=NOON, under_way=0)
    circuit.failed(BUSY, now=NOON)
    circuit.choose(heads("a", "b"), now=NOON + 5 * SECOND, under_way=0)
    held = circuit.state

    assert (held, circuit.unsaid) == (State.HELD, "a")
    assert refuse(circuit, "a", others=False, now=NOON + 40 * SECOND).known


def test_a_success_that_had_begun_before_the_hold_does_not_end_it() -> None:
    circuit = Circuit()
    for key in "abc":
        refuse(circuit, key, others=True, now=NOON)
    take(circuit, "d", began=NOON - SECOND, now=NOON + SECOND)

    assert circuit.state is State.HELD
    assert [news.event for news in circuit.news] == ["destination.held"]


def test_one_that_is_refused_while_others_are_under_way_holds_nothing_until_they_are_answered() -> None:
    """It came among eight; the other seven were taken a moment later, and nobody else came for a minute."""
    circuit, waits, now = Circuit(), [], NOON
    refuse(circuit, "a", others=True)
    before = circuit.choose(heads("a"), now=NOON, under_way=7)
    for n in range(7):
        take(circuit, f"other-{n}", began=NOON - SECOND, now=NOON + SECOND)
    for _ in range(REFUSALS_TO_PARK + 1):
        verdict = refuse(circuit, "a", others=False, now=now)
        assert circuit.news == [] or verdict.fault is Fault.DESTINATION
        assert verdict.again_at is not None
        waits.append(((verdict.again_at - now).total_seconds(), circuit.state))
        now = verdict.again_at

    assert before == []
    # By then it has been alone for five minutes, and a person has to look.
    assert waits == [(5, State.LETS_IN), (30, State.LETS_IN), (300, State.LETS_IN), (30, State.HELD)]


def test_one_whose_refusal_is_the_last_of_eight_answers_is_tried_three_times_before_it_is_held() -> None:
    """A firewall that looks first answers last; a folder that is gone looks the same, and is held 35 s later."""
    circuit, tries, now = Circuit(), [], NOON
    take(circuit, "other", now=NOON - SECOND)
    for _ in range(REFUSALS_TO_PARK):
        verdict = refuse(circuit, "a", others=False, now=now)
        assert verdict.again_at is not None
        tries.append(((now - NOON).total_seconds(), verdict.fault, circuit.state))
        now = verdict.again_at

    assert tries == [
        (0, Fault.NOT_KNOWN, State.LETS_IN),
        (5, Fault.NOT_KNOWN, State.LETS_IN),
        (35, Fault.DESTINATION, State.HELD),
    ]


def test_one_that_was_held_alone_is_judged_within_a_minute_once_others_are_taken() -> None:
    """It was put off by half an hour, its child's later alerts with it, while 126 others were taken."""
    circuit = Circuit()
    take(circuit, "other", now=NOON - SECOND)
    for second in (0, 5, 35):
        refuse(circuit, "a", others=False, now=NOON + second * SECOND)
    held = circuit.state
    take(circuit, "b", began=NOON + 39 * SECOND, now=NOON + 39 * SECOND)
    tries, now = [], NOON + 40 * SECOND
    for _ in range(3):
        verdict = refuse(circuit, "a", others=True, now=now)
        tries.append((verdict.fault, (now - NOON).total_seconds()))
        if verdict.again_at is None:
            break
        take(circuit, f"c-{now}", began=now + SECOND, now=now + SECOND)
        now = verdict.again_at

    assert held is State.HELD
    assert tries == [(Fault.NOT_KNOWN, 40), (Fault.MESSAGE, 70)]


def test_one_that_was_refused_by_processes_before_this_one_is_judged_within_a_minute_too() -> None:
    """Three restarts in a minute put it off by half an hour."""
    circuit, tries, now = Circuit(), [], NOON
    for _ in range(4):
        verdict = circuit.refused("a", NO, others=True, now=now, refused_before=4)
        tries.append((now - NOON).total_seconds())
        if verdict.again_at is None:
            break
        take(circuit, f"c-{now}", began=now + SECOND, now=now + SECOND)
        now = verdict.again_at

    assert (verdict.fault, tries) == (Fault.MESSAGE, [0, 5, 35])


def test_one_that_others_showed_to_be_at_fault_holds_nothing_beside_another_that_is_refused() -> None:
    """Nobody else waited at that moment, and for a second a person was told that everything is refused."""
    circuit = Circuit()
    take(circuit, "other", now=NOON - SECOND)
    for second in (0, 5, 35):
        refuse(circuit, "a", others=False, now=NOON + second * SECOND)
    circuit.news.clear()
    take(circuit, "c", began=NOON + 39 * SECOND, now=NOON + 39 * SECOND)
    refuse(circuit, "a", others=True, now=NOON + 40 * SECOND)
    take(circuit, "d", began=NOON + 39 * SECOND, now=NOON + 49 * SECOND)  # which had begun before
    circuit.news.clear()
    refuse(circuit, "b", others=True, now=NOON + 50 * SECOND)
    asked = circuit.choose(heads("a", "b"), now=NOON + 50 * SECOND, under_way=0)
    verdict = refuse(circuit, "a", others=False, now=NOON + 50 * SECOND)

    assert asked == ["a"]
    assert (verdict.fault, circuit.state, circuit.news) == (Fault.NOT_KNOWN, State.LETS_IN, [])


def test_where_one_comes_before_that_and_is_taken_nobody_is_woken() -> None:
    circuit = Circuit()
    take(circuit, "other", now=NOON - SECOND)
    refuse(circuit, "a", others=False)
    take(circuit, "b", began=NOON + 10 * SECOND, now=NOON + 10 * SECOND)
    third = [refuse(circuit, "a", others=False, now=NOON + s * SECOND).fault for s in (5, 35)]

    assert third == [Fault.NOT_KNOWN] * 2
    assert (circuit.state, circuit.news) == (State.LETS_IN, [])


def test_one_that_is_refused_where_nothing_was_taken_for_a_minute_holds_it_at_once() -> None:
    circuit = Circuit()
    take(circuit, "other", now=NOON - 60 * SECOND)

    assert refuse(circuit, "a", others=False).fault is Fault.DESTINATION


def test_a_place_that_is_gone_for_five_that_wait_is_held_35_seconds_later_too() -> None:
    circuit, last = Circuit(), Fault.NOT_KNOWN
    take(circuit, "other", now=NOON - SECOND)
    for second in (0, 5, 35):
        for key in "abcde":
            last = refuse(circuit, key, others=key != "e", now=NOON + second * SECOND).fault

    assert (last, circuit.state) == (Fault.DESTINATION, State.HELD)


def test_one_that_a_process_before_this_one_was_refused_beside_others_is_not_everybodys_trouble() -> None:
    """An upgrade at noon, while one that is disliked waits, woke a person."""
    before, circuit, later = Circuit(), Circuit(), Circuit()
    refuse(before, "a", others=True)
    take(before, "other", began=NOON - SECOND, now=NOON)
    circuit.go_on_from(before.says(), NOON + SECOND, taken_at=NOON - SECOND)
    first = circuit.refused("a", NO, others=False, now=NOON + SECOND, refused_before=1)
    hour = NOON + timedelta(hours=1)
    later.go_on_from(before.says(), hour, taken_at=NOON - SECOND)
    after = [
        later.refused("a", NO, others=False, now=hour, refused_before=2 + n).fault for n in range(REFUSALS_TO_PARK + 1)
    ]

    assert (first.fault, circuit.state) == (Fault.NOT_KNOWN, State.LETS_IN)
    assert after == [Fault.NOT_KNOWN] * REFUSALS_TO_PARK + [Fault.DESTINATION]


def test_restarts_at_a_quiet_partner_hold_nothing_and_put_nothing_off_where_others_are_taken() -> None:
    """One alert every nine seconds, one that is disliked, and three processes killed: each second counts from noon."""
    at = [NOON + second * SECOND for second in range(120)]
    circuit = Circuit()
    take(circuit, "0", began=at[26], now=at[26])
    verdict = refuse(circuit, "a", others=False, now=at[27])
    for start, refused, refused_before in ((35, 41, 1), (50, 57, 3), (67, 73, 5)):
        before, circuit = circuit.says(), Circuit()
        circuit.go_on_from(before, at[start], taken_at=at[start - 5])
        # The other one was under way beside it, so it shows nothing of this refusal.
        verdict = circuit.refused("a", NO, others=True, now=at[refused] + SECOND / 200, refused_before=refused_before)
        take(circuit, f"{refused}", began=at[refused], now=at[refused] + SECOND / 100)
        assert verdict.again_at == at[refused + 5] + SECOND / 200
        verdict = circuit.refused("a", NO, others=False, now=at[refused + 5])
        assert (verdict.fault, circuit.state, circuit.news) == (Fault.NOT_KNOWN, State.LETS_IN, [])
    waits = []
    while verdict.again_at is not None:
        take(circuit, f"at {verdict.again_at}", began=verdict.again_at - SECOND, now=verdict.again_at - SECOND)
        now = verdict.again_at
        verdict = circuit.refused("a", NO, others=False, now=now)
        waits.append((now - NOON).total_seconds())

    assert (verdict.fault, circuit.news) == (Fault.MESSAGE, [])
    assert waits == [83, 113]


def test_a_hold_that_follows_from_no_answer_has_a_receipt_all_the_same() -> None:
    """One was refused, and the other that was to show whose fault it is was taken back."""
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    chosen = circuit.choose(heads("a"), now=NOON + SECOND, under_way=0)

    assert (chosen, circuit.state, circuit.unsaid) == ([], State.HELD, "a")
    assert circuit.says().asked_at == NOON + 31 * SECOND


def test_where_those_under_way_are_refused_too_it_is_the_destination() -> None:
    circuit = Circuit()
    verdicts = [refuse(circuit, key, others=key != "c").fault for key in "abc"]

    assert verdicts == [Fault.NOT_KNOWN, Fault.NOT_KNOWN, Fault.DESTINATION]


# What one process leaves to the next


def test_a_process_goes_on_from_what_the_one_before_it_said_of_the_destination() -> None:
    """Held or silent: one at a time, the first now, and no second receipt that says so; a pause holds."""
    held, silent, slowed = Circuit(), Circuit(), Circuit()
    for key in "abc":
        refuse(held, key, others=True)
    for n in range(10):
        silent.failed(BUSY, now=NOON + n * SECOND)
    slowed.failed(PartnerAnswer(Reply.BUSY, "429", retry_after_s=600), now=NOON)
    later = NOON + timedelta(minutes=5)
    after = [Circuit() for _ in range(3)]
    for circuit, before in zip(after, (held, silent, slowed), strict=True):
        circuit.go_on_from(before.says(), later)

    assert [(c.state, c.since) for c in after] == [(State.HELD, NOON), (State.SILENT, NOON), (State.LETS_IN, None)]
    assert [len(c.choose(heads(*"abcdefgh"), now=later, under_way=0)) for c in after] == [1, 1, 0]
    assert refuse(after[0], "a", others=False, now=later).known
    assert len(after[2].choose(heads(*"ab"), now=NOON + timedelta(minutes=10), under_way=0)) == 1
    assert after[0].news == after[2].news == []


def test_no_pause_and_no_doubt_that_is_over_is_gone_on_from() -> None:
    """Nor one that is longer than a partner can ask for: the clock was set back, or nobody of the bus wrote it."""
    doubted, circuit = Circuit(), Circuit()
    refuse(doubted, "a", others=True)
    day = timedelta(days=1)
    for said in (doubted.says(), *(DestinationState(**OVER | {"left_alone_until": NOON + d}) for d in (-day, 2 * day))):
        circuit.go_on_from(said, NOON)

    assert circuit == Circuit()


OVER: dict[str, Any] = {"standing": State.LETS_IN, "since": None, "asked_at": None, "flaky_until": NOON}


# While it is held


def test_a_held_destination_is_asked_with_another_one_each_time_soon_at_first() -> None:
    circuit, asked, now = Circuit(), [], NOON
    for key in "abc":
        refuse(circuit, key, others=True)
    for _ in range(8):
        assert circuit.ask_at is not None
        assert circuit.choose(heads(*"abcd"[: len(asked) + 3]), now=circuit.ask_at - SECOND, under_way=0) == []
        now = circuit.ask_at
        [key] = circuit.choose(heads(*"abcd"), now=now, under_way=0)
        asked.append((key, now - NOON))
        refuse(circuit, key, others=False, now=now)

    assert "".join(key for key, _ in asked[:1]) == "d"
    assert sorted(key for key, _ in asked[1:5]) == ["a", "b", "c", "d"]
    waits = [b - a for (_, a), (_, b) in pairwise(asked)]
    assert waits[-1] == timedelta(minutes=15)
    assert asked[0][1] == timedelta(seconds=30)


def test_what_is_asked_in_doubt_and_waits_is_not_asked_again_and_again() -> None:
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    [first] = circuit.choose(heads("a", "b"), now=NOON, under_way=0)
    circuit.failed(BUSY, now=NOON)
    waiting = [Head("a", due=False), Head(first, due=False)]

    assert circuit.choose(waiting, now=NOON, under_way=0) == []


def test_when_it_takes_one_all_that_waited_are_due_and_it_is_said() -> None:
    circuit = Circuit()
    refuse(circuit, "a", others=False)
    take(circuit, "b", now=NOON + 30 * SECOND)

    assert (circuit.state, circuit.opened_at) == (State.LETS_IN, NOON + 30 * SECOND)
    assert [news.event for news in circuit.news] == ["destination.held", "destination.recovered"]


def test_a_person_can_have_it_asked_at_once() -> None:
    circuit = Circuit()
    refuse(circuit, "a", others=False)
    circuit.try_now(NOON)

    assert circuit.choose(heads("a"), now=NOON, under_way=0) == ["a"]


def test_what_was_refused_and_is_taken_once_a_person_has_mended_it_makes_no_destination_flaky() -> None:
    """A firewall let it in after a telephone call; for an hour the page said that one of several servers was wrong."""
    circuit = Circuit()
    refuse(circuit, "a", others=True)
    take(circuit, "b", now=NOON + SECOND)
    take(circuit, "a", now=NOON + 2 * SECOND)
    flaky = circuit.says().flaky_until
    refuse(circuit, "c", others=True, now=NOON + 3 * SECOND)
    take(circuit, "d", now=NOON + 4 * SECOND)
    circuit.try_now(NOON + 5 * SECOND)
    take(circuit, "c", now=NOON + 6 * SECOND)
    after = circuit.says().flaky_until
    refuse(circuit, "e", others=True, now=NOON + 7 * SECOND)
    take(circuit, "f", now=NOON + 8 * SECOND)
    take(circuit, "e", now=NOON + 9 * SECOND)

    assert flaky == NOON + timedelta(hours=1, seconds=2)
    assert after is None
    assert circuit.says().flaky_until == NOON + timedelta(hours=1, seconds=9)


def test_what_is_mended_is_asked_at_once_but_in_no_pause_that_the_partner_asked_for() -> None:
    held, slowed = Circuit(), Circuit()
    refuse(held, "a", others=False)
    slowed.failed(PartnerAnswer(Reply.BUSY, "429", retry_after_s=600), now=NOON)
    for circuit in (held, slowed):
        circuit.mended(NOON)

    assert [c.choose(heads("a"), now=NOON, under_way=0) for c in (held, slowed)] == [["a"], []]
    slowed.try_now(NOON)
    assert slowed.choose(heads("a"), now=NOON, under_way=0) == ["a"]


# One that takes nothing


def test_ten_failures_in_a_row_make_it_silent_and_a_person_is_told_on_the_way() -> None:
    circuit = Circuit()
    for _ in range(12):
        circuit.failed(BUSY, now=NOON)

    assert circuit.state is State.SILENT
    assert [(n.event, n.facts.get("percent")) for n in circuit.news] == [
        ("destination.failing", 50),
        ("destination.failing", 70),
        ("destination.failing", 90),
        ("destination.failing", 100),
        ("destination.silent", None),
    ]


def test_what_was_under_way_when_it_became_silent_says_nothing_new() -> None:
    """Eight time out together: that is one round, and the next comes soon."""
    circuit = Circuit()
    for _ in range(18):
        circuit.failed(BUSY, now=NOON)

    assert circuit.next_at == NOON + 5 * SECOND


def test_a_silent_one_is_asked_with_one_at_a_time_another_each_time() -> None:
    circuit, asked = Circuit(), []
    for _ in range(10):
        circuit.failed(BUSY, now=NOON)
    for _ in range(6):
        assert circuit.next_at is not None
        assert circuit.choose(heads(*"abc"), now=circuit.next_at - SECOND, under_way=0) == []
        now = circuit.next_at
        asked += circuit.choose(heads(*"abc"), now=now, under_way=0)
        circuit.failed(BUSY, now=now)

    assert "".join(asked) == "abcabc"
    assert circuit.next_at == now + timedelta(minutes=5)


def test_one_failure_between_successes_says_nothing() -> None:
    circuit = Circuit()
    for n in range(100):
        circuit.failed(BUSY, now=NOON)
        take(circuit, f"n-{n}")

    assert (circuit.state, circuit.news) == (State.LETS_IN, [])


def test_one_that_is_in_doubt_and_then_down_is_asked_with_pauses_and_becomes_silent() -> None:
    circuit, asked, now = Circuit(), 0, NOON
    many = heads(*(f"n-{n}" for n in range(300)))
    refuse(circuit, "z", others=True)
    while circuit.state is State.DOUBTED:
        if circuit.choose(many, now=now, under_way=0):
            asked += 1
            circuit.failed(BUSY, now=now)
        now += SECOND

    assert (circuit.state, asked) == (State.SILENT, 10)
    assert now - NOON > 30 * SECOND


def test_a_success_after_a_while_without_one_shows_that_nothing_need_wait_any_more() -> None:
    """A quiet partner was away for an hour; its one alert would wait for its own time, five hours on."""
    circuit = Circuit()
    for n in range(5):
        circuit.failed(BUSY, now=NOON + n * timedelta(minutes=15))
    take(circuit, "new", now=NOON + timedelta(hours=1, minutes=1))

    assert circuit.opened_at == NOON + timedelta(hours=1, minutes=1)
    assert circuit.state is State.LETS_IN


def test_a_clock_that_is_set_back_makes_nobody_wait_for_that_long() -> None:
    circuit = Circuit()
    refuse(circuit, "a", others=False)
    circuit.choose(heads("a"), now=NOON, under_way=0)
    set_back = NOON - timedelta(days=1)
    at_once = circuit.choose(heads("a"), now=set_back, under_way=0)

    assert at_once == []
    assert circuit.choose(heads("a"), now=set_back + 30 * SECOND, under_way=0) == ["a"]


# A pause that the partner asks for


@pytest.mark.parametrize("reply", [Reply.BUSY, Reply.NOT_LET_IN])
def test_a_pause_that_a_partner_asks_for_is_for_everything(reply: Reply) -> None:
    circuit, later = Circuit(), NOON + timedelta(minutes=2)
    answer = PartnerAnswer(reply, "429", retry_after_s=120)
    if reply is Reply.BUSY:
        circuit.failed(answer, now=NOON)
    else:
        circuit.refused("z", answer, others=True, now=NOON)

    assert circuit.choose(heads("a", "b"), now=later - SECOND, under_way=0) == []
    assert len(circuit.choose(heads("a", "b"), now=later, under_way=0)) == 1
    take(circuit, "a", now=later)
    assert circuit.choose(heads("b", "c"), now=later, under_way=0) == ["b", "c"]


def test_a_pause_is_ended_by_no_success_that_began_before_it_and_shortened_by_no_later_answer() -> None:
    circuit, day = Circuit(), timedelta(days=1)
    circuit.failed(PartnerAnswer(Reply.BUSY, "503", retry_after_s=day.total_seconds()), now=NOON)
    take(circuit, "a", began=NOON - SECOND, now=NOON + SECOND)
    circuit.failed(PartnerAnswer(Reply.BUSY, "429", retry_after_s=1), now=NOON + SECOND)

    assert circuit.next_at == NOON + day
    assert circuit.choose(heads("b"), now=NOON + timedelta(hours=23), under_way=0) == []


def test_a_long_pause_is_told_to_a_person() -> None:
    circuit = Circuit()
    circuit.failed(PartnerAnswer(Reply.BUSY, "429", retry_after_s=5), now=NOON)
    circuit.failed(PartnerAnswer(Reply.BUSY, "503", retry_after_s=86400), now=NOON)

    assert [(news.event, news.facts["seconds"]) for news in circuit.news] == [("destination.slowed", 86400)]


# Properties: whatever partners do


@dataclass
class World:
    """A destination that refuses what it is told to, and the messages that wait for it."""

    refuses: Callable[[str, datetime], bool]
    waiting: list[str]
    now: datetime = NOON
    circuit: Circuit = field(default_factory=Circuit)
    not_before: dict[str, datetime] = field(default_factory=dict)
    parked: dict[str, datetime] = field(default_factory=dict)
    taken: dict[str, datetime] = field(default_factory=dict)
    tried_at: dict[str, datetime] = field(default_factory=dict)
    asked: int = 0

    def heads(self) -> list[Head]:
        return [Head(key, self._due(key)) for key in self.waiting]

    def _due(self, key: str) -> bool:
        opened = self.circuit.opened_at
        after = opened is not None and key in self.tried_at and self.tried_at[key] < opened
        return after or self.not_before.get(key, self.now) <= self.now

    def run(self, until: timedelta) -> None:
        end = self.now + until
        while self.waiting and self.now < end:
            chosen = self.circuit.choose(self.heads(), now=self.now, under_way=0)
            for key in chosen:
                self._try(key)
            self.now += timedelta(milliseconds=100) if chosen else self._until_something_is_due()

    def _until_something_is_due(self) -> timedelta:
        times = [self.not_before.get(key) for key in self.waiting] + [self.circuit.next_at, self.circuit.ask_at]
        return min((at - self.now for at in times if at is not None and at > self.now), default=SECOND)

    def _try(self, key: str) -> None:
        self.asked += 1
        self.tried_at[key] = self.now
        if not self.refuses(key, self.now):
            self.circuit.taken(key, effect=True, began=self.now, now=self.now)
            self.waiting.remove(key)
            self.taken[key] = self.now
            return
        verdict = self.circuit.refused(key, NO, others=self.circuit.others(key, self.heads()), now=self.now)
        if verdict.fault is Fault.MESSAGE:
            self.waiting.remove(key)
            self.parked[key] = self.now
        elif verdict.again_at is not None:
            self.not_before[key] = verdict.again_at


KEYS = [f"n-{n:04}" for n in range(1000)]


@settings(max_examples=25, deadline=None)
@given(poison=st.sets(st.integers(0, 199), min_size=1, max_size=2))
def test_poison_among_many_is_parked_and_all_others_are_on_time(poison: set[int]) -> None:
    bad = {KEYS[n] for n in poison}
    world = World(lambda key, _: key in bad, KEYS[:200])
    world.run(timedelta(hours=3))
    on_time = max(world.taken.values())
    world.waiting.append(KEYS[200])  # the last of all was bad, and nobody came after it who could show that
    world.run(timedelta(hours=3))

    assert set(world.taken) == set(KEYS[:201]) - bad
    assert set(world.parked) == bad
    assert on_time < NOON + timedelta(minutes=1)


@pytest.mark.parametrize("bad", [0.3, 0.5])
@pytest.mark.parametrize("seed", range(10))
def test_behind_a_server_of_several_that_is_wrong_all_are_taken_and_hardly_one_parked(seed: int, bad: float) -> None:
    """Hardly one: before the first that was refused is taken, nobody can know it."""
    chance = Random(seed)
    world = World(lambda *_: chance.random() < bad, KEYS[:200])
    world.run(timedelta(hours=12))

    assert len(world.parked) <= 1
    assert len(world.taken) + len(world.parked) == 200


MIXED = [
    *(pytest.param(set(Random(seed).sample(range(400), 200)), id=f"half-{seed}") for seed in range(5)),
    *(pytest.param(set(range(0, 400, share)), id=f"each-{share}") for share in (10, 3, 2)),
    pytest.param(set(range(200)), id="the-first"),
    pytest.param(set(range(200, 400)), id="the-last"),
]


@pytest.mark.parametrize("bad", MIXED)
def test_many_that_are_bad_hold_up_no_good_one_for_long(bad: set[int]) -> None:
    """Half of all, wherever they stand. They are parked soon, unless all that came last is bad: that holds it."""
    poison = {KEYS[n] for n in bad}
    world = World(lambda key, _: key in poison, KEYS[:400])
    world.run(timedelta(hours=3))
    on_time = max(world.taken.values())
    world.waiting.append(KEYS[400])
    world.run(timedelta(minutes=10))

    assert set(world.taken) == {*KEYS[:401]} - poison
    assert set(world.parked) == poison or (world.circuit.state is State.HELD and max(bad) == 399)
    assert on_time < NOON + timedelta(minutes=2)


def test_one_poison_among_a_thousand_costs_the_others_nothing() -> None:
    world = World(lambda key, _: key == KEYS[0], list(KEYS))
    world.run(timedelta(hours=3))

    assert (list(world.parked), len(world.taken)) == ([KEYS[0]], 999)
    assert max(world.taken.values()) < NOON + timedelta(seconds=30)


def test_an_hour_in_which_everything_is_refused_parks_nothing_and_all_are_taken_soon_after() -> None:
    hour = NOON + timedelta(hours=1)
    world = World(lambda _, now: now < hour, list(KEYS))
    world.run(timedelta(hours=3))

    assert (world.parked, len(world.taken)) == ({}, 1000)
    assert max(world.taken.values()) < hour + timedelta(minutes=16)
    assert world.asked < 1000 + 50


@settings(max_examples=25, deadline=None)
@given(
    outages=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 120)), min_size=1, max_size=4),
    late=st.integers(0, 50),
)
def test_outages_of_everything_park_nothing(outages: list[tuple[int, int]], late: int) -> None:
    """However they follow each other: what was taken between two outages is no evidence against one alone."""
    minutes = [(timedelta(minutes=a), timedelta(minutes=a + long)) for a, long in outages]
    world = World(lambda _, now: any(a <= now - NOON < b for a, b in minutes), KEYS[: 20 + late])
    world.run(timedelta(hours=9))

    assert (world.parked, len(world.taken)) == ({}, 20 + late)


def test_the_waits_grow_and_end() -> None:
    assert [retry.held_for(n) for n in (0, 3, 99)] == [
        timedelta(seconds=30),
        timedelta(minutes=15),
        timedelta(minutes=15),
    ]
    assert [retry.silent_for(n) for n in (0, 3, 99)] == [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=5),
    ]
