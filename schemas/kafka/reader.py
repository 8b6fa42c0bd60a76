"""
How do we read a topic from here to there, without a group?
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection


async def read_topic(
    connection: Connection,
    topic: str,
    *,
    partitions: Iterable[int] | None = None,
    last: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    starts: Mapping[int, int] | None = None,
    ends: Mapping[int, int] | None = None,
    patience_s: float = 30.0,
) -> AsyncIterator[Any]:
    """
    Read a topic from its beginning to where it ends now, without a group: nothing moves for anyone else.

    Args:
        partitions: None: all of them.
        last: Only the last so many records of each partition.
        since, until: Only records the broker took in between (`since` included, `until` not), UTC.
        starts, ends: Offset of the first record to read, and of the first not to, by partition.

    Yields:
        aiokafka's records, in order within a partition.

    Raises:
        NotReachable: The broker does not answer, or stops answering for `patience_s` seconds.
    """
    partitions = None if partitions is None else list(partitions)
    if partitions == []:
        return
    consumer = AIOKafkaConsumer(
        group_id=None,
        enable_auto_commit=False,
        # What a worker began and did not finish never happened (see `Outbound.send_as_one`).
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        request_timeout_ms=int(patience_s * 1000),
        **connection.settings(),
    )
    try:
        await consumer.start()
    except KafkaConnectionError as exc:
        await stop_consumer(consumer)
        raise connection.unreachable() from exc
    try:
        open_ends = await _place(consumer, topic, partitions, last, since, starts or {}, ends or {})
        while open_ends:
            async with asyncio.timeout(patience_s):
                fetched = await _next(consumer, open_ends)
            for record in fetched:
                at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                if (since is None or at >= since) and (until is None or at < until):
                    yield record
    except (KafkaError, TimeoutError) as exc:
        raise NotReachable(f"`{topic}` could not be read to its end at `{connection.bootstrap}`") from exc
    finally:
        await stop_consumer(consumer)


async def stop_consumer(consumer: Any) -> None:
    """Disconnect, also from a broker that is gone."""
    # aiokafka cancels tasks of its own and may let that through, as if we were cancelled ourselves: so a task apart.
    await asyncio.wait([asyncio.ensure_future(consumer.stop())])
    await consumer._client.close()


async def _place(
    consumer: Any,
    topic: str,
    partitions: Iterable[int] | None,
    last: int | None,
    since: datetime | None,
    starts: Mapping[int, int],
    stops: Mapping[int, int],
) -> dict[TopicPartition, int]:
    """Assign, seek, and say where each partition ends now."""
    if partitions is None:
        partitions = await _partitions_of(consumer, topic)
    tps = [TopicPartition(topic, p) for p in sorted(partitions)]
    consumer.assign(tps)
    begins = await consumer.beginning_offsets(tps)
    ends = await consumer.end_offsets(tps)
    # The embedded broker answers None: then everything is read, and filtered by time where it is used.
    timed = await consumer.offsets_for_times({tp: int(since.timestamp() * 1000) for tp in tps}) if since else {}
    for tp in tps:
        ends[tp] = min(ends[tp], stops.get(tp.partition, ends[tp]))
        begin = max(begins[tp], ends[tp] - last) if last is not None else begins[tp]
        if timed.get(tp) is not None:
            begin = max(begin, timed[tp].offset)
        begin = max(begin, starts.get(tp.partition, 0))
        consumer.seek(tp, begin)
        if begin >= ends[tp]:
            ends.pop(tp)
            consumer.pause(tp)
    return dict(ends)


async def _partitions_of(consumer: Any, topic: str) -> set[int]:
    # A consumer's own view holds only topics it subscribed to, and this one subscribes to none.
    cluster = await consumer._client.fetch_all_metadata()
    found: set[int] | None = cluster.partitions_for_topic(topic)
    if not found:
        raise NotReachable(f"the broker has no topic `{topic}`; `safebus topics plan` shows what there should be")
    return found


async def _next(consumer: Any, ends: dict[TopicPartition, int]) -> list[Any]:
    """The next records before the ends; partitions that are through leave `ends`."""
    found: list[Any] = []
    # Until something came: a broker that is gone gives empty answers for ever, and then the caller's patience ends it.
    while ends and not found:
        for tp, records in (await consumer.getmany(timeout_ms=200)).items():
            found += [r for r in records if tp in ends and r.offset < ends[tp]]
        for tp in list(ends):
            if await consumer.position(tp) >= ends[tp]:
                ends.pop(tp)
                consumer.pause(tp)
    return found
