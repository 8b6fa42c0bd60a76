"""Partitions are read forward, each at its own pace, with little held, on both brokers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from wire import Wire

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.kafka.writer import Message, Writer

SIZE = 1000  # bytes of each value


async def write(connection: Connection, topic: str, counts: dict[int, int]) -> None:
    """So many records to each partition, each value naming its offset."""
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    for number, count in counts.items():
        for begin in range(0, count, 20):  # in batches that one fetch can tell apart
            await outbound.send_all(
                Message(topic, b"k", b"%d" % i + b" " * SIZE, (), number) for i in range(begin, min(count, begin + 20))
            )
    await outbound.stop()


async def rest_of(reader: Reader, partition: Partition) -> list[int]:
    found = []
    while await reader.peek(partition) is not None:
        found.append(reader.take(partition).offset)
    return found


@pytest.fixture
def connection(broker: Broker, fresh: str) -> Connection:
    broker.create_topics({fresh: 4})
    return Connection(broker.bootstrap)


async def test_one_partition_may_wait_while_another_is_read_to_its_end(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 300, 1: 300})
    one, other = Partition(fresh, 0), Partition(fresh, 1)
    async with Reader(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        first = await reader.peek(one)
        all_of_other = await rest_of(reader, other)
        still_first = await reader.peek(one)
        all_of_one = await rest_of(reader, one)

    assert first.offset == still_first.offset == 0
    assert all_of_one == all_of_other == list(range(300))


async def test_of_a_partition_that_waits_no_more_than_one_fetch_is_held(connection: Connection, fresh: str) -> None:
    """However much stands there: memory does not grow with the topic."""
    await write(connection, fresh, {0: 400, 1: 400})
    async with Reader(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        await rest_of(reader, Partition(fresh, 0))
        held = await reader.take_some(Partition(fresh, 1))

    assert 0 < len(held) <= 80  # a fetch, and the batch that it ends in


async def test_what_came_since_is_read_after_the_next_look(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 3})
    partition = Partition(fresh, 0)
    async with Reader(connection, fresh.__eq__) as reader:
        first = await rest_of(reader, partition)
        await write(connection, fresh, {0: 2})
        reader.seek(partition, 0)  # so that one fetch brings all five
        again = await rest_of(reader, partition)
        await reader.look()
        after = await rest_of(reader, partition)

    assert (first, again, after) == ([0, 1, 2], [0, 1, 2], [3, 4])


async def test_records_are_found_at_their_offsets_in_any_order(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {2: 1200})
    partition = Partition(fresh, 2)
    asked = [[5, 7], [1100], [6, 900], [1199, 1200, 5000], [0]]
    async with Reader(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        found = [[r.value.split()[0] for r in (await reader.at(partition, offsets)).values()] for offsets in asked]
        elsewhere = await reader.at(Partition("none", 0), [1])

    assert found == [[b"5", b"7"], [b"1100"], [b"6", b"900"], [b"1199"], [b"0"]]
    assert elsewhere == {}


async def test_a_time_is_found_without_passing_over_anything(connection: Connection, fresh: str) -> None:
    """The embedded broker knows no times and begins earlier; what is older than asked is the caller's to pass over."""
    await write(connection, fresh, {0: 3})
    now = datetime.now(UTC)
    partition, empty = Partition(fresh, 0), Partition(fresh, 1)
    async with Reader(connection, fresh.__eq__) as reader:
        early = await reader.offsets_at(now - timedelta(hours=1))
        late = await reader.offsets_at(now + timedelta(hours=1))

    assert (early[partition], early[empty]) == (0, 0)
    assert late[partition] in (0, 3)


async def test_later_than_all_records_is_the_end_where_times_are_known(kafka_broker: Broker, fresh: str) -> None:
    """Else a verification of today would read years."""
    kafka_broker.create_topics({fresh: 1})
    connection = Connection(kafka_broker.bootstrap)
    await write(connection, fresh, {0: 3})
    async with Reader(connection, fresh.__eq__) as reader:
        late = await reader.offsets_at(datetime.now(UTC) + timedelta(hours=1))

    assert late == {Partition(fresh, 0): 3}


