"""A worker knows what it may read and write, and says what it may not; what one agency lacks is that one's trouble."""

from __future__ import annotations

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.deploy.service.worker_topics import SeenTopics
from safebus.schemas.errors import BadInput, NotAllowed
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.in_memory import InMemoryCluster
from safebus.streams.worker.app import GROUP

ITS_OWN = {"register": 1, "decisions": 4, "quarantine": 4}


async def test_what_is_there_is_read_and_what_is_not_is_named(broker: Broker, fresh: str) -> None:
    broker.create_topics({f"in.{fresh}": 4, f"out.{fresh}": 4, **ITS_OWN})
    there = SeenTopics(Connection(broker.bootstrap))

    found = await there.look([fresh, f"new-{fresh}"])

    assert f"in.{fresh}" in found and f"in.{fresh}" in there.publishing
    assert fresh in there.recipients
    if broker.name == "kafka":
        assert [str(right) for right in there.lacking] == [
            f"READ on topic `in.new-{fresh}`",
            f"WRITE on topic `out.new-{fresh}`",
        ]
        assert (there.unreadable, there.closed) == ({f"in.new-{fresh}"}, {f"out.new-{fresh}"})
    else:  # it makes a topic when it is named
        assert there.lacking == []
    assert f"in.new-{fresh}" not in found


async def test_a_bus_without_publishers_is_said() -> None:
    """A worker would have nothing to do, and nobody would notice."""
    cluster = InMemoryCluster()
    cluster.name_topic("out.school")

    with pytest.raises(BadInput, match=r"no `in\.\*` topic that this worker may read; `safebus topics apply` makes"):
        await SeenTopics(Connection(cluster.bootstrap)).look([])


async def test_without_what_every_event_needs_a_worker_does_not_begin(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka_broker.create_topics({f"in.{fresh}": 4, **ITS_OWN})
    monkeypatch.setattr("safebus.schemas.topics.QUARANTINE", f"not-there-{fresh}")

    with pytest.raises(NotAllowed, match=rf"this worker lacks WRITE on topic `not-there-{fresh}`, or that is not"):
        await SeenTopics(Connection(kafka_broker.bootstrap)).look([fresh])
    assert GROUP == "safebus-worker"  # what the rights name
