"""
How do we write to the broker and know that it is written, and read a topic from here to there?

Worker, publisher and adapters are siblings that never import each other; this is what they share of Kafka.
`send_all` returns only when the broker has acknowledged every message, and raises if one was refused: a send that was
merely handed to a client's buffer proves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
from aiokafka.partitioner import murmur2

from schemas import tolerant_records, topics
from schemas.errors import NotReachable, Overtaken, SafebusError

tolerant_records.install()  # here, because whoever makes a consumer takes its `Connection` from this module


@dataclass(frozen=True)
class Connection:
    """
    How to reach the broker.

    Attributes:
        bootstrap: `host:port`, several with commas.
        tls: None: plaintext, for loopback only.
    """

    bootstrap: str
    tls: ssl.SSLContext | None = None

    def settings(self) -> dict[str, Any]:
        """As aiokafka takes it."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SSL" if self.tls else "PLAINTEXT",
            "ssl_context": self.tls,
        }

    def unreachable(self) -> NotReachable:
        """What to say when nobody answers."""
        return NotReachable(f"no broker answers at `{self.bootstrap}`; is it up? `safebus doctor` looks")


@dataclass(frozen=True)
class Message:
    """One message to write. `partition` None: by the key."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int = topics.PARTITIONS) -> int:
    """
    The partition that Kafka's clients choose for a key; remembered, because aiokafka computes it byte by byte.

    Source: Apache Kafka, `BuiltInPartitioner.partitionForKey`: murmur2, its sign bit cleared.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Outbound:
    """
    An idempotent producer that waits for every acknowledgement.

    Args:
        transactional_id: Whoever starts with it last is the only one who may write under it; what an earlier one had
            open is undone, and its next write raises `Overtaken`. Then `send_as_one` is how to write. Source: KIP-98.
    """

    def __init__(
        self, connection: Connection, *, client_id: str, timeout_s: float = 20.0, transactional_id: str | None = None
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._producer = AIOKafkaProducer(
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=131_072,
            max_request_size=1_048_576,
            request_timeout_ms=int(timeout_s * 1000),
            transactional_id=transactional_id,
            # Only for what a killed process leaves open when nobody starts in its place.
            transaction_timeout_ms=60_000,
            **connection.settings(),
        )

    async def start(self) -> None:
        """
        Connect; with a transactional id, become the one who writes under it.

        Raises:
            NotReachable: No broker answers, or this certificate may write nothing.
        """
        try:
            # aiokafka asks for a producer id for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                await self._producer.start()
        except TimeoutError as exc:
            raise self._connection.unreachable() from exc
        except ClusterAuthorizationFailedError as exc:
            raise NotReachable(
                f"`{self._connection.bootstrap}` lets this certificate write to no topic; ask the operator"
            ) from exc
        except KafkaConnectionError as exc:
            raise self._connection.unreachable() from exc

    async def send_all(self, messages: Iterable[Message]) -> list[tuple[int, int]]:
        """
        Write messages and wait until the broker has all of them.

        Returns:
            (partition, offset) of each, in order.

        Raises:
            NotReachable: One was not acknowledged in time, or refused.
        """
        found = list(messages)
        handed_over: list[Any] = []
        written: list[tuple[int, int]] = []
        try:
            # An idempotent aiokafka producer tries for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                for m in found:
                    sent = await self._producer.send(
                        m.topic, m.value, key=m.key, partition=m.partition, headers=list(m.headers)
                    )
                    handed_over.append(sent)
                for acknowledged in handed_over:
                    done = await acknowledged
                    written.append((done.partition, done.offset))
        except (KafkaError, TimeoutError) as exc:
            first = len(handed_over) if len(handed_over) < len(found) else len(written)
            raise _said_plainly(found[first], exc) from exc
        return written

    async def send_as_one(self, messages: Iterable[Message]) -> None:
        """
        Write messages so that all of them are there or none, and only if nobody started in our place.

        Raises:
            Overtaken: Somebody did; nothing was written.
            NotReachable: It was not acknowledged in time. Whether it is written, only a new start can tell.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._producer.begin_transaction()
                await self.send_all(messages)
                await self._producer.commit_transaction()
        except (KafkaError, TimeoutError) as exc:
            raise _overtaken_or(exc, f"a transaction was not committed ({type(exc).__name__})") from exc

    async def stop(self) -> None:
        """Flush and disconnect; what nobody takes any more within the timeout is given up."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._producer.stop()
        except TimeoutError:
            # A transaction is asked for again and again, for as long as one waits for it: so one second, and no more.
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(1.0):
                    await self._producer._sender.close()
            await self._producer.client.close()


def _said_plainly(message: Message, exc: BaseException) -> SafebusError:
    """What was refused, without the message."""
    if isinstance(exc, TopicAuthorizationFailedError):
        return NotReachable(f"this certificate may not write to `{message.topic}`; ask the operator for WRITE on it")
    return _overtaken_or(
        exc,
        f"`{message.topic}` did not acknowledge a message of {len(message.value)} bytes "
        f"({type(exc).__name__}); it may or may not be written",
    )


def _overtaken_or(exc: BaseException, text: str) -> SafebusError:
    if isinstance(exc, ProducerFenced | InvalidProducerEpoch | InvalidProducerIdMapping):
        return Overtaken("another process has started in our place and writes now; this one must not")
    return NotReachable(text)


async def read(
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
