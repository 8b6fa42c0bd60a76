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
from safebus.producers.importers.deaths import DEATH_STATUSES, Deceased
from safebus.producers.importers.fhir_times import Days, days, instant_if_whole
from safebus.producers.importers.homes import LATER, SEVERAL, UNSURE, home_of, starts_later
from safebus.producers.importers.identity_events import NHS_NUMBER_SYSTEM
from safebus.producers.importers.orders import check_died
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.stated import Stated, Told, of_patient
from safebus.producers.importers.stu3 import (
    Stu3Message,
    addresses,
    all_at,
    extensions,
    several_days,
    the,
    value,
    values,
)
from safebus.schemas.errors import Refused
from safebus.schemas.events import DatedAddress, IdentityChange, Person, PersonRole

_DIED = "Patient.deceasedDateTime"
_DEATH_STATUS = "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-DeathNotificationStatus-1"
_STILLBIRTH = "237364002"  # SNOMED CT, the code of the stillborn-indicator Observation
_LIVE = "1"  # Source: EMS-PDS-StillBornIndicator-1
_SAYS_NOTHING = ("entered-in-error", "cancelled")  # Source: FHIR STU3, Observation.status


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
        told: When the record changed, and when the message was sent.
    """

    message: Stu3Message
    patient: Element
    routing: Stated | None
    told: Told
    received_at: datetime


_NO_HOME = {SEVERAL: ImportReason.AMBIGUOUS, UNSURE: ImportReason.AMBIGUOUS, LATER: ImportReason.CONTRADICTION}


def address_changed(context: Context) -> About:
    """
    A message of this type without one certain new home is no message, and neither is one that tells of the next.

    Source: pds_change_of_address_1.md: the current address has use `home`, the previous one use `old`.
    """
    person, left_out = _person(context)
    given = addresses(context.patient)
    home, doubt = home_of(given, as_of=context.told.at)
    if home is None or starts_later(given, as_of=context.told.at):
        doubt = doubt or (LATER if home else "none is given")
        reason = _NO_HOME.get(doubt, ImportReason.MISSING_FIELD)
        raise Refused(reason, f"`Patient.address` of use `home`: {doubt}; expected the one where they live now")
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
    deceased = _deceased(context.patient)
    change = deceased.by_status()
    if change is None:
        raise Refused(
            ImportReason.MISSING_FIELD,
            f"`Patient.extension(deathNotificationStatus)`: expected one of {', '.join(DEATH_STATUSES)}",
        )
    person, left_out = _person(context)
    died_at = None
    if deceased.when:
        died_at = instant_if_whole(deceased.when, _DIED, received_at=context.received_at)
        _check_death(context, days(deceased.when, _DIED), died_at)
        left_out = left_out if died_at else (*left_out, "time of death: only a day or less is given")
    return About(change, (person,), left_out, value(context.patient, "meta/versionId"), died_at=died_at)


def _check_death(context: Context, died: Days, died_at: datetime | None) -> None:
    stated = [of_patient(context.patient, told=context.told), *([context.routing] if context.routing else [])]
    told = context.told
    check_died(died, died_at, patients.births_in(stated), changed_at=told.changed_at, told_at=told.at)
    # Source: CareConnect-DeathNotificationStatus-1, systemEffectiveDate: since when the status holds.
    effective = several_days(
        (
            text
            for outer in extensions(context.patient, _DEATH_STATUS)
            for inner in extensions(outer, "systemEffectiveDate")
            for text in values(inner, "valueDateTime")
        ),
        "Patient.extension(systemEffectiveDate)",
    )
    if any(each.last < died.first for each in effective):
        raise Refused(ImportReason.CONTRADICTION, "the death status holds from before the death; chose neither")


def _deceased(patient: Element) -> Deceased:
    return Deceased(
        statuses=frozenset(
            code
            for outer in extensions(patient, _DEATH_STATUS)
            for inner in extensions(outer, "deathNotificationStatus")
            for code in values(inner, "valueCodeableConcept/coding/code")
        ),
        boolean=value(patient, "deceasedBoolean"),
        when=value(patient, "deceasedDateTime"),
    )


def born(context: Context) -> About:
    """
    The focus leads to the mother, her link to the relationship, and that to the baby.

    The event is about the baby, so without its NHS number there is nobody to tell about. The mother may have none;
    but one that fails its check stops the message: the wrong mother's child is the mistake that cannot be made good.
    A birth that was not a live one is left to a person: no machine sends a new-baby notice to that door.

    Source: pds_birth_notification_1.md, bundle structure and Stillborn Indicator (1..1).
    """
    links = {
        text
        for link in all_at(context.patient, "link")
        if value(link, "type") not in ("replaced-by", "replaces")  # another record of hers, not her child
        for text in values(link, "other/reference")
    }
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
        told=context.told,
    )
    if child.nhs_number is None:
        raise Refused(ImportReason.MISSING_FIELD, "the baby has no NHS number; expected one in `Patient.identifier`")
    mother, mother_left_out = _person(context, mother=True)
    if mother.nhs_number == child.nhs_number:
        raise Refused(ImportReason.IDENTITY_CONFLICT, "mother and baby have the same NHS number; expected two")
    _older(mother, child)
    left_out = (*child_left_out, *mother_left_out)
    return About(IdentityChange.BIRTH, (child, mother), left_out, value(baby, "meta/versionId"))


def _older(mother: Person, child: Person) -> None:
    if mother.date_of_birth and child.date_of_birth and mother.date_of_birth >= child.date_of_birth:
        raise Refused(ImportReason.CONTRADICTION, "the mother was not born before the baby; chose neither date")


def _live(found: Stu3Message, baby: Element) -> None:
    indicators = {
        code
        for node in found.of_kind("Observation")
        if _STILLBIRTH in values(node, "code/coding/code") and value(node, "status") not in _SAYS_NOTHING
        for code in values(node, "valueCodeableConcept/coding/code")
    }
    if not indicators:
        raise Refused(
            ImportReason.MISSING_FIELD, "the stillborn indicator is missing; expected one `Observation` with it"
        )
    if indicators != {_LIVE} or _deceased(baby).is_dead():
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
        told=context.told,
    )
    if person.nhs_number is None and not mother:
        raise Refused(
            ImportReason.MISSING_FIELD, f"`Patient.identifier` holds no NHS number of system `{NHS_NUMBER_SYSTEM}`"
        )
    return person, left_out


#: What the readers are called in the list of types (`event_types.yaml`).
READERS: dict[str, Callable[[Context], About]] = {
    "address": address_changed,
    "death": died_or_not,
    "birth": born,
}
