"""Begins, ends and times are told of any partition, and a broker that does not tell them does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from a_topic import NUMBERS, write
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnsupportedVersionError

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets, settled_ends, until_settled
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer


async def test_partitions_of_several_topics_are_asked_about_together(broker: Broker, fresh: str) -> None:
    one, other = f"{fresh}-one", f"{fresh}-other"
    broker.create_topics({one: 4, other: 4})
    connection = Connection(broker.bootstrap)
    await write(connection, one, {1: NUMBERS})
    await write(connection, other, {0: NUMBERS[:2]})
    asked = [Partition(one, 1), Partition(other, 0), Partition(other, 3)]
    async with Offsets(connection) as offsets:
        there = await offsets.there()
        begins, ends = await offsets.begins_of(asked), await offsets.ends_of(asked)
        nothing = (await offsets.ends_of([]), await offsets.first_since([], 0))

    assert (there[one], there[other]) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert begins == dict.fromkeys(asked, 0)
    assert ends == dict(zip(asked, (6, 2, 0), strict=True))
    assert nothing == ({}, {})


async def test_the_first_record_since_a_time_is_told_with_its_own_time(kafka_broker: Broker, fresh: str) -> None:
    kafka_broker.create_topics({fresh: 2})
    connection = Connection(kafka_broker.bootstrap)
    await write(connection, fresh, {0: NUMBERS})
    [first, *_] = [record async for record in read_topic(connection, fresh)]
    asked = [Partition(fresh, 0), Partition(fresh, 1)]
    async with Offsets(connection) as offsets:
        found = await offsets.first_since(asked, first.timestamp - 1)
        later = await offsets.first_since(asked, first.timestamp + 3_600_000)

    assert found == {asked[0]: (0, first.timestamp), asked[1]: None}
    assert later == dict.fromkeys(asked)


Commit = Callable[[], Awaitable[None]]

ASKED: dict[str, Callable[[Offsets], Awaitable[Any]]] = {
    "where its topics begin": lambda offsets: offsets.begins_of([Partition("t", 0)]),
    "where its topics end": lambda offsets: offsets.ends_of([Partition("t", 0)]),
    "which records are of a time": lambda offsets: offsets.first_since([Partition("t", 0)], 0),
}


@pytest.mark.parametrize("what", ASKED)
async def test_what_the_broker_does_not_say_is_named(
    embedded_broker: Broker, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_args: object) -> None:
        raise KafkaError()

    for name in ("beginning_offsets", "end_offsets", "offsets_for_times"):
        monkeypatch.setattr(AIOKafkaConsumer, name, fails)
    async with Offsets(Connection(embedded_broker.bootstrap)) as offsets:
        with pytest.raises(NotReachable) as refused:
            await ASKED[what](offsets)

    assert str(refused.value) == f"the broker at `{embedded_broker.bootstrap}` does not say {what}"


async def test_a_broker_that_does_not_take_us_is_not_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(_self: AIOKafkaConsumer) -> None:
        raise UnsupportedVersionError()

    monkeypatch.setattr(AIOKafkaConsumer, "start", refuses)
    with pytest.raises(NotReachable, match=r"answers and does not take us \(UnsupportedVersionError\)"):
        await Offsets(Connection("127.0.0.1:1")).start()


@asynccontextmanager
async def unsettled(broker: Broker, topic: str) -> AsyncIterator[tuple[Commit, Offsets, Offsets]]:
    """
    A transaction of one record that is not committed: how to, and who knows the ends.

    One that is committed and whose mark does not stand in the partition yet looks the same.
    """
    broker.create_topics({topic: 2})
    connection = Connection(broker.bootstrap)
    writer = Writer(connection, client_id="test", transactional_id=topic)
    await writer.start()
    try:
        async with Offsets(connection) as surely, Offsets(connection, committed=False) as all_:
            producer = await writer._usable()
            await producer.begin_transaction()
            await writer.send_all([Message(topic, b"key", b"value", partition=1)])
            yield producer.commit_transaction, surely, all_
    finally:
        await writer.stop()


async def test_what_is_not_settled_is_waited_for(kafka_broker: Broker, fresh: str) -> None:
    where = Partition(fresh, 1)
    async with unsettled(kafka_broker, fresh) as (commit, surely, all_):
        assert (await surely.ends_of([where]), await all_.ends_of([where])) == ({where: 0}, {where: 1})
        asking = asyncio.ensure_future(settled_ends(surely, all_, [Partition(fresh, 0), where]))
        assert await asyncio.wait([asking], timeout=0.5) == (set(), {asking})
        await commit()
        found = await asking

    assert found == {Partition(fresh, 0): 0, where: 2}  # the mark takes an offset


async def test_a_transaction_that_stays_open_is_named(kafka_broker: Broker, fresh: str) -> None:
    async with unsettled(kafka_broker, fresh) as (_, surely, all_):
        with pytest.raises(NotReachable, match=rf"^a transaction on `{fresh}` 1 is open for 0\.1 s and more"):
            await settled_ends(surely, all_, [Partition(fresh, 0), Partition(fresh, 1)], patience_s=0.1)


async def test_all_of_a_topic_is_waited_for_and_one_that_is_not_there_is_not(kafka_broker: Broker, fresh: str) -> None:
    connection = Connection(kafka_broker.bootstrap)
    async with unsettled(kafka_broker, fresh) as (commit, surely, _):
        await until_settled(connection, f"{fresh}-none")
        asking = asyncio.ensure_future(until_settled(connection, fresh))
        assert await asyncio.wait([asking], timeout=0.5) == (set(), {asking})
        await commit()
        await asking

        assert await surely.ends_of([Partition(fresh, 1)]) == {Partition(fresh, 1): 2}


async def test_where_nothing_is_open_ends_are_told_at_once(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    connection, where = Connection(broker.bootstrap), Partition(fresh, 1)
    await write(connection, fresh, {1: NUMBERS})
    async with Offsets(connection) as surely, Offsets(connection, committed=False) as all_:
        assert await settled_ends(surely, all_, [where]) == {where: 6}
