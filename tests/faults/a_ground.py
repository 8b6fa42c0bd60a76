"""
How is a whole bus put up for faults, fed, and left to come to rest?

A real Apache Kafka, the partners' systems, and a supervisor over worker and delivery processes. Events are fed in step
with what has arrived, so that all parts are at work whenever a fault comes; a fault is plain data (`Fault`), and comes
when a given share of the events has reached the hub.
"""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from a_checker import Decision, Notified, Observed, Receipted, check
from a_partner import Partners, open_partners
from a_supervisor import Supervisor, wait_until
from a_world import HOUSING, POLICE, RECIPIENTS, Story, write_register
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AIOTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from safebus.deploy.local.brokers import make_topics
from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Quarantined, Receipt
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.consumer import stop_consumer
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, write_records

SESSION_S = 3.0
#: What every process here gets: short sessions, and short waits between attempts.
SHORT = ("--session", str(SESSION_S), "--look", "3", "--wait", "0.5", "--answer-within", "2")
AHEAD = 60  # events published and not yet at the hub: so many that all are busy, so few that there are many batches
STEP = 20
STALLED_S = 6.0
_LOOKED_AT = (
    *(topics.DECISIONS, topics.QUARANTINE),
    *(
        of(partner)
        for partner in RECIPIENTS
        for of in (topics.notifications_for, topics.receipts_from, topics.parked_for)
    ),
)


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    Attributes:
        at: When this share of the events has reached the hub.
        what: `kill`, `terminate`, `pause` (for `for_s` seconds), `broker` (killed and started again), or `halt-broker`
            (for `for_s` seconds; it answers nobody, and then takes everybody for gone).
    """

    at: float
    what: str
    whom: str = ""
    for_s: float = 0.0


def schedule(seed: int, *, kills: int, whom: Sequence[str]) -> list[Fault]:
    """So many kills, spread evenly over processes and by chance over time; a broker's end and a pause among them."""
    chance = random.Random(seed)
    faults = [Fault(chance.uniform(0.03, 0.95), "kill", whom[n % len(whom)]) for n in range(kills)]
    workers = [name for name in whom if name.startswith("worker")]
    faults.append(Fault(chance.uniform(0.3, 0.6), "broker"))
    faults.append(Fault(chance.uniform(0.1, 0.9), "pause", chance.choice(workers), for_s=2 * SESSION_S))
    faults.append(Fault(chance.uniform(0.1, 0.9), "terminate", chance.choice(list(whom))))
    return sorted(faults, key=lambda fault: fault.at)


