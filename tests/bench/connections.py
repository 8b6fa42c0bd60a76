"""
What does it cost that each POST has a connection of its own?

The webhook adapter as it is, beside aiohttp on connections that are kept; both sign the same bodies, with as many under
way, to the same server on loopback, in turns. On loopback a handshake costs processor time alone; over a network it
costs two round trips more, whatever machine this is.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import ssl
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from safebus.consumers.adapters.adapter import Parcel, Reply, always, hand_over
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings, envelope
from safebus.deploy.local.child_process import free_port, is_free, start_child, stop_child
from safebus.schemas.errors import SafebusError

_AT_ONCE = 8  # as `consumers.delivery.courier` has it
_SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

#: Sends one.
Post = Callable[[Parcel], Awaitable[None]]
#: What is measured, and its unit.
Key = tuple[str, str]


def in_turns(
    folder: Path, count: int, rounds: int, progress: Callable[[str], None]
) -> dict[Key, tuple[list[float], list[float]]]:
    """What is measured -> each round by the adapter, and on kept connections."""
    folder.mkdir()
    found: dict[Key, tuple[list[float], list[float]]] = {}
    certificate = _certificate(folder / "server.pem")
    for scheme, tls in (("http", None), ("https", certificate)):
        with _server(folder / f"{scheme}.log", tls) as port:
            url = f"{scheme}://127.0.0.1:{port}/hook"
            for _ in range(rounds):
                ours, kept = asyncio.run(_round(url, tls, count))
                pace = f"POST with a connection of its own, {scheme}"
                for key, a, b in (((pace, "POSTs/s"), ours[0], kept[0]), ((pace, "us of processor"), ours[1], kept[1])):
                    found.setdefault(key, ([], []))[0].append(a)
                    found[key][1].append(b)
                progress(f"{scheme}: {ours[0]:.0f} POSTs/s, kept {kept[0]:.0f}/s")
    return found


async def _round(url: str, tls: Path | None, count: int) -> tuple[tuple[float, float], tuple[float, float]]:
    trusted = ssl.create_default_context(cafile=None if tls is None else str(tls))
    adapter = WebhookAdapter(WebhookSettings(url, (_SECRET,), allow_private=True), clock=_now, tls=trusted)

    async def anew(parcel: Parcel) -> None:
        answer = await hand_over(adapter, parcel, may_go=always)
        if answer.reply is not Reply.ACCEPTED:
            raise SafebusError(f"the server answered `{answer.code}`; nothing was measured")

    ours = await _paced(anew, count)
    connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=trusted if tls else True)
    async with aiohttp.ClientSession(connector=connector) as session:
        signer = Webhook(_SECRET)

        async def on_kept(parcel: Parcel) -> None:
            now = _now()
            content = envelope(parcel, now=now)
            headers = {
                "content-type": "application/json; charset=utf-8",
                "webhook-id": parcel.notification_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signer.sign(parcel.notification_id, now, content.decode()),
            }
            async with session.post(url, data=content, headers=headers) as answer:
                await answer.read()
                if answer.status != 202:
                    raise SafebusError(f"the server answered `{answer.status}`; nothing was measured")

        kept = await _paced(on_kept, count)
    return ours, kept


async def _paced(post: Post, count: int) -> tuple[float, float]:
    """POSTs a second, and microseconds of our processor time for each."""
    parcels = iter([_parcel() for _ in range(count)])

    async def one_of_those_under_way() -> None:
        for parcel in parcels:
            await post(parcel)

    await post(_parcel())  # what is made once is made by now
    began, used = time.monotonic(), time.process_time()
    await asyncio.gather(*(one_of_those_under_way() for _ in range(_AT_ONCE)))
    return count / (time.monotonic() - began), 1e6 * (time.process_time() - used) / count


def _parcel() -> Parcel:
    key = str(uuid.uuid4())
    body = {"notification_id": key, "fields": {"words": "x" * 1_000}}
    return Parcel(key, key, "police.encompass.v1", "0" * 32, "ROUTINE", body, "d", "notification", _now())


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _server(log: Path, tls: Path | None) -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.receiver", str(port), *([str(tls)] if tls else [])]
    child = start_child(argv, log=log, cwd=Path.cwd(), environ=os.environ)
    try:
        while is_free(port):
            if child.poll() is not None:
                raise SafebusError(f"the web server ended; see {log}")
            time.sleep(0.02)
        yield port
    finally:
        stop_child(child, ask=signal.SIGTERM, wait_s=10)


def _certificate(file: Path) -> Path:
    """One for this machine's loopback, that signs itself, with its key, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - timedelta(hours=1))
        .not_valid_after(_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM
    secret = key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.touch(0o600)
    file.write_bytes(made.public_bytes(text) + secret)
    return file
