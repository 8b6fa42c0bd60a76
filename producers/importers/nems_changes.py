"""
What became of whom, as the three NEMS messages that have a notification say it?

Each reader takes the Patient that the message leads to and returns what changed, or refuses. They refuse rather than
choose: a death told or taken back wrongly, a birth to the wrong mother, an address that is not the last one.

Source: nhsconnect/Events-Management, pages/messages/messages/; each reader names its page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers import patients
from safebus.producers.importers.fhir_times import instant_if_whole
from safebus.producers.importers.homes import SEVERAL, home_of
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.stu3 import Stu3Message, all_at, extensions, the, value, values
from safebus.schemas.errors import Refused
from safebus.schemas.events import DatedAddress, IdentityChange, Person, PersonRole

BIRTH = "pds-birth-notification-1"

_DEATH_STATUS = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-DeathNotificationStatus-1"
_STILLBIRTH = "237364002"  # SNOMED CT, the code of the stillborn-indicator Observation
_LIVE = "1"  # Source: EMS-PDS-StillBornIndicator-1

# Source: CodeSystem CareConnect-DeathNotificationStatus-1, version 1.1.0: informal, formal, removed.
DEATH_STATUSES = {"1": IdentityChange.DEATH, "2": IdentityChange.DEATH, "U": IdentityChange.DEATH_REMOVED}


@dataclass(frozen=True)
class About:
    """What became of whom."""

    change: IdentityChange
    subjects: tuple[Person, ...]
    left_out: tuple[str, ...]
    record_version: str | None
    died_at: datetime | None = None
    new_address: DatedAddress | None = None


@dataclass(frozen=True)
class Context:
    """
    What the readers start from.

    Attributes:
        patient: Whom the message's Communication is about; of a birth, the mother.
        routing: The header's routing demographics, about the same person.
    """

    message: Stu3Message
    patient: Element
    routing: patients.Stated | None
    published_at: datetime
    received_at: datetime


def address_changed(context: Context) -> About:
    """
    A message of this type without one certain new home is no message.

    Source: pds_change_of_address_1.md: the current address has use `home`, the previous one use `old`.
    """
    person, left_out = _person(context)
    home, doubt = home_of(context.patient, as_of=context.published_at)
    if home is None:
        reason = ImportReason.AMBIGUOUS if doubt == SEVERAL else ImportReason.MISSING_FIELD
        raise Refused(reason, f"`Patient.address` of use `home`: {doubt or 'none is given'}; expected the new one")
    version = value(context.patient, "meta/versionId")
    return About(IdentityChange.ADDRESS_CHANGED, (person,), left_out, version, new_address=home)


def died_or_not(context: Context) -> About:
    """
    The death notification status decides; `deceasedDateTime` must not contradict it, and gives the time.

        1 informal, 2 formal -> DEATH         with deceasedDateTime, if it gives one
        U removed            -> DEATH_REMOVED and "element not included in resource"
    A death told wrongly, or taken back wrongly, cannot be made good: without a status nothing is concluded.

    Source: pds_death_notification_1.md, table of event message types.
    """
    codes = {
        code
        for outer in extensions(context.patient, _DEATH_STATUS)
        for inner in extensions(outer, "deathNotificationStatus")
        for code in values(inner, "valueCodeableConcept/coding/code")
    }
    if len(codes) != 1 or not codes <= DEATH_STATUSES.keys():
        raise Refused(
            ImportReason.BAD_VALUE if codes else ImportReason.MISSING_FIELD,
            f"`Patient.extension(deathNotificationStatus)`: expected one of {', '.join(DEATH_STATUSES)}",
        )
    change = DEATH_STATUSES[codes.pop()]
    died = value(context.patient, "deceasedDateTime")
    if (died is not None and change is IdentityChange.DEATH_REMOVED) or (
        value(context.patient, "deceasedBoolean") == ("true" if change is IdentityChange.DEATH_REMOVED else "false")
    ):
        raise Refused(
            ImportReason.CONTRADICTION,
            "the death notification status and `Patient.deceased` say opposite things; chose neither",
        )
    person, left_out = _person(context)
    died_at = instant_if_whole(died, "Patient.deceasedDateTime", received_at=context.received_at) if died else None
    if died and died_at is None:
        left_out = (*left_out, "time of death: only a day or less is given")
    return About(change, (person,), left_out, value(context.patient, "meta/versionId"), died_at=died_at)


def born(context: Context) -> About:
    """
    The focus leads to the mother, her link to the relationship, and that to the baby.

    The event is about the baby, so without its NHS number there is nobody to tell about. The mother may have none;
    but one that fails its check stops the message: the wrong mother's child is the mistake that cannot be made good.
    A birth that was not a live one is left to a person: no machine sends a new-baby notice to that door.

    Source: pds_birth_notification_1.md, bundle structure and Stillborn Indicator (1..1).
    """
    links = {text for link in all_at(context.patient, "link") for text in values(link, "other/reference")}
    if len(links) != 1:
        reason = ImportReason.AMBIGUOUS if links else ImportReason.MISSING_FIELD
        raise Refused(reason, f"`Patient.link` of the mother: found {len(links)}, expected one RelatedPerson")
    relation = context.message.resolve(links.pop(), "RelatedPerson", "Patient.link")
    baby = context.message.resolve(the(relation, "patient/reference"), "Patient", "RelatedPerson.patient")
    if baby is context.patient:
        raise Refused(ImportReason.IDENTITY_CONFLICT, "mother and baby are the same Patient; expected two")
    _live(context.message, baby)
    child, child_left_out = patients.person(
        baby,
        None,
        ref="child",
        role=PersonRole.CHILD,
        as_of=context.published_at,
        received_at=context.received_at,
    )
    if child.nhs_number is None:
        raise Refused(ImportReason.MISSING_FIELD, "the baby has no NHS number; expected one in `Patient.identifier`")
    mother, mother_left_out = _person(context, mother=True)
    if mother.nhs_number == child.nhs_number:
        raise Refused(ImportReason.IDENTITY_CONFLICT, "mother and baby have the same NHS number; expected two")
    left_out = (*child_left_out, *mother_left_out)
    return About(IdentityChange.BIRTH, (child, mother), left_out, value(baby, "meta/versionId"))


def _live(found: Stu3Message, baby: Element) -> None:
    indicators = {
        code
        for node in found.of_kind("Observation")
        if _STILLBIRTH in values(node, "code/coding/code")
        for code in values(node, "valueCodeableConcept/coding/code")
    }
    if not indicators:
        raise Refused(
            ImportReason.MISSING_FIELD, "the stillborn indicator is missing; expected one `Observation` with it"
        )
    dead = extensions(baby, _DEATH_STATUS) or all_at(baby, "deceasedDateTime") or all_at(baby, "deceasedBoolean")
    if indicators != {_LIVE} or dead:
        raise Refused(
            ImportReason.NOT_A_LIVE_BIRTH,
            "the message does not say that the baby lives; a person must tell those concerned",
        )


def _person(context: Context, *, mother: bool = False) -> tuple[Person, tuple[str, ...]]:
    person, left_out = patients.person(
        context.patient,
        context.routing,
        ref="mother" if mother else "person",
        role=PersonRole.PARENT_CARER if mother else PersonRole.PERSON,
        relationship="mother" if mother else None,
        as_of=context.published_at,
        received_at=context.received_at,
    )
    if person.nhs_number is None and not mother:
        raise Refused(ImportReason.MISSING_FIELD, "`Patient.identifier` holds no NHS number")
    return person, left_out


READERS: dict[str, Callable[[Context], About]] = {
    "pds-change-of-address-1": address_changed,
    "pds-death-notification-1": died_or_not,
    BIRTH: born,
}