async def test_a_topic_that_must_be_there_is_named(connection: Connection, fresh: str) -> None:
    with pytest.raises(NotReachable, match=f"no topic `{fresh}-none`; `safebus topics plan`"):
        async with Reader(connection, fresh.__eq__, must=[f"{fresh}-none"]):
            pass


async def test_no_broker_is_said() -> None:
    with pytest.raises(NotReachable, match=r"no broker answers at `127\.0\.0\.1:1`"):
        async with Reader(Connection("127.0.0.1:1"), lambda _name: True):
            pass


async def test_whatever_comes_first_is_taken_and_all_of_it_comes(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 120, 1: 40, 3: 1})
    found: dict[int, list[int]] = {}
    async with Reader(connection, fresh.__eq__, fetch_bytes=40 * SIZE) as reader:
        while records := await reader.take_any():
            for record in records:
                found.setdefault(record.partition, []).append(record.offset)

    assert found == {0: list(range(120)), 1: list(range(40)), 3: [0]}


async def test_partitions_are_read_up_to_where_they_are_to_stop(connection: Connection, fresh: str) -> None:
    """And on from there, when the stop is moved: so the register is followed."""
    await write(connection, fresh, {0: 10})
    partition = Partition(fresh, 0)
    async with Reader(connection, partitions=[partition]) as reader:
        reader.stop_at({partition: 4})
        first = await rest_of(reader, partition)
        stands = reader.position(partition)
        await write(connection, fresh, {0: 3})
        reader.stop_at({partition: 13})
        rest = await rest_of(reader, partition)

    assert (first, stands, rest) == ([0, 1, 2, 3], 4, list(range(4, 13)))


async def test_what_was_fetched_is_held_until_it_is_taken(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 3})
    one, empty = Partition(fresh, 0), Partition(fresh, 1)
    async with Reader(connection, partitions=[one, empty]) as reader:
        before = (reader.held, reader.behind())
        while reader.behind():
            await reader.fetch()
        during = {partition: [r.offset for r in records] for partition, records in reader.held.items()}
        await reader.fetch()  # there is nothing more, so it is not waited for
        taken = [record.offset for record in reader.take_held(one)]
        after = (reader.held, reader.behind())

    assert before == ({}, {one})
    assert (during, taken, after) == ({one: [0, 1, 2]}, [0, 1, 2], ({}, set()))


async def test_a_look_without_waiting_brings_what_is_there(connection: Connection, fresh: str) -> None:
    await write(connection, fresh, {0: 3})
    async with Reader(connection, partitions=[Partition(fresh, 0)]) as reader:
        async with asyncio.timeout(30):
            while not reader.held:
                await reader.fetch(wait=False)
                await asyncio.sleep(0)
        found = [record.offset for record in await reader.take_any()]

    assert found == [0, 1, 2]


async def test_nobody_waits_for_a_topic_that_is_not_wanted(connection: Connection, fresh: str) -> None:
    async with Reader(connection, lambda _name: False) as reader:
        found = (list(reader.partitions), await reader.take_any(), await reader.offsets_at(datetime.now(UTC)))

    assert found == ([], [], {})


@pytest.mark.parametrize("topics", [1, 2])
async def test_a_broker_that_falls_silent_ends_our_patience(embedded_broker: Broker, fresh: str, topics: int) -> None:
    names = [f"{fresh}-{n}" for n in range(topics)]
    embedded_broker.create_topics(dict.fromkeys(names, 4))
    for name in names:
        await write(Connection(embedded_broker.bootstrap), name, {0: 3})
    said = {1: f"`{names[0]}` could not be read to its end", 2: "the topics could not be read to their ends"}[topics]
    async with (
        Wire(embedded_broker.bootstrap) as wire,
        Reader(Connection(wire.bootstrap), names.__contains__, patience_s=1.0) as reader,
    ):
        wire.silent = True
        with pytest.raises(NotReachable) as any_of_them:
            await reader.take_any()
        with pytest.raises(NotReachable) as this_one:
            await reader.peek(Partition(names[0], 0))
        wire.silent = False

    assert str(any_of_them.value) == f"{said} at `{wire.bootstrap}`"
    assert str(this_one.value) == f"`{names[0]}` could not be read to its end at `{wire.bootstrap}`"
