"""
Can every decision be made again, byte for byte?

Takes the decisions of a span of time, reads each event again from where it came, the register as of the decision's
offset, and decides again with the time that was recorded. Whether these were the offset and the time of then, the
broker's own times tell (`times`). Then looks whether what was permitted stands on the partners' topics, and whether
anything stands there that was not. Nothing is written anywhere and nothing can be: there is no producer here.

Decisions, events and the partners' topics are read forward in step and what agrees is forgotten (`sent`), so
memory does not grow with the span. A decision is compared as bytes; only one that differs is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Protocol

from safebus.consumers.audit.replay import sent
from safebus.consumers.audit.replay.decision_heads import EventThere, Head, events_at, head_of
from safebus.consumers.audit.replay.findings import Difference as Difference
from safebus.consumers.audit.replay.findings import Findings
from safebus.consumers.audit.replay.findings import Verified as Verified
from safebus.consumers.audit.replay.pairing import Key, Permit
from safebus.consumers.audit.replay.sent import Sent
from safebus.consumers.audit.replay.time_span import Span
from safebus.consumers.audit.replay.times import Times
from safebus.consumers.audit.replay.unmatched import permitted_by
from safebus.schemas import codec, gate, tokens, topics
from safebus.schemas.bus_records import DecisionRecord, Origin, RegisterRecord
from safebus.schemas.errors import BadIdentifier, Refused
from safebus.schemas.event_schemas import EventSchemas
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import until_settled
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.keys import PersonKey
from safebus.streams.register.store import Register, RegisterAsOf
from safebus.streams.rules import sharing
from safebus.streams.rules.notifications import as_sent_then
from safebus.streams.rules.sharing import Shared

_CHUNK = 250  # decisions whose events are read together
#: No broker has records from before or after, and a little earlier or later is still a time.
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=UTC)
_EVENTS = topics.published_by("any").removesuffix("any")


class RegisterSoFar(Protocol):
    """Every record of the register, as far as it was read."""

    @property
    def log(self) -> Sequence[tuple[int, RegisterRecord]]:
        """By offset."""
        ...

    @property
    def taken_in(self) -> Sequence[tuple[int, int]]:
        """When the broker took each of them in: offset and milliseconds since 1970."""
        ...

    async def catch_up(self) -> object:
        """Read what has come since."""
        ...


async def verify(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    register: RegisterSoFar,
    key: PersonKey,
    schemas: EventSchemas,
    rules_digest: str,
    progress: Callable[[int], None],
    listed: int = 1000,
) -> Verified:
    """
    Make every decision of a span again and compare.

    Args:
        since, until: When the decision was written, UTC; `until` is not included.
        register: Is read on once it is fixed which decisions there are, which may rest on what has just come.
        progress: Called with how many decisions were looked at since the last call.
        listed: How many differences to list; those beyond are counted.

    Raises:
        NotReachable: A topic cannot be read.
    """
    since, until = max(since, _FIRST), min(until, _LAST)
    findings = Findings(listed)
    await until_settled(connection, topics.DECISIONS)  # what is not seen yet may lie in the span
    async with AsyncExitStack() as stack:

        async def reading(wanted: Callable[[str], bool], fetch_bytes: int, **how: Any) -> Reader:
            return await stack.enter_async_context(Reader(connection, wanted, fetch_bytes=fetch_bytes, **how))

        # The decisions first: where they end now, what they led to may already be there.
        decided = await reading(topics.DECISIONS.__eq__, 1_048_576, must=[topics.DECISIONS])
        # Also behind a transaction that somebody has left open there.
        events = await reading(lambda name: name.startswith(_EVENTS), 131_072, committed=False)
        on_topics = await reading(lambda name: name.startswith(sent.PREFIX), 65_536, committed=False)
        span = Span(decided, since=since, until=until)
        outputs = Sent(connection, on_topics, findings, since=since, until=until, key=key.digests)
        await register.catch_up()
        again, times = _Again(register.log, key, schemas), Times(register.taken_in)
        decisions = _Decisions(again, times, outputs, findings, rules_digest, key)
        await span.begin()
        await outputs.begin()
        ahead = await span.earliest()
        while ahead is not None:
            chunk = [(_head(ahead), ahead)]
            while (ahead := await span.earliest()) is not None and len(chunk) < _CHUNK:
                chunk.append((_head(ahead), ahead))
            decisions.check(chunk, await events_at((head.origin for head, _ in chunk if head), events))
            if ahead is not None:
                await outputs.read_up_to(ahead.timestamp)
            progress(len(chunk))
        await outputs.read_the_rest()
    return findings.so_far


def _head(record: Any) -> Head | None:
    """None: it is no decision of a worker, who writes all of them in transactions."""
    return head_of(record.value) if gate.in_transaction(record.headers) else None


class _Again:
    """
    Makes decisions again.

    Two states of the register are kept, because decisions of several workers go a little back and forth: going back
    starts a state from the beginning, so the one behind serves until it has overtaken the other.
    """

    def __init__(
        self, register_log: Sequence[tuple[int, RegisterRecord]], key: PersonKey, schemas: EventSchemas
    ) -> None:
        self._states = [RegisterAsOf(register_log), RegisterAsOf(register_log)]
        self._at = [-1, -1]
        self._key, self._schemas = key, schemas

    def _register(self, offset: int) -> Register:
        behind = [i for i in (0, 1) if self._at[i] <= offset]
        best = max(behind or (0, 1), key=lambda i: self._at[i])
        self._at[best] = offset
        return self._states[best].at(offset)

    def __call__(self, head: Head, value: bytes | None) -> Shared | str:
        """The decision and its notifications, or why there is none."""
        where = f"{head.origin.topic}/{head.origin.partition}/{head.origin.offset}"
        if value is None:
            return f"the event is no longer kept at {where}"
        if not codec.is_digest_of(head.input_digest, value, key=self._key, schemas=self._schemas):
            return f"the event at {where} has another content than the one decided"
        try:
            received = codec.decode(value, schemas=self._schemas)
        except Refused as exc:
            return f"the event at {where} is refused today: {exc.reason}"
        try:
            earlier = head.earlier and tokens.plain(head.earlier, self._key)
        except BadIdentifier as exc:
            return f"what it says of before cannot be read: {exc}"
        outcome = sharing.share(
            received,
            self._register(head.register_offset),
            origin=head.origin,
            now=head.decided_at,
            key=self._key,
            rules_digest=head.rules_digest,
            earlier=earlier,
        )
        return outcome if isinstance(outcome, Shared) else f"would be set aside today: {outcome.reason}"


class _Decisions:
    """The decisions of a span: each is made again, and what it permits is looked for."""

    def __init__(
        self, again: _Again, times: Times, outputs: Sent, findings: Findings, rules_digest: str, key: PersonKey
    ) -> None:
        self._again, self._outputs, self._findings, self._rules_digest = again, outputs, findings, rules_digest
        self._times, self._key = times, key

    def check(self, chunk: Sequence[tuple[Head | None, Any]], events: Mapping[Origin, EventThere]) -> None:
        """Make these again. In the order of the register, so that it is gone through once."""
        found = self._findings.so_far
        for head, record in sorted(chunk, key=lambda pair: pair[0].register_offset if pair[0] else -1):
            found.decisions += 1
            if head is None:
                at = f"{record.topic}/{record.partition}/{record.offset}"
                self._findings.differs("", f"what stands at {at} is no decision of a worker of this version")
                continue
            found.other_rules += head.rules_digest != self._rules_digest
            event = events.get(head.origin)
            try:
                for odd in self._times.oddities(
                    head, written_at=record.timestamp, published_at=event.at_ms if event else None
                ):
                    self._findings.differs(head.event_id, odd)
                if record.key != head.event_id.encode():  # by it a worker knows what was decided
                    at = f"{record.topic}/{record.partition}/{record.offset}"
                    self._findings.differs(head.event_id, f"the key of its record at {at} names another event")
                self._check(head, record.value, event.value if event else None)
            except Exception as exc:  # one record that nobody thought of must not hide all others
                at = f"{record.topic}/{record.partition}/{record.offset}"
                self._findings.differs(head.event_id, f"what stands at {at} cannot be checked ({type(exc).__name__})")

    def _check(self, head: Head, value: bytes, event: bytes | None) -> None:
        found, again = self._findings.so_far, self._again(head, event)
        if isinstance(again, str):
            self._findings.differs(head.event_id, again)
            then = self._read(head, value)
            self._look_for(head, permitted_by(then) if then else [], made_again=set())
            return
        made = self._as_then(again, value)
        permits = permitted_by(made)
        if _written(made, value) == value:
            found.identical += 1
            found.outputs += len(permits)
            self._look_for(head, permits, made_again=set(permits))
            return
        then = self._read(head, value)
        if then is not None:
            self._findings.differs(head.event_id, _what_differs(then, _read_again(made, value)))
            found.outputs += len(permitted_by(then))
            self._look_for(head, permitted_by(then), made_again=set(permits))

    def _as_then(self, again: Shared, value: bytes) -> DecisionRecord:
        """The decision that was made again, as the release would have made it that wrote it down."""
        if value[2:10] == codec.fingerprint_of_bus(DecisionRecord.SCHEMA):
            return again.record
        try:
            then = codec.decode_record(value, DecisionRecord)
        except (Refused, ValueError):
            return again.record  # `_read` says so
        # What an earlier release wrote down, it also sent out in its own way.
        return as_sent_then(again.record, again.outputs, then, self._key)

    def _look_for(self, head: Head, permits: Sequence[Key], *, made_again: set[Key]) -> None:
        for key in permits:
            self._outputs.permitted(key, Permit(head.event_id, key in made_again))

    def _read(self, head: Head, value: bytes) -> DecisionRecord | None:
        try:
            return codec.decode_record(value, DecisionRecord)
        except (Refused, ValueError):
            self._findings.differs(head.event_id, "the decision record is not one that the worker would have written")
            return None


def _written(record: DecisionRecord, value: bytes) -> bytes:
    """A decision under the schema that this one was written under."""
    return codec.encode_record(record, like=value)


def _read_again(record: DecisionRecord, value: bytes) -> DecisionRecord:
    """What of a decision that schema could say."""
    return codec.decode_record(_written(record, value), DecisionRecord)


def _what_differs(then: DecisionRecord, now: DecisionRecord) -> str:
    fields = [
        name for name in type(then).model_fields if name != "answers" and getattr(then, name) != getattr(now, name)
    ]
    before = {a.decision_id: a for a in then.answers}
    after = {a.decision_id: a for a in now.answers}
    for decision_id in sorted(before.keys() | after.keys()):
        was, is_ = before.get(decision_id), after.get(decision_id)
        if was is None or is_ is None:
            fields.append(f"answer for `{(was or is_).recipient}` {'is new' if was is None else 'is gone'}")  # type: ignore[union-attr]
        elif was != is_:
            names = [n for n in type(was).model_fields if getattr(was, n) != getattr(is_, n)]
            fields.append(f"answer for `{was.recipient}`: {', '.join(names)}")
    return "; ".join(fields) or "same content, other encoding"
