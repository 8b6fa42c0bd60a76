"""A refused answer is not an empty one: a group goes on where it was, whatever its coordinator says as it wakes up."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import struct
from collections.abc import AsyncIterator

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CoordinatorLoadInProgressError, NotCoordinatorForGroupError
from wire import OFFSET_FETCH, Wire

from safebus.deploy.local.brokers import Broker
from safebus.schemas.kafka import group_answers
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group import GroupConsumer, Waiting
from safebus.schemas.kafka.writer import Message, Writer


@pytest.fixture
async def wire(embedded_broker: Broker) -> AsyncIterator[Wire]:
    async with Wire(embedded_broker.bootstrap) as found:
        yield found


async def nothing(_partitions: set[int]) -> None:
    return None


async def at_once() -> None:
    return None


async def first(connection: Connection, topic: str) -> tuple[GroupConsumer, Waiting]:
    """A process of the group, and what it is given first."""
    found = GroupConsumer(
        connection, topic=topic, group=f"readers-of-{topic}", revoked=nothing, assigned=at_once, session_s=6.0
    )
    await found.start()
    async with asyncio.timeout(60):
        while not (came := await found.fetch(0.2)):
            pass
    return found, came[0]


@pytest.mark.parametrize("error", [CoordinatorLoadInProgressError, NotCoordinatorForGroupError])
async def test_a_group_goes_on_where_it_was(
    embedded_broker: Broker, wire: Wire, fresh: str, error: type[CoordinatorLoadInProgressError]
) -> None:
    """On Kafka seen after a broker had been halted: a worker began at the beginning."""
    embedded_broker.create_topics({fresh: 1})
    outbound = Writer(Connection(embedded_broker.bootstrap), client_id="test")
    await outbound.start()
    await outbound.send_all([Message(fresh, b"case", value, (), 0) for value in (b"done", b"to do")])
    await outbound.stop()
    before, waiting = await first(Connection(embedded_broker.bootstrap), fresh)
    before.dealt_with(waiting)
    await before.commit()
    await before.stop()
    left = [3]

    def refused(answer: bytes) -> bytes:
        left[0] -= 1
        # No partition, and the error of the answer as a whole; version 3 begins with how long to wait.
        return struct.pack(">iih", 0, 0, error.errno) if left[0] >= 0 else answer

    wire.answers_to[OFFSET_FETCH] = refused
    after, came = await first(Connection(wire.bootstrap), fresh)
    await after.stop()

    assert (waiting.value, came.value) == (b"done", b"to do")
    assert left[0] < 0


def test_it_is_in_effect_and_what_it_relies_on_is_unchanged() -> None:
    """When it changed: read the change, mend `schemas/kafka/group_answers.py`, then write the new digest here."""
    sources = (GroupCoordinator._do_fetch_commit_offsets, group_answers._send)
    found = [hashlib.sha256(inspect.getsource(one).encode()).hexdigest()[:16] for one in sources]

    assert group_answers.installed()
    assert found == ["b0f3598132715552", "fa4b12e914ce9fcf"]
