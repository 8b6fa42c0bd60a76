"""A partner's system, a register and a way to a broker that do what a test says, and remember in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from a_parcel import ID

from safebus.consumers.adapters.adapter import Effect, Parcel, PartnerAnswer, Reply
from safebus.consumers.delivery.attempt import Attempts, Delivery
from safebus.consumers.delivery.circuit import Circuit
from safebus.consumers.delivery.ledger import Ledger
from safebus.consumers.delivery.measures import CourierFacts, NoMeasures
from safebus.consumers.delivery.recheck import Word
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Reason, Receipt
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PARTNER = "ash-primary"
KEY = PersonKey(b"k" * 32)
WITHDRAWN = Reason(code="CONSENT_WITHDRAWN", rule="R12", about="x")
ON_CONSENT = Notification(
    notification_id=ID,
    decision_id="d",
    event_id="e",
    event_type="housing.temporary-accommodation.v1",
    lifecycle="NEW",
    recipient=PARTNER,
    publisher="fordshire-housing",
    purpose="temporary_accommodation_notice",
    urgency="ROUTINE",
    subject_token="t",
    agreement_id="a",
    agreement_version=1,
    flow="f",
    consent_meaning="service_agreement",
    labels=(),
    restricted=False,
    decided_at=NOON,
    view_schema="0" * 16,
    view=b"",
)
ON_A_DUTY = ON_CONSENT.model_copy(update={"consent_meaning": None})


def delivery(notification: Notification = ON_A_DUTY, *, redriven: str | None = None, parked: bool = False) -> Delivery:
    value = codec.encode_record(notification)
    return Delivery.of(notification, value, KEY.digests, redriven=redriven, parked=parked)


class CountedReplies(NoMeasures):
    """How often the partner answered what."""

    def __init__(self) -> None:
        self.replies: Counter[Reply] = Counter()

    def attempted(self, reply: Reply, took: timedelta) -> None:
        self.replies[reply] += 1


class NotedWriter(Writer):
    """Notes what goes where."""

    def __init__(self, connection: Connection, done: list[str]) -> None:
        super().__init__(connection, client_id="test")
        self._done = done

    async def send_all(self, messages: Iterable[Message]) -> Any:
        found = list(messages)
        sent = await super().send_all(found)
        self._done += [message.topic for message in found]
        return sent


@dataclass
class Partner:
    """
    A partner, the register, and the attempts at it.

    Attributes:
        answers: What the partner answers, one after another; nothing may be asked when there are none left.
        refusal, refusal_meanwhile: What the register says, and what it says once the adapter is ready.
        others: There is another one that could be asked.
        paused: An operator says so once the adapter is ready.
        repeated: Of each parcel, whether it is marked so.
        done: What was asked and written, in order.
    """

    connection: Connection
    answers: list[Reply] = field(default_factory=list)
    refusal: Reason | None = None
    refusal_meanwhile: Reason | None = None
    readable: bool = True
    ours: bool = True
    others: bool = False
    paused: bool = False
    done: list[str] = field(default_factory=list)
    repeated: list[bool] = field(default_factory=list)
    tally: CountedReplies = field(default_factory=CountedReplies)
    transport: str = "folder"

    def __post_init__(self) -> None:
        self.outbound = NotedWriter(self.connection, self.done)
        self.ledger = Ledger(self.connection, self.outbound, partner=PARTNER, transport=self.transport)
        self.circuit = Circuit()
        self.attempts = Attempts(
            partner=PARTNER,
            adapter=self,
            recheck=self,
            ledger=self.ledger,
            outbound=self.outbound,
            circuit=self.circuit,
            facts=CourierFacts(tally=self.tally),
            clock=lambda: NOON,
            jitter=lambda: 0.0,
            on_record_after_s=3_600.0,  # else a machine that stands still for a while adds a receipt
        )
        self.make: Callable[[Delivery], Awaitable[Any]] = lambda d: self.attempts.make(
            d, still_ours=self.still_ours, others=lambda: self.others
        )

    async def open(self) -> None:
        """As an adapter."""

    async def close(self) -> None:
        """As an adapter."""

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect]:
        assert parcel.body["fields"] == {"name": "Zoë"}
        self.done.append("ready")
        self.repeated.append(parcel.repeated)
        await self.while_it_waits()

        async def effect() -> PartnerAnswer:
            self.done.append("partner")
            return PartnerAnswer(self.answers.pop(0), "its code")

        yield effect

    async def while_it_waits(self) -> None:
        """As an adapter: before anything takes effect."""
        self.refusal = self.refusal_meanwhile or self.refusal

    async def still_ours(self) -> bool:
        self.done.append("still ours?")
        return self.ours

    async def refresh(self) -> int:
        self.done.append("register")
        return 0

    def why_not(self, notification: Notification, now: datetime) -> Reason | None:
        return self.refusal

    def view(self, notification: Notification) -> dict[str, Any] | None:
        return {"name": "Zoë"} if self.readable else None

    def word(self, partner: str, now: datetime) -> Word | None:
        return Word(NOON, paused=True) if self.paused and "ready" in self.done else None

    def consent_ended(self, *, person: str, meaning: str, purpose: str, partner: str, now: datetime) -> str | None:
        return None

    async def receipts(self) -> list[Receipt]:
        return [
            codec.decode_record(m.value, Receipt)
            async for m in read_topic(self.connection, topics.receipts_from(PARTNER))
        ]

    async def park(self, notification: Notification = ON_A_DUTY) -> None:
        """As if it had been refused before."""
        self.answers.append(Reply.OTHER_CONTENT)
        await self.make(delivery(notification))
        self.done.clear()
