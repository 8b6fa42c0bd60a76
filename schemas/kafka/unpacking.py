"""
What is in a compressed batch, if it is not too much?

Every codec that Kafka knows, each with the same bound: what would unpack to more is not unpacked. aiokafka has none,
and 300 kB of gzip, or 10 kB of zstd, become 300 MB.

Source: Kafka protocol guide, message format 2 (codecs 1 to 4); the framing of Java's snappy streams, snappy-java's
SnappyOutputStream: a head of 16 bytes, then blocks, each behind its length in four bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import cramjam

from safebus.schemas.errors import Refused
from safebus.schemas.gate import GateReason

#: Of one batch; four times the most that our brokers take of it as it is.
UNPACKED_BYTES = 4 * 1024 * 1024

_XERIAL, _XERIAL_HEAD = b"\x82SNAPPY\x00", 16
_LENGTH = struct.Struct(">i")


def unpack(codec: int, packed: bytes) -> bytes:
    """
    The records of a batch, as they would stand there uncompressed.

    Raises:
        Refused: UNREADABLE_BATCH or BATCH_TOO_LARGE.
    """
    found = _CODECS.get(codec)
    if found is None:
        raise Refused(GateReason.UNREADABLE_BATCH, f"compressed with codec {codec}, which Kafka does not have")
    name, unpacker = found
    try:
        return unpacker(packed)
    except _TooMuch:
        detail = f"{len(packed)} bytes of {name} unpack to more than {UNPACKED_BYTES}; send fewer records at a time"
        raise Refused(GateReason.BATCH_TOO_LARGE, detail) from None
    except (zlib.error, cramjam.DecompressionError, struct.error) as exc:
        raise Refused(
            GateReason.UNREADABLE_BATCH, f"says it is compressed with {name}, and is not, or not wholly"
        ) from exc


class _TooMuch(Exception):
    """It would unpack to more than the bound."""


def _gzip(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = unpacker.decompress(packed, UNPACKED_BYTES + 1)
    if len(plain) > UNPACKED_BYTES:
        raise _TooMuch
    if not unpacker.eof or unpacker.unused_data:
        raise zlib.error("cut off, or something follows")
    return plain


def _snappy(packed: bytes) -> bytes:
    blocks = list(_xerial_blocks(packed)) if packed.startswith(_XERIAL) else [packed]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > UNPACKED_BYTES:
        raise _TooMuch
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(packed: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEAD
    while at < len(packed):
        [length] = _LENGTH.unpack_from(packed, at)
        at += _LENGTH.size
        if not 0 < length <= len(packed) - at:
            raise struct.error("a block that is not there")
        yield packed[at : at + length]
        at += length


def _into_a_bound(unpack_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes], bytes]:
    def unpacker(packed: bytes) -> bytes:
        room = bytearray(UNPACKED_BYTES)
        try:
            size = unpack_into(packed, room)
        except cramjam.DecompressionError as exc:
            # The library says both with one error; this is what it writes when the room is full.
            if "whole buffer" in str(exc):
                raise _TooMuch from exc
            raise
        return bytes(memoryview(room)[:size])

    return unpacker


_CODECS: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _into_a_bound(cramjam.lz4.decompress_into)),
    4: ("zstd", _into_a_bound(cramjam.zstd.decompress_into)),
}
