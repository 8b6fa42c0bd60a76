"""
What do agencies tell each other? One class per notification type.

Each class mirrors its Avro schema field by field, in the same order; a test holds the two together. Where Avro can
only say "string", the class says what the world allows: a valid NHS number, a reference to someone who is there.
Errors never repeat a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from safebus.schemas import identifiers, labels, strict_json
from safebus.schemas.errors import BadInput
from safebus.schemas.event_part import EventPart
from safebus.schemas.plain_types import Day, Moment, Whole, YesNo


def _to_millis(value: datetime) -> datetime:
    # Avro carries milliseconds: cut here, so that an event equals itself after the journey.
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 in UTC; check the source record") from None
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


Time = Annotated[Moment, AfterValidator(_to_millis)]
NhsNumber = Annotated[str, AfterValidator(identifiers.nhs_number)]
LocalId = Annotated[str, AfterValidator(identifiers.local_id)]
Upn = Annotated[str, AfterValidator(identifiers.upn)]
AgencyId = Annotated[str, AfterValidator(identifiers.agency_id)]
EventId = Annotated[str, AfterValidator(identifiers.event_id)]
#: Nobody works for more agencies at once; each is looked for among all partners.
MOST_EMPLOYERS = 20
Code = Annotated[str, Field(min_length=1, max_length=200)]


class Lifecycle(StrEnum):
    NEW = "NEW"
    UPDATE = "UPDATE"
    CORRECT = "CORRECT"
    RETRACT = "RETRACT"


#: What an earlier event said was wrong: whoever had that must hear of it (UK GDPR Art 19).
TAKES_BACK = frozenset({Lifecycle.CORRECT, Lifecycle.RETRACT})


class PersonRole(StrEnum):
    CHILD = "CHILD"
    UNBORN_CHILD = "UNBORN_CHILD"
    PERSON = "PERSON"
    PARENT_CARER = "PARENT_CARER"
    ADULT_VICTIM = "ADULT_VICTIM"
    ALLEGED_PERPETRATOR = "ALLEGED_PERPETRATOR"
    OTHER_ADULT = "OTHER_ADULT"


#: Those an event is about whoever listens: each hub that subscribes gets one message for each of them.
ABOUT = frozenset({PersonRole.CHILD, PersonRole.UNBORN_CHILD, PersonRole.PERSON})

#: Those someone can have in their care: a recipient gets one message for each of them (rule R17).
CARED_FOR = ABOUT | {PersonRole.ADULT_VICTIM}


class Confidentiality(StrEnum):
    """HL7 v3-Confidentiality."""

    U = "U"
    L = "L"
    M = "M"
    N = "N"
    R = "R"
    V = "V"


class Urgency(StrEnum):
    ROUTINE = "ROUTINE"
    PRIORITY = "PRIORITY"
    IMMEDIATE = "IMMEDIATE"


class SourceReliability(StrEnum):
    OBSERVED = "OBSERVED"
    REPORTED = "REPORTED"
    PROFESSIONAL_OPINION = "PROFESSIONAL_OPINION"
    UNVERIFIED = "UNVERIFIED"


class SafeKind(StrEnum):
    REFUGE = "REFUGE"
    FOSTER_PLACEMENT = "FOSTER_PLACEMENT"
    MOVED_AWAY = "MOVED_AWAY"
    OTHER = "OTHER"


class Sender(EventPart):
    """Who says so. `agency` must be the one that owns the topic."""

    agency: AgencyId
    org_scheme: Code
    org_code: Code
    org_name: Code
    contact: str | None = None


class Address(EventPart):
    """Where someone lives."""

    lines: tuple[str, ...]
    postcode: str | None = None
    uprn: str | None = None
    local_authority: str | None = None


class SafeAddress(EventPart):
    """Where someone is safe because others do not know it."""

    lines: tuple[str, ...]
    postcode: str | None = None
    kind: SafeKind


class Person(EventPart):
    """Someone in the event. `ref` names them inside this event only."""

    ref: Code
    role: PersonRole
    given_name: str | None = None
    family_name: str | None = None
    date_of_birth: Day | None = None
    relationship: str | None = None
    nhs_number: NhsNumber | None = None
    upn: Upn | None = None
    local_id: LocalId | None = None
    home_address: Address | None = None
    safe_address: SafeAddress | None = None
    phone: str | None = None
    safe_to_call: YesNo | None = None
    registered_gp: str | None = None
    school: str | None = None
    works_for: Annotated[tuple[AgencyId, ...], Field(max_length=MOST_EMPLOYERS)] = ()
    confidentiality: Confidentiality = Confidentiality.N


class ClaimedBasis(EventPart):
    """The legal basis the publisher claims, in codes of the basis catalogue. The agreement's basis decides."""

    art6: Code
    art9: str | None = None
    sch1: str | None = None
    gateway: str | None = None
    confidentiality: str | None = None


