"""
Whoever changes what stands on the topics is named by `safebus audit report`; where nobody did, nothing is.

`make soak` does two thousand by chance, and five hundred spans of untouched copies.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from random import Random

import pytest
from a_history import History, lived_through
from a_manipulator import Manipulation, Manipulator, Must
from a_recording import Recording, played, recorded

from safebus.consumers.audit.report import Report, as_json
from safebus.deploy.cli import audit
from safebus.deploy.service import settings
from safebus.schemas.errors import BadRegister

#: When the report is made: what is owed by then would have been told.
A_WHILE = timedelta(minutes=20)
#: What is said of a span in which nothing happened.
NOTHING_THERE = ("nothing was published", "there is no decision")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return lived_through(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def manipulator(history: History) -> Manipulator:
    return Manipulator(history.recording)


def report(history: History, recording: Recording) -> Report:
    """What an auditor is told of the whole day, on a copy."""
    with played(recording) as connection:
        found = settings.load({"SAFEBUS_HOME": str(history.home), "SAFEBUS_BROKER": connection.bootstrap})
        return audit.made(found, history.began, history.ended, history.ended + A_WHILE)


def what_is_said(history: History, recording: Recording) -> tuple[list[str], str]:
    """What speaks against it, and all that is found, as text."""
    try:
        made = report(history, recording)
    except BadRegister as exc:  # a register with a hole tells nobody anything, so every reader stops there
        return [str(exc)], str(exc).replace("register offset ", "register/0/")
    said = as_json(made)
    lists = [said[name] for name in ("unrecorded", "untold", "strange")]
    found = [said["reconcile"]["findings"], said["verify"]["differences"], *lists]
    return made.doubts(), json.dumps([*found, made.doubts()])


def missed(history: History, every: Iterable[Manipulation]) -> tuple[Counter[Must], list[str]]:
    """How many there were, and those that had to be named and were not."""
    count: Counter[Must] = Counter()
    left = []
    for done in every:
        count[done.must] += 1
        if done.must is Must.NAMED:
            doubts, found = what_is_said(history, done.recording)
            if not doubts or not any(name in found for name in done.names):
                left.append(f"{done}: {doubts}")
    return count, left


def spans(history: History, number: int, chance: Random) -> list[list[str]]:
    """What speaks against an untouched copy, in spans by chance."""
    with played(history.recording) as connection:
        found = settings.load({"SAFEBUS_HOME": str(history.home), "SAFEBUS_BROKER": connection.bootstrap})
        doubts = []
        for _ in range(number):
            start, end = sorted(history.began + (history.ended - history.began) * chance.random() for _ in range(2))
            said = audit.made(found, start, end, history.ended + A_WHILE).doubts()
            doubts.append([each for each in said if not any(words in each for words in NOTHING_THERE)])
        return doubts


def test_a_copy_is_what_it_is_a_copy_of(history: History) -> None:
    """Without this, all that follows would show nothing."""
    with played(history.recording) as connection:
        again = asyncio.run(recorded(connection, groups=history.recording.groups))

    assert again == history.recording
    assert len({partition.topic.partition(".")[0] for partition in again.records}) == 8


def test_nothing_speaks_against_an_untouched_copy(history: History) -> None:
    whole = report(history, history.recording)

    assert whole.doubts() == []
    assert whole.verified.identical == whole.verified.decisions > 15
    assert spans(history, 10, Random(1)) == [[]] * 10


def test_each_kind_on_each_topic_is_named(history: History, manipulator: Manipulator) -> None:
    count, left = missed(history, manipulator.each(Random(1)))

    assert left == []
    assert count[Must.NAMED] > 35


@pytest.mark.soak
@pytest.mark.parametrize("hundred", range(20))
def test_two_thousand_by_chance_are_named(history: History, manipulator: Manipulator, hundred: int) -> None:
    """In parts, so that `-n 4 --dist load` does them side by side."""
    some = range(100 * hundred, 100 * hundred + 100)
    count, left = missed(history, (manipulator.once(Random(seed)) for seed in some))
    print(f"\n{count.total()} manipulations: {dict(count)}; not named: {len(left)}")

    assert left == []


@pytest.mark.soak
@pytest.mark.parametrize("fifty", range(10))
def test_nothing_speaks_against_five_hundred_spans_of_untouched_copies(history: History, fifty: int) -> None:
    doubts = spans(history, 50, Random(1000 + fifty))
    print(f"\n{len(doubts)} spans, findings in {sum(map(bool, doubts))}")

    assert doubts == [[]] * 50
