"""What one partner's topic does not take is owed, and keeps nothing from anybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

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
    outgoing = Outgoing(ground.writer, counts)

    await outgoing.send([ground.message("out.a", 500), ground.message("out.b", 500), ground.message("out.a", 500)])
    await outgoing.send([ground.message("out.b"), ground.message("out.a")])

    assert counts.owed == 1
    assert (await ground.there("out.a"), await ground.there("out.b")) == (3, 1)


async def test_what_is_closed_is_not_tried_until_it_is_open(ground: Ground) -> None:
    closed = {f"out.b-{ground.name}"}
    counts = Counts()
    outgoing = Outgoing(ground.writer, counts, closed=lambda: closed)

    await outgoing.send([ground.message("out.b"), ground.message("out.a")])
    closed.clear()
    await outgoing.send([ground.message("out.b")])

    assert counts.owed == 1
    assert (await ground.there("out.a"), await ground.there("out.b")) == (1, 1)


async def test_what_cannot_be_set_aside_stops_the_worker(ground: Ground) -> None:
    outgoing = Outgoing(ground.writer, Counts())

    with pytest.raises(NotReachable, match="did not acknowledge a message of 500 bytes"):
        await outgoing.send([ground.message("quarantine", 500)])
