"""What was permitted and stands nowhere is made again in the bytes that were decided; nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from a_decided_bus import KEY, DecidedBus, decided_bus
from a_pieces import in_blocks_of

from safebus.consumers.audit.owed import Owed, owed, stopped, unclear
from safebus.consumers.delivery.stages import TAKEN_BACK
from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.rules.sharing import Shared

HAVEN = "haven"


@pytest.fixture
async def bus(own_broker: Broker) -> AsyncIterator[DecidedBus]:
    async with decided_bus(own_broker) as found:
        yield found


async def of(bus: DecidedBus, *decided: Shared) -> list[Owed]:
    """What haven is owed of these."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    found = await owed(bus.connection, HAVEN, since=bus.since, until=until, key=KEY, schemas=event_schemas())
    ids = {shared.record.event_id for shared in decided}
    return [each for each in found if each.event_id in ids]


async def test_what_a_topic_did_not_take_is_made_again_byte_for_byte(bus: DecidedBus) -> None:
    whole = await bus.decide()
    without = await bus.shared(await bus.publish(partition=1))
    await bus.record(without.record, partition=1)
    await bus.send(*(o for o in without.outputs if o.notification.recipient != HAVEN))
    [due] = [o for o in without.outputs if o.notification.recipient == HAVEN]

    [found] = await of(bus, whole, without)
    await bus.send(due)
    after = await of(bus, whole, without)

    assert found.output is not None
    assert (found.output.notification, found.output.value) == (due.notification, due.value)
    assert (found.notification_id, found.event_id) == (due.notification.notification_id, without.record.event_id)
    assert after == []


async def test_what_came_in_blocks_is_made_again_too(bus: DecidedBus) -> None:
    shared = await bus.shared(await bus.publish(encode=lambda event: in_blocks_of(event, 1)))
    await bus.record(shared.record)
    [due] = [o for o in shared.outputs if o.notification.recipient == HAVEN]

    [found] = await of(bus, shared)

    assert found.output is not None
    assert found.output.value == due.value


@pytest.mark.parametrize(("stage", "still"), [(Stage.HANDED_OVER, 0), (Stage.STOPPED, 0), (Stage.PARKED, 1)])
async def test_what_is_at_the_partner_or_no_longer_permitted_is_not_owed(
    bus: DecidedBus, stage: Stage, still: int
) -> None:
    shared = await bus.shared(await bus.publish())
    await bus.record(shared.record)
    [due] = [o.notification for o in shared.outputs if o.notification.recipient == HAVEN]
    receipt = Receipt(
        notification_id=due.notification_id,
        event_id=due.event_id,
        partner=HAVEN,
        transport="folder",
        stage=stage,
        attempt=1,
        at=bus.since,
        answer="ok",
        reason="",
        subject_token=due.subject_token,
        purpose=due.purpose,
        consent_meaning=None,
        output_digest="",
    )
    value = codec.encode_record(receipt)
    await bus.outbound.send_all([Message(topics.receipts_from(HAVEN), b"k", value, (), 0)])

    assert len(await of(bus, shared)) == still


