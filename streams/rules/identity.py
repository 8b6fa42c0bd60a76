"""
Which known person is this?

Exact matches only. A number that fails against name and date of birth, identifiers that point to two people, or two
subjects that turn out to be one: nobody guesses, a person looks (rule R24). A wrong match would send one child's
danger to another child's school.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.identifiers import PersonKey
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.reasons import Aside


@dataclass(frozen=True)
class Match:
    """
    A subject of an event, matched.

    Attributes:
        person_id: None: nobody of the register.
        token: What stands for them outside: the person id, or a token made from what the event says.
    """

    person_id: str | None
    token: str


@dataclass(frozen=True)
class Doubt:
    """Why nobody may act on this match. `detail` names fields, never values."""

    reason: Aside
    detail: str


def tokens(person: Person, agency: str, key: PersonKey) -> dict[str, str]:
    """Scheme -> token for every identifier of a person, strongest first."""
    found: dict[str, str] = {}
    if person.nhs_number:
        # An unborn child is known by its mother's number; it must never be taken for her.
        scheme = "unborn" if person.role is PersonRole.UNBORN_CHILD else "nhs"
        found[scheme] = key.token(scheme, person.nhs_number)
    if person.upn:
        found["upn"] = key.token("upn", person.upn)
    if person.local_id:
        scheme = f"local:{agency}"
        found[scheme] = key.token(scheme, person.local_id)
    return found


def confirm_tokens(family_name: str | None, born: date | None, key: PersonKey) -> dict[str, str]:
    """
    What a family name and a date of birth must give to confirm a number; each by itself, where it is given.

    Spelling is folded: capitals, accents however composed, hyphens, apostrophes and spaces make no other person.
    Source: PDS traces by number with name and date of birth.
    """
    found: dict[str, str] = {}
    folded = "".join(c for c in unicodedata.normalize("NFKD", family_name or "").casefold() if c.isalnum())
    if folded:
        found["family_name"] = key.token("family_name", folded)
    if born is not None:
        found["date_of_birth"] = key.token("date_of_birth", born.isoformat())
    return found


def match_all(event: Event, register: Lookups, key: PersonKey) -> Mapping[str, Match] | Doubt:
    """
    Match every subject of an event.

    Returns:
        `ref` -> match, or the first doubt.
    """
    found: dict[str, Match] = {}
    seen: set[tuple[str, str]] = set()
    for person in event.subjects:
        match = match_one(person, event, register, key)
        if isinstance(match, Doubt):
            return match
        own = set(tokens(person, event.publisher.agency, key).items())
        same = seen & own or (match.person_id and any(other.person_id == match.person_id for other in found.values()))
        if same and {scheme for scheme, _ in own} == {"unborn"}:
            # Twins go by one mother's number. Each gets a message of its own (R17), so each needs a token of its own.
            match = Match(match.person_id, key.token("unborn twin", f"{match.token}|{person.ref}"))
        elif same:
            # Nobody of the register, and still one identifier for two people: their messages would have one id.
            return Doubt(Aside.IDENTITY_AMBIGUOUS, "two `subjects` are one person; give each their own identifiers")
        seen |= own
        found[person.ref] = match
    return found


def match_one(person: Person, event: Event, register: Lookups, key: PersonKey) -> Match | Doubt:
    """Match one subject."""
    own = tokens(person, event.publisher.agency, key)
    ids = {pid for scheme, token in own.items() for pid in register.persons_with(scheme, token)}
    if not ids:
        strongest = next(iter(own.values()), None)
        return Match(None, strongest or key.token("event", f"{event.event_id}|{person.ref}"))
    if len(ids) > 1:
        return Doubt(
            Aside.IDENTITY_AMBIGUOUS, f"identifiers of a subject ({', '.join(own)}) point to {len(ids)} people"
        )
    known = register.person(next(iter(ids)))
    assert known is not None  # the look-up by token gives ids of persons that are there
    clash = sorted(s for s, token in own.items() if known.tokens.get(s, token) != token)
    if clash:
        return Doubt(Aside.IDENTITY_AMBIGUOUS, f"`{clash[0]}` of a subject differs from the one in the register")
    said = confirm_tokens(person.family_name, person.date_of_birth, key)
    wrong = sorted(name for name, token in said.items() if known.confirm.get(name, token) != token)
    if wrong:
        return Doubt(Aside.IDENTITY_MISMATCH, f"`{wrong[0]}` does not confirm the identifier of a subject")
    return Match(known.person_id, known.person_id)
