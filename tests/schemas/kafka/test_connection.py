"""A connection is encrypted exactly when it has a certificate, and makes no consumer that one record could stop."""

import ssl
import subprocess
import sys
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from safebus.schemas.errors import BadInput, BrokenPromise
from safebus.schemas.kafka.connection import Connection


def test_a_connection_is_encrypted_exactly_when_it_has_a_certificate() -> None:
    """Silently falling back to plaintext is what Faust does: its SASLCredentials without a context."""
    tls = ssl.create_default_context()

    assert Connection("a:1,b:2").settings() == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert Connection("a:1", tls).settings() == {
        "bootstrap_servers": "a:1",
        "security_protocol": "SSL",
        "ssl_context": tls,
    }


@pytest.mark.parametrize("bootstrap", ["a:1", "127.0.0.1:9092, b.example.com:65535", "[::1]:9092"])
def test_brokers_are_hosts_with_ports(bootstrap: str) -> None:
    assert Connection(bootstrap).bootstrap == bootstrap


@pytest.mark.parametrize(
    "bootstrap",
    ["", "a", "a:", ":1", "a:0", "a:65536", "a:1,", "a:b", "kafka://a:1", "me@a:1", "::1:9092", "a b:1", None],
)
def test_what_names_no_broker_is_said_at_once(bootstrap: Any) -> None:
    with pytest.raises(BadInput, match=r"names no broker, expected `host:port`, several with commas"):
        Connection(bootstrap)


_FORGETFUL = """
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka import batches
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group import GroupConsumer
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.reader import Reader
from safebus.streams.register.follow import RegisterReader

here = Connection("127.0.0.1:1")

def made(make):
    try:
        make()
    except BrokenPromise as exc:
        return str(exc)

makers = [
    here.consumer_settings,
    lambda: Reader(here),
    lambda: Offsets(here),
    lambda: RegisterReader(here, key=None),
    lambda: GroupConsumer(here, topic="t", group="g", revoked=None, assigned=None),
]
print({made(make) for make in makers})
assert here.settings()["bootstrap_servers"] == "127.0.0.1:1"
batches.install()
print(here.consumer_settings() == here.settings())
"""


def test_it_is_refused_before_a_consumer_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)  # as aiokafka has it

    with pytest.raises(BrokenPromise, match=r"call `batches\.install\(\)` where the process begins"):
        Connection("127.0.0.1:1").consumer_settings()


_THE_COMMAND = """
import contextlib, io, sys
from safebus.deploy.cli import main
from safebus.schemas.kafka import batches
before, sys.argv = batches.installed(), ["safebus", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(before, batches.installed())
"""


def test_the_command_installs_it_and_an_import_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", _THE_COMMAND], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "False True\n"


def test_a_process_that_did_not_install_the_tolerant_reading_gets_no_consumer() -> None:
    """Else one odd record would stop it for ever, and nobody would have seen that it could."""
    done = subprocess.run([sys.executable, "-c", _FORGETFUL], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == (
        "{'this process would read Kafka without `safebus.schemas.kafka.batches`, and one odd record would stop it for "
        "ever; call `batches.install()` where the process begins'}\nTrue\n"
    )
