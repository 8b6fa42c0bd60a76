"""
Which systems do the partners of the demonstration run?

Real ones, on loopback: an HTTP receiver that checks every signature, a PostgreSQL with a staging table and an account
that may only insert, and drop folders.
"""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from safebus.consumers.adapters.postgres import CREATE_TABLE, grant
from safebus.deploy.local.partner_postgres import open_postgres

WEBHOOKS = ("fordshire-mash", "haven")
DATABASE = "fordshire-0-19"


@dataclass
class Partners:
    """
    The partners' systems, and what they hold.

    Attributes:
        accepted: Webhook partner -> (webhook id, body) in the order they came, repeats left out.
        owner_dsn: The partner's own account; `dsn` is the one it gave the bus, which cannot read what was sent.
        unsigned: How many requests were turned away for their signature.
    """

    folder: Path
    owner_dsn: str
    dsn: str
    accepted: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    unsigned: int = 0
    urls: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def drop_folder(self, partner: str) -> Path:
        """Where a partner's files appear."""
        return self.folder / "inbox" / partner

    def destinations(self, partners: list[str]) -> Path:
        """Write the destinations file, and the secrets beside it."""
        places: dict[str, dict[str, Any]] = {}
        for partner in partners:
            if partner in WEBHOOKS:
                (self.folder / f"{partner}.secrets").write_text(self.secrets[partner], "utf-8")
                places[partner] = {
                    "transport": "webhook",
                    "url": self.urls[partner],
                    "secrets_file": f"{partner}.secrets",
                    "allow_private": True,
                }
            elif partner == DATABASE:
                (self.folder / f"{partner}.dsn").write_text(self.dsn, "utf-8")
                places[partner] = {"transport": "postgres", "dsn_file": f"{partner}.dsn"}
            else:
                self.drop_folder(partner).mkdir(parents=True, exist_ok=True)
                places[partner] = {"transport": "folder", "folder": str(self.drop_folder(partner))}
        file = self.folder / "destinations.yaml"
        file.write_text(json.dumps(places, indent=1), "utf-8")
        return file

    async def received(self, partner: str) -> list[dict[str, Any]]:
        """Everything this partner's own system holds, as it came."""
        if partner in WEBHOOKS:
            return [body["data"] for _, body in self.accepted.get(partner, [])]
        if partner == DATABASE:
            connection = await asyncpg.connect(self.owner_dsn)
            try:
                rows = await connection.fetch("SELECT body FROM safebus_inbound ORDER BY received_at")
                return [json.loads(row["body"]) for row in rows]
            finally:
                await connection.close()
        files = sorted(self.drop_folder(partner).glob("*.json"), key=lambda f: f.stat().st_mtime_ns)
        return [json.loads(f.read_text("utf-8")) for f in files]


async def open_partners(stack: AsyncExitStack, folder: Path) -> Partners:
    """Start the partners' systems; `stack` ends them."""
    owner_dsn = stack.enter_context(open_postgres(folder / "postgres"))
    partners = Partners(folder, owner_dsn, await staging_table(owner_dsn))
    app = web.Application()
    for partner in WEBHOOKS:
        partners.secrets[partner] = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        app.router.add_post(f"/{partner}", _receiver(partners, partner))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    partners.urls = {partner: f"http://127.0.0.1:{port}/{partner}" for partner in WEBHOOKS}
    return partners


def _receiver(partners: Partners, partner: str) -> Any:
    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(partners.secrets[partner]).verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):  # a malformed header is a ValueError
            partners.unsigned += 1
            return web.Response(status=401)
        known = partners.accepted.setdefault(partner, [])
        message_id, content = request.headers["webhook-id"], json.loads(body)
        if (message_id, content["type"]) not in [(i, c["type"]) for i, c in known]:
            known.append((message_id, content))
        return web.Response(status=202)

    return receive


async def staging_table(owner_dsn: str) -> str:
    """The partner makes its table and gives the bus an account that may do no more than it must."""
    password = secrets.token_hex(16)
    connection = await asyncpg.connect(owner_dsn)
    try:
        await connection.execute(CREATE_TABLE)
        await connection.execute(f"CREATE ROLE safebus LOGIN PASSWORD '{password}'")
        await connection.execute(grant("safebus"))
    finally:
        await connection.close()
    head, tail = owner_dsn.split("://", 1)
    return f"{head}://safebus:{password}@{tail.split('@', 1)[1]}"