def _honoured(known: Mapping[str, object]) -> AfterValidator:
    def check(found: tuple[str, ...]) -> tuple[str, ...]:
        # What was found is not repeated: it is whatever the publisher wrote there.
        if set(found) - set(known):
            raise ValueError(f"has a label that the bus does not honour; it honours {', '.join(sorted(known))}")
        return found

    return AfterValidator(check)


class Handling(EventPart):
    """Labels on the whole event; each acts, see `schemas.labels`. Source: HL7 v3-Confidentiality, v3-ActCode."""

    confidentiality: Confidentiality = Confidentiality.N
    sensitivity: tuple[str, ...] = ()
    refrain: Annotated[tuple[str, ...], _honoured(labels.REFRAIN)] = ()
    obligations: Annotated[tuple[str, ...], _honoured(labels.OBLIGATIONS)] = ()


#: The largest household conference several times over; each of them may lead to a message for each recipient.
MOST_SUBJECTS = 30


#: A code, not a sentence: it stands in decision records, which are kept for years.
def _purpose(text: str) -> str:
    if not _PURPOSE.fullmatch(text):
        raise ValueError("must be a code of a-z, 0-9 and `_`, at most 60 characters, such as `safeguarding`")
    return text


_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,59}")
Purpose = Annotated[str, AfterValidator(_purpose)]


class Event(EventPart):
    """What every notification carries."""

    TYPE: ClassVar[str]
    CODE: ClassVar[str]
    #: The payload is about one person without saying whom: another child's school must not get this one's diagnosis.
    ABOUT_ONE: ClassVar[bool] = False
    #: The record of one person is kept up to date: what follows what is said by whom it is about, without a reference.
    FOLLOWS_ITS_PERSON: ClassVar[bool] = False

    event_id: EventId
    event_type: str
    lifecycle: Lifecycle = Lifecycle.NEW
    correlation_id: str | None = None
    causation_id: str | None = None
    supersedes_event_id: EventId | None = None
    sequence: Whole | None = Field(default=None, ge=0, le=2**63 - 1)  # an Avro long
    occurred_at: Time
    recorded_at: Time
    published_at: Time
    publisher: Sender
    subjects: tuple[Person, ...]  # one at least: `_holds_together` asks for someone it is about
    claimed_basis: ClaimedBasis
    purpose: Purpose
    urgency: Urgency = Urgency.ROUTINE
    respond_by: Time | None = None
    handling: Handling = Handling()
    source_reliability: SourceReliability = SourceReliability.REPORTED

    @model_validator(mode="after")
    def _holds_together(self) -> Event:
        if self.event_type != self.TYPE:
            raise ValueError(f"event_type must be `{self.TYPE}` in this class of event")
        refs = [person.ref for person in self.subjects]
        if len(set(refs)) != len(refs):
            raise ValueError("two subjects have the same `ref`; give each person their own")
        if not any(person.role in ABOUT for person in self.subjects):
            raise ValueError("no subject has role CHILD, UNBORN_CHILD or PERSON; say whom this is about")
        if len(self.subjects) > MOST_SUBJECTS:
            raise ValueError(f"an event names at most {MOST_SUBJECTS} persons; publish several")
        if self.ABOUT_ONE and sum(person.role in ABOUT for person in self.subjects) > 1:
            raise ValueError("this type of event is about one person; publish one event for each child or person")
        self._refers_to_what_it_follows()
        self._is_about_children()
        strangers = sorted(set(self._referred_to()) - set(refs))
        if strangers:
            raise ValueError("the payload refers to a `subject_ref` that no subject has; use one of the subjects' refs")
        return self

    def _refers_to_what_it_follows(self) -> None:
        if self.supersedes_event_id is not None and self.supersedes_event_id == self.event_id:
            raise ValueError("an event cannot supersede itself; give `supersedes_event_id` the id of the earlier one")
        if self.FOLLOWS_ITS_PERSON or self.lifecycle is Lifecycle.NEW or self.supersedes_event_id is not None:
            return
        if self.lifecycle in TAKES_BACK:
            raise ValueError(
                f"{self.lifecycle} of which event? give `supersedes_event_id`; it goes to whoever had that"
            )
        if self.correlation_id is None:
            raise ValueError("UPDATE of what? give `supersedes_event_id`, or the `correlation_id` of the episode")

    def _is_about_children(self) -> None:
        """What a list of the payload says of each child must be that child's."""
        referred = self._referred_to()
        if len(set(referred)) != len(referred):
            raise ValueError(
                "two elements of the payload have one `subject_ref`; say of each person once what is theirs"
            )
        roles = {person.ref: person.role for person in self.subjects}
        if any(roles.get(ref, PersonRole.CHILD) not in ABOUT for ref in referred):
            raise ValueError(
                "the payload tells of someone as a child whose role is another; mend `subject_ref` or `role`"
            )

    def _referred_to(self) -> tuple[str, ...]:
        return ()

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [("event_id", self.shown_id())]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shown_id()}>"

    __str__ = __repr__

    def shown_id(self) -> str:
        """Its id, where it is one: what was made past the checks may have a name there."""
        try:
            return identifiers.event_id(getattr(self, "event_id", ""))
        except (BadInput, TypeError):
            return "?"

    def cared_for(self) -> tuple[Person, ...]:
        """Those a notification can be about, in the order given."""
        return tuple(person for person in self.subjects if person.role in CARED_FOR)


