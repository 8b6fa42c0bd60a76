"""
What does one part of a NEMS message say of a person?

The routing demographics of the header and the Patient each give numbers, names and dates of birth. Here they are read;
whether they agree is for `patients` to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.called import GivenName
from safebus.producers.importers.fhir_times import Days
from safebus.producers.importers.identity_events import NHS_NUMBER_SYSTEM
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.stu3 import all_at, ended, extensions, given_name, several_days, value, values
from safebus.schemas.errors import Refused

_VERIFICATION = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-NHSNumberVerificationStatus-1"
_VERIFIED = "01"  # Source: CareConnect-NHSNumberVerificationStatus-1, "Number present and verified"
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"


@dataclass(frozen=True)
class Stated:
    """
    What one part of a message says of a person.

    Attributes:
        where: That part, as a refusal names it.
        names: All that it gives, also those that have ended.
        births: More than one that have no day in common: it contradicts itself.
    """

    where: str
    numbers: frozenset[str]
    names: tuple[GivenName, ...]
    births: tuple[Days, ...]


@dataclass(frozen=True)
class Told:
    """
    When a message was told, and of when.

    Attributes:
        changed_at: When the record changed.
        at: When the message was sent: the home and the name are those of that moment.
    """

    changed_at: datetime
    at: datetime


def of_routing(demographics: Element) -> Stated:
    """What the header's routing demographics say."""
    where = "MessageHeader.routingDemographics"
    return Stated(
        where=where,
        numbers=_compact(
            text for part in extensions(demographics, "nhsNumber") for text in values(part, "valueIdentifier/value")
        ),
        names=_names(
            (node for part in extensions(demographics, "name") for node in all_at(part, "valueHumanName")),
            f"{where}.name",
        ),
        births=several_days(
            (text for part in extensions(demographics, "birthDateTime") for text in values(part, "valueDateTime")),
            f"{where}.birthDateTime",
        ),
    )


def of_patient(patient: Element, *, told: Told) -> Stated:
    """
    What the Patient says.

    Raises:
        Refused: UNVERIFIED_IDENTITY, BAD_TIME or CONTRADICTION.
    """
    if value(patient, "active") == "false":
        raise Refused(ImportReason.UNVERIFIED_IDENTITY, "`Patient.active` is false: this record is not in use")
    identifiers = [
        node
        for node in all_at(patient, "identifier")
        if value(node, "system") == NHS_NUMBER_SYSTEM and value(node, "use") != "old" and not ended(node, told.at)
    ]
    for node in identifiers:
        for status in extensions(node, _VERIFICATION):
            if values(status, "valueCodeableConcept/coding/code") != [_VERIFIED]:
                raise Refused(
                    ImportReason.UNVERIFIED_IDENTITY,
                    f"the verification status of an NHS number in `Patient.identifier` is not `{_VERIFIED}` (verified)",
                )
    times = [
        text
        for node in all_at(patient, "birthDate")
        for part in extensions(node, _BIRTH_TIME)
        for text in values(part, "valueDateTime")
    ]
    return Stated(
        where="Patient",
        numbers=_compact(text for node in identifiers for text in values(node, "value")),
        names=_names(all_at(patient, "name"), "Patient.name"),
        births=several_days([*values(patient, "birthDate"), *times], "Patient.birthDate"),
    )


def _names(nodes: Iterable[Element], where: str) -> tuple[GivenName, ...]:
    return tuple(name for node in nodes if any((name := given_name(node, where)).name))


def _compact(texts: Iterable[str]) -> frozenset[str]:
    return frozenset("".join(text.split()) for text in texts)
