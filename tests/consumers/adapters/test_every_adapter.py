"""Whatever the transport: nothing takes effect that may not go any more, and what was left half way leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from a_parcel import ALERT, WITHDRAWAL, handed
from aiohttp import web

from safebus.consumers.adapters.adapter import HELD_BACK, Adapter, Reply, hand_over
from safebus.consumers.adapters.folder import FolderAdapter
from safebus.consumers.adapters.postgres import CREATE_TABLE, PostgresAdapter, PostgresSettings
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings
from safebus.deploy.local.partner_postgres import open_postgres
from safebus.schemas.errors import NotReachable

SECRET = "whsec_" + "bmV3" * 8
DEADLINE_S = 60.0


@dataclass
class Place:
    """An adapter, and what a partner finds at its destination."""

    adapter: Adapter
    seen: Callable[[], Awaitable[list[str]]]


@asynccontextmanager
async def folder(tmp_path: Path) -> AsyncIterator[Place]:
    async def seen() -> list[str]:
        return sorted(path.stem for path in tmp_path.glob("*.json"))  # `.*.part` is not for the partner

    yield Place(FolderAdapter(tmp_path), seen)


@asynccontextmanager
async def postgres(tmp_path: Path) -> AsyncIterator[Place]:
    with open_postgres(tmp_path) as dsn:
        partner = await asyncpg.connect(dsn, timeout=10)
        await partner.execute(CREATE_TABLE)

        async def seen() -> list[str]:
            return [str(row[0]) for row in await partner.fetch("SELECT notification_id FROM safebus_inbound")]

        yield Place(PostgresAdapter(PostgresSettings(dsn)), seen)
        await partner.close()


@asynccontextmanager
async def webhook(_: Path) -> AsyncIterator[Place]:
    """Seen is whatever came over the line, not only what is a whole request."""
    said = bytearray()
    taken: list[str] = []

    async def take(request: web.Request) -> web.Response:
        said.extend(str(request.headers).encode())
        taken.append((await request.json())["data"]["notification_id"])
        return web.Response(status=202)

    server = web.Server(take)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = WebhookSettings(f"http://127.0.0.1:{runner.addresses[0][1]}/", (SECRET,), allow_private=True)

    async def seen() -> list[str]:
        assert bool(said) == bool(taken)  # not even the headers, which hold an id and a signature
        return taken

    adapter = WebhookAdapter(settings, clock=lambda: datetime.now(UTC))
    yield Place(adapter, seen)
    await runner.cleanup()


@pytest.fixture(params=[folder, postgres, webhook], ids=["folder", "postgres", "webhook"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with request.param(tmp_path) as found:
        await found.adapter.open()
        yield found
        await found.adapter.close()


async def test_what_may_not_go_is_held_back_and_leaves_nothing(place: Place) -> None:
    asked = 0

    async def may_go() -> bool:
        nonlocal asked
        asked += 1
        assert await place.seen() == []  # it is ready, and the partner sees nothing of it
        return False

    assert await hand_over(place.adapter, ALERT, may_go=may_go) == HELD_BACK
    assert await place.seen() == []
    assert asked == 1
    assert (await handed(place.adapter, ALERT)).reply is Reply.ACCEPTED
    assert await place.seen() == [ALERT.notification_id]


async def test_an_answer_that_takes_long_does_not_let_it_go_early(place: Place) -> None:
    """The register is asked while the adapter is ready; the partner learns nothing until it has answered."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def may_go() -> bool:
        asked.set()
        await answer.wait()
        return True

    handing = asyncio.create_task(hand_over(place.adapter, ALERT, may_go=may_go))
    await asyncio.wait_for(asked.wait(), DEADLINE_S)
    before = list(await place.seen())
    answer.set()

    assert (await handing).reply is Reply.ACCEPTED
    assert (before, await place.seen()) == ([], [ALERT.notification_id])


async def test_whoever_cannot_be_asked_stops_it_and_the_next_goes_on(place: Place) -> None:
    async def may_go() -> bool:
        raise NotReachable("the register cannot be read")

    with pytest.raises(NotReachable):
        await hand_over(place.adapter, ALERT, may_go=may_go)

    assert await place.seen() == []
    assert (await handed(place.adapter, ALERT)).reply is Reply.ACCEPTED


async def test_one_that_is_stopped_while_it_asks_leaves_nothing(place: Place) -> None:
    asked = asyncio.Event()

    async def may_go() -> bool:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    handing = asyncio.create_task(hand_over(place.adapter, ALERT, may_go=may_go))
    await asyncio.wait_for(asked.wait(), DEADLINE_S)
    handing.cancel()
    await asyncio.wait([handing])

    assert handing.cancelled()
    assert await place.seen() == []
    assert [(await handed(place.adapter, p)).reply for p in (ALERT, WITHDRAWAL)] == [Reply.ACCEPTED] * 2
