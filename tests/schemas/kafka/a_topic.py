"""What the tests of this folder write and read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer

NUMBERS = [b"%d" % n for n in range(6)]
CANARY = b"CANARY-Jane"


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
