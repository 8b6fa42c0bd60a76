"""
What if aiokafka cannot read what a publisher's software wrote?

aiokafka raises, at the same offset, for ever: one record would stop a partition and everything behind it. It also
unpacks whatever is compressed, 300 kB into 300 MB, and believes the offsets that stand inside a batch. A broker lets
all of this through (tried on Apache Kafka 4.3.1). So every batch passes through here first:

    header names that are not UTF-8             -> the record, with the bad name marked
    unpacked, more than `UNPACKED_BYTES`        -> not unpacked; each offset of the batch stands as a marked record
    many such, all just below it                -> some at a time; the rest is fetched again
    more than `MOST_HEADERS`                    -> the record, marked, without them
    an unknown codec, junk, false offsets       -> what is readable up to there; each offset after it marked
    written inside a transaction                -> the record, marked besides: it may yet be undone, or was

The mark is a `gate.Damaged` header name, and the gate refuses whatever carries one: each offset ends in quarantine,
none is skipped, and the rest of the partition goes on. What could not be read has no value here, so where every record
counts (`register`, `decisions`) the reader stops, as it must. The bus itself writes `decisions` in transactions;
whoever reads those expects this mark, and no other.
A false checksum still stops the reader: a broker accepts none, so it is the broker's disk that is damaged.

In effect from where a process calls `install`; `Connection.consumer_settings` refuses a consumer to one that did not.
Guarded by tests/schemas/kafka/test_batches.py, which fails when an upgrade changes what is replaced here.
Source: aiokafka 0.14.0, consumer/fetcher.py; KIP-98, message format 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from safebus.schemas.errors import Refused
from safebus.schemas.gate import Damaged, GateReason
from safebus.schemas.kafka import group_answers
from safebus.schemas.kafka.unpacking import UNPACKED_BYTES, unpack

#: Of one answer to a fetch, which holds the batches of one partition.
UNPACKED_AT_ONCE = 4 * UNPACKED_BYTES
#: An empty header has two bytes on the wire and some 100 in memory, and 500 records are handed out at once.
MOST_HEADERS = 1000
#: aiokafka's reader makes all headers of a record before one can count them, so a larger batch is read here.
_COUNT_FIRST = 256 * 1024

_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH_AT, _OVERHEAD, _MAGIC_AT, _ATTRIBUTES_AT = 8, 12, 16, 21  # in bytes from a batch's start
_CODEC, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_MAY_BE_UNDONE = (
    "found a record inside a transaction, which its publisher may undo after it was shared; expected one that stands: "
    "publish without `transactional.id`"
)
_BROKEN = "a record inside a batch does not hold together"


def install() -> None:
    """From now on, every aiokafka consumer of this process reads through this module and `group_answers`."""
    fetcher.MemoryRecords = TolerantRecords
    group_answers.install()


def installed() -> bool:
    """Consumers of this process read through these."""
    return fetcher.MemoryRecords is TolerantRecords and group_answers.installed()


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as aiokafka's fetcher takes it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class TolerantRecords:
    """The batches of one fetched partition, in place of aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = self._unpacked = 0
        self._batch: Batch | None = None

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        """Not what is cut off at the end of an answer, nor what would be too much at once: it will be fetched again."""
        unpacked = self._unpacked + (self._batch.unpacked if self._batch else 0)
        return unpacked < UNPACKED_AT_ONCE and self._end() <= len(self._data)

    def next_batch(self) -> Batch:
        """
        Raises:
            CorruptRecordException: Not even the head of a batch; only a broker or its disk can do that.
        """
        start, self._at = self._at, self._end()
        raw = self._data[start : self._at]
        if len(raw) <= _MAGIC_AT or (raw[_MAGIC_AT] >= 2 and len(raw) < _HEAD.size):
            raise CorruptRecordException(f"a batch of {len(raw)} bytes is shorter than its head")
        self._unpacked += self._batch.unpacked if self._batch else 0
        self._batch = Batch(raw)
        return self._batch

    def _end(self) -> int:
        if len(self._data) - self._at < _OVERHEAD:
            return len(self._data) + 1
        [length] = struct.unpack_from(">i", self._data, self._at + _LENGTH_AT)
        return self._at + _OVERHEAD + int(length)


