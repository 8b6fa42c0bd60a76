"""Each way in which certificates keep us from a broker says which it is; on real brokers, and real TLS servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
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
    assert await asyncio.to_thread(why_not, f"127.0.0.1:1,{secured.broker.bootstrap}", good) is None  # one of them does
    assert why_not("127.0.0.1:1", None) is None
    assert why_not("127.0.0.1:1", good) is None


@contextmanager
def tls_server(
    pem: Path, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, asks_by: Path | None = None
) -> Iterator[int]:
    """A server that greets one client and hangs up; `asks_by`: the CA by which it asks for our certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(str(pem))
    context.maximum_version = newest
    if asks_by is not None:
        context.load_verify_locations(str(asks_by))
        context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        client, _ = listening.accept()
        with client.dup() as kept, contextlib.suppress(OSError):
            try:
                with context.wrap_socket(client, server_side=True) as secured:
                    secured.recv(100)
            finally:  # closed with something unread, what was said last would be lost on the way
                kept.shutdown(socket.SHUT_WR)
                while kept.recv(100):
                    pass

    thread = threading.Thread(target=greet)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


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


@pytest.mark.parametrize(
    ("ours", "says"),
    [
        ("late", "it says that our certificate (SAFEBUS_TLS_CERT) has expired; renew it"),
        ("elsewhere", "it does not know who issued our certificate (SAFEBUS_TLS_CERT)"),
        ("none", "it wants a certificate and SAFEBUS_TLS_CERT has none that it takes"),
    ],
)
def test_what_is_wrong_with_ours_is_said_where_they_say_it(tmp_path: Path, ours: str, says: str) -> None:
    """Kafka says little of it; a proxy before it says more."""
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    certificates = {"late": authority.issue("late", days=-0.1), "elsewhere": other.issue("worker"), "none": None}
    with tls_server(authority.issue("broker"), asks_by=authority.pem) as port:
        said = why_not(f"127.0.0.1:{port}", context(authority.pem, certificates[ours]))

    assert said == says


def test_a_server_that_hangs_up_is_said_to_do_so(tmp_path: Path) -> None:
    """Whatever it minds, it is none that answers as Kafka does."""
    authority = Authority(tmp_path)
    with tls_server(authority.issue("broker")) as port:
        said = why_not(f"127.0.0.1:{port}", context(authority.pem, authority.issue("worker")))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            with listening.accept()[0] as client:
                client.recv(100)  # or the connection would be reset, and nobody be there

        thread = threading.Thread(target=hang_up)
        thread.start()
        plain = why_not(f"127.0.0.1:{listening.getsockname()[1]}", None)
        thread.join()

    assert said == "it hangs up once we have shown our certificate (SAFEBUS_TLS_CERT)"
    assert plain is not None and plain.startswith("it hangs up: ")
