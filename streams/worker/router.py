"""
What happens to a batch of events?

    read barrier -> decided before? -> gate -> seen before? -> who had what is taken back? -> decide
                 -> decisions committed -> outputs acknowledged

While one part of a batch is being written the next is decided. Only when all of it is written, and this returns, may
the source offsets be committed. If it stops in between, a decision is on record that was not carried out, never the
reverse; whoever has the partition next carries out what is on record, so nothing is lost or changed, whatever its
rules. An event that cannot be decoded, verified or matched goes to quarantine, sealed; it never stops its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from safebus.schemas import codec, gate, topics
from safebus.schemas.bus_records import DecisionRecord, Origin, Outcome
from safebus.schemas.codec import Received
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import EventSchemas
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.records import FetchedRecord
from safebus.schemas.kafka.writer import Message
from safebus.schemas.keys import PersonKey
from safebus.streams.register.follow import RegisterReader
from safebus.streams.rules import episode, sharing
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.notifications import Output, outputs_of
from safebus.streams.rules.reasons import Aside
from safebus.streams.rules.sharing import SetAside
from safebus.streams.worker import messages
from safebus.streams.worker.case_secrets import CaseSecrets
from safebus.streams.worker.counts import Counts, Fate
from safebus.streams.worker.decision_log import DecisionLog
from safebus.streams.worker.dedupe import Dedupe
from safebus.streams.worker.lane import Batches
from safebus.streams.worker.outgoing import Outgoing
from safebus.streams.worker.remembered import Holders, KnownDecision

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True)
class RouterKeys:
    """
    What the worker needs to know that nobody else does.

    Attributes:
        seal_to: The operators' public key; what goes to quarantine can be opened with its private half only.
    """

    person: PersonKey
    seal_to: bytes


@dataclass(frozen=True)
class Became:
    """
    What became of one event, and what must be written for it.

    Attributes:
        decision: The record that makes it true; None: none is due (set aside, a repeat, a redo).
        outputs: Notifications, and entries in quarantine; written once the decision is committed.
    """

    fate: Fate
    decision: Message | None = None
    outputs: tuple[Message, ...] = ()


#: Of one record; a broker takes 1 MiB with its head, unless told otherwise (`max.message.bytes`).
MOST_BYTES = 1_000_000
_PART = 250  # events that are decided while the part before is written
_TURN_EVERY = 20  # events; about 20 ms, so heartbeats and health answers are on time


@dataclass
class _ToWrite:
    """What one part of a batch leads to; decisions by partition."""

    decisions: dict[int, list[Message]] = field(default_factory=lambda: defaultdict(list))
    outputs: list[Message] = field(default_factory=list)


class Router:
    """
    The lane's handler.

    Args:
        rules_digest: Names the code and schemas that decide.
        clock: The time now, UTC.
    """

    def __init__(
        self,
        *,
        register: RegisterReader,
        dedupe: Dedupe,
        decisions: DecisionLog,
        outgoing: Outgoing,
        keys: RouterKeys,
        schemas: EventSchemas,
        rules_digest: str,
        clock: Callable[[], datetime],
        counts: Counts | None = None,
        limits: gate.Limits = gate.DEFAULT_LIMITS,
    ) -> None:
        self._register, self._dedupe, self._decisions, self._outgoing = register, dedupe, decisions, outgoing
        self._keys, self._schemas, self._rules_digest = keys, schemas, rules_digest
        self._clock, self._limits = clock, limits
        self.counts = counts or Counts()
        self._case_secrets = CaseSecrets(self.counts)

    async def __call__(self, batches: Batches, generation: int) -> None:
        """
        Carry one poll's batches from bytes to acknowledged outputs.

        Raises:
            NotReachable: Something was not acknowledged; the worker stops and the offsets stay.
            Overtaken: Another worker has these partitions now; the same.
        """
        # In this order: a tail that is read before the partition is ours could still grow.
        new = await self._decisions.own({where.number for where, _ in batches}, generation)
        await self._dedupe.read_tails(new)
        carrying: asyncio.Task[None] | None = None
        try:
            for part in _parts(batches):
                to_write = await self._decide_all(part)
                if carrying is not None:
                    await carrying  # one after the other: a case's notifications stay in order
                carrying = asyncio.create_task(self._write(to_write))
            if carrying is not None:
                await carrying
        finally:
            # Something failed: nothing may go on behind our back when the worker stops.
            if carrying is not None and not carrying.done():
                carrying.cancel()
                await asyncio.wait([carrying])

    async def _decide_all(self, part: Sequence[tuple[Origin, FetchedRecord]]) -> _ToWrite:
        """Decide some events, and let the loop turn meanwhile: what was decided before is being written."""
        register = await self._register.catch_up()
        now = self._clock()
        before = await self._dedupe.on_record(origin for origin, _ in part)
        arrived = [
            each async for each in _turning(self._arrived(origin, record, now, before) for origin, record in part)
        ]
        readable = (
            (origin.partition, came.event)
            for (origin, _), came in zip(part, arrived, strict=True)
            if isinstance(came, Received)
        )
        holders = await self._dedupe.holders(readable)
        to_write = _ToWrite()
        async for (origin, record), came in _turning(zip(part, arrived, strict=True)):
            if isinstance(came, Received):
                agency = came.event.publisher.agency
                partner = register.partner(agency)
                registered = partner.case_secret if partner is not None else None
                self._case_secrets.seen(agency, record.headers, topic=origin.topic, registered=registered)
                became = self._one(came, origin, register, now, holders)
            else:
                became = came
            self.counts.events += 1
            self.counts.event(origin.topic, became.fate)
            if became.decision is not None:
                to_write.decisions[origin.partition].append(became.decision)
            to_write.outputs += became.outputs
        return to_write

    async def _write(self, to_write: _ToWrite) -> None:
        # The decision first: if we stop here, it is on record that was not carried out, never the reverse.
        await self._decisions.write(to_write.decisions)
        await self._outgoing.send(to_write.outputs)

    def _arrived(
        self, origin: Origin, record: FetchedRecord, now: datetime, before: Mapping[Origin, DecisionRecord]
    ) -> Received | Became:
        """An event that can be decided about; or what became of one that was decided before, or is none."""
        on_record = before.get(origin)
        # Other bytes at the same place: the topic was made again, and this is another event.
        if on_record is not None and self._is_what_was_decided(on_record, record.value):
            return self._redo(record.value, on_record, now)
        try:
            gate.check_wrapping(record.key, record.headers, limits=self._limits)
            received = codec.decode(record.value, schemas=self._schemas, limits=self._limits)
            _verify_source(received, origin)
        except Refused as exc:
            return self._reject(exc.reason, exc.detail, record.value, origin, now)
        return received

    def _is_what_was_decided(self, on_record: DecisionRecord, value: bytes | None) -> bool:
        return codec.is_digest_of(
            on_record.input_digest, value, key=self._keys.person, schemas=self._schemas, limits=self._limits
        )

    def _one(self, received: Received, origin: Origin, register: Lookups, now: datetime, holders: Holders) -> Became:
        """Decide about one event, or recognise that it came before."""
        event = received.event
        known = self._dedupe.find(origin.partition, event.publisher.agency, event.event_id)
        if known is None:
            return self._decide(received, origin, register, now, holders)
        if not self._keys.person.agrees(known.input_digest, received.content):
            detail = "this event id was used before for other content; publish a correction under a new id"
            return self._reject(Aside.ID_REUSED, detail, received.value, origin, now, event_id=event.event_id)
        self.counts.repeats += 1
        log.info(
            "event.repeated",
            event_id=event.event_id,
            source=event.publisher.agency,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            first_partition=known.origin.partition,
            first_offset=known.origin.offset,
        )
        return Became("repeated")

    def _decide(self, received: Received, origin: Origin, register: Lookups, now: datetime, holders: Holders) -> Became:
        event, key = received.event, self._keys.person
        before = self._dedupe.before(origin.partition, event.publisher.agency, holders)
        outcome = sharing.share(
            received,
            register,
            origin=origin,
            now=now,
            key=key,
            rules_digest=self._rules_digest,
            earlier=episode.earlier(event, key, before),
        )
        if isinstance(outcome, SetAside):
            return self._reject(outcome.reason, outcome.detail, received.value, origin, now, event_id=event.event_id)
        record = outcome.record
        value = codec.encode_record(record)
        largest = max(map(len, (value, *(output.value for output in outcome.outputs))))
        if largest > MOST_BYTES:
            # Refused by the broker it would end the worker, at every start, and nobody's events would be decided.
            detail = f"{len(record.answers)} answers about {len(event.subjects)} people take {largest} bytes"
            return self._reject(Aside.DECISION_TOO_LARGE, detail, received.value, origin, now, event_id=event.event_id)
        known = KnownDecision.of(record, key.of(register.generation).digest(value))
        self._dedupe.add(origin.partition, record, known)
        permitted = len(outcome.outputs)
        self.counts.decided += 1
        self.counts.answered(event.event_type, record.answers)
        log.info(
            "event.decided",
            event_id=event.event_id,
            event_type=event.event_type,
            source=event.publisher.agency,
            permitted=permitted,
            refused=sum(answer.outcome is Outcome.REFUSE for answer in record.answers),
            held=sum(answer.outcome is Outcome.HOLD for answer in record.answers),
            unclear=sum(answer.unclear for answer in record.answers),
            register_offset=record.register_offset,
        )
        return Became(
            fate="routed" if permitted else "withheld",
            decision=messages.decision(record, value, known),
            outputs=(*self._notifications(outcome.outputs), *self._alarm(record, received.value, now)),
        )

    def _redo(self, value: bytes | None, record: DecisionRecord, now: datetime) -> Became:
        """Carry out what is on record; the rules are not asked, so nothing is lost or changed by an upgrade."""
        try:
            schema, event = codec.decode_plain(value, schemas=self._schemas, limits=self._limits)
            outputs = outputs_of(record, schema, event, key=self._keys.person)
        except Refused:
            outputs = None
        if outputs is None:
            # Not the bytes on record: what was sent before the crash is not known, so two truths could stand.
            detail = "decided before, and the same bytes cannot be made again; `safebus explain` shows the record"
            return self._reject(Aside.REDO_DIFFERS, detail, value, record.origin, now, event_id=record.event_id)
        self.counts.redone += 1
        log.info("event.redone", event_id=record.event_id, source=record.source, register_offset=record.register_offset)
        return Became("redone", outputs=(*self._notifications(outputs), *self._alarm(record, value, now)))

    def _notifications(self, outputs: Iterable[Output]) -> Iterator[Message]:
        return (messages.notification(output, self._keys.person) for output in outputs)

    def _alarm(self, record: DecisionRecord, value: bytes | None, now: datetime) -> Iterator[Message]:
        """Somebody must look at what the bus does not decide."""
        if record.worklist:
            persons = len({entry.who for entry in record.worklist})
            codes = ", ".join(sorted({entry.code for entry in record.worklist}))
            nobody = any(entry.code == Aside.NO_RECIPIENT for entry in record.worklist)
            reason = Aside.NO_RECIPIENT if nobody else Aside.FOR_A_PERSON
            detail = f"a person must look at {persons} of those in it: {codes}; `safebus explain EVENT` says which"
            yield self._quarantined(reason, detail, value, record.origin, now, event_id=record.event_id)

    def _reject(
        self,
        reason: str,
        detail: str,
        value: bytes | None,
        origin: Origin,
        now: datetime,
        *,
        event_id: str | None = None,
    ) -> Became:
        """Nothing is decided about this event: a person must look."""
        return Became("rejected", outputs=(self._quarantined(reason, detail, value, origin, now, event_id=event_id),))

    def _quarantined(
        self,
        reason: str,
        detail: str,
        value: bytes | None,
        origin: Origin,
        now: datetime,
        *,
        event_id: str | None,
    ) -> Message:
        self.counts.set_aside(reason)
        log.warning(
            "event.quarantined", reason=reason, topic=origin.topic, partition=origin.partition, offset=origin.offset
        )
        most = self._limits.value_bytes
        return messages.quarantined(
            reason, detail, value, origin, event_id=event_id, seal_to=self._keys.seal_to, most=most, now=now
        )


def _verify_source(received: Received, origin: Origin) -> None:
    # Records carry no principal, so the topic is the proof: only its agency may write there (ACL).
    owner, claimed = topics.agency_of(origin.topic), received.event.publisher.agency
    if owner != claimed:
        # What was claimed is not repeated: it is whatever the publisher wrote there.
        raise Refused(
            Aside.WRONG_SOURCE, f"`publisher.agency` is another than `{owner}`, which alone owns `{origin.topic}`"
        )


async def _turning(found: Iterable[T]) -> AsyncIterator[T]:
    """The same, and let the loop turn now and then."""
    for number, each in enumerate(found, start=1):
        yield each
        if number % _TURN_EVERY == 0:
            await asyncio.sleep(0)


def _parts(batches: Batches) -> Iterator[list[tuple[Origin, FetchedRecord]]]:
    """(where it stands, record) in order, some at a time."""
    part: list[tuple[Origin, FetchedRecord]] = []
    for where, records in batches:
        for record in records:
            part.append((_origin(where, record), record))
            if len(part) >= _PART:
                yield part
                part = []
    if part:
        yield part


def _origin(where: Partition, record: FetchedRecord) -> Origin:
    return Origin(topic=where.topic, partition=where.number, offset=record.offset)
