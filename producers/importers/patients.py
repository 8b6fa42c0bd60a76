"""
Who is this Patient, and is it the one the message was routed for?

A NEMS message names its person twice: in the routing demographics of its header and in the Patient. They do not
always agree. What is done then:

    NHS numbers differ                              -> IDENTITY_CONFLICT: the message is about nobody in particular
    number fails its check digit                    -> BAD_IDENTIFIER; the other number is never taken instead
    number stated, and stated as not verified       -> UNVERIFIED_IDENTITY
    number agrees, name or birth date differs       -> the number stands, and what differs is left out
    number agrees, nothing else given twice does    -> IDENTITY_CONFLICT: a mistyped number may well be someone's

A name or a birth date that differs is left out rather than chosen. The bus confirms both against its own register:
given neither, it relies on the number, which agrees; given the wrong one, it would doubt the right person, or tell
someone a wrong age. What is left out is said in `Imported.left_out`. What differs is for `schemas.names` to say:
spelling does not, nor does what one side leaves out. A name that the Patient had before still says that it is them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.called import GivenName, called
from safebus.producers.importers.fhir_times import Days
from safebus.producers.importers.homes import home_of
from safebus.producers.importers.identity_events import nhs_number
from safebus.producers.importers.orders import check_born
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.stated import Stated, Told, of_patient
from safebus.producers.importers.stu3 import addresses, values
from safebus.schemas.errors import BadIdentifier, Refused
from safebus.schemas.events import Address, Person, PersonRole
from safebus.schemas.identifiers import nhs_number as checked_number
from safebus.schemas.names import Name, agree
from safebus.schemas.uk_day import uk_day

_ODS_ORGANIZATION = re.compile(r".*/Organization/([A-Z0-9]{3,10})", re.DOTALL)


def person(
    patient: Element,
    routing: Stated | None,
    *,
    ref: str,
    role: PersonRole,
    told: Told,
    relationship: str | None = None,
) -> tuple[Person, tuple[str, ...]]:
    """
    The person a Patient describes, as far as the message agrees with itself.

    Args:
        routing: The header's routing demographics, if they are about this person.

    Returns:
        The person, and what was left out with the reason.

    Raises:
        Refused: See the table above; also BAD_TIME, CONTRADICTION and AMBIGUOUS.
    """
    own = of_patient(patient, told=told)
    stated = [own, *([routing] if routing else [])]
    number = _number(stated, ref)
    _confirmed(stated)
    name, left_out = _name(stated, ref, told)
    births = births_in(stated)
    check_born(births, by=told.changed_at, who=ref, what="the change of the record")
    check_born(births, by=told.at, who=ref, what="the message")
    born = _one_birth(births)
    if births and (born is None or born.day is None):
        why = "the message gives more than one" if born is None else "it gives no certain day"
        left_out.append(f"date of birth of `{ref}`: {why}")
    home, doubt = home_of(addresses(patient), as_of=told.at)
    if doubt:
        left_out.append(f"home address of `{ref}`: {doubt}")
    found = Person(
        ref=ref,
        role=role,
        given_name=name.given or None,
        family_name=name.family or None,
        date_of_birth=born.day if born else None,
        relationship=relationship,
        nhs_number=number,
        home_address=Address(lines=home.lines, postcode=home.postcode) if home else None,
        registered_gp=_registered_gp(patient),
    )
    return found, tuple(left_out)


def births_in(stated: Iterable[Stated]) -> tuple[Days, ...]:
    """Every date of birth that is given, in one part or another."""
    return tuple(born for one in stated for born in one.births)


def _one_birth(births: tuple[Days, ...]) -> Days | None:
    """What all of them may mean; None: there is none, or they contradict each other."""
    found: Days | None = births[0] if births else None
    return reduce(lambda one, other: one & other if one is not None else None, births[1:], found)


def _name(stated: list[Stated], ref: str, told: Told) -> tuple[Name, list[str]]:
    """What to call them, and what of names was left out."""
    own, routing = stated[0], stated[1].names if len(stated) > 1 else ()
    taken, doubt = called(own.names or routing, on=uk_day(told.at))
    if taken and own.names and routing and not _agree_somewhere(own.names, routing):
        taken, doubt = None, "the message gives more than one"
    return taken or Name(None, None), [f"name of `{ref}`: {doubt}"] if doubt else []


def _agree_somewhere(mine: Iterable[GivenName], theirs: Iterable[GivenName]) -> bool:
    """Nothing is known to differ, or one of theirs is one of mine."""
    found = [agree(one.name, other.name) for one in mine for other in theirs]
    return True in found or False not in found


def _number(stated: list[Stated], ref: str) -> str | None:
    """The Patient's own. One that only the routing demographics give is not taken: nothing ties it to this Patient."""
    every = {number for one in stated for number in one.numbers}
    if len(every) > 1:
        wrong = [one.where for one in stated if not all(_passes(number) for number in one.numbers)]
        also = f"; the one in `{'` and `'.join(wrong)}` also fails its check digit" if wrong else ""
        raise Refused(
            ImportReason.IDENTITY_CONFLICT,
            f"found {len(every)} different NHS numbers in {' and '.join(f'`{one.where}`' for one in stated)}, "
            f"expected one person, and chose none{also}",
        )
    return nhs_number(every.pop(), f"`Patient.identifier` of `{ref}`") if stated[0].numbers else None


def _confirmed(stated: list[Stated]) -> None:
    """Where something differs, something besides the number must agree."""
    if len(stated) < 2:
        return
    patient, routing = stated
    named = [agree(one.name, other.name) for one in patient.names for other in routing.names]
    verdicts = [True in named] if not {True, False}.isdisjoint(named) else []
    mine, theirs = _one_birth(patient.births), _one_birth(routing.births)
    if patient.births and routing.births:
        exact = all(each is not None and each.is_exact() for each in (mine, theirs))
        agree_on_it = mine is not None and theirs is not None and (mine & theirs) is not None
        # That the year agrees says little; that it differs says much.
        verdicts += [agree_on_it] if exact or not agree_on_it else []
    if verdicts and not any(verdicts):
        raise Refused(
            ImportReason.IDENTITY_CONFLICT,
            "the NHS number agrees, but no name or birth date that both the routing demographics and the Patient give",
        )


def _registered_gp(patient: Element) -> str | None:
    """The practice's ODS code, where the reference ends in one. A reference to a resource inside is not followed."""
    references = values(patient, "generalPractitioner/reference")
    found = {match[1] for text in references if (match := _ODS_ORGANIZATION.fullmatch(text))}
    return found.pop() if len(found) == 1 else None


def _passes(number: str) -> bool:
    try:
        checked_number(number)
    except BadIdentifier:
        return False
    return True
