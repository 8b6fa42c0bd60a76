"""What the world does not do is pointed at, by place; what it does is not."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event, IdentityEvent, PersonRole, PlanType
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules.plausible import CLOCKS_DIFFER_BY, implausible, implausible_person
from safebus.streams.rules.reasons import say

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def said(event: Event, now: datetime = NOW) -> list[tuple[str, str]]:
    of_persons = [reason for person in event.subjects for reason in implausible_person(event, person)]
    return sorted({(reason.code, reason.about) for reason in (*implausible(event, now), *of_persons)})


def with_ava(**changes: Any) -> Event:
    event = story.incident()
    ava, *others = event.subjects
    return unchecked(event, {"subjects": (ava.with_(**changes), *others)})


@pytest.mark.parametrize("event", [event for event, _ in story.first_chapter()], ids=lambda e: e.event_type)
def test_what_the_demonstration_tells_can_be(event: Event) -> None:
    assert said(event, now=event.published_at) == []


@pytest.mark.parametrize(("ahead", "pointed_at"), [(timedelta(0), False), (timedelta(milliseconds=1), True)])
def test_what_is_yet_to_happen_is_pointed_at_beyond_what_clocks_differ(ahead: timedelta, pointed_at: bool) -> None:
    event = story.incident().model_copy(update={"occurred_at": NOW + CLOCKS_DIFFER_BY + ahead})

    assert said(event) == ([("NOT_YET_HAPPENED", "occurred_at")] if pointed_at else [])


@pytest.mark.parametrize(
    ("at", "pointed_at"),
    [
        (datetime.fromtimestamp(NOW.timestamp() / 1000, UTC), True),  # seconds where milliseconds are asked for
        (datetime(1969, 12, 31, 23, 59, tzinfo=UTC), False),  # told of long after, as abuse is
        (datetime(1970, 2, 1, tzinfo=UTC), False),
    ],
)
def test_seconds_that_were_read_as_milliseconds_are_pointed_at(at: datetime, pointed_at: bool) -> None:
    found = said(story.incident().with_(occurred_at=at))

    assert (("NOT_PLAUSIBLE", "occurred_at") in found) is pointed_at


@pytest.mark.parametrize(
    ("born", "is_adult"),
    [
        (date(2008, 11, 19), True),  # the 18th birthday is the day of the incident
        (date(2008, 11, 20), False),
        (date(2008, 12, 1), False),
        (date(1980, 12, 31), True),
        (None, False),
    ],
)
def test_an_adult_under_a_duty_to_children_is_pointed_at(born: date | None, is_adult: bool) -> None:
    found = said(with_ava(date_of_birth=born))

    assert found == ([("NOT_A_CHILD", "subjects.0 (CHILD)")] if is_adult else [])


@pytest.mark.parametrize(
    ("role", "days", "pointed_at"),
    [
        (PersonRole.CHILD, 1, False),  # born tonight, and published by a clock that is an hour behind
        (PersonRole.CHILD, 2, True),
        (PersonRole.ALLEGED_PERPETRATOR, 2, True),
        (PersonRole.UNBORN_CHILD, 90, False),  # the day it is expected
    ],
)
def test_nobody_but_an_unborn_child_is_born_after_what_is_told(role: PersonRole, days: int, pointed_at: bool) -> None:
    born = uk_day(story.incident().published_at) + timedelta(days=days)

    found = said(with_ava(role=role, date_of_birth=born))

    assert (("NOT_PLAUSIBLE", f"subjects.0 ({role}), date_of_birth") in found) is pointed_at


def test_an_adult_victim_is_no_child_and_need_not_be_one() -> None:
    assert said(with_ava(role=PersonRole.ADULT_VICTIM, date_of_birth=date(1980, 1, 1))) == []


def test_the_18th_birthday_is_that_of_the_uk() -> None:
    """Half past midnight of 1 July in London is still 30 June in UTC."""
    event = with_ava(date_of_birth=date(2008, 7, 1))

    before = event.model_copy(update={"occurred_at": datetime(2026, 6, 30, 22, 30, tzinfo=UTC)})
    after = event.model_copy(update={"occurred_at": datetime(2026, 6, 30, 23, 30, tzinfo=UTC)})

    assert (said(before), said(after)) == ([], [("NOT_A_CHILD", "subjects.0 (CHILD)")])


def test_a_reason_says_where_and_not_what() -> None:
    event = with_ava(date_of_birth=date(1980, 1, 31))
    (reason,) = implausible_person(event, event.subjects[0])

    assert say(reason) == "subjects.0 (CHILD) was 18 or older when it happened, and this duty is about children"


def with_payload(event: Event, **changes: Any) -> Event:
    return unchecked(event, {"payload": unchecked(event.payload, changes)})  # type: ignore[attr-defined]


def died(at: datetime) -> Event:
    """Ava's record says that she died."""
    about = story.attendance().model_dump(exclude={"event_type", "payload"})
    payload = {
        "change": "DEATH",
        "source_event_type": "pds-death-notification-2",
        "source_event_id": "TEST-3",
        "source_system": "PDS",
        "died_at": at,
    }
    return IdentityEvent.model_validate(about | {"payload": payload})


