"""
Which partitions are there, where do they begin and end, and where do they stand at a time?

A commit is acknowledged a moment before its mark stands in the partition (KIP-98, "Data Flow", 5.2), and whoever reads
what is surely written does not see it until then. Whoever draws a conclusion from what is missing asks `settled_ends`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.consumer import make_consumer, start_consumer, stop_consumer
from safebus.schemas.kafka.partitions import Partition

_LOOK_AGAIN_S = 0.02


class FirstSince(NamedTuple):
    """The first record of a partition at or after a time; `timestamp` in milliseconds since 1970."""

    offset: int
    timestamp: int


class Offsets:
    """
    A connection that is only asked, of whatever partitions.

    Args:
        committed: Ends are those of what is surely written. False: also of a transaction that may yet be undone.
        patience_s: How long the broker may take to answer, seconds.
    """

    def __init__(
        self, connection: Connection, *, committed: bool = True, patience_s: float = 30.0, **fetching: Any
    ) -> None:
        self._connection, self._patience_s = connection, patience_s
        self._topics: set[str] = set()  # that the consumer knows the brokers of
        self._consumer = make_consumer(
            connection,
            isolation_level="read_committed" if committed else "read_uncommitted",
            request_timeout_ms=int(patience_s * 1000),
            **fetching,
        )

    async def start(self) -> None:
        """
        Connect.

        Raises:
            NotReachable: No broker answers.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            await start_consumer(self._consumer, self._connection)
            await self._begin()
            undo.pop_all()

    async def _begin(self) -> None:
        """What a reader does once it is connected."""

    async def stop(self) -> None:
        """Disconnect."""
        await stop_consumer(self._consumer)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def there(self) -> dict[str, list[int]]:
        """
        Topic -> its partitions, without Kafka's own topics.

        Raises:
            NotReachable: The broker does not say.
        """
        try:
            # A consumer's own view holds only what it subscribed to.
            cluster = await self._consumer._client.fetch_all_metadata()
        except KafkaError as exc:  # it went away meanwhile, or lets us see nothing
            raise NotReachable(
                f"`{self._connection.bootstrap}` does not say which topics there are ({type(exc).__name__}); "
                "`safebus doctor` looks"
            ) from exc
        names = sorted(cluster.topics(exclude_internal_topics=True))
        return {name: sorted(cluster.partitions_for_topic(name) or ()) for name in names}

    async def begins_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """
        Offset of the first record kept.

        Raises:
            NotReachable: The broker does not say.
        """
        return await self._said("where its topics begin", self._consumer.beginning_offsets, partitions)

    async def ends_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """
        Offset of the record after the last.

        Raises:
            NotReachable: The broker does not say.
        """
        return await self._said("where its topics end", self._consumer.end_offsets, partitions)

    async def first_since(self, partitions: Iterable[Partition], at_ms: int) -> dict[Partition, FirstSince | None]:
        """
        The first record at or after a time, milliseconds since 1970; None where there is none.

        The embedded broker knows no times, so there it is always None.

        Raises:
            NotReachable: The broker does not say.
        """

        def ask(tps: Iterable[TopicPartition]) -> Any:
            return self._consumer.offsets_for_times(dict.fromkeys(tps, at_ms))

        found = await self._said("which records are of a time", ask, partitions)
        return {p: FirstSince(first.offset, first.timestamp) if first else None for p, first in found.items()}

    async def _said(self, what: str, ask: Callable[..., Any], partitions: Iterable[Partition]) -> dict[Partition, Any]:
        asked = [TopicPartition(*p) for p in partitions]
        if not {tp.topic for tp in asked} <= self._topics:
            # At once: left to aiokafka, each topic costs a question of its own.
            self._topics.update(tp.topic for tp in asked)
            self._consumer._client.set_topics(self._topics)
        try:
            found = await ask(asked) if asked else {}
        except KafkaError as exc:
            raise NotReachable(f"the broker at `{self._connection.bootstrap}` does not say {what}") from exc
        return {Partition(*tp): answer for tp, answer in found.items()}


async def settled_ends(
    surely: Offsets, all_: Offsets, partitions: Iterable[Partition], *, patience_s: float = 90.0
) -> dict[Partition, int]:
    """
    Ends of what is surely written, once it holds everything that was acknowledged before this call.

    Args:
        surely, all_: That know the ends of what is committed, and of all.
        patience_s: How long a transaction may stay open. One whose process was killed is undone after 60 s, and whoever
            takes its partition over undoes it at once.

    Raises:
        NotReachable: The broker does not say, or a transaction stays open.
    """
    written = await all_.ends_of(partitions)
    found = await surely.ends_of(written)
    try:
        async with asyncio.timeout(patience_s):
            while open_ := [p for p in written if found[p] < written[p]]:
                await asyncio.sleep(_LOOK_AGAIN_S)
                found = await surely.ends_of(written)
    except TimeoutError:
        names = ", ".join(f"`{p.topic}` {p.number}" for p in sorted(open_))
        raise NotReachable(
            f"a transaction on {names} is open for {patience_s:g} s and more, so nobody can say what is on record; "
            "find who holds it open: `kafka-transactions.sh find-hanging`"
        ) from None
    return found


async def until_settled(connection: Connection, topic: str) -> None:
    """
    Wait until readers of what is surely written see everything that was acknowledged on a topic before this call.

    Raises:
        NotReachable: As `settled_ends`.
    """
    async with Offsets(connection) as surely, Offsets(connection, committed=False) as all_:
        there = (await all_.there()).get(topic, ())
        await settled_ends(surely, all_, [Partition(topic, number) for number in there])
