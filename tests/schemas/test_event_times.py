"""What cannot have come one after the other is refused, by the names of the fields."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_events import TYPES, a_plain_event

from safebus.schemas.errors import BadInput
from safebus.schemas.event_times import out_of_order
from safebus.schemas.events import EVENT_CLASSES, from_json

MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_more_than_a_day_the_wrong_way_round_is_out_of_order(later: datetime, before: timedelta) -> None:
    earlier = later - before

    assert bool(out_of_order([("a", earlier, "b", later)])) == (before < timedelta(days=-1))
    days = (earlier.date() - later.date()).days
    assert bool(out_of_order([("a", earlier.date(), "b", later)])) == (days > 1)


def test_what_is_not_said_is_in_any_order() -> None:
    assert out_of_order([("a", None, "b", date(2026, 1, 1)), ("a", date(2026, 1, 1), "b", None)]) == ""


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"occurred_at": "2027-01-05T21:00:00Z"}, "`occurred_at` lies after `recorded_at`; check both in"),
        ({"published_at": "2025-01-05T21:00:00Z"}, "`recorded_at` lies after `published_at`; check both in"),
    ],
)
def test_an_event_is_told_after_it_was_recorded_and_recorded_after_it_was(
    event_type: str, changed: dict[str, Any], said: str
) -> None:
    refused(a_plain_event(event_type, **changed), said)


@pytest.mark.parametrize("event_type", TYPES)
def test_a_child_is_not_born_after_the_event_is_told(event_type: str) -> None:
    event = a_plain_event(event_type)
    event["subjects"][0]["date_of_birth"] = "2062-03-02"

    refused(event, "`subjects.0.date_of_birth` lies after `published_at`")


def test_a_child_who_is_not_born_yet_has_the_date_that_is_expected() -> None:
    event = a_plain_event("care.protection-plan.v1")
    event["subjects"][0] |= {"role": "UNBORN_CHILD", "date_of_birth": "2026-05-01"}

    assert EVENT_CLASSES["care.protection-plan.v1"].model_validate(event).subjects[0].date_of_birth == date(2026, 5, 1)


@pytest.mark.parametrize(
    ("event_type", "payload", "first", "then"),
    [
        ("care.protection-plan.v1", {"end_date": "2025-12-01"}, "payload.start_date", "payload.end_date"),
        (
            "care.protection-plan.v1",
            {"delete_date": "2025-12-01"},
            "payload.start_date",
            "payload.delete_date",
        ),
        (
            "health.ed-attendance.v1",
            {"left_at": "2025-01-05T22:00:00Z"},
            "payload.arrived_at",
            "payload.left_at",
        ),
        ("health.ed-attendance.v1", {"left_at": "2027-01-05T22:00:00Z"}, "payload.left_at", "published_at"),
        (
            "health.ed-attendance.v1",
            {"arrived_at": "2027-01-05T22:00:00Z"},
            "payload.arrived_at",
            "published_at",
        ),
        ("identity.change.v1", {"died_at": "2062-01-05T22:00:00Z"}, "payload.died_at", "published_at"),
        (
            "identity.change.v1",
            {"died_at": "2014-01-05T22:00:00Z"},
            "subjects.0.date_of_birth",
            "payload.died_at",
        ),
    ],
)
def test_what_a_payload_tells_is_in_its_order(event_type: str, payload: dict[str, Any], first: str, then: str) -> None:
    event = a_plain_event(event_type)
    event["payload"] |= payload
    event["subjects"][0]["date_of_birth"] = "2015-03-02"

    refused(event, f"`{first}` lies after `{then}`")


def refused(event: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        from_json(json.dumps(event))
    assert said in str(caught.value)
