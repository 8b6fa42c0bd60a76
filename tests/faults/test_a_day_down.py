"""
A partner is down for a day while very many notifications wait: memory stays flat, others have theirs at once, and when
it is back it gets all of them in order, each asked of the register again.

A day of simulated time; the broker, the register and the couriers are real, the partners' systems are in memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from a_demo_bus import KEY, NOON, demo_bus

from safebus.consumers.adapters.adapter import Effect, Parcel, PartnerAnswer, Reply
from safebus.consumers.delivery.courier import Courier
from safebus.deploy.local.demo import story
from safebus.deploy.service.register_checks import RegisterRecheck
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Origin, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.follow import RegisterReader
from safebus.streams.register.store import Register
from safebus.streams.rules import sharing
from tests.bench.soak import held_mb

pytestmark = pytest.mark.flow

DOWN, WELL = "ash-primary", "fordshire-mash"
CHILDREN = 300
DAY = timedelta(hours=24)
BEFORE = NOON - DAY
DEADLINE_S = 800


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class System:
    """
    A partner's system in memory.

    Attributes:
        back_at: Whatever it takes, the register has to have been asked for since then.
        tried: How often somebody came while it was down.
    """

    asked: dict[str, datetime]
    down: bool = False
    back_at: datetime = NOON
    tried: int = 0
    taken: list[tuple[str, str]] = field(default_factory=list)  # (child, notification)
    unasked: int = 0
    transport: str = "folder"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        if self.down:
            self.tried += 1
            yield PartnerAnswer(Reply.BUSY, "connection_refused")
            return

        async def take() -> PartnerAnswer:
            self.taken.append((parcel.case, parcel.notification_id))
            self.unasked += self.asked.pop(parcel.notification_id, BEFORE) < self.back_at
            return PartnerAnswer(Reply.ACCEPTED, "202")

        yield take


class Asked(RegisterRecheck):
    """These children are nobody of the register; what counts here is when it was asked."""

    def __init__(self, reader: RegisterReader, clock: Clock, asked: dict[str, datetime]) -> None:
        super().__init__(reader)
        self._clock, self._asked_at = clock, asked

    def why_not(self, notification: Notification, now: datetime) -> None:
        self._asked_at[notification.notification_id] = self._clock()


def like(register: Register, partner: str) -> Notification:
    received = codec.decode(codec.encode(story.incident()))
    origin = Origin(topic="in.fordshire-police", partition=0, offset=0)
    outcome = sharing.share(received, register, origin=origin, now=NOON, key=KEY, rules_digest="test")
    assert isinstance(outcome, sharing.Shared)
    return next(o.notification for o in outcome.outputs if o.notification.recipient == partner)


def message(model: Notification, number: int) -> Message:
    token = f"{number % CHILDREN:032x}"
    update = {
        "notification_id": f"6f1c0f9e-0000-4000-8000-{number:012}",
        "subject_token": token,
        "decided_at": NOON + timedelta(milliseconds=number % 1000),
    }
    value = codec.encode_record(model.model_copy(update=update))
    return Message(topics.notifications_for(model.recipient), token.encode(), value)


@dataclass
class Seen:
    """Megabytes of Python objects by simulated hour; seconds of real time."""

    objects_mb: list[float] = field(default_factory=list)
    process_mb: list[float] = field(default_factory=list)
    longest_for_others_s: float = 0.0
    drained_s: float = 0.0


async def until(what: str, done: Callable[[], bool], each: Callable[[], None] = lambda: None) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                each()
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"after {DEADLINE_S} s still waiting for: {what}") from None


@asynccontextmanager
async def delivering(connection: Connection, systems: dict[str, System], clock: Clock) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        reader = RegisterReader(connection, key=KEY.digests)
        await reader.start()
        stack.push_async_callback(reader.stop)
        stop = asyncio.Event()
        running = [
            asyncio.ensure_future(
                Courier(
                    connection,
                    partner=partner,
                    adapter=system,
                    recheck=Asked(reader, clock, system.asked),
                    key=KEY.digests,
                    clock=clock,
                    jitter=lambda: 0.0,
                ).run(stop)
            )
            for partner, system in systems.items()
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*running)


async def a_day(tmp_path: Path, waiting: int, broker: str) -> tuple[Seen, System, System, Counter[Stage]]:
    clock, seen = Clock(), Seen()
    down, well = System({}, down=True), System({})
    async with AsyncExitStack() as stack:
        connection, register = await stack.enter_async_context(demo_bus(tmp_path, broker=broker))
        outbound = Writer(connection, client_id="test")
        await outbound.start()
        stack.push_async_callback(outbound.stop)
        model, others = like(register, DOWN), like(register, WELL)
        for first in range(0, waiting, 1000):
            await outbound.send_all(message(model, n) for n in range(first, min(first + 1000, waiting)))
        await stack.enter_async_context(delivering(connection, {DOWN: down, WELL: well}, clock))
        await until("its first attempts", lambda: down.tried >= 10)
        tracemalloc.start()
        for hour in range(24):
            began = time.monotonic()
            await outbound.send_all([message(others, hour)])
            await until("the other partner to have its own", lambda h=hour: len(well.taken) == h + 1)
            seen.longest_for_others_s = max(seen.longest_for_others_s, time.monotonic() - began)
            before = down.tried
            while clock.now < NOON + (hour + 1) * DAY / 24:
                clock.now += timedelta(minutes=1)
                await asyncio.sleep(0.01)
            await until("it to be asked again in this hour", lambda b=before: down.tried > b)
            gc.collect()
            seen.objects_mb.append(tracemalloc.get_traced_memory()[0] / 1e6)
            seen.process_mb.append(held_mb(os.getpid()))
        tracemalloc.stop()
        down.down, down.back_at, began = False, clock.now, time.monotonic()

        def later() -> None:
            clock.now += timedelta(seconds=1)

        await until("all that waited to be taken", lambda: len(down.taken) >= waiting, later)
        seen.drained_s = time.monotonic() - began
        seen.process_mb.append(held_mb(os.getpid()))
        read = read_topic(connection, topics.receipts_from(DOWN))
        receipts = Counter([codec.decode_record(m.value, Receipt).stage async for m in read])
    return seen, down, well, receipts


def in_order(system: System) -> bool:
    """Each child's in the order in which they were decided."""
    by_child: dict[str, list[str]] = defaultdict(list)
    for child, notification_id in system.taken:
        by_child[child].append(notification_id)
    return all(found == sorted(found) for found in by_child.values())


