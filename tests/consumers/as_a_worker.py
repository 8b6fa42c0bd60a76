"""Decisions as a worker writes them: in a transaction. Whatever stands outside of one is not the worker's."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets, settled_ends
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.writer import Message, Writer


@asynccontextmanager
async def as_worker(connection: Connection) -> AsyncIterator[Writer]:
    """A writer that only writes in transactions."""
    writer = Writer(connection, client_id="test", transactional_id=f"test-{uuid.uuid4()}")
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


async def write_as_worker(connection: Connection, *messages: Message) -> None:
    """Write all of them in one transaction, and return when readers see it."""
    async with as_worker(connection) as writer:
        await writer.send_as_one(messages)
    places = {Partition(m.topic, m.partition or 0) for m in messages}
    async with Offsets(connection) as surely, Offsets(connection, committed=False) as all_:
        await settled_ends(surely, all_, places)
