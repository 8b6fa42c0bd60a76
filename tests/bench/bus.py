"""
How does the broker look before each round, and what stands on it afterwards?

One Apache Kafka for a whole run. Before a round the topics that are written in it are emptied and the groups are
forgotten, so that every round starts from the same state on the same warm broker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safebus.deploy.local.brokers import Broker, make_topics, open_broker
from safebus.deploy.local.processes import Processes
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.settings import Settings
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas import topics
from safebus.schemas.errors import SafebusError
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.write import as_records, write_records
from tests.bench import world

IN = topics.published_by(world.POLICE)
OUTS = tuple(topics.notifications_for(partner) for partner in world.PERMITTED)
#: What a worker writes.
WRITTEN = (topics.DECISIONS, topics.QUARANTINE, *OUTS)
_PATIENCE_S = 240.0


@dataclass
class Bus:
    """A broker with the register and the events on it."""

    broker: Broker
    settings: Settings
    folder: Path
    events: int

    @property
    def connection(self) -> Connection:
        """For those who speak aiokafka."""
        return Connection(self.broker.bootstrap)

    def processes(self) -> Processes:
        """A set of processes of their own; `stop` ends them."""
        return Processes(self.settings, logs=self.folder / "logs", broker=self.broker.bootstrap)

    def start_afresh(self, groups: Sequence[str], *, written: Sequence[str] = WRITTEN) -> None:
        """As if nobody had written to these topics yet, and these groups had read nothing."""
        from confluent_kafka import OFFSET_END, KafkaException, TopicPartition

        admin = self._admin()
        parts = [TopicPartition(topic, p, OFFSET_END) for topic in written for p in range(topics.PARTITIONS)]
        for future in admin.delete_records(parts, request_timeout=_PATIENCE_S).values():
            future.result(_PATIENCE_S)
        for future in admin.delete_consumer_groups(list(groups), request_timeout=_PATIENCE_S).values():
            with suppress(KafkaException):  # there is none of this name
                future.result(_PATIENCE_S)

    def wait_until_committed(self, group: str, *, alive: Any, topic: str = IN) -> None:
        """
        Everything on a topic has been dealt with; each of those measured here holds as many records as events.

        Args:
            alive: Raises when whoever does the work has ended.
        """
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        consumer = Consumer({**self.client(), "group.id": group, "enable.auto.commit": False})
        parts = [TopicPartition(topic, p) for p in range(topics.PARTITIONS)]

        def committed() -> bool:
            alive()
            try:
                return sum(max(0, found.offset) for found in consumer.committed(parts, timeout=30)) >= self.events
            except KafkaException:  # the group has no coordinator yet
                return False

        try:
            _until(committed, f"group `{group}` to commit {self.events} records")
        finally:
            consumer.close()

    def appended(self, topic: str) -> list[float]:
        """When the broker took each record of a topic that was not taken back, seconds, in order."""
        return sorted(message.timestamp()[1] / 1000 for message in self.messages(topic))

    def messages(self, topic: str) -> list[Any]:
        """Everything on a topic."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

        consumer = Consumer(
            {
                **self.client(),
                "group.id": "bench-look",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(topics.PARTITIONS)])
        found: list[Any] = []
        ended: set[int | None] = set()
        try:
            while len(ended) < topics.PARTITIONS:
                for message in consumer.consume(1000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        found.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
        finally:
            consumer.close()
        return found

    def client(self) -> dict[str, Any]:
        """For those who speak librdkafka."""
        return {"bootstrap.servers": self.broker.bootstrap}

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient(self.client())


def _until(done: Any, what: str) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > give_up_at:
            raise SafebusError(f"waited {_PATIENCE_S:.0f} s for {what}; the logs in the bench's folder say more")
        time.sleep(0.25)


@contextmanager
def open_bus(folder: Path, *, events: int, families: int = 200, size: world.Size | None = None) -> Iterator[Bus]:
    """Apache Kafka with a register of this size and so many events on `in.bench-police`; ends when the block ends."""
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    key_files.init(found.home)
    now = datetime.now(UTC)
    among = world.families(families)
    entries = world.entries(size or world.Size(), among, key=found.person_key(), today=now.date())
    with open_broker("kafka", data_dir=folder / "broker") as broker:
        # The others never publish or receive, so they need no topics.
        there = [p for p in partners_of(entries) if not p.startswith("other-")]
        make_topics(broker, wanted(there))
        bus = Bus(broker, found, folder, events)
        records = as_records(entries, at=now, by="bench", reason="bench")
        asyncio.run(write_records(bus.connection, records, key=found.person_key()))
        _publish(bus, world.values(world.events(among, events, before=now)), families)
        yield bus


def _publish(bus: Bus, values: Sequence[bytes], families: int) -> None:
    """As a publisher's client does it: keyed by case, so one family's events keep their order."""
    from confluent_kafka import Producer

    producer = Producer({**bus.client(), "acks": "all", "enable.idempotence": True, "linger.ms": 5})
    for i, value in enumerate(values):
        family = i % families
        producer.produce(IN, value, f"case-{family}".encode(), partition=family % topics.PARTITIONS)
        producer.poll(0)
    if producer.flush(60):
        raise SafebusError("the broker did not take the events within 60 s; look at its log")
