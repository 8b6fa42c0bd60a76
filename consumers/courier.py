"""
How does a notification get from `out.<partner>` into the partner's own system?

In order per case; a case that waits does not hold up the others. Before every attempt the register is asked again:
hours may lie between the decision and a partner that answers. On trouble it waits, holds or parks with a reason; it
never skips. What is done is written down before the offset is committed, so a crash in between repeats a delivery
under the same id, and the partner's system sees it once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from consumers import delivery
from consumers.adapters.port import Adapter, Answer
from consumers.ledger import Ended, Ledger
from consumers.parcels import notice_of, parcel_of
from consumers.recheck import Recheck
from consumers.source import Source, Waiting
from schemas import codec, headers, topics
from schemas.broker_link import Connection, Message, Outbound
from schemas.bus_records import Notification, Stage
from schemas.identifiers import PersonKey

log = structlog.get_logger()

_AT_ONCE = 8  # cases of one partner under way at the same time
_NOTICES_EVERY = timedelta(seconds=2)
_WINDOW = 500  # notifications taken in and not dealt with


@dataclass
class _Case:
    """The notifications of one case that wait, oldest first."""

    queue: deque[_Item] = field(default_factory=deque)
    busy: bool = False


@dataclass
class _Item:
    waiting: Waiting
    notification: Notification
    digest: str
    attempt: int = 0
    first_sent: datetime | None = None
    not_before: datetime | None = None

    def due(self, now: datetime) -> bool:
        return self.not_before is None or self.not_before <= now


class Courier:
    """
    One partner's deliveries.

    Args:
        jitter: A number in [-1, 1] each time it is called; chance is an argument.
        key: Only to digest bytes as the decision record does.
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
    ) -> None:
        self.partner = partner
        self._adapter, self._recheck, self._key = adapter, recheck, key
        self._clock, self._jitter = clock, jitter
        self._outbound = Outbound(connection, client_id=f"adapter-{partner}")
        self._ledger = Ledger(connection, self._outbound, partner=partner, transport=adapter.transport)
        self._source = Source(connection, partner=partner, revoked=self._let_go, assigned=self._ledger.load)
        self._cases: dict[str, _Case] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_until: datetime | None = None
        self._notices_not_before: datetime | None = None

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
            log.info("courier.started", partner=self.partner, transport=self._adapter.transport)
            stack.push_async_callback(self._finish_tasks)
            while not stop.is_set():
                await self._round()

    async def _round(self) -> None:
        if self._open() < _WINDOW:
            for waiting in await self._source.fetch(0.2):
                await self._take_in(waiting)
        else:
            await asyncio.sleep(0.05)
        for task in [t for t in self._tasks if t.done()]:
            self._tasks.discard(task)
            task.result()  # a bug or a broker that is gone: stop before anything else starts, and leave the offsets
        self._start_what_is_due()
        await self._tell_of_ended_consents()
        await self._source.commit()

    def _open(self) -> int:
        return sum(len(case.queue) for case in self._cases.values())

    async def _take_in(self, waiting: Waiting) -> None:
        notification = codec.decode_record(waiting.value, Notification)
        item = _Item(waiting, notification, self._key.digest(waiting.value))
        ended = self._ledger.ended(notification.notification_id)
        if ended is not None:
            await self._repeat(item, same=ended.digest == item.digest)
            return
        item.first_sent, item.attempt = self._ledger.waited(notification.notification_id)
        self._cases.setdefault(notification.subject_token, _Case()).queue.append(item)

    async def _repeat(self, item: _Item, *, same: bool) -> None:
        """Handed over, parked or stopped before; the same bytes need nothing more, others need a person."""
        if not same:
            await self._park(item, "same_id_other_content", "not_sent")
        self._source.dealt_with(item.waiting)

    def _start_what_is_due(self) -> None:
        now = self._clock()
        if self._held_until is not None and now < self._held_until:
            return
        for token in [t for t, case in self._cases.items() if not case.queue and not case.busy]:
            del self._cases[token]
        due = [c for c in self._cases.values() if not c.busy and c.queue and c.queue[0].due(now)]
        due.sort(key=lambda case: case.queue[0].notification.decided_at)
        # While a destination is held, one message is the probe: the oldest of any case.
        room = 1 if self._held_until is not None else _AT_ONCE
        for case in due[: max(0, room - len(self._tasks))]:
            case.busy = True
            self._tasks.add(asyncio.create_task(self._attempt(case)))

    async def _attempt(self, case: _Case) -> None:
        item = case.queue[0]
        try:
            ended = self._ledger.ended(item.notification.notification_id)
            if ended is not None:  # meanwhile, under the same id
                await self._repeat(item, same=ended.digest == item.digest)
                case.queue.popleft()
                return
            await self._recheck.refresh()
            now = self._clock()
            refusal = self._recheck.why_not(item.notification, now)
            if refusal is not None:
                await self._stop_delivery(item, refusal.code, refusal.rule)
                self._done_with(case)
                return
            view = self._recheck.view(item.notification)
            if view is None:
                await self._park(item, "view_not_readable", "not_sent")
                self._done_with(case)
                return
            item.attempt += 1
            item.first_sent = item.first_sent or now
            answer = await self._adapter.deliver(parcel_of(item.notification, view, item.digest))
            await self._follow(case, item, answer)
        finally:
            case.busy = False

    async def _follow(self, case: _Case, item: _Item, answer: Answer) -> None:
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
                self._done_with(case)
            case delivery.Park(reason=reason):
                await self._park(item, reason, answer.code)
                self._done_with(case)
            case delivery.TryAgain(at=at, reason=reason):
                self._held_until = None
                item.not_before = at
                await self._write(item, Stage.WAITING, answer.code, reason)
            case delivery.Hold(at=at, reason=reason):
                first = self._held_until is None
                self._held_until = at
                # The time a destination is held is not the message's: its own 72 hours begin when it is let in again.
                item.first_sent, item.attempt, item.not_before = None, 0, at
                if first:
                    await self._write(item, Stage.HELD, answer.code, reason)
                    log.error(
                        "destination.held",
                        partner=self.partner,
                        reason=reason,
                        answer=answer.code,
                        waiting=self._open(),
                    )

    def _done_with(self, case: _Case) -> None:
        self._source.dealt_with(case.queue.popleft().waiting)

    async def _stop_delivery(self, item: _Item, code: str, rule: str) -> None:
        await self._write(item, Stage.STOPPED, "not_sent", f"{code} ({rule})")
        log.info(
            "delivery.stopped", partner=self.partner, notification_id=item.notification.notification_id, reason=code
        )

    async def _park(self, item: _Item, reason: str, answer: str) -> None:
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

    async def _write(self, item: _Item, stage: Stage, answer: str, reason: str = "") -> None:
        await self._ledger.write(
            item.notification,
            stage,
            digest=item.digest,
            attempt=item.attempt,
            at=self._clock(),
            answer=answer,
            reason=reason,
        )

    async def _tell_of_ended_consents(self) -> None:
        """
        Tell the partner when the consent that something stood on was withdrawn (rule R12).

        The notice names only the notification the partner already holds, so it discloses nothing new.
        """
        now = self._clock()
        held = self._held_until is not None
        if held or not self._ledger.on_consent() or (self._notices_not_before and now < self._notices_not_before):
            return
        await self._ledger.load()
        await self._recheck.refresh()
        self._notices_not_before = now + _NOTICES_EVERY
        for notification_id, ended in list(self._ledger.on_consent().items()):
            how = self._recheck.consent_ended(
                person=ended.subject_token,
                meaning=ended.consent_meaning or "",
                purpose=ended.purpose,
                partner=self.partner,
                now=now,
            )
            # One that does not answer must not keep alerts waiting while all the others are asked too.
            if how is not None and not await self._tell(notification_id, ended, how, now):
                return

    async def _tell(self, notification_id: str, ended: Ended, how: str, now: datetime) -> bool:
        """Send one notice; False: it waits."""
        answer = await self._adapter.deliver(notice_of(notification_id, ended, how))
        step = delivery.next_step(
            answer.reply,
            attempt=1,
            first_sent=now,
            now=now,
            retry_after_s=answer.retry_after_s,
            jitter=self._jitter(),
        )
        match step:
            case delivery.Done():
                told = f"consent_{how}"
                await self._ledger.write_notice(notification_id, ended, at=now, answer=answer.code, reason=told)
            case delivery.Park(reason=reason):
                # Asking again cannot help, and the others must be told: a person has to tell this partner.
                await self._ledger.write_notice(notification_id, ended, at=now, answer=answer.code, reason=reason)
                log.error("notice.refused", partner=self.partner, notification_id=notification_id, answer=answer.code)
            case delivery.TryAgain(at=at) | delivery.Hold(at=at):
                self._notices_not_before = at
                log.warning("notice.waits", partner=self.partner, notification_id=notification_id, answer=answer.code)
                return False
        return True

    async def _let_go(self, partitions: set[int]) -> None:
        """Another process gets these partitions: finish what is under way, forget the rest."""
        await self._finish_tasks()
        for case in self._cases.values():
            case.queue = deque(i for i in case.queue if i.waiting.partition not in partitions)

    async def _finish_tasks(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=30)
