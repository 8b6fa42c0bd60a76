"""
What is known of one delivery: whose is it, what was decided, what happened to it, and who sent it again?

Its receipts stand under its own id, so of each partner's receipts one partition is looked through, and of a partner's
own topic all, where there is no receipt yet. Decision and receipts then come by the index, as `safebus explain` finds
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from safebus.consumers.audit.explain.indexing import AboutEvent
from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.delivery.stages import sent_again_because
from safebus.schemas import topics
from safebus.schemas.bus_records import MOST_ABOUT, Answer, DecisionRecord, Notification, Operation, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.kafka.writer import partition_of
from safebus.schemas.own_records import own_record

#: What sends something again.
REDRIVES: Final = ("parked redrive", "deliveries redrive", "deliveries again")
#: A receipt is dated by the machine of whoever sends, an operation by the broker.
_CLOCKS_APART: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Whose:
    """
    Whose delivery it is, and of which event.

    Attributes:
        on_topic_since: Since when it stands on the partner's topic, where there is no receipt yet.
    """

    partner: str
    event_id: str
    on_topic_since: datetime | None = None


async def whose(connection: Connection, notification_id: str, partners: Iterable[str]) -> Whose | None:
    """
    Find a notification by its id alone.

    Args:
        partners: Among whose it is looked for.

    Raises:
        NotReachable: A topic cannot be read.
    """
    known = list(partners)
    return await _by_receipt(connection, notification_id, known) or await _on_topic(connection, notification_id, known)


async def _by_receipt(connection: Connection, notification_id: str, partners: Sequence[str]) -> Whose | None:
    key = notification_id.encode()
    names = {topics.receipts_from(partner): partner for partner in partners}
    async with Reader(connection, names.__contains__, committed=False) as reader:
        count = _counts(reader.partitions)
        for partition in reader.partitions:
            if partition.number != partition_of(key, count[partition.topic]):
                continue
            partner = names[partition.topic]
            while records := await reader.take_some(partition):
                for record in records:
                    receipt = own_record(record, Receipt) if record.key == key else None
                    if isinstance(receipt, Receipt) and receipt.partner == partner:
                        return Whose(partner, receipt.event_id)
    return None


async def _on_topic(connection: Connection, notification_id: str, partners: Sequence[str]) -> Whose | None:
    names = {topics.notifications_for(partner): partner for partner in partners}
    async with Reader(connection, names.__contains__, committed=False) as reader:
        for partition in reader.partitions:
            while records := await reader.take_some(partition):
                for record in records:
                    if dict(record.headers).get("ce_id") != notification_id.encode():
                        continue
                    found = own_record(record, Notification, belongs=lambda n: n.notification_id == notification_id)
                    if isinstance(found, Notification) and found.recipient == names[partition.topic]:
                        since = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                        return Whose(found.recipient, found.event_id, since)
    return None


def _counts(partitions: Sequence[Partition]) -> Mapping[str, int]:
    return {p.topic: sum(each.topic == p.topic for each in partitions) for p in partitions}


@dataclass(frozen=True)
class OneDelivery:
    """
    One delivery.

    Attributes:
        decided: What permits it; None: it is not on record here.
        receipts: By time, those about the notification itself.
        told: Receipts that its partner was told that the consent it stood on has ended.
        by: For each of `receipts` that a person brought about, which of their acts; None: it was none, or not found.
    """

    notification_id: str
    whose: Whose
    decided: tuple[DecisionRecord, Answer] | None
    receipts: tuple[Receipt, ...]
    told: tuple[Receipt, ...]
    by: tuple[OnRecord | None, ...]

    @property
    def last(self) -> Receipt | None:
        """What it stands at by."""
        return self.receipts[-1] if self.receipts else None


def one_delivery(notification_id: str, found: Whose, about: AboutEvent, acts: Sequence[OnRecord]) -> OneDelivery:
    """
    All that is known of it, put together.

    Args:
        acts: Those that `sends_again`, in the order in which they were written.
    """
    mine = [r for r in about.receipts if (r.notification_id, r.partner) == (notification_id, found.partner)]
    receipts = [r for r in mine if r.stage is not Stage.NOTICE_HANDED_OVER]
    permits = [
        (record, answer)
        for record in about.decisions
        for answer in record.answers
        if answer.notification_id == notification_id
    ]
    return OneDelivery(
        notification_id,
        found,
        permits[0] if permits else None,
        tuple(receipts),
        tuple(r for r in mine if r.stage is Stage.NOTICE_HANDED_OVER),
        tuple(_by(receipt, acts) for receipt in receipts),
    )


def sends_again(operation: Operation, notification_id: str, partner: str) -> bool:
    """May this operation have sent this one again? Of an act about very many only the first ids are listed."""
    listed = notification_id in operation.about or len(operation.about) > MOST_ABOUT
    return operation.what in REDRIVES and operation.about[:1] == (partner,) and listed


def _by(receipt: Receipt, acts: Sequence[OnRecord]) -> OnRecord | None:
    why = sent_again_because(receipt.reason)
    if why is None:
        return None
    until = receipt.at + _CLOCKS_APART
    may = [act for act in acts if act.operation.reason == why and act.at <= until]

    def fits(act: OnRecord) -> tuple[bool, bool, bool, datetime]:
        """It lists this one; whoever did it wrote the receipt; it came before that; and the last of several."""
        listed = receipt.notification_id in act.operation.about
        return listed, act.who == receipt.written_by, act.at <= receipt.at, act.at

    return max(may, key=fits, default=None)
