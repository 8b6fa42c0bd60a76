"""
Can this event be as it says?

Avro and the event's class let in what a computer can hold; these are things that the world does not do. None of them
is a reason to leave a child without help, so nothing is refused for them: the answers are held and a person looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from safebus.schemas.bus_records import Reason
from safebus.schemas.events import Event, OperationEncompass, Person, PersonRole
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules.reasons import Code, why

#: How far a publisher's clock may be ahead of the bus.
CLOCKS_DIFFER_BY: Final = timedelta(minutes=5)
#: From this birthday on nobody is a child. Source: Children Act 1989 s.105(1); N02: reception to 17.
OF_AGE: Final = 18


def implausible(event: Event, person: Person, now: datetime) -> Iterator[Reason]:
    """
    What cannot be so of an event about this person, by place and role in the event, never by value.

    Args:
        now: When the bus took it in.
    """
    if event.occurred_at > now + CLOCKS_DIFFER_BY:
        yield why(Code.NOT_YET_HAPPENED, "occurred_at")
    born = person.date_of_birth
    is_named_a_child = isinstance(event, OperationEncompass) and person.role is PersonRole.CHILD
    if is_named_a_child and born is not None and _comes_of_age(born, by=uk_day(event.occurred_at)):
        number = next(i for i, other in enumerate(event.subjects) if other.ref == person.ref)
        yield why(Code.NOT_A_CHILD, f"subjects.{number} ({person.role})")


def _comes_of_age(born: date, *, by: date) -> bool:
    """Was the 18th birthday before or on this day? Who was born on 29 February has it on 1 March."""
    return by.year - born.year - ((by.month, by.day) < (born.month, born.day)) >= OF_AGE
