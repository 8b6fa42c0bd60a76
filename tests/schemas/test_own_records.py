"""What the bus did not write is told from what it did, and said by its place."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from safebus.schemas import codec
from safebus.schemas.bus_records import Receipt, RegisterRecord
from safebus.schemas.gate import Damaged, GateReason
from safebus.schemas.own_records import IN_NO_TRANSACTION, NOT_THIS_TOPICS, Strange, own_record

RECORD = RegisterRecord(
    record_id="partner/ash",
    kind="partner",
    recorded_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    recorded_by="t",
    reason="t",
    body=None,
)
VALUE = codec.encode_record(RECORD)


def message(value: bytes | None = VALUE, headers: Any = ()) -> Any:
    return SimpleNamespace(topic="receipts.ash", partition=2, offset=7, value=value, headers=headers)


def test_what_the_bus_wrote_is_given() -> None:
    assert own_record(message(), RegisterRecord) == RECORD
    assert own_record(message(headers=[("", None), ("x", b"")]), RegisterRecord, belongs=lambda r: True) == RECORD


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (message(None), "UNKNOWN_SCHEMA"),
        (message(b"junk"), "UNKNOWN_SCHEMA"),
        (message(VALUE[:-1]), "TRUNCATED"),
        (message(VALUE + b"\0"), "TRAILING_BYTES"),
        (message(headers=[(Damaged("", GateReason.IN_TRANSACTION, "-"), None)]), "IN_TRANSACTION"),
    ],
)
def test_anything_else_is_strange_and_has_its_place(found: Any, reason: str) -> None:
    strange = own_record(found, RegisterRecord)

    assert strange == Strange("receipts.ash", 2, 7, reason)
    assert str(strange) == f"receipts.ash/2/7 ({reason})"


def test_where_records_stand_in_transactions_what_stands_in_none_is_strange() -> None:
    """The worker writes its decisions under an id that nobody else may use."""
    inside = [(Damaged("", GateReason.IN_TRANSACTION, "-"), None)]

    assert own_record(message(headers=inside), RegisterRecord, in_transaction=True) == RECORD
    assert own_record(message(), RegisterRecord, in_transaction=True) == Strange(
        "receipts.ash", 2, 7, IN_NO_TRANSACTION
    )


def test_so_is_a_record_of_another_kind_or_of_somebody_else() -> None:
    assert isinstance(own_record(message(), Receipt), Strange)
    assert own_record(message(), RegisterRecord, belongs=lambda r: r.kind == "basis") == Strange(
        "receipts.ash", 2, 7, NOT_THIS_TOPICS
    )
