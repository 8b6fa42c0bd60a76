"""What is written as one is there as a whole or not at all, and only from whoever started last."""

import asyncio
import gc
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import CoordinatorLoadInProgressError
from wire import INIT_PRODUCER_ID, Wire

from safebus.deploy.local.brokers import Broker
from safebus.schemas import topics
from safebus.schemas.errors import NotReachable, Overtaken
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer, partition_of


@asynccontextmanager
async def writer(connection: Connection, name: str, **settings: Any) -> AsyncIterator[Writer]:
    link = Writer(connection, client_id="test", transactional_id=name, **settings)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()


def message(topic: str, text: str) -> Message:
    return Message(topic, b"case", text.encode(), partition=0)


async def there(connection: Connection, topic: str, count: int = 0) -> list[str]:
    """All there is, once there are so many: readers see a transaction a moment after it is committed."""
    async with asyncio.timeout(20):
        while True:
            found = [record.value.decode() async for record in read_topic(connection, topic, partitions=[0])]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_what_is_written_as_one_is_read_without_the_marks_between(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    here = Connection(broker.bootstrap)
    async with writer(here, fresh) as link:
        await link.send_as_one([message(fresh, "a"), message(fresh, "b")])
        await link.send_as_one([message(fresh, "c")])

    assert await there(here, fresh, 3) == ["a", "b", "c"]


async def test_what_is_not_committed_is_not_read(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a second start does away with it, so that it does not hold up what comes after."""
    monkeypatch.setattr(topics, "DECISIONS", fresh)
    kafka_broker.create_topics({fresh: 4})
    here = Connection(kafka_broker.bootstrap)
    async with writer(here, fresh) as killed:
        await killed._producer.begin_transaction()
        await killed.send_all([message(fresh, "never committed")])
        before = await there(here, fresh)
        async with writer(here, fresh) as successor:
            await successor.send_as_one([message(fresh, "committed")])

    assert before == []
    assert await there(here, fresh, 1) == ["committed"]


@pytest.mark.parametrize("how", ["as one", "each"])
async def test_whoever_started_before_can_write_no_more(kafka_broker: Broker, fresh: str, how: str) -> None:
    kafka_broker.create_topics({fresh: 4})
    here = Connection(kafka_broker.bootstrap)
    async with writer(here, fresh) as first:
        await first.send_as_one([message(fresh, "before")])
        async with writer(here, fresh):
            with pytest.raises(Overtaken, match=r"^another process has started in our place"):
                if how == "as one":
                    await first.send_as_one([message(fresh, "too late")])
                else:
                    await first._producer.begin_transaction()
                    await first.send_all([message(fresh, "too late")])

    assert await there(here, fresh, 1) == ["before"]


async def test_a_broker_that_falls_silent_in_the_middle_is_an_error_in_bounded_time(
    embedded_broker: Broker, fresh: str
) -> None:
    embedded_broker.create_topics({fresh: 4})
    async with Wire(embedded_broker.bootstrap) as wire:
        async with writer(Connection(wire.bootstrap), fresh, timeout_s=1.0) as link:
            await link.send_as_one([message(fresh, "heard")])
            wire.silent = True
            began = time.monotonic()
            with pytest.raises(NotReachable):
                await link.send_as_one([message(fresh, "lost")])
        took = time.monotonic() - began

    assert took < 10


async def test_a_broker_that_never_lets_us_start_is_an_error_in_bounded_time(
    embedded_broker: Broker, fresh: str
) -> None:
    """aiokafka would ask for ever."""

    def not_yet(answer: bytes) -> bytes:
        return answer[:4] + struct.pack(">h", CoordinatorLoadInProgressError.errno) + answer[6:]

    async with Wire(embedded_broker.bootstrap) as wire:
        wire.answers_to[INIT_PRODUCER_ID] = not_yet
        link = Writer(Connection(wire.bootstrap), client_id="test", transactional_id=fresh, timeout_s=1.0)
        with pytest.raises(NotReachable, match=r"^no broker answers at"):
            await link.start()
        await link.stop()
    await asyncio.sleep(0)
    gc.collect()


async def test_a_remembered_partition_is_the_one_that_the_key_leads_to(embedded_broker: Broker, fresh: str) -> None:
    """Otherwise a case would change its partition with an upgrade, and its order with it."""
    embedded_broker.create_topics({fresh: 4})
    keys = [f"case-{n}".encode() for n in range(40)]
    async with plain(Connection(embedded_broker.bootstrap)) as link:
        written = await link.send_all(Message(fresh, key, b"v") for key in keys)

    assert [partition for partition, _ in written] == [partition_of(key) for key in keys]


@asynccontextmanager
async def plain(connection: Connection) -> AsyncIterator[Writer]:
    link = Writer(connection, client_id="test")
    await link.start()
    yield link
    await link.stop()
