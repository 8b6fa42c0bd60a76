"""
Where do families and events come from that are about nobody?

Seeded: the same seed gives the same people and the same events, byte for byte. NHS numbers are from the block
999 000 0000 to 999 999 9999 that is never issued, telephone numbers from Ofcom's drama ranges, postcodes from ZZ99.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from safebus.schemas.events import (
    Address,
    ChildAtIncident,
    ClaimedBasis,
    EncompassPayload,
    Handling,
    OperationEncompass,
    Person,
    PersonRole,
    RiskGrade,
    SafeAddress,
    SafeKind,
    Sender,
)
from safebus.schemas.identifiers import derived_id

_GIVEN = ("Ada", "Bilal", "Chloe", "Dev", "Ella", "Femi", "Grace", "Hana", "Isaac", "Jun", "Kit", "Lena", "Mo")
_FAMILY = (
    "Abara",
    "Brook",
    "Costa",
    "Dunn",
    "Eze",
    "Farah",
    "Green",
    "Hale",
    "Ivers",
    "Jones",
    "Khan",
    "Lowe",
    "Marsh",
)
_STREETS = ("Mill Lane", "Station Road", "Orchard Way", "Church Hill", "Canal Street")


@dataclass(frozen=True)
class Family:
    """A family that does not exist. `number` tells families of one seed apart."""

    number: int
    children: tuple[Person, ...]
    mother: Person
    suspect: Person


def nhs_numbers(start: int = 0) -> Iterator[str]:
    """
    Valid NHS numbers of the block that is never issued, in order.

    Source: NHS Data Dictionary, NHS NUMBER (modulus 11); the test block 999 is never issued.
    """
    for body in range(999_000_000 + start, 1_000_000_000):
        digits = f"{body:09d}"
        check = 11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            yield digits + str(check % 11)


def families(seed: int, count: int) -> list[Family]:
    """So many families, always the same for a seed."""
    chance = random.Random(seed)  # noqa: S311 - made-up people, not secrets
    numbers = nhs_numbers(start=20_000 + seed % 1000 * 900)
    return [_family(i, chance, numbers) for i in range(count)]


def _family(number: int, chance: random.Random, numbers: Iterator[str]) -> Family:
    name = chance.choice(_FAMILY)
    home = Address(
        lines=(f"{chance.randint(1, 99)} {chance.choice(_STREETS)}", "Fordham"),
        postcode=f"ZZ99 {chance.randint(1, 9)}{chance.choice('ABDEFGHJ')}{chance.choice('LNPQRSTU')}",
        local_authority="E99999999",
    )
    children = tuple(
        Person(
            ref=f"child-{i}",
            role=PersonRole.CHILD,
            given_name=chance.choice(_GIVEN),
            family_name=name,
            date_of_birth=date(2010, 1, 1) + timedelta(days=chance.randint(0, 5000)),
            nhs_number=next(numbers),
            home_address=home,
        )
        for i in range(chance.randint(1, 3))
    )
    mother = Person(
        ref="mother",
        role=PersonRole.ADULT_VICTIM,
        given_name=chance.choice(_GIVEN),
        family_name=name,
        relationship="mother",
        nhs_number=next(numbers),
        phone=f"07700 900{chance.randint(0, 999):03d}",
        safe_to_call=chance.random() < 0.5,
        safe_address=SafeAddress(lines=(f"Refuge {number}",), postcode="ZZ99 9ZZ", kind=SafeKind.REFUGE),
    )
    suspect = Person(
        ref="suspect",
        role=PersonRole.ALLEGED_PERPETRATOR,
        given_name=chance.choice(_GIVEN),
        family_name=chance.choice(_FAMILY),
        relationship="mother's partner",
        nhs_number=next(numbers),
    )
    return Family(number, children, mother, suspect)


def incidents(seed: int, family: Family, count: int, *, agency: str, since: datetime) -> list[OperationEncompass]:
    """So many incidents in one family, a day apart, always the same for a seed."""
    chance = random.Random(seed * 100_003 + family.number)  # noqa: S311 - made-up events
    return [_incident(seed, family, i, chance, agency, since + timedelta(days=i)) for i in range(count)]


def _incident(
    seed: int, family: Family, number: int, chance: random.Random, agency: str, at: datetime
) -> OperationEncompass:
    name = f"TEST-{seed}-{family.number}-{number}"
    return OperationEncompass(
        event_id=derived_id("sample", agency, name),
        correlation_id=name,
        occurred_at=at,
        recorded_at=at + timedelta(hours=1),
        published_at=at + timedelta(hours=1, minutes=5),
        publisher=Sender(agency=agency, org_scheme="CJS-OU", org_code="99", org_name="A police force"),
        subjects=(*family.children, family.mother, family.suspect),
        claimed_basis=ClaimedBasis(art6="A6-1-c", gateway="DAA21-49A"),
        purpose="safeguarding",
        handling=Handling(obligations=("HTEST",)),
        payload=EncompassPayload(
            police_reference=name,
            incident_type="domestic abuse",
            circumstances="made up for a test",
            risk_grade=chance.choice(list(RiskGrade)),
            previous_incidents=number,
            children=tuple(
                ChildAtIncident(subject_ref=child.ref, present=chance.random() < 0.7, spoken_to=chance.random() < 0.5)
                for child in family.children
            ),
        ),
    )


def register_text(families_: list[Family], *, school: str, hub_roles: tuple[tuple[str, str], ...] = ()) -> str:
    """
    The YAML that makes these families known: the children at one school, and in the care of others.

    Args:
        hub_roles: (partner, role) of further involvements of every child.
    """
    people, ties = [], []
    for family in families_:
        for person in (*family.children, family.mother, family.suspect):
            alias = f"f{family.number}-{person.ref}"
            people.append(f'  - {{alias: {alias}, nhs_number: "{person.nhs_number}"}}')
        for child in family.children:
            for partner, role in ((school, "attends_school"), *hub_roles):
                ties.append(f"  - {{person: f{family.number}-{child.ref}, partner: {partner}, role: {role}}}")
    return "people:\n" + "\n".join(people) + "\ninvolvements:\n" + "\n".join(ties) + "\n"
