"""
Which known person is this?

Exact matches only. A number that fails against name and date of birth, a first name that is another's, identifiers that
point to two people, or two subjects that turn out to be one: nobody guesses, a person looks (rule R24). A wrong match
would send one child's danger to another child's school. What is doubtful about one subject says nothing of the others:
they are decided about as if the doubtful one were not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from safebus.schemas import names
from safebus.schemas.events import Event, IdentityEvent, Person, PersonRole
from safebus.schemas.identifiers import for_trying_only
from safebus.schemas.keys import PersonKey
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import KnownPerson
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
    """
    Why nobody may act on this match.

    Attributes:
        fields: What is doubtful, by name; never a value.
        detail: The same in words.
        maybe: Ids of the persons of the register whom it may be.
    """

    reason: Aside
    fields: str
    detail: str
    maybe: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Matched:
    """
    Every subject of an event, by `ref`: in `matches`, or in `doubts`.

    Attributes:
        resembled: Ids of those of the register who must be protected or kept out, and whom a subject that no number
            ties to anybody may be, by names and dates. Nothing is delivered for it; protections hold.
        mothers: Ref of one who is not born yet -> the mother's id.
    """

    matches: Mapping[str, Match]
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    resembled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mothers: Mapping[str, str] = field(default_factory=dict)

    def may_be(self, ref: str) -> frozenset[str]:
        """Ids of all persons of the register whom this subject is, or may be."""
        if ref in self.doubts:
            return self.doubts[ref].maybe
        person_id = self.matches[ref].person_id
        return frozenset({person_id} if person_id else ())

    def protects_as(self, ref: str) -> frozenset[str]:
        """The same, and whom they resemble: what protects one of those protects them."""
        return self.may_be(ref) | self.resembled.get(ref, frozenset())


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


def confirm_tokens(
    family_name: str | None, born: date | None, key: PersonKey, *, given_name: str | None = None
) -> dict[str, str]:
    """
    What names and a date of birth must give to confirm a number; each by itself, where it is given.

    What is the same name is `schemas.names`' to say: two names agree there if and only if their tokens do here.
    """
    found: dict[str, str] = {}
    if family := names.family_name(family_name):
        found["family_name"] = key.token("family_name", family)
    for part, name in zip(_FIRST_NAMES, names.first_names(given_name), strict=False):
        found[part] = key.token("given_name", name)
    if born is not None and born not in names.NOBODYS_DAYS:
        found["date_of_birth"] = key.token("date_of_birth", born.isoformat())
    return found


AS_ONE_WORD: Final = "given_name_as_one_word"
#: The first word of a first name, and the first two as one: either is enough to be the same.
_FIRST_NAMES: Final = ("given_name", AS_ONE_WORD)


def contradicted(said: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Names of the parts of `confirm_tokens` that both sides give, and differently."""
    parts = (part for part in said.keys() & known.keys() if part not in _FIRST_NAMES and said[part] != known[part])
    first = ["given_name"] if same_first_name(said, known) is False else []
    return sorted([*parts, *first])


def same_first_name(said: Mapping[str, str], known: Mapping[str, str]) -> bool | None:
    """By their `confirm_tokens`; None: one of them gives none."""
    one, other = first_names(said), first_names(known)
    return not one.isdisjoint(other) if one and other else None


def first_names(confirm: Mapping[str, str]) -> frozenset[str]:
    """Those of `confirm_tokens` that stand for a first name."""
    return frozenset(confirm[part] for part in _FIRST_NAMES if part in confirm)


def near_dates(born: date | None, key: PersonKey) -> frozenset[str]:
    """Tokens of a date with one part left out: two dates that share one differ in day, month or year alone."""
    if born is None:
        return frozenset()
    year, month, day = born.isoformat().split("-")
    parts = (f"{year}-{month}-xx", f"{year}-xx-{day}", f"xxxx-{month}-{day}")
    return frozenset(key.likeness("date_of_birth", part) for part in parts)


def match_all(event: Event, register: Lookups, key: PersonKey) -> Matched:
    """Match every subject of an event."""
    found: dict[str, Match] = {}
    doubts: dict[str, Doubt] = {}
    seen: dict[tuple[str, str], str] = {}
    for person in event.subjects:
        by_number = tokens(person, event.publisher.agency, key)
        match = match_one(person, by_number, event, register, key)
        if isinstance(match, Doubt):
            doubts[person.ref] = match
            continue
        own = set(by_number.items())
        twins = _others_with(own, match, seen, found)
        if twins and {scheme for scheme, _ in own} == {"unborn"}:
            # Twins go by one mother's number. Each gets a message of its own (R17), so each needs a token of its own.
            match = Match(match.person_id, key.token("unborn twin", f"{match.token}|{person.ref}"))
        elif twins:
            # Nobody of the register, and still one identifier for two people: their messages would have one id.
            maybe = frozenset({match.person_id} if match.person_id else ())
            for ref in (*twins, person.ref):
                doubts[ref] = Doubt(
                    Aside.IDENTITY_AMBIGUOUS,
                    "subjects",
                    "two `subjects` are one person; give each their own identifiers",
                    maybe,
                )
        seen |= dict.fromkeys(own, person.ref)
        found[person.ref] = match
    return Matched({ref: match for ref, match in found.items() if ref not in doubts}, doubts)