@dataclass
class Ground:
    """
    A bus to break.

    Attributes:
        others: The events of stories that are over.
    """

    broker: KafkaBroker
    connection: Connection
    settings: settings.Settings
    partners: Partners
    processes: Supervisor
    others: set[str] = field(default_factory=set)
    _begins: dict[str, dict[int, int]] = field(default_factory=dict)  # topic -> partition -> where this story begins

    def __post_init__(self) -> None:
        # librdkafka for the harness: it works in threads of its own, so a test needs no loop.
        self._there = {"bootstrap.servers": self.broker.bootstrap, "log_level": 0}
        self._producer = Producer({**self._there, "enable.idempotence": True, "linger.ms": 2})

    def begin(self) -> None:
        """A story begins: what stands on the topics by now is of earlier ones, and is not read again."""
        tps = [TopicPartition(topic, p) for topic in _LOOKED_AT for p in range(topics.PARTITIONS)]
        self._begins = {topic: {} for topic in _LOOKED_AT}
        admin = AdminClient(self._there)  # with a name: one that nobody holds is gone before it has an answer
        for tp, end in admin.list_offsets({tp: OffsetSpec.latest() for tp in tps}).items():
            self._begins[tp.topic][tp.partition] = end.result(60).offset

    def records(self, topic: str) -> AsyncIterator[Any]:
        """What stands on a topic since this story began."""
        return read_topic(self.connection, topic, starts=self._begins[topic])

    def worker(self, name: str = "worker-1", *faults: Sequence[str], always: Sequence[str] = ()) -> None:
        """Start one; `faults`: of the first process, of the one that follows it, and so on."""
        self.processes.start(name, ["worker"], faults=faults, always=[*SHORT, *always])

    def deliver(
        self,
        name: str = "deliver-1",
        *faults: Sequence[str],
        to: Sequence[str] = (),
        always: Sequence[str] = (),
        says: str = "info",
    ) -> None:
        """Start one, for all partners or some. One that says only errors writes no log while all is well."""
        command = ["deliver", *to, "--destinations", str(self.partners.destinations)]
        self.processes.start(name, command, faults=faults, always=[*SHORT, "--says", says, *always])

    def publish(self, messages: list[Message]) -> None:
        """
        Write events and wait until the broker has them; librdkafka asks again while it is away.

        Raises:
            TimeoutError: It has not all of them after a minute.
        """
        refused: list[str] = []
        for m in messages:
            self._producer.produce(
                m.topic,
                m.value,
                m.key,
                headers=list(m.headers),
                on_delivery=lambda error, _: refused.append(str(error)) if error else None,
            )
        if self._producer.flush(60) or refused:
            raise TimeoutError(f"events were not taken by the broker: {refused[:1]}")

    def feed(
        self, story: Story, count: int, faults: Sequence[Fault] = (), *, ahead: int = AHEAD, within_s: float = 240.0
    ) -> None:
        """Publish so many events in step with their arrival, and let the faults come."""
        waiting, resume = list(faults), dict[str, float]()
        begin, wanted = len(story.published), len(story.published) + count
        arrived, moved = self.at_the_hub(), time.monotonic()
        give_up = moved + within_s
        while len(story.published) < wanted or waiting or resume:
            now = time.monotonic()
            if self.at_the_hub() != arrived:
                arrived, moved = self.at_the_hub(), now
            # Where something was lost, as it may be without a safeguard, the rest comes all the same.
            if len(story.published) < wanted and (len(story.published) - arrived < ahead or now - moved > STALLED_S):
                self.publish(story.incidents(min(STEP, wanted - len(story.published))))
            while waiting and arrived - begin >= waiting[0].at * count:
                self._do(waiting.pop(0), resume)
            for name in [name for name, until in resume.items() if now > until]:
                self.processes.resume(name)
                del resume[name]
            if now > give_up:
                words = self.processes.last_words()
                raise TimeoutError(f"{arrived} of {wanted} at the hub after {within_s} s; to come: {waiting}{words}")
            time.sleep(0.02)

    def feed_until(self, story: Story, fact: Callable[[], bool], what: str, *, within_s: float = 240.0) -> None:
        """
        Publish some events, and some more, until it is so.

        Slowly: how many it takes is up to the machine, and every one of them has to be delivered in the end.

        Raises:
            TimeoutError: It was not so in time; names `what`, and shows what the processes said last.
        """
        give_up = time.monotonic() + within_s
        while not fact():
            if time.monotonic() > give_up:
                words = self.processes.last_words()
                raise TimeoutError(f"after {within_s:.0f} s still waiting for: {what}{words}")
            self.feed(story, STEP)
            time.sleep(0.2)

    def _do(self, fault: Fault, resume: dict[str, float]) -> None:
        match fault.what:
            case "kill":
                self.processes.kill(fault.whom)
            case "terminate":
                self.processes.terminate(fault.whom)
            case "pause":
                self.processes.pause(fault.whom)
                resume[fault.whom] = time.monotonic() + fault.for_s
            case "broker":
                self.broker.kill()
                self.broker.start()
            case "halt-broker":
                # By a thread of its own: whoever publishes waits for the broker.
                child = self.broker._child
                assert child is not None
                child.send_signal(signal.SIGSTOP)
                threading.Timer(fault.for_s, child.send_signal, [signal.SIGCONT]).start()

    def at_the_hub(self) -> int:
        """How many events of this story have reached the hub."""
        return len(self.partners.hub.events)

    def come_to_rest(self, *, to: Sequence[str] = RECIPIENTS, within_s: float = 300.0) -> None:
        """
        Wait until nothing is left to do: every offset of every group that counts stands at the end of its topic.

        Raises:
            TimeoutError: It was not so in time; shows what the processes said last.
        """
        sources = [topics.published_by(agency) for agency in (POLICE, HOUSING)]
        groups = [("safebus-worker", topic) for topic in sources]
        groups += [(f"adapter-{partner}", topics.notifications_for(partner)) for partner in to]
        try:
            wait_until(lambda: asyncio.run(self._left(groups)) == 0, "the bus to come to rest", within_s=within_s)
        except TimeoutError as exc:
            raise TimeoutError(f"{exc}{self.processes.last_words()}") from None

    async def _left(self, groups: list[tuple[str, str]]) -> int:
        """
        Records that a group has not committed yet. Sources first: what follows from them is then complete.

        Not by librdkafka: asked while a group's coordinator wakes up, it ends the whole process (its issue 5040).
        """
        there = self.connection.consumer_settings()
        admin, consumer = AIOKafkaAdminClient(**there, request_timeout_ms=10_000), AIOKafkaConsumer(**there)
        try:
            await admin.start()
            await consumer.start()
            for group, topic in groups:
                tps = [AIOTopicPartition(topic, p) for p in range(topics.PARTITIONS)]
                done = await admin.list_consumer_group_offsets(group, partitions=tps)
                ends = await consumer.end_offsets(tps)
                if set(tps) - set(done):
                    return -1  # aiokafka passes over the error of an answer as a whole: there is no coordinator yet
                left = sum(ends[tp] - max(done[tp].offset, 0) for tp in tps)
                if left:
                    return left
        except (KafkaError, TimeoutError):
            return -1  # the broker is away, or a group has no coordinator yet
        finally:
            await stop_consumer(consumer)
            await admin.close()
        return 0

    def observe(self) -> Observed:
        """Everything that happened, but for what belongs to stories that are over."""
        seen = asyncio.run(self._read())
        seen.effects = self.partners.effects()
        alarms = {d.alarm() for d in seen.decisions if d.event_id in self.others}
        return Observed(
            [d for d in seen.decisions if d.event_id not in self.others],
            [n for n in seen.notified if n.event_id not in self.others],
            [r for r in seen.receipts if r.event_id not in self.others],
            [e for e in seen.effects if e.event_id not in self.others],
            [entry for entry in seen.set_aside if entry not in alarms],
        )

    def findings(self, story: Story) -> list[str]:
        """What the checker says."""
        return check(story.published, self.observe())

    async def _read(self) -> Observed:
        seen = Observed()
        # One after another: side by side, each would wait for the others' decoding and take the broker for silent.
        for reading in (self._decisions(seen), self._receipts(seen), self._set_aside(seen)):
            await reading
        for partner in RECIPIENTS:
            await self._notified(seen, partner)
        return seen

    async def _decisions(self, seen: Observed) -> None:
        digest = self.settings.person_key().digest
        async for m in self.records(topics.DECISIONS):
            record = codec.decode_record(m.value, DecisionRecord)
            outcomes = tuple(sorted((a.recipient, a.outcome.value) for a in record.answers))
            place = f"{record.origin.topic}/{record.origin.partition}/{record.origin.offset}"
            to_see = place if record.worklist else None
            seen.decisions.append(Decision(record.event_id, outcomes, digest(m.value), to_see))

    async def _notified(self, seen: Observed, partner: str) -> None:
        digest = self.settings.person_key().digest
        async for m in self.records(topics.notifications_for(partner)):
            n = codec.decode_record(m.value, Notification)
            seen.notified.append(Notified(partner, n.notification_id, n.event_id, digest(m.value)))

    async def _receipts(self, seen: Observed) -> None:
        async for m in self.receipts():
            r = codec.decode_record(m.value, Receipt)
            # Truncated to milliseconds by the broker.
            at = m.timestamp / 1000 + 0.001
            seen.receipts.append(Receipted(r.partner, r.notification_id, r.event_id, r.stage, at))

    async def receipts(self) -> AsyncIterator[Any]:
        for partner in RECIPIENTS:
            async for m in self.records(topics.receipts_from(partner)):
                yield m

    async def _set_aside(self, seen: Observed) -> None:
        async for m in self.records(topics.QUARANTINE):
            q = codec.decode_record(m.value, Quarantined)
            seen.set_aside.append(f"{q.reason} {q.topic}/{q.partition}/{q.offset}")

    def clear(self, story: Story) -> None:
        """End the processes; what this story published is no longer looked at."""
        self.processes.end_all()
        self.processes.ends.clear()
        for receiver in (self.partners.hub, self.partners.haven):
            receiver.be_well()
        self.others |= {sent.event_id for sent in story.published}


@contextmanager
def open_ground(folder: Path) -> Iterator[Ground]:
    """Broker, topics, register and partners; no worker yet."""
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    # Kafka refuses sessions below 6 s unless it is told otherwise.
    broker = KafkaBroker(folder / "broker", settings={"group.min.session.timeout.ms": "500"})
    broker.start()
    try:
        connection = Connection(broker.bootstrap)
        key_files.init(found.home)
        entries = [c.entry for c in changes_of(write_register(folder / "register"), Register(), found.person_key())]
        key_files.init_cases(found.home, partners_of(entries))
        make_topics(broker, wanted(partners_of(entries)))
        records = as_records(entries, at=datetime.now(UTC), by="test", reason="test")
        asyncio.run(write_records(connection, records, key=found.person_key()))
        with open_partners(folder / "partners") as partners:
            processes = Supervisor(home=found.home, broker=broker.bootstrap, logs=folder / "logs")
            try:
                yield Ground(broker, connection, found, partners, processes)
            finally:
                processes.close()
    finally:
        broker.stop()
