"""
Was this event decided before, and from where?

`decisions` has as many partitions as every `in.*` topic, and a decision is written to the partition number of its
source. So whoever is given a source partition reads the tail of that one decisions partition and knows.

    same origin, same bytes             a redo after a crash: carry out what is on record
    same id, other origin, same bytes   the publisher's repeat: drop and count
    same id, other bytes                quarantine

The same tail tells what an event's episode led to before (`streams.rules.episode`): whom it kept out, and who was sent
what is taken back now.
"""

from __future__ import annotations

import zlib
from collections import ChainMap, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Episode, Holder, Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.events import Event
from safebus.schemas.identifiers import PersonKey
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.streams.rules import episode

HEADER = "sb_decided"

#: Of what episodes leave, for each partition: some 15 000 with one suspect. What follows what is forgotten is held.
MOST_BYTES = 32 * 1024 * 1024

#: Decisions that may not be on record yet: two parts of a batch are under way at most (`streams.worker.router`).
_UNWRITTEN = 1_000


@dataclass(frozen=True)
class KnownDecision:
    """
    What is remembered of a decision.

    Attributes:
        record_digest: Keyed digest of the decision record's bytes.
        episodes: Tokens of its episodes; None: recorded before there were any.
        accuses: Somebody is accused in them, or so many that not all are on record, or it is a retraction.
        adds_to: The id of the event that it adds to or corrects.
    """

    origin: Origin
    input_digest: str
    register_offset: int
    decided_at: datetime
    record_digest: str
    episodes: tuple[str, ...] | None = None
    accuses: bool = False
    adds_to: str | None = None

    def header(self) -> tuple[str, bytes]:
        """What stands on the decision record, so that the tail is read without decoding it."""
        at = int(self.decided_at.timestamp() * 1000)
        o = self.origin
        parts = [o.topic, o.partition, o.offset, self.input_digest, self.register_offset, at, self.record_digest]
        if self.episodes is not None:
            parts += [",".join(self.episodes), int(self.accuses), self.adds_to or ""]
        return HEADER, "|".join(map(str, parts)).encode()

    @classmethod
    def from_header(cls, value: bytes) -> KnownDecision:
        """Read it back."""
        topic, partition, offset, digest, register, at, record, *later = value.decode().split("|")
        return cls(
            origin=Origin(topic=topic, partition=int(partition), offset=int(offset)),
            input_digest=digest,
            register_offset=int(register),
            decided_at=datetime.fromtimestamp(int(at) / 1000, UTC),
            record_digest=record,
            episodes=tuple(later[0].split(",")) if later else None,
            accuses=bool(later) and later[1] == "1",
            adds_to=(later[2] or None) if len(later) > 2 else None,
        )

    @classmethod
    def of(cls, record: DecisionRecord, record_digest: str) -> KnownDecision:
        """From the record itself."""
        return cls(
            record.origin,
            record.input_digest,
            record.register_offset,
            record.decided_at,
            record_digest,
            None if record.episode is None else record.episode.tokens,
            record.episode is not None and _says_something(record.episode),
            None if record.episode is None else record.episode.adds_to,
        )


def _packed(episode: Episode) -> bytes:
    return zlib.compress(episode.model_dump_json().encode(), 1)


def _unpacked(packed: bytes) -> Episode:
    return Episode.model_validate_json(zlib.decompress(packed))


def _says_something(episode: Episode) -> bool:
    return bool(episode.accused) or not episode.whole or episode.retracted


Holders = Mapping[tuple[int | None, str, str], tuple[Holder, ...]]


