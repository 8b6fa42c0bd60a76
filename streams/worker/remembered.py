"""
What does a worker keep in mind of the decisions of its partitions?

For each, what stands at the head of its record: enough to know a repeat and a redo. And of episodes, by keyed tokens,
who was accused and what adds to what (`streams.rules.episode`). Of each partition 20 000 decisions are kept, so all of
it is kept small; and whoever leaves most loses its own first.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from safebus.schemas.bus_records import DecisionRecord, Episode, Holder, Origin
from safebus.schemas.tokens import Dresser

HEADER = "sb_decided"

#: Of what episodes leave, for each partition: some 15 000 with one suspect.
MOST_BYTES = 32 * 1024 * 1024


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

    def plain(self, key: Dresser) -> KnownDecision:
        """The same with the tokens as they are known here."""
        return self if self.episodes is None else replace(self, episodes=tuple(map(key.plain, self.episodes)))

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


def _says_something(episode: Episode) -> bool:
    return bool(episode.accused) or not episode.whole or episode.retracted


#: (partition, agency, event id) -> who was sent it.
Holders = Mapping[tuple[int, str, str], tuple[Holder, ...]]


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
        found = self.decision(event_id)
        return None if found is None else found.episodes

    def episode(self, token: str) -> Episode | None:
        """What the last events of this episode left, on each partition; None: none is remembered."""
        left = [each for at in self._partitions() if (each := self.decided[at].episode(self.source, token)) is not None]
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
        found = self.decision(event_id)
        return None if found is None else found.adds_to

    def followers(self, event_id: str) -> Sequence[str]:
        """The ids of those that add to this one or correct it, in order, on each partition."""
        return [
            each for at in self._partitions() for each in self.decided[at].following.get((self.source, event_id), ())
        ]

    def holders(self, event_id: str) -> Sequence[Holder]:
        """Who was sent a notification of this event; nobody, where its decision is no longer kept."""
        at = self.partition_of(event_id)
        return () if at is None else self.holders_read.get((at, self.source, event_id), ())

    def partition_of(self, event_id: str) -> int | None:
        """Where this event of the agency was decided."""
        return next((at for at in self._partitions() if (self.source, event_id) in self.decided[at].headers), None)

    def decision(self, event_id: str) -> KnownDecision | None:
        """What is remembered of the decision about this event."""
        at = self.partition_of(event_id)
        return None if at is None else KnownDecision.from_header(self.decided[at].headers[self.source, event_id])

    def _partitions(self) -> Iterator[int]:
        yield self.partition
        yield from (at for at in self.decided if at != self.partition)


class Left:
    """
    What the last event of each episode left, where it says something; packed, a sixth of what objects take.

    When it holds more than `MOST_BYTES`, the agency that has most of it loses the oldest of its own: that episode is
    still known, but not whole, so that what follows it is held.

    Attributes:
        bytes: Of everything that is kept.
    """

    def __init__(self) -> None:
        self._packed: dict[tuple[str, str], bytes] = {}  # (agency, token) -> what was left; empty: lost
        self._by: dict[str, OrderedDict[str, tuple[bytes, tuple[str, ...]]]] = defaultdict(OrderedDict)
        self._bytes: dict[str, int] = defaultdict(int)
        self.bytes = 0

    def of(self, source: str, token: str) -> Episode:
        """What the last event of this episode left."""
        packed = self._packed.get((source, token))
        if packed is None:
            return Episode(tokens=(token,))
        return Episode.model_validate_json(zlib.decompress(packed)) if packed else Episode(tokens=(token,), whole=False)

    def put(self, source: str, event_id: str, tokens: Sequence[str], left: Episode | None) -> None:
        """This event is the last of these episodes; `left`: None: nothing to say."""
        self._take_off(source, tokens)
        if left is None:
            return
        packed = zlib.compress(left.model_dump_json().encode(), 1)
        self._by[source][event_id] = packed, tuple(tokens)
        self._weigh(source, len(packed))
        self._packed |= {(source, token): packed for token in tokens}
        while self.bytes > MOST_BYTES:
            self._lose_the_oldest_of(max(self._bytes, key=self._bytes.__getitem__))

    def forget(self, source: str, event_id: str, last_of: Sequence[str]) -> None:
        """This event is forgotten; `last_of`: the episodes of which it was the last."""
        packed, _ = self._by[source].pop(event_id, (b"", ()))
        self._weigh(source, -len(packed))
        self._take_off(source, last_of)

    def _weigh(self, source: str, size: int) -> None:
        self._bytes[source] += size
        self.bytes += size

    def _take_off(self, source: str, tokens: Sequence[str]) -> None:
        for token in tokens:
            self._packed.pop((source, token), None)

    def _lose_the_oldest_of(self, source: str) -> None:
        _, (packed, tokens) = self._by[source].popitem(last=False)
        self._weigh(source, -len(packed))
        # A later event may have left something since.
        self._packed |= {(source, token): b"" for token in tokens if self._packed.get((source, token)) is packed}


@dataclass
class Remembered:
    """
    What was decided of one partition. Its tokens are as they are known here, under whichever key they were written.

    Attributes:
        headers: As they stand on the records, but for that: 20 000 for each partition are a tenth of the memory that
            objects take.
        offsets: Where the records stand in `decisions`, for those that were read there.
        latest: (agency, token of an episode) -> id of its last event; `left`: what that event left.
        following: (agency, id of an event) -> ids of those that add to it or correct it, in order.
        last: Topic -> offset of the last event of it that was decided; what comes after it cannot be a redo.
        next: Offset of the first decision not read yet.
        unread: There are decisions that this worker made and has not read.
    """

    headers: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)
    offsets: dict[tuple[str, str], int] = field(default_factory=dict)
    latest: dict[tuple[str, str], str] = field(default_factory=dict)
    left: Left = field(default_factory=Left)
    following: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    next: int | None = None
    unread: bool = False

    def remember(self, key: tuple[str, str], known: KnownDecision, left: Episode | None, *, most: int) -> None:
        """
        One more decision; beyond `most` the oldest is forgotten.

        Args:
            left: What it leaves for its episode, where that says something.
        """
        source, event_id = key
        origin = known.origin
        new = key not in self.headers
        self.headers[key] = known.header()[1]
        self.last[origin.topic] = max(origin.offset, self.last.get(origin.topic, -1))
        # One that is read again after it was decided here is not the last of its episode for that.
        if new and known.episodes is not None:
            self.latest |= {(source, token): event_id for token in known.episodes}
            self.left.put(source, event_id, known.episodes, left if known.accuses else None)
        if new and known.adds_to is not None:
            self.following.setdefault((source, known.adds_to), {})[event_id] = None
        if len(self.headers) > most:
            self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        (source, event_id), header = self.headers.popitem(last=False)
        self.offsets.pop((source, event_id), None)
        known = KnownDecision.from_header(header)
        if known.adds_to is not None:
            those = self.following[source, known.adds_to]
            those.pop(event_id)
            if not those:
                del self.following[source, known.adds_to]
        last_of = [token for token in known.episodes or () if self.latest.get((source, token)) == event_id]
        for token in last_of:
            del self.latest[source, token]
        self.left.forget(source, event_id, last_of)

    def episode(self, source: str, token: str) -> Episode | None:
        """What the last event of this episode left; None: none is remembered."""
        return self.left.of(source, token) if (source, token) in self.latest else None

    def places(self) -> dict[tuple[str, int], int]:
        """(topic, offset) of an event -> offset of its decision."""
        found: dict[tuple[str, int], int] = {}
        for key, at in self.offsets.items():
            origin = KnownDecision.from_header(self.headers[key]).origin
            found[origin.topic, origin.offset] = at
        return found
