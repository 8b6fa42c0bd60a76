"""What is parked for a partner, and how does it get another chance?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from safebus.consumers.adapters.adapter import HELD_BACK, Adapter
from safebus.consumers.delivery.attempt import REPEATED, Attempts, Delivery
from safebus.consumers.delivery.circuit import Circuit
from safebus.consumers.delivery.ledger import Ledger
from safebus.consumers.delivery.measures import CourierFacts
from safebus.consumers.delivery.recheck import Recheck
from safebus.consumers.delivery.stages import NOT_SENT, Step, code_of, sent_again_because
from safebus.schemas import topics
from safebus.schemas.bus_records import Notification, Receipt, Stage
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Writer
from safebus.schemas.keys import DigestKey
from safebus.schemas.own_records import Strange, own_record


class LastTry(NamedTuple):
    """What came of the last attempt; `by_hand`: a person made it."""

    at: datetime
    code: str
    answer: str
    by_hand: bool


@dataclass(frozen=True)
class Parked:
    """
    One delivery that a person must look at.

    Attributes:
        reason: Why it was parked; `last`: what came of it since, or then; None: no receipt is kept.
        repeated: The partner had it before.
    """

    notification: Notification
    value: bytes
    reason: str
    at: datetime
    repeated: bool = False
    last: LastTry | None = None


@dataclass(frozen=True)
class Said:
    """What became of another try."""

    notification_id: str
    handed_over: bool
    text: str
    refused: bool = False  # by the partner, or it gave no answer


async def waiting(
    connection: Connection, partner: str, *, on_strange: Callable[[Strange], None] = lambda _: None
) -> list[Parked]:
    """
    What is parked and neither handed over nor stopped since, oldest first.

    Args:
        on_strange: Told of each record that the bus did not write, there and on the partner's receipts.
    """
    found: dict[str, Parked] = {}
    async for message in read_topic(connection, topics.parked_for(partner)):
        notification = own_record(message, Notification, belongs=lambda n: n.recipient == partner)
        if isinstance(notification, Strange):
            on_strange(notification)
            continue
        marks = dict(message.headers)
        reason = (marks.get("sb_reason") or b"").decode("utf-8", "replace")
        at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        found[notification.notification_id] = Parked(notification, message.value, reason, at, REPEATED in marks)
    last: dict[str, LastTry] = {}

    def note(receipt: Receipt) -> None:
        if receipt.notification_id in found and receipt.stage is Stage.PARKED:
            by_hand = sent_again_because(receipt.reason) is not None
            last[receipt.notification_id] = LastTry(receipt.at, code_of(receipt.reason), receipt.answer, by_hand)

    ledger = Ledger(connection, None, partner=partner, transport="operator", on_strange=on_strange, on_receipt=note)
    await ledger.load()
    settled = {key for key in found if (e := ledger.ended(key)) is not None and e.stage is not Stage.PARKED}
    left = (replace(p, last=last.get(key)) for key, p in found.items() if key not in settled)
    return sorted(left, key=lambda p: p.at)


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
    deliveries: Iterable[Delivery],
    *,
    adapter: Adapter,
    recheck: Recheck,
    clock: Callable[[], datetime],
    written_by: str = "",
    place: str | None = None,
    although_paused: bool = False,
) -> AsyncGenerator[Said, None]:
    """
    Try these once more, one after another, as the courier would, with the same receipts.

    What is parked stays parked unless the partner takes it or the register no longer permits it. It ends where an
    operator has paused the deliveries, be it meanwhile.

    Args:
        written_by, place: As each receipt says them.
        although_paused: Whoever sends these knows that deliveries are paused, and wants these to go.
    """
    outbound = Writer(connection, client_id="operator")
    await outbound.start()
    try:
        await adapter.open()
        ledger = Ledger(
            connection, outbound, partner=partner, transport=adapter.transport, written_by=written_by, place=place
        )
        await ledger.load()
        attempts = Attempts(
            partner=partner,
            adapter=adapter,
            recheck=recheck,
            ledger=ledger,
            outbound=outbound,
            circuit=Circuit(),
            facts=CourierFacts(),
            clock=clock,
            jitter=lambda: 0.0,
        )
        for delivery in deliveries:
            if not although_paused and is_paused(recheck, partner, clock()):
                return
            delivery.attempt = ledger.attempts(delivery.notification.notification_id)
            yield _said(delivery, await attempts.make(delivery, still_ours=_always))
    finally:
        await adapter.close()
        await outbound.stop()


def is_paused(recheck: Recheck, partner: str, now: datetime) -> bool:
    """By the register as it was last read: does an operator want nothing handed over now?"""
    word = recheck.word(partner, now)
    return word is not None and word.paused


def again(parked: Parked, key: DigestKey, reason: str) -> Delivery:
    """A parked one, as a person sends it again."""
    return Delivery.of(parked.notification, parked.value, key, redriven=reason, parked=True, repeated=parked.repeated)


async def _always() -> bool:
    """No group shares out what is parked: whoever sends it again has it."""
    return True


def _said(delivery: Delivery, step: Step | None) -> Said:
    assert step is not None  # nothing puts it off
    key = delivery.notification.notification_id
    if step.stage is Stage.HANDED_OVER:
        return Said(key, True, f"handed over, answer {step.answer}")
    if step.answer in (NOT_SENT, HELD_BACK.code):
        return Said(key, False, f"not handed over: {step.code}")
    still = "stays" if delivery.parked else "is"
    return Said(key, False, f"the partner answered {step.answer}; it {still} parked", refused=True)
