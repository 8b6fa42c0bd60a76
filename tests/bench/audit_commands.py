"""
How long do the commands of an audit take: `safebus replay verify`, `safebus explain`?

Each runs as its user runs it, from its start to its end, on what a worker has just decided.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord
from safebus.schemas.errors import SafebusError
from tests.bench.bus import Bus
from tests.bench.commands import Ran, safebus

_NAMESPACE = uuid.UUID("5afebe00-0000-4000-8000-000000000000")  # of event ids that only this measurement knows


def verified(bus: Bus) -> Ran:
    """
    `safebus replay verify` over everything on the bus.

    Raises:
        SafebusError: It did not find every decision and notification identical: then its pace means nothing.
    """
    done = safebus(bus, "replay", "verify", "-o", "json")
    found = json.loads(done.stdout)
    if found["decisions"] != bus.events or found["identical"] != bus.events:
        raise SafebusError(f"{found['identical']} of {found['decisions']} decisions are identical, not {bus.events}")
    return done


def one_of(bus: Bus) -> str:
    """The id of a decided event."""
    return str(bus.messages(topics.DECISIONS)[-1].key().decode())


def explained(bus: Bus, event_id: str, runs: int) -> list[Ran]:
    """`safebus explain` of one event, several times; the first has nothing to build on."""
    ran = [safebus(bus, "explain", event_id, "-o", "json") for _ in range(runs)]
    for each in ran:
        if event_id not in each.stdout:
            raise SafebusError("`safebus explain` said nothing of the event it was asked about")
    return ran


def fill(bus: Bus, count: int, progress: Callable[[str], None]) -> None:
    """
    Put many more decisions beside those that are there: one real record, cut to one answer, under other ids.

    They are about events that were never published, so `replay verify` must not be asked after this.
    """
    from confluent_kafka import Producer

    message = bus.messages(topics.DECISIONS)[0]
    record = codec.decode_record(message.value(), DecisionRecord)
    answer = record.answers[0].model_copy(update={"released": (), "withheld": ()})
    value = codec.encode_record(record.model_copy(update={"answers": (answer,)}))
    old = record.event_id.encode()
    producer = Producer(
        {
            **bus.client(),
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
            "compression.type": "none",
            "transactional.id": "bench",  # as a worker writes them
            "transaction.timeout.ms": 900_000,
        }
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    for i in range(count):
        new = str(uuid.uuid5(_NAMESPACE, str(i))).encode()
        # Ids are equally long, so the record stays what Avro would have written.
        _produce(producer, value.replace(old, new), new, i % topics.PARTITIONS, _renamed(message.headers(), old, new))
        if i % 100_000 == 0:
            progress(f"decisions: {i} of {count}")
    producer.commit_transaction(120)


def _renamed(headers: list[tuple[str, bytes]], old: bytes, new: bytes) -> list[tuple[str, bytes]]:
    return [(name, new if value == old else value) for name, value in headers]


def _produce(producer: Any, value: bytes, key: bytes, partition: int, headers: list[tuple[str, bytes]]) -> None:
    while True:
        try:
            producer.produce(topics.DECISIONS, value, key, partition=partition, headers=headers)
        except BufferError:  # its queue is full: wait until the broker has taken some
            producer.poll(0.1)
        else:
            producer.poll(0)
            return
