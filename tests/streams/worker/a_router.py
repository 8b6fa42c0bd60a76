"""A router on a real broker, without Faust around it: a test hands it batches as the lane would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from safebus.deploy.local.brokers import Broker, make_topics
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas import codec, sealing, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Quarantined
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, write_records
from safebus.streams.worker.counts import Counts
from safebus.streams.worker.decision_log import DecisionLog
from safebus.streams.worker.dedupe import Dedupe
from safebus.streams.worker.outgoing import Outgoing
from safebus.streams.worker.router import Router, RouterKeys

Headers = Sequence[tuple[str, bytes]]

KEY = PersonKey(b"k" * 32)
SEAL_PRIVATE, SEAL_PUBLIC = sealing.new_key()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICE = "in.fordshire-police"


def demo_entries() -> list[Entry]:
    return [change.entry for change in changes_of(DEMO_REGISTER, Register(), KEY)]


async def load_demo(broker: Broker) -> Connection:
    """Topics and register of the demonstration, once for each broker."""
    entries = demo_entries()
    make_topics(broker, wanted(partners_of(entries)))
    connection = Connection(broker.bootstrap)
    if not (await current_register(connection)).partners:
        await write_records(connection, as_records(entries, at=NOON, by="test", reason="test"), key=KEY)
    return connection


@dataclass
class Running:
    """A router, and what it reads and writes through."""

    router: Router
    register: RegisterReader
    outbound: Writer
    connection: Connection

    async def publish(self, value: bytes, *, partition: int = 0, key: bytes = b"case", headers: Headers = ()) -> int:
        [(_, offset)] = await self.outbound.send_all([Message(POLICE, key, value, headers, partition)])
        return offset

    async def handle(self, *offsets: int, partition: int = 0, generation: int = 1) -> None:
        """Hand over the records at these offsets, as one batch."""
        found = [m async for m in read_topic(self.connection, POLICE, partitions=[partition]) if m.offset in offsets]
        await self.router([(Partition(POLICE, partition), found)], generation)

    async def decisions(self, event_id: str) -> list[bytes]:
        """All there are, once there is one: a transaction is committed a moment before readers see it."""
        async with asyncio.timeout(20):
            while not (found := await self.decisions_now(event_id)):
                await asyncio.sleep(0.02)
        return found

    async def decisions_now(self, event_id: str) -> list[bytes]:
        read = read_topic(self.connection, topics.DECISIONS)
        return [m.value async for m in read if m.key.decode() == event_id]

    async def decision(self, event_id: str) -> DecisionRecord:
        [value] = await self.decisions(event_id)
        return codec.decode_record(value, DecisionRecord)

    async def sent(self, partner: str, event_id: str) -> list[bytes]:
        read = read_topic(self.connection, topics.notifications_for(partner))
        return [m.value async for m in read if codec.decode_record(m.value, Notification).event_id == event_id]

    async def quarantined(self, offset: int) -> list[Quarantined]:
        read = read_topic(self.connection, topics.QUARANTINE)
        found = [codec.decode_record(m.value, Quarantined) async for m in read]
        return [q for q in found if q.offset == offset and q.topic == POLICE]


async def _no_other() -> None:
    """Every topic is there."""


@asynccontextmanager
async def running(
    connection: Connection, *, now: datetime = NOON, rules_digest: str = "rules"
) -> AsyncIterator[Running]:
    """A new worker, as after a start: nothing remembered but what is on the topics."""
    register = RegisterReader(connection, key=KEY)
    outbound = Writer(connection, client_id="test")
    decisions = DecisionLog(connection)
    await register.start()
    await outbound.start()
    router = Router(
        register=register,
        dedupe=Dedupe(connection, key=KEY),
        decisions=decisions,
        outgoing=Outgoing(outbound, Counts(), closed=tuple, look=_no_other),
        keys=RouterKeys(KEY, SEAL_PUBLIC),
        schemas=event_schemas(),
        rules_digest=rules_digest,
        clock=lambda: now,
    )
    try:
        yield Running(router, register, outbound, connection)
    finally:
        await decisions.stop()
        await outbound.stop()
        await register.stop()
