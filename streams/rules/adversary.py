"""
Is this recipient on the side of somebody from whom a person of this event must be protected, or may it be?

Nothing goes to an organisation that the alleged perpetrator works for or governs, whatever was agreed. Most suspects
are named without a number, by a mistyped one or by an agency that is spelt wrongly; so whoever resembles somebody who
works for or governs a recipient holds that recipient's answer until a person has looked. The others go on.

    INSIDE         by identifier, or by an agency that the event itself names           refused
    BEFORE         the same of whom an earlier event of the episode named               refused
    STANDING       where somebody recorded as a danger to one of them works or governs  refused
    ALIKE          somebody who may be one of those, by names and dates (`rules.alike`) held
    UNCLEAR        an agency that the register does not have, and resembles it          held
    PERHAPS_BEFORE as the two above, of an earlier event of the episode                 held
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from safebus.schemas.bus_records import Accused, Earlier
from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.keys import PersonKey
from safebus.streams.rules import alike
from safebus.streams.rules.consent_voice import may_be_parent
from safebus.streams.rules.identity import Matched, tokens
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


Sides = Mapping[str, frozenset[Side]]


def sides(
    event: Event,
    matched: Matched,
    register: Lookups,
    *,
    key: PersonKey,
    on: date,
    earlier: Earlier | None = None,
    mine: Mapping[str, Accused] | None = None,
) -> Sides:
    """
    Recipient -> how it stands to whom the persons of this event must be protected from; the others stand to none.

    Args:
        mine: `accused_in` of the event, where that is at hand.
    """
    mine = accused_in(event, key) if mine is None else mine
    found: dict[str, set[Side]] = {}
    for recipient, side in _all(event, matched, register, key, on, earlier or Earlier(), mine):
        found.setdefault(recipient, set()).add(side)
    return {recipient: frozenset(those) for recipient, those in found.items()}


def unknown_suspect(event: Event, matched: Matched, register: Lookups) -> bool:
    """Is there one of whom nobody has recorded anything? Refusing everyone would leave the child to him: it is said."""
    return any(
        p.role is PersonRole.ALLEGED_PERPETRATOR
        and not matched.may_be(p.ref)
        and not any(map(register.partner, p.works_for))
        for p in event.subjects
    )


def resembling(unknown: str, register: Lookups) -> Iterator[Partner]:
    """
    The partners that an agency id that does not exist may mean.

    A whole word of it stands in their id or name, and in few others'; or it is the same but for a slip.
    """
    partners = [*register.all_partners()]
    words = frozenset(word for word in _words(unknown) if len(word) > 2) - _COMMON
    letters = frozenset(unknown)
    shared = {partner.partner: words & _words(f"{partner.partner} {partner.name}") for partner in partners}
    in_names_of = Counter(word for those in shared.values() for word in those)
    for partner in partners:
        told_apart = any(in_names_of[word] <= _NAMES_TOO_MANY for word in shared[partner.partner])
        if told_apart or _is_a_slip(unknown, letters, partner.partner):
            yield partner


@lru_cache(maxsize=4096)  # the names of all partners are asked for again and again
def _words(text: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", text.casefold()))


#: In the names of too many to mean any of them, also where the register has few.
_COMMON: Final = frozenset(
    {"the", "and", "school", "primary", "college", "academy", "practice", "hospital", "council", "trust"}
)


def _is_a_slip(unknown: str, letters: frozenset[str], partner: str) -> bool:
    # Compared letter by letter only where a slip of a letter or two can be: there may be hundreds of partners.
    near = abs(len(unknown) - len(partner)) <= 2 and len(letters.symmetric_difference(partner)) <= 2
    return near and difflib.SequenceMatcher(None, unknown, partner).ratio() >= _RESEMBLES


def _all(
    event: Event,
    matched: Matched,
    register: Lookups,
    key: PersonKey,
    on: date,
    earlier: Earlier,
    mine: Mapping[str, Accused],
) -> Iterator[tuple[str, Side]]:
    for person in event.subjects:
        maybe = matched.may_be(person.ref)
        if person.role is PersonRole.ALLEGED_PERPETRATOR:
            known = person.ref not in matched.doubts and bool(maybe)
            yield from _where(mine[person.ref], maybe, known, register, on, Side.INSIDE)
            continue
        # Whoever is a danger to the mother of one who is not born yet is one to the child.
        hers = frozenset({matched.mothers[person.ref]} if person.ref in matched.mothers else ())
        like = matched.resembled.get(person.ref, frozenset()) | (frozenset() if maybe else hers)
        for ids, sure in ((maybe | hers if maybe else maybe, True), (like, False)):
            if any(danger.holds(on) for person_id in ids for danger in register.endangers(person_id)):
                # A parent who is on record as a danger counts like a suspect.
                yield from _where(accused(person, event, key), ids, sure, register, on, Side.STANDING)
            for person_id in ids:
                for danger in register.dangers(person_id):
                    if danger.holds(on):
                        side = Side.STANDING if sure else Side.ALIKE
                        yield from _affiliated(register, danger.person_id, on, side)
    for one in earlier.accused:
        ids = frozenset(pid for each in one.ids for pid in register.persons_with(*each.split(" ")))
        known = (
            not one.corrected
            and len(ids) == 1
            and all(alike.agrees(one, register.person(person_id)) for person_id in ids)
        )
        yield from _where(one, ids, known, register, on, Side.BEFORE)


def accused_in(event: Event, key: PersonKey) -> Mapping[str, Accused]:
    """Ref -> whoever the event accuses, as tokens."""
    suspects = [person for person in event.subjects if person.role is PersonRole.ALLEGED_PERPETRATOR]
    return {person.ref: accused(person, event, key) for person in suspects}


def accused(person: Person, event: Event, key: PersonKey) -> Accused:
    """Somebody of an event as tokens, to be looked for now and by those of its episode that follow."""
    said = alike.described(person.family_name, person.given_name, person.date_of_birth, key)
    return Accused(
        named_in=event.event_id,
        ids=tuple(f"{scheme} {token}" for scheme, token in tokens(person, event.publisher.agency, key).items()),
        confirm=tuple(f"{name} {token}" for name, token in said.stated.items()),
        family=tuple(sorted(said.family)),
        given=tuple(sorted(said.given)),
        born=tuple(sorted(said.born)),
        works_for=person.works_for,
        may_be_parent=may_be_parent(person.relationship),
    )


#: What it is called when it is not sure.
_PERHAPS: Final = {Side.INSIDE: Side.ALIKE, Side.STANDING: Side.ALIKE, Side.BEFORE: Side.PERHAPS_BEFORE}


def _where(
    one: Accused, maybe: frozenset[str], known: bool, register: Lookups, on: date, side: Side
) -> Iterator[tuple[str, Side]]:
    """
    Where this person works or governs, or may.

    Args:
        maybe: Ids of the persons of the register whom they are, or may be; `known`: it is sure.
    """
    perhaps = _PERHAPS[side]
    for agency in one.works_for:
        if register.partner(agency) is not None:
            yield agency, perhaps if one.corrected else side
        else:
            unclear = Side.UNCLEAR if side is Side.INSIDE else perhaps
            yield from ((partner.partner, unclear) for partner in resembling(agency, register))
    for person_id in maybe:
        yield from _affiliated(register, person_id, on, side if known else perhaps)
    if not (known and all(_named(one, register.person(person_id)) for person_id in maybe)):
        said = alike.read(one)
        for other in register.affiliated_alike(said.tokens()):
            if alike.may_be_one(said, alike.known(other), keeps_out=True):
                yield from _affiliated(register, other.person_id, on, perhaps)


def _named(one: Accused, known: KnownPerson | None) -> bool:
    """Does a name stand behind the number? A mistyped number may be that of somebody of whom no name is known."""
    said = dict(each.split(" ") for each in one.confirm)
    return "family_name" in said and known is not None and "family_name" in known.confirm


def _affiliated(register: Lookups, person_id: str, on: date, side: Side) -> Iterator[tuple[str, Side]]:
    for affiliation in register.affiliations(person_id):
        if affiliation.holds(on):
            yield affiliation.partner, side
