"""
How does a parcel reach a partner's web server?

As a Standard Webhook: one signed POST. Every secret signs, the newest first, so that a partner can change to a new
one at its own time; the id is the same at every attempt, so that a repeat has one effect.

Each POST has a connection of its own (`one_post`). On one that was kept, whatever a server still said of the POST
before would be read as the answer to this one, and one that the server closes as we send would leave nobody knowing
whether it arrived.

What the partner answers is read by `http_answers`. Where the bus may connect to is judged by `addresses`.

Source: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import h11
from standardwebhooks import Webhook

from safebus.consumers.adapters import signing_secrets
from safebus.consumers.adapters.adapter import Effect, Parcel, PartnerAnswer, canonical
from safebus.consumers.adapters.addresses import check_url
from safebus.consumers.adapters.http_answers import answer_of, no_answer, not_connected
from safebus.consumers.adapters.one_post import LookUp, OnePost, by_this_machine, connect
from safebus.consumers.adapters.own_threads import OwnThreads
from safebus.schemas.errors import BadInput

#: This header says that the partner was handed it before, and a person sends it once more; a server that does not know
#: it passes over it. Source: RFC 6648, for a name without `X-`.
REPEATED: Final = "safebus-repeated"


@dataclass(frozen=True, repr=False)
class WebhookSettings:
    """
    One partner's webhook.

    Attributes:
        secrets: `whsec_` and 24 to 64 bytes in base64, newest first; each signs every message.
        allow_private: The partner is on a private network, or, over http too, on this machine.
        connect_s: Seconds for looking up, connecting and TLS together.
        total_s: Seconds from the first byte that is sent to the head of the answer.
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
            signing_secrets.check(secret, number=number)

    def __repr__(self) -> str:
        host = check_url(self.url, allow_private=self.allow_private).raw_host
        return f"WebhookSettings(host={host!r}, secrets={len(self.secrets)})"


class WebhookAdapter:
    """
    Delivers to one partner's web server.

    Args:
        clock: Gives the time of an attempt, with a time zone.
        tls: Where the partner has certificates of its own (or wants ours); otherwise the machine's.
        names: Who looks names up; otherwise the machine.
    """

    transport: str = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        clock: Callable[[], datetime],
        tls: ssl.SSLContext | None = None,
        names: LookUp | None = None,
    ) -> None:
        self._settings = settings
        self._url = check_url(settings.url, allow_private=settings.allow_private)
        self._signers = [Webhook(secret) for secret in settings.secrets]
        self._clock = clock
        self._names = names or by_this_machine(OwnThreads(within_s=settings.connect_s))
        self._theirs, self._ours = tls, ssl.create_default_context()
        self._look_again = False  # whom this machine trusts may have changed since

    async def open(self) -> None:
        """Nothing: each attempt connects."""

    async def close(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        """There is a connection, and nothing was said on it; see `adapter.Adapter.prepare`."""
        settings = self._settings
        if self._look_again:
            self._ours, self._look_again = ssl.create_default_context(), False
        try:
            post = await connect(
                self._url,
                tls=self._theirs or self._ours,
                names=self._names,
                allow_private=settings.allow_private,
                within_s=settings.connect_s,
            )
        except (OSError, UnicodeError) as error:  # the second: a name that cannot be looked up
            self._look_again = isinstance(error, ssl.SSLCertVerificationError)
            yield not_connected(error)
            return
        try:
            yield partial(self._send, post, parcel)
        finally:
            post.close()

    async def _send(self, post: OnePost, parcel: Parcel) -> PartnerAnswer:
        if (gone := post.gone()) is not None:
            return not_connected(gone)
        now = _in_utc(self._clock())
        content = envelope(parcel, now=now)
        headers = self._headers(parcel, content, now=now)
        try:
            head = await post.send(headers, content, within_s=self._settings.total_s, cap=self._settings.answer_cap)
        except (OSError, h11.RemoteProtocolError) as error:
            return no_answer(error)
        return answer_of(head.status, head.retry_after, now=now)

    def _headers(self, parcel: Parcel, content: bytes, *, now: datetime) -> dict[str, str]:
        mark = {REPEATED: "true"} if parcel.repeated else {}
        # Its own id for a withdrawal: a partner drops what it has seen the id of.
        # No full stop in it: full stops part what is signed.
        webhook_id = parcel.notification_id + ("" if parcel.kind == "notification" else "-withdrawn")
        text = content.decode()
        return mark | {
            "content-type": "application/json; charset=utf-8",
            "content-length": str(len(content)),
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


def _in_utc(moment: datetime) -> datetime:
    # `standardwebhooks` overwrites the time zone: anything but UTC would be signed as another time.
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone was given to the webhook adapter; give one in UTC")
    return moment.astimezone(UTC)
