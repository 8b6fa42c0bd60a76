"""
A second worker takes its part while events come in, and one of the two is killed.

On Apache Kafka only: the embedded broker does not complete a second join of a group (docs/decisions/0003).
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from a_bus import Bus, open_bus

from safebus.deploy.local.demo import story
from safebus.schemas import topics
from safebus.schemas.kafka.reader import read_topic

pytestmark = pytest.mark.flow


@pytest.fixture
def kafka_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    with open_bus("kafka", tmp_path_factory.mktemp("two-workers")) as running:
        yield running


async def test_every_event_is_decided_once_and_reaches_the_school_once(kafka_bus: Bus) -> None:
    bus = kafka_bus
    events = [story.incident().model_copy(update={"event_id": str(uuid.uuid4())}) for _ in range(45)]
    for number, event in enumerate(events):
        if number == 15:
            bus.processes.start("second-worker", ["worker"])
        if number == 30:
            bus.kill_worker()
        await bus.publish(event, case=str(number))
    await bus.settled(*events)

    decided = Counter([m.key.decode() async for m in read_topic(bus.connection, topics.DECISIONS)])
    held = Counter(p["event_id"] for p in await bus.partners.received("ash-primary"))
    assert {decided[e.event_id] for e in events} == {1}
    assert {held[e.event_id] for e in events} == {1}
