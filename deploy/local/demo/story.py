"""
What happens in the demonstration?

A domestic-abuse incident in a family that does not exist: two siblings at two schools, a
toddler, a mother who moves to a refuge, and an alleged perpetrator who governs one of the schools. Then a hospital, a
council and a housing authority have something to say, and a consent is withdrawn.
NHS numbers are from the block that is never issued, telephone numbers from Ofcom's drama ranges.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from safebus.schemas.events import (
    AccommodationKind,
    Address,
    AgreedBy,
    ChildAtIncident,
    ClaimedBasis,
    EdAttendance,
    EdAttendancePayload,
    EncompassPayload,
    Event,
    Handling,
    OperationEncompass,
    Person,
    PersonRole,
    PlanType,
    ProtectionPlan,
    ProtectionPlanPayload,
    RiskGrade,
    SafeAddress,
    SafeKind,
    Sender,
    TemporaryAccommodation,
    TemporaryAccommodationPayload,
    Urgency,
)
from safebus.schemas.identifiers import derived_id

#: It stands in the event twice, once in its own field and once in an officer's prose. Nobody may receive it.
REFUGE = "Rowan House, 7 Hidden Close"
REFUGE_POSTCODE = "ZZ99 9RF"

HOME = Address(lines=("12 Mill Lane", "Fordham"), postcode="ZZ99 3VZ", local_authority="E99999999")
_TEST = Handling(obligations=("HTEST",))


def at(hour: int, minute: int, day: int = 20) -> datetime:
    """A time in the week of the story."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


AVA = Person(
    ref="ava",
    role=PersonRole.CHILD,
    given_name="Ava",
    family_name="Hart",
    date_of_birth=date(2015, 3, 2),
    nhs_number="9990079196",
    upn="X313000026001",
    home_address=HOME,
    school="Ash Primary School",
    registered_gp="ZZ001",
)
BEN = Person(
    ref="ben",
    role=PersonRole.CHILD,
    given_name="Ben",
    family_name="Hart",
    date_of_birth=date(2017, 9, 14),
    nhs_number="9990237573",
    upn="L313000026002",
    home_address=HOME,
    school="Beech Primary School",
    registered_gp="ZZ001",
)
CORA = Person(
    ref="cora",
    role=PersonRole.CHILD,
    given_name="Cora",
    family_name="Hart",
    date_of_birth=date(2024, 5, 20),
    nhs_number="9990316767",
    home_address=HOME,
    registered_gp="ZZ001",
)
MAYA = Person(
    ref="maya",
    role=PersonRole.ADULT_VICTIM,
    given_name="Maya",
    family_name="Hart",
    date_of_birth=date(1990, 6, 11),
    relationship="mother",
    nhs_number="9990395950",
    safe_address=SafeAddress(lines=(REFUGE,), postcode=REFUGE_POSTCODE, kind=SafeKind.REFUGE),
    phone="07700 900123",
    safe_to_call=False,
)
GARY = Person(
    ref="gary",
    role=PersonRole.ALLEGED_PERPETRATOR,
    given_name="Gary",
    family_name="Stone",
    date_of_birth=date(1986, 1, 30),
    relationship="mother's partner",
    nhs_number="9990475148",
)


def incident() -> OperationEncompass:
    """The police attend, and three children were there."""
    return OperationEncompass(
        event_id=derived_id("demo", "incident"),
        correlation_id="TEST-4711",
        occurred_at=at(21, 40, day=19),
        recorded_at=at(23, 5, day=19),
        published_at=at(23, 10, day=19),
        publisher=Sender(
            agency="fordshire-police",
            org_scheme="CJS-OU",
            org_code="99",
            org_name="Fordshire Police",
            contact="public protection desk, 01632 960101",
        ),
        subjects=(AVA, BEN, CORA, MAYA, GARY),
        claimed_basis=ClaimedBasis(art6="A6-1-c", art9="A9-2-g", sch1="DPA18-S1-P2-18", gateway="DAA21-49A"),
        purpose="safeguarding",
        urgency=Urgency.PRIORITY,
        handling=_TEST,
        payload=EncompassPayload(
            police_reference="TEST-4711",
            incident_type="domestic abuse, assault",
            incident_address="12 Mill Lane, Fordham",
            circumstances="Neighbour called; mother injured; children upstairs and in the kitchen.",
            officer_notes=f"Mother and children taken to {REFUGE}, {REFUGE_POSTCODE}. Partner does not know.",
            risk_grade=RiskGrade.HIGH,
            previous_incidents=3,
            suspect_history="two earlier cautions",
            referrer="the neighbour at number 14",
            children=(
                ChildAtIncident(subject_ref="ava", present=True, spoken_to=True, words="I took Cora upstairs."),
                ChildAtIncident(subject_ref="ben", present=True, spoken_to=True, words="I hid under the table."),
                ChildAtIncident(subject_ref="cora", present=True, spoken_to=False),
            ),
        ),
    )


