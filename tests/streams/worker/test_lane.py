"""
What stock Faust loses, the lane keeps: the loss matrix in the small, on both brokers.

Each test runs a real Faust application over real topics; a "restart" is a second application in the same group.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from safebus.deploy.local.brokers import Broker
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.worker import app as worker_app
from safebus.streams.worker.lane import Batches
from safebus.streams.worker.process import _live


@pytest.fixture
def connection(broker: Broker) -> Connection:
    return Connection(broker.bootstrap)


@pytest.fixture
async def topic(broker: Broker, fresh: str, connection: Connection) -> str:
    """A topic with twelve records, three in each partition."""
    name = f"in.{fresh}"
    broker.create_topics({name: 4})
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all(Message(name, b"k", str(i).encode(), (), i % 4) for i in range(12))
    await outbound.stop()
    return name


async def run_until(
    connection: Connection,
    topic: str,
    handler: Callable[[Batches, int], Awaitable[None]],
    done: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> BaseException | None:
    """Run an application until `done` or until it stops by itself; returns what stopped it."""
    monkeypatch.setattr(worker_app, "GROUP", f"group-{topic}")
    app = worker_app.build(
        connection, [topic], handler, session_timeout_s=6.0, commit_every_s=0.2, scratch=Path(tempfile.mkdtemp())
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(_live(app, stop, asyncio.sleep(3600), asyncio.sleep(3600, []), 0, 1))
    try:
        async with asyncio.timeout(60):
            while not done() and not running.done():
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.wait([running])
    return running.exception()


async def committed(connection: Connection, topic: str) -> dict[int, int]:
    """The group's offsets, by partition."""
    consumer = AIOKafkaConsumer(group_id=f"group-{topic}", enable_auto_commit=False, **connection.consumer_settings())
    await consumer.start()
    try:
        found = {p: await consumer.committed(TopicPartition(topic, p)) for p in range(4)}
    finally:
        await consumer.stop()
    return {p: offset for p, offset in found.items() if offset is not None}


def values(batches: Batches) -> list[int]:
    return [int(record.value) for _, records in batches for record in records]


async def test_everything_that_was_handled_is_committed(
    connection: Connection, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    async def handler(batches: Batches, _generation: int) -> None:
        seen.extend(values(batches))

    stopped_by = await run_until(connection, topic, handler, lambda: len(seen) >= 12, monkeypatch)

    assert stopped_by is None
    assert sorted(seen) == list(range(12))
    assert await committed(connection, topic) == {0: 3, 1: 3, 2: 3, 3: 3}


async def test_a_handler_that_raises_stops_the_worker_and_moves_no_offset(
    connection: Connection, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stock Faust would have lost the event and committed past it."""

    async def fails(_batches: Batches, _generation: int) -> None:
        raise ConnectionError("no acknowledgement")

    stopped_by = await run_until(connection, topic, fails, lambda: False, monkeypatch)
    seen: list[int] = []

    async def successor(batches: Batches, _generation: int) -> None:
        seen.extend(values(batches))

    assert isinstance(stopped_by, ConnectionError)
    assert await committed(connection, topic) == {}
    await run_until(connection, topic, successor, lambda: len(set(seen)) >= 12, monkeypatch)
    assert sorted(set(seen)) == list(range(12))


async def test_what_a_successor_redoes_begins_at_the_first_unfinished_batch(
    connection: Connection, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[int] = []

    async def once_then_fails(batches: Batches, _generation: int) -> None:
        if first:
            raise ConnectionError("no acknowledgement")
        first.extend(values(batches))
        await more()

    async def more() -> None:
        outbound = Writer(connection, client_id="test")
        await outbound.start()
        await outbound.send_all([Message(topic, b"k", b"100", (), 0)])
        await outbound.stop()

    stopped_by = await run_until(connection, topic, once_then_fails, lambda: False, monkeypatch)
    again: list[int] = []

    async def successor(batches: Batches, _generation: int) -> None:
        again.extend(values(batches))

    everything = {*range(12), 100}
    done: Callable[[], bool] = lambda: everything <= {*first, *again}  # noqa: E731 - reads as the fact it waits for
    await run_until(connection, topic, successor, done, monkeypatch)

    assert isinstance(stopped_by, ConnectionError)
    assert {*first, *again} == everything


async def test_partitions_take_turns_though_each_has_a_backlog(
    connection: Connection, broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With megabytes fetched of one partition at a time, another would wait for thousands of events."""
    name = f"in.{fresh}"
    broker.create_topics({name: 4})
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all(Message(name, b"k", bytes(1000), (), i % 4) for i in range(8000))
    await outbound.stop()
    seen: list[int] = []

    async def handler(batches: Batches, _generation: int) -> None:
        seen.extend(where.number for where, records in batches for _ in records)

    await run_until(connection, name, handler, lambda: len(seen) >= 3000, monkeypatch)

    assert set(seen[:3000]) == {0, 1, 2, 3}
