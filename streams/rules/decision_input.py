"""
What does one decision look at?

What is the same for every recipient and person of an event is looked up once, in `EventFacts`; the rest in
`DecisionInput`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from safebus.schemas import codes
from safebus.schemas.bus_records import Earlier
from safebus.schemas.codec import Received
from safebus.schemas.events import Confidentiality, Event, Person, PersonRole
from safebus.schemas.identifiers import PersonKey
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import adversary
from safebus.streams.rules.adversary import Sides
from safebus.streams.rules.identity import Matched
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.release import Restriction
from safebus.streams.rules.routing import Interest


@dataclass(frozen=True)
class EventFacts:
    """
    What holds for every answer about one event.

    Attributes:
        now: When it is decided; `today` is that day in the UK.
        law_day: The day whose law counts: when it happened, and never a day to come, whatever the publisher's clock
            says.
        earlier: What is on record of its episode.
        sides: How recipients stand to the alleged perpetrators, see `streams.rules.adversary`.
        restriction: Whose record in it is restricted.
        apart: Someone's earlier and present numbers must not be seen together (rule R25).
        not_codes: Fields that should hold codes and hold something else, which is prose.
        suspect_unknown: Nobody has recorded anything about an alleged perpetrator.
    """

    event: Event
    matched: Matched
    register: Lookups
    now: datetime
    today: date
    law_day: date
    earlier: Earlier
    sides: Sides
    restriction: Restriction
    apart: bool
    not_codes: frozenset[str]
    suspect_unknown: bool


@dataclass(frozen=True)
class DecisionInput:
    """One recipient and one person of an event."""

    facts: EventFacts
    interest: Interest


def facts_of(
    received: Received, matched: Matched, register: Lookups, *, now: datetime, key: PersonKey, earlier: Earlier
) -> EventFacts:
    """Look up what all answers about this event rest on."""
    event = received.event
    today = uk_day(now)
    whose = restriction(event, matched, register)
    return EventFacts(
        event=event,
        matched=matched,
        register=register,
        now=now,
        today=today,
        law_day=uk_day(min(event.occurred_at, now)),
        earlier=earlier,
        sides=adversary.sides(event, matched, register, key=key, on=today, earlier=earlier),
        restriction=whose,
        apart=whose is Restriction.HOUSEHOLD or _somebody_adopted(event, matched, register),
        not_codes=codes.not_codes(received.schema.coded, received.record),
        suspect_unknown=adversary.unknown_suspect(event, matched),
    )


def restriction(event: Event, matched: Matched, register: Lookups) -> Restriction:
    """
    Whose record in this event is restricted?

    One of the household is enough: its members share an address, so a sibling's would give away the restricted one's.
    A suspect's own record strips his own data, not the child's.
    """
    if event.handling.confidentiality is Confidentiality.R:
        return Restriction.HOUSEHOLD
    restricted = [person.role for person in event.subjects if _is_restricted(person, matched, register)]
    if any(role is not PersonRole.ALLEGED_PERPETRATOR for role in restricted):
        return Restriction.HOUSEHOLD
    return Restriction.SUSPECT if restricted else Restriction.NOBODY


def _somebody_adopted(event: Event, matched: Matched, register: Lookups) -> bool:
    ids = (person_id for person in event.subjects for person_id in matched.may_be(person.ref))
    return any((known := register.person(person_id)) is not None and known.adopted for person_id in ids)


def _is_restricted(person: Person, matched: Matched, register: Lookups) -> bool:
    if person.confidentiality in (Confidentiality.R, Confidentiality.V):
        return True
    known = (register.person(person_id) for person_id in matched.may_be(person.ref))
    return any(each is not None and each.restricted for each in known)
