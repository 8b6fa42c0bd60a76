"""What one partner's topic does not take is owed, and keeps nothing from anybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import AdminClient

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.worker.counts import Counts
from safebus.streams.worker.outgoing import Outgoing


@dataclass
class Ground:
    """Two partners and a quarantine of which one takes nothing larger than a hundred bytes."""

    connection: Connection
    writer: Writer
    name: str

    def message(self, topic: str, size: int = 10) -> Message:
        return Message(f"{topic}-{self.name}", b"k", b"v" * size, [("ce_id", b"one")], 0)

    async def there(self, topic: str) -> int:
        return len([m async for m in read_topic(self.connection, f"{topic}-{self.name}")])


async def nothing_new() -> None:
    """All topics are as they were."""


@pytest.fixture
async def ground(kafka_broker: Broker, fresh: str) -> AsyncIterator[Ground]:
    small = {"max.message.bytes": "200"}
    kafka_broker.create_topics(
        {f"out.a-{fresh}": 1, f"out.b-{fresh}": 1, f"quarantine-{fresh}": 1},
        configs={f"out.b-{fresh}": small, f"quarantine-{fresh}": small},
    )
    connection = Connection(kafka_broker.bootstrap)
    writer = Writer(connection, client_id="test")
    await writer.start()
    yield Ground(connection, writer, fresh)
    await writer.stop()


async def test_what_is_refused_is_owed_and_the_rest_is_there(ground: Ground) -> None:
    counts = Counts()
    outgoing = Outgoing(ground.writer, counts, closed=tuple, look=nothing_new)

    await outgoing.send([ground.message("out.a", 500), ground.message("out.b", 500), ground.message("out.a", 500)])
    await outgoing.send([ground.message("out.b"), ground.message("out.a")])

    assert counts.owed == 1
    assert (await ground.there("out.a"), await ground.there("out.b")) == (3, 1)


async def test_what_is_closed_is_not_tried_until_it_is_open(ground: Ground) -> None:
    closed = {f"out.b-{ground.name}"}
    counts = Counts()
    outgoing = Outgoing(ground.writer, counts, closed=lambda: closed, look=nothing_new)

    await outgoing.send([ground.message("out.b"), ground.message("out.a")])
    closed.clear()
    await outgoing.send([ground.message("out.b")])

    assert counts.owed == 1
    assert (await ground.there("out.a"), await ground.there("out.b")) == (1, 1)


async def test_what_cannot_be_set_aside_stops_the_worker(ground: Ground) -> None:
    outgoing = Outgoing(ground.writer, Counts(), closed=tuple, look=nothing_new)

    with pytest.raises(NotReachable, match="takes no message of 500 bytes"):
        await outgoing.send([ground.message("quarantine", 500)])


async def test_a_topic_that_is_gone_between_two_looks_keeps_nothing_from_anybody_else(
    ground: Ground, kafka_broker: Broker
) -> None:
    """Known to the client and deleted since, or never there: the client asks for it until its time is over."""
    client = AdminClient({"bootstrap.servers": kafka_broker.bootstrap})
    gone, never, closed = f"out.b-{ground.name}", f"out.c-{ground.name}", set[str]()
    quick, counts = Writer(ground.connection, client_id="test", timeout_s=3.0), Counts()

    async def look() -> None:
        closed.update({gone, never})

    await quick.start()
    outgoing = Outgoing(quick, counts, closed=lambda: closed, look=look)
    try:
        await outgoing.send([ground.message("out.a"), ground.message("out.b")])
        client.delete_topics([gone])[gone].result(30)
        await outgoing.send([ground.message("out.c"), ground.message("out.a"), ground.message("out.b")])
        closed.clear()
        with pytest.raises(NotReachable):  # and where nothing is seen to be gone, the worker ends as before
            await Outgoing(quick, counts, closed=tuple, look=nothing_new).send([ground.message("out.c")])
    finally:
        await quick.stop()

    assert counts.owed == 2
    assert await ground.there("out.a") == 2