class Batch:
    """
    One batch, in place of aiokafka's `DefaultRecordBatch`.

    Attributes:
        next_offset: Of the batch behind it, as its head says; the broker has checked the head.
        unpacked: How many bytes were made of it, if it was compressed and has been looked into.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.unpacked = 0
        self.base_offset: int = struct.unpack_from(">q", raw)[0]
        self._old = raw[_MAGIC_AT] < 2
        head = (0,) * 13 if self._old else _HEAD.unpack_from(raw)
        self._attributes, last, self._first_time, self._time, self.producer_id = head[5:10]
        self.next_offset = self.base_offset + last + 1
        self._compacted = head[-1] <= last
        self._appended = bool(self._attributes & _LOG_APPEND_TIME)

    @property
    def is_transactional(self) -> bool:
        return bool(self._attributes & _TRANSACTIONAL)

    @property
    def is_control_batch(self) -> bool:
        return bool(self._attributes & _CONTROL)

    def validate_crc(self) -> bool:
        """
        Whether these are the bytes that the broker took; where there is no such sum, nothing of it is read.

        A control batch is believed: it carries nothing of ours, and the embedded broker (librdkafka's mock cluster)
        writes the marks of its transactions without a sum.
        """
        return self._old or self.is_control_batch or bool(DefaultRecordBatch(self._raw).validate_crc())

    def __next__(self) -> Record:
        """The one record of a control batch, which only brokers write."""
        return cast("Record", next(iter(DefaultRecordBatch(self._raw))))

    def __iter__(self) -> Iterator[Record]:
        """One record for each offset, in order; marked from the first on that cannot be read."""
        expected = self.base_offset
        try:
            for record in self._readable():
                # Only where a topic was compacted are there fewer records than offsets.
                last = self.next_offset - 1 if self._compacted else expected
                if not expected <= record.offset <= last:
                    raise Refused(GateReason.UNREADABLE_BATCH, "the offsets inside a batch are not those of its head")
                expected = record.offset + 1
                many = len(record.headers) > MOST_HEADERS
                found = _without_headers(record, len(record.headers)) if many else record
                yield _in_transaction(found) if self.is_transactional else found
        except Refused as exc:
            for offset in range(expected, self.next_offset):
                found = self._marked(offset, Damaged("", exc.reason, exc.detail))
                yield _in_transaction(found) if self.is_transactional else found

    def _readable(self) -> Iterator[Record]:
        plain = self._unpacked()
        if len(plain) > _COUNT_FIRST:
            yield from self._read_here(plain)
            return
        done = 0
        try:
            for record in cast("Iterator[Record]", DefaultRecordBatch(plain)):
                yield record  # aiokafka's own, with the same attributes
                done += 1
        except UnicodeDecodeError:
            # A name that is not UTF-8, in the record behind those that are done.
            yield from islice(self._read_here(plain), done, None)
        except CorruptRecordException as exc:
            raise Refused(GateReason.UNREADABLE_BATCH, _BROKEN) from exc

    def _unpacked(self) -> bytes:
        """The batch as it would be if it had not been compressed."""
        if self._old:
            raise Refused(GateReason.UNREADABLE_BATCH, "message format 0 or 1; use a Kafka client made since 2017")
        codec = self._attributes & _CODEC
        if codec == 0:
            return self._raw
        head = bytearray(self._raw[: _HEAD.size])
        struct.pack_into(">h", head, _ATTRIBUTES_AT, self._attributes & ~_CODEC)
        self.unpacked = UNPACKED_BYTES  # what it costs to find that it is too much
        plain = unpack(codec, self._raw[_HEAD.size :])
        self.unpacked = len(plain)
        return bytes(head) + plain

    def _read_here(self, plain: bytes) -> Iterator[Record]:
        """What aiokafka's reader gives, with the names that it cannot read, and without more headers than may be."""
        wire = _Wire(plain, _HEAD.size)
        try:
            for _ in range(_HEAD.unpack_from(plain)[-1]):
                length = wire.number()
                end = wire.at + length
                record = self._record(wire, end)
                if wire.at != end:
                    raise Refused(GateReason.UNREADABLE_BATCH, _BROKEN)
                yield record
        except IndexError as exc:
            raise Refused(GateReason.UNREADABLE_BATCH, _BROKEN) from exc

    def _record(self, wire: _Wire, end: int) -> Record:
        wire.at += 1  # attributes: none are in use
        time, offset = self._first_time + wire.number(), self.base_offset + wire.number()
        key, value = wire.nullable(), wire.nullable()
        record = Record(offset, self._time if self._appended else time, int(self._appended), key, value, [])
        count = wire.number()
        if not 0 <= count <= (end - wire.at) // 2:  # a header takes two bytes at least
            raise IndexError
        if count > MOST_HEADERS:
            wire.at = end
            return _without_headers(record, count)
        record.headers.extend((_name(wire.nullable() or b""), wire.nullable()) for _ in range(count))
        return record

    def _marked(self, offset: int, why: Damaged) -> Record:
        return Record(offset, self._time, int(self._appended), None, None, [(why, None)])


def _in_transaction(record: Record) -> Record:
    r = record
    why = Damaged("", GateReason.IN_TRANSACTION, _MAY_BE_UNDONE)
    return Record(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, [*r.headers, (why, None)])


def _without_headers(record: Record, count: int) -> Record:
    why = Damaged("", GateReason.TOO_MANY_HEADERS, f"found {count} headers, more than {MOST_HEADERS}")
    r = record
    return Record(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, [(why, None)])


class _Wire:
    """Reads varints and what they announce. Source: Protocol Buffers encoding, ZigZag."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at

    def number(self) -> int:
        raw = 0
        for shift in range(0, 70, 7):  # a number of 64 bits; without an end, a long one would cost its length squared
            byte = self._data[self.at]
            self.at += 1
            raw |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (raw >> 1) ^ -(raw & 1)
        raise IndexError

    def nullable(self) -> bytes | None:
        length = self.number()
        if length < 0:
            return None
        self.at += length
        return self._data[self.at - length : self.at]


def _name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        detail = f"a header name of {len(raw)} bytes is not UTF-8"
        return Damaged(raw.decode("utf-8", "backslashreplace"), GateReason.BAD_HEADER, detail)