class RiskGrade(StrEnum):
    STANDARD = "STANDARD"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class ChildAtIncident(EventPart):
    """One child's part in the incident. `words`: the voice of the child."""

    subject_ref: Code
    present: YesNo
    spoken_to: YesNo
    words: str | None = None


class EncompassPayload(EventPart):
    """What the police tell of an incident, and of each child who was there."""

    police_reference: Code
    incident_type: Code
    incident_address: str | None = None
    circumstances: str | None = None
    officer_notes: str | None = None
    risk_grade: RiskGrade | None = None
    previous_incidents: Whole | None = Field(default=None, ge=0, le=100_000)
    suspect_history: str | None = None
    referrer: str | None = None
    children: tuple[ChildAtIncident, ...]


class OperationEncompass(Event):
    """
    N02: police tell a school that a child may be a victim of domestic abuse.

    Source: Domestic Abuse Act 2021 s.49A, in force 7 November 2025.
    """

    TYPE: ClassVar[str] = "police.encompass.v1"
    CODE: ClassVar[str] = "N02"
    event_type: str = TYPE
    payload: EncompassPayload

    def _referred_to(self) -> tuple[str, ...]:
        return tuple(child.subject_ref for child in self.payload.children)


class PlanType(StrEnum):
    CHILD_PROTECTION = "CHILD_PROTECTION"
    LOOKED_AFTER = "LOOKED_AFTER"
    UNBORN_CHILD_PROTECTION = "UNBORN_CHILD_PROTECTION"


#: Plan -> its SNOMED CT code. Source: value set England-ChildProtectionPlan (NHS England).
PLAN_CODES: dict[PlanType, str] = {
    PlanType.CHILD_PROTECTION: "342191000000101",
    PlanType.LOOKED_AFTER: "764841000000100",
    PlanType.UNBORN_CHILD_PROTECTION: "818901000000100",
}


class ProtectionPlanPayload(EventPart):
    """Which plan, since when, and whom to ring at the council."""

    plan_type: PlanType
    snomed_code: Code
    start_date: Day
    end_date: Day | None = None
    delete_date: Day | None = None
    authority_name: Code
    office_phone: Code
    emergency_duty_phone: Code
    abuse_category: str | None = None
    legal_status: str | None = None
    conference_notes: str | None = None

    @model_validator(mode="after")
    def _one_plan(self) -> ProtectionPlanPayload:
        # Recipients act on either: a child said to be looked after and coded as protected is neither to both.
        if self.snomed_code != PLAN_CODES[self.plan_type]:
            raise ValueError(
                f"`snomed_code` is not the code of this `plan_type`; {self.plan_type} is {PLAN_CODES[self.plan_type]}"
            )
        return self


class ProtectionPlan(Event):
    """N03: a council tells the NHS of a child protection plan. Source: CP-IS (NHS England), MESH API."""

    TYPE: ClassVar[str] = "care.protection-plan.v1"
    CODE: ClassVar[str] = "N03"
    ABOUT_ONE: ClassVar[bool] = True
    event_type: str = TYPE
    payload: ProtectionPlanPayload


