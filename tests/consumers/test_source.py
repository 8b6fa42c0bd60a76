"""Nothing of a partition is handed out before it is known what its last owner did with it, on both brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from consumers.source import Source, Waiting
from deploy.brokers import Broker
from schemas.broker_link import Connection
from schemas.errors import NotReachable
from schemas.outbound import Message, Outbound


@pytest.fixture
async def connection(broker: Broker, fresh: str) -> Connection:
    """One notification waits for the partner whose name is `fresh`."""
    broker.create_topics({f"out.{fresh}": 4})
    connection = Connection(broker.bootstrap)
    outbound = Outbound(connection, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(f"out.{fresh}", b"case", b"notification", (), 2)])
    await outbound.stop()
    return connection


async def nothing(_partitions: set[int]) -> None:
    return None


def source(connection: Connection, partner: str, assigned: Callable[[], Awaitable[None]]) -> Source:
    return Source(connection, partner=partner, revoked=nothing, assigned=assigned, session_s=6.0)


async def test_what_was_fetched_waits_until_the_ledger_is_read(connection: Connection, fresh: str) -> None:
    """aiokafka gives out records of new partitions while it still tells of them: they were delivered a second time."""
    begun, ledger_read = asyncio.Event(), asyncio.Event()

    async def read_the_ledger() -> None:
        begun.set()
        await ledger_read.wait()

    found = source(connection, fresh, read_the_ledger)
    await found.start()
    fetching = asyncio.create_task(_first(found))
    async with asyncio.timeout(30):
        await begun.wait()
        # Long enough for the record to be fetched: another consumer has it.
        await _fetched_by_another(connection, fresh)
    before = fetching.done()
    ledger_read.set()
    async with asyncio.timeout(30):
        came = await fetching
    open_before, _ = found.is_open(came[0]), found.dealt_with(came[0])
    await found.stop()

    assert not before
    assert [(w.partition, w.value) for w in came] == [(2, b"notification")]
    assert (open_before, found.is_open(came[0])) == (True, False)


async def _first(found: Source) -> list[Waiting]:
    while not (came := await found.fetch(0.2)):
        pass
    return came


async def _fetched_by_another(connection: Connection, partner: str) -> None:
    from schemas import broker_link

    for _ in range(3):
        assert [m.value async for m in broker_link.read(connection, f"out.{partner}")] == [b"notification"]


async def test_without_a_ledger_nothing_is_handed_out(connection: Connection, fresh: str) -> None:
    """aiokafka only logs what fails here, and would go on."""

    async def fails() -> None:
        raise NotReachable("no receipts")

    found = source(connection, fresh, fails)
    await found.start()

    with pytest.raises(NotReachable, match="no receipts"):
        async with asyncio.timeout(30):
            await _first(found)
    await found.stop()
