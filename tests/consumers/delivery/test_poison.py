"""
One message that a partner's system dislikes, and one that dislikes all of them: told apart by what others are answered.

A real broker, real servers behind real adapters; only the clock is the test's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from a_demo_bus import KEY, NOON, demo_bus
from aiohttp import web

from safebus.consumers.adapters.adapter import Adapter
from safebus.consumers.adapters.postgres import CREATE_TABLE, PostgresAdapter, PostgresSettings
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings
from safebus.consumers.delivery.courier import Courier
from safebus.deploy.local.demo import story
from safebus.deploy.local.partner_postgres import open_postgres
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
    disliked: str = "none"
    status: int = 403
    taken: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        notification_id = request.headers["webhook-id"]
        if self.disliked == "all" or (self.disliked == "one" and notification_id == POISON):
            return web.Response(status=self.status)
        self.taken.append(notification_id)
        return web.Response(status=202)


@asynccontextmanager
async def webhook(tmp_path: Path, status: int) -> AsyncIterator[System]:
    server = Server(status=status)
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

    yield System(WebhookAdapter(settings, clock=lambda: datetime.now(UTC)), dislike, has)
    await runner.cleanup()


@asynccontextmanager
async def postgres(tmp_path: Path, state: str) -> AsyncIterator[System]:
    with open_postgres(tmp_path / "postgres") as dsn:
        partner = await asyncpg.connect(dsn, timeout=10)
        await partner.execute(CREATE_TABLE)

        async def dislike(what: str) -> None:
            which = {"none": "false", "all": "true", "one": f"NEW.notification_id = '{POISON}'"}[what]
            await partner.execute(
                f"CREATE OR REPLACE FUNCTION dislike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {which} THEN"
                f" RAISE 'no' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;"
                "CREATE OR REPLACE TRIGGER dislike BEFORE INSERT ON safebus_inbound"
                " FOR EACH ROW EXECUTE FUNCTION dislike()"
            )

        async def has() -> list[str]:
            return [str(row[0]) for row in await partner.fetch("SELECT notification_id FROM safebus_inbound")]

        yield System(PostgresAdapter(PostgresSettings(dsn)), dislike, has)
        await partner.close()


Kind = Callable[[Path], AbstractAsyncContextManager[System]]
KINDS = [
    *(pytest.param(lambda p, s=s: webhook(p, s), id=f"webhook-{s}") for s in (400, 403, 413, 422)),
    *(pytest.param(lambda p, s=s: postgres(p, s), id=f"postgres-{s}") for s in ("P0001", "42501", "23514")),
]


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


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with demo_bus(tmp_path) as (connection, register):
        yield Bus(connection, register)


class Permitted(RegisterRecheck):
    """These children are nobody of the register; whether they may go is not what is tried here."""

    def why_not(self, notification: Notification, now: datetime) -> None:
        return None


@asynccontextmanager
async def delivering(bus: Bus, system: System) -> AsyncIterator[Courier]:
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


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_is_disliked_is_parked_and_holds_up_nobody(bus: Bus, tmp_path: Path, kind: Kind) -> None:
    """It comes first, so it would be the probe of a held destination for ever."""
    async with kind(tmp_path) as system:
        await system.dislike("one")
        await bus.send(ids())
        async with delivering(bus, system) as courier:
            await bus.until(lambda r: len(handed(r)) == MANY - 1, step=timedelta(milliseconds=20))
            on_time = bus.now
            receipts = await bus.until(lambda r: (POISON, Stage.PARKED) in r, step=timedelta(seconds=2))
            held = courier.held

        assert sorted(await system.has()) == ids()[1:]
    assert on_time - NOON < timedelta(minutes=1)
    assert [(r.notification_id, r.reason) for r in receipts if r.stage is Stage.PARKED] == [
        (POISON, "refused_while_others_are_taken")
    ]
    assert not held
    assert Stage.HELD not in {r.stage for r in receipts}


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1], KINDS[4]])
async def test_one_that_dislikes_all_of_them_is_held_and_gets_them_all_when_it_is_mended(
    bus: Bus, tmp_path: Path, kind: Kind
) -> None:
    async with kind(tmp_path) as system:
        await system.dislike("all")
        await bus.send(ids())
        async with delivering(bus, system):
            await bus.until(lambda r: any(stage is Stage.HELD for _, stage in r), step=timedelta(seconds=1))
            mended_at = NOON + timedelta(hours=1)
            await bus.until(lambda _: bus.now >= mended_at, step=timedelta(minutes=1))
            before = list(await system.has())
            await system.dislike("none")
            receipts = await bus.until(lambda r: len(handed(r)) == MANY, step=timedelta(seconds=10))

        assert (before, sorted(await system.has())) == ([], ids())
    assert Stage.PARKED not in {r.stage for r in receipts}
    # A quarter of an hour, and what of this time went by while a busy machine did other things.
    assert bus.now - mended_at < timedelta(minutes=30)
