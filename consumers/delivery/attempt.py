"""
What is done each time a notification is handed to a partner, by itself or because a person asks?

    1. what the register no longer permits, as far as we know, is not sent
    2. nor what its publisher has taken back, nor what takes back that which was never sent
    3. where a consent stands on it, a receipt says that the attempt is under way
    4. the adapter gets ready: it does what may have to wait, and shows the partner nothing
    5. the register is asked whether it still permits it, and the broker whether we are still the one to hand it over
    6. it takes effect; where that lasts and nothing is on record of it yet, a receipt says that it is under way
    7. `consumers.delivery.stages` says what follows; what a person must look at is parked, then the receipt is written

Whoever called goes on (commits, waits, tells) only after that. So whatever the partner may have seen is on record: that
each was tried, and each other answer; of what a held destination says again and again not each repetition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

import structlog

from safebus.consumers.adapters.adapter import ALREADY_THERE, Adapter, Parcel, PartnerAnswer, Reply, hand_over
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.circuit import Circuit
from safebus.consumers.delivery.ledger import Ledger, Tried
from safebus.consumers.delivery.measures import CourierFacts
from safebus.consumers.delivery.parcels import parcel_of
from safebus.consumers.delivery.recheck import Recheck
from safebus.consumers.delivery.stages import Phase, Said, Step
from safebus.schemas import headers, topics
from safebus.schemas.bus_records import Notification, Stage
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import DigestKey

log = structlog.get_logger()

#: Of one that is parked: the partner was handed it before.
REPEATED: Final = "sb_repeated"
#: Seconds; nearly every answer takes less.
ON_RECORD_AFTER_S: Final = 2.0


@dataclass
class Delivery:
    """
    One notification on its way.

    Attributes:
        notification: As it stands there, its token dressed.
        value: The bytes as they stand on the partner's topic.
        case: The token as it is known here, the same whenever it was written: keeps one child's in order.
        attempt: How often it was tried, as far as is known: what a process that was killed had not written is not.
        before_hold: How many of these were before its destination was last held, which begins its waits again.
        tried_at: When it was last tried; None: not yet, by this process.
        first_sent: When it was first tried; None: not yet, or its destination was held since.
        on_record: What its last receipt says; None: it has none.
        unwritten: What came of later attempts, where it is the same and no receipt says it once more.
        redriven: Why a person sends it again; None: it is tried by itself.
        parked: It stands among what is parked already.
        repeated: It was handed over before, and a person sends it once more.
        taken_back: What takes it back has come.
    """

    notification: Notification
    value: bytes
    digest: str
    case: str
    attempt: int = 0
    before_hold: int = 0
    tried_at: datetime | None = None
    first_sent: datetime | None = None
    on_record: Said | None = None
    unwritten: Step | None = None
    redriven: str | None = None
    parked: bool = False
    repeated: bool = False
    taken_back: bool = False

    @classmethod
    def of(cls, notification: Notification, value: bytes, key: DigestKey, **how: Any) -> Self:
        """
        One that was read from a topic.

        Raises:
            BadIdentifier: It was written under a secret that is not held here; `key.knows` says so before.
        """
        token = notification.subject_token
        return cls(notification, value, key.under(token).digest(value), key.plain(token), **how)

    def go_on_from(self, tried: Tried) -> None:
        """Others, or a process before this one, have tried it."""
        self.attempt, self.before_hold, self.first_sent, self.on_record = tried

    @property
    def known(self) -> Notification:
        """The notification as the register knows whom it is about."""
        return self.notification.model_copy(update={"subject_token": self.case})

    @property
    def phase(self) -> Phase:
        """Who acts on it."""
        return Phase.OPEN if self.redriven is None else Phase.REDRIVEN


class Attempts:
    """
    Attempts at one destination, several at the same time.

    Args:
        circuit: What the destination's answers say of it; is told each of them.
        on_record_after_s: When an attempt of which nothing is on record, and which has no answer, is on record.
    """

    def __init__(
        self,
        *,
        partner: str,
        adapter: Adapter,
        recheck: Recheck,
        ledger: Ledger,
        outbound: Writer,
        circuit: Circuit,
        facts: CourierFacts,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        on_record_after_s: float = ON_RECORD_AFTER_S,
    ) -> None:
        self._partner, self._adapter, self._recheck = partner, adapter, recheck
        self._ledger, self._outbound, self._circuit, self._facts = ledger, outbound, circuit, facts
        self._clock, self._jitter, self._on_record_after_s = clock, jitter, on_record_after_s

    async def make(
        self,
        delivery: Delivery,
        *,
        still_ours: Callable[[], Awaitable[bool]],
        others: Callable[[], bool] = lambda: False,
    ) -> Step | None:
        """
        Try once, and write down what came of it.

        Args:
            still_ours: Asked right before it takes effect: nobody else may have handed it over meanwhile.
            others: Is another one there that could be asked now, should this one be refused?

        Returns:
            None: put off, because it was not sure to be ours any more.
        """
        on_consent = delivery.notification.consent_meaning is not None
        view = None if on_consent else self._view(delivery)
        if view is None:  # what follows from it is on record, so what we know of the register is not enough
            await self._recheck.refresh()
            view = self._view(delivery)
        if view is None:
            return await self._carry_out(self._unsent(delivery) or stages.not_readable(delivery.phase), delivery)
        await self._let_nobody_send_again(delivery.notification)
        first = delivery.first_sent
        delivery.tried_at = began = self._clock()
        delivery.attempt, delivery.first_sent = delivery.attempt + 1, first or began
        if on_consent:
            await self._write(stages.begun(delivery.phase), delivery)
        meanwhile: list[Step | None] = []

        async def may_go() -> bool:
            if not await still_ours():
                meanwhile.append(None)
                return False
            await self._recheck.refresh()
            no_more = self._unsent(delivery) or self._paused(delivery)
            if no_more is not None or not await still_ours():  # the register may have taken longer than a session lasts
                meanwhile.append(no_more)
            return not meanwhile

        parcel = parcel_of(delivery.known, view, delivery.digest, repeated=delivery.repeated)
        answer = await self._hand_over(delivery, parcel, may_go=may_go, begun=on_consent)
        if answer.reply is Reply.HELD_BACK:
            delivery.attempt, delivery.first_sent = delivery.attempt - 1, first
            return await self._held_back(meanwhile[0], answer, delivery)
        return await self._carry_out(self._follows(answer, delivery, began=began, others=others), delivery)

    async def _hand_over(
        self, delivery: Delivery, parcel: Parcel, *, may_go: Callable[[], Awaitable[bool]], begun: bool
    ) -> PartnerAnswer:
        """
        One attempt; one that lasts, or that breaks off, is on record before there is an answer.

        What a person sends again is on record as theirs (`operations`), and on a list that it must not leave.

        Args:
            begun: It is on record already that this attempt is under way.

        Raises:
            asyncio.CancelledError: We are to end, and its answer has not come. What else an adapter raises is a bug.
        """
        loop, writing = asyncio.get_running_loop(), list[asyncio.Task[None]]()
        went, timer = False, None

        def put_on_record() -> None:
            if not begun and not writing and delivery.phase is Phase.OPEN:
                writing.append(loop.create_task(self._write(stages.begun(delivery.phase), delivery)))

        async def goes() -> bool:
            nonlocal went, timer
            went = await may_go()
            if went and delivery.on_record is None:
                timer = loop.call_later(self._on_record_after_s, put_on_record)
            return went

        try:
            return await hand_over(self._adapter, parcel, may_go=goes)
        except BaseException:
            if went:
                put_on_record()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            for each in writing:  # before what is written next
                await each

    def _view(self, delivery: Delivery) -> dict[str, Any] | None:
        """The fields that the partner gets; None: it is not asked, or they cannot be read."""
        return None if self._unsent(delivery) else self._recheck.view(delivery.notification)

    def _unsent(self, delivery: Delivery) -> Step | None:
        """By the register as we know it: what follows without asking the partner; None: it may be asked."""
        return stages.unsent(
            self._recheck.why_not(delivery.known, self._clock()),
            phase=delivery.phase,
            taken_back=delivery.taken_back,
            nothing_there=self._takes_back_nothing(delivery.notification),
        )

    def _paused(self, delivery: Delivery) -> Step | None:
        """An operator wants nothing handed over now. What a person sends by hand, `parked.redrive` judges."""
        word = self._recheck.word(self._partner, self._clock())
        return stages.put_off() if delivery.phase is Phase.OPEN and word is not None and word.paused else None

    async def _held_back(self, why: Step | None, answer: PartnerAnswer, delivery: Delivery) -> Step | None:
        """It was ready to go, and must not any more: the partner has seen nothing of it."""
        if why is None:
            # We were halted since this began, or it took very long, and another may have handed it over: nothing is
            # written, for the last word is theirs.
            log.warning("delivery.put_off", partner=self._partner, reason="not sure to be in the group any more")
            return None
        if why.stage is Stage.WAITING:
            if delivery.notification.consent_meaning is not None:  # or what was begun would count as maybe there
                await self._write(why, delivery)
            return None
        # By another word than where nothing was begun: of that, nobody could be sure that it never arrived.
        return await self._carry_out(replace(why, answer=answer.code), delivery)

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
            step = stages.unsent(None, phase=Phase.OPEN, taken_back=True)
            assert step is not None  # it was taken back
            await self._ledger.write(
                about,
                step.stage,
                digest=ended.digest,
                attempt=ended.attempts,
                at=self._clock(),
                answer=step.answer,
                reason=step.reason,
            )

    def _follows(
        self, answer: PartnerAnswer, delivery: Delivery, *, began: datetime, others: Callable[[], bool]
    ) -> Step:
        assert delivery.first_sent is not None  # set before the partner is asked
        key, now = delivery.notification.notification_id, self._clock()
        self._facts.tried(answer.reply, took=now - began)
        if answer.reply in stages.REFUSALS and delivery.phase is Phase.OPEN:
            before = self._refused_before(delivery)
            verdict = self._circuit.refused(key, answer, others=others(), now=now, refused_before=before)
            return stages.refused(answer, verdict)
        if answer.reply in (Reply.BUSY, Reply.UNKNOWN):
            self._circuit.failed(answer, now=now)
        elif answer.reply in (Reply.ACCEPTED, Reply.OTHER_CONTENT):
            effect = answer.reply is Reply.ACCEPTED and answer.code != ALREADY_THERE
            self._circuit.taken(key, effect=effect, began=began, now=now)
        return stages.answered(
            answer,
            phase=delivery.phase,
            attempt=delivery.attempt - delivery.before_hold,
            first_sent=delivery.first_sent,
            now=now,
            jitter=self._jitter(),
        )

    def _refused_before(self, delivery: Delivery) -> int:
        """By a process before this one, beside others: its last receipt says so."""
        said = delivery.on_record
        if said is None or said.stage is not Stage.WAITING or stages.code_of(said.reason) not in stages.REFUSED:
            return 0
        return max(0, delivery.attempt - 1 - delivery.before_hold)

    async def say_held(self, delivery: Delivery) -> None:
        """
        Put on record that its destination is held, where that followed from no answer.

        One that was refused was the last, and whoever could have shown whose fault that is has ended, or waits.
        """
        said = delivery.on_record
        if said is not None and said.stage is Stage.WAITING and stages.code_of(said.reason) in stages.REFUSED:
            await self._carry_out(stages.held(said, again_at=self._circuit.next_at), delivery)

    async def come_again(self, delivery: Delivery, *, same: Callable[[str], Awaitable[bool]]) -> bool:
        """
        It ended before, under the same id: the same content needs nothing more, other content needs a person.

        Args:
            same: Asked of other bytes than these, by their digest: do they say the same all the same?
        """
        ended = self._ledger.ended(delivery.notification.notification_id)
        if ended is None:
            return False
        step = stages.come_again(same=ended.digest == delivery.digest or await same(ended.digest))
        if step is not None:
            await self._carry_out(step, delivery)
        return True

    async def _carry_out(self, step: Step, delivery: Delivery) -> Step:
        """At once what other attempts go by, then what is on record."""
        if step.stage in stages.ENDED:
            self._circuit.ended(delivery.notification.notification_id)
        if step.stage is Stage.HELD:
            # The time a destination is held is not the message's: its own 72 hours begin when it is let in again.
            delivery.first_sent, delivery.before_hold = None, delivery.attempt
        if step.stage is Stage.PARKED and not delivery.parked:
            await self._park(step, delivery)
        if step.written(on_record=delivery.on_record, on_consent=delivery.notification.consent_meaning is not None):
            await self._write(step, delivery)
        else:
            delivery.unwritten = step
        self._say(step, delivery)
        return step

    async def _park(self, step: Step, delivery: Delivery) -> None:
        """Put a delivery where a person looks."""
        n = delivery.notification
        about = [
            *headers.cloud_event(id=n.notification_id, source=self._partner, type=n.event_type),
            ("sb_reason", step.reason.encode()),
            *([(REPEATED, b"1")] if delivery.repeated else []),
        ]
        parked = Message(topics.parked_for(self._partner), n.subject_token.encode(), delivery.value, about)
        await self._outbound.send_all([parked])

    async def write_what_is_known(self, delivery: Delivery) -> None:
        """Before others go on with it: how often it was tried, where the last receipt says less."""
        if delivery.unwritten is not None:
            await self._write(delivery.unwritten, delivery, at=delivery.tried_at)

    async def _write(self, step: Step, delivery: Delivery, *, at: datetime | None = None) -> None:
        at = at or self._clock()
        await self._ledger.write(
            delivery.notification,
            step.stage,
            digest=delivery.digest,
            attempt=delivery.attempt,
            at=at,
            answer=step.answer,
            reason=stages.on_record(step, redriven=delivery.redriven),
            again_at=step.again_at,
            destination=self._circuit.says() if delivery.phase is Phase.OPEN else None,
        )
        delivery.on_record, delivery.unwritten = step.said, None
        self._facts.wrote(step.stage, since_decided=at - delivery.notification.decided_at)

    def _say(self, step: Step, delivery: Delivery) -> None:
        about = {"partner": self._partner, "notification_id": delivery.notification.notification_id}
        if delivery.phase is Phase.REDRIVEN:
            log.info("delivery.redriven", **about, reason=step.code, answer=step.answer)
        elif step.stage is Stage.STOPPED:
            log.info("delivery.stopped", **about, reason=step.code)
        elif step.stage is Stage.PARKED:
            log.warning("delivery.parked", **about, reason=step.code, answer=step.answer)
