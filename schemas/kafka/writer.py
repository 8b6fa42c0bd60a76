"""
How do we write to the broker and know that it is written?

`send_all` returns only when the broker has acknowledged every message, and raises if one was refused: a send that was
merely handed to a client's buffer proves nothing. `send_as_one` writes all or nothing, and only as long as nobody else
has started under the same name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.partitioner import murmur2

from safebus.schemas import topics
from safebus.schemas.errors import NotAllowed, NotReachable, Overtaken, SafebusError
from safebus.schemas.kafka.connection import Connection


@dataclass(frozen=True)
class Message:
    """One message to write. `partition` None: by the key."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A message that the broker will not take on its topic, whatever is tried; `why`: in plain words."""

    message: Message
    why: SafebusError


#: What is said of one topic and says nothing of any other.
_OF_THE_TOPIC = (TopicAuthorizationFailedError, MessageSizeTooLargeError)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int = topics.PARTITIONS) -> int:
    """
    The partition that Kafka's clients choose for a key; remembered, because aiokafka computes it byte by byte.

    Source: Apache Kafka, `BuiltInPartitioner.partitionForKey`: murmur2, its sign bit cleared.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Writer:
    """
    A producer that waits for every acknowledgement.

    Only one with a transactional id has a producer id, by which a broker tells repeats. Nobody is asked for it: whoever
    may write to a topic may write under an id that a broker will give to somebody else next, and what that one then
    writes is taken for a repeat, acknowledged, and nowhere. So a retry may write the same twice here; every record of
    ours has an id by which its readers know that.

    Args:
        linger_ms: How long a record waits for others to go with it, milliseconds. Whoever waits for each of its few
            records before it goes on should say 0.
        compression: `zstd`, or None: as it is. Many records that say the same in other words become a fifteenth.
        transactional_id: Whoever starts with it last is the only one who may write under it; what an earlier one had
            open is undone, and its next write raises `Overtaken`. Then `send_as_one` is how to write. Source: KIP-98.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        client_id: str,
        timeout_s: float = 20.0,
        linger_ms: int = 2,
        compression: str | None = None,
        transactional_id: str | None = None,
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._settings: dict[str, Any] = dict(
            client_id=client_id,
            acks="all",
            compression_type=compression,
            enable_idempotence=transactional_id is not None,
            linger_ms=linger_ms,
            max_batch_size=131_072,
            max_request_size=1_048_576,
            request_timeout_ms=int(timeout_s * 1000),
            transactional_id=transactional_id,
            # Only for what a killed process leaves open when nobody starts in its place.
            transaction_timeout_ms=60_000,
            **connection.settings(),
        )
        self._producer = AIOKafkaProducer(**self._settings)

    async def start(self) -> None:
        """
        Connect; with a transactional id, become the one who writes under it.

        Raises:
            NotReachable: No broker answers, or this certificate may not write under the transactional id.
        """
        try:
            # aiokafka asks for a producer id for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                await self._producer.start()
        except TimeoutError as exc:
            raise await self._connection.unreachable() from exc
        except TransactionalIdAuthorizationFailed as exc:
            raise NotAllowed("this certificate may not write under its transactional id; ask for WRITE on it") from exc
        except KafkaConnectionError as exc:
            raise await self._connection.unreachable() from exc

    async def send_all(self, messages: Iterable[Message]) -> list[tuple[int, int]]:
        """
        Write messages and wait until the broker has all of them.

        Returns:
            (partition, offset) of each, in order.

        Raises:
            NotAllowed: The topic of one may not be written by this certificate.
            NotReachable: One was not acknowledged in time, or refused.
        """
        written, refused = await self._send(messages, stop_at_refusal=True)
        assert not refused
        return written

    async def send_each(self, messages: Iterable[Message]) -> list[Refusal]:
        """
        Write messages, each for itself: what one topic refuses keeps none of the others from being written.

        Returns:
            What was refused, for good, by the topic that it is for; the broker has all others.

        Raises:
            NotReachable: One was not acknowledged in time. Some may be written, and some may not.
        """
        _, refused = await self._send(messages, stop_at_refusal=False)
        return refused

    async def _send(
        self, messages: Iterable[Message], *, stop_at_refusal: bool
    ) -> tuple[list[tuple[int, int]], list[Refusal]]:
        found = list(messages)
        handed_over: list[tuple[Message, Any]] = []
        written: list[tuple[int, int]] = []
        refused: list[Refusal] = []
        at = found[0] if found else None
        try:
            # One with a producer id tries for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                for at in found:
                    try:
                        handed_over.append((at, await self._hand_over(at)))
                    except _OF_THE_TOPIC as exc:
                        refused.append(_refusal(at, exc, stop_at_refusal))
                for at, acknowledged in handed_over:
                    try:
                        done = await acknowledged
                        written.append((done.partition, done.offset))
                    except _OF_THE_TOPIC as exc:
                        refused.append(_refusal(at, exc, stop_at_refusal))
        except (KafkaError, TimeoutError) as exc:
            assert at is not None
            raise _said_plainly(at, exc) from exc
        return written, refused

    async def _hand_over(self, m: Message) -> Any:
        return await self._producer.send(m.topic, m.value, key=m.key, partition=m.partition, headers=list(m.headers))

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

    async def renew(self) -> None:
        """
        Begin anew under the same name: what nobody has acknowledged so far is not tried any more.

        Raises:
            NotReachable: As `start`.
        """
        await self.stop()
        self._producer = AIOKafkaProducer(**self._settings)
        await self.start()

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


def _refusal(message: Message, exc: KafkaError, stop: bool) -> Refusal:
    if stop:
        raise exc
    return Refusal(message, _said_plainly(message, exc))


def _said_plainly(message: Message, exc: BaseException) -> SafebusError:
    """What was refused, without the message."""
    if isinstance(exc, TopicAuthorizationFailedError):
        return NotAllowed(f"this certificate may not write to `{message.topic}`; ask the operator for WRITE on it")
    return _overtaken_or(
        exc,
        f"`{message.topic}` did not acknowledge a message of {len(message.value)} bytes "
        f"({type(exc).__name__}); it may or may not be written",
    )


def _overtaken_or(exc: BaseException, text: str) -> SafebusError:
    if isinstance(exc, ProducerFenced | InvalidProducerEpoch | InvalidProducerIdMapping):
        return Overtaken("another process has started in our place and writes now; this one must not")
    return NotReachable(text)
