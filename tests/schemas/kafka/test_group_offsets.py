"""How far a group has got is told from outside, and what is not known is never taken for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    InvalidGroupIdError,
    KafkaError,
)
from aiokafka.protocol.admin import DescribeGroupsResponse_v2

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka import group_offsets
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import Done, committed_by, done_by_each, have_members
from safebus.schemas.kafka.partitions import Partition


@pytest.fixture
async def connection(broker: Broker, fresh: str) -> Connection:
    """A topic and a group of this name, which has committed 7 on partition 2 alone."""
    broker.create_topics({fresh: 4})
    connection = Connection(broker.bootstrap)
    consumer = AIOKafkaConsumer(group_id=fresh, enable_auto_commit=False, **connection.consumer_settings())
    await consumer.start()
    consumer.assign([TopicPartition(fresh, 2)])
    await consumer.commit({TopicPartition(fresh, 2): 7})
    await consumer.stop()
    return connection


def all_of(topic: str) -> list[Partition]:
    return [Partition(topic, number) for number in range(4)]


async def test_only_partitions_on_which_it_committed_are_told(connection: Connection, fresh: str) -> None:
    assert await committed_by(connection, fresh, all_of(fresh)) == {Partition(fresh, 2): 7}
    assert await committed_by(connection, f"{fresh}-none", all_of(fresh)) == {}


def answering(first: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first answer of the broker is this one; returns a list that grows with each."""
    ask, asked = AIOKafkaAdminClient.list_consumer_group_offsets, [0]

    async def answers(self: AIOKafkaAdminClient, *args: Any, **kwargs: Any) -> Any:
        asked[0] += 1
        return first() if asked[0] == 1 else await ask(self, *args, **kwargs)

    monkeypatch.setattr(AIOKafkaAdminClient, "list_consumer_group_offsets", answers)
    return asked


def raising(error: KafkaError) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


@pytest.mark.parametrize("first", [dict, raising(GroupCoordinatorNotAvailableError())], ids=["nothing", "not-there"])
async def test_a_group_whose_coordinator_wakes_up_has_not_done_nothing(
    connection: Connection, fresh: str, first: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka passes over the error of such an answer, and gives no partition at all: all would seem undecided."""
    asked = answering(first, monkeypatch)

    assert (await committed_by(connection, fresh, all_of(fresh)), asked) == ({Partition(fresh, 2): 7}, [2])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            GroupAuthorizationFailedError(),
            "this certificate may not see how far `{group}` is; ask for DESCRIBE on that group",
        ),
        (InvalidGroupIdError(), "`{broker}` does not say how far `{group}` is (InvalidGroupIdError)"),
    ],
    ids=["forbidden", "other"],
)
async def test_what_asking_again_cannot_mend_is_said(
    connection: Connection, fresh: str, error: KafkaError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(raising(error), monkeypatch)

    with pytest.raises(NotReachable) as refused:
        await committed_by(connection, fresh, all_of(fresh))

    assert str(refused.value) == said.format(group=fresh, broker=connection.bootstrap)


async def test_a_coordinator_that_never_comes_is_an_error_in_bounded_time(
    connection: Connection, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_self: AIOKafkaAdminClient, *_args: Any, **_kwargs: Any) -> Any:
        return {}

    monkeypatch.setattr(AIOKafkaAdminClient, "list_consumer_group_offsets", none)
    async with asyncio.timeout(20):
        with pytest.raises(NotReachable, match=r"does not say how far `.*` is \(GroupCoordinatorNotAvailableError\)"):
            await committed_by(connection, fresh, all_of(fresh), patience_s=0.5)


async def test_no_broker_is_said() -> None:
    with pytest.raises(NotReachable, match=r"`127\.0\.0\.1:1` does not say how far `group` is"):
        await committed_by(Connection("127.0.0.1:1"), "group", [Partition("topic", 0)])


async def test_many_groups_are_asked_for_by_one_client(
    connection: Connection, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each was 1 200 connections for 600 partners."""
    start, started = AIOKafkaAdminClient.start, [0]

    async def counted(self: AIOKafkaAdminClient) -> None:
        started[0] += 1
        await start(self)

    monkeypatch.setattr(AIOKafkaAdminClient, "start", counted)
    groups = {fresh: all_of(fresh)} | {f"{fresh}-{n}": all_of(fresh) for n in range(150)}
    found = await done_by_each(connection, groups)

    assert found == {fresh: {Partition(fresh, 2): Done(7)}} | {f"{fresh}-{n}": {} for n in range(150)}
    assert started == [1]


async def test_no_group_is_no_question(connection: Connection) -> None:
    assert await done_by_each(connection, {}) == {}


async def test_whether_a_process_is_in_a_group_is_told_where_the_broker_tells(
    connection: Connection, broker: Broker, fresh: str
) -> None:
    """The embedded broker does not: nobody there must be taken for nobody at all."""
    consumer = AIOKafkaConsumer(
        fresh, group_id=f"{fresh}-in", enable_auto_commit=False, **connection.consumer_settings()
    )
    await consumer.start()
    try:
        found = await have_members(connection, [f"{fresh}-in", fresh])
    finally:
        await consumer.stop()

    tells = broker.name == "kafka"
    assert found == {f"{fresh}-in": True if tells else None, fresh: False if tells else None}
    assert await have_members(connection, []) == {}


async def test_members_that_are_hidden_are_no_answer(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = DescribeGroupsResponse_v2(0, [(GroupAuthorizationFailedError.errno, fresh, "", "", "", [])])
    ask = AIOKafkaAdminClient._send_request

    async def answers(self: AIOKafkaAdminClient, request: Any, node: int | None = None) -> Any:
        return hidden if request.API_KEY == hidden.API_KEY else await ask(self, request, node)

    monkeypatch.setattr(AIOKafkaAdminClient, "_send_request", answers)

    with pytest.raises(NotReachable, match="ask for DESCRIBE on that group"):
        await have_members(Connection(kafka_broker.bootstrap), [fresh])


@pytest.mark.parametrize("said", ["", "beyond: ", "beyond: -3", "beyond: x", "3", "beyond: ²", "beyond: " + "9" * 20])
def test_what_others_say_with_a_commit_is_not_counted(said: str) -> None:
    assert group_offsets._beyond(said) == 0
    assert group_offsets._beyond(group_offsets.beyond_as_metadata(17)) == 17
    assert group_offsets.beyond_as_metadata(0) == ""
