"""What stands in quarantine is listed, whatever else somebody wrote there."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest
from a_decided_bus import decided_bus

from safebus.consumers.audit import quarantine
from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
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

    assert [each.entry for each in found if each.entry.quarantine_id == fresh] == [mine]
    assert {(s.partition, s.offset) for s in strange} >= {written[0], written[2]}


async def test_what_is_set_aside_again_stands_there_once_with_the_time_of_the_last(
    broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So one that a person closed before is open again."""
    monkeypatch.setattr(topics, "QUARANTINE", f"quarantine-{fresh}")
    broker.create_topics({topics.QUARANTINE: 4})
    here, mine = Connection(broker.bootstrap), ENTRY.model_copy(update={"quarantine_id": fresh})
    outbound = Writer(here, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(topics.QUARANTINE, b"k", codec.encode_record(mine), (), 1)])
    [first] = await quarantine.entries(here)
    await outbound.send_all([Message(topics.QUARANTINE, b"k", codec.encode_record(mine), (), 1)])
    [second] = await quarantine.entries(here)
    await outbound.stop()

    assert first.entry == second.entry == mine
    assert second.last_at >= first.last_at


async def test_the_event_of_an_entry_is_told_by_its_mark_or_by_what_was_decided_about_its_origin(
    own_broker: Broker,
) -> None:
    """What an earlier release set aside has no mark; a mark that is no id of an event is none."""
    async with decided_bus(own_broker) as bus:
        shared = await bus.decide()
        origin, event_id = shared.record.origin, str(uuid.uuid4())
        place = origin.model_dump() | {"at": datetime.now(UTC), "reason": "FOR_A_PERSON"}
        ids = {name: str(uuid.uuid4()) for name in ("marked", "not", "wrongly", "elsewhere", "junk")}
        marks = {"marked": [("sb_event", event_id.encode())], "wrongly": [("sb_event", b"N/A")]}
        changes = {"elsewhere": {"offset": origin.offset + 1000}, "junk": {"reason": "TRUNCATED"}}
        await bus.outbound.send_all(
            Message(
                topics.QUARANTINE,
                b"k",
                codec.encode_record(
                    ENTRY.model_copy(update=place | changes.get(name, {}) | {"quarantine_id": quarantine_id})
                ),
                marks.get(name, ()),
            )
            for name, quarantine_id in ids.items()
        )
        found = {
            name: await quarantine.event_of(bus.connection, await quarantine.find(bus.connection, quarantine_id))
            for name, quarantine_id in ids.items()
        }

    decided = shared.record.event_id
    assert found == {"marked": event_id, "not": decided, "wrongly": decided, "elsewhere": None, "junk": None}


def test_an_original_is_shown_as_what_it_can_be_read_as() -> None:
    event = codec.encode(story.incident())
    twice = b'{"nhs_number": "1", "nhs_number": "2"}'
    shown = [quarantine.decoded(data) for data in (event, b'{"a": "\xc3\xab"}', b"a,b\n1,2", event[:-3], twice)]

    assert shown[0]["event_type"] == "police.encompass.v1"
    assert shown[0]["event"]["subjects"][0]["given_name"] == story.incident().subjects[0].given_name
    assert json.dumps(shown[0])  # times and all
    reason = "NOT_SINGLE_OBJECT: "
    assert shown[1]["why_not"].startswith(reason) and shown[1]["json"] == {"a": "ë"}
    assert shown[2]["why_not"].startswith(reason) and shown[2]["text"] == "a,b\n1,2"
    assert shown[4]["text"] == twice.decode()  # both of them, for that may be why it is there
    assert shown[3]["why_not"].startswith("TRUNCATED: ") and shown[3]["begins"].startswith("c3 01 ")
