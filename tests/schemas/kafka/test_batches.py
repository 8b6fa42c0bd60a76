"""
Whatever stands in a batch, each of its offsets comes out once, and the reader goes on behind it.

The batches go through aiokafka's own fetcher, as they do in a worker.
"""

import dataclasses
import gzip
import hashlib
import importlib.metadata
import inspect
import struct
import tracemalloc
from typing import Any

import pytest
from a_batch import (
    CONTROL,
    GZIP,
    LOG_APPEND_TIME,
    LZ4,
    SNAPPY,
    TIME,
    TRANSACTIONAL,
    ZSTD,
    batch,
    framed,
    nullable,
    number,
    record,
)
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas import gate
from safebus.schemas.errors import Refused
from safebus.schemas.gate import Damaged, GateReason
from safebus.schemas.kafka import batches as tolerant_records
from safebus.schemas.kafka.batches import MOST_HEADERS, UNPACKED_BYTES, Batch, TolerantRecords

BAD = record(1, headers=[(b"a", b"1"), (b"\xff\xfe", b"2")])
THREE = record(0) + record(1) + record(2)
BROKEN = "a record inside a batch does not hold together"


def read(data: bytes, *, at: int = 0, aborted: Any = (), reader: Any = TolerantRecords) -> tuple[list[Any], int]:
    """What aiokafka's consumer hands out, and the offset it goes on with."""
    committed = fetcher.READ_COMMITTED
    tp = TopicPartition("in.htest-police", 0)
    records = fetcher.PartitionRecords(tp, reader(data), list(aborted), at, None, None, True, committed)
    return list(records), records.next_fetch_offset


def verdicts(data: bytes, *, at: int = 0) -> dict[int, str]:
    """Offset -> why the gate refuses it, or `in`."""
    found: dict[int, str] = {}
    for one in read(data, at=at)[0]:
        assert one.offset not in found
        try:
            gate.check_wrapping(one.key, one.headers)
            found[one.offset] = "in"
        except Refused as refused:
            found[one.offset] = refused.reason
    return found


# What is well formed


@pytest.mark.parametrize("attributes", [0, GZIP, LOG_APPEND_TIME, GZIP | LOG_APPEND_TIME])
def test_what_is_well_formed_reads_as_ever(attributes: int) -> None:
    payload = (
        record(0, key=None, value=None)
        + record(1, value=b"", headers=[(b"", None), (b"ce_id", b"x"), (b"ce_id", b"y"), ("é".encode(), b"")])
        + record(2, value=b"z" * 5000)
    )
    packed = gzip.compress(payload) if attributes & GZIP else payload
    data = batch(packed, 3, base=7, attributes=attributes) + batch(record(0), 1, base=10)

    assert read(data, at=7) == read(data, at=7, reader=MemoryRecords)
    assert [one.offset for one in read(data, at=7)[0]] == [7, 8, 9, 10]


def test_reading_can_start_in_the_middle_of_a_batch() -> None:
    assert verdicts(batch(THREE, 3), at=2) == {2: "in"}
    assert verdicts(batch(record(0) + BAD + record(2), 3), at=1) == {1: "BAD_HEADER", 2: "in"}
    assert verdicts(batch(b"?", 3, attributes=ZSTD), at=1) == {1: "UNREADABLE_BATCH", 2: "UNREADABLE_BATCH"}


def test_offsets_may_be_missing_where_a_topic_was_compacted() -> None:
    kept = batch(record(0) + record(2), 3)
    kept = kept[:57] + struct.pack(">i", 2) + kept[61:]  # three offsets, two records
    tidy = struct.pack(">I", checksum(kept))

    assert [one.offset for one in read(kept[:17] + tidy + kept[21:])[0]] == [0, 2]


def checksum(raw: bytes) -> int:
    return int(calc_crc32c(raw[21:]))


def test_an_aborted_transaction_is_left_out_and_markers_are_not_records() -> None:
    mine = {"attributes": TRANSACTIONAL, "producer_id": 7}
    abort = record(0, key=struct.pack(">hh", 0, 0), value=struct.pack(">hi", 0, 0))
    data = (
        batch(record(0), 1, **mine)
        + batch(abort, 1, base=1, attributes=TRANSACTIONAL | CONTROL, producer_id=7)
        + batch(record(0), 1, base=2, **mine)
    )

    found, following = read(data, aborted=[(7, 0)])

    assert ([one.offset for one in found], following) == ([2], 3)


