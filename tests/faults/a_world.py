"""
Who may learn of what in the world of these tests, and how do we know without asking the product?

By construction. Every case is one child at two schools, and the suspect governs one of the two:

    case even: the suspect governs `beech`   case odd: the suspect governs `ash`

so each event has four recipients that must have it and two that must not, and nobody needs the product's rules to
say which. Two of the receivers show what reaches them in a way of their own: `hub` drops an id it has seen, as a
Standard Webhooks receiver should; `haven` keeps whatever comes, so what is sent twice is seen twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

from safebus.deploy.local.up import DEMO_REGISTER
from safebus.producers.samples import nhs_numbers
from safebus.schemas import codec, headers, topics
from safebus.schemas.events import (
    AccommodationKind,
    AgreedBy,
    ChildAtIncident,
    ClaimedBasis,
    EncompassPayload,
    Event,
    Handling,
    OperationEncompass,
    Person,
    PersonRole,
    RiskGrade,
    Sender,
    TemporaryAccommodation,
    TemporaryAccommodationPayload,
)
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.writer import Message

POLICE, HOUSING = "north-police", "north-housing"
HUB, HAVEN, HEALTH, ASH, BEECH, PRACTICE = "hub", "haven", "health", "ash", "beech", "practice"
RECIPIENTS = (HUB, HAVEN, HEALTH, ASH, BEECH, PRACTICE)
CASES = 24
PURPOSE = "temporary_accommodation_notice"

_AT = datetime(2026, 11, 20, 21, 40, tzinfo=UTC)
_NUMBERS = list(islice(nhs_numbers(start=700_000), 2 * CASES))


@dataclass(frozen=True)
class Sent:
    """One event that was published: the input that everything else is judged by."""

    event_id: str
    case: int


@dataclass
class Story:
    """
    What one test publishes.

    Args:
        name: Makes the ids of its events its own.
    """

    name: str
    published: list[Sent] = field(default_factory=list)

    def incidents(self, count: int) -> list[Message]:
        """So many more incidents, in turn over the cases, ready to be written."""
        first = len(self.published)
        events = [incident(derived_id("fault", self.name, str(n)), n % CASES) for n in range(first, first + count)]
        return [self.tell(event, case=n % CASES) for n, event in enumerate(events, start=first)]

    def tell(self, event: Event, *, case: int) -> Message:
        """An event as its agency's message; remembered as published."""
        self.published.append(Sent(event.event_id, case))
        agency = event.publisher.agency
        about = headers.cloud_event(id=event.event_id, source=agency, type=event.event_type)
        return Message(topics.published_by(agency), f"case-{case:02}".encode(), codec.encode(event), about)


def permitted(case: int) -> set[str]:
    """Who must have an incident of this case."""
    return {HUB, HAVEN, HEALTH, ASH if case % 2 == 0 else BEECH}


def refused(case: int) -> set[str]:
    """Who must not: the general practice has no agreement, and the suspect governs one school."""
    return {PRACTICE, BEECH if case % 2 == 0 else ASH}


def child(case: int) -> Person:
    return Person(
        ref="child",
        role=PersonRole.CHILD,
        given_name="Test",
        family_name=f"Case-{case}",
        date_of_birth=date(2015, 3, 2),
        nhs_number=_NUMBERS[2 * case],
    )


def incident(event_id: str, case: int) -> OperationEncompass:
    suspect = Person(ref="suspect", role=PersonRole.ALLEGED_PERPETRATOR, nhs_number=_NUMBERS[2 * case + 1])
    return OperationEncompass(
        event_id=event_id,
        occurred_at=_AT,
        recorded_at=_AT,
        published_at=_AT,
        publisher=Sender(agency=POLICE, org_scheme="CJS-OU", org_code="99", org_name="A police force"),
        subjects=(child(case), suspect),
        claimed_basis=ClaimedBasis(art6="A6-1-c", gateway="DAA21-49A"),
        purpose="safeguarding",
        handling=Handling(obligations=("HTEST",)),
        payload=EncompassPayload(
            police_reference="TEST",
            incident_type="domestic abuse",
            circumstances="made up for a test",
            risk_grade=RiskGrade.HIGH,
            children=(ChildAtIncident(subject_ref="child", present=True, spoken_to=False),),
        ),
    )


def placement(event_id: str, case: int) -> TemporaryAccommodation:
    """An event that only the family's agreement lets anyone have; `haven` alone would get it."""
    return TemporaryAccommodation(
        event_id=event_id,
        occurred_at=_AT,
        recorded_at=_AT,
        published_at=_AT,
        publisher=Sender(agency=HOUSING, org_scheme="GSS", org_code="E99999999", org_name="A housing authority"),
        subjects=(child(case),),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="LA11-1", confidentiality="CLDC-CONSENT"),
        purpose=PURPOSE,
        handling=Handling(obligations=("HTEST",)),
        payload=TemporaryAccommodationPayload(
            application_reference="TEST",
            placed_on=date(2026, 11, 20),
            placed_in_authority="E99999999",
            accommodation_kind=AccommodationKind.REFUGE,
            reason_for_homelessness="made up for a test",
            address_line="none",
            postcode="ZZ99 9ZZ",
            agreed_on=date(2026, 11, 2),
            agreed_by=AgreedBy.PARENT,
        ),
    )


