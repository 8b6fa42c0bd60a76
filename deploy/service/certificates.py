"""
Are our certificates right, how long do they last, and are new ones taken while we run?

A process that was started with a certificate of ninety days runs for longer than that. Whoever renews it writes the new
files in place of the old ones; they are taken for every connection that is made from then on. What cannot be used, such
as a file that is half written, is said and left, and the ones before stay in use.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from safebus.schemas import signing
from safebus.schemas.errors import BadInput

log = structlog.get_logger()

#: From so many days before its end on, a certificate is warned of.
WARN_DAYS: Final = 30
_LOOK_EVERY_S: Final = 15.0
_SAY_AGAIN: Final = timedelta(days=1)

#: By what each of some files is seen to be another; None: it is not there.
Marks = list[tuple[int, int, int] | None]


def context(ca: Path, cert: Path, *, now: datetime) -> ssl.SSLContext:
    """
    The context for mTLS, TLS 1.3 and nothing older.

    Args:
        ca, cert: PEM files: who is trusted; our certificate with its key.

    Raises:
        BadInput: One of them cannot be used; says which and why.
    """
    begins, ends = signing.validity(cert)
    if now > ends:
        raise BadInput(f"the certificate in `{cert}` ended on {ends:%Y-%m-%d %H:%M} UTC; renew it")
    if now < begins:
        raise BadInput(f"the certificate in `{cert}` begins on {begins:%Y-%m-%d %H:%M} UTC; look at the clocks")
    signing.issuers(ca)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(made, ca, cert)
    return made


def _load(into: ssl.SSLContext, ca: Path, cert: Path) -> None:
    try:
        into.load_verify_locations(cafile=str(ca))
        into.load_cert_chain(str(cert), password=_no_password)
    except OSError as exc:  # ssl.SSLError is one
        raise BadInput(
            f"`{ca}` and `{cert}` cannot be used for TLS ({getattr(exc, 'reason', None) or exc.strerror}); expected "
            "PEM: who is trusted in the first, our certificate with its own key in the second"
        ) from None


def _no_password() -> bytes:
    raise OSError("the key has a password")  # else OpenSSL asks for it on the terminal, and a service waits for ever


def days_left(cert: Path, *, now: datetime) -> float:
    """Until the certificate in this file ends, days; errors as `signing.signer`."""
    return (signing.validity(cert)[1] - now) / timedelta(days=1)


@asynccontextmanager
async def renewing(
    live: ssl.SSLContext | None,
    ca: Path | None,
    cert: Path | None,
    *,
    clock: Callable[[], datetime],
    look_every_s: float = _LOOK_EVERY_S,
) -> AsyncIterator[None]:
    """While this lasts, what is written in place of these files is taken. Without TLS nothing is done."""
    if live is None or ca is None or cert is None:
        yield
        return
    # Before anything can be put in its place.
    name, taken = signing.signer(cert).name, _marks(ca, cert)
    looking = asyncio.create_task(_renew(live, ca, cert, name, taken, clock=clock, every_s=look_every_s))
    try:
        yield
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def _renew(
    live: ssl.SSLContext,
    ca: Path,
    cert: Path,
    name: str,
    taken: Marks,
    *,
    clock: Callable[[], datetime],
    every_s: float,
) -> None:
    said_at: datetime | None = None
    while True:
        now = clock()
        try:
            if said_at is None or now - said_at > _SAY_AGAIN:
                said_at = now
                if (left := days_left(cert, now=now)) < WARN_DAYS:
                    log.warning("certificate.ends", days=int(left))
            if (there := _marks(ca, cert)) != taken:
                context(ca, cert, now=now)  # in one that nobody uses: a failure would leave the live one without a key
                _check_same(name, ca, cert)
                _load(live, ca, cert)
                taken, said_at = there, None
                log.info("certificate.renewed", days=int(days_left(cert, now=now)))
        except BadInput as exc:
            log.error("certificate.not_usable", error=str(exc))
        except Exception as exc:  # a bug of ours or a library's: ended by it, this would look no more
            log.error("certificate.not_usable", error=type(exc).__name__)
        await asyncio.sleep(every_s)


def _check_same(name: str, ca: Path, cert: Path) -> None:
    """A renewed certificate has the same name, and an issuer who is trusted; else every new connection would fail."""
    new = signing.signer(cert)
    if new.name != name:
        raise BadInput(f"the new certificate in `{cert}` is that of `{new.name}`, and this process is `{name}`")
    if not signing.is_issued_by(new.certificate, signing.issuers(ca)):
        raise BadInput(f"the new certificate in `{cert}` is not issued by what `{ca}` trusts")


def _marks(*files: Path) -> Marks:
    """By what a file is seen to be another."""
    found: Marks = []
    for file in files:
        try:
            is_ = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((is_.st_ino, is_.st_mtime_ns, is_.st_size))
    return found