@pytest.mark.parametrize("codec", [0, GZIP])
def test_what_stands_in_a_transaction_is_marked_and_otherwise_as_it_was(codec: int) -> None:
    payload = record(0, headers=[(b"ce_id", b"x")]) + record(1, value=None) + record(2, headers=[(b"", b"")] * 1001)
    packed = gzip.compress(payload) if codec else payload

    found, following = read(batch(packed, 3, base=4, attributes=TRANSACTIONAL | codec, producer_id=7), at=4)
    plain, _ = read(batch(packed, 3, base=4, attributes=codec), at=4)

    assert following == 7
    for one, other in zip(found, plain, strict=True):
        *headers, (mark, nothing) = one.headers
        assert (tuple(headers), mark.reason, nothing) == (other.headers, GateReason.IN_TRANSACTION, None)
        assert dataclasses.replace(one, headers=()) == dataclasses.replace(other, headers=())


def test_who_takes_records_from_agencies_refuses_what_stands_in_a_transaction() -> None:
    inside, other = batch(THREE, 3, attributes=TRANSACTIONAL, producer_id=7), batch(record(0), 1, base=3, producer_id=8)

    assert verdicts(inside + other) == {**dict.fromkeys(range(3), "IN_TRANSACTION"), 3: "in"}
    assert [gate.in_transaction(one.headers) for one in read(inside + other)[0]] == [True, True, True, False]


def test_what_cannot_be_read_in_a_transaction_still_stands_in_one() -> None:
    """A reader of `decisions` must not take a worker's own, damaged, for what a stranger wrote."""
    found, _ = read(batch(b"?", 2, attributes=TRANSACTIONAL | ZSTD, producer_id=7))

    assert [gate.in_transaction(one.headers) for one in found] == [True, True]
    assert verdicts(batch(b"?", 2, attributes=TRANSACTIONAL | ZSTD)) == dict.fromkeys(range(2), "UNREADABLE_BATCH")
    with pytest.raises(Refused, match="UNREADABLE_BATCH"):
        gate.check_marks(found[0].headers, in_transaction=True)


def test_a_batch_that_is_cut_off_is_left_for_the_next_fetch() -> None:
    whole = batch(record(0), 1)

    for cut in range(len(whole)):
        assert [one.offset for one in read(whole + batch(record(0), 1, base=1)[:cut])[0]] == [0]
    assert TolerantRecords(whole).size_in_bytes() == len(whole)


# Names that are not UTF-8


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_name_that_is_not_utf8_marks_its_record_and_no_other(place: int, packed: bool) -> None:
    """It once stopped aiokafka, and with it the worker, at this offset for ever."""
    bad = record(place, headers=[(b"a", b"1"), (b"caf\xe9", b"2"), (b"b", None)])
    parts = [bad if n == place else record(n) for n in range(3)]
    payload = gzip.compress(b"".join(parts)) if packed else b"".join(parts)
    data = batch(payload, 3, attributes=GZIP * packed) + batch(record(0), 1, base=3)

    found, following = read(data)

    assert verdicts(data) == {n: "BAD_HEADER" if n == place else "in" for n in range(4)}
    assert found[place].headers == (("a", b"1"), ("caf\\xe9", b"2"), ("b", None))
    assert (found[place].key, found[place].value, found[place].timestamp, following) == (b"case", b"value", TIME, 4)


def test_the_detail_does_not_repeat_the_name() -> None:
    found, _ = read(batch(record(0, headers=[(b"CANARY-Jane\xff", b"")]), 1))

    with pytest.raises(Refused) as refused:
        gate.check_wrapping(found[0].key, found[0].headers)

    assert (refused.value.reason, refused.value.detail) == (
        GateReason.BAD_HEADER,
        "a header name of 12 bytes is not UTF-8",
    )


def test_the_brokers_time_stands_on_a_marked_record_too() -> None:
    bad = batch(record(0) + BAD, 2, attributes=LOG_APPEND_TIME)
    unreadable = batch(b"?", 1, attributes=LOG_APPEND_TIME | ZSTD)

    assert [(one.timestamp, one.timestamp_type) for one in read(bad)[0]] == [(TIME + 5, 1)] * 2
    assert [(one.timestamp, one.timestamp_type) for one in read(unreadable)[0]] == [(TIME + 5, 1)]


