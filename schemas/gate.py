"""
May these bytes come in?

What arrives on a topic may have been made by anyone's software, or by an attacker's. The gate lets in only bytes
that are exactly what a correct encoder would have written:

    size -> marker and fingerprint -> decode -> nothing left over -> encoded again: same bytes -> counts and lengths

The last but one closes over-long numbers, odd booleans, split arrays and hidden bytes in one stroke. Each refusal
has its own reason code, and no message repeats a value.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import fastavro

from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import EventSchema, EventSchemas

MARKER = b"\xc3\x01"  # Source: Avro 1.11 specification, Single-object encoding


class GateReason(StrEnum):
    """Why bytes were refused. Stable: operators' dashboards and partners' code match on them."""

    EMPTY = "EMPTY"
    TOO_LARGE = "TOO_LARGE"
    NOT_SINGLE_OBJECT = "NOT_SINGLE_OBJECT"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    TRUNCATED = "TRUNCATED"
    TRAILING_BYTES = "TRAILING_BYTES"
    INVALID_UTF8 = "INVALID_UTF8"
    BAD_INDEX = "BAD_INDEX"
    IMPOSSIBLE_VALUE = "IMPOSSIBLE_VALUE"
    NOT_CANONICAL = "NOT_CANONICAL"
    TOO_MANY_ITEMS = "TOO_MANY_ITEMS"
    TOO_LONG_STRING = "TOO_LONG_STRING"
    TOO_MANY_HEADERS = "TOO_MANY_HEADERS"
    BAD_KEY = "BAD_KEY"
    BAD_HEADER = "BAD_HEADER"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    UNREADABLE_BATCH = "UNREADABLE_BATCH"
    IN_TRANSACTION = "IN_TRANSACTION"


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
) -> tuple[EventSchema, dict[str, Any]]:
    """
    Decode an event from bytes that anyone may have written.

    Returns:
        The schema that wrote it, and the record under the current schema of that type.

    Raises:
        Refused: With a `GateReason`; the detail says what was found and what was expected, never a value.
    """
    if not value:
        raise Refused(GateReason.EMPTY, "found no value, expected an Avro single-object encoding")
    if len(value) > limits.value_bytes:
        raise Refused(GateReason.TOO_LARGE, f"found {len(value)} bytes, expected at most {limits.value_bytes}")
    if len(value) < 10 or value[:2] != MARKER:
        raise Refused(GateReason.NOT_SINGLE_OBJECT, "expected the marker C3 01 and 8 bytes of fingerprint first")
    schema = schemas.by_fingerprint.get(value[2:10])
    if schema is None:
        raise Refused(
            GateReason.UNKNOWN_SCHEMA,
            f"fingerprint {value[2:10].hex()} is not one of {len(schemas.by_fingerprint)} known; "
            "`safebus schemas list` shows them",
        )
    record = read(value[10:], schema.parsed)
    current = schemas.current[schema.event_type]
    record = resolve(record, schema.parsed, current.parsed)
    _bounded(record, limits, "")
    return current, record


def read(body: bytes, parsed: Any) -> dict[str, Any]:
    """
    Decode one Avro record, and only if these are the bytes that writing it again gives.

    Raises:
        Refused: TRUNCATED, INVALID_UTF8, BAD_INDEX, IMPOSSIBLE_VALUE, TRAILING_BYTES or NOT_CANONICAL.
    """
    source = io.BytesIO(body)
    try:
        record = cast("dict[str, Any]", fastavro.schemaless_reader(source, parsed, None))
    except UnicodeDecodeError as exc:
        raise Refused(GateReason.INVALID_UTF8, f"a string before byte {source.tell()} is not UTF-8") from exc
    except (EOFError, struct.error, StopIteration) as exc:
        raise Refused(GateReason.TRUNCATED, f"the record ends at byte {len(body)}, before all its fields") from exc
    except IndexError as exc:
        # fastavro says the same of a number that is cut off: then the last byte there is announces another.
        if source.tell() == len(body) and body[-1] >= 0x80:
            raise Refused(GateReason.TRUNCATED, f"the record ends at byte {len(body)}, inside a number") from exc
        raise Refused(GateReason.BAD_INDEX, f"an enum or union before byte {source.tell()} has no such branch") from exc
    except (OverflowError, ValueError) as exc:
        raise Refused(
            GateReason.IMPOSSIBLE_VALUE, f"a date or length before byte {source.tell()} cannot exist"
        ) from exc
    if source.tell() != len(body):
        raise Refused(GateReason.TRAILING_BYTES, f"{len(body) - source.tell()} bytes follow the record; expected none")
    if write(record, parsed) != body:
        raise Refused(
            GateReason.NOT_CANONICAL, "encoding this record again gives other bytes; use a plain Avro encoder"
        )
    return record


def write(record: dict[str, Any], parsed: Any) -> bytes:
    """Encode one record under a parsed schema."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, record)
    return out.getvalue()


def resolve(record: dict[str, Any], writer: Any, reader: Any) -> dict[str, Any]:
    """The same record under a later schema. Source: Avro 1.11 specification, Schema Resolution."""
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
