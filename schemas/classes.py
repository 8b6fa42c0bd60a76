"""
What kind of data is a field, and how may it be blurred?

Every leaf of every event schema names one data class (`"dataClass"` in the `.avsc`). Agreements release classes,
never "everything": a leaf without a class does not load, so it cannot leave.

    ordinary   may be released by naming its class
    special    UK GDPR Art 9: also needs an Art 9 condition (and Schedule 1 where that condition asks for it)
    criminal   UK GDPR Art 10: also needs a Schedule 1 condition

Source: Data Protection Act 2018 ss.10-11 and Schedule 1; the classes are our own (`streams.rules.matrix`).
"""

from __future__ import annotations

import re
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

#: Released only when an agreement names the exact field: names hide inside prose.
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

#: No agreement may release these: whoever tells of a child is protected from whomever they tell of.
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
    A way to blur a leaf. What it cannot blur it leaves out: None, never a remainder.

    Attributes:
        takes: The Avro type it can blur, as the leaf's base type name (`string`, `date`).
        leaf: The only name of a leaf it is for; blurring anything else that way would show most of it. None: any.
        gives: The Avro type of the blurred leaf.
        always: There is no value that it cannot blur; else the leaf must be one that may be null.
    """

    name: str
    takes: str
    gives: str
    apply: Callable[[Any], Any]
    says: str
    leaf: str | None = None
    always: bool = False


def _year(value: date) -> int:
    return value.year


#: Outward and inward part; `ZZ99 3VZ` (NHS: no fixed abode) has this form. Source: BS 7666, as Royal Mail writes them.
#: GIR 0AA, the one exception, was a bank's and is nobody's home: nothing of it is given.
_POSTCODE = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}", re.ASCII | re.IGNORECASE)


def _outward_code(value: str) -> str | None:
    # People type "ls17 7df", "LS177DF" and "LS17  7DF". All else may be a house, a note or half a postcode.
    found = _POSTCODE.fullmatch("".join(value.split()))
    return found[1].upper() if found else None


_TITLE = re.compile(
    "mr|mrs|ms|miss|mx|master|dr|prof|professor|rev|revd|reverend|fr|father|sr|sister|br|brother|sir|dame|lord|lady|"
    "baroness|baron|hon|rt|pc|dc|ds|di|sgt|capt|captain|cllr|imam|rabbi",
    re.IGNORECASE,
)


def _initial(value: str) -> str | None:
    # The first letter of "Mrs Hart" is nobody's initial, of "12 Mill Lane" it is the house. A script without
    # capitals has no initials: one sign of it may be the whole name.
    words = value.replace(".", " ").split()
    if not words or (len(words) > 1 and _TITLE.fullmatch(words[0])):
        return None
    first = words[0][0]
    return first if first.isalpha() and first.lower() != first.upper() else None


MASKS: dict[str, Mask] = {
    m.name: m
    for m in (
        Mask("year", "date", "int", _year, "the year only", always=True),
        Mask("outward_code", "string", "string", _outward_code, "the first half of the postcode", leaf="postcode"),
        Mask("initial", "string", "string", _initial, "the first letter"),
    )
}
