"""A day begins at midnight in the UK, in summer an hour before it does in UTC."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.errors import BadInput
from safebus.schemas.uk_day import at_home, uk_day

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2027-06-30T22:59:59Z", date(2027, 6, 30)),
        ("2027-06-30T23:00:00Z", date(2027, 7, 1)),
        ("2026-12-31T23:59:59Z", date(2026, 12, 31)),
        ("2027-01-01T00:00:00Z", date(2027, 1, 1)),
        ("2027-07-01T04:30:00+05:00", date(2027, 7, 1)),
        ("2027-03-28T00:30:00Z", date(2027, 3, 28)),
        ("2027-10-30T23:30:00Z", date(2027, 10, 31)),
    ],
    ids=["summer-before", "summer-from", "winter-before", "winter-from", "said-elsewhere", "clocks-on", "clocks-back"],
)
def test_the_day_is_that_of_the_uk(at: str, day: date) -> None:
    assert uk_day(datetime.fromisoformat(at)) == day


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_time_have_a_day(at: str) -> None:
    """A publisher's clock may say anything, and the rules must still answer."""
    assert uk_day(datetime.fromisoformat(at)) == date.fromisoformat(at[:10])


@given(st.integers(0, 60 * 365 * 24 * 60), st.integers(-12, 14))
def test_it_is_the_same_moment_however_it_is_written(minutes: int, offset: int) -> None:
    moment = datetime(1975, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)

    assert uk_day(moment.astimezone(timezone(timedelta(hours=offset)))) == uk_day(moment)
    assert uk_day(moment) in {moment.date(), (moment + timedelta(hours=1)).date()}


@pytest.mark.parametrize("room", ["streams", "consumers", "producers"])
def test_nobody_takes_the_day_of_a_moment_in_another_way(room: str) -> None:
    """`uk_day` is the only way, so that no rule is an hour out for half the year."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\.date\(\)|date\.today\(|\.toordinal\(", line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-06-01T09:30", "2026-06-01T08:30:00+00:00"),
        ("2026-11-22T09:30", "2026-11-22T09:30:00+00:00"),
        ("2026-06-01", "2026-05-31T23:00:00+00:00"),
        ("2026-03-29T00:59:59", "2026-03-29T00:59:59+00:00"),
        ("2026-03-29T02:00", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T00:59:59", "2026-10-24T23:59:59+00:00"),
        ("2026-10-25T02:00", "2026-10-25T02:00:00+00:00"),
        ("0001-01-01T00:00", "0001-01-01T00:01:15+00:00"),
        ("9999-12-31T23:59", "9999-12-31T23:59:00+00:00"),
    ],
)
def test_a_time_that_somebody_types_is_that_of_the_clock_on_the_wall(typed: str, meant: str) -> None:
    assert at_home(datetime.fromisoformat(typed)) == datetime.fromisoformat(meant)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2026-03-29T01:30", "is left out when clocks go forward in London; write it with `+00:00` or `+01:00`"),
        ("2026-10-25T01:30", "is twice when clocks go back in London; write it with `+01:00` (before) or"),
    ],
)
def test_a_time_that_no_clock_shows_once_is_refused(typed: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        at_home(datetime.fromisoformat(typed))
