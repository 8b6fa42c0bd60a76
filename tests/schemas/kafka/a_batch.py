"""
A batch of records put together by hand, so that each lie in it is exactly one.

Source: Kafka protocol guide, message format 2; KIP-98.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c

TIME = 1_763_900_000_000  # milliseconds; some time in 2025
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20

Header = tuple[bytes, bytes | None]


def number(value: int) -> bytes:
    """Zig-zag, then seven bits a byte, the lowest first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def nullable(value: bytes | None) -> bytes:
    return number(-1) if value is None else number(len(value)) + value


def record(
    delta: int, *, key: bytes | None = b"case", value: bytes | None = b"value", headers: Sequence[Header] = ()
) -> bytes:
    """One record; `delta`: its offset, counted from the batch's."""
    named = b"".join(nullable(name) + nullable(content) for name, content in headers)
    return framed(number(0) + number(delta) + nullable(key) + nullable(value) + number(len(headers)) + named)


def framed(body: bytes) -> bytes:
    """A record whose time, offset, key, value and headers are these bytes."""
    return number(len(body) + 1) + b"\0" + body


def batch(
    payload: bytes, count: int, *, base: int = 0, attributes: int = 0, producer_id: int = -1, magic: int = 2
) -> bytes:
    """A batch with a true head and a true checksum, whatever is in it. `attributes`: also the codec."""
    checked = struct.pack(">hiqqqhii", attributes, count - 1, TIME, TIME + 5, producer_id, 0, 0, count) + payload
    return struct.pack(">qiibI", base, len(checked) + 9, 0, magic, calc_crc32c(checked)) + checked
