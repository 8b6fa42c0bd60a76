"""
What do these bytes say, by the letter of the Avro specification?

fastavro reads quickly and forgives much: a boolean that is 7, a block that lies about its length, a number that wraps.
The gate believes it only where writing the record again gives the same bytes. All others are read here, where each
byte must be what the specification says of it, and whatever is not is named with its place.

A list may come in any number of blocks, with or without the number of their bytes: encoders differ, and all are right.
Two forms that the specification does not rule out are refused all the same, because readers make different things of
them: a number in more bytes than it needs, which no encoder writes, and a block whose number of bytes is not what its
items take, which those who skip it and those who read it leave at different places.

Source: Avro 1.12.0 specification, Binary encoding, Logical types.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from safebus.schemas.errors import Refused
from safebus.schemas.gate_reasons import GateReason

#: From the bytes and a place in them to a value and the place after it.
Read = Callable[[bytes, int], tuple[Any, int]]

_INT_BITS, _LONG_BITS = 32, 64
_FIRST_DAY, _FIRST_MOMENT = date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)


class _Wrong(Exception):
    """What is wrong at a place; the fields that lead there are added on the way out, the innermost first."""

    def __init__(self, reason: GateReason, what: str, at: int) -> None:
        super().__init__(what)
        self.reason, self.what, self.at = reason, what, at
        self.fields: list[str] = []

    def refused(self) -> Refused:
        where = ".".join(reversed(self.fields)).replace(".[", "[")
        return Refused(self.reason, f"`{where}`, byte {self.at} of the Avro body: {self.what}")


def reader_of(parsed: Any) -> Callable[[bytes], dict[str, Any]]:
    """
    What reads records under a schema, as `fastavro.parse_schema` gives it.

    What it gives raises:
        Refused: TRUNCATED, TRAILING_BYTES, INVALID_UTF8, BAD_INDEX, BAD_BOOLEAN, BAD_BLOCK, OVERLONG_NUMBER,
            NUMBER_OUT_OF_RANGE or IMPOSSIBLE_VALUE; says field, byte, what was found and what was expected, no value.
    """
    read_record = _reader(parsed, {})

    def read(body: bytes) -> dict[str, Any]:
        try:
            record, end = read_record(body, 0)
        except _Wrong as exc:
            raise exc.refused() from None
        if end != len(body):
            raise Refused(GateReason.TRAILING_BYTES, f"{len(body) - end} bytes follow the record; expected none")
        found: dict[str, Any] = record
        return found

    return read


def _reader(node: Any, named: dict[str, Read]) -> Read:
    """What reads one value of this type."""
    if isinstance(node, list):
        return _union([_reader(branch, named) for branch in node])
    if isinstance(node, str):
        return named[node] if node in named else _PRIMITIVES[node]
    kind = node["type"]
    if kind == "record":
        read = _record([(field["name"], _reader(field["type"], named)) for field in node["fields"]])
    elif kind == "enum":
        read = _enum(node["symbols"])
    elif kind == "array":
        return _array(_reader(node["items"], named))
    else:
        return _LOGICAL.get((kind, node.get("logicalType")), _PRIMITIVES[kind])
    named[node["name"]] = read
    return read


def _record(fields: Sequence[tuple[str, Read]]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        found = {}
        for name, value in fields:
            try:
                found[name], at = value(data, at)
            except _Wrong as exc:
                exc.fields.append(name)
                raise
        return found, at

    return read


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        found: list[Any] = []
        while True:
            begins = at
            count, at = _long(data, at)
            if count == 0:
                return found, at
            ends = None
            if count < 0:
                size, at = _long(data, at)
                count, ends = -count, at + size
                if size < 0:
                    raise _Wrong(GateReason.BAD_BLOCK, f"a block says that it has {size} bytes", begins)
                _there(data, at, size, "a block says that it has", begins)
            # Every item takes a byte at least: no schema here has one that takes none.
            _there(data, at, count, "a block says that it has items for at least", begins)
            for _ in range(count):
                try:
                    value, at = item(data, at)
                except _Wrong as exc:
                    exc.fields.append(f"[{len(found)}]")
                    raise
                found.append(value)
            if ends is not None and at != ends:
                what = f"a block says that it has {size} bytes, and its items take {at - ends + size}"
                raise _Wrong(GateReason.BAD_BLOCK, what, begins)

    return read


def _union(branches: Sequence[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        begins = at
        index, at = _long(data, at)
        if not 0 <= index < len(branches):
            raise _Wrong(GateReason.BAD_INDEX, f"branch {index} of a union that has 0 to {len(branches) - 1}", begins)
        return branches[index](data, at)

    return read


def _enum(symbols: Sequence[str]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        begins = at
        index, at = _long(data, at)
        if not 0 <= index < len(symbols):
            raise _Wrong(GateReason.BAD_INDEX, f"symbol {index} of an enum that has 0 to {len(symbols) - 1}", begins)
        return symbols[index], at

    return read


def _there(data: bytes, at: int, size: int, what: str, begins: int) -> None:
    """Are there so many bytes left?"""
    if size > len(data) - at:
        raise _Wrong(GateReason.TRUNCATED, f"{what} {size} bytes, and {len(data) - at} are left", begins)


def _long(data: bytes, at: int, bits: int = _LONG_BITS) -> tuple[int, int]:
    begins, rest, shift = at, 0, 0
    while True:
        if at == len(data):
            raise _Wrong(GateReason.TRUNCATED, "the record ends here, before all its fields", at)
        byte = data[at]
        at += 1
        rest |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > _LONG_BITS:
            raise _Wrong(GateReason.OVERLONG_NUMBER, "a number of more than 10 bytes", begins)
    if byte == 0 and at - begins > 1:
        raise _Wrong(GateReason.OVERLONG_NUMBER, f"a number in {at - begins} bytes that needs fewer", begins)
    if rest >> bits:
        raise _Wrong(GateReason.NUMBER_OUT_OF_RANGE, f"a number that does not fit into {bits} bits", begins)
    return (rest >> 1) ^ -(rest & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    return _long(data, at, _INT_BITS)


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    _there(data, at, 1, "a boolean takes", at)
    if data[at] > 1:
        raise _Wrong(GateReason.BAD_BOOLEAN, f"a boolean that is {data[at]:#04x}, expected 00 or 01", at)
    return data[at] == 1, at + 1


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    begins = at
    size, at = _long(data, at)
    if size < 0:
        raise _Wrong(GateReason.IMPOSSIBLE_VALUE, f"a text of {size} bytes", begins)
    _there(data, at, size, "a text says that it has", begins)
    return data[at : at + size], at + size


def _string(data: bytes, at: int) -> tuple[str, int]:
    begins = at
    text, at = _bytes(data, at)
    try:
        return text.decode(), at
    except UnicodeDecodeError as exc:
        raise _Wrong(
            GateReason.INVALID_UTF8, f"a text that is not UTF-8 from its byte {exc.start} on", begins
        ) from None


def _null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _date(data: bytes, at: int) -> tuple[date, int]:
    begins = at
    days, at = _int(data, at)
    try:
        return _FIRST_DAY + timedelta(days=days), at
    except OverflowError:
        raise _Wrong(GateReason.IMPOSSIBLE_VALUE, "a day that is not in the years 1 to 9999", begins) from None


def _moment(data: bytes, at: int) -> tuple[datetime, int]:
    begins = at
    milliseconds, at = _long(data, at)
    try:
        return _FIRST_MOMENT + timedelta(milliseconds=milliseconds), at
    except OverflowError:
        raise _Wrong(GateReason.IMPOSSIBLE_VALUE, "a time that is not in the years 1 to 9999", begins) from None


_PRIMITIVES: dict[str, Read] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "bytes": _bytes,
    "string": _string,
}
_LOGICAL: dict[tuple[str, Any], Read] = {("int", "date"): _date, ("long", "timestamp-millis"): _moment}
