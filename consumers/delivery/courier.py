"""
How does a notification get from `out.<partner>` into the partner's own system?

In order per case; a case that waits does not hold up the others. Before every attempt the register is asked again:
hours may lie between the decision and a partner that answers. On trouble it waits, holds or parks with a reason; it
never skips. What is done is written down before the offset is committed, so a crash in between repeats a delivery
under the same id, and the partner's system sees it once. A process that was halted and wakes up makes no attempt
before the broker has said that it still has its partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from safebus.consumers.adapters.interface import Adapter, PartnerAnswer
from safebus.consumers.delivery import retry as delivery
from safebus.consumers.delivery.cases import Case, Cases, Item
from safebus.consumers.delivery.ledger import NOT_SENT, UNDER_WAY, Ledger, Receipts
from safebus.consumers.delivery.measures import CourierFacts, OpenState, Pile
from safebus.consumers.delivery.notices import Notices
from safebus.consumers.delivery.parcels import parcel_of
from safebus.consumers.delivery.recheck import Recheck
from safebus.consumers.delivery.source import Source, Waiting
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import Notification, Stage
from safebus.schemas.identifiers import PersonKey
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer

log = structlog.get_logger()

T = TypeVar("T")

_AT_ONCE = 8  # cases of one partner under way at the same time
_COMMIT_EVERY = timedelta(seconds=0.5)
_BEGINS_WITHIN_S = 2.0  # from the start of an attempt to its first byte: the register, and at times a receipt
_FINISH_WITHIN_S = 30.0  # less than the group waits for us (`Source`)
_WINDOW = 500  # notifications taken in and not dealt with


class Courier:
    """
    One partner's deliveries.

    Args:
        jitter: A number in [-1, 1] each time it is called; chance is an argument.
        receipts: What all couriers of this process share; None: each reads them for itself.
        key: Only to digest bytes as the decision record does.

    Attributes:
        facts: What it has done, for whoever looks.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        partner: str,
        adapter: Adapter,
        recheck: Recheck,
        key: PersonKey,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        receipts: Receipts | None = None,
    ) -> None:
        self.partner, self.transport = partner, adapter.transport
        self.facts = CourierFacts()
        self._adapter, self._recheck, self._key = adapter, recheck, key
        self._clock, self._jitter = clock, jitter
        self._outbound = Writer(connection, client_id=f"adapter-{partner}", linger_ms=0)
        self._ledger = Ledger(
            connection, self._outbound, partner=partner, transport=adapter.transport, receipts=receipts
        )
        self._source = Source(connection, partner=partner, revoked=self._let_go, assigned=self._ledger.load)
        self._cases = Cases()
        self._tasks: set[asyncio.Task[None]] = set()
        self._notices = Notices(
            partner=partner,
            adapter=adapter,
            ledger=self._ledger,
            recheck=recheck,
            facts=self.facts,
            clock=clock,
            jitter=jitter,
        )
        self._held_until: datetime | None = None
        self._fetching: asyncio.Task[list[Waiting]] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._something_ended = asyncio.Event()
        self._letting_go = False
        self._committed_at: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """
        Deliver until `stop` is set.

        Raises:
            NotReachable: The broker or the register cannot be reached; nothing was skipped.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._outbound.stop)
            await self._outbound.start()
            stack.push_async_callback(self._adapter.close)
            await self._adapter.open()
            await self._ledger.load()
            stack.push_async_callback(self._source.stop)
            await self._source.start()
            self.facts.joined = True
            log.info("courier.started", partner=self.partner, transport=self.transport)
            stack.push_async_callback(self._end)
            while not stop.is_set():
                await self._round()

    @property
    def held(self) -> bool:
        """The destination lets nothing in, and a person must look at it."""
        return self._held_until is not None

    def piles(self) -> dict[OpenState, Pile]:
        """How what it has taken in and not ended stands; what is beyond its window of 500 is not known here."""
        return self._cases.piles(held=self.held)

    async def _round(self) -> None:
        """One turn: whatever has ended since the last one is followed up, and what can be started is."""
        if self._fetching is None and len(self._cases) < _WINDOW:
            self._fetching = self._start(self._source.fetch(1.0))
        with contextlib.suppress(TimeoutError):  # something may be due by time alone
            async with asyncio.timeout(0.2):
                await self._something_ended.wait()
        self._something_ended.clear()
        self.facts.turned_at = self._clock()
        await self._take_in_what_came()
        for task in [t for t in self._tasks if t.done()]:
            self._tasks.discard(task)
            task.result()  # a bug or a broker that is gone: stop before anything else starts, and leave the offsets
        if not self._letting_go:
            await self._start_what_is_due()
            self._start_telling()
        await self._commit()

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._something_ended.set())
        return task

    async def _take_in_what_came(self) -> None:
        if self._fetching is None or not self._fetching.done():
            return
        came, self._fetching = self._fetching.result(), None
        for waiting in came:
            if self._source.is_open(waiting):  # else another process has this partition by now
                await self._take_in(waiting)

    def _start_telling(self) -> None:
        """Tell of consents that ended, beside the alerts."""
        if self._telling is not None and self._telling.done():
            self._telling.result()
            self._telling = None
        if self._telling is None and not self.held and self._notices.due(self._clock()):
            self._telling = self._start(self._notices.round())

    async def _commit(self) -> None:
        now = self._clock()
        if self._committed_at is None or abs(now - self._committed_at) >= _COMMIT_EVERY:  # clocks are set back, too
            self._committed_at = now
            await self._source.commit()

    async def _take_in(self, waiting: Waiting) -> None:
        notification = codec.decode_record(waiting.value, Notification)
        item = Item(waiting, notification, self._key.digest(waiting.value))
        ended = self._ledger.ended(notification.notification_id)
        if ended is not None:
            await self._repeat(item, same=ended.digest == item.digest)
            return
        item.first_sent, item.attempt = self._ledger.waited(notification.notification_id)
        self._cases.add(item)

    async def _repeat(self, item: Item, *, same: bool) -> None:
        """Handed over, parked or stopped before; the same bytes need nothing more, others need a person."""
        if not same:
            await self._park(item, "same_id_other_content", NOT_SENT)
        self._source.dealt_with(item.waiting)

    async def _start_what_is_due(self) -> None:
        now = self._clock()
        if self._held_until is not None and now < self._held_until:
            return
        # While a destination is held, one message is the probe: the oldest of any case.
        room = (1 if self._held_until is not None else _AT_ONCE) - len(self._tasks)
        if room <= 0 or not self._cases.due(now) or not await self._surely_ours():
            return
        for case in self._cases.due(now)[:room]:
            case.busy = True
            self._tasks.add(self._start(self._attempt(case)))

    async def _surely_ours(self) -> bool:
        """For long enough to begin with something. While the broker is asked a rebalance may begin, too."""
        if not self._source.surely_ours(for_another_s=_BEGINS_WITHIN_S) and not await self._source.confirm():
            return False
        return not self._letting_go

    async def _attempt(self, case: Case) -> None:
        item = case.queue[0]
        try:
            ended = self._ledger.ended(item.notification.notification_id)
            if ended is not None:  # meanwhile, under the same id
                await self._repeat(item, same=ended.digest == item.digest)
                self._done_with(case, item)
                return
            await self._recheck.refresh()
            now = self._clock()
            refusal = self._recheck.why_not(item.notification, now)
            if refusal is not None:
                await self._stop_delivery(item, refusal.code, refusal.rule)
                self._done_with(case, item)
                return
            view = self._recheck.view(item.notification)
            if view is None:
                await self._park(item, "view_not_readable", NOT_SENT)
                self._done_with(case, item)
                return
            item.attempt += 1
            item.first_sent = item.first_sent or now
            if item.notification.consent_meaning is not None:
                # Should we end before the answer: whoever stops this delivery must know that it may be there.
                await self._write(item, Stage.WAITING, "not_yet", UNDER_WAY)
            if not await self._still_ours(item):
                # We were halted since this began, or it took very long, and another may have handed it over.
                item.attempt -= 1
                log.warning("delivery.put_off", partner=self.partner, reason="not sure to be in the group any more")
                return
            answer = await self._adapter.deliver(parcel_of(item.notification, view, item.digest))
            self.facts.tried(answer.reply, took=self._clock() - now)
            await self._follow(case, item, answer)
        finally:
            case.busy = False

    async def _still_ours(self, item: Item) -> bool:
        """Right before the partner is asked: the register may have taken longer to answer than a session lasts."""
        if not self._source.surely_ours():
            await self._source.confirm()
        return self._source.surely_ours() and self._source.is_open(item.waiting)

    async def _follow(self, case: Case, item: Item, answer: PartnerAnswer) -> None:
        now = self._clock()
        assert item.first_sent is not None  # set before the attempt
        step = delivery.next_step(
            answer.reply,
            attempt=item.attempt,
            first_sent=item.first_sent,
            now=now,
            retry_after_s=answer.retry_after_s,
            jitter=self._jitter(),
        )
        match step:
            case delivery.Done():
                self._held_until = None
                await self._write(item, Stage.HANDED_OVER, answer.code)
                self._done_with(case, item)
            case delivery.Park(reason=reason):
                await self._park(item, reason, answer.code)
                self._done_with(case, item)
            case delivery.TryAgain(at=at, reason=reason):
                self._held_until = None
                item.not_before = at
                await self._write(item, Stage.WAITING, answer.code, reason)
            case delivery.Hold(at=at, reason=reason):
                first = self._held_until is None
                self._held_until = at
                # The time a destination is held is not the message's: its own 72 hours begin when it is let in again.
                item.first_sent, item.attempt, item.not_before = None, 0, at
                if first or item.notification.consent_meaning is not None:  # there the answer must be on record
                    await self._write(item, Stage.HELD, answer.code, reason)
                if first:
                    log.error(
                        "destination.held",
                        partner=self.partner,
                        reason=reason,
                        answer=answer.code,
                        waiting=len(self._cases),
                    )

    def _done_with(self, case: Case, item: Item) -> None:
        self._source.dealt_with(item.waiting)
        if case.queue and case.queue[0] is item:  # else its partition was let go meanwhile
            case.queue.popleft()

    async def _stop_delivery(self, item: Item, code: str, rule: str) -> None:
        await self._write(item, Stage.STOPPED, NOT_SENT, f"{code} ({rule})")
        log.info(
            "delivery.stopped", partner=self.partner, notification_id=item.notification.notification_id, reason=code
        )

    async def _park(self, item: Item, reason: str, answer: str) -> None:
        """Put a delivery where a person looks, before its offset can be committed."""
        n = item.notification
        about = [
            *headers.cloud_event(id=n.notification_id, source=self.partner, type=n.event_type),
            ("sb_reason", reason.encode()),
        ]
        parked = Message(topics.parked_for(self.partner), n.subject_token.encode(), item.waiting.value, about)
        await self._outbound.send_all([parked])
        await self._write(item, Stage.PARKED, answer, reason)
        log.warning(
            "delivery.parked", partner=self.partner, notification_id=n.notification_id, reason=reason, answer=answer
        )

    async def _write(self, item: Item, stage: Stage, answer: str, reason: str = "") -> None:
        at = self._clock()
        await self._ledger.write(
            item.notification,
            stage,
            digest=item.digest,
            attempt=item.attempt,
            at=at,
            answer=answer,
            reason=reason,
        )
        self.facts.wrote(stage, since_decided=at - item.notification.decided_at)

    async def _let_go(self, partitions: set[int]) -> None:
        """Another process gets these partitions: finish what is under way, forget the rest."""
        self._letting_go = True
        try:
            await self._finish_tasks()
            self._cases.let_go(partitions)
        finally:
            self._letting_go = False

    async def _finish_tasks(self) -> None:
        under_way = {*self._tasks, *({self._telling} if self._telling else set())}
        if under_way:
            await asyncio.wait(under_way, timeout=_FINISH_WITHIN_S)

    async def _end(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._finish_tasks()
