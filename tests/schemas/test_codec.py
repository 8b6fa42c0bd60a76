"""
An event becomes bytes and comes back; and another Avro library agrees with every byte.

Second opinion: avro-python3 1.10.2 shares no code with fastavro, by which we read and write.
"""

import io
import json
from typing import Any

import avro.io
import avro.schema
import pytest
from a_pieces import long, string
from hypothesis import given, settings
from hypothesis import strategies as st
from random_events import (
    CANARIES,
    TYPES,
    a_plain_event,
    a_record,
    an_event,
    as_plain_avro,
    bytes_of,
    changed,
    event_records,
    events,
    records,
)

from safebus.schemas import codec, gate
from safebus.schemas.bus_records import (
    BusRecord,
    DecisionRecord,
    Notification,
    Operation,
    Quarantined,
    Receipt,
    RegisterRecord,
)
from safebus.schemas.errors import BadSchema, Refused
from safebus.schemas.event_schemas import EventSchema, EventSchemas, bus_schema, event_schemas
from safebus.schemas.events import EVENT_CLASSES, Event

KINDS: dict[str, type[BusRecord]] = {
    kind.SCHEMA: kind for kind in (DecisionRecord, Notification, Quarantined, Receipt, RegisterRecord)
}
_PARSED = {name: avro.schema.parse(json.dumps(event_schemas().of(name).raw)) for name in TYPES}


def written_by_avro_python3(schema: Any, plain: Any) -> bytes:
    out = io.BytesIO()
    avro.io.DatumWriter(schema).write(plain, avro.io.BinaryEncoder(out))
    return out.getvalue()


def read_by_avro_python3(schema: Any, body: bytes) -> Any:
    source = io.BytesIO(body)
    plain = avro.io.DatumReader(schema, schema).read(avro.io.BinaryDecoder(source))
    assert source.read() == b""
    return plain


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_an_event_survives_its_journey(event_type: str, data: st.DataObject) -> None:
    event = data.draw(events(event_type))

    value = codec.encode(event)
    received = codec.decode(value)

    assert received.event == event
    assert received.value == value
    assert received.schema is event_schemas().of(event_type)
    assert codec.encode(received.event) == value


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_another_avro_library_writes_the_same_bytes_and_reads_the_same_values(
    event_type: str, data: st.DataObject
) -> None:
    record = data.draw(event_records(event_type))
    raw, parsed = event_schemas().of(event_type).raw, _PARSED[event_type]

    value = codec.encode(EVENT_CLASSES[event_type].model_validate(record))
    plain = as_plain_avro(raw, record)

    assert value[10:] == written_by_avro_python3(parsed, plain)
    assert read_by_avro_python3(parsed, value[10:]) == plain
    assert as_plain_avro(raw, codec.decode(value).record) == plain


@pytest.mark.parametrize("name", sorted(KINDS))
@settings(max_examples=30)
@given(data=st.data())
def test_another_avro_library_agrees_on_the_records_of_the_bus(name: str, data: st.DataObject) -> None:
    raw = _plain_names(changed(bus_schema(name)))
    record = data.draw(records(raw))
    parsed = avro.schema.parse(json.dumps(raw))

    value = codec.encode_record(KINDS[name].model_validate(record))
    plain = as_plain_avro(raw, record)

    assert value[10:] == written_by_avro_python3(parsed, plain)
    assert read_by_avro_python3(parsed, value[10:]) == plain


def test_a_value_is_a_single_object_encoding() -> None:
    """Source: Avro 1.11 specification, Single-object encoding."""
    event = an_event("identity.change.v1")

    value = codec.encode(event)

    assert value[:2] == b"\xc3\x01"
    assert value[2:10] == event_schemas().of("identity.change.v1").fingerprint
    assert value[10:] == written_by_avro_python3(
        _PARSED["identity.change.v1"], as_plain_avro(event_schemas().of("identity.change.v1").raw, event.model_dump())
    )


