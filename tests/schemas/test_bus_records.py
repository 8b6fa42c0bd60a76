"""The bus's own records: classes and schemas say the same, and every record survives its journey."""

import json
from importlib import resources
from typing import Any

import mirror
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from random_events import changed, records

from safebus.schemas import bus_records, codec, gate
from safebus.schemas.bus_records import (
    BusRecord,
    DecisionRecord,
    Notification,
    Operation,
    Quarantined,
    Receipt,
    RegisterRecord,
)
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import bus_schemas, fingerprint_of

KINDS: list[type[BusRecord]] = [DecisionRecord, Notification, Operation, Quarantined, Receipt, RegisterRecord]
FOLDER = resources.files("safebus.schemas") / "avro" / "bus"


def raw_of(kind: type[BusRecord]) -> Any:
    return json.loads((FOLDER / f"{kind.SCHEMA}.avsc").read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_the_bus_says_what_its_schema_says(kind: type[BusRecord]) -> None:
    assert mirror.of_class(kind) == mirror.of_avro(raw_of(kind))


def test_every_schema_of_the_bus_has_its_class() -> None:
    assert sorted(kind.SCHEMA for kind in KINDS) == sorted(
        entry.name.removesuffix(".avsc") for entry in FOLDER.iterdir() if entry.is_file()
    )


def test_the_comparison_sees_a_difference_deep_inside() -> None:
    raw = changed(raw_of(DecisionRecord))
    answers = next(f for f in raw["fields"] if f["name"] == "answers")
    answers["type"]["items"]["fields"][4]["type"]["symbols"].reverse()

    assert mirror.of_class(DecisionRecord) != mirror.of_avro(raw)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_record_of_the_bus_survives_its_journey(kind: type[BusRecord], data: st.DataObject) -> None:
    record = kind.model_validate(data.draw(records(raw_of(kind))))

    value = codec.encode_record(record)

    assert codec.decode_record(value, kind) == record
    assert codec.encode_record(codec.decode_record(value, kind)) == value


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_record_is_read_only_as_what_it_is(kind: type[BusRecord], data: st.DataObject) -> None:
    value = codec.encode_record(kind.model_validate(data.draw(records(raw_of(kind)))))

    for other in set(KINDS) - {kind}:
        with pytest.raises(Refused, match=rf"^UNKNOWN_SCHEMA: expected a `{other.SCHEMA}` record of this version"):
            codec.decode_record(value, other)


def test_a_record_of_the_bus_cannot_be_changed_or_extended() -> None:
    reason = bus_records.Reason(code="consent_withdrawn", rule="R04", about="CON-1")

    with pytest.raises(ValidationError, match="frozen"):
        reason.code = "other"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        bus_records.Reason.model_validate({"code": "a", "rule": "b", "about": "c", "name": "d"})


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(data=st.data())
def test_a_record_written_under_an_earlier_schema_can_still_be_read(kind: type[BusRecord], data: st.DataObject) -> None:
    """Decisions are kept for years. What the record did not say then has the default that the schema gives."""
    for raw in versions_of(kind):
        fingerprint = fingerprint_of(raw)
        plain = data.draw(records(raw))
        value = gate.MARKER + fingerprint + gate.write(plain, bus_schemas(kind.SCHEMA)[fingerprint])

        read = codec.decode_record(value, kind)

        assert read.model_dump(include=set(plain)).keys() == plain.keys()
        assert codec.encode_record(read, like=value) == value


def versions_of(kind: type[BusRecord]) -> list[Any]:
    """Every schema that records of this kind were ever written under, the present one last."""
    past = FOLDER / "released" / kind.SCHEMA
    files = sorted(past.iterdir(), key=lambda entry: entry.name) if past.is_dir() else []
    return [*(json.loads(entry.read_text()) for entry in files), raw_of(kind)]


def test_the_first_decision_records_can_still_be_read() -> None:
    assert len(bus_schemas("decision")) == 4