class EdAttendancePayload(EventPart):
    """When the child came, and what the department was worried about."""

    provider_ods: Code
    arrived_at: Time
    left_at: Time | None = None
    left_before_seen: YesNo
    concern_code: Code
    concern_text: str | None = None
    presenting_complaint: str | None = None
    diagnosis: str | None = None
    sexual_health: str | None = None
    parent_health: str | None = None
    attendances_last_year: Whole | None = Field(default=None, ge=0, le=1000)
    plan_known: YesNo


class EdAttendance(Event):
    """N05: an emergency department saw a child and was worried. Source: BaRS safeguarding codes."""

    TYPE: ClassVar[str] = "health.ed-attendance.v1"
    CODE: ClassVar[str] = "N05"
    ABOUT_ONE: ClassVar[bool] = True
    event_type: str = TYPE
    payload: EdAttendancePayload


class AccommodationKind(StrEnum):
    BED_AND_BREAKFAST = "BED_AND_BREAKFAST"
    HOSTEL = "HOSTEL"
    NIGHTLY_PAID = "NIGHTLY_PAID"
    PRIVATE_SECTOR = "PRIVATE_SECTOR"
    REFUGE = "REFUGE"
    OTHER = "OTHER"


class AgreedBy(StrEnum):
    PARENT = "PARENT"
    YOUNG_PERSON = "YOUNG_PERSON"


class TemporaryAccommodationPayload(EventPart):
    """Where the household was placed, and who agreed that others are told."""

    application_reference: Code
    placed_on: Day
    placed_in_authority: Code
    accommodation_kind: AccommodationKind
    reason_for_homelessness: str | None = None
    address_line: str | None = None
    postcode: str | None = None
    agreed_on: Day
    agreed_by: AgreedBy


class TemporaryAccommodation(Event):
    """
    N14: a housing authority tells school and health visitor, if the parent agrees.

    Source: Housing Act 1996 s.213AA, inserted by the Children's Wellbeing and Schools Act 2026 s.11.
    """

    TYPE: ClassVar[str] = "housing.temporary-accommodation.v1"
    CODE: ClassVar[str] = "N14"
    event_type: str = TYPE
    payload: TemporaryAccommodationPayload


class IdentityChange(StrEnum):
    BIRTH = "BIRTH"
    DEATH = "DEATH"
    DEATH_REMOVED = "DEATH_REMOVED"
    NUMBER_CHANGED = "NUMBER_CHANGED"
    RECORD_CHANGED = "RECORD_CHANGED"
    ADDRESS_CHANGED = "ADDRESS_CHANGED"


class DatedAddress(EventPart):
    """Where someone lives, and since when."""

    lines: tuple[str, ...]
    postcode: str | None = None
    from_date: Day | None = None


class IdentityChangePayload(EventPart):
    """What changed, and in which message of which source it was told."""

    change: IdentityChange
    source_event_type: Code
    source_event_id: Code
    source_system: Code
    data_reference: str | None = None
    record_version: str | None = None
    died_at: Time | None = None
    superseded_nhs_number: NhsNumber | None = None
    new_address: DatedAddress | None = None


class IdentityEvent(Event):
    """N19: what became of a person's record. Source: NHS MNS and NEMS event catalogues."""

    TYPE: ClassVar[str] = "identity.change.v1"
    CODE: ClassVar[str] = "N19"
    ABOUT_ONE: ClassVar[bool] = True
    FOLLOWS_ITS_PERSON: ClassVar[bool] = True
    event_type: str = TYPE
    payload: IdentityChangePayload


#: Event type -> class.
EVENT_CLASSES: dict[str, type[Event]] = {
    cls.TYPE: cls for cls in (OperationEncompass, ProtectionPlan, EdAttendance, TemporaryAccommodation, IdentityEvent)
}


_EVENT_TYPE = re.compile(r"[a-z][a-z0-9.-]{1,60}\.v[0-9]{1,4}")


def from_json(text: str | bytes) -> Event:
    """
    Read an event from JSON: the Avro record with plain values, as pydantic writes them.

    Raises:
        BadInput: Says which field or which place, and what was expected there; never the value.
    """
    plain = strict_json.parse(text)
    found = plain.get("event_type") if isinstance(plain, dict) else None
    cls = EVENT_CLASSES.get(found) if isinstance(found, str) else None
    if cls is None:
        # Shown only when it is shaped like one: a column that slipped by one may hold a name.
        shown = (
            f"is `{found}`"
            if isinstance(found, str) and _EVENT_TYPE.fullmatch(found)
            else "is missing or of another shape"
        )
        raise BadInput(f"`event_type` {shown}, expected one of {', '.join(EVENT_CLASSES)}")
    return cls.model_validate_json(json.dumps(plain))