def test_an_event_without_a_schema_is_an_error() -> None:
    none = EventSchemas(current={}, by_fingerprint={}, released={})

    with pytest.raises(BadSchema, match=r"^no schema for event type `police\.encompass\.v1`"):
        codec.encode(an_event(), schemas=none)


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"event_id": "CANARY"}, "event_id", "an event id is a UUID in lower case"),
        (
            {"purpose": ""},
            "purpose",
            "must be a code of a-z, 0-9 and `_`, at most 60 characters, such as `safeguarding`",
        ),
        ({"sequence": -1}, "sequence", "greater than or equal to 0"),
        ({"event_type": "care.protection-plan.v1"}, "event", "event_type must be `police.encompass.v1`"),
        ({"subjects": []}, "event", "no subject has role CHILD, UNBORN_CHILD or PERSON"),
        ({"publisher": {"agency": "Canary Jane"}}, "publisher.agency", "an agency id has 2-40 characters"),
        ({"subjects": [{"nhs_number": "9990079195"}]}, "subjects.0.nhs_number", "the check digit of this NHS number"),
        ({"subjects": [{"nhs_number": "CANARY"}]}, "subjects.0.nhs_number", "an NHS number has 10 digits"),
        ({"subjects": [{"upn": "CANARY"}]}, "subjects.0.upn", "a UPN is a letter"),
        ({"subjects": [{"works_for": ["Canary Jane"]}]}, "subjects.0.works_for.0", "an agency id has 2-40 characters"),
        ({"payload": {"children": [{"subject_ref": "CANARY"}]}}, "event", "a `subject_ref` that no subject has"),
    ],
)
def test_what_avro_allows_and_the_world_does_not_is_refused_by_field(
    changes: dict[str, Any], where: str, says: str
) -> None:
    """Once, a wrong check digit was not refused but raised, and one such event stopped the worker."""
    record = _merged(a_record(), changes)

    with pytest.raises(Refused) as refused:
        codec.decode(bytes_of(record, event_schemas().of("police.encompass.v1")))

    assert refused.value.reason == gate.GateReason.IMPOSSIBLE_VALUE
    assert refused.value.detail.startswith(f"`{where}`: ")
    assert says in refused.value.detail
    assert not any("anary" in part.lower() for part in (str(refused.value), refused.value.detail))


def test_a_tighter_limit_can_be_asked_for() -> None:
    value = codec.encode(an_event())

    with pytest.raises(Refused, match=rf"^TOO_LARGE: found {len(value)} bytes, expected at most 100$"):
        codec.decode(value, limits=gate.Limits(value_bytes=100))


def test_bytes_of_an_older_version_are_read_as_the_current_one() -> None:
    """With the default in the new field; the bytes stay as they came, since their digest is on record."""
    old = event_schemas().of("police.encompass.v1")
    raw = changed(old.raw)
    raw["fields"][-1]["type"]["fields"].append(
        {"name": "force_area", "type": ["null", "string"], "default": None, "dataClass": "PUBLISHER", "since": 2}
    )
    new = EventSchema(old.event_type, 2, raw)
    both = EventSchemas(
        current={old.event_type: new},
        by_fingerprint={old.fingerprint: old, new.fingerprint: new},
        released={old.event_type: (old,)},
    )
    value = codec.encode(an_event())

    schema, record, _ = gate.decode(value, both)

    assert schema is new
    assert record["payload"].pop("force_area", "missing") is None
    assert record == codec.decode(value).record


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_whatever_is_written_under_the_schema_is_read_or_refused(event_type: str, data: st.DataObject) -> None:
    """Avro allows far more than the world; no such event may raise anything but Refused, or show a value."""
    record = data.draw(records(event_schemas().of(event_type).raw, signs=CANARIES))

    try:
        received = codec.decode(bytes_of(record, event_schemas().of(event_type)))
    except Refused as refused:
        assert not set(CANARIES) & set(str(refused))
        assert refused.reason == gate.GateReason.IMPOSSIBLE_VALUE
    else:
        assert isinstance(received.event, Event)


