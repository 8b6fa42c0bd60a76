"""
Was this event decided before, and from where?

`decisions` has as many partitions as every `in.*` topic, and a decision is written to the partition number of its
source. So whoever is given a source partition reads the tail of that one decisions partition and knows.

    same id, same origin                a redo after a crash: decide again as of then
    same id, other origin, same bytes   the publisher's repeat: drop and count
    same id, other bytes                quarantine
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from safebus.schemas import topics
from safebus.schemas.bus_records import DecisionRecord, Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

HEADER = "sb_decided"


@dataclass(frozen=True)
class KnownDecision:
    """
    What a redo needs to know of a decision.

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
        # As they stand in the header: 20 000 for each partition are a tenth of the memory that objects would take.
        self._known: dict[int, OrderedDict[tuple[str, str], bytes]] = {}
        self._next: dict[int, int] = {}  # partition -> offset of the first decision not read yet

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
        found = self._known[partition].get((source, event_id))
        return None if found is None else KnownDecision.from_header(found)

    def add(self, partition: int, source: str, event_id: str, decided: KnownDecision) -> None:
        """Remember one more, and forget the oldest beyond the window."""
        self._remember(partition, source, event_id, decided.header()[1])

    def _remember(self, partition: int, source: str, event_id: str, header: bytes) -> None:
        known = self._known[partition]
        known[(source, event_id)] = header
        if len(known) > self._window:
            known.popitem(last=False)

    async def _read_tail(self, partition: int) -> None:
        self._known.setdefault(partition, OrderedDict())
        # One that was ours before the rebalance too: only what came since. Ours or another's, it is the same to us.
        starts = {partition: self._next[partition]} if partition in self._next else {}
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
            self._remember(partition, headers["ce_source"].decode(), message.key.decode(), headers[HEADER])
            self._next[partition] = message.offset + 1
