"""
Reading ends where the topic ended, moves nothing for anyone else, and says trouble plainly and in time.

On the embedded broker. What it never does by itself (fall silent, know an offset by its time) a wire between it and the
client does for it: see `wire`.
"""

import asyncio
import gc
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from a_topic import NUMBERS, read_all, write
from confluent_kafka import Producer
from wire import LIST_OFFSETS, Wire

from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas import topics
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic


@pytest.fixture
def here(embedded_broker: Broker, fresh: str) -> Connection:
    embedded_broker.create_topics({fresh: 4})
    return Connection(embedded_broker.bootstrap)


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


async def test_a_topic_that_is_not_there_is_named(embedded_broker: Broker, fresh: str) -> None:
    with pytest.raises(NotReachable) as refused:
        await read_all(Connection(embedded_broker.bootstrap), fresh)

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


async def test_when_nobody_is_there_it_says_so_and_leaves_nothing_open(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        gone = Connection(broker.bootstrap)
    gc.collect()
    recwarn.clear()  # of what other tests left behind

    with pytest.raises(NotReachable) as reading:
        await read_all(gone, "topic")
    said = str(reading.value)
    del reading
    gc.collect()

    assert said == f"no broker answers at `{gone.bootstrap}`; is it up? `safebus doctor` looks"
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []


async def test_a_port_that_takes_calls_and_never_answers_is_an_error_in_bounded_time() -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return None

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    silent = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    began = time.monotonic()

    with pytest.raises(NotReachable, match=r"^no broker answers at `127\.0\.0\.1:\d+`; is it up\?"):
        await read_all(silent, "topic", patience_s=1.0)
    took = time.monotonic() - began
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


@pytest.mark.parametrize(("ours", "read"), [(False, [b"before", b"inside", b"behind"]), (True, [b"before"])])
async def test_only_where_the_bus_writes_transactions_is_one_waited_for(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch, ours: bool, read: list[bytes]
) -> None:
    """One left open on `receipts` would hide what was handed over behind it, which would then be handed over again."""
    monkeypatch.setattr(topics, "DECISIONS", fresh if ours else "decisions")
    here = Connection(kafka_broker.bootstrap)
    kafka_broker.create_topics({fresh: 1})
    await write(here, fresh, {0: [b"before"]})
    stranger = Producer({"bootstrap.servers": kafka_broker.bootstrap, "transactional.id": fresh})
    stranger.init_transactions(60)
    stranger.begin_transaction()
    stranger.produce(fresh, b"inside", partition=0)
    assert stranger.flush(60) == 0
    await write(here, fresh, {0: [b"behind"]})

    try:
        assert await read_all(here, fresh) == {0: read}
    finally:
        stranger.abort_transaction(60)
