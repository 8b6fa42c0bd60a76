"""What the bus expects of a broker, asked of both; and what only one of them can do."""

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from aiokafka.structs import ConsumerRecord

from safebus.deploy.local.brokers import Broker, BrokerUnavailable, UnknownBroker, WrongPartitions, open_broker
from safebus.deploy.local.brokers.kafka import KafkaBroker

WITHIN_MS = 20_000

on_both_but_embedded_cannot_choose_partitions = pytest.mark.parametrize(
    "broker",
    [
        "kafka",
        pytest.param(
            "embedded",
            marks=pytest.mark.xfail(
                strict=True, raises=WrongPartitions, reason="librdkafka's cluster gives every topic 4 partitions"
            ),
        ),
    ],
    indirect=True,
)

on_both_but_embedded_makes_what_is_named = pytest.mark.parametrize(
    "broker",
    [
        "kafka",
        pytest.param(
            "embedded",
            marks=pytest.mark.xfail(
                strict=True,
                raises=pytest.fail.Exception,
                reason="librdkafka's cluster makes every topic that is named, so a mistake in a name goes unseen",
            ),
        ),
    ],
    indirect=True,
)


async def test_records_keep_their_order_within_a_partition(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    await send(broker, fresh, [(number % 4, b"%d" % number) for number in range(400)])

    read = await read_all(broker, fresh)

    assert {partition: [record.value for record in records] for partition, records in read.items()} == {
        partition: [b"%d" % number for number in range(partition, 400, 4)] for partition in range(4)
    }


async def test_a_record_lands_in_the_partition_it_names_with_its_key_and_headers(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    headers = [("event_id", b"e-1"), ("event_id", b"e-2"), ("empty", b"")]
    async with producer(broker) as sender:
        sent = await sender.send_and_wait(fresh, b"value", key=b"case", partition=3, headers=headers)

    read = await read_all(broker, fresh)

    assert (sent.partition, sent.offset) == (3, 0)
    assert [(record.key, record.value, list(record.headers)) for record in read[3]] == [(b"case", b"value", headers)]
    assert [read[partition] for partition in (0, 1, 2)] == [[], [], []]


async def test_end_offsets_are_the_offsets_of_the_next_records(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    await send(broker, fresh, [(1, b"a"), (1, b"b"), (2, b"c")])
    async with consumer(broker) as reader:
        ends = await reader.end_offsets([TopicPartition(fresh, number) for number in range(4)])

    assert {place.partition: offset for place, offset in ends.items()} == {0: 0, 1: 2, 2: 1, 3: 0}


async def test_a_reader_without_a_group_starts_where_it_seeks(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    await send(broker, fresh, [(0, b"%d" % number) for number in range(10)])
    place = TopicPartition(fresh, 0)
    async with consumer(broker) as reader:
        reader.assign([place])
        reader.seek(place, 7)
        read = await take(reader, 3)

    assert [(record.offset, record.value) for record in read] == [(7, b"7"), (8, b"8"), (9, b"9")]


async def test_a_group_resumes_where_it_committed(broker: Broker, fresh: str) -> None:
    """Not where it read: what was read and not committed is read again."""
    broker.create_topics({fresh: 4})
    await send(broker, fresh, [(2, b"%d" % number) for number in range(5)])
    place = TopicPartition(fresh, 2)
    async with consumer(broker, fresh, group_id=fresh) as first:
        await take(first, 5)
        await first.commit({place: 3})
    async with consumer(broker, fresh, group_id=fresh) as second:
        resumed = await take(second, 2)

    assert [record.offset for record in resumed] == [3, 4]


async def test_two_groups_do_not_move_each_other(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})
    await send(broker, fresh, [(0, b"%d" % number) for number in range(5)])
    place = TopicPartition(fresh, 0)
    async with consumer(broker, group_id=f"{fresh}-a") as one, consumer(broker, group_id=f"{fresh}-b") as other:
        one.assign([place])
        other.assign([place])
        await one.commit({place: 4})
        await other.commit({place: 1})

        assert [await reader.committed(place) for reader in (one, other)] == [4, 1]


def test_making_topics_again_changes_nothing(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 4})

    broker.create_topics({fresh: 4, f"{fresh}-new": 4})
    broker.create_topics({})


async def test_a_topic_asked_with_one_partition_can_be_used_through_partition_0(broker: Broker, fresh: str) -> None:
    """The register: one partition, so that one offset names one state."""
    broker.create_topics({fresh: 1})
    await send(broker, fresh, [(0, b"a"), (0, b"b")])
    place = TopicPartition(fresh, 0)
    async with consumer(broker) as reader:
        reader.assign([place])
        read = await take(reader, 2)

    assert [record.value for record in read] == [b"a", b"b"]


@on_both_but_embedded_cannot_choose_partitions
async def test_a_topic_has_the_number_of_partitions_it_was_asked_with(broker: Broker, fresh: str) -> None:
    broker.create_topics({fresh: 7})
    async with consumer(broker, fresh) as reader:
        assert reader.partitions_for_topic(fresh) == set(range(7))


def test_a_topic_with_another_number_of_partitions_is_an_error(broker: Broker, fresh: str) -> None:
    """And then none of the others is made, so the next try starts from the same place."""
    broker.create_topics({fresh: 4})

    with pytest.raises(WrongPartitions, match=rf"`{fresh}` .* 4 .*(expected 5|use broker `kafka`)"):
        broker.create_topics({f"{fresh}-other": 4, fresh: 5})


@pytest.mark.parametrize(
    "name",
    [
        "kafka",
        pytest.param(
            "embedded",
            marks=pytest.mark.xfail(
                strict=True, raises=AssertionError, reason="librdkafka's cluster keeps records in memory only"
            ),
        ),
    ],
)
async def test_records_and_commits_outlive_a_stop(name: str, tmp_path: Path) -> None:
    with open_broker(name, data_dir=tmp_path) as broker:
        broker.create_topics({"kept": 4})
        await send(broker, "kept", [(0, b"a"), (3, b"b")])
    with open_broker(name, data_dir=tmp_path) as broker:
        broker.create_topics({"kept": 4})
        read = await read_all(broker, "kept")

    assert {partition: [record.value for record in records] for partition, records in read.items()} == {
        0: [b"a"],
        1: [],
        2: [],
        3: [b"b"],
    }


def test_one_that_somebody_has_killed_is_said_to_have_ended(broker: Broker, tmp_path: Path) -> None:
    """`safebus up` lived on beside it and said nothing, and another one was told that a bus is running."""
    broker.check()
    with open_broker("kafka", data_dir=tmp_path) as mine:
        assert isinstance(mine, KafkaBroker) and mine._child is not None
        mine.check()
        mine._child.kill()
        mine._child.wait()
        with pytest.raises(BrokerUnavailable, match=r"Kafka has ended \(exit code -9\): start it again"):
            mine.check()
        mine.restart()
        mine.check()


async def test_acknowledged_records_and_commits_outlive_a_kill(tmp_path: Path) -> None:
    """Apache Kafka only, on the same port, so that clients find it again."""
    with open_broker("kafka", data_dir=tmp_path) as broker:
        assert isinstance(broker, KafkaBroker)
        broker.create_topics({"kept": 4})
        await send(broker, "kept", [(number % 4, b"%d" % number) for number in range(100)])
        place, before = TopicPartition("kept", 1), broker.bootstrap
        async with consumer(broker, group_id="readers") as reader:
            reader.assign([place])
            await reader.commit({place: 9})

        broker.kill()
        with pytest.raises(ConnectionRefusedError):
            connect(before)
        broker.restart()

        read = await read_all(broker, "kept")
        async with consumer(broker, group_id="readers") as reader:
            reader.assign([place])
            committed = await reader.committed(place)
        await send(broker, "kept", [(0, b"after")])

    assert broker.bootstrap == before
    assert sum(len(records) for records in read.values()) == 100
    assert committed == 9


@pytest.mark.parametrize("name", ["embedded", "kafka"])
def test_a_broker_is_stopped_also_when_its_user_fails(name: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_broker(name, data_dir=tmp_path) as broker:
        address = broker.bootstrap
        connect(address)
        raise ZeroDivisionError

    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_a_broker_listens_on_loopback_only(broker: Broker) -> None:
    assert broker.bootstrap.startswith("127.0.0.1:")


def test_a_name_that_no_broker_has_is_an_error_that_names_the_two(tmp_path: Path) -> None:
    with (
        pytest.raises(UnknownBroker, match=r"`kafak` is not known; name one of `embedded`, `kafka`"),
        open_broker("kafak", data_dir=tmp_path),
    ):
        pass


def test_a_port_asked_of_the_embedded_broker_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match="leave it 0"), open_broker("embedded", data_dir=tmp_path, port=19092):
        pass


def test_a_port_that_is_in_use_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(BrokerUnavailable, match=rf"port `{port}` is in use"),
            open_broker("kafka", data_dir=tmp_path, port=port),
        ):
            pass

    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_while_kafka_starts_is_replaced_unless_clients_know_it(
    tmp_path: Path,
) -> None:
    with open_broker("kafka", data_dir=tmp_path) as broker, socket.socket() as other:
        known = broker.bootstrap
        broker.stop()
        listeners = dict(
            line.split("=", 1) for line in (tmp_path / "server.properties").read_text().splitlines() if "=" in line
        )["listeners"]
        other.bind(("127.0.0.1", int(listeners.rpartition(":")[2])))  # the controller's
        other.listen()
        broker.restart()
        assert broker.bootstrap == known
        broker.create_topics({"it-serves": 1})


def test_a_setting_kafka_refuses_is_an_error_that_shows_what_it_said(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path, settings={"num.io.threads": "none"})

    with pytest.raises(BrokerUnavailable, match=r"(?s)Invalid value none for configuration num\.io\.threads"):
        broker.start()


def test_a_name_kafka_refuses_for_a_topic_is_an_error_that_says_why(kafka_broker: Broker) -> None:
    with pytest.raises(BrokerUnavailable, match="topic `no spaces`: Topic name is invalid"):
        kafka_broker.create_topics({"no spaces": 1})


async def test_a_topic_has_the_settings_it_was_made_with(kafka_broker: Broker, fresh: str) -> None:
    kafka_broker.create_topics({fresh: 1}, configs={fresh: {"max.message.bytes": "200"}})

    with pytest.raises(MessageSizeTooLargeError):
        await send(kafka_broker, fresh, [(0, bytes(300))])


def test_a_setting_that_topics_do_not_have_is_an_error_that_names_it(kafka_broker: Broker, fresh: str) -> None:
    with pytest.raises(BrokerUnavailable, match=r"Unknown topic config name: retention\.year"):
        kafka_broker.create_topics({fresh: 1}, configs={fresh: {"retention.year": "7"}})


@on_both_but_embedded_makes_what_is_named
async def test_a_topic_that_nobody_made_cannot_be_written_to(broker: Broker, fresh: str) -> None:
    async with producer(broker, request_timeout_ms=1000) as sender:
        with pytest.raises(UnknownTopicOrPartitionError):
            await sender.send_and_wait(fresh, b"value", partition=0)


def test_a_broker_that_is_not_running_makes_no_topics(tmp_path: Path) -> None:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        pass

    with pytest.raises(BrokerUnavailable, match="not running"):
        broker.create_topics({"any": 4})


def connect(address: str) -> None:
    host, _, port = address.partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()


@asynccontextmanager
async def producer(broker: Broker, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    sender = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", enable_idempotence=True, **settings)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


@asynccontextmanager
async def consumer(broker: Broker, *topics: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=broker.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **settings,
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def send(broker: Broker, topic: str, records: Iterable[tuple[int, bytes]]) -> None:
    """Each (partition, value) in turn, all acknowledged when this returns."""
    async with producer(broker) as sender:
        for acknowledged in [await sender.send(topic, value, partition=place) for place, value in records]:
            await acknowledged


async def take(reader: AIOKafkaConsumer, number: int) -> list[ConsumerRecord[Any, Any]]:
    """The next records, this many; fewer when no more come in time."""
    read: list[ConsumerRecord[Any, Any]] = []
    while len(read) < number:
        came = await reader.getmany(timeout_ms=WITHIN_MS)
        if not came:
            break
        read += [record for records in came.values() for record in records]
    return read


async def read_all(broker: Broker, topic: str) -> dict[int, list[ConsumerRecord[Any, Any]]]:
    """Every record that was there when we asked, by partition; of a topic with four."""
    places = [TopicPartition(topic, number) for number in range(4)]
    async with consumer(broker) as reader:
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        read: dict[int, list[ConsumerRecord[Any, Any]]] = {place.partition: [] for place in places}
        for record in await take(reader, sum((await reader.end_offsets(places)).values())):
            read[record.partition].append(record)
        return read
