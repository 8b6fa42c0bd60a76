"""
May these bytes come in?

What arrives on a topic may have been made by anyone's software, or by an attacker's. The gate lets in what a correct
encoder may write, and nothing else:

    size -> marker and fingerprint -> decode -> encoded again: same bytes -> counts and lengths
                                                 other bytes: read again by the letter (`strict_avro`)

Encoders cut lists into blocks as they like, so what is the same to every reader has many encodings. Its *content* is
the one without blocks: what is digested and compared is that. Each refusal has its own reason code, and no message
repeats a value.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import fastavro

from safebus.schemas import strict_avro
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import EventSchema, EventSchemas
from safebus.schemas.gate_reasons import GateReason as GateReason

MARKER = b"\xc3\x01"  # Source: Avro 1.12.0 specification, Single-object encoding

#: What fastavro raises of bytes that it cannot read, and of what it has read and cannot write.
UNREADABLE = (ValueError, EOFError, struct.error, StopIteration, IndexError, OverflowError)


class Damaged(str):
    """
    The name of a header that says why its record must be refused by whoever takes records from agencies.

    Nobody can send one: only what reads batches (`schemas.kafka.batches`) makes it, of bytes that the Kafka client
    could not have handed over, and of what stands in a transaction. As a string it is harmless to print.
    """

    reason: str
    detail: str

    def __new__(cls, text: str, reason: str, detail: str) -> Damaged:
        name = super().__new__(cls, text)
        name.reason, name.detail = reason, detail
        return name


@dataclass(frozen=True)
class Limits:
    """
    How much is too much. Defaults hold the largest real case conference several times over.

    Attributes:
        value_bytes: Of one record's value.
        items: Of any one array.
        string_chars: Of any one string.
        key_bytes: Of a record key; a case key is 32 hex digits.
        headers: How many headers, and `header_bytes` all of them together.
    """

    value_bytes: int = 128 * 1024
    items: int = 200
    string_chars: int = 20_000
    key_bytes: int = 128
    headers: int = 16
    header_bytes: int = 4096


DEFAULT_LIMITS = Limits()


def check_marks(headers: Iterable[tuple[str, bytes | None]], *, in_transaction: bool = False) -> None:
    """
    Refuse a record that could not be read, or that stands in a transaction where none belongs.

    Args:
        in_transaction: It may stand in one.

    Raises:
        Refused: BAD_HEADER, BATCH_TOO_LARGE, UNREADABLE_BATCH, TOO_MANY_HEADERS or IN_TRANSACTION.
    """
    for name, _ in headers:
        if isinstance(name, Damaged) and not (in_transaction and name.reason == GateReason.IN_TRANSACTION):
            raise Refused(name.reason, name.detail)


def in_transaction(headers: Iterable[tuple[str, bytes | None]]) -> bool:
    """Does the record stand in a transaction?"""
    return any(isinstance(name, Damaged) and name.reason == GateReason.IN_TRANSACTION for name, _ in headers)


def check_wrapping(
    key: bytes | None, headers: Sequence[tuple[str, bytes | None]], *, limits: Limits = DEFAULT_LIMITS
) -> None:
    """
    Refuse a record that could not be read, or whose key or headers are out of bounds.

    Raises:
        Refused: BAD_HEADER, BATCH_TOO_LARGE, UNREADABLE_BATCH, IN_TRANSACTION, BAD_KEY or TOO_MANY_HEADERS.
    """
    check_marks(headers)
    if not key or len(key) > limits.key_bytes:
        found = "no key" if not key else f"{len(key)} bytes"
        raise Refused(GateReason.BAD_KEY, f"found {found}, expected a case key of 1 to {limits.key_bytes} bytes")
    total = sum(len(name) + len(value or b"") for name, value in headers)
    if len(headers) > limits.headers or total > limits.header_bytes:
        raise Refused(
            GateReason.TOO_MANY_HEADERS,
            f"found {len(headers)} headers of {total} bytes, more than {limits.headers} of {limits.header_bytes}",
        )


def decode(
    value: bytes | None, schemas: EventSchemas, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[EventSchema, dict[str, Any], bytes]:
    """
    Decode an event from bytes that anyone may have written.

    Returns:
        The current schema of its type, the record under it, and its content: the value as an encoder that cuts no
        list into blocks would have written it.

    Raises:
        Refused: With a `GateReason`; the detail says what was found and what was expected, never a value.
    """
    schema, record, content = _read_event(value, schemas, limits)
    current = schemas.current[schema.event_type]
    record = resolve(record, schema.parsed, current.parsed)
    _bounded(record, limits, "")
    return current, record, content


def content(value: bytes | None, schemas: EventSchemas, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """
    The content of an event, without a look at what it says.

    Raises:
        Refused: As `decode`.
    """
    return _read_event(value, schemas, limits)[2]


def _read_event(
    value: bytes | None, schemas: EventSchemas, limits: Limits
) -> tuple[EventSchema, dict[str, Any], bytes]:
    """The schema that wrote it, the record under that, and its content."""
    if not value:
        raise Refused(GateReason.EMPTY, "found no value, expected an Avro single-object encoding")
    if len(value) > limits.value_bytes:
        raise Refused(GateReason.TOO_LARGE, f"found {len(value)} bytes, expected at most {limits.value_bytes}")
    schema = _written_under(value, schemas)
    body = value[10:]
    record = _at_once(body, schema.parsed)
    if record is not None:
        return schema, record, value
    record = schema.read_strictly(body)
    return schema, record, value[:10] + write(record, schema.parsed)


def _written_under(value: bytes, schemas: EventSchemas) -> EventSchema:
    if len(value) < 10 or value[:2] != MARKER:
        what = next((f"; found {what}" for begins, what in _OTHER_FORMS.items() if value.startswith(begins)), "")
        raise Refused(GateReason.NOT_SINGLE_OBJECT, f"expected the marker C3 01 and 8 bytes of fingerprint first{what}")
    schema = schemas.by_fingerprint.get(value[2:10])
    if schema is None:
        found = f"fingerprint {value[2:10].hex()} is not one of {len(schemas.by_fingerprint)} known"
        if value[9:1:-1] in schemas.by_fingerprint:
            found += ", but is one from behind; expected little-endian"
        todo = "write the one that `safebus schemas` shows, whatever your library works out"
        raise Refused(GateReason.UNKNOWN_SCHEMA, f"{found}; {todo}")
    return schema


#: How other forms begin that Avro, or what is taken for it, comes in.
_OTHER_FORMS = {
    b"\0": "what may be the 5 bytes of a schema registry's id",
    b"Obj\x01": "an Avro file",
    b"{": "what may be JSON",
}


def _at_once(body: bytes, parsed: Any) -> dict[str, Any] | None:
    """The record, if these are the very bytes that writing it again gives."""
    source = io.BytesIO(body)
    try:
        record = cast("dict[str, Any]", fastavro.schemaless_reader(source, parsed, None))
        # It reads what it then refuses to write: an int of 41 bits in a union.
        same = source.tell() == len(body) and write(record, parsed) == body
    except UNREADABLE:
        return None
    return record if same else None


def read(body: bytes, parsed: Any) -> dict[str, Any]:
    """
    Decode one Avro record of the bus's own, and only if these are the bytes that writing it again gives.

    Raises:
        Refused: As `strict_avro`, or NOT_CANONICAL.
    """
    record = _at_once(body, parsed)
    if record is None:
        strict_avro.reader_of(parsed)(body)
        raise Refused(GateReason.NOT_CANONICAL, "encoding this record again gives other bytes than the bus writes")
    return record


def write(record: dict[str, Any], parsed: Any) -> bytes:
    """Encode one record under a parsed schema."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, record)
    return out.getvalue()


def resolve(record: dict[str, Any], writer: Any, reader: Any) -> dict[str, Any]:
    """The same record under a later schema. Source: Avro 1.12.0 specification, Schema Resolution."""
    if writer is reader:
        return record
    return cast("dict[str, Any]", fastavro.schemaless_reader(io.BytesIO(write(record, writer)), writer, reader))


def _bounded(value: Any, limits: Limits, path: str) -> None:
    if isinstance(value, str):
        if len(value) > limits.string_chars:
            raise Refused(
                GateReason.TOO_LONG_STRING,
                f"`{path}` has {len(value)} characters, expected at most {limits.string_chars}",
            )
        if "\0" in value:
            # Not text: PostgreSQL refuses it (22P05), C ends a string at it, and whoever reads on sees another text.
            raise Refused(GateReason.IMPOSSIBLE_VALUE, f"`{path}` has a NUL character; remove it")
    elif isinstance(value, list):
        if len(value) > limits.items:
            raise Refused(
                GateReason.TOO_MANY_ITEMS, f"`{path}` has {len(value)} items, expected at most {limits.items}"
            )
        for item in value:
            _bounded(item, limits, f"{path}[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            _bounded(item, limits, f"{path}.{name}" if path else name)
