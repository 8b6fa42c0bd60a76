"""
Where does a producer live, can it send from here, and what is handed over to it?

aiokafka's producer belongs to one loop of one process and says so by hanging, or by an error about something else. What
it can tell only after a time-out (a topic that is not there, tasks that are gone) is looked at before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.metadata import MetadataRequest

from safebus.schemas.errors import WrongUse
from safebus.schemas.kafka.their_logs import Unshown

#: How often a broker must say that it has no topic, a tenth of a second apart: one that has just been made is not known
#: to all brokers at once.
_SAID_OFTEN_ENOUGH: Final = 5


class NotThere(UnknownTopicOrPartitionError):  # type: ignore[misc]  # aiokafka has no annotations
    """The brokers say, before anything is handed over, that they have no such topic."""


@dataclass(frozen=True)
class Message:
    """One message to write. `partition` None: by the key."""

    topic: str
    key: bytes = field(repr=False)
    value: bytes = field(repr=False)
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


def made(settings: Mapping[str, Any]) -> AIOKafkaProducer:
    """
    A producer that asks a broker which is away ten times a second.

    aiokafka asks anew as soon as it was told that nobody is there: on this machine 1 500 times a second, a third of a
    processor, and two lines of its log each time.
    """
    producer = AIOKafkaProducer(**settings)
    ask = producer.client._metadata_update

    async def ask_and_rest(*where: Any) -> bool:
        answered = bool(await ask(*where))
        await asyncio.sleep(0 if answered else 0.1)
        return answered

    producer.client._metadata_update = ask_and_rest
    return producer


@dataclass(frozen=True)
class Started:
    """A producer, and where it lives."""

    producer: AIOKafkaProducer
    loop: asyncio.AbstractEventLoop
    pid: int

    @classmethod
    def here(cls, producer: AIOKafkaProducer) -> Self:
        """In this process and this loop."""
        return cls(producer, asyncio.get_running_loop(), os.getpid())

    def check_that_it_is_ours(self) -> None:
        """
        Raises:
            WrongUse: It lives elsewhere.
        """
        if os.getpid() != self.pid:
            # Two processes at one connection would read each other's answers.
            raise WrongUse(
                f"it was started in process {self.pid}, and this is process {os.getpid()}; make and start one in each "
                "process, after the fork"
            )
        if asyncio.get_running_loop() is not self.loop:
            raise WrongUse(
                "it was started in another event loop; start one in each loop, or use `PublisherSync`, which may be "
                "called from any thread"
            )

    def is_over(self) -> bool:
        """Has the loop or the process ended that it lived in?"""
        return self.loop.is_closed() or self.pid != os.getpid()

    def sends(self) -> bool:
        """Are the tasks alive that send, and that ask who leads?"""
        tasks = self.producer._sender.sender_task, self.producer.client._sync_task
        return all(task is not None and not task.done() and not task.cancelling() for task in tasks)


async def end(producer: AIOKafkaProducer, *, within_s: float) -> None:
    """Flush and disconnect, also where the time is over or the caller is cancelled; what still waits is told so."""
    try:
        async with asyncio.timeout(within_s):
            await producer.stop()
    except TimeoutError:
        await _cut_off(producer)
    except asyncio.CancelledError:
        await _cut_off(producer)
        raise
    finally:
        _fail_what_waits(producer._message_accumulator)


async def _cut_off(producer: AIOKafkaProducer) -> None:
    # A transaction is asked for again and again, for as long as one waits for it: so one second, and no more.
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(1.0):
            await producer._sender.close()
    await producer.client.close()


def _fail_what_waits(accumulator: Any) -> None:
    for batches in accumulator._batches.values():
        accumulator._pending_batches.update(batches)  # where it looks for them when they have failed
        for batch in batches:
            batch.future.add_done_callback(_noticed)
            batch._drain_waiter.add_done_callback(_noticed)  # by which one waits for a batch that is full
    accumulator.fail_all(KafkaError("the connection was ended"))


async def hand_over(producer: AIOKafkaProducer, m: Message) -> asyncio.Future[Any]:
    await _has_topic(producer, m.topic)
    acknowledged: asyncio.Future[Any] = await producer.send(
        m.topic, Unshown(m.value), key=Unshown(m.key), partition=m.partition, headers=list(m.headers)
    )
    acknowledged.add_done_callback(_noticed)
    return acknowledged


def _noticed(acknowledged: asyncio.Future[Any]) -> None:
    """Whoever waited may have gone; asyncio would log each error that nobody has asked for."""
    if not acknowledged.cancelled():
        acknowledged.exception()


async def _has_topic(producer: AIOKafkaProducer, topic: str) -> None:
    """
    aiokafka asks for a topic that is not there until the time is over, and says then that the time was over. It asks
    in a way that makes the topic, too, where a broker makes what it is asked for.
    """
    client, not_there = producer.client, 0
    while client.cluster.partitions_for_topic(topic) is None:
        said = await _said_of(client, topic)
        if said == NoError.errno:
            return
        if said == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError(topic)
        not_there += said == UnknownTopicOrPartitionError.errno
        if not_there >= _SAID_OFTEN_ENOUGH:
            raise NotThere(topic)
        await asyncio.sleep(0.1)


async def _said_of(client: AIOKafkaClient, topic: str) -> int | None:
    """The error that some broker has for the topic, 0: none; None: nobody answers."""
    node = client.get_random_node()
    try:
        answer = await client.send(node, MetadataRequest([topic], allow_auto_topic_creation=False))
    except KafkaError:
        return None
    return int(answer.topics[0][0])
