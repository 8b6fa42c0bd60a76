"""
How does a notification get from `out.<partner>` into the partner's own system?

The loop: what came is taken in, what is due is tried (`consumers.delivery.attempt`), what has ended is committed.
In order per case; a case that waits does not hold up the others, and nothing is skipped. What is done is written down
before the offset is committed, so a crash in between repeats a delivery under the same id, and the partner's system
sees it once. A process that was halted and wakes up makes no attempt before the broker has said that it still has its
partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from safebus.consumers.adapters.adapter import Adapter
from safebus.consumers.delivery.attempt import ON_RECORD_AFTER_S, Attempts
from safebus.consumers.delivery.cases import Case, Cases, Item
from safebus.consumers.delivery.circuit import Circuit, Head
from safebus.consumers.delivery.decided_twice import says_the_same
from safebus.consumers.delivery.ledger import Ledger, Receipts
from safebus.consumers.delivery.measures import CourierFacts, OpenState, PartnerTopic, Pile
from safebus.consumers.delivery.notices import Notices
from safebus.consumers.delivery.recheck import Recheck, Word
from safebus.consumers.delivery.source import Source, Waiting
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas.bus_records import DestinationStanding, Notification
from safebus.schemas.errors import BadRegister, NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Writer
from safebus.schemas.keys import DigestKey
from safebus.schemas.own_records import NOT_THIS_TOPICS, Strange, own_record

log = structlog.get_logger()

T = TypeVar("T")

_COMMIT_EVERY = timedelta(seconds=0.5)
_BEGINS_WITHIN_S = 2.0  # from the start of an attempt to its first byte: the register, and at times a receipt
_FINISH_WITHIN_S = 30.0  # less than the group waits for us (`Source`)
_BREAKS_OFF_WITHIN_S = 5.0  # at the end; a receipt has to be written
#: How often the register is asked for a word of an operator, while nothing is tried that asks it anyway.
_LISTEN_EVERY = timedelta(seconds=2)
_WINDOW = 500  # notifications taken in and not dealt with


class Courier:
    """
    One partner's deliveries.

    Args:
        jitter: A number in [-1, 1] each time it is called; chance is an argument.
        receipts: What all couriers of this process share; None: each reads them for itself.
        key: To digest bytes as the decision record does, and to know one child by all tokens it ever had.
        on_record_after_s: See `Attempts`.
        written_by, place: As each receipt says them.

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
        key: DigestKey,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        receipts: Receipts | None = None,
        on_record_after_s: float = ON_RECORD_AFTER_S,
        written_by: str = "",
        place: str | None = None,
    ) -> None:
        self.partner, self.transport = partner, adapter.transport
        self.facts = CourierFacts()
        self._adapter, self._recheck, self._key, self._clock = adapter, recheck, key, clock
        self._connection = connection
        self._outbound = Writer(connection, client_id=f"adapter-{partner}", linger_ms=0)
        self._ledger = Ledger(
            connection,
            self._outbound,
            partner=partner,
            transport=adapter.transport,
            receipts=receipts,
            on_strange=partial(self._strange, PartnerTopic.RECEIPTS),
            written_by=written_by,
            place=place,
        )
        self._source = Source(connection, partner=partner, revoked=self._let_go, assigned=self._ledger.load)
        self._cases = Cases()
        self._tasks: set[asyncio.Task[None]] = set()
        self._circuit = Circuit()
        self._attempts = Attempts(
            partner=partner,
            adapter=adapter,
            recheck=recheck,
            ledger=self._ledger,
            outbound=self._outbound,
            circuit=self._circuit,
            facts=self.facts,
            clock=clock,
            jitter=jitter,
            on_record_after_s=on_record_after_s,
        )
        self._notices = Notices(
            partner=partner,
            adapter=adapter,
            ledger=self._ledger,
            recheck=recheck,
            key=key,
            facts=self.facts,
            clock=clock,
            jitter=jitter,
        )
        self._recheck = recheck
        self._older: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[int] | None = None
        self._listened_at: datetime | None = None
        self._heeded: Word | None = None
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
            self._go_on_from_before()
            stack.push_async_callback(self._end)
            self._older = self._start(self._ledger.load_older_consents())
            while not stop.is_set():
                await self._round()

    def _go_on_from_before(self) -> None:
        """As the process before this one left the destination."""
        left = self._ledger.destination
        if left is not None:
            self._circuit.go_on_from(left.state, self._clock(), taken_at=self._ledger.taken_at)
        log.info(
            "courier.started",
            partner=self.partner,
            transport=self.transport,
            destination=self._circuit.state.lower(),
            left_alone_until=None if self._circuit.slowed_until is None else self._circuit.slowed_until.isoformat(),
        )

    @property
    def held(self) -> bool:
        """The destination lets nothing in, and a person must look at it."""
        return self._circuit.state is DestinationStanding.HELD

    @property
    def silent(self) -> bool:
        """The destination takes nothing, and is asked with one message at a time."""
        return self._circuit.state is DestinationStanding.SILENT

    @property
    def paused(self) -> bool:
        """An operator wants nothing handed over now."""
        word = self._recheck.word(self.partner, self._clock())
        return word is not None and word.paused

    def mended(self) -> None:
        """Something of the destination is otherwise than it was: what waits is due."""
        self._circuit.mended(self._clock())
        self._something_ended.set()

    def _listen(self) -> None:
        """Has an operator said something? Whatever it is, what waits is tried now, unless it is to pause."""
        now = self._clock()
        if self._listening is not None and self._listening.done():
            # A register that cannot be read is health's to tell; whoever delivers asks it again, and ends then.
            if not isinstance(error := self._listening.exception(), NotReachable | BadRegister) and error is not None:
                raise error
            self._listening = None
        if self._listening is None and (self._listened_at is None or abs(now - self._listened_at) >= _LISTEN_EVERY):
            self._listened_at = now
            self._listening = self._start(self._recheck.refresh())
        word = self._recheck.word(self.partner, now)
        if word is None or word == self._heeded:
            return
        before_us = self._heeded is None
        if not before_us or word.paused:
            log.info("deliveries.paused" if word.paused else "deliveries.resumed", partner=self.partner)
        self._heeded = word
        left = self._ledger.destination
        if not word.paused and not (before_us and left is not None and word.said_at <= left.at):
            self._circuit.try_now(now)

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
        if self._older is not None and self._older.done():
            self._older.result()
        for task in [t for t in self._tasks if t.done()]:
            self._tasks.discard(task)
            task.result()  # a bug or a broker that is gone: stop before anything else starts, and leave the offsets
        self._listen()
        if not self._letting_go and not self.paused:
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
        now = self._clock()
        asked_little = self._circuit.next_at is not None and now < self._circuit.next_at
        if self._telling is None and not self.held and not asked_little and self._notices.due(now):
            self._telling = self._start(self._notices.round())

    async def _commit(self) -> None:
        now = self._clock()
        if self._committed_at is None or abs(now - self._committed_at) >= _COMMIT_EVERY:  # clocks are set back, too
            self._committed_at = now
            await self._source.commit()

    async def _take_in(self, waiting: Waiting) -> None:
        notification = own_record(waiting, Notification, belongs=lambda n: n.recipient == self.partner)
        if isinstance(notification, Notification) and not self._key.reads(notification.subject_token):
            # It raises where a secret is in use that this process lacks, and nothing is skipped. Where it does not, no
            # secret of the bus wrote this.
            await self._recheck.refresh()
            notification = Strange(waiting.topic, waiting.partition, waiting.offset, NOT_THIS_TOPICS)
        if isinstance(notification, Strange):
            self._strange(PartnerTopic.NOTIFICATIONS, notification)
            self._source.dealt_with(waiting)
            return
        item = Item.of(notification, waiting.value, self._key, waiting=waiting)
        item.go_on_from(self._ledger.tried(notification.notification_id))
        if await self._came_again(item):
            self._source.dealt_with(waiting)
        else:
            self._cases.add(item)

    async def _came_again(self, item: Item) -> bool:
        return await self._attempts.come_again(item, same=partial(says_the_same, self._connection, self._key, item))

    def _strange(self, on: PartnerTopic, found: Strange) -> None:
        """Nobody of the bus wrote it: it is said, and the others go on."""
        self.facts.strange(on)
        log.error(
            "record.strange",
            partner=self.partner,
            topic=found.topic,
            partition=found.partition,
            offset=found.offset,
            reason=found.reason,
        )

    async def _start_what_is_due(self) -> None:
        chosen = self._chosen()
        if not chosen or not await self._surely_ours():
            return
        for case in chosen:
            case.busy = True
            self._tasks.add(self._start(self._try_first(case)))

    def _chosen(self) -> list[Case]:
        """The cases of which the first is tried now; what is taken back ends whatever the destination says."""
        now, free = self._clock(), self._cases.free()
        heads = {case.queue[0].notification.notification_id: case for case in free}
        chosen = self._circuit.choose(self._heads(free, now), now=now, under_way=len(self._tasks))
        self._tell_news()
        if (unsaid := self._circuit.unsaid) is not None:
            self._circuit.unsaid = None
            heads[unsaid].busy = True
            self._tasks.add(self._start(self._say_held(heads[unsaid])))
        return [heads[key] for key in chosen if not heads[key].busy]

    async def _say_held(self, case: Case) -> None:
        """That its destination is held; no attempt of its own said so."""
        try:
            await self._attempts.say_held(case.queue[0])
        finally:
            case.busy = False

    def _heads(self, cases: Iterable[Case], now: datetime) -> list[Head]:
        opened_at = self._circuit.opened_at
        firsts = (case.queue[0] for case in cases)
        return [Head(first.notification.notification_id, first.due(now, opened_at)) for first in firsts]

    def _others(self, item: Item) -> bool:
        under_way = sum(not task.done() for task in self._tasks) > 1  # this one is among them
        heads = self._heads(self._cases.free(), self._clock())
        return under_way or self._circuit.others(item.notification.notification_id, heads)

    def _tell_news(self) -> None:
        while self._circuit.news:
            event, facts = self._circuit.news.pop(0)
            say = log.info if event == "destination.recovered" else log.error
            say(event, partner=self.partner, waiting=len(self._cases), **facts)

    async def _surely_ours(self) -> bool:
        """For long enough to begin with something. While the broker is asked a rebalance may begin, too."""
        if not self._source.surely_ours(for_another_s=_BEGINS_WITHIN_S) and not await self._source.confirm():
            return False
        return not self._letting_go

    async def _try_first(self, case: Case) -> None:
        """Try the first of a case; it leaves its queue when it has ended, and only then may its offset be committed."""
        item = case.queue[0]
        try:
            if await self._came_again(item):  # it ended meanwhile, under the same id
                self._done_with(case, item)
                return
            step = await self._attempts.make(
                item, still_ours=partial(self._still_ours, item), others=partial(self._others, item)
            )
            if step is None:
                return
            item.not_before = step.again_at
            if step.stage in ENDED:
                self._done_with(case, item)
        finally:
            case.busy = False

    async def _still_ours(self, item: Item) -> bool:
        """Right before it takes effect: the register may have taken longer to answer than a session lasts."""
        if not self._source.surely_ours():
            await self._source.confirm()
        return self._source.surely_ours() and self._source.is_open(item.waiting)

    def _done_with(self, case: Case, item: Item) -> None:
        self._source.dealt_with(item.waiting)
        if case.queue and case.queue[0] is item:  # else its partition was let go meanwhile
            case.queue.popleft()

    async def _let_go(self, partitions: set[int]) -> None:
        """Another process gets these partitions: finish what is under way, forget the rest."""
        self._letting_go = True
        try:
            await self._finish_tasks()
            await self._write_what_is_known()
            self._cases.let_go(partitions)
        finally:
            self._letting_go = False

    async def _finish_tasks(self) -> None:
        under_way = {*self._tasks, *({self._telling} if self._telling else set())}
        if under_way:
            await asyncio.wait(under_way, timeout=_FINISH_WITHIN_S)

    async def _end(self) -> None:
        for task in (self._fetching, self._listening, self._older):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._finish_tasks()
        left = {task for task in self._tasks if not task.done()}
        for task in left:
            task.cancel()  # it writes down that the partner may have it
        if left:
            await asyncio.wait(left, timeout=_BREAKS_OFF_WITHIN_S)
        await self._write_what_is_known()

    async def _write_what_is_known(self) -> None:
        """Whoever goes on after us knows how often each was tried."""
        with contextlib.suppress(NotReachable):  # that each was tried is on record; how often is all that is lost
            for item in self._cases.at_rest():
                await self._attempts.write_what_is_known(item)
