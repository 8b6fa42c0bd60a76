"""
How does an event, or a record of the bus itself, become a message value and back?

Value: C3 01, the schema's CRC-64-AVRO fingerprint (8 bytes, little-endian), then the Avro body.
Source: Avro 1.12.0 specification, Single-object encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from safebus.schemas import gate
from safebus.schemas.bus_records import BusRecord
from safebus.schemas.errors import BadInput, Refused
from safebus.schemas.event_schemas import (
    EventSchema,
    EventSchemas,
    bus_schema,
    bus_schemas,
    event_schemas,
    fingerprint_of,
)
from safebus.schemas.events import EVENT_CLASSES, Event
from safebus.schemas.keys import DigestKey, PersonKey

R = TypeVar("R", bound=BusRecord)


@dataclass(frozen=True)
class Received:
    """
    One event as it came in: typed for the rules, plain for redaction.

    Attributes:
        value: The bytes as they were on the topic.
        content: The bytes that the same event has from every encoder (`gate.decode`).
        record: The same content as plain Python values, under `schema`.
    """

    event: Event
    record: dict[str, Any]
    schema: EventSchema
    value: bytes
    content: bytes

    def digest(self, key: PersonKey | DigestKey) -> str:
        """The keyed digest of its content, by which a decision knows what it was about."""
        return key.digest(self.content)


def encode(event: Event, *, schemas: EventSchemas | None = None) -> bytes:
    """
    Write an event as a message value.

    Raises:
        BadSchema: There is no schema for this event type.
    """
    schema = (schemas or event_schemas()).of(event.event_type)
    return gate.MARKER + schema.fingerprint + gate.write(event.model_dump(), schema.parsed)


def decode(value: bytes | None, *, schemas: EventSchemas | None = None, limits: gate.Limits | None = None) -> Received:
    """
    Read an event from bytes that anyone may have written.

    Raises:
        Refused: With a `gate.GateReason`. Values that Avro allows and the world does not (a bad check digit, a person
            referred to who is not there) are IMPOSSIBLE_VALUE and name the field.
    """
    schema, record, content = _decoded(value, schemas, limits)
    try:
        event = EVENT_CLASSES[schema.event_type].model_validate(record)
    except BadInput as exc:
        raise Refused(gate.GateReason.IMPOSSIBLE_VALUE, str(exc)) from None
    assert value is not None  # gate.decode refuses None
    return Received(event=event, record=record, schema=schema, value=value, content=content)


def decode_plain(
    value: bytes | None, *, schemas: EventSchemas | None = None, limits: gate.Limits | None = None
) -> tuple[EventSchema, dict[str, Any]]:
    """
    Read an event as plain values under the current schema of its type, without asking what the world allows.

    Raises:
        Refused: With a `gate.GateReason`.
    """
    schema, record, _ = _decoded(value, schemas, limits)
    return schema, record


def _decoded(
    value: bytes | None, schemas: EventSchemas | None, limits: gate.Limits | None
) -> tuple[EventSchema, dict[str, Any], bytes]:
    schema, record, content = gate.decode(value, schemas or event_schemas(), limits=limits or gate.DEFAULT_LIMITS)
    # One spelling for everyone: a number that came in groups of three reaches partners as ten digits.
    for person in record["subjects"]:
        if person["nhs_number"]:
            person["nhs_number"] = person["nhs_number"].replace(" ", "")
    return schema, record, content


def content_of(value: bytes | None, *, schemas: EventSchemas | None = None, limits: gate.Limits | None = None) -> bytes:
    """What an event's digest is made of: the bytes that it has from every encoder; of what is no event, its own."""
    try:
        return gate.content(value, schemas or event_schemas(), limits=limits or gate.DEFAULT_LIMITS)
    except Refused:
        return value or b""


def is_digest_of(
    digest: str | None,
    value: bytes | None,
    *,
    key: PersonKey | DigestKey,
    schemas: EventSchemas | None = None,
    limits: gate.Limits | None = None,
) -> bool:
    """Was a decision that has this `input_digest` about the event with these bytes, whatever encoder wrote them?"""
    # Most encoders write the content itself, and then nothing need be read.
    return key.agrees(digest, value or b"") or key.agrees(digest, content_of(value, schemas=schemas, limits=limits))


def encode_record(record: BusRecord, *, like: bytes | None = None, under: bytes | None = None) -> bytes:
    """
    Write a record of the bus itself (notification, decision, receipt ...) as a message value.

    Args:
        like: A value of the same kind: written under the schema that this one was written under.
        under: The fingerprint of the schema; None: the present one.
    """
    mark = (like[2:10] if like else under) or fingerprint_of_bus(record.SCHEMA)
    parsed = bus_schemas(record.SCHEMA)[mark] if like or under else bus_schema(record.SCHEMA)
    return gate.MARKER + mark + gate.write(record.model_dump(), parsed)


def decode_record(value: bytes, kind: type[R]) -> R:
    """
    Read a record of the bus itself.

    Raises:
        Refused: It is not of this kind, or not exactly what the bus would have written.
    """
    written = written_under(value, kind.SCHEMA)
    if written is None:
        raise Refused(gate.GateReason.UNKNOWN_SCHEMA, f"expected a `{kind.SCHEMA}` record of this version of safebus")
    return kind.model_validate(gate.resolve(gate.read(value[10:], written), written, bus_schema(kind.SCHEMA)))


def written_under(value: bytes, name: str) -> Any | None:
    """The parsed schema that a record of the bus itself was written under, now or once; None: it is no such record."""
    return bus_schemas(name).get(value[2:10]) if value[:2] == gate.MARKER else None


_BUS_FINGERPRINTS: dict[str, bytes] = {}


def fingerprint_of_bus(name: str) -> bytes:
    """The fingerprint of one of the bus's own schemas."""
    if name not in _BUS_FINGERPRINTS:
        _BUS_FINGERPRINTS[name] = fingerprint_of(bus_schema(name))
    return _BUS_FINGERPRINTS[name]
