"""When a partner is asked again, as its IT team would be told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.consumers.delivery.retry import GIVE_UP_AFTER, JITTER, WAITS, asked_for, next_try

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def again(
    *, attempt: int = 1, after: timedelta = timedelta(), jitter: float = 0, retry_after_s: float | None = None
) -> datetime | None:
    return next_try(attempt=attempt, first_sent=NOON, now=NOON + after, retry_after_s=retry_after_s, jitter=jitter)


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
def test_a_partner_is_asked_later_each_time(attempt: int, wait: timedelta) -> None:
    age = sum(WAITS[: attempt - 1], timedelta())
    assert again(attempt=attempt, after=age) == NOON + age + wait


@pytest.mark.parametrize(
    ("attempt", "age", "wait"),
    [
        (4, timedelta(seconds=3), timedelta(seconds=5)),
        (5, timedelta(seconds=40), timedelta(minutes=5)),
        (9, timedelta(minutes=4), timedelta(minutes=5)),
        (9, timedelta(minutes=20), timedelta(minutes=30)),
        (9, timedelta(minutes=36), timedelta(hours=2)),
        (9, timedelta(hours=-20), timedelta(seconds=5)),
    ],
)
def test_three_restarts_in_a_minute_put_nothing_off_for_hours(attempt: int, age: timedelta, wait: timedelta) -> None:
    """Each process that starts asks at once; how long one waits goes by its age, too."""
    assert again(attempt=attempt, after=age) == NOON + age + wait


def test_attempts_that_each_last_half_a_minute_use_up_one_wait_each() -> None:
    """Otherwise a partner that answers slowly would be asked less often while its trouble is new."""
    assert again(attempt=1, after=timedelta(seconds=30)) == NOON + timedelta(seconds=35)
    assert again(attempt=2, after=timedelta(seconds=65)) == NOON + timedelta(seconds=95)


def test_chance_moves_a_wait_by_a_fifth_at_most() -> None:
    age = timedelta(seconds=35)
    assert again(attempt=3, after=age, jitter=-1) == NOON + age + timedelta(minutes=4)
    assert again(attempt=3, after=age, jitter=1) == NOON + age + timedelta(minutes=6)


def test_after_72_hours_it_is_not_asked_again() -> None:
    assert again(after=GIVE_UP_AFTER) is None


def test_the_last_attempt_is_made_when_the_72_hours_end() -> None:
    """Otherwise a person would be told up to 12 hours late."""
    assert again(attempt=11, after=timedelta(hours=65)) == NOON + GIVE_UP_AFTER


def test_a_partner_that_names_a_time_is_not_asked_before() -> None:
    assert again(retry_after_s=3600) == NOON + timedelta(hours=1)
    assert asked_for(3600) == timedelta(hours=1)


def test_a_partner_that_names_a_time_after_the_72_hours_is_asked_once_more() -> None:
    assert again(attempt=11, after=timedelta(hours=71), retry_after_s=7200) == NOON + timedelta(hours=73)


def test_a_partner_that_names_next_year_is_asked_after_a_day() -> None:
    assert again(retry_after_s=1e300) == NOON + timedelta(hours=24)
    assert asked_for(1e300) == timedelta(hours=24)


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (1, 1.01), (1, -1.01), (1, float("nan"))])
def test_an_attempt_or_chance_outside_its_range_is_a_bug(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="attempt counts from 1"):
        again(attempt=attempt, jitter=jitter)


# Properties: whatever the numbers are.
asked = st.none() | st.floats(min_value=-1e12, max_value=1e12) | st.just(float("inf"))
chance = st.floats(min_value=-1, max_value=1)
since = st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=400))


@given(attempt=st.integers(1, 10**6), after=since, retry_after_s=asked, jitter=chance)
def test_time_moves_forward_and_no_partner_is_asked_too_early(
    attempt: int, after: timedelta, retry_after_s: float | None, jitter: float
) -> None:
    now = NOON + after
    at = again(attempt=attempt, after=after, retry_after_s=retry_after_s, jitter=jitter)

    assert asked_for(retry_after_s) == timedelta(seconds=min(max(retry_after_s or 0, 0), 24 * 3600))
    if at is not None:
        assert now < at <= now + timedelta(hours=24)
        assert at >= now + asked_for(retry_after_s)
    assert (at is None) == (after >= GIVE_UP_AFTER)


@given(jitters=st.lists(chance, min_size=30, max_size=30))
def test_a_partner_that_is_down_for_days_is_asked_14_to_17_times(jitters: list[float]) -> None:
    """Each attempt at the time the one before gave, until a person is told; nothing is asked for ever."""
    now, attempts = NOON, 0
    for jitter in jitters:
        attempts += 1
        found = again(attempt=attempts, after=now - NOON, jitter=jitter)
        if found is None:
            break
        now = found

    assert now == NOON + GIVE_UP_AFTER
    assert 13 <= attempts <= 17


def test_the_first_hour_has_five_attempts() -> None:
    """A short trouble costs minutes; the schedule is that of the sources."""
    assert sum(WAITS[:4], timedelta()) * (1 + JITTER) < timedelta(hours=1)
