"""Certificates that cannot be used say why; those that are renewed are taken while the process runs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from a_certificate import DAY, Authority
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from safebus.deploy.service import certificates
from safebus.deploy.service.settings import load
from safebus.schemas.errors import BadInput


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def broken(authority: Authority, folder: Path) -> dict[str, tuple[Path, Path, str]]:
    """Name -> (CA, certificate, what is said)."""
    good, other = authority.issue("good"), authority.issue("other")
    junk, none = folder / "junk.pem", folder / "none.pem"
    junk.write_text("-----BEGIN nothing")
    crossed = folder / "crossed.pem"
    key, certificate = good.read_text().split("-----BEGIN CERTIFICATE")
    crossed.write_text(key + "-----BEGIN CERTIFICATE" + other.read_text().split("-----BEGIN CERTIFICATE")[1])
    half = folder / "half.pem"
    half.write_text(key + "-----BEGIN CERTIFICATE" + certificate[:200])
    return {
        "no certificate": (authority.pem, none, "cannot be read: No such file"),
        "no CA": (none, good, "cannot be read: No such file"),
        "junk": (authority.pem, junk, "has no certificate with its key"),
        "a CA that is none": (junk, good, "has no certificate; expected PEM"),
        "another one's key": (authority.pem, crossed, "KEY_VALUES_MISMATCH"),
        "half written": (authority.pem, half, "has no certificate with its key"),
        "ended": (authority.pem, authority.issue("late", days=-1), f"ended on {clock() - DAY:%Y-%m-%d}"),
        "not begun": (authority.pem, authority.issue("early", begins=DAY), f"begins on {clock() + DAY:%Y-%m-%d}"),
    }


def test_what_cannot_be_used_is_said(authority: Authority, tmp_path: Path) -> None:
    for name, (ca, cert, says) in broken(authority, tmp_path).items():
        settings = load({"SAFEBUS_BROKER": "127.0.0.1:1", "SAFEBUS_TLS_CA": str(ca), "SAFEBUS_TLS_CERT": str(cert)})
        with pytest.raises(BadInput) as told:
            settings.connection()
        assert says in str(told.value), name


def test_days_left_are_counted_to_its_end(authority: Authority) -> None:
    assert certificates.days_left(authority.issue("a", days=29.5), now=clock()) == pytest.approx(29.5, abs=0.01)


async def until(done: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.02)
    assert done(), what


def serial_shown_by(live: ssl.SSLContext, authority: Authority) -> int:
    """Which certificate a client with this context shows: a handshake in memory, as with a broker."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.pem))
    server.load_cert_chain(str(authority.issue("broker")))
    server.verify_mode = ssl.CERT_REQUIRED
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        live.wrap_bio(back, there, server_hostname="localhost"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown = ends[1].getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def serial_in(pem: Path) -> int:
    return x509.load_pem_x509_certificate(pem.read_bytes()).serial_number


async def test_a_renewed_certificate_is_taken_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    """One that is none, another one's, or of another CA is said and left; the good one after it is taken."""
    ours, elsewhere = authority.issue("worker", to=tmp_path / "ours.pem"), Authority(tmp_path / "other")
    live, first = certificates.context(authority.pem, ours, now=clock()), serial_in(ours)
    odd = ec.generate_private_key(ec.SECP256R1())

    def replaced_by(what: str) -> None:
        match what:
            case "half a file":
                ours.write_text("-----BEGIN half")
            case "another name":
                authority.issue("registrar", to=ours)
            case "another CA":
                elsewhere.issue("worker", to=ours)
            case "damaged":
                text = ours.read_bytes()
                ours.write_bytes(text[:-120] + b"AAAA" + text[-116:])
            case _:
                authority.issue("worker", key=odd, to=ours)

    with capture_logs() as said:
        async with certificates.renewing(live, authority.pem, ours, clock=clock, look_every_s=0.02):
            for what in ("half a file", "another name", "another CA", "damaged"):
                count = len(said)
                replaced_by(what)
                await until(lambda count=count: len(said) > count, what)  # type: ignore[misc]
                assert said[-1]["event"] == "certificate.not_usable", what
                assert serial_shown_by(live, authority) == first, what
            replaced_by("a good one")
            await until(lambda: said[-1]["event"] == "certificate.renewed", "it to be taken")

    assert serial_shown_by(live, authority) == serial_in(ours) != first


async def test_what_ends_soon_is_warned_of_once_a_day(authority: Authority) -> None:
    soon = authority.issue("a", days=20.5)
    now = [clock()]
    live = certificates.context(authority.pem, soon, now=now[0])

    with capture_logs() as said:
        async with certificates.renewing(live, authority.pem, soon, clock=lambda: now[0], look_every_s=0.01):
            for expected in (1, 2, 3):
                await until(lambda expected=expected: len(said) == expected, "a warning")  # type: ignore[misc]
                now[0] += timedelta(days=1, minutes=1) if expected < 3 else timedelta()

    assert {line["event"] for line in said} == {"certificate.ends"}
    assert [line["days"] for line in said][:3] == [20, 19, 18]


async def test_without_tls_there_is_nothing_to_renew() -> None:
    async with certificates.renewing(None, None, None, clock=clock):
        pass


def test_doctor_counts_the_days(authority: Authority, tmp_path: Path) -> None:
    """Through the command, as an operator sees it; whether or not a broker answers."""
    env = {
        "SAFEBUS_HOME": str(tmp_path),
        "SAFEBUS_BROKER": "127.0.0.1:1",
        "SAFEBUS_TLS_CA": str(authority.pem),
        "SAFEBUS_TLS_CERT": str(authority.issue("op-anna", days=12.5)),
    }
    words = [sys.executable, "-m", "safebus.deploy.cli", "doctor"]
    soon = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120).stdout
    env["SAFEBUS_TLS_CERT"] = str(authority.issue("op-anna", days=100.5))
    late = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120).stdout

    assert "MISSING  certificate of `op-anna`: 12 days left" in soon
    assert "ok       certificate of `op-anna`: 100 days left" in late
