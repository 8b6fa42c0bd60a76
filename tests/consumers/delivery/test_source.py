"""The processes that deliver to one partner share its topic; how they do, `tests/schemas/kafka/test_group.py` shows."""

from __future__ import annotations

import asyncio

from safebus.consumers.delivery.source import Source, Waiting
from safebus.deploy.local.brokers import Broker
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import committed_by
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.writer import Message, Writer


async def nothing(_partitions: set[int]) -> None:
    return None


async def at_once() -> None:
    return None


async def test_a_partner_s_notifications_are_taken_and_committed_under_its_own_group(
    broker: Broker, fresh: str
) -> None:
    """Under another name they would all be delivered again."""
    broker.create_topics({f"out.{fresh}": 4, f"out.{fresh}-other": 4})
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all(
        [Message(f"out.{name}", b"case", name.encode(), (), 2) for name in (fresh, f"{fresh}-other")]
    )
    await outbound.stop()

    source = Source(connection, partner=fresh, revoked=nothing, assigned=at_once)
    await source.start()
    async with asyncio.timeout(30):
        while not (came := await source.fetch(0.2)):
            pass
    source.dealt_with(came[0])
    await source.stop()
    committed = await committed_by(connection, f"adapter-{fresh}", [Partition(f"out.{fresh}", p) for p in range(4)])

    assert came == [Waiting(2, 0, fresh.encode())]
    assert committed[Partition(f"out.{fresh}", 2)] == 1
