"""
What would the least program cost that writes the same records? Run as `python -m tests.bench.plain_loop`.

A librdkafka consumer and producer around the same functions: it takes up to 500 events, decodes, decides, encodes,
writes the decision to the partition of its source and the notifications by their case, waits until the broker has all
of them, and commits. The records are the same, byte for byte but for the time of the decision, headers included.

What it does not do, and the worker does: ask before each batch where the register ends (it reads the register once),
drop repeats and quarantine what reuses an id, write decisions before notifications and under a fence against a second
worker, check keys and headers, seal what cannot be decoded, log a line for each event, share the work in a group.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from safebus.deploy.service import settings
from safebus.deploy.service.rules_digest import rules_digest
from safebus.deploy.service.settings import Settings
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import Origin
from safebus.schemas.kafka import batches
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.keys import PersonKey
from safebus.streams.register.follow import current_register
from safebus.streams.register.store import Register
from safebus.streams.rules import episode, sharing
from safebus.streams.worker.remembered import Before, KnownDecision, Remembered
from tests.bench.bus import IN

GROUP = "bench-plain-loop"
_AT_ONCE = 500


def main() -> None:
    """Work until SIGTERM."""
    batches.install()
    found = settings.load()
    register = asyncio.run(current_register(Connection(found.bootstrap())))
    consumer, producer = _clients(found)
    asked: list[int] = []
    remembered: dict[int, Remembered] = defaultdict(Remembered)
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    key, digest = found.person_key(), rules_digest()
    sys.stderr.write("loop.started\n")
    while not asked:
        batch = consumer.consume(_AT_ONCE, timeout=0.2)
        if not batch:
            continue
        now = datetime.now(UTC)
        for message in batch:
            if message.error() is not None:
                raise SystemExit(f"the broker said {message.error().name()}")
            _one(message, producer, register, key, now, digest, remembered)
            producer.poll(0)
        if producer.flush(20):
            raise SystemExit("not everything was acknowledged within 20 s")
        consumer.commit(asynchronous=False)
    consumer.close()


def _clients(found: Settings) -> tuple[Any, Any]:
    address = {"bootstrap.servers": found.bootstrap()}
    consumer = Consumer({**address, "group.id": GROUP, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    # It decides slower than 50 ms a batch, so messages travel together; `flush` does not wait for it.
    consumer.assign([TopicPartition(IN, p, OFFSET_BEGINNING) for p in range(topics.PARTITIONS)])
    return consumer, Producer({**address, "acks": "all", "enable.idempotence": True, "linger.ms": 50})


def _one(
    message: Any,
    producer: Any,
    register: Register,
    key: PersonKey,
    now: datetime,
    digest: str,
    remembered: dict[int, Remembered],
) -> None:
    origin = Origin(topic=message.topic(), partition=message.partition(), offset=message.offset())
    received = codec.decode(message.value())
    event = received.event
    before = Before(origin.partition, event.publisher.agency, remembered, {})
    earlier = episode.earlier(event, key, before)
    outcome = sharing.share(received, register, origin=origin, now=now, key=key, rules_digest=digest, earlier=earlier)
    assert isinstance(outcome, sharing.Shared)  # the bench publishes nothing else
    value = codec.encode_record(outcome.record)
    about = headers.cloud_event(id=event.event_id, source=event.publisher.agency, type=event.event_type)
    known = KnownDecision.of(outcome.record, key.digest(value))
    about_it = (event.publisher.agency, event.event_id)
    remembered[origin.partition].remember(about_it, known, outcome.record.episode, most=20_000)
    decided = known.header()
    producer.produce(
        topics.DECISIONS, value, event.event_id.encode(), partition=origin.partition, headers=[*about, decided]
    )
    for output in outcome.outputs:
        n = output.notification
        about = headers.cloud_event(id=n.notification_id, source="safebus", type=n.event_type)
        producer.produce(topics.notifications_for(n.recipient), output.value, n.subject_token.encode(), headers=about)


if __name__ == "__main__":
    main()
