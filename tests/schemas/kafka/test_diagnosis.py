"""Each way in which certificates keep us from a broker says which it is; on real brokers, and real TLS servers."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from a_certificate import Authority
from a_secured_broker import SecuredBroker, open_secured

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.child_process import free_port
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.diagnosis import why_not
from safebus.schemas.kafka.topic_list import topics_there


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("secured")) as found:
        yield found


def context(ca: Path, cert: Path | None) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=str(ca))
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    if cert is not None:
        found.load_cert_chain(str(cert))
    return found


@dataclass
class Ours:
    """What we have of certificates, and where we go."""

    bootstrap: str
    tls: ssl.SSLContext | None


def case(name: str, secured: SecuredBroker, folder: Path) -> Ours:
    mine, other = secured.authority, Authority(folder / "other")
    good = mine.issue("worker")
    match name:
        case "their CA is another":
            return Ours(secured.broker.bootstrap, context(other.pem, good))
        case "ours has expired":
            return Ours(secured.broker.bootstrap, context(mine.pem, mine.issue("late", days=-0.1)))
        case "ours is of another CA":
            return Ours(secured.broker.bootstrap, context(mine.pem, other.issue("worker")))
        case "we have none":
            return Ours(secured.broker.bootstrap, context(mine.pem, None))
        case "we speak no TLS":
            return Ours(secured.broker.bootstrap, None)
        case _:
            raise AssertionError(name)


SAYS = {
    "their CA is another": "is not signed by what SAFEBUS_TLS_CA trusts",
    "ours has expired": "SAFEBUS_TLS_CERT",
    "ours is of another CA": "SAFEBUS_TLS_CERT",
    "we have none": "SAFEBUS_TLS_CERT",
    "we speak no TLS": "it wants TLS at this port: set SAFEBUS_TLS_CA and SAFEBUS_TLS_CERT",
}


@pytest.mark.parametrize("name", SAYS)
async def test_what_keeps_us_from_a_broker_is_said(name: str, secured: SecuredBroker, tmp_path: Path) -> None:
    ours = case(name, secured, tmp_path)

    with pytest.raises(NotReachable) as told:
        await topics_there(Connection(ours.bootstrap, ours.tls))

    assert str(told.value).startswith(f"the broker at `{ours.bootstrap}` and we do not get together: ")
    assert SAYS[name] in str(told.value)


async def test_all_is_well_is_nothing_to_say(secured: SecuredBroker, kafka_broker: Broker) -> None:
    good = context(secured.authority.pem, secured.authority.issue("worker"))

    assert await asyncio.to_thread(why_not, secured.broker.bootstrap, good) is None
    assert await asyncio.to_thread(why_not, kafka_broker.bootstrap, None) is None
    said = await asyncio.to_thread(why_not, kafka_broker.bootstrap, good)
    assert said is not None and said.startswith("it hangs up on TLS: it speaks none at this port")
    assert why_not("127.0.0.1:1", None) is None
    assert why_not("127.0.0.1:1", good) is None


@contextmanager
def tls_server(pem: Path, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[int]:
    """A server that greets once and no more."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(str(pem))
    server.maximum_version = newest
    port, started, done = free_port(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", port, ssl=server):
            started.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait(30)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    ("issued", "newest", "says"),
    [
        ({"days": -0.1}, ssl.TLSVersion.TLSv1_3, "its certificate has expired"),
        ({"hosts": ("kafka.example.com",)}, ssl.TLSVersion.TLSv1_3, "its certificate is for another host"),
        ({}, ssl.TLSVersion.TLSv1_2, "safebus needs 1.3"),
    ],
)
def test_what_is_wrong_with_theirs_is_said(
    tmp_path: Path, issued: dict[str, object], newest: ssl.TLSVersion, says: str
) -> None:
    authority = Authority(tmp_path)
    with tls_server(authority.issue("broker", **issued), newest=newest) as port:  # type: ignore[arg-type]
        said = why_not(f"127.0.0.1:{port}", context(authority.pem, authority.issue("worker")))

    assert said is not None and says in said
