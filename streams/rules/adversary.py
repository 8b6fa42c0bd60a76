"""
Is this recipient on the side of somebody from whom a person of this event must be protected, or may it be?

Nothing goes to an organisation that the alleged perpetrator works for or governs, whatever was agreed. Most suspects
are named without a number, by a mistyped one or by an agency that is spelt wrongly; so whoever resembles somebody who
works for or governs a recipient holds that recipient's answer until a person has looked. The others go on.

    INSIDE         by identifier, or by an agency that the event itself names           refused
    BEFORE         so it was in an earlier event of the episode                         refused
    STANDING       where somebody recorded as a danger to one of them works or governs  refused
    ALIKE          same family name, no other first name, birth date same or near       held
    UNCLEAR        an agency that the register does not have, and resembles it          held
    PERHAPS_BEFORE as the two above, in an earlier event of the episode                 held
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum, auto
from typing import Final

from safebus.schemas.bus_records import Earlier
from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.identifiers import PersonKey
from safebus.streams.rules.identity import Matched, confirm_tokens, near_dates
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import KnownPerson, Partner

_RESEMBLES: Final = 0.8  # of two agency ids as a whole; a slip of a letter or two
_NAMES_TOO_MANY: Final = 3  # partners that share a word: in the name of a county, it means none of them


class Side(Enum):
    """Where a recipient stands."""

    INSIDE = auto()
    BEFORE = auto()
    STANDING = auto()
    ALIKE = auto()
    UNCLEAR = auto()
    PERHAPS_BEFORE = auto()


#: Nothing goes there.
KEEPS_OUT: Final = frozenset({Side.INSIDE, Side.BEFORE, Side.STANDING})
#: What this event alone makes a person look at.
LOOKED_AT: Final = frozenset({Side.ALIKE, Side.UNCLEAR})

Sides = Mapping[str, frozenset[Side]]


def sides(
    event: Event, matched: Matched, register: Lookups, *, key: PersonKey, on: date, earlier: Earlier | None = None
) -> Sides:
    """Recipient -> how it stands to whom the persons of this event must be protected from; the others stand to none."""
    found: dict[str, set[Side]] = {}
    for recipient, side in _all(event, matched, register, key, on, earlier or Earlier()):
        found.setdefault(recipient, set()).add(side)
    return {recipient: frozenset(those) for recipient, those in found.items()}


def unknown_suspect(event: Event, matched: Matched) -> bool:
    """Is there one of whom nobody has recorded anything? Refusing everyone would leave the child to him: it is said."""
    return any(
        p.role is PersonRole.ALLEGED_PERPETRATOR and not matched.may_be(p.ref) and not p.works_for
        for p in event.subjects
    )


def resembling(unknown: str, register: Lookups) -> Iterator[Partner]:
    """
    The partners that an agency id that does not exist may mean.

    A whole word of it stands in their id or name, and in few others'; or it is the same but for a slip.
    """
    partners = [*register.all_partners()]
    words = {word for word in _words(unknown) if len(word) > 2} - _COMMON
    named = {word: {p.partner for p in partners if word in _words(f"{p.partner} {p.name}")} for word in words}
    meant = {partner for who in named.values() if len(who) <= _NAMES_TOO_MANY for partner in who}
    for partner in partners:
        if partner.partner in meant or _is_a_slip(unknown, partner.partner):
            yield partner


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", text.casefold()))


#: In the names of too many to mean any of them, also where the register has few.
_COMMON: Final = frozenset(
    {"the", "and", "school", "primary", "college", "academy", "practice", "hospital", "council", "trust"}
)


def _is_a_slip(unknown: str, partner: str) -> bool:
    # Compared letter by letter only where a slip of a letter or two can be: there may be hundreds of partners.
    near = abs(len(unknown) - len(partner)) <= 2 and len(set(unknown) ^ set(partner)) <= 2
    return near and difflib.SequenceMatcher(None, unknown, partner).ratio() >= _RESEMBLES


def _all(
    event: Event, matched: Matched, register: Lookups, key: PersonKey, on: date, earlier: Earlier
) -> Iterator[tuple[str, Side]]:
    for person in event.subjects:
        if person.role is PersonRole.ALLEGED_PERPETRATOR:
            yield from _of(person, matched, register, key, on)
        else:
            yield from _in_danger(person, matched, register, on)
    yield from ((partner, Side.BEFORE) for partner in earlier.kept_out)
    yield from ((partner, Side.PERHAPS_BEFORE) for partner in earlier.perhaps_kept_out)


def _of(person: Person, matched: Matched, register: Lookups, key: PersonKey, on: date) -> Iterator[tuple[str, Side]]:
    """Where this suspect works or governs, or may."""
    for agency in person.works_for:
        if register.partner(agency) is not None:
            yield agency, Side.INSIDE
        else:
            yield from ((partner.partner, Side.UNCLEAR) for partner in resembling(agency, register))
    maybe = matched.may_be(person.ref)
    known = person.ref not in matched.doubts and bool(maybe)
    for person_id in maybe:
        yield from _affiliated(register, person_id, on, Side.INSIDE if known else Side.ALIKE)
    if not (known and all(_confirmed(person, register.person(person_id)) for person_id in maybe)):
        for like in _alike(person, register, key):
            yield from _affiliated(register, like.person_id, on, Side.ALIKE)


def _confirmed(person: Person, known: KnownPerson | None) -> bool:
    """Does a name stand behind the number? A mistyped number may be that of somebody of whom no name is known."""
    return bool(person.family_name) and known is not None and "family_name" in known.confirm


def _in_danger(person: Person, matched: Matched, register: Lookups, on: date) -> Iterator[tuple[str, Side]]:
    """Where those work or govern who are recorded as a danger to this person, or to whom this person may be."""
    for person_id in matched.may_be(person.ref):
        for danger in register.dangers(person_id):
            if danger.holds(on):
                yield from _affiliated(register, danger.person_id, on, Side.STANDING)


def _affiliated(register: Lookups, person_id: str, on: date, side: Side) -> Iterator[tuple[str, Side]]:
    for affiliation in register.affiliations(person_id):
        if affiliation.holds(on):
            yield affiliation.partner, side


def _alike(person: Person, register: Lookups, key: PersonKey) -> Iterator[KnownPerson]:
    """Whoever works for or governs somebody, and may be this person by name and birth date."""
    said = confirm_tokens(person.family_name, person.date_of_birth, key, given_name=person.given_name)
    if "family_name" not in said:
        return
    near = near_dates(person.date_of_birth, key)
    for known in register.affiliated_named(said["family_name"]):
        other_first = known.confirm.get("given_name", said.get("given_name")) != said.get(
            "given_name", known.confirm.get("given_name")
        )
        born, born_then = said.get("date_of_birth"), known.confirm.get("date_of_birth")
        far = born is not None and born_then is not None and born != born_then and not near & set(known.near)
        if not other_first and not far:
            yield known
