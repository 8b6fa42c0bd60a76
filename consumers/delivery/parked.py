"""What is parked for a partner, and how does it get another chance?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from safebus.consumers.adapters.interface import Adapter
from safebus.consumers.delivery import retry as delivery
from safebus.consumers.delivery.ledger import Ledger
from safebus.consumers.delivery.parcels import parcel_of
from safebus.consumers.delivery.recheck import Recheck
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Stage
from safebus.schemas.errors import BadInput
from safebus.schemas.identifiers import PersonKey
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Writer


@dataclass(frozen=True)
class Parked:
    """One delivery that a person must look at."""

    notification: Notification
    value: bytes
    reason: str
    at: datetime


@dataclass(frozen=True)
class Said:
    """What became of another try."""

    handed_over: bool
    text: str


async def waiting(connection: Connection, partner: str) -> list[Parked]:
    """What is parked and was not handed over since, oldest first."""
    found: dict[str, Parked] = {}
    async for message in read_topic(connection, topics.parked_for(partner)):
        notification = codec.decode_record(message.value, Notification)
        reason = dict(message.headers).get("sb_reason", b"").decode()
        at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        found[notification.notification_id] = Parked(notification, message.value, reason, at)
    ledger = Ledger(connection, None, partner=partner, transport="operator")
    await ledger.load()
    settled = {key for key in found if (e := ledger.ended(key)) is not None and e.stage is not Stage.PARKED}
    return sorted((p for key, p in found.items() if key not in settled), key=lambda p: p.at)


async def find(connection: Connection, partner: str, notification_id: str) -> Parked:
    """
    One parked delivery.

    Raises:
        BadInput: It is not parked for this partner, or was settled since.
    """
    for parked in await waiting(connection, partner):
        if parked.notification.notification_id == notification_id:
            return parked
    raise BadInput(
        f"nothing is parked for `{partner}` under `{notification_id}`; `safebus parked list {partner}` shows what is"
    )


async def redrive(
    connection: Connection,
    partner: str,
    notification_id: str,
    *,
    adapter: Adapter,
    recheck: Recheck,
    key: PersonKey,
    reason: str,
    clock: Callable[[], datetime],
) -> Said:
    """
    Hand a parked delivery over, if the register still permits it, and write the receipt.

    Raises:
        BadInput: It is not parked.
    """
    parked = await find(connection, partner, notification_id)
    outbound = Writer(connection, client_id="operator")
    await outbound.start()
    try:
        ledger = Ledger(connection, outbound, partner=partner, transport=adapter.transport)
        await recheck.refresh()
        return await _try(parked, recheck, ledger, adapter, key, reason, clock())
    finally:
        await adapter.close()
        await outbound.stop()


async def _try(
    parked: Parked,
    recheck: Recheck,
    ledger: Ledger,
    adapter: Adapter,
    key: PersonKey,
    reason: str,
    now: datetime,
) -> Said:
    notification, digest = parked.notification, key.digest(parked.value)
    refusal = recheck.why_not(notification, now)
    view = recheck.view(notification)
    if refusal is not None or view is None:
        why = refusal.code if refusal is not None else "view_not_readable"
        await ledger.write(notification, Stage.STOPPED, digest=digest, attempt=0, at=now, answer="not_sent", reason=why)
        return Said(False, f"not handed over: {why}")
    await adapter.open()
    answer = await adapter.deliver(parcel_of(notification, view, digest))
    step = delivery.next_step(
        answer.reply, attempt=1, first_sent=now, now=now, retry_after_s=answer.retry_after_s, jitter=0.0
    )
    if isinstance(step, delivery.Done):
        await ledger.write(
            notification,
            Stage.HANDED_OVER,
            digest=digest,
            attempt=1,
            at=now,
            answer=answer.code,
            reason=f"redriven: {reason}",
        )
        return Said(True, f"handed over, answer {answer.code}")
    return Said(False, f"the partner answered {answer.code}; it stays parked")
