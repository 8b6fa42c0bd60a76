"""
Writing is over when the broker has it, and trouble is said plainly and in time.

On the embedded broker. What it never does by itself (fall silent, refuse for want of a right) a wire between it and the
client does for it, so a real client meets the real bytes: see `wire`.
"""

import asyncio
import gc
import struct
import time
from pathlib import Path

import pytest
from a_topic import CANARY, outbound
from aiokafka.errors import (
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from wire import PRODUCE, Wire

from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer


@pytest.fixture
def here(embedded_broker: Broker) -> Connection:
    return Connection(embedded_broker.bootstrap)


async def test_what_is_sent_has_its_partition_and_offset_in_order(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        written = await link.send_all(Message(fresh, b"case", b"v", partition=p) for p in (3, 0, 3, 3, 0))

    assert written == [(3, 0), (0, 0), (3, 1), (3, 2), (0, 1)]


async def test_a_message_carries_its_key_value_and_headers(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        await link.send_all([Message(fresh, b"case", b"value", [("ce_id", b"1"), ("ce_id", b"2")], partition=2)])

    records = [record async for record in read_topic(here, fresh)]

    assert [(r.partition, r.offset, r.key, r.value, list(r.headers)) for r in records] == [
        (2, 0, b"case", b"value", [("ce_id", b"1"), ("ce_id", b"2")])
    ]


async def test_messages_of_one_case_stay_together(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        written = await link.send_all(Message(fresh, key, b"v") for key in [b"case-a", b"case-b"] * 5)

    assert len({partition for partition, _ in written[0::2]}) == 1
    assert [offset for _, offset in written[0::2]] == sorted(offset for _, offset in written[0::2])


async def test_nothing_to_send_is_nothing_sent(here: Connection) -> None:
    async with outbound(here) as link:
        assert await link.send_all([]) == []


async def test_a_message_that_is_too_large_names_topic_and_size_and_not_its_content(
    here: Connection, fresh: str
) -> None:
    value = CANARY + bytes(2_000_000)
    async with outbound(here) as link:
        with pytest.raises(NotReachable) as refused:
            await link.send_all([Message(fresh, CANARY, value, [("ce_id", CANARY)], partition=0)])

    assert str(refused.value) == (
        f"`{fresh}` did not acknowledge a message of 2000011 bytes (MessageSizeTooLargeError); "
        "it may or may not be written"
    )
    assert isinstance(refused.value.__cause__, MessageSizeTooLargeError)
    assert "CANARY" not in repr(refused.value)


async def test_a_topic_this_certificate_may_not_write_to_is_named(here: Connection, fresh: str) -> None:
    """The embedded broker has no ACLs: the wire puts error 29 into its answer, as Kafka with ACLs does."""

    def not_allowed(answer: bytes) -> bytes:
        at = answer.index(fresh.encode()) + len(fresh) + 8  # after the name: count (4), partition (4), then the error
        return answer[:at] + struct.pack(">h", TopicAuthorizationFailedError.errno) + answer[at + 2 :]

    async with Wire(here.bootstrap) as wire, outbound(Connection(wire.bootstrap)) as link:
        await link.send_all([Message(fresh, b"case", b"allowed", partition=0)])
        wire.answers_to[PRODUCE] = not_allowed
        with pytest.raises(NotReachable) as refused:
            await link.send_all([Message(fresh, b"case", CANARY, partition=0)])

    assert str(refused.value) == f"this certificate may not write to `{fresh}`; ask the operator for WRITE on it"
    assert isinstance(refused.value.__cause__, TopicAuthorizationFailedError)


async def test_a_broker_that_falls_silent_while_we_write_is_an_error_in_bounded_time(
    here: Connection, fresh: str
) -> None:
    """Writing, and stopping after it."""
    async with Wire(here.bootstrap) as wire:
        async with outbound(Connection(wire.bootstrap), timeout_s=1.0) as link:
            await link.send_all([Message(fresh, b"case", b"heard", partition=0)])
            wire.silent = True
            began = time.monotonic()
            with pytest.raises(NotReachable, match=rf"^`{fresh}` did not acknowledge a message of 11 bytes \("):
                await link.send_all([Message(fresh, b"case", CANARY, partition=0)])
        sent_and_stopped_in = time.monotonic() - began

    assert sent_and_stopped_in < 10


async def test_what_is_no_error_of_the_broker_passes_as_it_is(here: Connection) -> None:
    """A bug must show as the bug it is."""
    async with outbound(here) as link:
        with pytest.raises(TypeError):
            await link.send_all([Message("topic", b"case", "not bytes")])  # type: ignore[arg-type]


async def test_when_nobody_is_there_it_says_so_and_leaves_nothing_open(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        gone = Connection(broker.bootstrap)
    gc.collect()
    recwarn.clear()  # of what other tests left behind
    link = Writer(gone, client_id="test")

    with pytest.raises(NotReachable) as writing:
        await link.start()
    await link.stop()
    said = str(writing.value)
    del link, writing
    gc.collect()

    assert said == f"no broker answers at `{gone.bootstrap}`; is it up? `safebus doctor` looks"
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []


async def test_a_port_that_takes_calls_and_never_answers_is_an_error_in_bounded_time() -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return None

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    silent = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    link = Writer(silent, client_id="test", timeout_s=1.0)
    began = time.monotonic()

    with pytest.raises(NotReachable, match=r"^no broker answers at `127\.0\.0\.1:\d+`; is it up\?"):
        await link.start()
    took = time.monotonic() - began
    await link.stop()
    server.close()

    assert took < 10
