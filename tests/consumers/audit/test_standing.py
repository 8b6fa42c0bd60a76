"""How deliveries to each partner stand is told from what their groups have done and what their receipts say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from safebus.consumers.audit.standing import How, Standing, standings
from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.entries import Entry
from safebus.streams.register.governance import DeliveriesWord
from safebus.streams.register.store import Register
from safebus.streams.register.write import register_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def receipt(partner: str, number: int, stage: Stage, reason: str = "", *, later: int = 0) -> Message:
    made = Receipt(
        notification_id=f"6f1c0f9e-0000-4000-8000-{number:012}",
        event_id="e",
        partner=partner,
        transport="folder",
        stage=stage,
        attempt=1,
        at=NOON + timedelta(seconds=number + later),
        answer="-",
        reason=reason,
        subject_token="t",
        purpose="p",
        consent_meaning=None,
        output_digest="d",
        again_at=None,
    )
    return Message(topics.receipts_from(partner), b"%d" % number, codec.encode_record(made))


@pytest.fixture
async def connection(broker: Broker, fresh: str) -> Connection:
    """Three partners; `a` was handed all it had, `b` has two left of four, `c` none of three; `d` has no topic."""
    of = {name: f"{name}-{fresh}" for name in "abcd"}
    sent = {of["a"]: 2, of["b"]: 4, of["c"]: 3}
    names = [t(partner) for partner in sent for t in (topics.notifications_for, topics.receipts_from)]
    broker.create_topics(dict.fromkeys(names, 4))
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    for partner, many in sent.items():
        out = topics.notifications_for(partner)
        await outbound.send_all([Message(out, b"k", b"x", (), 1) for _ in range(many)])
    said = [receipt(of["a"], 1, Stage.HANDED_OVER), receipt(of["b"], 2, Stage.HANDED_OVER)]
    said += [receipt(of["a"], 3, Stage.HANDED_OVER), receipt(of["b"], 4, Stage.WAITING, "partner_busy")]
    said.append(receipt(of["b"], 4, Stage.WAITING, "partner_busy", later=30))
    await outbound.send_all([*said, Message(topics.receipts_from(of["c"]), b"k", b"not of the bus")])
    await outbound.stop()
    for partner, done in ((of["a"], (2, "")), (of["b"], (1, "beyond: 1"))):
        consumer = AIOKafkaConsumer(
            group_id=f"adapter-{partner}", enable_auto_commit=False, **connection.consumer_settings()
        )
        await consumer.start()
        there = TopicPartition(topics.notifications_for(partner), 1)
        consumer.assign([there])
        await consumer.commit({there: done})
        await consumer.stop()
    return connection


async def test_each_partner_is_told_by_its_own_topics(connection: Connection, broker: Broker, fresh: str) -> None:
    began = datetime.now(UTC)
    a, b, c, d = (f"{name}-{fresh}" for name in "abcd")
    found = await standings(connection, Register(), [d, c, b, a], now=began + timedelta(minutes=1))
    oldest = {each.partner: each.oldest for each in found}

    assert [(s.partner, s.how, s.undelivered, s.last_handed_over) for s in found] == [
        (a, How.IN_ORDER, 0, NOON + timedelta(seconds=3)),
        (b, How.WAITING, 2, NOON + timedelta(seconds=2)),
        (c, How.WAITING, 3, None),
        (d, How.NO_TOPIC, 0, None),
    ]
    nobody = broker.name == "kafka"  # the embedded one does not tell who is in a group
    assert found[1].since == NOON + timedelta(seconds=4)  # and not since the last time that it was tried
    assert found[1].why == "partner_busy, answer -" + ("; no delivery process is in its group" if nobody else "")
    assert found[2].why == (
        "no attempt on record, and no delivery process is in its group: does `safebus deliver` run for it?"
        if nobody
        else "no attempt on record: does `safebus deliver` run for it?"
    )
    assert [each.delivering for each in found] == [None, *[False if nobody else None] * 2, None]
    assert oldest[a] is oldest[d] is None
    for partner in (b, c):
        when = oldest[partner]
        assert when is not None and abs(began - when) < timedelta(minutes=5)


async def test_one_partner_is_told_as_among_many(connection: Connection, fresh: str) -> None:
    b, now = f"b-{fresh}", NOON + timedelta(minutes=1)
    [alone] = await standings(connection, Register(), [b], now=now)
    among: dict[str, Standing] = {
        each.partner: each for each in await standings(connection, Register(), [b, f"a-{fresh}"], now=now, since=NOON)
    }

    assert alone == among[b]


async def test_what_came_a_moment_ago_accuses_nobody(connection: Connection, broker: Broker, fresh: str) -> None:
    [found] = await standings(connection, Register(), [f"c-{fresh}"], now=datetime.now(UTC))

    if broker.name != "kafka":  # there it is known that no delivery process runs
        assert found.why == "no attempt on record: it came a moment ago"
    assert found.how is How.WAITING


@pytest.mark.parametrize("ended", ["by a word", "by its time"])
async def test_where_a_pause_has_just_ended_nobody_is_accused(
    connection: Connection, broker: Broker, fresh: str, ended: str
) -> None:
    partner, now = f"c-{fresh}", datetime.now(UTC) + timedelta(minutes=2)
    just_now, before = now - timedelta(seconds=3), now - timedelta(minutes=1)
    resumed = DeliveriesWord(partner=partner, said_at=just_now, paused=False)
    over = DeliveriesWord(partner=partner, said_at=before, paused=True, until=just_now)
    body = resumed if ended == "by a word" else over
    register = register_of([Entry(f"deliveries/{partner}", "deliveries", body, "test")], at=before)
    [found] = await standings(connection, register, [partner], now=now)
    [late] = await standings(connection, register, [partner], now=now + timedelta(minutes=1))

    assert (found.how, late.how) == (How.WAITING, How.WAITING)
    if broker.name != "kafka":  # there it is known that no delivery process runs
        assert found.why == "no attempt on record: deliveries go on since a moment ago"
        assert late.why == "no attempt on record: does `safebus deliver` run for it?"


async def test_where_a_delivery_process_is_in_the_group_nobody_asks_whether_it_runs(
    connection: Connection, kafka_broker: Broker, fresh: str
) -> None:
    """Its first attempt may take long: what it does its log says."""
    here, partner = Connection(kafka_broker.bootstrap), f"e-{fresh}"
    out = topics.notifications_for(partner)
    kafka_broker.create_topics({out: 1, topics.receipts_from(partner): 1})
    outbound = Writer(here, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(out, b"k", b"x", ())])
    await outbound.stop()
    consumer = AIOKafkaConsumer(
        out, group_id=f"adapter-{partner}", enable_auto_commit=False, **here.consumer_settings()
    )
    await consumer.start()
    try:
        [found] = await standings(here, Register(), [partner], now=datetime.now(UTC) + timedelta(minutes=1))
    finally:
        await consumer.stop()

    assert (found.delivering, found.why) == (
        True,
        "no attempt on record, though a delivery process is in its group: what does its log say?",
    )


async def test_a_partner_of_whom_somebody_must_look_at_what_is_parked_is_not_in_order(
    connection: Connection, fresh: str
) -> None:
    a, b = f"a-{fresh}", f"b-{fresh}"
    of_a, of_b = await standings(connection, Register(), [a, b], now=datetime.now(UTC), parked={a: 46, b: 2})
    [none] = await standings(connection, Register(), [a], now=datetime.now(UTC), parked={})

    assert (of_a.how, of_a.parked, of_a.why) == (
        How.PARKED,
        46,
        f"a person must look: `safebus parked list {a}`",
    )
    assert (of_b.how, of_b.parked) == (How.WAITING, 2)
    assert (none.how, none.parked) == (How.IN_ORDER, 0)
