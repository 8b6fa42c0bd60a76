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
someone a wrong age. What is left out is said in `Imported.left_out`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.fhir_times import CLOCKS_DIFFER_BY, day
from safebus.producers.importers.homes import home_of
from safebus.producers.importers.identity_events import NHS_NUMBER_SYSTEM, nhs_number
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.stu3 import all_at, extensions, value, values
from safebus.schemas.errors import BadIdentifier, Refused
from safebus.schemas.events import Address, Person, PersonRole
from safebus.schemas.identifiers import nhs_number as checked_number
from safebus.schemas.uk_day import uk_day

_VERIFICATION = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-NHSNumberVerificationStatus-1"
_VERIFIED = "01"  # Source: CareConnect-NHSNumberVerificationStatus-1, "Number present and verified"
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
_ODS_ORGANIZATION = re.compile(r".*/Organization/([A-Z0-9]{3,10})", re.DOTALL)


@dataclass(frozen=True)
class Stated:
    """
    What one part of a message says of a person.

    Attributes:
        where: That part, as a refusal names it.
        names: Given names and family name. More than one: it contradicts itself.
        births: Likewise.
    """

    where: str
    numbers: frozenset[str]
    names: frozenset[tuple[str, str]]
    births: frozenset[date]


def of_routing(demographics: Element) -> Stated:
    """What the header's routing demographics say."""
    return Stated(
        where="MessageHeader.routingDemographics",
        numbers=_compact(
            text for part in extensions(demographics, "nhsNumber") for text in values(part, "valueIdentifier/value")
        ),
        names=_names(node for part in extensions(demographics, "name") for node in all_at(part, "valueHumanName")),
        births=_days(
            (text for part in extensions(demographics, "birthDateTime") for text in values(part, "valueDateTime")),
            "MessageHeader.routingDemographics.birthDateTime",
        ),
    )


def of_patient(patient: Element) -> Stated:
    """
    What the Patient says.

    Raises:
        Refused: UNVERIFIED_IDENTITY or BAD_TIME.
    """
    identifiers = [node for node in all_at(patient, "identifier") if value(node, "system") == NHS_NUMBER_SYSTEM]
    for node in identifiers:
        for status in extensions(node, _VERIFICATION):
            if values(status, "valueCodeableConcept/coding/code") != [_VERIFIED]:
                raise Refused(
                    ImportReason.UNVERIFIED_IDENTITY,
                    f"the verification status of an NHS number in `Patient.identifier` is not `{_VERIFIED}` (verified)",
                )
    names = all_at(patient, "name")
    official = [node for node in names if value(node, "use") == "official"]
    times = [
        text
        for node in all_at(patient, "birthDate")
        for part in extensions(node, _BIRTH_TIME)
        for text in values(part, "valueDateTime")
    ]
    return Stated(
        where="Patient",
        numbers=_compact(text for node in identifiers for text in values(node, "value")),
        names=_names(official or [node for node in names if value(node, "use") is None]),
        births=_days([*values(patient, "birthDate"), *times], "Patient.birthDate"),
    )


def person(
    patient: Element,
    routing: Stated | None,
    *,
    ref: str,
    role: PersonRole,
    as_of: datetime,
    received_at: datetime,
    relationship: str | None = None,
) -> tuple[Person, tuple[str, ...]]:
    """
    The person a Patient describes, as far as the message agrees with itself.

    Args:
        routing: The header's routing demographics, if they are about this person.
        as_of: When the feed said it: the home is the one of that moment.

    Returns:
        The person, and what was left out with the reason.

    Raises:
        Refused: See the table above; also BAD_TIME and AMBIGUOUS.
    """
    own = of_patient(patient)
    stated = [own, *([routing] if routing else [])]
    number = _number(stated, ref)
    _confirmed(stated)
    left_out = []
    names = own.names or (routing.names if routing else frozenset())
    if len({_folded(name) for one in stated for name in one.names}) > 1:
        left_out.append(f"name of `{ref}`: the message gives more than one")
        names = frozenset()
    given, family = min(names, default=("", ""))
    births = {born for one in stated for born in one.births}
    if len(births) > 1:
        left_out.append(f"date of birth of `{ref}`: the message gives more than one")
    born = births.pop() if len(births) == 1 else None
    if born and born > uk_day(received_at + CLOCKS_DIFFER_BY):
        raise Refused(ImportReason.BAD_TIME, f"the date of birth of `{ref}` is after the message was received")
    home, doubt = home_of(patient, as_of=as_of)
    if doubt:
        left_out.append(f"home address of `{ref}`: {doubt}")
    found = Person(
        ref=ref,
        role=role,
        given_name=given or None,
        family_name=family or None,
        date_of_birth=born,
        relationship=relationship,
        nhs_number=number,
        home_address=Address(lines=home.lines, postcode=home.postcode) if home else None,
        registered_gp=_registered_gp(patient),
    )
    return found, tuple(left_out)


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
    pairs = (
        ({_folded(name) for name in patient.names}, {_folded(name) for name in routing.names}),
        (set(patient.births), set(routing.births)),
    )
    verdicts = [mine == theirs for mine, theirs in pairs if mine and theirs]
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


def _name(node: Element) -> tuple[str, str]:
    return " ".join(values(node, "given")), value(node, "family") or ""


def _names(nodes: Iterable[Element]) -> frozenset[tuple[str, str]]:
    return frozenset(name for node in nodes if any(name := _name(node)))


def _folded(name: tuple[str, str]) -> tuple[str, str]:
    # Demographics are kept in capitals here and not there; a middle name is given here and not there.
    given, family = name
    return (given.casefold().split() or [""])[0], " ".join(family.casefold().split())


def _days(texts: Iterable[str], where: str) -> frozenset[date]:
    return frozenset(found for text in texts if (found := day(text, where)) is not None)


def _compact(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(text.replace(" ", "") for text in texts)


def _passes(number: str) -> bool:
    try:
        checked_number(number)
    except BadIdentifier:
        return False
    return True
