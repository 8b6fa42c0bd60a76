"""Begins, ends and times are told of any partition, and a broker that does not tell them does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from a_topic import NUMBERS, write
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnsupportedVersionError

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic


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
