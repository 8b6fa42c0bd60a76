"""
Was this event decided before, and from where?

`decisions` has as many partitions as every `in.*` topic, and a decision is written to the partition number of its
source. So whoever is given a source partition reads the tail of that one decisions partition and knows.

    same origin, same bytes             a redo after a crash: carry out what is on record
    same id, other origin, same bytes   the publisher's repeat: drop and count
    same id, other bytes                quarantine
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

HEADER = "sb_decided"


@dataclass(frozen=True)
class KnownDecision:
    """
    What is remembered of a decision.

    Attributes:
        record_digest: Keyed digest of the decision record's bytes.
    """

    origin: Origin
    input_digest: str
    register_offset: int
    decided_at: datetime
    record_digest: str

    def header(self) -> tuple[str, bytes]:
        """What stands on the decision record, so that the tail is read without decoding it."""
        at = int(self.decided_at.timestamp() * 1000)
        o = self.origin
        text = (
            f"{o.topic}|{o.partition}|{o.offset}|{self.input_digest}|{self.register_offset}|{at}|{self.record_digest}"
        )
        return HEADER, text.encode()

    @classmethod
    def from_header(cls, value: bytes) -> KnownDecision:
        """Read it back."""
        topic, partition, offset, digest, register, at, record = value.decode().split("|")
        return cls(
            origin=Origin(topic=topic, partition=int(partition), offset=int(offset)),
            input_digest=digest,
            register_offset=int(register),
            decided_at=datetime.fromtimestamp(int(at) / 1000, UTC),
            record_digest=record,
        )

    @classmethod
    def of(cls, record: DecisionRecord, record_digest: str) -> KnownDecision:
        """From the record itself."""
        return cls(record.origin, record.input_digest, record.register_offset, record.decided_at, record_digest)


class Dedupe:
    """
    The events decided lately, for the partitions this worker has.

    Args:
        window: How many decisions of each partition are remembered. Older repeats are caught by the adapters, whose
            deliveries have the same ids.
    """

    def __init__(self, connection: Connection, *, window: int = 20_000, patience_s: float = 30.0) -> None:
        self._connection = connection
        self._window = window
        self._patience_s = patience_s
        self._decided: dict[int, _Decided] = {}

    async def read_tails(self, partitions: Iterable[int]) -> None:
        """
        Learn what was decided of partitions that this worker has just taken over.

        Raises:
            NotReachable: A tail could not be read; deciding without it could decide twice.
        """
        for partition in sorted(partitions):
            await self._read_tail(partition)

    def find(self, partition: int, source: str, event_id: str) -> KnownDecision | None:
        """What is known of an event of this agency."""
        found = self._decided[partition].headers.get((source, event_id))
        return None if found is None else KnownDecision.from_header(found)

    def add(self, partition: int, source: str, event_id: str, decided: KnownDecision) -> None:
        """Remember one more, and forget the oldest beyond the window."""
        found = self._decided[partition]
        found.remember((source, event_id), decided.header()[1], decided.origin, most=self._window)
        found.unread = True

    async def on_record(self, origins: Iterable[Origin]) -> dict[Origin, DecisionRecord]:
        """
        The decisions about these that were made before a crash, as they stand on record.

        Raises:
            NotReachable: `decisions` cannot be read.
            Refused: What stands there is no decision record.
        """
        found: dict[Origin, DecisionRecord] = {}
        for partition, again in _by_partition(origins, self._decided).items():
            decided = self._decided[partition]
            if decided.unread:
                await self._read_tail(partition)
            places = decided.places()
            offsets = {at for origin in again if (at := places.get((origin.topic, origin.offset))) is not None}
            if offsets:
                found |= {record.origin: record for record in await self._records(partition, offsets)}
        return found

    async def _records(self, partition: int, offsets: set[int]) -> list[DecisionRecord]:
        read = read_topic(
            self._connection,
            topics.DECISIONS,
            partitions=[partition],
            starts={partition: min(offsets)},
            ends={partition: max(offsets) + 1},
            patience_s=self._patience_s,
        )
        return [codec.decode_record(m.value, DecisionRecord) async for m in read if m.offset in offsets]

    async def _read_tail(self, partition: int) -> None:
        decided = self._decided.setdefault(partition, _Decided())
        # One that was ours before the rebalance too: only what came since. Ours or another's, it is the same to us.
        starts = {} if decided.next is None else {partition: decided.next}
        async for message in read_topic(
            self._connection,
            topics.DECISIONS,
            partitions=[partition],
            last=self._window,
            starts=starts,
            patience_s=self._patience_s,
        ):
            headers = dict(message.headers)
            if HEADER not in headers:
                raise BrokenPromise(f"`decisions` {partition}/{message.offset} was not written by the worker")
            key = (headers["ce_source"].decode(), message.key.decode())
            decided.remember(key, headers[HEADER], KnownDecision.from_header(headers[HEADER]).origin, most=self._window)
            decided.offsets[key] = message.offset
            decided.next = message.offset + 1
        decided.unread = False


@dataclass
class _Decided:
    """
    What was decided of one partition.

    Attributes:
        headers: As they stand on the records: 20 000 for each partition are a tenth of the memory that objects take.
        offsets: Where the records stand in `decisions`, for those that were read there.
        last: Topic -> offset of the last event of it that was decided; what comes after it cannot be a redo.
        next: Offset of the first decision not read yet.
        unread: There are decisions that this worker made and has not read.
    """

    headers: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)
    offsets: dict[tuple[str, str], int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    next: int | None = None
    unread: bool = False

    def remember(self, key: tuple[str, str], header: bytes, origin: Origin, *, most: int) -> None:
        """One more decision; beyond `most` the oldest is forgotten."""
        self.headers[key] = header
        self.last[origin.topic] = max(origin.offset, self.last.get(origin.topic, -1))
        if len(self.headers) > most:
            oldest, _header = self.headers.popitem(last=False)
            self.offsets.pop(oldest, None)

    def places(self) -> dict[tuple[str, int], int]:
        """(topic, offset) of an event -> offset of its decision."""
        found: dict[tuple[str, int], int] = {}
        for key, at in self.offsets.items():
            origin = KnownDecision.from_header(self.headers[key]).origin
            found[origin.topic, origin.offset] = at
        return found


def _by_partition(origins: Iterable[Origin], decided: dict[int, _Decided]) -> dict[int, list[Origin]]:
    """Those that may have been decided before: not beyond the last that was."""
    found: dict[int, list[Origin]] = {}
    for origin in origins:
        if origin.offset <= decided[origin.partition].last.get(origin.topic, -1):
            found.setdefault(origin.partition, []).append(origin)
    return found
