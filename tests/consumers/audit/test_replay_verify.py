"""A good bus is found identical, and every planted fault is named, on both brokers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from a_decided_bus import KEY, DecidedBus, RegisterRead, decided_bus, register_log
from a_pieces import in_blocks_of
from as_a_worker import write_as_worker

from safebus.consumers.audit.replay.verify import Difference, Verified
from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Outcome
from safebus.schemas.event_schemas import bus_schemas
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.rules.sharing import Shared


@pytest.fixture
async def bus(own_broker: Broker) -> AsyncIterator[DecidedBus]:
    async with decided_bus(own_broker) as found:
        yield found


def only(found: Verified, shared: Shared) -> list[str]:
    """What differs, all of it about this one event."""
    assert {d.event_id for d in found.differences} <= {shared.record.event_id}
    return [d.what for d in found.differences]


def to_haven(shared: Shared) -> Notification:
    [found] = [o.notification for o in shared.outputs if o.notification.recipient == "haven"]
    return found


async def test_a_bus_on_which_all_is_as_decided_is_identical(bus: DecidedBus) -> None:
    made = [await bus.decide(partition=p) for p in (0, 1, 2, 0)]
    found = await bus.verify()

    outputs = sum(len(shared.outputs) for shared in made)
    assert found == Verified(decisions=4, identical=4, outputs=outputs, outputs_identical=outputs)
    assert outputs >= 4


async def test_what_came_in_blocks_is_made_again_too(bus: DecidedBus) -> None:
    """By an encoder that says of each list how many bytes it has."""
    shared = await bus.shared(await bus.publish(encode=lambda event: in_blocks_of(event, 1)))
    await bus.record(shared.record)
    await bus.send(*shared.outputs)
    found = await bus.verify()

    assert (found.decisions, found.identical, found.differences) == (1, 1, [])


async def test_decisions_in_another_order_than_their_events_are_made_again_too(bus: DecidedBus) -> None:
    """After a crash or a rebalance a worker may decide what lies behind."""
    origins = [await bus.publish() for _ in range(4)]
    for i in (3, 1, 2, 0):
        shared = await bus.shared(origins[i])
        await bus.record(shared.record)
        await bus.send(*shared.outputs)
    found = await bus.verify()

    assert (found.decisions, found.identical, found.differences) == (4, 4, [])


async def test_what_a_redo_sent_twice_is_no_difference(bus: DecidedBus) -> None:
    shared = await bus.decide()
    await bus.send(*shared.outputs)
    found = await bus.verify()

    n = len(shared.outputs)
    assert found == Verified(decisions=1, identical=1, outputs=n, outputs_identical=n)


async def test_what_was_decided_before_the_span_and_sent_within_is_no_difference(bus: DecidedBus) -> None:
    early = await bus.shared(await bus.publish())
    await bus.record(early.record)
    since = await bus.last_decided_at() + timedelta(milliseconds=1)
    await bus.send(*early.outputs)
    await bus.decide()
    found = await bus.verify(since=since)

    assert (found.decisions, found.identical, found.differences) == (1, 1, [])


async def test_what_was_decided_within_the_span_and_sent_after_is_no_difference(bus: DecidedBus) -> None:
    shared = await bus.shared(await bus.publish())
    await bus.record(shared.record)
    until = await bus.last_decided_at() + timedelta(milliseconds=1)
    await bus.send(*shared.outputs)
    found = await bus.verify(until=until)

    n = len(shared.outputs)
    assert found == Verified(decisions=1, identical=1, outputs=n, outputs_identical=n)


async def test_all_of_time_is_a_span(bus: DecidedBus) -> None:
    await bus.decide()
    found = await bus.verify(since=datetime.min.replace(tzinfo=UTC), until=datetime.max.replace(tzinfo=UTC))

    assert found.decisions >= 1


async def test_an_event_that_is_gone_is_named(bus: DecidedBus) -> None:
    good = await bus.shared(await bus.publish())
    gone = good.record.origin.model_copy(update={"offset": 10**6})
    await bus.record(good.record.model_copy(update={"origin": gone}))
    await bus.send(*good.outputs)
    found = await bus.verify()

    assert only(found, good) == [f"the event is no longer kept at {gone.topic}/0/{10**6}"]
    assert (found.identical, found.outputs, found.outputs_identical) == (0, 0, 0)


async def test_an_event_with_another_content_is_named(bus: DecidedBus) -> None:
    good = await bus.shared(await bus.publish())
    other = await bus.publish()
    await bus.record(good.record.model_copy(update={"origin": other}))
    await bus.send(*good.outputs)
    found = await bus.verify()

    assert only(found, good) == [
        f"the event at {other.topic}/0/{other.offset} has another content than the one decided",
    ]


async def test_an_altered_decision_is_named_with_what_differs(bus: DecidedBus) -> None:
    good = await bus.shared(await bus.publish())
    answers = [
        a.model_copy(update={"outcome": Outcome.REFUSE, "call": "nobody"}) if a.recipient == "beech-primary" else a
        for a in good.record.answers
    ]
    await bus.record(good.record.model_copy(update={"answers": tuple(answers), "purpose": "another"}))
    await bus.send(*good.outputs)
    found = await bus.verify()

    [what, *_] = only(found, good)
    assert what.startswith("purpose; answer for `beech-primary`: ")
    assert (found.decisions, found.identical) == (1, 0)


async def test_what_is_no_decision_record_is_named_and_stops_nothing(bus: DecidedBus) -> None:
    await bus.record(b"not a decision", event_id="e")
    shared = await bus.decide()
    found = await bus.verify()

    [difference] = found.differences
    assert difference.what.endswith("is no decision of a worker of this version")
    assert (found.decisions, found.identical, found.outputs_identical) == (2, 1, len(shared.outputs))


async def test_a_decision_as_of_another_time_than_its_own_is_named_though_it_can_be_made_again(bus: DecidedBus) -> None:
    """Whoever writes as a worker does could choose when consent still stood."""
    last = len(register_log()) - 1
    old = await bus.shared(await bus.publish(), register_offset=last - 2)
    early = await bus.shared(await bus.publish(), at=datetime.now(UTC) - timedelta(hours=2))
    for forged in (old, early):
        await bus.record(forged.record)
        await bus.send(*forged.outputs)
    found = await bus.verify()

    said = {d.event_id: d.what for d in found.differences}
    assert (found.decisions, found.identical, len(found.differences)) == (2, 2, 2)
    assert said[old.record.event_id] == (
        f"it rests on the register as of offset {last - 2}; 2 later entries were there for more than 5 minutes when it "
        f"was written, the first at offset {last - 1}"
    )
    assert re.fullmatch(
        r"it says that it was decided at \S+, and the broker took it in at \S+", said[early.record.event_id]
    )


async def test_a_decision_that_nobody_thought_of_hides_no_other(bus: DecidedBus) -> None:
    """A recipient that cannot be one; a time at which no calendar goes on."""
    good = await bus.decide()
    nobody, never = [await bus.shared(await bus.publish()) for _ in range(2)]
    answers = [a.model_copy(update={"recipient": "../no one"}) for a in nobody.record.answers]
    await bus.record(nobody.record.model_copy(update={"answers": tuple(answers)}))
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    await bus.record(never.record.model_copy(update={"decided_at": end}))
    last = await bus.decide()
    found = await bus.verify()

    said = [d.what for d in found.differences if d.event_id == nobody.record.event_id]
    assert any("is for somebody who cannot be a partner" in what for what in said), said
    assert any(d.event_id == never.record.event_id for d in found.differences)
    assert {good.record.event_id, last.record.event_id}.isdisjoint(d.event_id for d in found.differences)
    assert (found.decisions, found.identical) == (4, 2)


async def test_what_came_to_the_register_while_it_begins_counts(bus: DecidedBus) -> None:
    """A decision that rests on it may be there already, and would seem to rest on nothing."""
    await bus.decide()
    found = await bus.verify(register=RegisterRead(not_yet=2))

    assert (found.decisions, found.identical, found.differences) == (1, 1, [])


@pytest.mark.parametrize("own_broker", ["kafka"], indirect=True)
async def test_a_decision_that_may_yet_be_committed_is_waited_for(bus: DecidedBus) -> None:
    """Behind a transaction that is open it would be in no span: not in this one, and too old for the next."""
    shared = await bus.shared(await bus.publish())
    writer = Writer(bus.connection, client_id="thief", transactional_id="thief")
    await writer.start()
    try:
        producer = await writer._usable()
        await producer.begin_transaction()
        value, key = codec.encode_record(shared.record), shared.record.event_id.encode()
        await writer.send_all([Message(topics.DECISIONS, key, value, (), 0)])
        verifying = asyncio.ensure_future(bus.verify())
        assert await asyncio.wait([verifying], timeout=2) == (set(), {verifying})
        await producer.commit_transaction()
        found = await verifying
    finally:
        await writer.stop()

    assert (found.decisions, found.identical) == (1, 1)
    assert {d.event_id for d in found.differences} == {shared.record.event_id}  # what it permits was never sent


async def test_a_decision_under_another_events_key_is_named(bus: DecidedBus) -> None:
    """The next worker would take the other event for decided."""
    shared = await bus.shared(await bus.publish())
    value = codec.encode_record(shared.record)
    await write_as_worker(bus.connection, Message(topics.DECISIONS, b"another", value, (), 0))
    await bus.send(*shared.outputs)
    found = await bus.verify()

    [what] = only(found, shared)
    assert re.fullmatch(r"the key of its record at decisions/0/\d+ names another event", what)


async def test_a_decision_that_stands_in_no_transaction_is_nobodys(bus: DecidedBus) -> None:
    """Right in every way, and written by somebody who may not write under the worker's id."""
    shared = await bus.shared(await bus.publish())
    value = codec.encode_record(shared.record)
    await bus.outbound.send_all([Message(topics.DECISIONS, shared.record.event_id.encode(), value, (), 0)])
    found = await bus.verify()

    assert [d.what.endswith("is no decision of a worker of this version") for d in found.differences] == [True]
    assert (found.decisions, found.identical) == (1, 0)


