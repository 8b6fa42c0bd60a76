"""
What is a partner owed: permitted by a decision, and neither on the partner's topic nor dealt with?

A topic that could not be written, or that was lost, leaves notifications owed. Each is made again from its decision and
its event, in the very bytes that were decided; who delivers asks the register then, as always.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from safebus.consumers.audit.replay.decision_heads import events_at
from safebus.consumers.audit.replay.time_span import CLOCKS_APART
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.source import group_of
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Origin, Outcome, Receipt, Stage
from safebus.schemas.errors import Refused
from safebus.schemas.event_schemas import EventSchemas
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import committed_by
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader, read_topic
from safebus.schemas.keys import PersonKey
from safebus.schemas.own_records import Strange, own_record
from safebus.streams.rules.notifications import Output, outputs_of

_ENDED = frozenset({Stage.HANDED_OVER, Stage.STOPPED})


@dataclass(frozen=True)
class Owed:
    """
    One notification that is owed.

    Attributes:
        output: It, made again; None: it cannot be, and `why` says so.
    """

    notification_id: str
    event_id: str
    decided_at: datetime
    output: Output | None
    why: str = ""


async def owed(
    connection: Connection, partner: str, *, since: datetime, until: datetime, key: PersonKey, schemas: EventSchemas
) -> list[Owed]:
    """
    What this partner is owed of what was decided in a span, in the order of the decisions.

    Args:
        since, until: When the broker took the decision, UTC; `until` is not included.

    Raises:
        NotReachable: A topic cannot be read.
    """
    # The decisions first: what they led to may be on the partner's topic a moment later.
    permits, taken_back = await _permits(connection, partner, since, until)
    for notification_id in [n async for n in _dealt_with(connection, partner, since - CLOCKS_APART)]:
        permits.pop(notification_id, None)
    events = await _events(connection, [record.origin for record in permits.values()])
    found = [
        _taken_back(notification_id, record)
        if notification_id in taken_back
        else _again(notification_id, record, events.get(record.origin), key, schemas)
        for notification_id, record in permits.items()
    ]
    return sorted(found, key=lambda each: each.decided_at)


async def made_again(
    connection: Connection,
    partner: str,
    wanted: Mapping[str, Receipt],
    *,
    since: datetime,
    until: datetime,
    key: PersonKey,
    schemas: EventSchemas,
) -> list[Owed]:
    """
    These notifications, made again from decision and event, in the order of the decisions.

    Args:
        wanted: A receipt of each, by its id.
        since, until: When the broker took the decisions, UTC; `until` is not included.

    Raises:
        NotReachable: A topic cannot be read.
    """
    permits, taken_back = await _permits(connection, partner, since, until)
    mine = {notification_id: record for notification_id, record in permits.items() if notification_id in wanted}
    events = await _events(connection, [record.origin for record in mine.values()])
    found = [
        _taken_back(i, record) if i in taken_back else _again(i, record, events.get(record.origin), key, schemas)
        for i, record in mine.items()
    ]
    why = f"no decision of {since:%Y-%m-%d %H:%M} UTC or later permits it; `safebus explain EVENT` looks further back"
    found += [Owed(i, receipt.event_id, receipt.at, None, why) for i, receipt in wanted.items() if i not in mine]
    return sorted(found, key=lambda each: each.decided_at)


async def last_receipts(connection: Connection, partner: str, *, since: datetime, until: datetime) -> list[Receipt]:
    """
    The last receipt of each delivery to a partner in a span, oldest first.

    Raises:
        NotReachable: Its receipts cannot be read.
    """
    found: dict[str, Receipt] = {}
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if isinstance(receipt, Receipt) and since <= receipt.at < until:
            found[receipt.notification_id] = receipt
    return sorted(found.values(), key=lambda receipt: receipt.at)


async def last_refused(connection: Connection, partner: str, *, since: datetime) -> dict[str, datetime]:
    """
    When each was last parked or not taken, of those of which nothing else was heard after it.

    Args:
        since: Nothing before is looked at.

    Raises:
        NotReachable: The partner's receipts cannot be read.
    """
    found: dict[str, datetime] = {}
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if not isinstance(receipt, Receipt) or receipt.stage is Stage.NOTICE_HANDED_OVER:
            continue
        if receipt.stage is Stage.PARKED:
            found[receipt.notification_id] = receipt.at
        else:
            found.pop(receipt.notification_id, None)
    return found


async def without_receipt(connection: Connection, partner: str) -> list[str]:
    """
    Ids of what stands on a partner's topic, is not dealt with and has no receipt yet, in the order of the topic.

    Raises:
        NotReachable: A topic cannot be read, or the broker does not say how far the partner's group is.
    """
    out, told = topics.notifications_for(partner), topics.receipts_from(partner)
    async with Reader(connection, {out, told}.__contains__, committed=False) as reader:
        mine = [partition for partition in reader.partitions if partition.topic == out]
        done = await committed_by(connection, group_of(partner), mine) if mine else {}
        for partition in mine:
            reader.seek(partition, max(done.get(partition, 0), reader.begins[partition]))
        found: dict[str, int] = {}
        for partition in mine:
            while records := await reader.take_some(partition):
                for record in records:
                    sent = own_record(record, Notification, belongs=lambda n: n.recipient == partner)
                    if isinstance(sent, Notification):
                        found[sent.notification_id] = min(
                            found.get(sent.notification_id, record.timestamp), record.timestamp
                        )
        if not found:
            return []
        # A receipt is written after its notification: nothing older can be about one of these.
        since = await reader.offsets_at(datetime.fromtimestamp(min(found.values()) / 1000, UTC) - CLOCKS_APART)
        for partition in reader.partitions:
            if partition.topic == told:
                reader.seek(partition, since[partition])
                while records := await reader.take_some(partition):
                    for record in records:
                        found.pop((record.key or b"").decode("utf-8", "replace"), None)
    return sorted(found, key=found.__getitem__)


async def unclear(connection: Connection, partner: str, *, since: datetime) -> frozenset[str]:
    """
    Ids of what its topic keeps of what a partner was sent since then that does not say to it which person is meant.

    Raises:
        NotReachable: Its topic cannot be read.
    """
    found = set()
    async for message in read_topic(connection, topics.notifications_for(partner), since=since):
        sent = own_record(message, Notification, belongs=lambda n: n.recipient == partner)
        if isinstance(sent, Notification) and sent.whom_to_ask is not None:
            found.add(sent.notification_id)
    return frozenset(found)


async def handed_over(connection: Connection, partner: str, *, since: datetime, until: datetime) -> dict[str, Receipt]:
    """
    What this partner was handed in a span: id -> its receipt.

    Raises:
        NotReachable: Its receipts cannot be read.
    """
    found = {}
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if isinstance(receipt, Receipt) and receipt.stage is Stage.HANDED_OVER and since <= receipt.at < until:
            found[receipt.notification_id] = receipt
    return found


async def stopped(connection: Connection, partner: str, *, since: datetime, until: datetime) -> dict[str, Receipt]:
    """
    What the register forbade in a span and nothing was heard of since: id -> the receipt that says why.

    Raises:
        NotReachable: Its receipts cannot be read.
    """
    found: dict[str, Receipt] = {}
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if not isinstance(receipt, Receipt):
            continue
        if not stages.was_forbidden(receipt):
            found.pop(receipt.notification_id, None)
        elif receipt.at < until or receipt.notification_id in found:
            found[receipt.notification_id] = receipt
    return {key: receipt for key, receipt in found.items() if receipt.at >= since}


async def _permits(
    connection: Connection, partner: str, since: datetime, until: datetime
) -> tuple[dict[str, DecisionRecord], set[str]]:
    """Notification id -> the decision that permits it; and the ids of what was taken back or corrected since."""
    found: dict[str, DecisionRecord] = {}
    taken_back: set[str] = set()
    async for message in read_topic(connection, topics.DECISIONS, since=since):
        record = own_record(message, DecisionRecord, in_transaction=True)
        if isinstance(record, Strange):
            continue  # who writes what may be sent is the worker alone
        within = message.timestamp < until.timestamp() * 1000
        for answer in record.answers:
            if answer.recipient != partner or answer.outcome is not Outcome.PERMIT:
                continue
            if answer.takes_back is not None:
                taken_back.add(answer.takes_back)
            if within and answer.notification_id:
                found.setdefault(answer.notification_id, record)
    return found, taken_back


def _taken_back(notification_id: str, record: DecisionRecord) -> Owed:
    """What was wrong must not arrive after the word that it was."""
    why = "taken back or corrected since; what corrects it is a notification of its own"
    return Owed(notification_id, record.event_id, record.decided_at, None, why)


async def _dealt_with(connection: Connection, partner: str, since: datetime) -> AsyncIterator[str]:
    """Ids of what stands on the partner's topic, or was handed over or stopped: nothing is before it was decided."""
    async for message in read_topic(connection, topics.notifications_for(partner), since=since):
        yield (dict(message.headers).get("ce_id") or b"").decode("utf-8", "replace")
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if isinstance(receipt, Receipt) and receipt.stage in _ENDED:
            yield receipt.notification_id


