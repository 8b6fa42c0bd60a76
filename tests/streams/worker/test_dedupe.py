"""What was decided of a partition is known to whoever takes it over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.schemas import topics
from safebus.schemas.bus_records import Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.worker.dedupe import Dedupe, KnownDecision

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def decided(offset: int) -> KnownDecision:
    return KnownDecision(
        origin=Origin(topic="in.ash", partition=1, offset=offset),
        input_digest=f"input-{offset}",
        register_offset=7,
        decided_at=NOON + timedelta(milliseconds=offset),
        record_digest=f"record-{offset}",
    )


@pytest.fixture
def connection(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Decisions on a topic of this test's own."""
    monkeypatch.setattr(topics, "DECISIONS", f"decisions-{fresh}")
    broker.create_topics({topics.DECISIONS: 4})
    return Connection(broker.bootstrap)


async def write(connection: Connection, *offsets: int, header: bool = True) -> None:
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all(
        Message(
            topics.DECISIONS,
            f"event-{offset}".encode(),
            b"record",
            [("ce_source", b"ash"), *([decided(offset).header()] if header else [])],
            1,
        )
        for offset in offsets
    )
    await outbound.stop()


def test_what_stands_in_the_header_is_all_of_it() -> None:
    one = decided(3)

    assert KnownDecision.from_header(one.header()[1]) == one


async def test_a_takeover_knows_what_another_worker_decided(connection: Connection) -> None:
    await write(connection, 1, 2)
    dedupe = Dedupe(connection)
    await dedupe.read_tails({1})

    assert dedupe.find(1, "ash", "event-2") == decided(2)
    assert dedupe.find(1, "beech", "event-2") is None
    assert dedupe.find(1, "ash", "event-3") is None


async def test_a_second_takeover_adds_what_came_in_between(connection: Connection) -> None:
    dedupe = Dedupe(connection)
    await dedupe.read_tails({1})
    dedupe.add(1, "ash", "event-1", decided(1))
    await write(connection, 1, 2)
    await dedupe.read_tails({1})
    await write(connection, 3)
    await dedupe.read_tails({1})

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3)] == [decided(1), decided(2), decided(3)]


async def test_no_more_is_remembered_than_the_window_holds(connection: Connection) -> None:
    await write(connection, 1, 2, 3)
    dedupe = Dedupe(connection, window=2)
    await dedupe.read_tails({1})
    dedupe.add(1, "ash", "event-4", decided(4))

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3, 4)] == [None, None, decided(3), decided(4)]


async def test_a_decision_that_no_worker_wrote_stops_it(connection: Connection) -> None:
    await write(connection, 1, header=False)

    with pytest.raises(BrokenPromise, match=r"was not written by the worker"):
        await Dedupe(connection).read_tails({1})
