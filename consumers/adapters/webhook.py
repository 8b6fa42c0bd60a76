"""
How does a parcel reach a partner's web server?

As a Standard Webhook: one signed POST. Every secret signs, the newest first, so that a partner can change to a new
one at its own time; the id is the same at every attempt, so that a repeat has one effect.

What the partner answers is read by `http_answers`. Where the bus may connect to is judged by `addresses`.

Source: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from standardwebhooks import Webhook

from safebus.consumers.adapters.adapter import Parcel, PartnerAnswer, canonical
from safebus.consumers.adapters.addresses import check_url, guarded_socket
from safebus.consumers.adapters.http_answers import answer_of, failure
from safebus.schemas.errors import BadInput

#: Shorter than what servers commonly keep (5 s): one that hangs up as we send would leave an attempt UNKNOWN.
KEEP_CONNECTION_S: Final = 4.0


@dataclass(frozen=True, repr=False)
class WebhookSettings:
    """
    One partner's webhook.

    Attributes:
        secrets: `whsec_` and 24 to 64 bytes in base64, newest first; each signs every message.
        allow_private: The partner is on a private network, or, over http too, on this machine.
        connect_s: Seconds for looking up, connecting and TLS together.
        total_s: Seconds for the whole attempt.
        answer_cap: Bytes of an answer that are read, and thrown away.

    Raises:
        BadInput: The URL or a secret cannot be used; the message says why, and shows neither.
    """

    url: str
    secrets: tuple[str, ...]
    allow_private: bool = False
    connect_s: float = 5
    total_s: float = 20
    answer_cap: int = 4096

    def __post_init__(self) -> None:
        check_url(self.url, allow_private=self.allow_private)
        if not self.secrets:
            raise BadInput("a webhook needs at least one secret; found none")
        for number, secret in enumerate(self.secrets, start=1):
            _check_secret(secret, number=number)

    def __repr__(self) -> str:
        host = check_url(self.url, allow_private=self.allow_private).raw_host
        return f"WebhookSettings(host={host!r}, secrets={len(self.secrets)})"


class WebhookAdapter:
    """
    Delivers to one partner's web server.

    Args:
        clock: Gives the time of an attempt, with a time zone.
        tls: Where the partner has certificates of its own (or wants ours); otherwise the machine's.
        resolver: Who looks names up; otherwise the machine.
    """

    transport: str = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        clock: Callable[[], datetime],
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._settings = settings
        self._url = check_url(settings.url, allow_private=settings.allow_private)
        self._signers = [Webhook(secret) for secret in settings.secrets]
        self._clock = clock
        self._tls = tls
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to connect."""
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,  # a partner that moves is followed at the next connection
                socket_factory=guarded_socket(
                    allow_private=settings.allow_private, loopback_only=self._url.scheme == "http"
                ),
                ssl=self._tls or True,
                keepalive_timeout=KEEP_CONNECTION_S,
            ),
            timeout=aiohttp.ClientTimeout(
                total=settings.total_s, connect=settings.connect_s, sock_connect=settings.connect_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # neither proxies nor ~/.netrc
            auto_decompress=False,  # an answer of 4 kB can unpack to gigabytes
        )

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def deliver(self, parcel: Parcel) -> PartnerAnswer:
        """One attempt; see `interface.Adapter.deliver`."""
        assert self._session is not None, "call `open` first"
        now = _in_utc(self._clock())
        content = envelope(parcel, now=now)
        headers = self._headers(parcel, content, now=now)
        try:
            async with self._session.post(self._url, data=content, headers=headers, allow_redirects=False) as response:
                await _read_a_little(response, self._settings.answer_cap)
                return answer_of(response.status, response.headers.get("Retry-After"), now=now)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if type(error) is ValueError:  # a bug of ours; aiohttp's own are ClientErrors too
                raise
            return failure(error)

    def _headers(self, parcel: Parcel, content: bytes, *, now: datetime) -> dict[str, str]:
        # Its own id for a withdrawal: a partner drops what it has seen the id of.
        # No full stop in it: full stops part what is signed.
        webhook_id = parcel.notification_id + ("" if parcel.kind == "notification" else "-withdrawn")
        text = content.decode()
        return {
            "content-type": "application/json; charset=utf-8",
            "accept-encoding": "identity",
            "user-agent": "safebus",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(webhook_id, now, text) for signer in self._signers),
        }


def envelope(parcel: Parcel, *, now: datetime) -> bytes:
    """
    The body of the POST. Its `timestamp` is when the bus decided, the header's is when we try.

    A withdrawal has its own type, so that nobody takes it for a second alert.
    """
    made_at = now if parcel.made_at is None else _in_utc(parcel.made_at)
    kind = parcel.event_type if parcel.kind == "notification" else parcel.kind
    stamp = made_at.isoformat().replace("+00:00", "Z")
    return canonical({"type": kind, "timestamp": stamp, "data": parcel.body})


async def _read_a_little(response: aiohttp.ClientResponse, cap: int) -> None:
    """Read an answer to its end if it is short, so that the connection can be used again; otherwise hang up."""
    left = cap
    with suppress(aiohttp.ClientError, OSError):  # the status is here, and what follows it changes nothing
        while left > 0:
            chunk = await response.content.read(left)
            if not chunk:
                return
            left -= len(chunk)
    response.close()


def _in_utc(moment: datetime) -> datetime:
    # `standardwebhooks` overwrites the time zone: anything but UTC would be signed as another time.
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone was given to the webhook adapter; give one in UTC")
    return moment.astimezone(UTC)


def _check_secret(secret: str, *, number: int) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise BadInput(f"webhook secret {number} is not `whsec_` and 24 to 64 bytes in base64; ask the partner again")