async def test_a_day_later_all_of_it_is_delivered_in_order_and_nobody_else_has_waited(tmp_path: Path) -> None:
    """More than a courier takes in at once."""
    count = 1_200
    seen, down, well, receipts = await a_day(tmp_path, count, "embedded")

    assert (len(down.taken), len({i for _, i in down.taken}), in_order(down), down.unasked) == (count, count, True, 0)
    assert (len(well.taken), well.unasked) == (24, 0)
    assert (receipts[Stage.HANDED_OVER], receipts[Stage.PARKED]) == (count, 0)
    assert max(seen.objects_mb) - seen.objects_mb[1] < 1.0


@pytest.mark.soak
async def test_a_hundred_thousand_that_wait_take_no_more_memory(tmp_path: Path) -> None:
    count = 100_000
    seen, down, well, receipts = await a_day(tmp_path, count, "kafka")
    print(f"a day down with {count} waiting: {seen}, asked {down.tried} times, receipts {dict(receipts)}")

    assert (len(down.taken), len({i for _, i in down.taken}), in_order(down), down.unasked) == (count, count, True, 0)
    assert (len(well.taken), well.unasked) == (24, 0)
    assert (receipts[Stage.HANDED_OVER], receipts[Stage.PARKED]) == (count, 0)
    assert max(seen.objects_mb) - seen.objects_mb[1] < 1.0
