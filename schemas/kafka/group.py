"""
What of a topic is ours to deal with, and what of it is dealt with?

The partitions of the topic are shared out among the processes of a group. Each partition's offsets are committed up to
the first record that is not dealt with: one that waits holds back the commit, not its neighbours. A restart reads those
again. How many behind it are dealt with, the commit says, too, for whoever looks.

A process that was halted (SIGSTOP, a long swap, a suspended machine) does not know that its partitions went to another
meanwhile. What cannot be fenced as a topic can needs a lease: we are sure of our partitions only for as long as the
broker gives a silent member (its session), counted from a commit that it took, and ask again before we go on. A virtual
machine whose own clock stood still while its host had paused it cannot know.

Source: KIP-62 (sessions); Kleppmann, "How to do distributed locking" (2016), on leases and paused processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.assigning import SeeingAssignor
from safebus.schemas.kafka.connection import Connection, is_about_a_right, may_not_read
from safebus.schemas.kafka.consumer import make_consumer, start_consumer, stop_consumer
from safebus.schemas.kafka.group_offsets import Done, beyond_as_metadata


@dataclass(frozen=True)
class Waiting:
    """One record that waits to be dealt with, as it stands on its topic."""

    partition: int
    offset: int
    value: bytes
    topic: str = field(default="", compare=False)
    headers: Sequence[tuple[str, bytes | None]] = field(default=(), compare=False)


def seconds_since_boot() -> float:
    """Also while the machine was suspended, where the system counts that."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Unfinished:
    """What of one partition is fetched and not dealt with."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.next = -1  # offset after the last one fetched
        self.done: list[int] = []  # a heap: behind the first that is open

    def dealt_with(self, offset: int) -> None:
        if offset in self.open:
            self.open.discard(offset)
            heappush(self.done, offset)

    def committable(self) -> Done:
        up_to = min(self.open) if self.open else self.next
        while self.done and self.done[0] < up_to:
            heappop(self.done)
        return Done(up_to, len(self.done))


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """
    Our share of one topic, in order, with a commit that follows what is dealt with.

    Args:
        revoked: Called with partition numbers that are no longer ours; returns when nothing of them is under way.
        assigned: Called before anything of newly assigned partitions is fetched.
        session_s: After so many seconds of silence the broker gives our partitions to another.
        seconds: A clock that never goes back.
        patience_s: How long the broker may take to take a commit, seconds.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        topic: str,
        group: str,
        revoked: Callable[[set[int]], Awaitable[None]],
        assigned: Callable[[], Awaitable[None]],
        session_s: float = 10.0,
        seconds: Callable[[], float] = seconds_since_boot,
        patience_s: float = 30.0,
    ) -> None:
        self._topic = topic
        self._connection, self._revoked, self._assigned = connection, revoked, assigned
        self._progress: dict[int, _Unfinished] = {}
        self._committed: dict[int, Done] = {}
        self._session_s, self._seconds, self._patience_s = session_s, seconds, patience_s
        self._ours_at = float("-inf")  # when we last asked and the broker said that we are in the group
        self._letting_go = False
        self._taken_over = asyncio.Event()
        self._not_taken_over: Exception | None = None
        self._consumer = make_consumer(
            connection,
            group=group,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(SeeingAssignor,),
            max_poll_records=100,
            session_timeout_ms=int(session_s * 1000),
            heartbeat_interval_ms=int(session_s * 200),
            rebalance_timeout_ms=60_000,  # longer than `revoked` may take
            # While those we hand over to are down nothing more is fetched, for hours. The default leaves the group
            # after five minutes of that; whether the loop still turns is what a health check is for.
            max_poll_interval_ms=2**31 - 1,
        )

    async def start(self) -> None:
        """
        Join the group.

        Raises:
            NotReachable: No broker answers.
        """
        await start_consumer(self._consumer, self._connection)
        self._consumer.subscribe([self._topic], listener=self)

    async def fetch(self, wait_s: float) -> list[Waiting]:
        """
        The next records, in order within a partition; none when nothing came in `wait_s` seconds.

        Raises:
            NotReachable: The broker does not answer.
            Exception: Whatever `assigned` raised; nothing of its partitions was given out.
        """
        found: list[Waiting] = []
        try:
            fetched = await self._consumer.getmany(timeout_ms=int(wait_s * 1000))
        except KafkaError as exc:
            if is_about_a_right(exc):
                raise may_not_read(self._topic, exc) from exc
            raise NotReachable(f"`{self._topic}` could not be read: {type(exc).__name__}: {exc}") from exc
        if self._letting_go:
            return []  # whoever has these partitions next reads them again
        # aiokafka gives out records of new partitions while `on_partitions_assigned` still runs.
        await self._taken_over.wait()
        if self._not_taken_over is not None:
            raise self._not_taken_over
        for tp, records in fetched.items():
            progress = self._progress.setdefault(tp.partition, _Unfinished())
            for record in records:
                progress.open.add(record.offset)
                progress.next = record.offset + 1
                found.append(Waiting(tp.partition, record.offset, record.value, tp.topic, record.headers))
        return found

    def is_open(self, waiting: Waiting) -> bool:
        """It is ours, and not dealt with."""
        progress = self._progress.get(waiting.partition)
        return progress is not None and waiting.offset in progress.open

    def dealt_with(self, waiting: Waiting) -> None:
        """This one needs nothing more."""
        progress = self._progress.get(waiting.partition)
        if progress is not None:
            progress.dealt_with(waiting.offset)

    def surely_ours(self, *, for_another_s: float = 0.0) -> bool:
        """Nobody else can have been given our partitions yet, nor will be in so many seconds."""
        return self._seconds() - self._ours_at + for_another_s < self._session_s

    async def confirm(self) -> bool:
        """
        Ask the broker whether we are still in the group. False: another process may have our partitions.

        Raises:
            NotReachable: The broker does not say.
        """
        return await self._commit(self._committable())

    async def commit(self) -> None:
        """
        Commit what is dealt with. If a rebalance overtakes it, whoever has the partition now redoes it.

        Raises:
            NotReachable: The broker does not take it.
        """
        await self._commit(self._new())

    def _new(self) -> dict[int, Done]:
        return {p: done for p, done in self._committable().items() if self._committed.get(p) != done}

    def _committable(self) -> dict[int, Done]:
        return {p: progress.committable() for p, progress in self._progress.items() if progress.next >= 0}

    async def _commit(self, offsets: dict[int, Done]) -> bool:
        generation = self._generation()
        # aiokafka commits as nobody when the broker has put it out, and a group that is empty takes that from anyone.
        if not offsets or generation < 0:
            return False
        asked_at = self._seconds()
        try:
            async with asyncio.timeout(self._patience_s):  # aiokafka asks again and again
                await self._consumer.commit(
                    {
                        TopicPartition(self._topic, p): (done.up_to, beyond_as_metadata(done.beyond))
                        for p, done in offsets.items()
                    }
                )
        except (CommitFailedError, IllegalStateError):
            self._ours_at = float("-inf")
            return False
        except (KafkaError, TimeoutError) as exc:
            if is_about_a_right(exc):
                raise may_not_read(self._topic, exc) from exc
            raise NotReachable(f"offsets of `{self._topic}` could not be committed: {type(exc).__name__}") from exc
        if generation != self._generation():
            return False
        self._committed |= offsets
        self._ours_at = asked_at
        return True

    def _generation(self) -> int:
        """Of the group, as we know it; below 0: we are in none."""
        return int(self._consumer._coordinator.generation)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Finish what is under way, commit, let go."""
        gone = {tp.partition for tp in revoked}
        self._letting_go = True
        self._taken_over.clear()
        await self._revoked(gone)
        # At once: what was fetched of them and not taken in yet must not be open while the broker takes the commit.
        last = self._new()
        for partition in gone:
            self._progress.pop(partition, None)
        with contextlib.suppress(NotReachable):  # whoever has them next redoes it; and they are not ours all the same
            await self._commit(last)
        for partition in gone:
            self._committed.pop(partition, None)
        self._ours_at = float("-inf")

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Whoever had them before may have dealt with what is read again."""
        self._letting_go = False
        try:
            await self._assigned()
        except Exception as exc:  # aiokafka would only log it, and `fetch` would wait for ever
            self._not_taken_over = exc
        self._taken_over.set()

    async def stop(self) -> None:
        """
        Commit and leave the group.

        Raises:
            NotReachable: The broker did not take the commit; we have left all the same.
        """
        try:
            await self.commit()
        finally:
            self._ours_at = float("-inf")
            await stop_consumer(self._consumer)