def attendance() -> EdAttendance:
    """The same night the hospital sees Ava."""
    return EdAttendance(
        event_id=derived_id("demo", "attendance"),
        occurred_at=at(0, 20),
        recorded_at=at(2, 0),
        published_at=at(2, 1),
        publisher=Sender(
            agency="county-hospital", org_scheme="ODS", org_code="ZZ100", org_name="Fordshire County Hospital"
        ),
        subjects=(AVA,),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="CA04-10"),
        purpose="safeguarding",
        urgency=Urgency.PRIORITY,
        handling=_TEST,
        payload=EdAttendancePayload(
            provider_ods="ZZ100",
            arrived_at=at(0, 20),
            left_at=at(1, 50),
            left_before_seen=False,
            concern_code="861931000000100",
            concern_text="Mother asked that her sister be rung.",
            presenting_complaint="bruised forearm",
            diagnosis="contusion",
            attendances_last_year=2,
            plan_known=False,
        ),
    )


def protection_plan() -> ProtectionPlan:
    """A conference puts Ava on a child protection plan."""
    return ProtectionPlan(
        event_id=derived_id("demo", "plan"),
        occurred_at=at(11, 0),
        recorded_at=at(11, 30),
        published_at=at(11, 31),
        publisher=Sender(agency="fordshire-mash", org_scheme="GSS", org_code="E99999999", org_name="Fordshire Council"),
        subjects=(AVA,),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="CA04-10"),
        purpose="safeguarding",
        handling=_TEST,
        payload=ProtectionPlanPayload(
            plan_type=PlanType.CHILD_PROTECTION,
            snomed_code="342191000000101",
            start_date=date(2026, 11, 20),
            authority_name="Fordshire Council",
            office_phone="01632 960102",
            emergency_duty_phone="01632 960199",
            abuse_category="emotional abuse",
            legal_status="none",
        ),
    )


def moved_to_temporary_accommodation(number: int) -> TemporaryAccommodation:
    """The housing authority places the family; once while the parent agrees that others are told, once after."""
    return TemporaryAccommodation(
        event_id=derived_id("demo", "temporary accommodation", str(number)),
        occurred_at=at(8 + number, 0),
        recorded_at=at(8 + number, 30),
        published_at=at(8 + number, 31),
        publisher=Sender(
            agency="fordshire-housing", org_scheme="GSS", org_code="E99999999", org_name="Fordshire Housing"
        ),
        subjects=(AVA,),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="LA11-1", confidentiality="CLDC-CONSENT"),
        purpose="temporary_accommodation_notice",
        handling=_TEST,
        payload=TemporaryAccommodationPayload(
            application_reference=f"TEST-H-{number}",
            placed_on=date(2026, 11, 20),
            placed_in_authority="E99999999",
            accommodation_kind=AccommodationKind.REFUGE,
            reason_for_homelessness="violence in the home",
            address_line=REFUGE,
            postcode=REFUGE_POSTCODE,
            agreed_on=date(2026, 11, 2),
            agreed_by=AgreedBy.PARENT,
        ),
    )


def first_chapter() -> list[tuple[Event, str]]:
    """(event, the publisher's own case reference), in the order in which they happen."""
    return [
        (incident(), "TEST-4711"),
        (attendance(), "ED-1"),
        (protection_plan(), "CSC-1"),
        (moved_to_temporary_accommodation(1), "H-1"),
    ]
