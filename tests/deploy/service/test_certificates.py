"""Certificates that cannot be used say why; those that are renewed are taken while the process runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from a_certificate import DAY, Authority
from a_secured_broker import SecuredBroker, open_secured
from structlog.testing import capture_logs

from safebus.deploy.service import certificates
from safebus.deploy.service.settings import load
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.allowed import Of, Right, allowed


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("secured")) as found:
        client = found.admin.admin_client()
        ensure_topics(client, {"one": 1, "two": 1}, configs={})
        found.give(Right("first", "READ", Of.TOPIC, "one"), Right("second", "READ", Of.TOPIC, "two"))
        yield found


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


async def test_a_renewed_certificate_is_taken_without_a_restart(secured: SecuredBroker, tmp_path: Path) -> None:
    """Seen by the broker: who we are is in the certificate, and so is what we may see."""
    ours = secured.authority.issue("first", to=tmp_path / "ours.pem")
    found = load(
        {
            "SAFEBUS_BROKER": secured.broker.bootstrap,
            "SAFEBUS_TLS_CA": str(secured.authority.pem),
            "SAFEBUS_TLS_CERT": str(ours),
        }
    )
    connection = found.connection()

    async def sees() -> set[str]:
        there = await allowed(connection)
        assert there is not None
        return set(there.topics)

    with capture_logs() as said:
        async with certificates.renewing(connection.tls, found.tls_ca, found.tls_cert, clock=clock, look_every_s=0.05):
            before = await sees()
            ours.write_text("half a file")
            await until(lambda: any(line["event"] == "certificate.not_usable" for line in said), "it to be said")
            meanwhile = await sees()
            secured.authority.issue("second", to=ours)
            await until(lambda: any(line["event"] == "certificate.renewed" for line in said), "it to be taken")
            after = await sees()

    assert (before, meanwhile, after) == ({"one"}, {"one"}, {"two"})


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
