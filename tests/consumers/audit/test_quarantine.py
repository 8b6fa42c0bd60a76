"""What stands in quarantine is listed, whatever else somebody wrote there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from safebus.consumers.audit import quarantine
from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Quarantined
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.own_records import Strange

ENTRY = Quarantined(
    quarantine_id="one",
    reason="TRUNCATED",
    topic="in.ash",
    partition=0,
    offset=3,
    detail="",
    sealed=b"",
    size=9,
    at=datetime(2026, 11, 22, tzinfo=UTC),
)


async def test_junk_is_named_and_hides_nothing(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "QUARANTINE", f"quarantine-{fresh}")  # other tests read the real one on this broker
    broker.create_topics({topics.QUARANTINE: 4})
    here, mine = Connection(broker.bootstrap), ENTRY.model_copy(update={"quarantine_id": fresh})
    outbound = Writer(here, client_id="test")
    await outbound.start()
    values = [b"junk", codec.encode_record(mine), b"", codec.encode_record(mine)]
    written = await outbound.send_all([Message(topics.QUARANTINE, b"k", value, (), 1) for value in values])
    await outbound.stop()
    strange: list[Strange] = []

    found = await quarantine.entries(here, on_strange=strange.append)

    assert [entry for entry in found if entry.quarantine_id == fresh] == [mine]
    assert {(s.partition, s.offset) for s in strange} >= {written[0], written[2]}
