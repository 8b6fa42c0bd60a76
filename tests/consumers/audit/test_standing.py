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
from safebus.streams.register.store import Register

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def receipt(partner: str, number: int, stage: Stage, reason: str = "") -> Message:
    made = Receipt(
        notification_id=f"6f1c0f9e-0000-4000-8000-{number:012}",
        event_id="e",
        partner=partner,
        transport="folder",
        stage=stage,
        attempt=1,
        at=NOON + timedelta(seconds=number),
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
    await outbound.send_all([*said, Message(topics.receipts_from(of["c"]), b"k", b"not of the bus")])
    await outbound.stop()
    for partner, done in ((of["a"], 2), (of["b"], 2)):
        consumer = AIOKafkaConsumer(
            group_id=f"adapter-{partner}", enable_auto_commit=False, **connection.consumer_settings()
        )
        await consumer.start()
        there = TopicPartition(topics.notifications_for(partner), 1)
        consumer.assign([there])
        await consumer.commit({there: done})
        await consumer.stop()
    return connection


async def test_each_partner_is_told_by_its_own_topics(connection: Connection, fresh: str) -> None:
    began = datetime.now(UTC)
    a, b, c, d = (f"{name}-{fresh}" for name in "abcd")
    found = await standings(connection, Register(), [d, c, b, a], now=NOON + timedelta(minutes=1))
    oldest = {each.partner: each.oldest for each in found}

    assert [(s.partner, s.how, s.undelivered, s.last_handed_over) for s in found] == [
        (a, How.IN_ORDER, 0, NOON + timedelta(seconds=3)),
        (b, How.WAITING, 2, NOON + timedelta(seconds=2)),
        (c, How.WAITING, 3, None),
        (d, How.NO_TOPIC, 0, None),
    ]
    assert found[1].why == "partner_busy, answer -"
    assert found[2].why == "not tried yet: does `safebus deliver` run for it?"
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