def write_register(folder: Path) -> Path:
    """The register of this world, as an operator would write it."""
    folder.mkdir(parents=True)
    (folder / "bases.yaml").write_text((DEMO_REGISTER / "bases.yaml").read_text("utf-8"), "utf-8")
    (folder / "partners.yaml").write_text(_PARTNERS, "utf-8")
    (folder / "agreements.yaml").write_text(_ENCOMPASS, "utf-8")
    (folder / "placements.yaml").write_text(_PLACEMENTS, "utf-8")
    (folder / "people.yaml").write_text(_people(), "utf-8")
    return folder


def _people() -> str:
    people, ties, adverse, agreed = [], [], [], []
    for case in range(CASES):
        people.append(f'  - {{alias: child-{case}, nhs_number: "{_NUMBERS[2 * case]}"}}')
        people.append(f'  - {{alias: suspect-{case}, nhs_number: "{_NUMBERS[2 * case + 1]}"}}')
        roles = (
            (ASH, "attends_school"),
            (BEECH, "attends_school"),
            (HEALTH, "health_visiting"),
            (PRACTICE, "registered_patient"),
            (HAVEN, "family_support"),
        )
        ties += [f"  - {{person: child-{case}, partner: {partner}, role: {role}}}" for partner, role in roles]
        governs = BEECH if case % 2 == 0 else ASH
        adverse.append(f"  - {{person: suspect-{case}, partner: {governs}, relation: school governor}}")
        agreed.append(
            f"  - {{person: child-{case}, meaning: service_agreement, purpose: {PURPOSE}, state: given, "
            "decided_at: 2026-11-02T10:15:00Z, expressed_by: parent, method: made up for a test}"
        )
    return "\n".join(
        [
            *("people:", *people, "involvements:", *ties, "affiliations:", *adverse, "consents:", *agreed),
            f"subscriptions:\n  - {{partner: {HUB}, event_type: police.encompass.v1}}\n",
        ]
    )


def _partner(name: str, sector: str, flags: str = "") -> str:
    return (
        f"  - {{partner: {name}, name: {name}, sector: {sector}, org_type: public_authority, "
        f"flags: [{flags}], call: '{name} duty desk, 01632 960100'}}\n"
    )


_PARTNERS = "partners:\n" + "".join(
    [
        _partner(POLICE, "police", "s11_body, cda115_authority"),
        _partner(HOUSING, "housing"),
        _partner(HUB, "mash", "s11_body, cda115_authority"),
        _partner(HAVEN, "mash", "s11_body, cda115_authority"),
        _partner(HEALTH, "health", "s11_body, cda115_authority"),
        _partner(ASH, "school"),
        _partner(BEECH, "school"),
        _partner(PRACTICE, "health"),
    ]
)


def _flow(name: str, to: str, interest: str, power: str) -> str:
    return f"""
  - flow: {name}
    event_type: police.encompass.v1
    from: [{POLICE}]
    to: [{to}]
    purpose: safeguarding
    interest: [{interest}]
    basis: {{art6: A6-1-e, power_or_duty: {power}, confidentiality: CLDC-OPI}}
    objection_reason: risk of significant harm to a child
    release: {{event: [ENVELOPE, INCIDENT_FACT], subject: [ID_CORE]}}
"""


def _parties(*names: str) -> str:
    return "".join(f"  - {{partner: {name}, signed_by: A director, signed_on: 2025-11-03}}\n" for name in names)


_ENCOMPASS = (
    "agreement: north-encompass\nversion: 1\ntitle: Operation Encompass in a test\nstatus: active\n"
    "territory: england\neffective_from: 2025-11-07\nreview_by: 2027-06-30\nparties:\n"
    + _parties(POLICE, HUB, HAVEN, HEALTH, ASH, BEECH)
    + "flows:"
    + _flow("to-hub", HUB, "subscription", "CDA98-115")
    + _flow("to-haven", HAVEN, "family_support", "CDA98-115")
    + _flow("to-health", HEALTH, "health_visiting", "CDA98-115")
    + _flow("to-schools", f"{ASH}, {BEECH}", "attends_school", "DAA21-49A")
)

_PLACEMENTS = (
    "agreement: north-placements\nversion: 1\ntitle: Telling of a move, with agreement\nstatus: active\n"
    "territory: england\neffective_from: 2026-09-01\nreview_by: 2027-08-31\nparties:\n"
    + _parties(HOUSING, HAVEN)
    + f"""flows:
  - flow: to-support
    event_type: housing.temporary-accommodation.v1
    from: [{HOUSING}]
    to: [{HAVEN}]
    purpose: {PURPOSE}
    interest: [family_support]
    consent: service_agreement
    basis: {{art6: A6-1-e, power_or_duty: LA11-1, confidentiality: CLDC-CONSENT}}
    release: {{event: [ENVELOPE, HOUSING_FACT], subject: [ID_CORE]}}
"""
)