def _others_with(
    own: set[tuple[str, str]], match: Match, seen: Mapping[tuple[str, str], str], found: Mapping[str, Match]
) -> list[str]:
    """Refs of earlier subjects that go by the same identifier, or are the same person of the register."""
    refs = {seen[token] for token in own if token in seen}
    if match.person_id:
        refs |= {ref for ref, other in found.items() if other.person_id == match.person_id}
    return sorted(refs)


def match_one(person: Person, own: Mapping[str, str], event: Event, register: Lookups, key: PersonKey) -> Match | Doubt:
    """
    Match one subject.

    Args:
        own: Its `tokens`.
    """
    asked = [*own.items(), *_superseded(event, person, key)]
    ids = frozenset(pid for scheme, token in asked for pid in register.persons_with(scheme, token))
    if register.real_people and person.nhs_number and for_trying_only(person.nhs_number):
        detail = "the NHS number of a subject is of a range for trying only and nobody's; give theirs"
        return Doubt(Aside.TEST_NUMBER, "nhs", detail, ids)
    if not ids:
        strongest = next(iter(own.values()), None)
        return Match(None, strongest or key.token("event", f"{event.event_id}|{person.ref}"))
    if len(ids) > 1:
        schemes = ", ".join(own)
        return Doubt(
            Aside.IDENTITY_AMBIGUOUS,
            schemes,
            f"identifiers of a subject ({schemes}) point to {len(ids)} people",
            ids,
        )
    known = register.person(next(iter(ids)))
    assert known is not None  # the look-up by token gives ids of persons that are there
    return _confirmed(person, own, dict(_superseded(event, person, key)), known, register, key)


def _confirmed(
    person: Person,
    own: Mapping[str, str],
    superseded: Mapping[str, str],
    known: KnownPerson,
    register: Lookups,
    key: PersonKey,
) -> Match | Doubt:
    """The known person, if nothing that is said of them speaks against it."""
    maybe = frozenset({known.person_id})
    clash = sorted(
        scheme
        for scheme, token in own.items()
        # A number that replaces the one in the register is no clash, nor one that the register knows as replaced.
        if known.tokens.get(scheme, token) not in (token, superseded.get(scheme)) and token not in known.superseded
    )
    if clash:
        detail = f"`{clash[0]}` of a subject differs from the one in the register"
        return Doubt(Aside.IDENTITY_AMBIGUOUS, clash[0], detail, maybe)
    if known.adopted and any(token in known.superseded for token in own.values()):
        # Whoever has the child under the new identity would learn the old one, or the other way round (rule R25).
        detail = "a subject goes by a number from before their adoption"
        return Doubt(Aside.IDENTITY_AMBIGUOUS, "nhs", detail, maybe)
    said = confirm_tokens(person.family_name, person.date_of_birth, key, given_name=person.given_name)
    if wrong := contradicted(said, known.confirm):
        detail = f"`{wrong[0]}` does not confirm the identifier of a subject"
        return Doubt(Aside.IDENTITY_MISMATCH, wrong[0], detail, maybe)
    others = register.persons_born_as(known.confirm) - maybe
    if others and len(own) == 1 and not _told_by_first_name(said, known, others, register):
        # Twins: nothing but one number tells them apart, and one slip in it tells one school of the other child.
        detail = "another person has this family name and date of birth, and nothing but one number tells them apart"
        return Doubt(Aside.IDENTITY_AMBIGUOUS, "family_name, date_of_birth", detail, maybe | others)
    return Match(known.person_id, known.person_id)


def _told_by_first_name(said: Mapping[str, str], known: KnownPerson, others: frozenset[str], register: Lookups) -> bool:
    """A first name that is given on both sides, and that none of the others has (Mary-Kate and Mary-Ann are Mary)."""
    if same_first_name(said, known.confirm) is None:
        return False
    twins = (register.person(each) for each in others)
    return not any(twin is not None and same_first_name(said, twin.confirm) for twin in twins)


def _superseded(event: Event, person: Person, key: PersonKey) -> Iterator[tuple[str, str]]:
    """(scheme, token) of a number that this event says was replaced; only the one it is about has it."""
    if isinstance(event, IdentityEvent) and event.payload.superseded_nhs_number and person in event.cared_for():
        yield "nhs", key.token("nhs", event.payload.superseded_nhs_number)
