"""Partitions are read forward, each at its own pace, with little held, on both brokers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import TopicPartition

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.forward import Forward, forward
from safebus.schemas.kafka.writer import Message, Writer

SIZE = 1000  # bytes of each value


async def write(connection: Connection, topic: str, counts: dict[int, int]) -> None:
    """So many records to each partition, each value naming its offset."""
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    for partition, count in counts.items():
        for begin in range(0, count, 20):  # in batches that one fetch can tell apart
            await outbound.send_all(
                Message(topic, b"k", b"%d" % i + b" " * SIZE, (), partition)
                for i in range(begin, min(count, begin + 20))
            )
    await outbound.stop()


async def rest_of(reader: Forward, tp: TopicPartition) -> list[int]:
    found = []
    while await reader.peek(tp) is not None:
        found.append(reader.take(tp).offset)
    return found


@pytest.fixture
def connection(broker: Broker, fresh: str) -> Connection:
    broker.create_topics({fresh: 4})
    return Connection(broker.bootstrap)


async def test_one_partition_may_wait_while_another_is_read_to_its_end(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 300, 1: 300})
    one, other = TopicPartition(fresh, 0), TopicPartition(fresh, 1)
    async with forward(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        first = await reader.peek(one)
        all_of_other = await rest_of(reader, other)
        still_first = await reader.peek(one)
        all_of_one = await rest_of(reader, one)

    assert first.offset == still_first.offset == 0
    assert all_of_one == all_of_other == list(range(300))


async def test_of_a_partition_that_waits_no_more_than_one_fetch_is_held(connection: Connection, fresh: str) -> None:
    """However much stands there: memory does not grow with the topic."""
    await write(connection, fresh, {0: 400, 1: 400})
    async with forward(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        await rest_of(reader, TopicPartition(fresh, 0))
        held = await reader.take_some(TopicPartition(fresh, 1))

    assert 0 < len(held) <= 80  # a fetch, and the batch that it ends in


async def test_what_came_since_is_read_after_the_next_look(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 3})
    tp = TopicPartition(fresh, 0)
    async with forward(connection, fresh.__eq__) as reader:
        first = await rest_of(reader, tp)
        await write(connection, fresh, {0: 2})
        reader.seek(tp, 0)  # so that one fetch brings all five
        again = await rest_of(reader, tp)
        await reader.look()
        after = await rest_of(reader, tp)

    assert (first, again, after) == ([0, 1, 2], [0, 1, 2], [3, 4])


async def test_records_are_found_at_their_offsets_in_any_order(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {2: 1200})
    tp = TopicPartition(fresh, 2)
    asked = [[5, 7], [1100], [6, 900], [1199, 1200, 5000], [0]]
    async with forward(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        found = [[r.value.split()[0] for r in (await reader.at(tp, offsets)).values()] for offsets in asked]
        elsewhere = await reader.at(TopicPartition("none", 0), [1])

    assert found == [[b"5", b"7"], [b"1100"], [b"6", b"900"], [b"1199"], [b"0"]]
    assert elsewhere == {}


async def test_a_time_is_found_without_passing_over_anything(connection: Connection, fresh: str) -> None:
    """The embedded broker knows no times and begins earlier; what is older than asked is the caller's to pass over."""
    await write(connection, fresh, {0: 3})
    now = datetime.now(UTC)
    tp, empty = TopicPartition(fresh, 0), TopicPartition(fresh, 1)
    async with forward(connection, fresh.__eq__) as reader:
        early = await reader.offsets_at(now - timedelta(hours=1))
        late = await reader.offsets_at(now + timedelta(hours=1))

    assert (early[tp], early[empty]) == (0, 0)
    assert late[tp] in (0, 3)


async def test_later_than_all_records_is_the_end_where_times_are_known(kafka_broker: Broker, fresh: str) -> None:
    """Else a verification of today would read years."""
    kafka_broker.create_topics({fresh: 1})
    connection = Connection(kafka_broker.bootstrap)
    await write(connection, fresh, {0: 3})
    async with forward(connection, fresh.__eq__) as reader:
        late = await reader.offsets_at(datetime.now(UTC) + timedelta(hours=1))

    assert late == {TopicPartition(fresh, 0): 3}


async def test_a_topic_that_must_be_there_is_named(connection: Connection, fresh: str) -> None:
    with pytest.raises(NotReachable, match=f"no topic `{fresh}-none`; `safebus topics plan`"):
        async with forward(connection, fresh.__eq__, must=[f"{fresh}-none"]):
            pass


async def test_no_broker_is_said() -> None:
    with pytest.raises(NotReachable, match=r"no broker answers at `127\.0\.0\.1:1`"):
        async with forward(Connection("127.0.0.1:1"), lambda _name: True):
            pass
