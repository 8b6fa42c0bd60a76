"""Of each topic: from where to where it goes now, and what it has lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from safebus.consumers.audit.coverage import coverage
from safebus.deploy.local.brokers import Broker
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer

FOR_EVER = next(t for t in topics.table(["school"], ["school"]) if t.name == topics.receipts_from("school"))


@pytest.fixture
async def name(broker: Broker, fresh: str) -> str:
    """A topic with two partitions, and three records in the first of them."""
    broker.create_topics({fresh: 4})
    outbound = Writer(Connection(broker.bootstrap), client_id="test")
    await outbound.start()
    try:
        await outbound.send_all(Message(fresh, b"k", b"v", (), 0) for _ in range(3))
    finally:
        await outbound.stop()
    return fresh


async def test_what_is_there_and_what_is_not(broker: Broker, name: str) -> None:
    for_days = replace(FOR_EVER, name=name, kept_ms=86_400_000)
    found = await coverage(Connection(broker.bootstrap), [for_days, replace(FOR_EVER, name="not-there")])
    there, missing = sorted(found, key=lambda each: each.topic != name)

    assert (there.topic, there.records, there.gone, there.kept_for) == (name, 3, 0, timedelta(days=1))
    assert there.partitions >= 2
    assert there.oldest is not None and abs(datetime.now(UTC) - there.oldest) < timedelta(hours=1)
    assert (missing.partitions, missing.records, missing.oldest) == (0, 0, None)


@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
async def test_what_was_deleted_is_explained_only_where_records_are_kept_for_a_time(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for each in admin.delete_records([TopicPartition(name, 0, 2)]).values():
        each.result(30)
    connection, here = Connection(broker.bootstrap), replace(FOR_EVER, name=name)

    [for_ever] = await coverage(connection, [here])
    [for_a_day] = await coverage(connection, [replace(here, kept_ms=86_400_000)])

    assert (for_ever.records, for_ever.gone, for_ever.unexplained) == (1, 2, True)
    assert not for_a_day.unexplained
