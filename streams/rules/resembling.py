"""
Whom may somebody be whom no number ties to the register?

An officer at a door seldom has a mother's NHS number, or has a wrong one. What must protect her (a restricted record,
somebody recorded as a danger to her) or keep somebody out must not hang on it. So subjects without a number that their
names confirm are looked for by names and dates among those who are so protected or so recorded; nothing is delivered
for it, and no interest comes of it.
"""

from __future__ import annotations

from dataclasses import replace

from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.keys import PersonKey
from safebus.schemas.names import named
from safebus.streams.rules import alike
from safebus.streams.rules.identity import Matched
from safebus.streams.rules.lookups import Lookups


def with_likenesses(matched: Matched, event: Event, register: Lookups, key: PersonKey) -> Matched:
    """The same matches, with whom those that are nobody's resemble, and the mothers of those not born yet."""
    found: dict[str, frozenset[str]] = {}
    mothers: dict[str, str] = {}
    for person in event.subjects:
        if person.role is PersonRole.UNBORN_CHILD:
            # It goes by her number.
            hers = register.persons_with("nhs", key.token("nhs", person.nhs_number)) if person.nhs_number else ()
            if len(hers) == 1:
                [mothers[person.ref]] = hers
            continue
        if _is_confirmed(person, matched, register):
            continue
        said = alike.described(person.family_name, person.given_name, person.date_of_birth, key)
        others = register.noted_alike(said.tokens())
        ids = frozenset(known.person_id for known in others if alike.may_be_one(said, alike.known(known)))
        ids -= matched.may_be(person.ref)
        if ids:
            found[person.ref] = ids
    return replace(matched, resembled=found, mothers=mothers) if found or mothers else matched


def _is_confirmed(person: Person, matched: Matched, register: Lookups) -> bool:
    """Is it a known person whose family name or birth date agree? The number alone may be another's."""
    match = matched.matches.get(person.ref)
    known = register.person(match.person_id) if match is not None and match.person_id is not None else None
    if known is None:
        return False
    named_so = bool(named(person.family_name)) and "family_name" in known.confirm
    return named_so or (person.date_of_birth is not None and "date_of_birth" in known.confirm)
