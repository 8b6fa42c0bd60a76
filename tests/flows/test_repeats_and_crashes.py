"""What is published twice counts once; what a killed worker leaves is done by the next; nothing is waved through."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from typing import Any

import pytest
from a_bus import Bus, utc_now
from test_commands import safebus

from safebus.deploy.local.demo import story, watch
from safebus.producers.publisher import Publisher
from safebus.schemas import codec, sealing, topics
from safebus.schemas.bus_records import Notification
from safebus.schemas.events import OperationEncompass
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import partition_of

pytestmark = pytest.mark.flow


def another(**changes: Any) -> OperationEncompass:
    """The incident under an id of its own."""
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4()), **changes})


async def decisions_by_event(bus: Bus) -> Counter[str]:
    """How many decision records there are for each event."""
    return Counter([m.key.decode() async for m in read_topic(bus.connection, topics.DECISIONS)])


async def on_topic(bus: Bus, partner: str, event_id: str) -> list[bytes]:
    """The notifications about one event on a partner's topic."""
    values = [m.value async for m in read_topic(bus.connection, topics.notifications_for(partner))]
    return [v for v in values if codec.decode_record(v, Notification).event_id == event_id]


async def test_a_publishers_repeat_is_dropped(bus: Bus) -> None:
    event, after = another(), another()
    await bus.publish(event, event, event, after)
    await bus.settled(event, after)

    assert (await decisions_by_event(bus))[event.event_id] == 1
    assert len(await on_topic(bus, "ash-primary", event.event_id)) == 1


async def test_the_same_event_under_another_case_is_a_repeat_and_accuses_nobody(bus: Bus) -> None:
    """Whoever types another `--case` puts it on another partition; it is decided and handed over once all the same."""
    since, event = utc_now(), another()
    [first] = await bus.publish(event)
    await bus.settled(event)
    elsewhere = await other_partition(bus, event, first.partition)
    changed = event.model_copy(update={"purpose": "something_else"})
    [other] = await bus.publish(changed, case=elsewhere)
    there = (other.partition, other.offset)  # quarantine holds other tests' entries, too
    seen = await bus.until(
        lambda s: any((q.partition, q.offset) == there and q.at >= since for q in s.quarantined.values()),
        "the other content",
    )
    to = utc_now().isoformat()

    def counted() -> bool:  # what a worker has not committed yet is on its way, and that is said, too
        done = safebus(bus, "reconcile", "--from", since.isoformat(), "--to", to, "-o", "json")
        police = json.loads(done.stdout)["agencies"]["fordshire-police"]
        return (done.returncode, police["decided"], police["repeats"]) == (0, 1, 1)

    await bus.until(lambda _: counted(), "one decision and one repeat, and nothing else, in the count")
    assert (await decisions_by_event(bus))[event.event_id] == 1
    assert len(await on_topic(bus, "ash-primary", event.event_id)) == 1
    about = [q for q in seen.quarantined.values() if q.partition == other.partition and q.at >= since]
    assert [(q.reason, q.offset) for q in about] == [("ID_REUSED", other.offset)]


async def other_partition(bus: Bus, event: OperationEncompass, first: int) -> str:
    """Publish it once more under a case that stands on another partition; returns that case."""
    secret = bus.settings.case_secret("fordshire-police")
    publisher = Publisher(bus.connection, agency="fordshire-police", case_secret=secret)
    case = next(str(n) for n in range(1000) if partition_of(publisher.case_key(str(n))) != first)
    [again] = await bus.publish(event, case=case)
    assert again.partition != first
    return case


async def test_the_same_id_with_other_content_goes_to_quarantine(bus: Bus) -> None:
    event = another()
    changed = event.model_copy(update={"purpose": "something_else"})
    [first, second] = await bus.publish(event, changed)
    seen = await bus.until(
        lambda s: (
            event.event_id in s.decisions
            and any(q.reason == "ID_REUSED" and q.offset == second.offset for q in s.quarantined.values())
        ),
        "the reused id to be set aside",
    )

    assert first.partition == second.partition
    assert seen.decisions[event.event_id].purpose == "safeguarding"


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (b"not an event", b"case", "NOT_SINGLE_OBJECT"),
        (b"\xc3\x01" + bytes(8) + b"body", b"case", "UNKNOWN_SCHEMA"),
        (codec.encode(story.incident()) + b"\x00", b"case", "TRAILING_BYTES"),
        (codec.encode(story.incident())[:-5], b"case", "TRUNCATED"),
        (codec.encode(story.incident()), b"k" * 1000, "BAD_KEY"),
        (codec.encode(story.attendance()), b"case", "WRONG_SOURCE"),
    ],
)
async def test_what_cannot_be_accepted_is_set_aside_and_its_neighbours_are_decided(
    bus: Bus, value: bytes, key: bytes, reason: str
) -> None:
    neighbour = another()
    before = len([q for q in (await watch.look(bus.connection)).quarantined.values() if q.reason == reason])
    await bus.send_raw("in.fordshire-police", value, key=key)
    await bus.publish(neighbour)
    await bus.settled(neighbour)
    seen = await bus.until(
        lambda s: len([q for q in s.quarantined.values() if q.reason == reason]) > before, f"quarantine for {reason}"
    )

    entry = max((q for q in seen.quarantined.values() if q.reason == reason), key=lambda q: q.at)
    assert entry.topic == "in.fordshire-police"
    assert entry.size == len(value)
    assert value not in entry.sealed


async def test_an_operator_can_open_what_is_sealed(bus: Bus) -> None:
    value = b"opened by an operator " + os.urandom(8)
    await bus.send_raw("in.fordshire-police", value)
    seen = await bus.until(
        lambda s: any(q.size == len(value) and q.reason == "NOT_SINGLE_OBJECT" for q in s.quarantined.values()), "it"
    )

    entry = max(
        (q for q in seen.quarantined.values() if q.size == len(value) and q.reason == "NOT_SINGLE_OBJECT"),
        key=lambda q: q.at,
    )
    where = f"{entry.topic}/{entry.partition}/{entry.offset}"
    assert sealing.unseal(entry.sealed, private_key=bus.settings.seal_private(), context=where) == value


async def test_a_killed_worker_loses_nothing_and_leaves_one_truth(bus: Bus) -> None:
    """SIGKILL while events come in; the next worker redoes what was open, as of then."""
    events = [another() for _ in range(30)]
    for event in events[:15]:
        await bus.publish(event, case=event.event_id)
    bus.kill_worker()
    for event in events[15:]:
        await bus.publish(event, case=event.event_id)
    bus.start_worker()
    await bus.settled(*events)

    counted = await decisions_by_event(bus)
    assert {event.event_id: counted[event.event_id] for event in events} == {event.event_id: 1 for event in events}
    for partner, each in (("ash-primary", 1), ("fordshire-mash", 3)):
        for event in events:
            values = await on_topic(bus, partner, event.event_id)
            assert len(set(values)) == each  # a redo may send again, and then the very same bytes
    held = Counter(p["event_id"] for p in await bus.partners.received("ash-primary"))
    assert [held[event.event_id] for event in events] == [1] * len(events)