async def _events(connection: Connection, origins: list[Origin]) -> Mapping[Origin, bytes | None]:
    """The events at these places, as far as they are kept."""
    wanted = {Partition(origin.topic, origin.partition) for origin in origins}
    if not wanted:
        return {}
    async with Reader(connection, partitions=wanted, committed=False) as reader:
        return {origin: event.value for origin, event in (await events_at(origins, reader)).items()}


def _again(
    notification_id: str, record: DecisionRecord, value: bytes | None, key: PersonKey, schemas: EventSchemas
) -> Owed:
    where = f"{record.origin.topic}/{record.origin.partition}/{record.origin.offset}"

    def cannot(why: str) -> Owed:
        return Owed(notification_id, record.event_id, record.decided_at, None, why)

    if value is None:
        return cannot(f"the event is no longer kept at {where}; the agency can publish a correction")
    if not codec.is_digest_of(record.input_digest, value, key=key, schemas=schemas):
        return cannot(f"other bytes stand at {where} than were decided")
    try:
        outputs = outputs_of(record, *codec.decode_plain(value, schemas=schemas), key=key)
    except Refused as exc:
        return cannot(f"the event at {where} is refused today: {exc.reason}")
    for output in outputs or ():
        if output.notification.notification_id == notification_id:
            return Owed(notification_id, record.event_id, record.decided_at, output)
    return cannot("the bytes that were decided cannot be made again by this release")
