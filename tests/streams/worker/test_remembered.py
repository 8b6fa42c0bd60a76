"""What is kept in mind of decisions is small, and each agency can only crowd out its own."""

from datetime import UTC, datetime

import pytest

from safebus.schemas.bus_records import Accused, Episode, Origin
from safebus.streams.worker import remembered
from safebus.streams.worker.remembered import KnownDecision, Remembered

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def known(offset: int, left: Episode | None = None) -> KnownDecision:
    says = left is not None and (bool(left.accused) or left.retracted or not left.whole)
    return KnownDecision(
        origin=Origin(topic="in.ash", partition=1, offset=offset),
        input_digest=f"input-{offset}",
        register_offset=7,
        decided_at=NOON,
        record_digest=f"record-{offset}",
        episodes=None if left is None else left.tokens,
        accuses=says,
        adds_to=None if left is None else left.adds_to,
    )


def accusing(token: str, whom: str = "somebody") -> Episode:
    return Episode(tokens=(token,), accused=(Accused(named_in="event", works_for=(whom,)),))


def remember(memory: Remembered, source: str, offset: int, left: Episode | None, *, most: int = 100) -> None:
    memory.remember((source, f"event-{offset}"), known(offset, left), left, most=most)


@pytest.mark.parametrize(
    "left",
    [None, Episode(tokens=("t",)), accusing("t"), Episode(tokens=("t", "u"), retracted=True, adds_to="event-2")],
    ids=["an earlier release", "nobody", "somebody", "more"],
)
def test_what_stands_at_the_head_of_a_record_is_all_of_it(left: Episode | None) -> None:
    one = known(3, left)

    assert KnownDecision.from_header(one.header()[1]) == one


def test_the_head_of_an_earlier_release_says_nothing_of_what_it_adds_to() -> None:
    value = known(3, accusing("t")).header()[1].rpartition(b"|")[0]

    assert KnownDecision.from_header(value) == known(3, accusing("t"))


def test_who_leaves_most_loses_its_own_and_what_follows_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five kilobytes of an event left ninety; twelve megabytes put out what was remembered of all other agencies."""
    memory = Remembered()
    remember(memory, "beech", 0, accusing("quiet"))
    for offset in range(1, 5):
        remember(memory, "ash", offset, accusing(f"t{offset}"))
    monkeypatch.setattr(remembered, "MOST_BYTES", memory.left.bytes + 8)
    for offset in range(5, 8):
        remember(memory, "ash", offset, accusing(f"t{offset}"))

    assert memory.left.bytes <= remembered.MOST_BYTES
    assert memory.episode("beech", "quiet") == accusing("quiet")
    lost = [memory.episode("ash", f"t{offset}") for offset in (1, 2, 3)]
    assert lost == [Episode(tokens=(f"t{offset}",), whole=False) for offset in (1, 2, 3)]
    assert memory.episode("ash", "t7") == accusing("t7")
    assert len(memory.headers) == 8  # repeats of all of them are still known


def test_what_a_later_event_left_is_not_lost_with_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Remembered()
    for offset in range(4):
        remember(memory, "ash", offset, accusing("t", f"school-{offset}"))
    monkeypatch.setattr(remembered, "MOST_BYTES", memory.left.bytes + 8)
    remember(memory, "ash", 4, accusing("another"))

    assert memory.episode("ash", "t") == accusing("t", "school-3")


def test_of_an_episode_only_what_its_last_event_left_counts() -> None:
    """A retraction, and then the same told anew: nothing comes too late any more."""
    memory = Remembered()
    remember(memory, "ash", 1, Episode(tokens=("t",), retracted=True))
    remember(memory, "ash", 2, Episode(tokens=("t",)))

    assert memory.episode("ash", "t") == Episode(tokens=("t",))


def test_what_was_lost_stays_lost_until_the_next_says_what_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Remembered()
    monkeypatch.setattr(remembered, "MOST_BYTES", 0)
    remember(memory, "ash", 1, accusing("t"))
    assert memory.episode("ash", "t") == Episode(tokens=("t",), whole=False)

    monkeypatch.setattr(remembered, "MOST_BYTES", 10_000)
    remember(memory, "ash", 2, accusing("t", "another"))
    assert memory.episode("ash", "t") == accusing("t", "another")


def test_nothing_is_left_of_what_is_forgotten() -> None:
    memory = Remembered()
    for offset in range(20):
        left = Episode(tokens=(f"t{offset}",), accused=accusing("t").accused, adds_to=f"event-{offset - 1}")
        remember(memory, "ash", offset, left, most=5)
    kept = memory.left.bytes
    for offset in range(20, 40):
        remember(memory, "ash", offset, None, most=5)

    assert kept > 0
    assert (memory.left.bytes, memory.latest, memory.following, len(memory.headers)) == (0, {}, {}, 5)
