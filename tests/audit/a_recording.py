"""
Everything that stands on a bus's topics, taken down once, and played onto a fresh broker as often as a test wants.

A copy has the same records at the same offsets with the same times, and the groups stand where they stood. What is
played may have been changed before.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from safebus.deploy.local.brokers.embedded import PARTITIONS
from safebus.schemas import gate
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import committed_by
from safebus.schemas.kafka.in_memory import InMemoryCluster
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.topic_list import topics_there


@dataclass(frozen=True)
class Record:
    """
    One record; `at` in milliseconds since 1970, by the broker.

    Attributes:
        in_transaction: It was written in one, as a worker writes decisions.
        ends_one: It is the last there: the mark that it is committed has the next offset.
    """

    at: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    in_transaction: bool = False
    ends_one: bool = False


@dataclass(frozen=True)
class Recording:
    """
    What stands on the topics, by partition in order, and how far each group is.

    Attributes:
        topics: Every one, also those on which nothing stands.
        groups: Group -> partition -> offset up to which it is done.
    """

    topics: Sequence[str]
    records: Mapping[Partition, Sequence[Record]]
    groups: Mapping[str, Mapping[Partition, int]] = field(default_factory=dict)

    def on(self, partition: Partition) -> Iterator[tuple[int, Record]]:
        """Each record of a partition with its offset."""
        offset = 0
        for record in self.records.get(partition, ()):
            yield offset, record
            offset += 1 + record.ends_one

    def with_(self, partition: Partition, records: Sequence[Record]) -> Recording:
        """The same, but for what stands on one partition."""
        return replace(self, records={**self.records, partition: list(records)})


async def recorded(connection: Connection, *, groups: Iterable[str]) -> Recording:
    """
    Take down everything on a broker on which nothing is being written.

    Raises:
        AssertionError: An offset has no record, which no copy could show.
    """
    found: dict[Partition, list[Record]] = defaultdict(list)
    ends: dict[Partition, int] = defaultdict(int)
    names = sorted(await topics_there(connection))
    for name in names:
        async for message in read_topic(connection, name):
            mine, offset = found[Partition(name, message.partition)], ends[Partition(name, message.partition)]
            if message.offset == offset + 1 and mine and mine[-1].in_transaction:
                mine[-1] = replace(mine[-1], ends_one=True)
            else:
                assert message.offset == offset, f"{name}/{message.partition}/{offset} has no record"
            mine.append(_as_record(message))
            ends[Partition(name, message.partition)] = message.offset + 1
    for mine in found.values():
        mine[-1] = replace(mine[-1], ends_one=mine[-1].in_transaction)
    committed: dict[str, dict[Partition, int]] = {}
    for group in groups:
        committed[group] = await committed_by(
            connection, group, [Partition(name, n) for name in names for n in range(PARTITIONS)]
        )
    return Recording(names, found, committed)


def _as_record(message: Any) -> Record:
    marks = tuple((name, value) for name, value in message.headers if not isinstance(name, gate.Damaged))
    return Record(message.timestamp, message.key, message.value, marks, gate.in_transaction(message.headers))


@contextmanager
def played(recording: Recording) -> Iterator[Connection]:
    """A broker of its own that holds this."""
    cluster = InMemoryCluster()
    for name in recording.topics:
        cluster.name_topic(name)
    asyncio.run(_play(Connection(cluster.bootstrap), recording))
    yield Connection(cluster.bootstrap)


async def _play(connection: Connection, recording: Recording) -> None:
    settings = connection.settings()
    plainly = AIOKafkaProducer(**settings)
    as_one = AIOKafkaProducer(transactional_id="copy", **settings)
    await plainly.start()
    await as_one.start()
    try:
        for partition, records in recording.records.items():
            for run in _runs(records):
                if run[0].in_transaction:
                    async with as_one.transaction():
                        await _write(as_one, partition, run)
                else:
                    await _write(plainly, partition, run)
    finally:
        await as_one.stop()
        await plainly.stop()
    for group, offsets in recording.groups.items():
        if offsets:
            await _commit(connection, group, offsets)


def _runs(records: Sequence[Record]) -> Iterator[list[Record]]:
    """What is written together: each transaction, and what stands in none between two."""
    run: list[Record] = []
    for record in records:
        if run and (run[-1].ends_one or run[-1].in_transaction is not record.in_transaction):
            yield run
            run = []
        run.append(record)
    if run:
        yield run


async def _write(producer: AIOKafkaProducer, partition: Partition, records: Iterable[Record]) -> None:
    written = [
        await producer.send(
            partition.topic,
            record.value,
            key=record.key,
            partition=partition.number,
            timestamp_ms=record.at,
            headers=list(record.headers),
        )
        for record in records
    ]
    await asyncio.gather(*written)


async def _commit(connection: Connection, group: str, offsets: Mapping[Partition, int]) -> None:
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **connection.settings())
    await consumer.start()
    try:
        consumer.assign([TopicPartition(*partition) for partition in offsets])
        await consumer.commit({TopicPartition(*partition): offset for partition, offset in offsets.items()})
    finally:
        await consumer.stop()
