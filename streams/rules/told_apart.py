"""
Can whoever gets this tell which person is meant?

A notice about "Ava" finds no child at a school of six hundred, and nobody hears that it found none. So what one partner
gets about one person is looked at as it leaves. Any of these tells the person apart:

    a number       by which this partner finds people
    a first name   and two of: family name, date of birth, home
    a parent       told apart by one of the above, and the child's first name, or that it is not born yet

Without a first name twins are one. What is blurred does not count, nor what stands where nobody knew (`unknown`, 1900,
`ZZ99 3VZ`). Nothing is held back for it: an alert that is lost costs more than one that somebody must ask about.

Sources: PDS traces by number with name and date of birth; Operation Encompass tells name and date of birth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from safebus.schemas.bus_records import Answer, Reason
from safebus.schemas.codes import fold as fold_code
from safebus.schemas.events import ABOUT, Event, Lifecycle, Person, PersonRole
from safebus.schemas.names import NOBODYS_NAMES, fold, named
from safebus.streams.rules.agreements import Group
from safebus.streams.rules.alike import PLACEHOLDERS
from safebus.streams.rules.matrix import KINDS, RecipientKind
from safebus.streams.rules.parties import Number, Partner
from safebus.streams.rules.reasons import Code, why
from safebus.streams.rules.worklist import place_of

#: What a kind of recipient finds people by, unless its own line in the register says otherwise. Others have neither.
#: Sources: CP-IS (councils and the NHS go by NHS number), Health and Social Care Act 2012 s.251A (and adult care); the
#: UPN is the Department for Education's, in schools' records and in children's services' returns.
_USUAL: Final[Mapping[RecipientKind, frozenset[Number]]] = {
    RecipientKind.MASH: frozenset(Number),
    RecipientKind.SCHOOL: frozenset({Number.UPN}),
    RecipientKind.COMMUNITY_HEALTH: frozenset({Number.NHS_NUMBER}),
    RecipientKind.EMERGENCY_DEPARTMENT: frozenset({Number.NHS_NUMBER}),
    RecipientKind.ADULT_CARE: frozenset({Number.NHS_NUMBER}),
}

_PARENTS: Final = frozenset(
    {f"{kind}{who}" for kind in ("", "birth ", "adoptive ") for who in ("mother", "father", "parent")}
    | {"guardian", "special guardian"}
)
#: The letters that postcodes begin with, BFPO's `BF` among them; AA1 1AA and XX1 1XX are what forms are filled in with.
#: Source: Office for National Statistics, postcode areas; Royal Mail, PAF.
_AREAS: Final = (
    "AB|AL|B|BA|BB|BD|BF|BH|BL|BN|BR|BS|BT|CA|CB|CF|CH|CM|CO|CR|CT|CV|CW|DA|DD|DE|DG|DH|DL|DN|DT|DY|E|EC|EH|EN|EX|FK|FY"
    "|G|GL|GU|GY|HA|HD|HG|HP|HR|HS|HU|HX|IG|IM|IP|IV|JE|KA|KT|KW|KY|L|LA|LD|LE|LL|LN|LS|LU|M|ME|MK|ML|N|NE|NG|NN|NP|NR"
    "|NW|OL|OX|PA|PE|PH|PL|PO|PR|RG|RH|RM|S|SA|SE|SG|SK|SL|SM|SN|SO|SP|SR|SS|ST|SW|SY|TA|TD|TF|TN|TQ|TR|TS|TW|UB|W|WA"
    "|WC|WD|WF|WN|WR|WS|WV|YO|ZE"
)
_POSTCODE: Final = re.compile(rf"(?:{_AREAS})[0-9][A-Z0-9]?[0-9][A-Z]{{2}}", re.ASCII)
_UPRN: Final = re.compile(r"(?!0+$)[0-9]{1,12}")
_SHORTEST_NUMBER: Final = 10  # a blurred one is a letter


def numbers_of(partner: Partner) -> frozenset[Number]:
    """The numbers by which a partner finds people: as its line says, or as all do that its sector may be."""
    if partner.numbers is not None:
        return frozenset(partner.numbers)
    kinds = [_USUAL.get(kind, frozenset()) for kind in KINDS.get(partner.sector, ())]
    return frozenset.intersection(*kinds) if kinds else frozenset()


def told_apart_by(view: Mapping[str, Any], numbers: frozenset[Number]) -> tuple[str, ...]:
    """
    What in a view tells its recipient which person is meant. It rests on the view alone, so it gives nothing else away.

    Args:
        view: As plain values, see `streams.rules.views`.
        numbers: Those by which the recipient finds people.

    Returns:
        View paths that do so together; nothing: it cannot be told.
    """
    subject = view.get(Group.SUBJECT, {})
    own = _by_itself(subject, numbers)
    if own:
        return tuple(f"subject.{name}" for name in own)
    child = "given_name" if _has_first_name(subject) else "role" if _is_unborn(subject) else None
    for path, found in _parents(view, numbers) if child else ():
        return (f"subject.{child}", *(f"{path}.{name}" for name in found))
    return ()


def unclear_to_all(event: Event) -> tuple[str, ...]:
    """
    Those of an event of whom no partner could tell who is meant, whatever was agreed, as `subjects.0 (CHILD)`.

    A local id is the publisher's own, so nobody else finds anyone by it. What retracts tells of nobody.
    """
    if event.lifecycle is Lifecycle.RETRACT:
        return ()
    return tuple(
        place_of(event, person)
        for person in event.subjects
        if person.role in ABOUT and not told_apart_by(_all_of(event, person), frozenset(Number))
    )


def unclear(answer: Answer) -> Reason | None:
    """Why somebody must ask, though it was sent; None: what goes to this recipient says who is meant."""
    return why(Code.WHO_IS_UNCLEAR, answer.recipient) if answer.unclear else None


def _all_of(event: Event, person: Person) -> dict[str, Any]:
    """A view that leaves out nothing of what tells persons apart."""
    others = [_values(other) for other in event.subjects if other.ref != person.ref]
    return {Group.SUBJECT: _values(person), Group.ADULTS: others}


def _values(person: Person) -> dict[str, Any]:
    home = person.home_address
    return dict(person) | {"home_address": dict(home) if home is not None else None}


def _parents(view: Mapping[str, Any], numbers: frozenset[Number]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(where they stand, what tells them apart) of each parent who is told apart."""
    for group in (Group.ADULTS, Group.ALLEGED_PERPETRATORS):
        for person in view.get(group, ()):
            found = _by_itself(person, numbers) if _is_parent(person) else ()
            if found:
                yield f"{group}[]", found