@dataclass(frozen=True)
class Before:
    """
    What one agency's events led to: `streams.rules.episode.DecidedBefore`.

    What belongs together should come under one case, and so on one partition. People type another; what this worker
    knows of its other partitions counts as well.

    Attributes:
        decided: What is remembered of the event's own partition, and of others, by number.
        holders_read: Who holds what of the events that are taken back or corrected, by (partition, agency, event id).
    """

    partition: int
    source: str
    decided: Mapping[int, Remembered]
    holders_read: Holders

    def tokens(self, event_id: str) -> tuple[str, ...] | None:
        """Of the episodes of this event; None: it is not remembered."""
        at = self.partition_of(event_id)
        return (
            None if at is None else KnownDecision.from_header(self.decided[at].headers[self.source, event_id]).episodes
        )

    def episode(self, token: str) -> Episode | None:
        """What the last events of this episode left, on each partition; None: none is remembered."""
        left = [each for at in self._partitions() if (each := self.decided[at].left(self.source, token)) is not None]
        if len(left) < 2:
            return left[0] if left else None
        return Episode(
            tokens=tuple(dict.fromkeys(each for one in left for each in one.tokens)),
            accused=tuple(dict.fromkeys(each for one in left for each in one.accused)),
            whole=all(one.whole for one in left),
            retracted=any(one.retracted for one in left),
        )

    def latest(self, token: str) -> str | None:
        """The id of the last event of this episode, on its own partition if there is any; None: none is remembered."""
        found = (self.decided[at].latest.get((self.source, token)) for at in self._partitions())
        return next((each for each in found if each is not None), None)

    def adds_to(self, event_id: str) -> str | None:
        """The id of the event that this one adds to or corrects."""
        at = self.partition_of(event_id)
        return (
            None if at is None else KnownDecision.from_header(self.decided[at].headers[self.source, event_id]).adds_to
        )

    def followers(self, event_id: str) -> Sequence[str]:
        """The ids of those that add to this one or correct it, in order, on each partition."""
        return [
            each for at in self._partitions() for each in self.decided[at].following.get((self.source, event_id), ())
        ]

    def holders(self, event_id: str) -> Sequence[Holder]:
        """Who was sent a notification of this event; nobody, where its decision is no longer kept."""
        return self.holders_read.get((self.partition_of(event_id), self.source, event_id), ())

    def partition_of(self, event_id: str) -> int | None:
        """Where this event of the agency was decided."""
        return next((at for at in self._partitions() if (self.source, event_id) in self.decided[at].headers), None)

    def _partitions(self) -> Iterator[int]:
        yield self.partition
        yield from (at for at in self.decided if at != self.partition)


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
        self._decided: dict[int, Remembered] = {}
        self._unwritten: OrderedDict[tuple[int | None, str, str], tuple[Holder, ...]] = OrderedDict()

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

    def add(self, partition: int, record: DecisionRecord, decided: KnownDecision) -> None:
        """Remember one more, and forget the oldest beyond the window."""
        found = self._decided[partition]
        found.remember((record.source, record.event_id), decided, record.episode, most=self._window)
        found.unread = True
        self._unwritten[partition, record.source, record.event_id] = episode.holders_of(record)
        if len(self._unwritten) > _UNWRITTEN:
            self._unwritten.popitem(last=False)

    def before(self, partition: int, source: str, holders: Holders) -> Before:
        """What this agency's events led to. Those just decided, and not on record yet, are among them."""
        return Before(partition, source, self._decided, ChainMap(self._unwritten, dict(holders)))

    async def holders(self, events: Iterable[tuple[int, Event]], key: PersonKey) -> Holders:
        """
        Who was sent what these take back or correct: (partition, event) of those about to be decided.

        Raises:
            NotReachable: `decisions` cannot be read.
            Refused: What stands there is no decision record.
        """
        wanted: dict[int, set[tuple[str, str]]] = defaultdict(set)
        found: dict[tuple[int | None, str, str], tuple[Holder, ...]] = {}
        for own, event in events:
            source = event.publisher.agency
            before = self.before(own, source, {})
            original = episode.taken_back(event, key, before)
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
                found[partition, record.source, record.event_id] = episode.holders_of(record)
        return found

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
            last=self._window,
            starts=starts,
            patience_s=self._patience_s,
        ):
            headers = dict(message.headers)
            if HEADER not in headers:
                raise BrokenPromise(f"`decisions` {partition}/{message.offset} was not written by the worker")
            key = (headers["ce_source"].decode(), message.key.decode())
            known = KnownDecision.from_header(headers[HEADER])
            left = codec.decode_record(message.value, DecisionRecord).episode if known.accuses else None
            decided.remember(key, known, left, most=self._window)
            decided.offsets[key] = message.offset
            decided.next = message.offset + 1
        decided.unread = False


