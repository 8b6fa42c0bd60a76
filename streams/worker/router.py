"""
What happens to a batch of events?

    read barrier -> gate -> seen before? -> decide -> decisions committed -> notifications acknowledged -> return

While one part of a batch is being written the next is decided. Only when all of it is written, and this returns, may
the source offsets be committed. If it stops in between, a decision is on record that was
not carried out, never the reverse; the successor redoes the batch as of then and nothing is lost or changed.
An event that cannot be decoded, verified or matched goes to quarantine, sealed; it never stops its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from safebus.schemas import codec, gate, headers, sealing, topics
from safebus.schemas.bus_records import Origin, Quarantined
from safebus.schemas.codec import Received
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import EventSchemas
from safebus.schemas.identifiers import PersonKey, derived_id
from safebus.schemas.kafka.writer import Message, Writer, partition_of
from safebus.streams.register.follow import RegisterReader
from safebus.streams.register.store import Register
from safebus.streams.rules import sharing
from safebus.streams.rules.sharing import Output, SetAside, Shared
from safebus.streams.worker.counts import Counts
from safebus.streams.worker.decision_log import DecisionLog
from safebus.streams.worker.dedupe import Dedupe, KnownDecision
from safebus.streams.worker.lane import Batches

log = structlog.get_logger()


@dataclass(frozen=True)
class RouterKeys:
    """
    What the worker needs to know that nobody else does.

    Attributes:
        seal_to: The operators' public key; what goes to quarantine can be opened with its private half only.
    """

    person: PersonKey
    seal_to: bytes


_PART = 250  # events that are decided while the part before is written
_TURN_EVERY = 20  # events; about 20 ms, so heartbeats and health answers are on time


@dataclass
class _Work:
    """What one batch leads to."""

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
        outbound: Writer,
        keys: RouterKeys,
        schemas: EventSchemas,
        rules_digest: str,
        clock: Callable[[], datetime],
        counts: Counts | None = None,
        limits: gate.Limits = gate.DEFAULT_LIMITS,
    ) -> None:
        self._register, self._dedupe, self._decisions, self._outbound = register, dedupe, decisions, outbound
        self._keys, self._schemas, self._rules_digest = keys, schemas, rules_digest
        self._clock, self._limits = clock, limits
        self.counts = counts or Counts()

    async def __call__(self, batches: Batches, generation: int) -> None:
        """
        Carry one poll's batches from bytes to acknowledged outputs.

        Raises:
            NotReachable: Something was not acknowledged; the worker stops and the offsets stay.
            Overtaken: Another worker has these partitions now; the same.
        """
        # In this order: a tail that is read before the partition is ours could still grow.
        new = await self._decisions.own({tp.partition for tp, _ in batches}, generation)
        await self._dedupe.read_tails(new)
        carrying: asyncio.Task[None] | None = None
        try:
            for part in _parts(batches):
                work = await self._decide_all(part)
                if carrying is not None:
                    await carrying  # one after the other: a case's notifications stay in order
                carrying = asyncio.create_task(self._write(work))
            if carrying is not None:
                await carrying
        finally:
            # Something failed: nothing may go on behind our back when the worker stops.
            if carrying is not None and not carrying.done():
                carrying.cancel()
                await asyncio.wait([carrying])

    async def _decide_all(self, part: Sequence[tuple[Any, Any]]) -> _Work:
        """Decide some events, and let the loop turn meanwhile: what was decided before is being written."""
        register = await self._register.catch_up()
        now = self._clock()
        work = _Work()
        for number, (tp, record) in enumerate(part, start=1):
            origin = Origin(topic=tp.topic, partition=tp.partition, offset=record.offset)
            self._one(record, origin, register, now, work)
            if number % _TURN_EVERY == 0:
                await asyncio.sleep(0)
        return work

    async def _write(self, work: _Work) -> None:
        # The decision first: if we stop here, it is on record that was not carried out, never the reverse.
        await self._decisions.write(work.decisions)
        await self._outbound.send_all(work.outputs)

    def _one(self, record: Any, origin: Origin, register: Register, now: datetime, work: _Work) -> None:
        self.counts.events += 1
        try:
            gate.check_wrapping(record.key, record.headers, limits=self._limits)
            received = codec.decode(record.value, schemas=self._schemas, limits=self._limits)
            self._verify_source(received, origin)
        except Refused as exc:
            self._reject(exc.reason, exc.detail, record.value, origin, now, work)
            return
        event = received.event
        known = self._dedupe.find(origin.partition, event.publisher.agency, event.event_id)
        if known is None:
            self._decide(received, origin, register, now, work)
        elif known.origin == origin:
            self._redo(received, known, work, now)
        elif known.input_digest == self._keys.person.digest(received.value):
            self.counts.repeats += 1
            self.counts.event(origin.topic, "repeated")
            log.info(
                "event.repeated",
                event_id=event.event_id,
                source=event.publisher.agency,
                topic=origin.topic,
                partition=origin.partition,
                offset=origin.offset,
                first_offset=known.origin.offset,
            )
        else:
            detail = "this event id was used before for other content; publish a correction under a new id"
            self._reject("ID_REUSED", detail, record.value, origin, now, work)

    def _verify_source(self, received: Received, origin: Origin) -> None:
        # Records carry no principal, so the topic is the proof: only its agency may write there (ACL).
        owner, claimed = topics.agency_of(origin.topic), received.event.publisher.agency
        if owner != claimed:
            # What was claimed is not repeated: it is whatever the publisher wrote there.
            raise Refused(
                "WRONG_SOURCE", f"`publisher.agency` is another than `{owner}`, which alone owns `{origin.topic}`"
            )

    def _decide(self, received: Received, origin: Origin, register: Register, now: datetime, work: _Work) -> None:
        event = received.event
        outcome = sharing.share(
            received, register, origin=origin, now=now, key=self._keys.person, rules_digest=self._rules_digest
        )
        if isinstance(outcome, SetAside):
            self._reject(outcome.reason, outcome.detail, received.value, origin, now, work)
            return
        value = codec.encode_record(outcome.record)
        decided = KnownDecision.of(outcome.record, self._keys.person.digest(value))
        self._dedupe.add(origin.partition, event.publisher.agency, event.event_id, decided)
        about = headers.cloud_event(id=event.event_id, source=event.publisher.agency, type=event.event_type)
        work.decisions[origin.partition].append(
            Message(topics.DECISIONS, event.event_id.encode(), value, [*about, decided.header()], origin.partition)
        )
        self._carry_out(outcome, received, origin, now, work)
        permitted = len(outcome.outputs)
        self.counts.decided += 1
        self.counts.event(origin.topic, "routed" if permitted else "withheld")
        self.counts.answered(event.event_type, outcome.record.answers)
        self.counts.permitted += permitted
        self.counts.refused += len(outcome.record.answers) - permitted
        log.info(
            "event.decided",
            event_id=event.event_id,
            event_type=event.event_type,
            source=event.publisher.agency,
            permitted=permitted,
            refused=len(outcome.record.answers) - permitted,
            register_offset=outcome.record.register_offset,
        )

    def _carry_out(self, outcome: Shared, received: Received, origin: Origin, now: datetime, work: _Work) -> None:
        """What follows from a decision, the first time and in a redo alike."""
        work.outputs += [_message(output) for output in outcome.outputs]
        if outcome.unheard:
            detail = f"nobody is told of {outcome.unheard} of those it is about: in no care, or the suspect is inside"
            self._quarantine("NO_RECIPIENT", detail, received.value, origin, now, work)

    def _redo(self, received: Received, known: KnownDecision, work: _Work, now: datetime) -> None:
        """Decide again as of the recorded register and time: same record, same bytes, so nothing is lost or changed."""
        outcome = sharing.share(
            received,
            self._register.at(known.register_offset),
            origin=known.origin,
            now=known.decided_at,
            key=self._keys.person,
            rules_digest=self._rules_digest,
        )
        same = not isinstance(outcome, SetAside) and (
            self._keys.person.digest(codec.encode_record(outcome.record)) == known.record_digest
        )
        if isinstance(outcome, SetAside) or not same:
            # The rules changed between crash and redo. Two truths must not stand: a person looks.
            detail = "decided before by other rules, and what was sent is not known; `safebus explain` shows the record"
            self._reject("REDO_DIFFERS", detail, received.value, known.origin, now, work)
            return
        self.counts.redone += 1
        self.counts.event(known.origin.topic, "redone")
        self._carry_out(outcome, received, known.origin, now, work)
        log.info(
            "event.redone",
            event_id=received.event.event_id,
            source=received.event.publisher.agency,
            register_offset=known.register_offset,
        )

    def _reject(
        self, reason: str, detail: str, value: bytes | None, origin: Origin, now: datetime, work: _Work
    ) -> None:
        """Nothing is decided about this event: a person must look."""
        self.counts.event(origin.topic, "rejected")
        self._quarantine(reason, detail, value, origin, now, work)

    def _quarantine(
        self, reason: str, detail: str, value: bytes | None, origin: Origin, now: datetime, work: _Work
    ) -> None:
        where = f"{origin.topic}/{origin.partition}/{origin.offset}"
        entry = Quarantined(
            quarantine_id=derived_id("quarantine", where, reason),
            reason=reason,
            detail=detail,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            at=now,
            size=-1 if value is None else len(value),
            # An original too large to be let in would be too large to be sealed and sent: it stays at its origin.
            sealed=sealing.seal(
                value if value and len(value) <= self._limits.value_bytes else b"",
                public_key=self._keys.seal_to,
                context=where,
            ),
        )
        about = headers.cloud_event(id=entry.quarantine_id, source=origin.topic, type="safebus.quarantined")
        work.outputs.append(Message(topics.QUARANTINE, where.encode(), codec.encode_record(entry), about))
        self.counts.quarantined[reason] = self.counts.quarantined.get(reason, 0) + 1
        log.warning(
            "event.quarantined", reason=reason, topic=origin.topic, partition=origin.partition, offset=origin.offset
        )


def _parts(batches: Batches) -> Iterator[list[tuple[Any, Any]]]:
    """(partition, record) in order, some at a time."""
    part: list[tuple[Any, Any]] = []
    for tp, records in batches:
        for record in records:
            part.append((tp, record))
            if len(part) >= _PART:
                yield part
                part = []
    if part:
        yield part


def _message(output: Output) -> Message:
    n = output.notification
    about = headers.cloud_event(id=n.notification_id, source="safebus", type=n.event_type)
    key = n.subject_token.encode()
    return Message(topics.notifications_for(n.recipient), key, output.value, about, partition_of(key))
