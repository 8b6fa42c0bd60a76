"""
A bus on Apache Kafka with one real worker, one folder partner, and a publisher that means harm.

Everything is published through librdkafka or, where librdkafka would not do it, as a batch of our own making; each
record's place on the topic is remembered with what must become of it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
from a_batch import GZIP, batch, record
from a_corpus import KEY, ODD_BUT_GOOD, POLICE, flood
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place

from safebus.consumers.audit.reconcile.balance import Account
from safebus.consumers.audit.reconcile.reconcile import Asked, reconcile
from safebus.deploy.local.brokers import Broker, make_topics, open_broker
from safebus.deploy.local.demo import story
from safebus.deploy.local.processes import Processes
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.producers.samples import families, incidents, register_text
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Quarantined
from safebus.schemas.events import Event
from safebus.schemas.gate import GateReason
from safebus.schemas.kafka.batches import UNPACKED_BYTES
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, write_records
from safebus.streams.worker.app import GROUP

UNDER_FIRE = topics.published_by(POLICE)
NEIGHBOUR = topics.published_by("county-hospital")
PARTNER = "ash-primary"
#: Every child of theirs is at `PARTNER`. Many, because what is about one child is delivered one after the other.
FAMILIES = families(6, 40)
#: Before it, no basis lets a school have what the samples publish.
IN_FORCE = datetime(2025, 12, 1, tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Sent:
    """
    What was published, and what must become of it.

    Attributes:
        hostile: (partition, offset) -> kind, and the reasons one of which must be given.
        good: Ids of events that must be decided; those of `POLICE` must reach `PARTNER`.
        neighbours: Ids of events of another agency -> when they were published.
        repeats: How many records have the same bytes as an earlier one.
    """

    began: datetime
    hostile: dict[tuple[int, int], tuple[str, frozenset[str]]] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)
    neighbours: dict[str, datetime] = field(default_factory=dict)
    repeats: int = 0


@dataclass
class Became:
    """
    What became of it, as it stands on the topics and in the partner's folder.

    Attributes:
        answers: Every quarantine record's (partition, offset), reason and time, in the order they were read.
        memory: (time, the worker's resident bytes).
    """

    answers: list[tuple[tuple[int, int], str, datetime]] = field(default_factory=list)
    decided: dict[str, datetime] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    memory: list[tuple[datetime, int]] = field(default_factory=list)

    def most_memory(self) -> int:
        """The most that the worker held more than before the flood, in bytes."""
        return max(held for _, held in self.memory) - self.memory[0][1]

    def memory_at(self, share: float) -> int:
        """What the worker held when this share of the answers had been given, in bytes."""
        when = sorted(at for _, _, at in self.answers)[max(0, int(len(self.answers) * share) - 1)]
        return min(self.memory, key=lambda seen: abs(seen[0] - when))[1]


@dataclass
class FloodedBus:
    home: Path
    broker: Broker
    processes: Processes
    inbox: Path
    worker: psutil.Process
    memory: list[tuple[datetime, int]] = field(default_factory=list)

    def look_at_memory(self) -> None:
        self.memory.append((utc_now(), self.worker.memory_info().rss))

    def publish(self, seed: int, *, hostile: int, good: int) -> Sent:
        """All of it, good ones in between, and now and then one of a neighbour."""
        sent, chance = Sent(utc_now()), random.Random(seed)
        self.look_at_memory()
        producer = Producer(
            {"bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "linger.ms": 20}
            | {"queue.buffering.max.messages": 20_000}
        )
        goods = good_events(seed, good)
        spots = sorted(chance.choices(range(hostile), k=good))
        pace = max(1, hostile // 20)
        for number, one in enumerate(flood(seed, hostile)):
            while spots and spots[0] <= number:
                spots.pop(0)
                self._good(producer, sent, goods.pop(), len(goods) % topics.PARTITIONS)
            if number % pace == 0:
                self._neighbour(producer, sent, chance)
                self.look_at_memory()
            expected = (one.kind, one.reasons)
            _send(
                producer,
                UNDER_FIRE,
                chance.randrange(topics.PARTITIONS),
                one.key,
                one.value,
                one.headers,
                sent,
                expected,
            )
        while goods:
            self._good(producer, sent, goods.pop(), len(goods) % topics.PARTITIONS)
        producer.flush()
        return sent

    def _good(self, producer: Any, sent: Sent, event: Event, partition: int) -> None:
        """Every tenth comes again, and every tenth id with other content."""
        value = codec.encode(event)
        _send(producer, UNDER_FIRE, partition, KEY, value, [("ce_id", b"x"), ("", None), ("ce_id", None)], sent, None)
        sent.good.add(event.event_id)
        if len(sent.good) % 10 == 1:
            sent.repeats += 1
            _send(producer, UNDER_FIRE, partition, KEY, value, [], sent, None)
        if len(sent.good) % 10 == 2:
            other = codec.encode(event.model_copy(update={"correlation_id": "TEST-other"}))
            _send(producer, UNDER_FIRE, partition, KEY, other, [], sent, ("reused_id", frozenset({"ID_REUSED"})))

    def _neighbour(self, producer: Any, sent: Sent, chance: random.Random) -> None:
        event = story.attendance().model_copy(
            update={"event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4))}
        )
        sent.neighbours[event.event_id] = utc_now()
        _send(producer, NEIGHBOUR, chance.randrange(topics.PARTITIONS), KEY, codec.encode(event), [], sent, None)

    def publish_compressed(self, seed: int, sent: Sent) -> None:
        """As real clients do."""
        for number, codec_name in enumerate(("gzip", "snappy", "lz4", "zstd"), start=1):
            producer = Producer(
                {"bootstrap.servers": self.broker.bootstrap, "compression.type": codec_name, "linger.ms": 200}
            )
            for event in good_events(seed + 1000 * number, 20):
                self._good(producer, sent, event, 1)
            producer.flush()

    def publish_damaged(self, sent: Sent) -> None:
        """Batches that no client library writes, and that a broker takes all the same."""
        asyncio.run(self._publish_damaged(sent))

    async def _publish_damaged(self, sent: Sent) -> None:
        client = AIOKafkaClient(bootstrap_servers=self.broker.bootstrap)
        await client.bootstrap()
        await client.add_topic(UNDER_FIRE)
        await client.force_metadata_update()
        for kind, (raw, reasons) in damaged_batches().items():
            for partition in range(topics.PARTITIONS):
                node = client.cluster.leader_for_partition(TopicPartition(UNDER_FIRE, partition))
                request = ProduceRequest(None, -1, 5000, [(UNDER_FIRE, [(partition, raw)])])
                answer = await client.send(node, request)
                [(_, [(_, error, first, *_)])] = answer.topics
                assert error == 0, f"the broker refuses `{kind}` with {error}"
                for number, reason in enumerate(reasons):
                    sent.hostile[partition, first + number] = (kind, frozenset({reason}))
        await client.close()

    @contextmanager
    def transactions(self, seed: int, sent: Sent, each: int) -> Iterator[None]:
        """
        Good events inside transactions: so many that are undone, and so many of one that is open until this ends.

        They stand before whatever is published meanwhile, on every partition.
        """
        with ExitStack() as stack:
            for number, kind in enumerate(("undone", "left_open")):
                # Longer open than any test runs; the broker would undo it by itself after a minute.
                producer = Producer(
                    {"bootstrap.servers": self.broker.bootstrap, "linger.ms": 20}
                    | {"transactional.id": f"police-{kind}", "transaction.timeout.ms": 900_000}
                )
                producer.init_transactions(60)
                producer.begin_transaction()
                expected = (kind, frozenset({GateReason.IN_TRANSACTION.value}))
                for at, event in enumerate(good_events(seed + 5000 * (number + 1), each)):
                    value = codec.encode(event)
                    _send(producer, UNDER_FIRE, at % topics.PARTITIONS, KEY, value, [], sent, expected)
                assert producer.flush(60) == 0
                if kind == "undone":
                    producer.abort_transaction(60)
                else:
                    stack.callback(producer.abort_transaction, 60)
            yield

    def count(self, since: datetime) -> Account:
        """What `safebus reconcile` finds of everything since then."""
        found = settings.load({"SAFEBUS_HOME": str(self.home)})
        asked = Asked(since, utc_now() + timedelta(hours=1), timedelta(seconds=60), GROUP)
        here = Connection(self.broker.bootstrap)
        return asyncio.run(
            reconcile(here, asked, key=found.person_key().digests, clock=utc_now, progress=lambda _: None)
        )

    def watch(self, sent: Sent, *, patience_s: float) -> Became:
        """
        Read what becomes of it until all of it has become something.

        Raises:
            TimeoutError: Says what is missing.
        """
        became = Became(memory=self.memory)
        reader = Consumer(
            {"bootstrap.servers": self.broker.bootstrap, "group.id": "test", "isolation.level": "read_committed"}
            | {"enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        names = (topics.QUARANTINE, topics.DECISIONS)
        reader.assign([Place(name, p, 0) for name in names for p in range(topics.PARTITIONS)])
        give_up = time.monotonic() + patience_s
        try:
            while not became_all(sent, became):
                self.processes.check()
                self.look_at_memory()
                _take(reader.consume(5000, timeout=0.2), became)
                self._look_into_the_folder(became)
                if time.monotonic() > give_up:
                    missing = f"{len(became.answers)} of {len(sent.hostile)} answers, {len(became.decided)} decisions"
                    raise TimeoutError(f"after {patience_s} s: {missing}, {len(became.delivered)} deliveries")
            _take(reader.consume(5000, timeout=1.0), became)
        finally:
            reader.close()
        return became

    def _look_into_the_folder(self, became: Became) -> None:
        files = list(self.inbox.glob("*.json"))
        if len(files) > len(self._seen):
            for file in files:
                if file.name not in self._seen:
                    self._seen.add(file.name)
                    became.delivered.add(json.loads(file.read_text("utf-8"))["event_id"])

    _seen: set[str] = field(default_factory=set)


def good_events(seed: int, count: int) -> list[Event]:
    """So many, in turn over the families, a day apart in each; some of them with a name that is odd."""
    each = [incidents(seed, family, -(-count // len(FAMILIES)), agency=POLICE, since=IN_FORCE) for family in FAMILIES]
    return [_oddly_named(event, n) for n, event in enumerate(chain(*zip(*each, strict=True)))][:count]


def _oddly_named(event: Event, number: int) -> Event:
    if number % 5:
        return event
    first, *others = event.subjects
    named = first.model_copy(update={"given_name": ODD_BUT_GOOD[number // 5 % len(ODD_BUT_GOOD)]})
    return event.model_copy(update={"subjects": (named, *others)})


def damaged_batches() -> dict[str, tuple[bytes, Sequence[str]]]:
    """Kind -> the batch, and for each of its offsets the reason."""
    named = [record(n, value=b"?", headers=[(b"\xff\xfe", b"x")] if n == 1 else []) for n in range(3)]
    three = b"".join(named)
    one_bad = ["NOT_SINGLE_OBJECT", "BAD_HEADER", "NOT_SINGLE_OBJECT"]
    plain = record(0, value=b"?") + record(1, value=b"?")
    bomb = gzip.compress(record(0, value=bytes(200 * 2**20)))
    headers = gzip.compress(record(0, value=b"?", headers=[(b"", None)] * 1_000_000))
    just_below = gzip.compress(record(0, value=bytes(UNPACKED_BYTES - 100)))
    row = {f"bomb_{n}_of_a_row": (batch(just_below, 1, attributes=GZIP), ["TOO_LARGE"]) for n in range(20)}
    return row | {
        "bad_name": (batch(three, 3), one_bad),
        "bad_name_packed": (batch(gzip.compress(three), 3, attributes=GZIP), one_bad),
        "false_offsets": (
            batch(record(0, value=b"?") + record(0, value=b"?"), 2),
            ["NOT_SINGLE_OBJECT", "UNREADABLE_BATCH"],
        ),
        "far_offset": (
            batch(record(0, value=b"?") + record(2**30, value=b"?"), 2),
            ["NOT_SINGLE_OBJECT", "UNREADABLE_BATCH"],
        ),
        "bytes_behind_gzip": (batch(gzip.compress(plain) + b"more", 2, attributes=GZIP), ["UNREADABLE_BATCH"] * 2),
        "bomb": (batch(bomb, 1, attributes=GZIP), ["BATCH_TOO_LARGE"]),
        "million_headers": (batch(headers, 1, attributes=GZIP), ["TOO_MANY_HEADERS"]),
    }


def became_all(sent: Sent, became: Became) -> bool:
    all_good = sent.good | sent.neighbours.keys()
    return (
        len(became.answers) >= len(sent.hostile) and all_good <= became.decided.keys() and sent.good <= became.delivered
    )


def by_reason(became: Became) -> Counter[str]:
    return Counter(reason for _, reason, _ in became.answers)


def report(sent: Sent, became: Became) -> str:
    """What a person wants to see of it."""
    began, ended = sent.began, max(at for _, _, at in became.answers)
    late = max(became.decided[event] - at for event, at in sent.neighbours.items())
    lines = [f"{reason:20} {count:7}" for reason, count in sorted(by_reason(became).items())]
    lines.append(
        f"{'all of them':20} {len(became.answers):7}, {len(sent.good)} good ones delivered, {sent.repeats} repeats"
    )
    held = [f"{share:.0%} {became.memory_at(share) / 2**20:.0f}" for share in (0.25, 0.5, 0.75, 1)]
    most = became.most_memory() / 2**20
    lines.append(
        f"worker's memory in MiB: first {became.memory[0][1] / 2**20:.0f}, {', '.join(held)}, at most {most:.0f} more"
    )
    lines.append(
        f"{(ended - began).total_seconds():.0f} s from the first record to the last answer, "
        f"{(became.memory[-1][0] - began).total_seconds():.0f} s to the last delivery"
    )
    lines.append(f"a neighbour's event waited {late.total_seconds():.1f} s at most to be decided")
    return "\n".join(lines)


def unlike_expected(sent: Sent, became: Became) -> list[str]:
    """Each record whose answer is not what it must be: none, two, or another."""
    given = Counter(place for place, _, _ in became.answers)
    wrong = [f"{place}: {times} answers" for place, times in given.items() if times > 1]
    wrong += [f"{place}: no answer to `{sent.hostile[place][0]}`" for place in sent.hostile.keys() - given.keys()]
    for place, reason, _ in became.answers:
        kind, reasons = sent.hostile.get(place, ("good", frozenset[str]()))
        if reason not in reasons:
            wrong.append(f"{place}: `{kind}` is answered {reason}, not {'|'.join(sorted(reasons))}")
    return wrong


def _send(
    producer: Any,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Any,
    sent: Sent,
    expected: tuple[str, frozenset[str]] | None,
) -> None:
    def acknowledged(error: Any, message: Any) -> None:
        assert error is None, error
        if expected is not None:
            sent.hostile[message.partition(), message.offset()] = expected

    while True:
        try:
            producer.produce(topic, value, key, partition, acknowledged, headers=list(headers))
            break
        except BufferError:
            producer.poll(0.1)
    producer.poll(0)


def _take(messages: Sequence[Any], became: Became) -> None:
    for message in messages:
        assert message.error() is None
        if message.topic() == topics.DECISIONS:
            decision = codec.decode_record(message.value(), DecisionRecord)
            became.decided[decision.event_id] = decision.decided_at
            continue
        entry = codec.decode_record(message.value(), Quarantined)
        became.answers.append(((entry.partition, entry.offset), entry.reason, entry.at))


@contextmanager
def open_flooded_bus(folder: Path) -> Iterator[FloodedBus]:
    """Start everything and end everything."""
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    inbox = folder / "inbox"
    inbox.mkdir()
    destinations = folder / "destinations.yaml"
    destinations.write_text(json.dumps({PARTNER: {"transport": "folder", "folder": str(inbox)}}), "utf-8")
    with open_broker("kafka", data_dir=folder / "broker") as broker:
        shutil.copytree(DEMO_REGISTER, folder / "register")
        (folder / "register" / "samples.yaml").write_text(register_text(FAMILIES, school=PARTNER), "utf-8")
        key_files.init(found.home)
        entries = [change.entry for change in changes_of(folder / "register", Register(), found.person_key())]
        key_files.init_cases(found.home, partners_of(entries))
        make_topics(broker, wanted(partners_of(entries)))
        records = as_records(entries, at=utc_now(), by="test", reason="test")
        asyncio.run(write_records(Connection(broker.bootstrap), records, key=found.person_key()))
        processes = Processes(found, logs=folder / "logs", broker=broker.bootstrap)
        try:
            worker = processes.start("worker", ["worker"])
            processes.start("deliver", ["deliver", "--destinations", str(destinations)])
            _wait_until_it_works(processes)
            yield FloodedBus(folder / "home", broker, processes, inbox, psutil.Process(worker.pid))
        finally:
            processes.stop()


def _wait_until_it_works(processes: Processes) -> None:
    give_up = time.monotonic() + 60
    while not processes.said("worker", "worker.started"):
        processes.check()
        assert time.monotonic() < give_up, "the worker did not start within 60 s"
        time.sleep(0.1)