@dataclass
class Remembered:
    """
    What was decided of one partition.

    Attributes:
        headers: As they stand on the records: 20 000 for each partition are a tenth of the memory that objects take.
        offsets: Where the records stand in `decisions`, for those that were read there.
        latest: (agency, token of an episode) -> id of its last event.
        accusing: The same -> what that event left, where somebody is accused; packed, a sixth of what objects take.
        following: (agency, id of an event) -> ids of those that add to it or correct it.
        last: Topic -> offset of the last event of it that was decided; what comes after it cannot be a redo.
        weighs: Bytes that each decision added to `accusing`; all of them together at most `MOST_BYTES`.
        next: Offset of the first decision not read yet.
        unread: There are decisions that this worker made and has not read.
    """

    headers: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)
    offsets: dict[tuple[str, str], int] = field(default_factory=dict)
    latest: dict[tuple[str, str], str] = field(default_factory=dict)
    accusing: dict[tuple[str, str], bytes] = field(default_factory=dict)
    following: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    weighs: dict[tuple[str, str], int] = field(default_factory=dict)
    weight: int = 0
    next: int | None = None
    unread: bool = False

    def remember(self, key: tuple[str, str], known: KnownDecision, left: Episode | None, *, most: int) -> None:
        """
        One more decision; beyond `most` of them, or what the memory may hold, the oldest are forgotten.

        Args:
            left: What it leaves for its episode, where somebody is accused.
        """
        source, event_id = key
        origin = known.origin
        new = key not in self.headers
        self.headers[key] = known.header()[1]
        self.last[origin.topic] = max(origin.offset, self.last.get(origin.topic, -1))
        packed = _packed(left) if new and left is not None and known.accuses else None
        # One that is read again after it was decided here is not the last of its episode for that.
        for token in known.episodes or () if new else ():
            self.latest[source, token] = event_id
            if packed is not None:
                self.accusing[source, token] = packed
        if new and known.adds_to is not None:
            self.following.setdefault((source, known.adds_to), []).append(event_id)
        if packed is not None:
            self.weighs[key] = len(packed)
            self.weight += len(packed)
        while len(self.headers) > most or (self.weight > MOST_BYTES and len(self.headers) > 1):
            self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        (source, event_id), header = self.headers.popitem(last=False)
        self.offsets.pop((source, event_id), None)
        self.weight -= self.weighs.pop((source, event_id), 0)
        known = KnownDecision.from_header(header)
        if known.adds_to is not None:
            left = [each for each in self.following.pop((source, known.adds_to), []) if each != event_id]
            if left:
                self.following[source, known.adds_to] = left
        for token in known.episodes or ():
            if self.latest.get((source, token)) == event_id:
                del self.latest[source, token]
                self.accusing.pop((source, token), None)

    def left(self, source: str, token: str) -> Episode | None:
        """What the last event of this episode left; None: none is remembered."""
        if (source, token) not in self.latest:
            return None
        packed = self.accusing.get((source, token))
        return Episode(tokens=(token,)) if packed is None else _unpacked(packed)

    def places(self) -> dict[tuple[str, int], int]:
        """(topic, offset) of an event -> offset of its decision."""
        found: dict[tuple[str, int], int] = {}
        for key, at in self.offsets.items():
            origin = KnownDecision.from_header(self.headers[key]).origin
            found[origin.topic, origin.offset] = at
        return found


def _by_partition(origins: Iterable[Origin], decided: dict[int, Remembered]) -> dict[int, list[Origin]]:
    """Those that may have been decided before: not beyond the last that was."""
    found: dict[int, list[Origin]] = {}
    for origin in origins:
        if origin.offset <= decided[origin.partition].last.get(origin.topic, -1):
            found.setdefault(origin.partition, []).append(origin)
    return found