BEHIND_A_BAD_NAME = {
    "a number without an end": framed(b"\x80" * 40),
    "a number of thirteen bytes": framed(
        b"\x80" * 12 + b"\0" + number(1) + nullable(b"k") + nullable(b"v") + number(0)
    ),
    "a length beyond the batch": framed(number(0) + number(1) + number(999) + b"case"),
    "more headers than there are": framed(number(0) + number(1) + nullable(b"k") + nullable(b"v") + number(10**6)),
    "a record that goes on": framed(number(0) + number(1) + nullable(b"k") + nullable(b"v") + number(0) + b"more"),
    "nothing": b"",
}


@pytest.mark.parametrize("following", BEHIND_A_BAD_NAME.values(), ids=BEHIND_A_BAD_NAME)
def test_a_bad_name_does_not_hide_what_is_broken_behind_it(following: bytes) -> None:
    data = batch(record(0, headers=[(b"\xff", b"")]) + following, 3)

    assert verdicts(data) == {0: "BAD_HEADER", 1: "UNREADABLE_BATCH", 2: "UNREADABLE_BATCH"}


def test_a_name_that_is_null_is_empty() -> None:
    """Only behind a bad one: aiokafka refuses it as broken, and so does a broker."""
    odd = framed(number(0) + number(1) + nullable(b"k") + nullable(b"v") + number(1) + nullable(None) + nullable(b"x"))

    found, _ = read(batch(record(0, headers=[(b"\xff", b"")]) + odd, 2))

    assert found[1].headers == (("", b"x"),)


# Batches that cannot be read


def numbered(attributes: int, payload: bytes) -> bytes:
    return batch(payload, 3, attributes=attributes)


UNREADABLE = {
    "no snappy": (numbered(SNAPPY, b"?"), "says it is compressed with snappy, and is not, or not wholly"),
    "no lz4": (numbered(LZ4, b"?"), "says it is compressed with lz4, and is not, or not wholly"),
    "no zstd": (numbered(ZSTD, b"?"), "says it is compressed with zstd, and is not, or not wholly"),
    "codec 7": (numbered(7, b"?"), "compressed with codec 7, which Kafka does not have"),
    "no gzip": (numbered(GZIP, b"no gzip at all"), "says it is compressed with gzip, and is not, or not wholly"),
    "gzip cut off": (
        numbered(GZIP, gzip.compress(THREE)[:-9]),
        "says it is compressed with gzip, and is not, or not wholly",
    ),
    "bytes behind gzip": (
        numbered(GZIP, gzip.compress(THREE) + b"more"),
        "says it is compressed with gzip, and is not, or not wholly",
    ),
    "gzip twice": (
        numbered(GZIP, gzip.compress(record(0)) + gzip.compress(record(1) + record(2))),
        "says it is compressed with gzip, and is not, or not wholly",
    ),
    "no records": (numbered(0, b""), BROKEN),
    "noise": (numbered(0, b"\xff" * 99), BROKEN),
    "a first offset of -1": (numbered(0, record(-1)), "the offsets inside a batch are not those of its head"),
    "a first offset of 1": (
        numbered(0, record(1) + record(1) + record(2)),
        "the offsets inside a batch are not those of its head",
    ),
    "a first offset of 2**30": (numbered(0, record(2**30)), "the offsets inside a batch are not those of its head"),
}


@pytest.mark.parametrize(("data", "detail"), UNREADABLE.values(), ids=UNREADABLE)
def test_each_offset_of_an_unreadable_batch_is_accounted_for(data: bytes, detail: str) -> None:
    """And the next batch is read."""
    found, following = read(data + batch(record(0), 1, base=3))

    assert [one.offset for one in found] == [0, 1, 2, 3]
    assert verdicts(data) == dict.fromkeys(range(3), "UNREADABLE_BATCH")
    assert [(one.key, one.value) for one in found[:3]] == [(None, None)] * 3
    assert {name.detail for one in found[:3] for name, _ in one.headers} == {detail}
    assert (found[3].value, following) == (b"value", 4)


