"""
Writing is over when the broker has it, reading ends where the topic ended, and trouble is said plainly and in time.

On the embedded broker. What it never does by itself (fall silent, refuse for want of a right, know an offset by its
time) a wire between it and the client does for it, so a real client meets the real bytes: see `wire`.
"""

import asyncio
import gc
import ssl
import struct
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from wire import INIT_PRODUCER_ID, LIST_OFFSETS, PRODUCE, Wire

from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer

CANARY = b"CANARY-Jane"


@pytest.fixture
def here(embedded_broker: Broker) -> Connection:
    return Connection(embedded_broker.bootstrap)


@asynccontextmanager
async def outbound(connection: Connection, **settings: Any) -> AsyncIterator[Writer]:
    link = Writer(connection, client_id="test", **settings)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()


async def write(connection: Connection, topic: str, values: Mapping[int, list[bytes]]) -> None:
    """Partition -> values."""
    async with outbound(connection) as link:
        await link.send_all(Message(topic, b"case", v, partition=p) for p, vs in values.items() for v in vs)


async def read_all(connection: Connection, topic: str, **settings: Any) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    async for record in read_topic(connection, topic, **settings):
        found.setdefault(record.partition, []).append(record.value)
    return found


NUMBERS = [b"%d" % n for n in range(6)]


# Writing


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


async def test_a_certificate_that_may_write_nothing_is_told_at_the_start(here: Connection) -> None:
    """Seen on Kafka 4.3.1 with ACLs at InitProducerId (security notes 5); here the wire puts error 31 there."""

    def not_allowed(answer: bytes) -> bytes:
        return answer[:4] + struct.pack(">h", ClusterAuthorizationFailedError.errno) + answer[6:]

    async with Wire(here.bootstrap) as wire:
        wire.answers_to[INIT_PRODUCER_ID] = not_allowed
        link = Writer(Connection(wire.bootstrap), client_id="test")
        with pytest.raises(NotReachable) as refused:
            await link.start()
        await link.stop()

    assert str(refused.value) == (f"`{wire.bootstrap}` lets this certificate write to no topic; ask the operator")


async def test_a_broker_that_falls_silent_while_we_write_is_an_error_in_bounded_time(
    here: Connection, fresh: str
) -> None:
    """Once both waited for ever: aiokafka never gives up a message of an idempotent producer."""
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


# Reading


async def test_a_topic_is_read_from_its_beginning_to_its_end(here: Connection, fresh: str) -> None:
    await write(here, fresh, {0: NUMBERS, 2: NUMBERS[:1], 3: NUMBERS * 100})

    assert await read_all(here, fresh) == {0: NUMBERS, 2: NUMBERS[:1], 3: NUMBERS * 100}


async def test_an_empty_topic_ends_at_once(here: Connection, embedded_broker: Broker, fresh: str) -> None:
    embedded_broker.create_topics({fresh: 4})

    assert await read_all(here, fresh) == {}


async def test_what_is_written_while_we_read_is_not_waited_for(here: Connection, fresh: str) -> None:
    """Reading ends where the topic ended when it began; or a busy topic would never end."""
    await write(here, fresh, {0: NUMBERS})
    found = []

    async for record in read_topic(here, fresh):
        if not found:
            await write(here, fresh, {0: [b"later"]})
        found.append(record.value)

    assert found == NUMBERS


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"partitions": [1]}, {1: NUMBERS}),
        ({"partitions": [3, 0]}, {0: NUMBERS}),
        ({"partitions": []}, {}),
        ({"last": 2}, {0: NUMBERS[4:], 1: NUMBERS[4:]}),
        ({"last": 0}, {}),
        ({"last": 100}, {0: NUMBERS, 1: NUMBERS}),
        ({"starts": {0: 4}}, {0: NUMBERS[4:], 1: NUMBERS}),
        ({"ends": {0: 2}}, {0: NUMBERS[:2], 1: NUMBERS}),
        ({"ends": {0: 0, 1: 0}}, {}),
        ({"ends": {0: 100}}, {0: NUMBERS, 1: NUMBERS}),
        ({"starts": {0: 2, 1: 6}, "ends": {0: 5}}, {0: NUMBERS[2:5]}),
        ({"starts": {0: 5}, "ends": {0: 3}, "partitions": [0]}, {}),
        ({"starts": {0: 1}, "last": 3, "partitions": [0]}, {0: NUMBERS[3:]}),
        ({"starts": {0: 5}, "last": 3, "partitions": [0]}, {0: NUMBERS[5:]}),
        ({"ends": {0: 4}, "last": 3, "partitions": [0]}, {0: NUMBERS[1:4]}),
    ],
    ids=str,
)
async def test_only_what_is_asked_for_is_read(
    here: Connection, fresh: str, asked: dict[str, Any], found: dict[int, list[bytes]]
) -> None:
    await write(here, fresh, {0: NUMBERS, 1: NUMBERS})

    assert await read_all(here, fresh, **asked) == found


