"""
What kind of data is a field, and how may it be blurred?

Every leaf of every event schema names one data class (`"dataClass"` in the `.avsc`). Agreements release classes,
never "everything": a leaf without a class does not load, so it cannot leave.

    ordinary   may be released by naming its class
    special    UK GDPR Art 9: also needs an Art 9 condition (and Schedule 1 where that condition asks for it)
    criminal   UK GDPR Art 10: also needs a Schedule 1 condition

Source: the matrix in the domain notes, 1.3; Data Protection Act 2018 ss.10-11 and Schedule 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class Category(StrEnum):
    """Which part of data protection law asks for more than an Art 6 basis."""

    ORDINARY = "ordinary"
    SPECIAL = "special"
    CRIMINAL = "criminal"


class DataClass(StrEnum):
    """The classes that agreements speak of."""

    ENVELOPE = "ENVELOPE"  # ids and times of the message itself
    LINKAGE = "LINKAGE"  # what ties events and persons together: episode, cause, local references
    PUBLISHER = "PUBLISHER"  # which agency says so
    PROFESSIONAL_CONTACT = "PROFESSIONAL_CONTACT"  # whom to ring, in their working role
    BASIS = "BASIS"  # the claimed legal basis
    HANDLING = "HANDLING"  # confidentiality and handling labels
    ID_CORE = "ID_CORE"  # name and date of birth
    ROLE = "ROLE"  # the part a person plays in the event
    RELATIONSHIP = "RELATIONSHIP"  # how a person is related to the child
    NHS_NUMBER = "NHS_NUMBER"
    UPN = "UPN"
    LOCAL_ID = "LOCAL_ID"  # the publisher's own number for a person
    LOCATION_HOME = "LOCATION_HOME"
    LOCATION_AREA = "LOCATION_AREA"  # local authority only
    LOCATION_SAFE = "LOCATION_SAFE"  # refuge, foster placement, any address someone must not learn
    LOCATION_INCIDENT = "LOCATION_INCIDENT"
    CONTACT_SAFE = "CONTACT_SAFE"  # phone, and whether it is safe to ring it
    GP_REGISTRATION = "GP_REGISTRATION"
    SCHOOL_PLACE = "SCHOOL_PLACE"
    AFFILIATION = "AFFILIATION"  # the organisations a person works for or governs
    INCIDENT_FACT = "INCIDENT_FACT"
    INCIDENT_NARRATIVE = "INCIDENT_NARRATIVE"
    VOICE_OF_CHILD = "VOICE_OF_CHILD"
    PLAN_STATUS = "PLAN_STATUS"
    IDENTITY_FACT = "IDENTITY_FACT"  # what became of a record: died, moved, number replaced
    HOUSING_FACT = "HOUSING_FACT"
    HOUSING_REASON = "HOUSING_REASON"
    RISK_SCORE = "RISK_SCORE"
    HEALTH_CHILD = "HEALTH_CHILD"
    HEALTH_ADULT = "HEALTH_ADULT"
    SEXUAL_REPRODUCTIVE = "SEXUAL_REPRODUCTIVE"
    IMMIGRATION = "IMMIGRATION"
    CRIMINAL = "CRIMINAL"
    REFERRER = "REFERRER"  # a member of the public who spoke up; no matrix cell allows it
    FREE_TEXT = "FREE_TEXT"


_SPECIAL = {DataClass.HEALTH_CHILD, DataClass.HEALTH_ADULT, DataClass.SEXUAL_REPRODUCTIVE}

#: Released only when an agreement names the exact field: names hide inside prose. Source: domain notes 1.3, rule (ii).
PROSE = frozenset({DataClass.FREE_TEXT, DataClass.INCIDENT_NARRATIVE, DataClass.VOICE_OF_CHILD})

#: What must go when a person is restricted. Source: PDS FHIR API, `meta.security` R; rule R16.
RESTRICTED_STRIPS = (
    frozenset(
        {
            DataClass.LOCATION_HOME,
            DataClass.LOCATION_AREA,
            DataClass.LOCATION_SAFE,
            DataClass.LOCATION_INCIDENT,
            DataClass.CONTACT_SAFE,
            DataClass.GP_REGISTRATION,
            DataClass.SCHOOL_PLACE,
            DataClass.AFFILIATION,
            DataClass.HOUSING_REASON,  # "refuge" is half an address
        }
    )
    | PROSE
)  # names and places hide inside prose, whoever named the field

#: No agreement may release these. Source: domain notes 1.3, row REFERRER.
NEVER = frozenset({DataClass.REFERRER})


def category(data_class: DataClass) -> Category:
    """Which part of the law a class falls under."""
    if data_class in _SPECIAL:
        return Category.SPECIAL
    if data_class is DataClass.CRIMINAL:
        return Category.CRIMINAL
    return Category.ORDINARY


@dataclass(frozen=True)
class Mask:
    """
    A way to blur a leaf.

    Attributes:
        takes: The Avro type it can blur, as the leaf's base type name (`string`, `date`).
        leaf: The only name of a leaf it is for; blurring anything else that way would show most of it. None: any.
        gives: The Avro type of the blurred leaf.
    """

    name: str
    takes: str
    gives: str
    apply: Callable[[Any], Any]
    says: str
    leaf: str | None = None


def _year(value: date) -> int:
    return value.year


def _outward_code(value: str) -> str:
    # "LS17 7DF" and "LS177DF" both give "LS17": the inward part is always the last three signs.
    # Shorter than any postcode: nothing of it may be kept.
    squeezed = value.replace(" ", "")
    return squeezed[:-3] if len(squeezed) > 4 else ""


def _initial(value: str) -> str:
    return value[:1]


MASKS: dict[str, Mask] = {
    m.name: m
    for m in (
        Mask("year", "date", "int", _year, "the year only"),
        Mask("outward_code", "string", "string", _outward_code, "the first half of the postcode", leaf="postcode"),
        Mask("initial", "string", "string", _initial, "the first letter"),
    )
}