@pytest.mark.parametrize("false", [0, -5, 2**30], ids=["again", "before", "far behind"])
def test_false_offsets_neither_hide_a_record_nor_move_the_reader(false: int) -> None:
    """A broker takes them. aiokafka dropped such records without a word, or went on at 2**30 (both tried)."""
    data = batch(record(0) + record(false) + record(2), 3) + batch(record(0), 1, base=3)

    assert verdicts(data) == {0: "in", 1: "UNREADABLE_BATCH", 2: "UNREADABLE_BATCH", 3: "in"}
    assert read(data)[1] == 4


@pytest.mark.parametrize("magic", [0, 1])
def test_the_formats_before_2017_are_not_read(magic: int) -> None:
    """They pack batches into batches, without a limit. Kafka 4 takes none."""
    data = batch(b"", 1, base=4, magic=magic)[:34] + bytes(40)
    data = data[:8] + struct.pack(">i", len(data) - 12) + data[12:]

    assert verdicts(data + batch(record(0), 1, base=5), at=4) == {4: "UNREADABLE_BATCH", 5: "in"}
    [(why, _)] = read(data, at=4)[0][0].headers
    assert why.detail == "message format 0 or 1; use a Kafka client made since 2017"


# What unpacks to too much


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    """aiokafka made 300 MB of such a batch of 300 kB."""
    packed = gzip.compress(record(0, value=bytes(64 * 2**20)) + record(1))
    data = batch(packed, 2, attributes=GZIP) + batch(record(0), 1, base=2)
    tracemalloc.start()

    found = verdicts(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == {0: "BATCH_TOO_LARGE", 1: "BATCH_TOO_LARGE", 2: "in"}
    assert peak < 4 * UNPACKED_BYTES


def test_what_unpacks_to_exactly_the_limit_is_read() -> None:
    around = len(record(0, value=bytes(UNPACKED_BYTES - 100))) - (UNPACKED_BYTES - 100)
    full = record(0, value=bytes(UNPACKED_BYTES - around))

    assert len(full) == UNPACKED_BYTES
    assert verdicts(batch(gzip.compress(full), 1, attributes=GZIP)) == {0: "in"}
    assert verdicts(batch(gzip.compress(full + b"\0"), 1, attributes=GZIP)) == {0: "BATCH_TOO_LARGE"}


def flood_of_headers(number_of_them: int) -> bytes:
    counted = number(0) + number(0) + nullable(b"k") + nullable(b"v") + number(number_of_them)
    return framed(counted + b"\0\x01" * number_of_them)


def test_a_flood_of_headers_costs_the_memory_of_one_record() -> None:
    """Two bytes each on the wire and some 70 in memory: the dearest thing that fits into a batch. And many of them."""
    packed = gzip.compress(flood_of_headers(UNPACKED_BYTES // 8))
    data = b"".join(batch(packed, 1, base=base, attributes=GZIP) for base in range(8))
    tracemalloc.start()

    found, _ = read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [(one.offset, one.value, len(one.headers)) for one in found] == [(n, b"v", 1) for n in range(8)]
    assert set(verdicts(data).values()) == {"TOO_MANY_HEADERS"}
    assert peak < 30 * 2**20


def test_a_million_headers_are_counted_and_not_made() -> None:
    """Made first and counted then, they would take a hundred bytes for each two on the wire."""
    data = batch(flood_of_headers(1_000_000), 1)
    tracemalloc.start()
    try:
        assert set(verdicts(data).values()) == {"TOO_MANY_HEADERS"}
        assert tracemalloc.get_traced_memory()[1] < 5 * len(data)
    finally:
        tracemalloc.stop()


def test_as_many_headers_as_anyone_reads_stay_as_they_are() -> None:
    data = batch(flood_of_headers(MOST_HEADERS), 1) + batch(flood_of_headers(MOST_HEADERS + 1), 1, base=1)

    assert [one.headers[0][0] == "" and len(one.headers) for one in read(data)[0]] == [MOST_HEADERS, 1]


@pytest.mark.parametrize(
    ("size", "parts"), [(UNPACKED_BYTES - 100, [5, 5]), (UNPACKED_BYTES, [4, 4, 2])], ids=["below", "above"]
)
def test_what_one_fetch_brings_is_unpacked_in_parts(size: int, parts: list[int]) -> None:
    """A thousand batches of 4 kB, each just below the limit, would be 4 GB at once; above it, ten seconds of work."""
    packed = gzip.compress(record(0, value=bytes(size)))
    data = b"".join(batch(packed, 1, base=base, attributes=GZIP) for base in range(10))
    at, found = 0, []
    while at < 10:
        some, at = read(data[len(data) // 10 * at :], at=at)
        found.append([one.offset for one in some])

    assert [offset for some in found for offset in some] == list(range(10))
    assert [len(some) for some in found] == parts


# What only a broker can have damaged


def test_a_false_checksum_stops_the_reader() -> None:
    """A broker takes none, so it is its disk: an operator must look, and skipping would hide it."""
    with pytest.raises(CorruptRecordException):
        read(batch(record(0), 1)[:-1] + b"?")


@pytest.mark.parametrize("length", [-12, -1, 0, 4, 5, 48])
def test_a_batch_shorter_than_its_head_stops_the_reader(length: int) -> None:
    data = batch(record(0), 1)

    with pytest.raises(CorruptRecordException):
        read(data[:8] + struct.pack(">i", length) + data[12:])


# Whatever comes


@given(payload=st.binary(max_size=60), attributes=st.integers(0, 15), count=st.integers(1, 5))
def test_whatever_is_in_a_batch_each_offset_comes_out_once(payload: bytes, attributes: int, count: int) -> None:
    found, following = read(batch(payload, count, attributes=attributes))

    assert ([one.offset for one in found], following) == (list(range(count)), count)


@given(data=st.data(), packed=st.booleans())
def test_whatever_is_changed_in_a_batch_each_offset_comes_out_once(data: st.DataObject, packed: bool) -> None:
    payload = bytearray(record(0) + BAD + record(2, value=None))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    raw = gzip.compress(bytes(payload)) if packed else bytes(payload)

    found, following = read(batch(raw, 3, attributes=GZIP * packed))

    assert ([one.offset for one in found], following) == ([0, 1, 2], 3)


# That it is in effect


def test_every_consumer_of_a_process_that_installed_it_reads_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of these tests does so in `tests/conftest.py`, before anything of them runs."""
    began_with = (tolerant_records.installed(), fetcher.MemoryRecords)
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # as aiokafka has it
    without = tolerant_records.installed()
    tolerant_records.install()

    assert began_with == (True, TolerantRecords)
    assert (without, tolerant_records.installed(), fetcher.MemoryRecords) == (False, True, TolerantRecords)


#: (what is replaced or relied on, first 16 hex digits of the SHA-256 of its source) in aiokafka 0.14.0.
SEEN = [
    (next(cls for cls in fetcher.PartitionRecords.__mro__ if cls.__module__ == fetcher.__name__), "94aa0da0dbec8d1b"),
    (fetcher.Fetcher._proc_fetch_request, "59bf948fff47eed5"),
    (fetcher.FetchResult, "d7db13f06de8248c"),
]


@pytest.mark.parametrize(("part", "digest"), SEEN, ids=lambda p: getattr(p, "__name__", ""))
def test_what_is_replaced_or_relied_on_is_unchanged(part: Any, digest: str) -> None:
    """When it changed: read the change, mend `schemas/kafka/batches.py`, then write the new digest here."""
    assert hashlib.sha256(_source_of(part).encode()).hexdigest()[:16] == digest


def _source_of(part: Any) -> str:
    """For a class, `inspect.getsource` parses the file, which Python 3.11 fails at now and then (gh-106905)."""
    if not inspect.isclass(part):
        return inspect.getsource(part)
    lines = inspect.getsourcelines(fetcher)[0]
    start = next(i for i, line in enumerate(lines) if line.startswith(f"class {part.__name__}"))
    return "".join(inspect.getblock(lines[start:]))


def test_the_version_is_the_pinned_one_and_its_reader_the_compiled_one() -> None:
    assert importlib.metadata.version("aiokafka") == "0.14.0"
    assert not DefaultRecordBatch.__name__.startswith("_")
    assert {name for name in vars(Batch) if not name.startswith("_")} <= {*dir(DefaultRecordBatch)}


def test_a_mark_is_a_harmless_text() -> None:
    mark = Damaged("caf\\xe9", GateReason.BAD_HEADER, "detail")

    assert (mark, mark.encode(), mark.reason, mark.detail) == ("caf\\xe9", b"caf\\xe9", GateReason.BAD_HEADER, "detail")
