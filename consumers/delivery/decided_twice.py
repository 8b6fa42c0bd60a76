"""
Are these two notifications of one id the same, decided twice?

An agency may publish one event under two cases, and then two workers may decide about it, neither knowing of the other.
The ids are the same, and so is all that the partner is told; the bytes are not, because each says when it was decided.
The first stands before the second on the same partition of the partner's topic, for as long as that keeps it.
"""

from __future__ import annotations

import structlog

from safebus.consumers.delivery.cases import Item
from safebus.schemas import topics
from safebus.schemas.bus_records import Notification
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.keys import DigestKey
from safebus.schemas.own_records import own_record

log = structlog.get_logger()


async def says_the_same(connection: Connection, key: DigestKey, item: Item, earlier: str) -> bool:
    """
    Does this one say what an earlier one of its id said, but for when it was decided?

    Args:
        earlier: The digest of its bytes, as in its receipts.

    Returns:
        False also where the earlier one is no longer kept.

    Raises:
        NotReachable: The partner's topic cannot be read.
    """
    n = item.notification
    where = Partition(topics.notifications_for(n.recipient), item.waiting.partition)
    async with Reader(connection, partitions=[where], committed=False) as reader:
        reader.stop_at({where: item.waiting.offset})
        while records := await reader.take_some(where):
            for record in records:
                found = own_record(record, Notification, belongs=lambda e: e.notification_id == n.notification_id)
                if isinstance(found, Notification) and _digest(found, record.value, key) == earlier:
                    if same := _content(found, key) == _content(n, key):
                        about = {"partner": n.recipient, "event_id": n.event_id, "notification_id": n.notification_id}
                        log.info("delivery.decided_twice", **about)
                    return same
    return False


def _digest(notification: Notification, value: bytes, key: DigestKey) -> str | None:
    """As its receipts have it; None: no secret of the bus wrote it."""
    token = notification.subject_token
    return key.under(token).digest(value) if key.reads(token) else None


def _content(notification: Notification, key: DigestKey) -> Notification:
    """All that the partner is told, and on what it rests."""
    token = key.plain(notification.subject_token)
    return notification.model_copy(update={"decided_at": None, "subject_token": token})