async def test_what_the_register_forbade_is_found_until_something_else_is_heard_of_it(
    own_broker: Broker, fresh: str
) -> None:
    own_broker.create_topics({topics.receipts_from(fresh): 1})
    connection = Connection(own_broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    since = datetime.now(UTC).replace(microsecond=0)
    told = [
        ("suspended", Stage.STOPPED, "PARTNER_SUSPENDED (R01)", 0),
        ("taken back", Stage.STOPPED, TAKEN_BACK, 0),
        ("nothing there", Stage.STOPPED, "nothing_to_take_back", 0),
        ("sent after all", Stage.STOPPED, "AGREEMENT_EXPIRED (R03)", 0),
        ("sent after all", Stage.HANDED_OVER, "redriven: renewed", 1),
        ("taken back later", Stage.STOPPED, "PARTNER_SUSPENDED (R01)", 0),
        ("taken back later", Stage.STOPPED, TAKEN_BACK, 1),
        ("twice", Stage.STOPPED, "PARTNER_SUSPENDED (R01)", 0),
        ("twice", Stage.STOPPED, "AGREEMENT_EXPIRED (R03); redriven: was it?", 90),
        ("before", Stage.STOPPED, "PARTNER_SUSPENDED (R01)", -90),
        ("later", Stage.STOPPED, "PARTNER_SUSPENDED (R01)", 90),
    ]
    try:
        await outbound.send_all(
            Message(topics.receipts_from(fresh), b"k", codec.encode_record(a_receipt(fresh, *one, since)), (), 0)
            for one in told
        )
        found = await stopped(connection, fresh, since=since, until=since + timedelta(seconds=60))
    finally:
        await outbound.stop()

    assert {key: receipt.reason for key, receipt in found.items()} == {
        "suspended": "PARTNER_SUSPENDED (R01)",
        "twice": "AGREEMENT_EXPIRED (R03); redriven: was it?",
    }


def a_receipt(partner: str, notification_id: str, stage: Stage, reason: str, seconds: int, since: datetime) -> Receipt:
    return Receipt(
        notification_id=notification_id,
        event_id=str(uuid.uuid4()),
        partner=partner,
        transport="folder",
        stage=stage,
        attempt=1,
        at=since + timedelta(seconds=seconds),
        answer="ok",
        reason=reason,
        subject_token="t" * 64,
        purpose="safeguarding",
        consent_meaning=None,
        output_digest="",
    )


async def test_what_was_taken_back_since_never_arrives_after_the_word_that_it_was_wrong(bus: DecidedBus) -> None:
    """The retraction reached the partner; the original had been owed all the while."""
    original = await bus.shared(await bus.publish())
    await bus.record(original.record)
    [due] = [o.notification for o in original.outputs if o.notification.recipient == HAVEN]
    later = await bus.shared(await bus.publish())
    answers = tuple(
        a.model_copy(update={"takes_back": due.notification_id}) if a.recipient == HAVEN else a
        for a in later.record.answers
    )
    await bus.record(later.record.model_copy(update={"answers": answers}))

    [found] = await of(bus, original)

    assert (found.notification_id, found.output) == (due.notification_id, None)
    assert found.why.startswith("taken back or corrected since")


async def test_what_cannot_be_made_again_says_why(bus: DecidedBus) -> None:
    origin = await bus.publish()
    shared = await bus.shared(origin)
    gone = shared.record.model_copy(update={"origin": origin.model_copy(update={"offset": origin.offset + 1_000_000})})
    await bus.record(gone)
    other = await bus.shared(await bus.publish())
    await bus.record(other.record.model_copy(update={"input_digest": "another"}))

    why = {each.event_id: (each.output, each.why) for each in await of(bus, shared, other)}

    assert why[shared.record.event_id] == (
        None,
        f"the event is no longer kept at {origin.topic}/0/{origin.offset + 1_000_000}; the agency can publish a "
        "correction",
    )
    assert why[other.record.event_id][1].startswith("other bytes stand at in.fordshire-police/0/")


async def test_a_decision_that_no_worker_wrote_makes_nothing(bus: DecidedBus) -> None:
    """Whoever may write there, and not under the worker's transactional id, would have a child's data sent."""
    shared = await bus.shared(await bus.publish())
    value = codec.encode_record(shared.record)
    await bus.outbound.send_all([Message(topics.DECISIONS, shared.record.event_id.encode(), value, (), 0)])

    assert await of(bus, shared) == []


async def test_what_does_not_say_who_is_meant_is_found_on_the_topic_of_whoever_got_it(bus: DecidedBus) -> None:
    clear = await bus.decide()
    [due] = [o.notification for o in clear.outputs if o.notification.recipient == HAVEN]
    other = due.model_copy(update={"notification_id": str(uuid.uuid4()), "whom_to_ask": "the desk, 01632 960101"})
    elsewhere = other.model_copy(update={"notification_id": str(uuid.uuid4()), "recipient": "ash-primary"})
    await bus.send(other, elsewhere)
    await bus.outbound.send_all([Message(topics.notifications_for(HAVEN), b"k", b"of nobody", (), 0)])

    assert await unclear(bus.connection, HAVEN, since=bus.since) == {other.notification_id}
