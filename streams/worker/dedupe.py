"""
Was this event decided before, and from where?

`decisions` has as many partitions as every `in.*` topic, and a decision is written to the partition number of its
source. So whoever is given a source partition reads the tail of that one decisions partition and knows. A repeat under
another case comes on another partition: known too, where one worker has both; else `consumers.delivery` recognises it.

    same origin, same bytes             a redo after a crash: carry out what is on record
    same id, other origin, same bytes   the publisher's repeat, under whatever case: drop and count
    same id, other bytes                quarantine

The same tail tells what an event's episode led to before (`streams.rules.episode`): whom it kept out, and who was sent
what is taken back now.
"""

from __future__ import annotations

from collections import ChainMap, OrderedDict, defaultdict
from collections.abc import Iterable

import structlog

from safebus.schemas import codec, gate, tokens, topics
from safebus.schemas.bus_records import DecisionRecord, Holder, Origin
from safebus.schemas.errors import BrokenPromise, SecretNotHeld
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.keys import PersonKey
from safebus.streams.rules import episode
from safebus.streams.worker.remembered import HEADER, Before, Holders, KnownDecision, Remembered

log = structlog.get_logger()

#: Decisions that may not be on record yet: two parts of a batch are under way at most (`streams.worker.router`).
_UNWRITTEN = 1_000


class Dedupe:
    """
    The events decided lately, for the partitions this worker has.

    Args:
        key: Reads the tokens of all decisions, under whichever generation of it they were made.
        window: How many decisions of each partition are remembered. Older repeats are caught by the adapters, whose
            deliveries have the same ids.
    """

    def __init__(
        self, connection: Connection, *, key: PersonKey, window: int = 20_000, patience_s: float = 30.0
    ) -> None:
        self._connection, self._key = connection, key
        self._window = window
        self._patience_s = patience_s
        self._decided: dict[int, Remembered] = {}
        self._unwritten: OrderedDict[tuple[int, str, str], tuple[Holder, ...]] = OrderedDict()

    async def read_tails(self, partitions: Iterable[int]) -> None:
        """
        Learn what was decided of partitions that this worker has just taken over.

        Raises:
            NotReachable: A tail could not be read; deciding without it could decide twice.
        """
        for partition in sorted(partitions):
            await self._read_tail(partition)

    def find(self, partition: int, source: str, event_id: str) -> KnownDecision | None:
        """
        What is known of an event of this agency.

        Also where it was decided on another partition of this worker: whoever publishes it again may give another case.
        """
        return self.before(partition, source, {}).decision(event_id)

    def add(self, partition: int, record: DecisionRecord, decided: KnownDecision) -> None:
        """Remember one more, as it is written, and forget the oldest beyond the window."""
        found = self._decided[partition]
        left = record.episode and tokens.plain(record.episode, self._key)
        found.remember((record.source, record.event_id), decided.plain(self._key), left, most=self._window)
        found.unread = True
        self._unwritten[partition, record.source, record.event_id] = self._holders_of(record)
        if len(self._unwritten) > _UNWRITTEN:
            self._unwritten.popitem(last=False)

    def before(self, partition: int, source: str, holders: Holders) -> Before:
        """What this agency's events led to. Those just decided, and not on record yet, are among them."""
        return Before(partition, source, self._decided, ChainMap(self._unwritten, dict(holders)))

    async def holders(self, events: Iterable[tuple[int, Event]]) -> Holders:
        """
        Who was sent what these take back or correct: (partition, event) of those about to be decided.

        Raises:
            NotReachable: `decisions` cannot be read.
            Refused: What stands there is no decision record.
        """
        wanted: dict[int, set[tuple[str, str]]] = defaultdict(set)
        found: dict[tuple[int, str, str], tuple[Holder, ...]] = {}
        for own, event in events:
            source = event.publisher.agency
            before = self.before(own, source, {})
            original = episode.taken_back(event, self._key, before)
            for each in episode.concerned(original, before) if original is not None else ():
                partition = before.partition_of(each)
                assert partition is not None  # whoever is named by one that is remembered is remembered, too
                at = (partition, source, each)
                if at in self._unwritten:  # kept here: the decisions to come may put it out of those
                    found[at] = self._unwritten[at]
                else:
                    wanted[partition].add((source, each))
        for partition, keys in wanted.items():
            decided = self._decided[partition]
            if any(each not in decided.offsets for each in keys):
                await self._read_tail(partition)
            for record in await self._records(partition, {decided.offsets[each] for each in keys}):
                found[partition, record.source, record.event_id] = self._holders_of(record)
        return found

    def _holders_of(self, record: DecisionRecord) -> tuple[Holder, ...]:
        return tuple(tokens.plain(holder, self._key) for holder in episode.holders_of(record))

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
        decided = self._decided.setdefault(partition, Remembered())
        # One that was ours before the rebalance too: only what came since. Ours or another's, it is the same to us.
        starts = {} if decided.next is None else {partition: decided.next}
        async for message in read_topic(
            self._connection,
            topics.DECISIONS,
            partitions=[partition],
            last=2 * self._window,  # the mark of each transaction takes an offset, and one may hold a single decision
            starts=starts,
            patience_s=self._patience_s,
        ):
            if not gate.in_transaction(message.headers):
                # The worker writes all of them in transactions, under an id that nobody else may use.
                log.error("record.strange", topic=topics.DECISIONS, partition=partition, offset=message.offset)
                decided.next = message.offset + 1
                continue
            try:
                gate.check_marks(message.headers, in_transaction=True)
                headers = dict(message.headers)
                key = (headers["ce_source"].decode(), message.key.decode())
                known = KnownDecision.from_header(headers[HEADER]).plain(self._key)
                left = codec.decode_record(message.value, DecisionRecord).episode if known.accuses else None
                left = left and tokens.plain(left, self._key)
            except SecretNotHeld:
                raise  # a worker wrote it, and this one was started before it was given the secret in use
            except Exception as exc:
                raise BrokenPromise(
                    f"`{topics.DECISIONS}` {partition}/{message.offset} is no decision of a worker "
                    f"({type(exc).__name__}), and stands in a transaction as theirs do: find who has the right to "
                    "WRITE it with the transactional id `safebus-decisions-*`; nothing is decided on this partition "
                    "before that record is deleted"
                ) from exc
            decided.remember(key, known, left, most=self._window)
            decided.offsets[key] = message.offset
            decided.next = message.offset + 1
        decided.unread = False


def _by_partition(origins: Iterable[Origin], decided: dict[int, Remembered]) -> dict[int, list[Origin]]:
    """Those that may have been decided before: not beyond the last that was."""
    found: dict[int, list[Origin]] = {}
    for origin in origins:
        if origin.offset <= decided[origin.partition].last.get(origin.topic, -1):
            found.setdefault(origin.partition, []).append(origin)
    return found
