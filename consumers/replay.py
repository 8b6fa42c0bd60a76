"""
Can every decision be made again, byte for byte?

Takes the decisions of a span of time, reads each event again from where it came, the register as of the decision's
offset, and decides again with the time that was recorded. Nothing is written anywhere and nothing can be: there is no
producer here. Works through the span in chunks, so memory does not grow with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas import broker_link, codec, topics
from schemas.broker_link import Connection
from schemas.bus_records import DecisionRecord, Notification, Origin, Outcome, RegisterRecord
from schemas.errors import Refused
from schemas.event_schemas import EventSchemas
from schemas.identifiers import PersonKey
from streams.rules import sharing
from streams.rules.register import RegisterAsOf
from streams.rules.sharing import Shared

_CHUNK = 2000


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was decided. `what` names it; no values."""

    event_id: str
    what: str


@dataclass
class Verified:
    """
    What a verification found.

    Attributes:
        other_rules: Decisions made by rules or schemas other than today's; they are made again all the same.
    """

    decisions: int = 0
    identical: int = 0
    outputs: int = 0
    outputs_identical: int = 0
    other_rules: int = 0
    differences: list[Difference] = field(default_factory=list)


async def verify(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    register_log: Sequence[tuple[int, RegisterRecord]],
    key: PersonKey,
    schemas: EventSchemas,
    rules_digest: str,
    progress: Callable[[int], None],
) -> Verified:
    """
    Make every decision of a span again and compare.

    Args:
        since, until: When the decision was written, UTC; `until` is not included.
        progress: Called with how many decisions were looked at since the last call.

    Raises:
        NotReachable: A topic cannot be read.
    """
    found = Verified()
    register = RegisterAsOf(register_log)
    sent: dict[str, dict[str, str]] = {}  # partner -> notification id -> digest of what stands on its topic
    async for chunk in _chunks(connection, since, until):
        values = await _inputs(connection, [record for record, _ in chunk])
        for record, value in sorted(chunk, key=lambda pair: pair[0].register_offset):
            for answer in record.answers:
                if answer.outcome is Outcome.PERMIT and answer.recipient not in sent:
                    sent[answer.recipient] = await _sent(connection, answer.recipient, since, key)
            _verify_one(record, value, values, register, sent, found, key, schemas, rules_digest)
        progress(len(chunk))
    return found


def _verify_one(
    record: DecisionRecord,
    value: bytes,
    values: dict[Origin, bytes | None],
    register: RegisterAsOf,
    sent: dict[str, dict[str, str]],
    found: Verified,
    key: PersonKey,
    schemas: EventSchemas,
    rules_digest: str,
) -> None:
    found.decisions += 1
    found.other_rules += record.rules_digest != rules_digest
    again = _again(record, values.get(record.origin), register, key, schemas)
    if isinstance(again, Difference):
        found.differences.append(again)
        return
    if codec.encode_record(again.record) == value:
        found.identical += 1
    else:
        found.differences.append(Difference(record.event_id, _what_differs(record, again.record)))
    bytes_again = {o.notification.notification_id: key.digest(o.value) for o in again.outputs}
    for answer in record.answers:
        if answer.outcome is not Outcome.PERMIT or answer.notification_id is None:
            continue
        found.outputs += 1
        on_topic = sent[answer.recipient].get(answer.notification_id)
        if answer.output_digest == bytes_again.get(answer.notification_id) == on_topic:
            found.outputs_identical += 1
        elif on_topic is None:
            what = f"notification for `{answer.recipient}` is not on its topic (never sent, or no longer kept)"
            found.differences.append(Difference(record.event_id, what))
        else:
            found.differences.append(
                Difference(record.event_id, f"notification for `{answer.recipient}` has other bytes")
            )


def _again(
    record: DecisionRecord, value: bytes | None, register: RegisterAsOf, key: PersonKey, schemas: EventSchemas
) -> Shared | Difference:
    where = f"{record.origin.topic}/{record.origin.partition}/{record.origin.offset}"
    if value is None:
        return Difference(record.event_id, f"the event is no longer kept at {where}")
    if key.digest(value) != record.input_digest:
        return Difference(record.event_id, f"the event at {where} has other bytes than the one decided")
    try:
        received = codec.decode(value, schemas=schemas)
    except Refused as exc:
        return Difference(record.event_id, f"the event at {where} is refused today: {exc.reason}")
    outcome = sharing.share(
        received,
        register.at(record.register_offset),
        origin=record.origin,
        now=record.decided_at,
        key=key,
        rules_digest=record.rules_digest,
    )
    if isinstance(outcome, Shared):
        return outcome
    return Difference(record.event_id, f"would be set aside today: {outcome.reason}")


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


async def _chunks(
    connection: Connection, since: datetime, until: datetime
) -> AsyncIterator[list[tuple[DecisionRecord, bytes]]]:
    chunk: list[tuple[DecisionRecord, bytes]] = []
    async for message in broker_link.read(connection, topics.DECISIONS, since=since, until=until):
        chunk.append((codec.decode_record(message.value, DecisionRecord), message.value))
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _inputs(connection: Connection, records: list[DecisionRecord]) -> dict[Origin, bytes | None]:
    """The events of these decisions, read again."""
    wanted: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        wanted[record.origin.topic][record.origin.partition].add(record.origin.offset)
    found: dict[Origin, bytes | None] = {}
    for topic, partitions in wanted.items():
        starts = {p: min(offsets) for p, offsets in partitions.items()}
        ends = {p: max(offsets) + 1 for p, offsets in partitions.items()}
        async for message in broker_link.read(connection, topic, partitions=partitions, starts=starts, ends=ends):
            if message.offset in partitions[message.partition]:
                found[Origin(topic=topic, partition=message.partition, offset=message.offset)] = message.value
    return found


async def _sent(connection: Connection, partner: str, since: datetime, key: PersonKey) -> dict[str, str]:
    """What stands on a partner's topic: notification id -> digest. An output never precedes its decision."""
    found: dict[str, str] = {}
    async for message in broker_link.read(connection, topics.notifications_for(partner), since=since):
        notification = codec.decode_record(message.value, Notification)
        found[notification.notification_id] = key.digest(message.value)
    return found
