"""
How do we write to the broker and know that it is written?

`send_all` returns only when the broker has acknowledged every message, and raises if one was refused: a send that was
merely handed to a client's buffer proves nothing. `send_as_one` writes all or nothing, and only as long as nobody else
has started under the same name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

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
from safebus.schemas.errors import NotAllowed, NoTopic, NotReachable, Overtaken, SafebusError, WrongUse
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.producing import Message as Message
from safebus.schemas.kafka.producing import NotThere, Started, end, hand_over, made
from safebus.schemas.kafka.their_logs import bound_logs


@dataclass(frozen=True)
class Refusal:
    """A message that the broker will not take on its topic, whatever is tried; `why`: in plain words."""

    message: Message
    why: SafebusError


class Written(NamedTuple):
    """Where the broker put a message."""

    partition: int
    offset: int


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
    ours has an id by which its readers know that. And there is no sequence that a stopped broker could break for good.

    It may be made anywhere, and belongs to the process and the loop in which it is started. Whoever cancels all tasks
    of that loop ends those that send, too; the next message connects anew.

    Args:
        timeout_s: How long a call waits for acknowledgements, and how long what nobody has acknowledged is tried.
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
        self._started: Started | None = None
        self._stopped = False
        self._renewing: asyncio.Task[Started | None] | None = None  # while a connection is made anew

    async def start(self) -> None:
        """
        Connect; with a transactional id, become the one who writes under it.

        Raises:
            NotReachable: No broker answers, or this certificate may not write under the transactional id.
        """
        old = self._started
        if old is not None and not old.is_over():
            old.check_that_it_is_ours()
            if old.sends():
                return
            await end(old.producer, within_s=1.0)
        self._started = await self._begun()
        self._stopped = False

    async def _begun(self) -> Started:
        bound_logs()
        producer = made(self._settings)
        try:
            # aiokafka asks for a producer id for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                await producer.start()
        except BaseException as exc:
            await end(producer, within_s=1.0)
            if isinstance(exc, TransactionalIdAuthorizationFailed):
                raise NotAllowed(
                    "this certificate may not write under its transactional id; ask for WRITE on it"
                ) from exc
            if isinstance(exc, TimeoutError | KafkaConnectionError):
                raise await self._connection.unreachable() from exc
            raise
        return Started.here(producer)

    async def _usable(self) -> AIOKafkaProducer:
        """
        The producer, if it can send from here.

        Raises:
            WrongUse: It cannot.
            NotReachable: It had to connect anew and could not.
        """
        started = self._started
        if started is None:
            raise WrongUse("it was stopped; start it again" if self._stopped else "it was not started; start it first")
        started.check_that_it_is_ours()
        if started.sends() or self._settings["transactional_id"] is not None:
            return started.producer
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renewed(started))
        renewing = self._renewing
        await asyncio.wait([renewing])  # whoever gives up waiting leaves it to the others
        if renewing.cancelled():
            raise NotReachable("somebody cancelled the connection that was being made; nothing was sent, try it again")
        renewed = renewing.result()
        if renewed is None:
            raise WrongUse("it was stopped meanwhile; start it again")
        return renewed.producer

    async def _renewed(self, old: Started) -> Started | None:
        """One connection for all who wait for it; None: it was stopped meanwhile."""
        new = await self._begun()
        stopped = self._started is not old
        self._started = self._started if stopped else new
        await end((new if stopped else old).producer, within_s=1.0)
        return None if stopped else new

    @property
    def _producer(self) -> AIOKafkaProducer:
        assert self._started is not None
        return self._started.producer

    async def send_all(self, messages: Iterable[Message]) -> list[Written]:
        """
        Write messages and wait until the broker has all of them.

        Returns:
            Where each is, in order.

        Raises:
            NotAllowed: The topic of one may not be written by this certificate.
            NotReachable: One was not acknowledged in time, or refused.
            WrongUse: It was not started, or by another loop or process.
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
            WrongUse: It was not started, or by another loop or process.
        """
        _, refused = await self._send(messages, stop_at_refusal=False)
        return refused

    async def outcomes(self, messages: Iterable[Message]) -> list[Written | SafebusError]:
        """
        Write messages, and tell of each what became of it, in order: where it is, or why not.

        Raises:
            NotReachable: No connection could be made anew; nothing was sent.
            WrongUse: It was not started, or by another loop or process.
        """
        producer = await self._usable()
        found = list(messages)
        handed_over: list[asyncio.Future[Any]] = []
        told: list[Written | SafebusError] = []
        not_there: dict[str, NotThere] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                for m in found:
                    handed_over.append(await _tried(producer, m, not_there))
                if handed_over:
                    await asyncio.wait(handed_over)  # it cancels none of them, as `gather` would
        for m, acknowledged in zip(found, handed_over, strict=False):
            if not acknowledged.done() or acknowledged.cancelled():
                told.append(_said_plainly(m, TimeoutError()))
            elif (exc := acknowledged.exception()) is not None:
                told.append(_said_plainly(m, exc))
            else:
                told.append(Written(acknowledged.result().partition, acknowledged.result().offset))
        not_sent = NotReachable("it was not sent: the time was over")
        return told + [not_sent] * (len(found) - len(told))

    async def _send(self, messages: Iterable[Message], *, stop_at_refusal: bool) -> tuple[list[Written], list[Refusal]]:
        producer = await self._usable()
        found = list(messages)
        handed_over: list[tuple[Message, Any]] = []
        written: list[Written] = []
        refused: list[Refusal] = []
        at = found[0] if found else None
        try:
            # One with a producer id tries for ever; a caller must hear when nobody answers.
            async with asyncio.timeout(self._timeout_s):
                for at in found:
                    try:
                        handed_over.append((at, await hand_over(producer, at)))
                    except _OF_THE_TOPIC as exc:
                        refused.append(_refusal(at, exc, stop_at_refusal))
                for at, acknowledged in handed_over:
                    try:
                        done = await acknowledged
                        written.append(Written(done.partition, done.offset))
                    except _OF_THE_TOPIC as exc:
                        refused.append(_refusal(at, exc, stop_at_refusal))
        except (KafkaError, TimeoutError) as exc:
            assert at is not None
            raise _said_plainly(at, exc) from exc
        return written, refused

    async def send_as_one(self, messages: Iterable[Message]) -> None:
        """
        Write messages so that all of them are there or none, and only if nobody started in our place.

        Raises:
            Overtaken: Somebody did; nothing was written.
            NotReachable: It was not acknowledged in time. Whether it is written, only a new start can tell.
        """
        producer = await self._usable()
        try:
            async with asyncio.timeout(self._timeout_s):
                await producer.begin_transaction()
                await self.send_all(messages)
                await producer.commit_transaction()
        except (KafkaError, TimeoutError) as exc:
            raise _overtaken_or(exc, f"a transaction was not committed ({type(exc).__name__})") from exc

    async def renew(self) -> None:
        """
        Begin anew under the same name: what nobody has acknowledged so far is not tried any more.

        Raises:
            NotReachable: As `start`.
        """
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """
        Flush and disconnect; what nobody takes any more within the timeout is given up.

        Raises:
            WrongUse: It was started by another loop or process.
        """
        started = self._started
        if started is not None:
            started.check_that_it_is_ours()
            self._started, self._stopped = None, True
            await end(started.producer, within_s=self._timeout_s)


async def _tried(producer: AIOKafkaProducer, m: Message, not_there: dict[str, NotThere]) -> asyncio.Future[Any]:
    """What it leads to, also where that is an error at once; that a topic is not there is asked once."""
    refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    try:
        if m.topic not in not_there:
            return await hand_over(producer, m)
    except NotThere as exc:
        not_there[m.topic] = exc
    except KafkaError as exc:
        refused.set_exception(exc)
        return refused
    refused.set_exception(not_there[m.topic])
    return refused


def _refusal(message: Message, exc: KafkaError, stop: bool) -> Refusal:
    if stop:
        raise exc
    return Refusal(message, _said_plainly(message, exc))


def _said_plainly(message: Message, exc: BaseException) -> SafebusError:
    """What was refused, without the message."""
    if isinstance(exc, TopicAuthorizationFailedError):
        return NotAllowed(f"this certificate may not write to `{message.topic}`; ask the operator for WRITE on it")
    if isinstance(exc, NotThere):
        return NoTopic(
            f"there is no topic `{message.topic}` on this bus, or this certificate may not see it, so nothing was "
            "written; ask the operator (`safebus topics apply` makes it for a partner of the register)"
        )
    if isinstance(exc, MessageSizeTooLargeError):
        return NotReachable(
            f"`{message.topic}` takes no message of {len(message.value)} bytes ({type(exc).__name__}); "
            "it is not written"
        )
    return _overtaken_or(
        exc,
        f"`{message.topic}` did not acknowledge a message of {len(message.value)} bytes "
        f"({type(exc).__name__}); it may or may not be written",
    )


def _overtaken_or(exc: BaseException, text: str) -> SafebusError:
    if isinstance(exc, ProducerFenced | InvalidProducerEpoch | InvalidProducerIdMapping):
        return Overtaken("another process has started in our place and writes now; this one must not")
    return NotReachable(text)