PLAN, MOVE, ATTENDANCE = story.protection_plan(), story.moved_to_temporary_accommodation(1), story.attendance()


@pytest.mark.parametrize(
    ("event", "pointed_at"),
    [
        (with_payload(PLAN, end_date=date(2000, 1, 1)), "payload.end_date"),
        (with_payload(PLAN, start_date=date(2062, 1, 1)), "payload.start_date"),
        (with_payload(PLAN, plan_type=PlanType.UNBORN_CHILD_PROTECTION), "payload.plan_type"),
        (with_payload(MOVE, agreed_on=date(2026, 11, 21)), "payload.agreed_on"),
        (with_payload(MOVE, placed_on=date(2028, 1, 1)), "payload.placed_on"),
        (with_payload(ATTENDANCE, arrived_at=NOW + timedelta(hours=1), left_at=None), "payload.arrived_at"),
        (with_payload(ATTENDANCE, left_at=ATTENDANCE.payload.arrived_at - timedelta(hours=1)), "payload.left_at"),
        (died(NOW + timedelta(days=1)), "payload.died_at"),
        (died(datetime(2001, 1, 1, tzinfo=UTC)), "payload.died_at"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dates_that_contradict_each_other_or_the_calendar_are_pointed_at(event: Event, pointed_at: str) -> None:
    assert said(event) == [("NOT_PLAUSIBLE", pointed_at)]


def test_what_is_as_early_or_as_late_as_can_be_is_plausible() -> None:
    """A plan of one day, a stay of no time, and a clock that is as far ahead as clocks are."""
    assert said(with_payload(PLAN, end_date=PLAN.payload.start_date)) == []
    assert said(with_payload(ATTENDANCE, left_at=ATTENDANCE.payload.arrived_at)) == []
    assert said(died(NOW + CLOCKS_DIFFER_BY)) == []
    assert said(with_payload(ATTENDANCE, arrived_at=NOW + CLOCKS_DIFFER_BY, left_at=None)) == []


def test_what_is_planned_may_begin_soon_and_a_death_may_be_of_yesterday() -> None:
    assert said(with_payload(PLAN, start_date=date(2027, 1, 1), end_date=None)) == []
    assert said(died(NOW - timedelta(days=1))) == []


@pytest.mark.parametrize(("born", "is_child"), [(date(2008, 11, 20), True), (date(2008, 11, 19), False), (None, False)])
def test_a_grown_up_victim_who_is_a_child_is_pointed_at(born: date | None, is_child: bool) -> None:
    """16 or 17: her school and the hub would hear nothing, as of an adult."""
    event = story.incident()
    *others, maya, gary = event.subjects
    young = event.model_copy(update={"subjects": (*others, maya.model_copy(update={"date_of_birth": born}), gary)})

    assert said(young) == ([("NOT_AN_ADULT", "subjects.3 (ADULT_VICTIM)")] if is_child else [])
