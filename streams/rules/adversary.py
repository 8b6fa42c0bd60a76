"""
Is this recipient on the alleged perpetrator's side, or may it be?

Nothing goes to an organisation that the alleged perpetrator works for or governs (domain notes 1.3 (i), absolute). Most
suspects are named without a number, by a mistyped one or by an agency that is spelt wrongly; so whoever resembles
somebody who works for or governs a recipient holds that recipient's answer until a person has looked. The others go on.

    INSIDE   by identifier, or by an agency that the event itself names     -> refused
    ALIKE    same family name, no other first name, birth date same or near -> held
    UNCLEAR  an agency that the register does not have, and resembles it    -> held
    NOBODY                                                                  -> nothing speaks against it
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum, auto

from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.identifiers import PersonKey
from safebus.streams.rules.identity import Matched, confirm_tokens, near_dates
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import KnownPerson

_RESEMBLES = 0.8  # of two agency ids as a whole; a slip of a letter or two


class Side(Enum):
    """Where a recipient stands; the first that applies."""

    INSIDE = auto()
    ALIKE = auto()
    UNCLEAR = auto()


def sides(event: Event, matched: Matched, register: Lookups, key: PersonKey, on: date) -> Mapping[str, frozenset[Side]]:
    """Recipient -> how it stands to the alleged perpetrators of this event; whoever is missing stands to none."""
    found: dict[str, set[Side]] = {}
    for person in event.subjects:
        if person.role is PersonRole.ALLEGED_PERPETRATOR:
            for recipient, side in _of(person, matched, register, key, on):
                found.setdefault(recipient, set()).add(side)
    return {recipient: frozenset(those) for recipient, those in found.items()}


def unknown_suspect(event: Event, matched: Matched) -> bool:
    """Is there one of whom nobody has recorded anything? Refusing everyone would leave the child to him: it is said."""
    return any(
        p.role is PersonRole.ALLEGED_PERPETRATOR and not matched.may_be(p.ref) and not p.works_for
        for p in event.subjects
    )


def resembles(unknown: str, partner: str, name: str) -> bool:
    """
    May an agency id that does not exist mean this partner?

    A whole word of it stands in the partner's id or name, or it is the same but for a slip.
    """
    words = {word for word in re.split(r"[^a-z0-9]+", unknown.casefold()) if len(word) > 2} - _COMMON
    if words & set(re.split(r"[^a-z0-9]+", f"{partner} {name}".casefold())):
        return True
    # Compared letter by letter only where a slip of a letter or two can be: there may be hundreds of partners.
    slip = abs(len(unknown) - len(partner)) <= 2 and len(set(unknown) ^ set(partner)) <= 2
    return slip and difflib.SequenceMatcher(None, unknown, partner).ratio() >= _RESEMBLES


#: In the names of too many to mean any of them.
_COMMON = frozenset(
    {"the", "and", "school", "primary", "college", "academy", "practice", "hospital", "council", "trust"}
)


def _of(person: Person, matched: Matched, register: Lookups, key: PersonKey, on: date) -> Iterator[tuple[str, Side]]:
    for agency in person.works_for:
        if register.partner(agency) is not None:
            yield agency, Side.INSIDE
        else:
            for partner in register.all_partners():
                if resembles(agency, partner.partner, partner.name):
                    yield partner.partner, Side.UNCLEAR
    sure = person.ref not in matched.doubts and matched.may_be(person.ref)
    for person_id in matched.may_be(person.ref):
        yield from _affiliated(register, person_id, on, Side.INSIDE if sure else Side.ALIKE)
    if not sure:
        for known in _alike(person, register, key):
            yield from _affiliated(register, known.person_id, on, Side.ALIKE)


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