async def test_a_notification_that_is_not_there_is_named(bus: DecidedBus) -> None:
    shared = await bus.shared(await bus.publish())
    await bus.record(shared.record)
    await bus.send(*(o for o in shared.outputs if o.notification.recipient != "haven"))
    found = await bus.verify()

    assert only(found, shared) == ["notification for `haven` is not on its topic (never sent, or no longer kept)"]
    assert found.outputs_identical == found.outputs - 1


async def test_a_notification_with_other_bytes_is_named_once(bus: DecidedBus) -> None:
    shared = await bus.shared(await bus.publish())
    await bus.record(shared.record)
    await bus.send(*(o for o in shared.outputs if o.notification.recipient != "haven"))
    await bus.send(to_haven(shared).model_copy(update={"urgency": "other"}))
    found = await bus.verify()

    assert only(found, shared) == ["notification for `haven` has other bytes"]
    assert found.outputs_identical == found.outputs - 1


async def test_a_second_copy_with_other_bytes_is_named_though_the_right_one_is_there(bus: DecidedBus) -> None:
    shared = await bus.decide()
    await bus.send(to_haven(shared).model_copy(update={"urgency": "other"}))
    found = await bus.verify()

    assert only(found, shared) == ["notification for `haven` has other bytes"]
    assert found.outputs_identical == found.outputs