def test_a_record_of_the_bus_from_another_version_is_refused() -> None:
    with pytest.raises(Refused, match=r"^UNKNOWN_SCHEMA: expected a `register` record of this version of safebus$"):
        codec.decode_record(b"\xc3\x01" + bytes(8), RegisterRecord)
    with pytest.raises(Refused, match=r"^UNKNOWN_SCHEMA: "):
        codec.decode_record(b"", RegisterRecord)


def test_a_record_of_the_bus_with_bytes_too_many_is_refused() -> None:
    record = RegisterRecord(
        record_id="r", kind="k", recorded_at=an_event().recorded_at, recorded_by="htest", reason="x", body=None
    )

    with pytest.raises(Refused, match=r"^TRAILING_BYTES: 1 bytes follow the record; expected none$"):
        codec.decode_record(codec.encode_record(record) + b"\0", RegisterRecord)


def test_an_operation_in_blocks_is_not_what_the_bus_writes() -> None:
    operation = Operation(
        operation_id="o",
        at=an_event().recorded_at,
        certificate="",
        system_user="htest",
        what="publish",
        about=("CANARY",),
        number=1,
        reason="x",
    )
    value, items = codec.encode_record(operation), string("CANARY")
    cut = value.replace(long(1) + items, long(-1) + long(len(items)) + items)

    assert cut != value
    with pytest.raises(Refused, match=r"^NOT_CANONICAL: encoding this record again gives other bytes"):
        codec.decode_record(cut, Operation)


@settings(max_examples=10)
@given(data=st.data())
def test_a_record_of_the_bus_in_blocks_is_not_the_buss(data: st.DataObject) -> None:
    """Events may come so; what the bus writes itself is compared as bytes, and nobody else writes it."""
    drawn = data.draw(records(bus_schema(Notification.SCHEMA)))
    value = codec.encode_record(Notification.model_validate(drawn | {"labels": ["CANARY-OF-ITS-OWN"]}))
    items = string("CANARY-OF-ITS-OWN")
    cut = value.replace(long(1) + items, long(-1) + long(len(items)) + items)

    assert cut != value
    with pytest.raises(Refused, match=r"^NOT_CANONICAL: "):
        codec.decode_record(cut, Notification)


def _merged(plain: Any, changes: Any) -> Any:
    if isinstance(changes, dict):
        return plain | {name: _merged(plain.get(name), value) for name, value in changes.items()}
    if isinstance(changes, list) and changes and isinstance(changes[0], dict):
        return [_merged(old, new) for old, new in zip(plain, changes, strict=True)]
    return changes


def _plain_names(node: Any) -> Any:
    """As in the file: fastavro's parsed form carries full names and marks of its own."""
    if isinstance(node, list):
        return [_plain_names(inner) for inner in node]
    if isinstance(node, dict):
        return {k: _plain_names(v) for k, v in node.items() if not k.startswith("__")}
    return node


def test_the_examples_here_are_the_smallest_events() -> None:
    assert all(codec.decode(codec.encode(an_event(t))).event == an_event(t) for t in TYPES)
    assert all(a_plain_event(t)["event_type"] == t for t in TYPES)


def test_a_number_that_came_in_groups_reaches_partners_as_ten_digits() -> None:
    """What is shown to people is one spelling, whatever the publisher's system writes."""
    grouped = codec.encode(a_grouped_number())
    received = codec.decode(grouped)

    assert received.value == received.content == grouped
    assert received.record["subjects"][0]["nhs_number"] == "9990079196"
    assert codec.decode_plain(grouped) == (received.schema, received.record)


def a_grouped_number() -> Event:
    """An event whose bytes hold `999 007 9196`: our own class would have tidied it."""
    event = an_event("identity.change.v1")
    person = event.subjects[0].model_copy(update={"nhs_number": "999 007 9196"})
    return event.model_copy(update={"subjects": (person, *event.subjects[1:])})
