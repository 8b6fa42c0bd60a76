"""Topics as a worker leaves them, without a worker: a test writes each part, rightly or with a fault."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from as_a_worker import write_as_worker

from safebus.consumers.audit.replay.verify import Verified, verify
from safebus.deploy.local.brokers import Broker, make_topics
from safebus.deploy.local.demo import story
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Origin, RegisterRecord
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records
from safebus.streams.rules import sharing
from safebus.streams.rules.notifications import Output
from safebus.streams.rules.sharing import Shared

KEY = PersonKey(b"k" * 32)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICE = topics.published_by("fordshire-police")
RULES = "rules"


@cache
def entries() -> Sequence[Entry]:
    return [change.entry for change in changes_of(DEMO_REGISTER, Register(), KEY)]


@cache
def register_log() -> Sequence[tuple[int, RegisterRecord]]:
    return list(enumerate(as_records(list(entries()), at=NOON, by="test", reason="test")))


@dataclass
class RegisterRead:
    """A register that is read to its end, or up to so many of its last records before it is read on."""

    not_yet: int = 0

    @property
    def log(self) -> Sequence[tuple[int, RegisterRecord]]:
        return register_log()[: len(register_log()) - self.not_yet]

    @property
    def taken_in(self) -> Sequence[tuple[int, int]]:
        return [(offset, 0) for offset, _ in self.log]

    async def catch_up(self) -> None:
        self.not_yet = 0


@dataclass
class DecidedBus:
    """
    Topics, and what this test wrote to them.

    Attributes:
        since: Everything this test writes, the broker took then or later.
    """

    connection: Connection
    outbound: Writer
    since: datetime

    async def publish(self, *, partition: int = 0, encode: Callable[[Event], bytes] = codec.encode) -> Origin:
        event = story.incident().model_copy(update={"event_id": str(uuid.uuid4())})
        [(_, offset)] = await self.outbound.send_all([Message(POLICE, b"case", encode(event), (), partition)])
        return Origin(topic=POLICE, partition=partition, offset=offset)

    async def shared(self, origin: Origin, *, register_offset: int | None = None, at: datetime | None = None) -> Shared:
        """What the worker would decide about the event there, now and on the register as it stands."""
        [message] = [
            m
            async for m in read_topic(
                self.connection,
                origin.topic,
                partitions=[origin.partition],
                starts={origin.partition: origin.offset},
                ends={origin.partition: origin.offset + 1},
            )
        ]
        register = Register.at(register_log(), len(register_log()) if register_offset is None else register_offset)
        now = at or datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        received = codec.decode(message.value)
        found = sharing.share(received, register, origin=origin, now=now, key=KEY, rules_digest=RULES)
        assert isinstance(found, Shared)
        return found

    async def record(self, decision: DecisionRecord | bytes, *, event_id: str = "", partition: int = 0) -> None:
        """Write a decision record."""
        value = decision if isinstance(decision, bytes) else codec.encode_record(decision)
        key = event_id if isinstance(decision, bytes) else decision.event_id
        await write_as_worker(self.connection, Message(topics.DECISIONS, key.encode(), value, (), partition))

    async def send(self, *outputs: Output | Notification) -> None:
        """Write notifications to their partners' topics."""
        for n in (o.notification if isinstance(o, Output) else o for o in outputs):
            await self.send_value(n, codec.encode_record(n))

    async def send_value(self, n: Notification, value: bytes) -> None:
        """Write a notification in these bytes."""
        about = headers.cloud_event(id=n.notification_id, source="safebus", type=n.event_type)
        message = Message(topics.notifications_for(n.recipient), n.subject_token.encode(), value, about)
        await self.outbound.send_all([message])

    async def decide(self, *, partition: int = 0) -> Shared:
        """An event, its decision and its notifications, as they should be."""
        shared = await self.shared(await self.publish(partition=partition))
        await self.record(shared.record, partition=partition)
        await self.send(*shared.outputs)
        return shared

    async def last_decided_at(self) -> datetime:
        """When the broker took the newest decision."""
        times = [
            m.timestamp async for m in read_topic(self.connection, topics.DECISIONS, last=2)
        ]  # the mark is the last
        return datetime.fromtimestamp(max(times) / 1000, UTC)

    async def verify(
        self, *, since: datetime | None = None, until: datetime | None = None, **settings: Any
    ) -> Verified:
        """Verify all that this test wrote."""
        return await verify(
            self.connection,
            since=since or self.since,
            until=until or datetime.now(UTC) + timedelta(minutes=1),
            key=KEY,
            schemas=event_schemas(),
            rules_digest=RULES,
            progress=lambda _n: None,
            **{"register": RegisterRead(), **settings},
        )


@asynccontextmanager
async def decided_bus(broker: Broker) -> AsyncIterator[DecidedBus]:
    make_topics(broker, wanted(partners_of(entries())))
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    now = datetime.now(UTC)
    # A later millisecond than anything another test wrote: this one's writes come after a start that takes many.
    since = now.replace(microsecond=now.microsecond // 1000 * 1000) + timedelta(milliseconds=1)
    await outbound.start()
    try:
        yield DecidedBus(connection, outbound, since)
    finally:
        await outbound.stop()