async def test_a_notification_that_nobody_permitted_is_named(bus: DecidedBus) -> None:
    await bus.decide()
    undecided = await bus.shared(await bus.publish())
    await bus.send(to_haven(undecided))
    found = await bus.verify()

    name = to_haven(undecided).notification_id
    assert found.differences == [
        Difference(
            undecided.record.event_id,
            f"notification {name} for `haven` stands on its topic, and no decision permits it",
        )
    ]


async def test_only_so_many_differences_are_listed_and_the_others_counted(bus: DecidedBus) -> None:
    shared = await bus.shared(await bus.publish())
    await bus.record(shared.record)
    found = await bus.verify(listed=2)

    assert (len(found.differences), found.not_listed) == (2, len(shared.outputs) - 2)
    assert len(shared.outputs) > 2


async def an_earlier_release_decides(bus: DecidedBus, **changes: object) -> Shared:
    """What a release wrote and sent whose decisions and notifications do not say yet who is unclear."""
    shared = await bus.shared(await bus.publish())
    decision, notification = (
        next(mark for mark in reversed(bus_schemas(name)) if mark != codec.fingerprint_of_bus(name))
        for name in (DecisionRecord.SCHEMA, Notification.SCHEMA)
    )
    sent = [codec.encode_record(output.notification, under=notification) for output in shared.outputs]
    digests = iter(map(KEY.digest, sent))
    answers = tuple(
        a.model_copy(update={"output_digest": next(digests)}) if a.output_digest else a for a in shared.record.answers
    )
    record = shared.record.model_copy(update={"answers": answers} | changes)
    await bus.record(codec.encode_record(record, under=decision), event_id=record.event_id)
    for output, value in zip(shared.outputs, sent, strict=True):
        await bus.send_value(output.notification, value)
    return shared


async def test_what_an_earlier_release_decided_and_sent_is_still_the_same(bus: DecidedBus) -> None:
    shared = await an_earlier_release_decides(bus)
    await bus.decide()
    found = await bus.verify()

    outputs = 2 * len(shared.outputs)
    assert found == Verified(decisions=2, identical=2, outputs=outputs, outputs_identical=outputs)


async def test_what_differs_in_a_decision_of_an_earlier_release_is_named_and_nothing_it_could_not_say(
    bus: DecidedBus,
) -> None:
    shared = await an_earlier_release_decides(bus, purpose="another")
    found = await bus.verify()

    assert only(found, shared) == ["purpose"]
    assert (found.identical, found.outputs) == (0, len(shared.outputs))
