"""Every codec of Kafka is read, and none beyond its bound."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable

import cramjam
import pytest
from aiokafka.codec import snappy_encode

from safebus.schemas.errors import Refused
from safebus.schemas.kafka import unpacking
from safebus.schemas.kafka.unpacking import UNPACKED_BYTES, unpack

PLAIN = b"records of a batch " * 500


def xerial(data: bytes) -> bytes:
    return snappy_encode(data, xerial_compatible=True)


PACK: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, gzip.compress),
    "snappy": (2, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "snappy as Java writes it": (2, xerial),
    "lz4": (3, lambda data: bytes(cramjam.lz4.compress(data))),
    "zstd": (4, lambda data: bytes(cramjam.zstd.compress(data))),
}
every = pytest.mark.parametrize(("codec", "pack"), PACK.values(), ids=PACK)


def refused(codec: int, packed: bytes) -> str:
    with pytest.raises(Refused) as found:
        unpack(codec, packed)
    return found.value.reason


@every
def test_what_was_packed_comes_out(codec: int, pack: Callable[[bytes], bytes]) -> None:
    assert unpack(codec, pack(PLAIN)) == PLAIN


@every
def test_as_much_as_the_bound_comes_out(codec: int, pack: Callable[[bytes], bytes]) -> None:
    assert unpack(codec, pack(bytes(UNPACKED_BYTES))) == bytes(UNPACKED_BYTES)


@every
def test_one_byte_more_is_too_large(codec: int, pack: Callable[[bytes], bytes]) -> None:
    assert refused(codec, pack(bytes(UNPACKED_BYTES + 1))) == "BATCH_TOO_LARGE"


@every
def test_what_is_cut_off_is_not_read(codec: int, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PLAIN)

    assert {refused(codec, packed[:cut]) for cut in (len(packed) - 1, len(packed) // 2, 17)} == {"UNREADABLE_BATCH"}


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_junk_is_not_read(codec: int) -> None:
    assert refused(codec, b"\xff" * 50) == "UNREADABLE_BATCH"


@pytest.mark.parametrize("length", [-1, 0, 10**6])
def test_a_block_of_snappy_that_is_not_there_is_not_read(length: int) -> None:
    head = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)

    assert refused(2, head + struct.pack(">i", length) + b"x") == "UNREADABLE_BATCH"


def test_a_codec_that_kafka_does_not_have_is_not_read() -> None:
    assert refused(7, b"?") == "UNREADABLE_BATCH"


def test_the_detail_says_how_much_came_and_what_to_do() -> None:
    packed = bytes(cramjam.zstd.compress(bytes(300 * 1024 * 1024)))
    with pytest.raises(Refused) as found:
        unpack(4, packed)

    assert found.value.detail == (
        f"{len(packed)} bytes of zstd unpack to more than 4194304; send fewer records at a time"
    )


@pytest.mark.parametrize("name", [name for name in PACK if name != "snappy as Java writes it"])
def test_a_bomb_needs_no_more_memory_than_the_bound(name: str) -> None:
    """300 MB in a few kB, in a process that may take 64 MB more than it has."""
    codec, pack = PACK[name]
    bomb = pack(bytes(300 * 1024 * 1024))
    done = subprocess.run([sys.executable, "-c", _IN_LITTLE_ROOM, str(codec)], input=bomb, capture_output=True)

    assert done.stdout.decode().strip() == "BATCH_TOO_LARGE", done.stderr.decode()[-500:]


_IN_LITTLE_ROOM = """
import resource, sys
from safebus.schemas.errors import Refused
from safebus.schemas.kafka.unpacking import unpack
bomb = sys.stdin.buffer.read()
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 64 * 1024 * 1024,) * 2)
try:
    unpack(int(sys.argv[1]), bomb)
except Refused as refused:
    print(refused.reason)
"""


def test_the_bound_is_four_times_what_a_broker_takes() -> None:
    from safebus.deploy.local.brokers.kafka import MAX_MESSAGE_BYTES

    assert unpacking.UNPACKED_BYTES == 4 * MAX_MESSAGE_BYTES
