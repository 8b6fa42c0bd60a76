"""
Can this event be as it says?

Avro and the event's class let in what a computer can hold; these are things that the world does not do. None of them
is a reason to leave a child without help, so nothing is refused for them: the answers are held and a person looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from safebus.schemas.bus_records import Reason
from safebus.schemas.events import (
    EdAttendance,
    Event,
    IdentityEvent,
    OperationEncompass,
    Person,
    PersonRole,
    PlanType,
    ProtectionPlan,
    TemporaryAccommodation,
)
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules.reasons import Code, why

#: How far a publisher's clock may be ahead of the bus.
CLOCKS_DIFFER_BY: Final = timedelta(minutes=5)
#: What is told of before it begins begins soon, days.
PLANNED_AHEAD: Final = 183
#: Where the seconds since 1970 of our days lie when an encoder wrote them for milliseconds.
_IN_SECONDS: Final = datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 2, 1, tzinfo=UTC)
#: From this birthday on nobody is a child. Source: Children Act 1989 s.105(1); N02: reception to 17.
OF_AGE: Final = 18


def implausible(event: Event, now: datetime) -> Iterator[Reason]:
    """
    What cannot be so of an event, whoever it is about, by field, never by value.

    Args:
        now: When the bus took it in.
    """
    if event.occurred_at > now + CLOCKS_DIFFER_BY:
        yield why(Code.NOT_YET_HAPPENED, "occurred_at")
    if _IN_SECONDS[0] <= event.occurred_at < _IN_SECONDS[1]:
        yield why(Code.NOT_PLAUSIBLE, "occurred_at")
    for path in _impossible(event, now):
        yield why(Code.NOT_PLAUSIBLE, path)


def implausible_person(event: Event, person: Person) -> Iterator[Reason]:
    """What cannot be so of this person, by place and role in the event."""
    born = person.date_of_birth
    # A day more: a newborn's birthday must not hold what a clock that is hours behind has published. Of an unborn child
    # it is the day that is expected.
    tomorrow = uk_day(event.published_at + timedelta(days=1))
    if born is not None and born > tomorrow and person.role is not PersonRole.UNBORN_CHILD:
        yield why(Code.NOT_PLAUSIBLE, f"{_place(event, person)}, date_of_birth")
    if no_adult(event, person):
        yield why(Code.NOT_AN_ADULT, _place(event, person))
    is_named_a_child = person.role is PersonRole.CHILD and isinstance(event, OperationEncompass | ProtectionPlan)
    if is_named_a_child and born is not None and _comes_of_age(born, by=uk_day(event.occurred_at)):
        yield why(Code.NOT_A_CHILD, _place(event, person))


def no_adult(event: Event, person: Person) -> bool:
    """Is a child named as a grown-up victim?"""
    born = person.date_of_birth
    grown_up = person.role is PersonRole.ADULT_VICTIM
    return grown_up and born is not None and not _comes_of_age(born, by=uk_day(event.occurred_at))


def _place(event: Event, person: Person) -> str:
    number = next(i for i, other in enumerate(event.subjects) if other.ref == person.ref)
    return f"subjects.{number} ({person.role})"


def _impossible(event: Event, now: datetime) -> Iterator[str]:
    """Fields of the payload that contradict each other or the calendar."""
    today, soon = uk_day(now), uk_day(now + timedelta(days=PLANNED_AHEAD))
    match event:
        case ProtectionPlan(payload=p):
            if p.start_date > soon:
                yield "payload.start_date"
            if p.end_date is not None and p.end_date < p.start_date:
                yield "payload.end_date"
            unborn = any(person.role is PersonRole.UNBORN_CHILD for person in event.cared_for())
            if unborn != (p.plan_type is PlanType.UNBORN_CHILD_PROTECTION):
                yield "payload.plan_type"
        case TemporaryAccommodation(payload=p):
            if p.agreed_on > today:
                yield "payload.agreed_on"
            if p.placed_on > soon:
                yield "payload.placed_on"
        case EdAttendance(payload=p):
            if p.arrived_at > now + CLOCKS_DIFFER_BY:
                yield "payload.arrived_at"
            if p.left_at is not None and p.left_at < p.arrived_at:
                yield "payload.left_at"
        case IdentityEvent(payload=p) if p.died_at is not None:
            births = [person.date_of_birth for person in event.cared_for() if person.date_of_birth is not None]
            if p.died_at > now + CLOCKS_DIFFER_BY or any(uk_day(p.died_at) < born for born in births):
                yield "payload.died_at"
        case _:
            pass


def _comes_of_age(born: date, *, by: date) -> bool:
    """Was the 18th birthday before or on this day? Who was born on 29 February has it on 1 March."""
    return by.year - born.year - ((by.month, by.day) < (born.month, born.day)) >= OF_AGE
