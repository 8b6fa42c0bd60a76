"""
Which systems do the partners of these tests run, and what has reached them?

Real ones on loopback: an HTTP server with two receivers, a PostgreSQL table, drop folders. The receivers can be told
to hang, to answer 503, to hang up after reading, or to refuse notices of withdrawn consent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from a_world import ASH, BEECH, HAVEN, HEALTH, HUB, PRACTICE
from aiohttp import web
from standardwebhooks import Webhook

from safebus.deploy.local.demo.partners import staging_table
from safebus.deploy.local.partner_postgres import open_postgres

FOLDERS = (ASH, BEECH, PRACTICE)


@dataclass(frozen=True)
class Effect:
    """
    One thing that stands in a partner's system.

    Attributes:
        at: When it came, by the partner's own clock; equal where that clock cannot tell them apart.
        content: Stands for every byte of it.
    """

    partner: str
    notification_id: str
    event_id: str
    at: float
    content: str


@dataclass
class Receiver:
    """
    One partner's web server.

    Attributes:
        arrived: Every request whose signature is right, in order.
        mode: `answer`, `hang`, `busy` (503) or `hang-up`: how notifications are answered.
        takes_s: Seconds until an answer.
        notices: How notices of withdrawn consent are answered: a status, or 0 for no answer at all.
        turned_away, events: How many were answered with 503, and which events came, since it was last well.
        told: Notifications whose end of consent it was told of, each time anew.
    """

    secret: str
    arrived: list[Effect] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    mode: str = "answer"
    takes_s: float = 0.0
    notices: int = 202
    turned_away: int = 0
    events: set[str] = field(default_factory=set)

    def be_well(self) -> None:
        """As at the beginning, but for what has arrived."""
        self.mode, self.takes_s, self.notices, self.turned_away = "answer", 0.0, 202, 0
        self.events.clear()
        self.told.clear()

    async def receive(self, partner: str, request: web.Request) -> web.Response:
        raw = await request.read()
        Webhook(self.secret).verify(raw, dict(request.headers))
        body = json.loads(raw)
        if body["type"] == "consent.withdrawn":
            self.told.append(body["data"]["notification_id"])
            return web.Response(status=self.notices) if self.notices else await self._hang(lambda: self.notices == 0)
        mode = self.mode
        if mode == "hang":
            return await self._hang(lambda: self.mode == "hang")
        if mode == "busy":
            self.turned_away += 1
            return web.Response(status=503)
        found = body["data"]
        effect = Effect(partner, request.headers["webhook-id"], found["event_id"], time.time(), _sha(raw))
        self.arrived.append(effect)
        self.events.add(effect.event_id)
        if mode == "hang-up":
            assert request.transport is not None
            request.transport.abort()
        await asyncio.sleep(self.takes_s)
        return web.Response(status=202)

    @staticmethod
    async def _hang(still: Any) -> web.Response:
        while still():
            await asyncio.sleep(0.05)
        return web.Response(status=503)


@dataclass
class Partners:
    """The partners' systems. `destinations` is the file that tells the bus where they are."""

    folder: Path
    owner_dsn: str
    destinations: Path
    hub: Receiver
    haven: Receiver

    def inbox(self, partner: str) -> Path:
        return self.folder / "inbox" / partner

    def effects(self) -> list[Effect]:
        """Everything in every partner's system. What the hub has seen before has no effect there."""
        hub = list({(e.notification_id, e.content): e for e in reversed(list(self.hub.arrived))}.values())
        files = [e for partner in FOLDERS for e in self._files(partner)]
        return [*reversed(hub), *list(self.haven.arrived), *asyncio.run(self._rows()), *files]

    def _files(self, partner: str) -> Iterator[Effect]:
        for file in self.inbox(partner).glob("*.json"):
            raw = file.read_bytes()
            yield Effect(partner, file.stem, json.loads(raw)["event_id"], file.stat().st_mtime, _sha(raw))

    async def _rows(self) -> list[Effect]:
        connection = await asyncpg.connect(self.owner_dsn)
        try:
            rows = await connection.fetch("SELECT notification_id, event_id, received_at, digest FROM safebus_inbound")
            return [Effect(HEALTH, r[0], r[1], r[2].timestamp(), r[3]) for r in rows]
        finally:
            await connection.close()


@contextmanager
def open_partners(folder: Path) -> Iterator[Partners]:
    """Start the partners' systems: the server in a thread of its own, so that it answers while a test waits."""
    folder.mkdir(parents=True)
    with open_postgres(folder / "postgres") as owner_dsn:
        dsn = asyncio.run(staging_table(owner_dsn))
        hub, haven = Receiver(_secret()), Receiver(_secret())
        with _serving({HUB: hub, HAVEN: haven}) as port:
            partners = Partners(folder, owner_dsn, folder / "destinations.yaml", hub, haven)
            _write_destinations(partners, dsn, port)
            yield partners


def _write_destinations(partners: Partners, dsn: str, port: int) -> None:
    places: dict[str, dict[str, Any]] = {HEALTH: {"transport": "postgres", "dsn_file": "health.dsn"}}
    (partners.folder / "health.dsn").write_text(dsn, "utf-8")
    for name, receiver in ((HUB, partners.hub), (HAVEN, partners.haven)):
        (partners.folder / f"{name}.secrets").write_text(receiver.secret, "utf-8")
        places[name] = {
            "transport": "webhook",
            "url": f"http://127.0.0.1:{port}/{name}",
            "secrets_file": f"{name}.secrets",
            "allow_private": True,
        }
    for name in FOLDERS:
        partners.inbox(name).mkdir(parents=True)
        places[name] = {"transport": "folder", "folder": str(partners.inbox(name))}
    partners.destinations.write_text(json.dumps(places), "utf-8")


@contextmanager
def _serving(receivers: dict[str, Receiver]) -> Iterator[int]:
    ports: list[int] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        app = web.Application()
        for name, receiver in receivers.items():
            app.router.add_post(f"/{name}", _handler(name, receiver))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        ready.set()
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="partners")
    thread.start()
    try:
        if not ready.wait(30):
            raise TimeoutError("the partners' web server did not start within 30 s")
        yield ports[0]
    finally:
        done.set()
        thread.join()


def _handler(name: str, receiver: Receiver) -> Any:
    async def handle(request: web.Request) -> web.Response:
        return await receiver.receive(name, request)

    return handle


def _secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
