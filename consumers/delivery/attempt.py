"""
What is done each time a notification is handed to a partner, by itself or because a person asks?

    1. the register is asked again: hours may lie between the decision and a partner that answers
    2. what its publisher has taken back is not sent, nor what takes back that which was never sent
    3. where a consent stands on it, a receipt says that the attempt is under way
    4. are we still the one who may ask this partner?
    5. the partner is asked
    6. `consumers.delivery.stages` says what follows; what a person must look at is parked, then the receipt is written

Whoever called goes on (commits, waits, tells) only after that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from safebus.consumers.adapters.adapter import Adapter
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.ledger import Ledger
from safebus.consumers.delivery.measures import CourierFacts
from safebus.consumers.delivery.parcels import parcel_of
from safebus.consumers.delivery.recheck import Recheck
from safebus.consumers.delivery.stages import Phase, Step
from safebus.schemas import headers, topics
from safebus.schemas.bus_records import Notification, Stage
from safebus.schemas.kafka.writer import Message, Writer

log = structlog.get_logger()


@dataclass
class Delivery:
    """
    One notification on its way.

    Attributes:
        value: The bytes as they stand on the partner's topic.
        attempt: How often it was tried, since its destination was last held.
        first_sent: When it was first tried; None: not yet, or its destination was held since.
        redriven: Why a person sends it again; None: it is tried by itself.
        taken_back: What takes it back has come.
    """

    notification: Notification
    value: bytes
    digest: str
    attempt: int = 0
    first_sent: datetime | None = None
    redriven: str | None = None
    taken_back: bool = False

    @property
    def phase(self) -> Phase:
        """Who acts on it."""
        return Phase.OPEN if self.redriven is None else Phase.REDRIVEN


class Attempts:
    """
    Attempts at one destination, several at the same time.

    Attributes:
        held_until: When the destination may be asked whether it is mended; None: it is not held.
    """

    def __init__(
        self,
        *,
        partner: str,
        adapter: Adapter,
        recheck: Recheck,
        ledger: Ledger,
        outbound: Writer,
        facts: CourierFacts,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self.held_until: datetime | None = None
        self._partner, self._adapter, self._recheck = partner, adapter, recheck
        self._ledger, self._outbound, self._facts = ledger, outbound, facts
        self._clock, self._jitter = clock, jitter

    async def make(self, delivery: Delivery, *, still_ours: Callable[[], Awaitable[bool]]) -> Step | None:
        """
        Try once, and write down what came of it.

        Args:
            still_ours: Asked right before the partner is: nobody else may have handed it over meanwhile.

        Returns:
            None: put off, because it was not sure to be ours any more.
        """
        await self._recheck.refresh()
        now = self._clock()
        refusal = self._recheck.why_not(delivery.notification, now)
        view = None if refusal is not None else self._recheck.view(delivery.notification)
        unsent = stages.unsent(
            refusal,
            readable=view is not None,
            phase=delivery.phase,
            taken_back=delivery.taken_back,
            nothing_there=self._takes_back_nothing(delivery.notification),
        )
        if unsent is not None:
            return await self._carry_out(unsent, delivery)
        assert view is not None  # else there is a step
        await self._let_nobody_send_again(delivery.notification)
        delivery.attempt += 1
        delivery.first_sent = delivery.first_sent or now
        if delivery.notification.consent_meaning is not None:
            await self._write(stages.begun(delivery.phase), delivery)
        if not await still_ours():
            # We were halted since this began, or it took very long, and another may have handed it over.
            delivery.attempt -= 1
            log.warning("delivery.put_off", partner=self._partner, reason="not sure to be in the group any more")
            return None
        return await self._carry_out(await self._ask(delivery, view, began=now), delivery)

    def _takes_back_nothing(self, notification: Notification) -> bool:
        """It was stopped before the partner could have it: that there was anything is not the partner's to know."""
        original = notification.takes_back if notification.bare else None
        return original is not None and self._ledger.never_handed_over(original)

    async def _let_nobody_send_again(self, notification: Notification) -> None:
        """What is taken back and parked is settled: no person should send it any more."""
        original = notification.takes_back
        ended = self._ledger.ended(original) if original is not None else None
        if original is not None and ended is not None and ended.stage is Stage.PARKED:
            about = notification.model_copy(update={"notification_id": original})
            step = stages.unsent(None, readable=True, phase=Phase.OPEN, taken_back=True)
            assert step is not None  # it was taken back
            await self._ledger.write(
                about,
                step.stage,
                digest=ended.digest,
                attempt=0,
                at=self._clock(),
                answer=step.answer,
                reason=step.reason,
            )

    async def _ask(self, delivery: Delivery, view: dict[str, Any], *, began: datetime) -> Step:
        assert delivery.first_sent is not None  # set before the partner is asked
        answer = await self._adapter.deliver(parcel_of(delivery.notification, view, delivery.digest))
        now = self._clock()
        self._facts.tried(answer.reply, took=now - began)
        return stages.answered(
            answer,
            phase=delivery.phase,
            attempt=delivery.attempt,
            first_sent=delivery.first_sent,
            now=now,
            jitter=self._jitter(),
            held=self.held_until is not None,  # by now: others of this destination were asked meanwhile
        )

    async def come_again(self, delivery: Delivery) -> bool:
        """It ended before, under the same id: the same bytes need nothing more, others need a person."""
        ended = self._ledger.ended(delivery.notification.notification_id)
        if ended is None:
            return False
        step = stages.come_again(same=ended.digest == delivery.digest)
        if step is not None:
            await self._carry_out(step, delivery)
        return True

    async def _carry_out(self, step: Step, delivery: Delivery) -> Step:
        """At once what other attempts go by, then what is on record."""
        if step.stage is Stage.HELD:
            self.held_until = step.again_at
            # The time a destination is held is not the message's: its own 72 hours begin when it is let in again.
            delivery.first_sent, delivery.attempt = None, 0
        elif step.lets_in:
            self.held_until = None
        if step.stage is Stage.PARKED and delivery.phase is Phase.OPEN:  # else it stands there already
            await self._park(step, delivery)
        if step.written(on_consent=delivery.notification.consent_meaning is not None):
            await self._write(step, delivery)
        self._say(step, delivery)
        return step

    async def _park(self, step: Step, delivery: Delivery) -> None:
        """Put a delivery where a person looks."""
        n = delivery.notification
        about = [
            *headers.cloud_event(id=n.notification_id, source=self._partner, type=n.event_type),
            ("sb_reason", step.reason.encode()),
        ]
        parked = Message(topics.parked_for(self._partner), n.subject_token.encode(), delivery.value, about)
        await self._outbound.send_all([parked])

    async def _write(self, step: Step, delivery: Delivery) -> None:
        at = self._clock()
        await self._ledger.write(
            delivery.notification,
            step.stage,
            digest=delivery.digest,
            attempt=delivery.attempt,
            at=at,
            answer=step.answer,
            reason=stages.on_record(step, redriven=delivery.redriven),
        )
        self._facts.wrote(step.stage, since_decided=at - delivery.notification.decided_at)

    def _say(self, step: Step, delivery: Delivery) -> None:
        about = {"partner": self._partner, "notification_id": delivery.notification.notification_id}
        if delivery.phase is Phase.REDRIVEN:
            log.info("delivery.redriven", **about, reason=step.code, answer=step.answer)
        elif step.stage is Stage.STOPPED:
            log.info("delivery.stopped", **about, reason=step.code)
        elif step.stage is Stage.PARKED:
            log.warning("delivery.parked", **about, reason=step.code, answer=step.answer)
