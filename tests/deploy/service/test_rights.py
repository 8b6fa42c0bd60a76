"""Who may do what, as one table, whatever a broker makes of it."""

from __future__ import annotations

import pytest

from safebus.deploy.service import rights
from safebus.deploy.service.rights import of_bus
from safebus.schemas.kafka.allowed import Allowed, Of, Right, missing

PARTNERS = ("police", "mash", "mash-two")
RIGHTS = of_bus(PARTNERS, PARTNERS, importers=["mash"], operators=["op-anna"])


def test_only_the_worker_writes_notifications_and_only_an_agency_its_events() -> None:
    """The table itself, whatever a broker makes of it."""

    def who(operation: str, topic: str) -> set[str]:
        return {
            r.principal
            for r in RIGHTS
            if r.of is Of.TOPIC
            and r.operation == operation
            and (topic.startswith(r.name) if r.prefixed else topic == r.name)
        }

    assert who("WRITE", "out.mash") == {"worker"}
    assert who("WRITE", "decisions") == {"worker"}
    assert who("WRITE", "register") == {"registrar"}
    assert who("WRITE", "in.police") == {"police"}
    assert who("READ", "in.police") == {"worker", "auditor", "op-anna"}
    assert who("READ", "out.mash") == {"adapter-mash", "auditor", "op-anna"}
    assert who("WRITE", "receipts.mash") == {"adapter-mash", "op-anna"}  # a name that begins so is another's
    assert who("WRITE", "quarantine") == {"worker", "importer-mash"}
    assert {r.operation for r in RIGHTS} <= {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"}
    assert {r.principal for r in RIGHTS if r.of is Of.TRANSACTIONAL_ID} == {"worker"}


def test_a_right_is_missing_also_where_nothing_is_shown() -> None:
    nothing = Allowed({})

    found = missing(rights.of_adapter("mash"), nothing)

    assert [str(right) for right in found] == [
        "READ on topic `out.mash`",
        "READ on topic `receipts.mash`",
        "READ on topic `register`",
        "WRITE on topic `receipts.mash`",
        "WRITE on topic `parked.mash`",
        "READ on group `adapter-mash`",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("worker", rights.of_worker()),
        ("registrar", rights.of_registrar()),
        ("auditor", rights.of_auditor()),
        ("police", rights.of_publisher("police")),
        ("adapter-mash", rights.of_adapter("mash")),
        ("importer-mash", rights.of_importer("mash")),
        ("op-anna", rights.of_operator("op-anna")),
        ("adapter-nobody", rights.of_operator("adapter-nobody")),
    ],
)
def test_a_name_in_a_certificate_says_what_it_should_have(name: str, expected: list[Right]) -> None:
    assert rights.of_principal(name, PARTNERS) == expected