def _by_itself(person: Mapping[str, Any], numbers: frozenset[Number]) -> tuple[str, ...]:
    """Names of the fields that tell a person apart without another's."""
    for number in Number:
        if number in numbers and len(person.get(number) or "") >= _SHORTEST_NUMBER:
            return (number.value,)
    if not _has_first_name(person):
        return ()
    there = {
        "family_name": _is_whole(fold(named(person.get("family_name")))),
        "date_of_birth": _is_a_day(person.get("date_of_birth")),
        "home_address": _is_a_home(person.get("home_address") or {}),
    }
    found = [name for name, is_there in there.items() if is_there]
    return ("given_name", *found[:2]) if len(found) >= 2 else ()


def _has_first_name(person: Mapping[str, Any]) -> bool:
    words = map(fold, (named(person.get("given_name")) or "").split())
    return any(_is_whole(word) and word not in NOBODYS_NAMES and not word.isdecimal() for word in words)


def _is_whole(name: str) -> bool:
    """Is it more than an initial? In a script without capitals one sign may be a name."""
    return len(name) > 1 or (name != "" and name.lower() == name.upper())


def _is_a_day(born: Any) -> bool:
    return isinstance(born, date) and born not in PLACEHOLDERS


def _is_a_home(address: Mapping[str, Any]) -> bool:
    """A postcode, a UPRN, or a line with a number. The NHS writes `ZZ99 ...` for those without a fixed address."""
    postcode = "".join((address.get("postcode") or "").split()).upper()
    lines = address.get("lines") or ()
    numbered = any(any(map(str.isdigit, line)) and any(map(str.isalpha, line)) for line in lines)
    return bool(_POSTCODE.fullmatch(postcode)) or bool(_UPRN.fullmatch(address.get("uprn") or "")) or numbered


def _is_unborn(person: Mapping[str, Any]) -> bool:
    return person.get("role") == PersonRole.UNBORN_CHILD


def _is_parent(person: Mapping[str, Any]) -> bool:
    return person.get("role") == PersonRole.PARENT_CARER or fold_code(person.get("relationship") or "") in _PARENTS
