"""
What does one decision look at?

What is the same for every recipient and person of an event is looked up once, in `EventFacts`; the rest in
`DecisionInput`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from safebus.schemas import codes, labels
from safebus.schemas.bus_records import Accused, Earlier, Reason
from safebus.schemas.codec import Received
from safebus.schemas.events import Address, Confidentiality, Event, OperationEncompass, Person, PersonRole, SafeAddress
from safebus.schemas.keys import PersonKey
from safebus.schemas.names import fold
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import adversary, safe_places
from safebus.streams.rules.adversary import Sides
from safebus.streams.rules.identity import Matched, confirm_tokens, same_first_name
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.plausible import implausible
from safebus.streams.rules.reasons import Code, why
from safebus.streams.rules.release import Hidden, Restriction
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
        holds: What a person must decide before it goes to anyone.
        accused: Whom it accuses itself.
        restriction: Whose record in it is restricted.
        hides: What must not be seen in it besides.
        visible: The event as plain values without the texts that show a safe address; `shown`: their paths.
        maybe_known: Refs of those whose number is nobody's, and whose names and birth date are a known person's.
        claims: Codes that the publisher claims and the catalogue does not have.
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
    holds: tuple[Reason, ...]
    accused: tuple[Accused, ...]
    restriction: Restriction
    hides: frozenset[Hidden]
    visible: Mapping[str, Any]
    shown: tuple[str, ...]
    maybe_known: frozenset[str]
    claims: tuple[str, ...]
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
    visible, shown = safe_places.cleared(received.record, received.schema)
    whose = restriction(event, matched, register)
    mine = adversary.accused_in(event, key)
    return EventFacts(
        event=event,
        matched=matched,
        register=register,
        now=now,
        today=today,
        law_day=uk_day(min(event.occurred_at, now)),
        earlier=earlier,
        sides=adversary.sides(event, matched, register, key=key, on=today, earlier=earlier, mine=mine),
        holds=tuple(_holds(event, now)),
        accused=tuple(mine.values()),
        restriction=whose,
        hides=frozenset(_hidden(event, whose, matched, register)),
        visible=visible,
        shown=shown,
        maybe_known=frozenset(_maybe_known(event, matched, register, key)),
        claims=tuple(
            f"claimed_basis.{name}" for name, code in event.claimed_basis if code and register.basis(code) is None
        ),
        not_codes=codes.not_codes(received.schema.coded, received.record),
        suspect_unknown=adversary.unknown_suspect(event, matched, register),
    )


def _maybe_known(event: Event, matched: Matched, register: Lookups, key: PersonKey) -> Iterator[str]:
    there = {match.person_id for match in matched.matches.values()}
    for person in event.cared_for():
        match = matched.matches.get(person.ref)
        if match is None or match.person_id is not None or person.role is PersonRole.UNBORN_CHILD:
            continue
        said = confirm_tokens(person.family_name, person.date_of_birth, key, given_name=person.given_name)
        others = map(register.person, register.persons_born_as(said) - there)
        if any(other is not None and same_first_name(said, other.confirm) for other in others):
            yield person.ref


def _holds(event: Event, now: datetime) -> Iterator[Reason]:
    handling = event.handling
    if handling.confidentiality is Confidentiality.V:
        yield why(Code.VERY_RESTRICTED, "handling")
    for label in labels.those(handling.refrain, labels.Effect.HOLDS):
        yield why(Code.NOT_AUTHORISED, label)
    for label in labels.those(handling.obligations, labels.Effect.HOLDS):
        yield why(Code.APPROVAL_ASKED, label)
    yield from implausible(event, now)


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


def _hidden(event: Event, whose: Restriction, matched: Matched, register: Lookups) -> Iterator[Hidden]:
    if whose is Restriction.HOUSEHOLD or _somebody_adopted(event, matched, register):
        yield Hidden.EARLIER_NUMBERS
    if any(_adopted(person_id, register) for doubt in matched.doubts.values() for person_id in doubt.maybe):
        yield Hidden.OTHERS
    yield from _where_a_safe_address_is_shown(event)


def _where_a_safe_address_is_shown(event: Event) -> Iterator[Hidden]:
    """Fields for ordinary addresses in which a safe one stands, too."""
    safe = {key for person in event.subjects for key in _keys(person.safe_address)}
    if safe & {key for person in event.subjects for key in _keys(person.home_address)}:
        yield Hidden.HOMES
    scene = fold(event.payload.incident_address) if isinstance(event, OperationEncompass) else ""
    if any(key in scene for key in safe):
        yield Hidden.SCENE


def _keys(address: Address | SafeAddress | None) -> Iterator[str]:
    """What an address is recognised by, however it is spelt: its postcode, and its first line."""
    if address is not None:
        found = (fold(text) for text in (address.postcode, *address.lines[:1]))
        yield from (key for key in found if len(key) > 4)


def _somebody_adopted(event: Event, matched: Matched, register: Lookups) -> bool:
    ids = (person_id for person in event.subjects for person_id in matched.protects_as(person.ref))
    return any(_adopted(person_id, register) for person_id in ids)


def _adopted(person_id: str, register: Lookups) -> bool:
    known = register.person(person_id)
    return known is not None and known.adopted


def _is_restricted(person: Person, matched: Matched, register: Lookups) -> bool:
    if person.confidentiality in (Confidentiality.R, Confidentiality.V):
        return True
    known = (register.person(person_id) for person_id in matched.protects_as(person.ref))
    return any(each is not None and each.restricted for each in known)