async def test_records_are_chosen_by_when_the_broker_took_them_in(here: Connection, fresh: str) -> None:
    """`since` is included, `until` is not."""
    await write(here, fresh, {0: NUMBERS[:3]})
    first = [record async for record in read_topic(here, fresh)]
    at = datetime.fromtimestamp(first[-1].timestamp / 1000, UTC)
    tick = timedelta(milliseconds=1)

    assert await read_all(here, fresh, since=at + tick) == {}
    assert await read_all(here, fresh, until=datetime.fromtimestamp(first[0].timestamp / 1000, UTC)) == {}
    assert (await read_all(here, fresh, since=at))[0][-1] == NUMBERS[2]
    assert await read_all(here, fresh, since=at - timedelta(hours=1), until=at + tick) == {0: NUMBERS[:3]}


async def test_a_broker_that_knows_an_offset_by_its_time_is_believed(here: Connection, fresh: str) -> None:
    """Apache Kafka does, the embedded broker does not: the wire writes offset 4 into its answer for partition 0."""
    await write(here, fresh, {0: NUMBERS})
    unknown, known = struct.pack(">ihqq", 0, 0, -1, -1), struct.pack(">ihqq", 0, 0, 1_000, 4)
    async with Wire(here.bootstrap) as wire:
        wire.answers_to[LIST_OFFSETS] = lambda answer: answer.replace(unknown, known)

        found = await read_all(
            Connection(wire.bootstrap), fresh, partitions=[0], since=datetime(2026, 1, 1, tzinfo=UTC)
        )

    assert found == {0: NUMBERS[4:]}


async def test_a_topic_that_is_not_there_is_named(here: Connection, fresh: str) -> None:
    with pytest.raises(NotReachable) as refused:
        await read_all(here, fresh)

    assert str(refused.value) == (
        f"the broker has no topic `{fresh}`; `safebus topics plan` shows what there should be"
    )


async def test_reading_moves_nothing_for_anyone_else(here: Connection, fresh: str) -> None:
    await write(here, fresh, {0: NUMBERS})

    assert await read_all(here, fresh) == await read_all(here, fresh) == {0: NUMBERS}


async def test_reading_may_stop_anywhere(here: Connection, fresh: str) -> None:
    await write(here, fresh, {0: NUMBERS})
    records = read_topic(here, fresh)

    first = await anext(records)
    await records.aclose()

    assert first.value == b"0"


# Nobody answers


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
    with pytest.raises(NotReachable) as reading:
        await read_all(gone, "topic")
    await link.stop()
    said = [str(writing.value), str(reading.value)]
    del link, writing, reading
    gc.collect()

    assert said == [f"no broker answers at `{gone.bootstrap}`; is it up? `safebus doctor` looks"] * 2
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []


@pytest.mark.parametrize("of", ["read", "write"])
async def test_a_port_that_takes_calls_and_never_answers_is_an_error_in_bounded_time(of: str) -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return None

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    silent = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    link = Writer(silent, client_id="test", timeout_s=1.0)
    began = time.monotonic()

    with pytest.raises(NotReachable, match=r"^no broker answers at `127\.0\.0\.1:\d+`; is it up\?"):
        await (read_all(silent, "topic", patience_s=1.0) if of == "read" else link.start())
    took = time.monotonic() - began
    await link.stop()
    server.close()

    assert took < 10


async def test_a_broker_that_falls_silent_while_we_read_is_an_error_when_patience_ends(
    here: Connection, fresh: str
) -> None:
    """Once this waited for ever: a client without a broker gives empty answers, and each came in time."""
    large = [bytes(500_000)] * 12  # more than a client fetches ahead
    await write(here, fresh, {0: large})
    found = []
    async with Wire(here.bootstrap) as wire:
        began = time.monotonic()
        with pytest.raises(NotReachable) as refused:
            async for record in read_topic(Connection(wire.bootstrap), fresh, partitions=[0], patience_s=1.0):
                wire.silent = True
                found.append(record.offset)
        took = time.monotonic() - began
        wire.silent = False

    assert str(refused.value) == f"`{fresh}` could not be read to its end at `{wire.bootstrap}`"
    assert 0 < len(found) < 12
    assert took < 10


# Settings


def test_a_connection_is_encrypted_exactly_when_it_has_a_certificate() -> None:
    """Silently falling back to plaintext is what Faust does (security notes, findings)."""
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
