"""
What does the Personal Demographics Service say of a patient?

Its answer is a FHIR R4 Patient in JSON. What is no such answer (a proxy's HTML, a record without a security label) says
nothing of anybody: `NotAPatient`. Of a restricted record no place is taken, wherever it stands: the service leaves it
out, and whoever stands in between may not.

Source: NHSDigital/personal-demographics-service-api, specification/components/{paths/patient-get,schemas/Patient}.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from safebus.producers.importers.called import GivenName
from safebus.producers.importers.deaths import Deceased
from safebus.producers.importers.fhir_times import Days, days
from safebus.producers.importers.homes import GivenAddress
from safebus.producers.importers.identity_events import NHS_NUMBER_SYSTEM, nhs_number, strictest
from safebus.producers.importers.outcome import ImportReason
from safebus.producers.importers.reading import read_json
from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.event_part import what_is_wrong
from safebus.schemas.events import Confidentiality
from safebus.schemas.names import Name
from safebus.schemas.plain_types import YesNo

_ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
_VERIFIED = "01"  # Source: UKCore-NHSNumberVerificationStatus, "Number present and verified"


class NotAPatient(BadInput):
    """What came is no answer about a patient; the message says what it is instead."""


@dataclass(frozen=True)
class PdsRecord:
    """
    A patient's record.

    Attributes:
        number: Under which it is kept; another than was asked for where that one has been superseded.
        left_out: What of it was not taken, and why.
    """

    number: str
    version: str | None
    confidentiality: Confidentiality
    names: tuple[GivenName, ...]
    births: tuple[Days, ...]
    deceased: Deceased
    addresses: tuple[GivenAddress, ...]
    practices: tuple[Practice, ...]
    left_out: tuple[str, ...] = ()

    def is_restricted(self) -> bool:
        """May nobody learn from it where this person is?"""
        return self.confidentiality in (Confidentiality.R, Confidentiality.V)


@dataclass(frozen=True)
class Practice:
    """A GP practice by its ODS code, and until when; None: it has no end."""

    code: str
    end: Days | None

    def holds(self, on: date) -> bool:
        """Is it the practice on this day?"""
        return self.end is None or self.end.last >= on


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Period(_Part):
    start: str | None = None
    end: str | None = None


class _Coding(_Part):
    system: str | None = None
    code: str | None = None


class _Concept(_Part):
    coding: list[_Coding] = []


class _Extension(_Part):
    url: str = ""
    extension: list[_Extension] = []
    concept: _Concept | None = Field(None, alias="valueCodeableConcept")


class _Identifier(_Part):
    system: str | None = None
    value: str | None = None
    period: _Period = _Period()
    extension: list[_Extension] = []


class _Name(_Part):
    use: str | None = None
    given: list[str | None] = []
    family: str | None = None
    period: _Period = _Period()


class _Address(_Part):
    use: str | None = None
    type: str | None = None
    line: list[str | None] = []
    city: str | None = None
    district: str | None = None
    postcode: str | None = Field(None, alias="postalCode")
    period: _Period = _Period()


class _Reference(_Part):
    identifier: _Identifier | None = None


class _Meta(_Part):
    version: str | None = Field(None, alias="versionId")
    security: list[_Coding] = Field(min_length=1)


class _Patient(_Part):
    kind: Literal["Patient"] = Field(alias="resourceType")
    id: str = Field(min_length=1)
    meta: _Meta
    identifier: list[_Identifier] = []
    active: YesNo | None = None
    name: list[_Name] = []
    born: str | None = Field(None, alias="birthDate")
    dead: YesNo | None = Field(None, alias="deceasedBoolean")
    died: str | None = Field(None, alias="deceasedDateTime")
    address: list[_Address] = []
    practices: list[_Reference] = Field([], alias="generalPractitioner")
    extension: list[_Extension] = []
    modifiers: list[_Extension] = Field([], alias="modifierExtension")
    rules: str | None = Field(None, alias="implicitRules")


def read_patient(data: bytes) -> PdsRecord:
    """
    Read an answer.

    Raises:
        NotAPatient: It is no answer about a patient.
        Refused: It is, and cannot be used; with an `ImportReason`.
    """
    try:
        found = _Patient.model_validate(read_json(data))
    except Refused as exc:
        raise NotAPatient(exc.detail) from None
    except ValidationError as exc:
        raise NotAPatient(f"it is no FHIR R4 Patient as PDS gives it: {what_is_wrong(exc)}") from None
    if found.modifiers or found.rules:
        raise Refused(ImportReason.UNKNOWN_MODIFIER, "the record carries a modifier that may turn it into its opposite")
    if found.active is False:
        raise Refused(ImportReason.UNVERIFIED_IDENTITY, "`Patient.active` is false: this record is not in use")
    confidentiality = strictest((label.system, label.code) for label in found.meta.security)
    record = PdsRecord(
        number=_number(found),
        version=found.meta.version,
        confidentiality=confidentiality,
        names=tuple(map(_name, found.name)),
        births=(days(found.born, "Patient.birthDate"),) if found.born else (),
        deceased=Deceased(
            frozenset(_codes(found.extension, "DeathNotificationStatus", "deathNotificationStatus")),
            None if found.dead is None else str(found.dead).lower(),
            found.died or None,
        ),
        addresses=tuple(map(_address, found.address)),
        practices=tuple(_practices(found.practices)),
    )
    return _without_places(record) if record.is_restricted() else record


def _without_places(record: PdsRecord) -> PdsRecord:
    """Nothing of where a restricted person lives or is registered."""
    given = ["home address"] * bool(record.addresses) + ["GP practice"] * bool(record.practices)
    left_out = tuple(f"{each} of `person`: the record is restricted" for each in given)
    return replace(record, addresses=(), practices=(), left_out=left_out)


def _number(found: _Patient) -> str:
    """
    The record's own number, which must be the same wherever it stands.

    Raises:
        Refused: IDENTITY_CONFLICT, UNVERIFIED_IDENTITY or BAD_IDENTIFIER.
    """
    mine = [each for each in found.identifier if each.system == NHS_NUMBER_SYSTEM]
    if {each.value for each in mine} != {found.id}:
        raise Refused(
            ImportReason.IDENTITY_CONFLICT,
            "`Patient.id` and `Patient.identifier` of the record are not one NHS number; expected one, chose neither",
        )
    statuses = {code for each in mine for code in _codes(each.extension, "NHSNumberVerificationStatus")}
    if not statuses <= {_VERIFIED}:
        raise Refused(
            ImportReason.UNVERIFIED_IDENTITY,
            f"the verification status of the record's NHS number is not `{_VERIFIED}` (verified)",
        )
    return nhs_number(found.id, "`Patient.id` of the record")


def _codes(extensions: Sequence[_Extension], name: str, inner: str | None = None) -> Iterator[str]:
    """
    The codes of an extension of UK Core, or of one within it.

    Its URL is told by its end: what stands before it has been moved from one server to another.
    """
    for each in extensions:
        if each.url.endswith(f"-{name}"):
            for part in each.extension if inner else [each]:
                if inner is None or part.url == inner:
                    yield from (coding.code for coding in (part.concept or _Concept()).coding if coding.code)


def _period(given: _Period, where: str) -> tuple[Days | None, Days | None]:
    start = days(given.start, f"{where}.period.start") if given.start else None
    return start, days(given.end, f"{where}.period.end") if given.end else None


def _name(given: _Name) -> GivenName:
    words = " ".join(" ".join(word for word in given.given if word).split())
    return GivenName(Name(words, (given.family or "").strip()), given.use, *_period(given.period, "Patient.name"))


def _address(given: _Address) -> GivenAddress:
    # PDS gives five lines, of which those that are not filled are empty.
    lines = tuple(text.strip() for text in (*given.line, given.city, given.district) if text and text.strip())
    start, end = _period(given.period, "Patient.address")
    return GivenAddress(lines, (given.postcode or "").strip() or None, given.use, given.type == "postal", start, end)


def _practices(given: Sequence[_Reference]) -> Iterator[Practice]:
    for each in given:
        if each.identifier is not None and each.identifier.system == _ODS and each.identifier.value:
            yield Practice(each.identifier.value, _period(each.identifier.period, "Patient.generalPractitioner")[1])
