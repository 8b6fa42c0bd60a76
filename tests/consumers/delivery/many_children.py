"""
A partner that hears of many children at once, on a real broker; its system may be a web server that a test looks into.

Only the clock is the test's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from a_demo_bus import KEY, NOON
from aiohttp import web

from safebus.consumers.adapters.adapter import Adapter
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings
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

PARTNER = "ash-primary"
MANY = 60
DEADLINE_S = 120


def ids(count: int = MANY) -> list[str]:
    return [f"6f1c0f9e-0000-4000-8000-{n:012}" for n in range(count)]


POISON = ids()[0]


@dataclass
class System:
    """A partner's system: what it dislikes, and what it has."""

    adapter: Adapter
    dislike: Callable[[str], Awaitable[None]]  # "one": the poison; "all"; "none"
    has: Callable[[], Awaitable[list[str]]]


@dataclass
class Server:
    """
    A partner's web server.

    Attributes:
        asked: Each id whose whole body it read, as often as it did.
        waits: Until this is set it answers nothing.
        asks_for: Seconds for which it wants to be left alone; None: it takes what comes.
    """

    disliked: str = "none"  # as `System.dislike` says it; "bad": those in `bad`
    status: int = 403
    bad: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None
    asks_for: int | None = None

    async def take(self, request: web.Request) -> web.Response:
        notification_id = request.headers["webhook-id"]
        await request.read()
        self.asked.append(notification_id)
        if self.waits is not None:
            await self.waits.wait()
        if self.asks_for is not None:
            return web.Response(status=429, headers={"Retry-After": str(self.asks_for)})
        if self.disliked == "bad" and notification_id in self.bad:
            return web.Response(status=self.status)
        if self.disliked == "all" or (self.disliked == "one" and notification_id == POISON):
            return web.Response(status=self.status)
        self.taken.append(notification_id)
        return web.Response(status=202)


@asynccontextmanager
async def webhook(server: Server) -> AsyncIterator[System]:
    """The server, and an adapter that posts to it."""
    runner = web.ServerRunner(web.Server(server.take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = WebhookSettings(
        f"http://127.0.0.1:{runner.addresses[0][1]}/", ("whsec_" + "bmV3" * 8,), allow_private=True
    )

    async def dislike(what: str) -> None:
        server.disliked = what

    async def has() -> list[str]:
        return server.taken

    try:
        yield System(WebhookAdapter(settings, clock=lambda: datetime.now(UTC)), dislike, has)
    finally:
        await runner.cleanup()


@dataclass
class Bus:
    connection: Connection
    register: Register
    now: datetime = NOON

    async def send(self, many: list[str]) -> None:
        """Notifications about as many children."""
        received = codec.decode(codec.encode(story.incident()))
        origin = Origin(topic="in.fordshire-police", partition=0, offset=0)
        outcome = sharing.share(received, self.register, origin=origin, now=NOON, key=KEY, rules_digest="test")
        assert isinstance(outcome, sharing.Shared)
        [like] = [o.notification for o in outcome.outputs if o.notification.recipient == PARTNER]
        outbound = Writer(self.connection, client_id="test")
        await outbound.start()
        await outbound.send_all(_message(like, each, n) for n, each in enumerate(many))
        await outbound.stop()

    async def receipts(self) -> list[Receipt]:
        read = read_topic(self.connection, topics.receipts_from(PARTNER))
        return [codec.decode_record(m.value, Receipt) async for m in read]

    async def until(self, done: Callable[[set[tuple[str, Stage]]], bool], *, step: timedelta) -> list[Receipt]:
        """Time goes on in these steps until the receipts say so."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await self.receipts()
                if done({(r.notification_id, r.stage) for r in found}):
                    return found
                self.now += step
                await asyncio.sleep(0.05)


def _message(like: Notification, notification_id: str, number: int) -> Message:
    token = f"{number:032x}"
    decided_at = NOON + timedelta(milliseconds=number)
    update = {"notification_id": notification_id, "subject_token": token, "decided_at": decided_at}
    value = codec.encode_record(like.model_copy(update=update))
    return Message(topics.notifications_for(PARTNER), token.encode(), value)


class Permitted(RegisterRecheck):
    """These children are nobody of the register; whether they may go is not what is tried here."""

    def why_not(self, notification: Notification, now: datetime) -> None:
        return None


@asynccontextmanager
async def delivering(bus: Bus, system: System, *, on_record_after_s: float = 3_600.0) -> AsyncIterator[Courier]:
    """A courier; that this machine stands still for a while puts nothing on record, unless it is asked to."""
    reader = RegisterReader(bus.connection, key=KEY)
    await reader.start()
    courier = Courier(
        bus.connection,
        partner=PARTNER,
        adapter=system.adapter,
        recheck=Permitted(reader),
        key=KEY.digests,
        clock=lambda: bus.now,
        jitter=lambda: 0.0,
        on_record_after_s=on_record_after_s,
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(courier.run(stop))
    try:
        yield courier
    finally:
        stop.set()
        await running
        await reader.stop()


def handed(found: set[tuple[str, Stage]]) -> set[str]:
    return {key for key, stage in found if stage is Stage.HANDED_OVER}
