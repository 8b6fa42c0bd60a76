"""What happens to a message after each answer, as a partner's IT team would be told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.consumers.delivery.retry import (
    GIVE_UP_AFTER,
    JITTER,
    WAITS,
    Done,
    Hold,
    Park,
    Reply,
    Step,
    TryAgain,
    next_step,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRANSIENT = [Reply.BUSY, Reply.UNKNOWN]


def step(reply: Reply, *, attempt: int = 1, after: timedelta = timedelta(), jitter: float = 0, **more: float) -> Step:
    return next_step(reply, attempt=attempt, first_sent=NOON, now=NOON + after, jitter=jitter, **more)


def test_accepted_is_done() -> None:
    assert step(Reply.ACCEPTED, attempt=9, after=timedelta(days=9)) == Done()


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [
        (1, timedelta(seconds=5)),
        (2, timedelta(seconds=30)),
        (3, timedelta(minutes=5)),
        (4, timedelta(minutes=30)),
        (5, timedelta(hours=2)),
        (6, timedelta(hours=5)),
        (7, timedelta(hours=10)),
        (8, timedelta(hours=10)),
        (9, timedelta(hours=10)),
        (10**9, timedelta(hours=10)),
    ],
)
def test_a_busy_partner_is_asked_later_each_time(attempt: int, wait: timedelta) -> None:
    assert step(Reply.BUSY, attempt=attempt) == TryAgain(NOON + wait, "partner_busy")


def test_an_answer_that_never_came_is_asked_for_on_the_same_schedule() -> None:
    assert step(Reply.UNKNOWN) == TryAgain(NOON + timedelta(seconds=5), "answer_unknown")


def test_chance_moves_a_wait_by_a_fifth_at_most() -> None:
    assert step(Reply.BUSY, attempt=3, jitter=-1) == TryAgain(NOON + timedelta(minutes=4), "partner_busy")
    assert step(Reply.BUSY, attempt=3, jitter=1) == TryAgain(NOON + timedelta(minutes=6), "partner_busy")


@pytest.mark.parametrize("reply", TRANSIENT)
def test_72_hours_without_an_answer_park_it(reply: Reply) -> None:
    assert step(reply, after=GIVE_UP_AFTER) == Park("no_answer_for_72_hours")


def test_the_last_attempt_is_made_when_the_72_hours_end() -> None:
    """Otherwise a person would be told up to 12 hours late."""
    assert step(Reply.BUSY, attempt=11, after=timedelta(hours=65)) == TryAgain(NOON + GIVE_UP_AFTER, "partner_busy")


def test_a_refused_message_is_parked_at_once() -> None:
    """Asking again cannot help."""
    assert step(Reply.REFUSED) == Park("refused_by_partner")


@pytest.mark.parametrize(
    ("reply", "reason"), [(Reply.NOT_LET_IN, "not_let_in"), (Reply.GONE, "destination_gone")], ids=str
)
@pytest.mark.parametrize("after", [timedelta(), timedelta(days=30)], ids=["at once", "after a month"])
def test_a_destination_at_fault_is_held_and_its_message_never_parked(
    reply: Reply, reason: str, after: timedelta
) -> None:
    assert step(reply, attempt=500, after=after) == Hold(NOON + after + timedelta(minutes=15), reason)


def test_a_partner_that_names_a_time_is_not_asked_before() -> None:
    assert step(Reply.BUSY, retry_after_s=3600) == TryAgain(NOON + timedelta(hours=1), "partner_busy")
    assert step(Reply.NOT_LET_IN, retry_after_s=3600) == Hold(NOON + timedelta(hours=1), "not_let_in")


def test_a_partner_that_names_a_time_after_the_72_hours_is_asked_once_more() -> None:
    late = timedelta(hours=71)

    assert step(Reply.BUSY, attempt=11, after=late, retry_after_s=7200) == TryAgain(
        NOON + timedelta(hours=73), "partner_busy"
    )


def test_a_partner_that_names_next_year_is_asked_after_a_day() -> None:
    assert step(Reply.BUSY, retry_after_s=1e300) == TryAgain(NOON + timedelta(hours=24), "partner_busy")


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (1, 1.01), (1, -1.01), (1, float("nan"))])
def test_an_attempt_or_chance_outside_its_range_is_a_bug(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="attempt counts from 1"):
        step(Reply.BUSY, attempt=attempt, jitter=jitter)


# Properties: whatever the numbers are.
asked = st.none() | st.floats(min_value=-1e12, max_value=1e12) | st.just(float("inf"))
chance = st.floats(min_value=-1, max_value=1)
since = st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=400))


@given(reply=st.sampled_from(Reply), attempt=st.integers(1, 10**6), after=since, retry_after_s=asked, jitter=chance)
def test_time_moves_forward_and_no_partner_is_asked_too_early(
    reply: Reply, attempt: int, after: timedelta, retry_after_s: float | None, jitter: float
) -> None:
    now = NOON + after
    found = next_step(reply, attempt=attempt, first_sent=NOON, now=now, retry_after_s=retry_after_s, jitter=jitter)

    if isinstance(found, TryAgain | Hold):
        assert found.at > now
        assert found.at >= now + timedelta(seconds=min(max(retry_after_s or 0, 0), 24 * 3600))
        assert found.at <= now + timedelta(hours=24)


@given(reply=st.sampled_from(TRANSIENT), attempt=st.integers(1, 10**6), after=since, retry_after_s=asked, jitter=chance)
def test_a_transient_trouble_is_parked_after_72_hours_and_never_before(
    reply: Reply, attempt: int, after: timedelta, retry_after_s: float | None, jitter: float
) -> None:
    found = next_step(
        reply, attempt=attempt, first_sent=NOON, now=NOON + after, retry_after_s=retry_after_s, jitter=jitter
    )

    assert isinstance(found, Park) == (after >= GIVE_UP_AFTER)


@given(jitters=st.lists(chance, min_size=30, max_size=30))
def test_a_partner_that_is_down_for_days_is_asked_14_to_17_times(jitters: list[float]) -> None:
    """Each attempt at the time the one before gave, until a person is told; nothing is asked for ever."""
    now, attempts = NOON, 0
    for jitter in jitters:
        attempts += 1
        found = next_step(Reply.BUSY, attempt=attempts, first_sent=NOON, now=now, jitter=jitter)
        if isinstance(found, Park):
            break
        assert isinstance(found, TryAgain)
        now = found.at

    assert now == NOON + GIVE_UP_AFTER
    assert 13 <= attempts <= 17


def test_the_first_hour_has_five_attempts() -> None:
    """A short trouble costs minutes; the schedule is that of the sources."""
    assert sum(WAITS[:4], timedelta()) * (1 + JITTER) < timedelta(hours=1)
