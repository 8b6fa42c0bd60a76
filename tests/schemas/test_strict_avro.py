"""
What is read by the letter is what fastavro reads of well-written bytes, and every lie is named with its place.

That each lie has its reason is shown in `test_gate.py`, on whole events; here is what events do not hold.
"""

from importlib import resources

import fastavro
import pytest
from a_pieces import long, string
from hypothesis import given, settings
from hypothesis import strategies as st
from random_events import TYPES, records

from safebus.deploy.local.demo import story
from safebus.schemas import codec, gate, strict_avro
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import bus_schema, event_schemas, load
from safebus.schemas.events import Event
from safebus.schemas.gate_reasons import GateReason

BUS = ("decision", "notification", "operation", "quarantined", "receipt", "register")
SMALL = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Small",
        "fields": [
            {"name": "number", "type": "int"},
            {"name": "numbers", "type": {"type": "array", "items": {"type": "long"}}},
            {"name": "data", "type": "bytes"},
        ],
    }
)
read_small = strict_avro.reader_of(SMALL)


@pytest.mark.parametrize("event", [story.incident(), story.attendance()])
def test_a_schema_that_nobody_has_used_yet_reads_the_same(event: Event) -> None:
    """A schema keeps its reader, and other tests may have had it made; whatever made this one is seen here."""
    fresh = load(resources.files("safebus.schemas") / "avro").of(event.event_type)
    kept, body = event_schemas().of(event.event_type), codec.encode(event)[10:]

    assert fresh.read_strictly(body) == kept.read_strictly(body)
    assert fresh.read_strictly(body)["event_id"] == event.event_id


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_of_what_was_written_as_fastavro_writes_it_reads_the_same(event_type: str, data: st.DataObject) -> None:
    """Also what the world does not allow: this asks Avro alone."""
    schema = event_schemas().of(event_type)
    record = data.draw(records(schema.raw))

    assert schema.read_strictly(gate.write(record, schema.parsed)) == record


@pytest.mark.parametrize("name", BUS)
@settings(max_examples=20)
@given(data=st.data())
def test_records_of_the_bus_itself_are_read_too(name: str, data: st.DataObject) -> None:
    parsed = bus_schema(name)
    record = data.draw(records(parsed))

    assert strict_avro.reader_of(parsed)(gate.write(record, parsed)) == record


@pytest.mark.parametrize("number", [0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31)])
def test_a_number_of_32_bits_is_read(number: int) -> None:
    body = long(number) + long(2) + long(2**63 - 1) + long(-(2**63)) + long(0) + string("x")

    assert read_small(body) == {"number": number, "numbers": [2**63 - 1, -(2**63)], "data": b"x"}


@pytest.mark.parametrize(
    ("body", "reason", "where"),
    [
        # Five bytes hold 35 bits, and fastavro lets them.
        (long(2**31), GateReason.NUMBER_OUT_OF_RANGE, "`number`, byte 0"),
        (long(-(2**31) - 1), GateReason.NUMBER_OUT_OF_RANGE, "`number`, byte 0"),
        (long(1) + long(2) + long(1) + b"\x80\x00", GateReason.OVERLONG_NUMBER, "`numbers[1]`, byte 3"),
        (long(1) + long(1) + long(1) + long(-1) + long(1), GateReason.TRUNCATED, "`numbers`, byte 3"),
        (long(1) + long(-1) + long(3) + long(1) + string("x"), GateReason.BAD_BLOCK, "`numbers`, byte 1"),
        (long(1) + long(0) + long(2) + b"x", GateReason.TRUNCATED, "`data`, byte 2"),
        (long(1) + long(0) + long(-2), GateReason.IMPOSSIBLE_VALUE, "`data`, byte 2"),
    ],
)
def test_a_lie_is_named_with_its_field_and_its_byte(body: bytes, reason: GateReason, where: str) -> None:
    with pytest.raises(Refused) as refused:
        read_small(body)

    assert refused.value.reason == reason
    assert refused.value.detail.startswith(f"{where} of the Avro body: ")
