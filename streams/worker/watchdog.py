"""
Does the worker get on with it?

Faust has been seen to sit idle on partitions that have records, and only logs it. So somebody beside it compares
where each partition ends with what is committed, and when records wait and nothing moves, the worker stops:

    a partition waits   since its last commit moved, or since it first had something to wait for
    commit age          the longest of these waits
    the worker stalls   records wait, and not one partition has moved: past a minute it ends and says so
    a partition idles   others move and this one does not: it may be behind a backlog, so past ten minutes
    the loop is stuck   a thread counts; nothing inside the loop could notice

Source: faust-streaming issues #175, #523, #640 (silently idle consumers).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from safebus.schemas.errors import BrokenPromise, NotReachable
from safebus.schemas.kafka.partitions import Partition

LOOK_EVERY_S = 1.0
STALLED_AFTER_S = 60.0
IDLE_AFTER_S = 600.0
STUCK_AFTER_S = 30


@dataclass
class Progress:
    """
    What is known of the worker's progress. Times are seconds on one monotonic clock.

    Attributes:
        lag: Records that wait, for each partition that is ours.
        looked_at: When the ends of the partitions were last learnt; None: never.
        register_at: When the register was last known to be read to its end; None: never.
        register_offset: Of the last record applied.
    """

    lag: dict[Partition, int] = field(default_factory=dict)
    looked_at: float | None = None
    register_at: float | None = None
    register_offset: int = -1
    _committed: dict[Partition, int] = field(default_factory=dict)
    _since: dict[Partition, float] = field(default_factory=dict)
    _moved_at: float = float("-inf")  # when any commit was last seen to have moved

    def looked(self, ends: Mapping[Partition, int], committed: Mapping[Partition, int], *, now: float) -> None:
        """
        Take in where each partition of ours ends, and up to where it is committed (0: nothing yet).
        """
        self.lag = {where: max(0, end - committed.get(where, 0)) for where, end in ends.items()}
        since: dict[Partition, float] = {}
        for where, waiting in self.lag.items():
            if waiting:
                moved = committed.get(where, 0) != self._committed.get(where)
                since[where] = now if moved else self._since.get(where, now)
        if any(where in self._committed and committed.get(where, 0) != self._committed[where] for where in ends):
            self._moved_at = now
        self._since = since
        self._committed = {where: committed.get(where, 0) for where in ends}
        self.looked_at = now

    def commit_age_s(self, now: float) -> float:
        """For how long records have waited without any of their partition being finished."""
        return max((now - since for since in self._since.values()), default=0.0)

    def stalled(self, now: float) -> str | None:
        """Why a worker in this state should be started again, in words; None: it gets on."""
        found = self.longest_waiting()
        if found is None:
            return None
        (topic, partition), waiting = found
        age = self.commit_age_s(now)
        if min(age, now - self._moved_at) > STALLED_AFTER_S or age > IDLE_AFTER_S:
            return f"`{topic}` partition {partition}: {waiting} records wait and nothing was committed for {age:.0f} s"
        return None

    def longest_waiting(self) -> tuple[Partition, int] | None:
        """The partition that has waited longest, and how many records wait there."""
        if not self._since:
            return None
        where = min(self._since, key=lambda w: (self._since[w], w))
        return where, self.lag[where]


@dataclass(frozen=True)
class Sources:
    """
    Where the pulse is taken.

    Attributes:
        positions: Partition -> committed offset, for every partition that is ours now.
        ends: Partition -> end offset, as the broker says.
        register: Reads the register to its end; returns its offset.
    """

    positions: Callable[[], Mapping[Partition, int]]
    ends: Callable[[list[Partition]], Awaitable[Mapping[Partition, int]]]
    register: Callable[[], Awaitable[int]]


async def take(pulse: Progress, sources: Sources, *, clock: Callable[[], float]) -> None:
    """
    Take the pulse again and again; returns never.

    Raises:
        BrokenPromise: Records wait and nothing has been committed for too long.
        BadRegister: The register holds what this version does not understand.
    """
    while True:
        try:
            pulse.register_offset = await sources.register()
            pulse.register_at = clock()
            committed = dict(sources.positions())
            pulse.looked(await sources.ends(list(committed)), committed, now=clock())
        except NotReachable:
            pass  # the wait goes on growing, and readiness says that nobody answers
        if (reason := pulse.stalled(clock())) is not None:
            raise BrokenPromise(reason)
        await asyncio.sleep(LOOK_EVERY_S)


class StuckAlarm:
    """
    A thread that ends the process when the event loop no longer turns.

    It counts its own ticks instead of time: a process that was stopped and goes on was not stuck.
    """

    def __init__(self, *, after_s: int = STUCK_AFTER_S, end: Callable[[int], Any] = os._exit) -> None:
        self._after, self._end = after_s, end
        self._turns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stuck-alarm", daemon=True)

    async def __aenter__(self) -> StuckAlarm:
        self._turning = asyncio.create_task(self._turn())
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        self._turning.cancel()

    async def _turn(self) -> None:
        while True:
            self._turns += 1
            await asyncio.sleep(0.5)

    def _watch(self) -> None:
        seen, ticks = -1, 0
        while not self._over.wait(1.0):
            ticks = ticks + 1 if self._turns == seen else 0
            seen = self._turns
            if ticks >= self._after:
                # Not by the logger: it may be what is stuck.
                sys.stderr.write(f'{{"event": "worker.failed", "error": "the loop was stuck for {ticks} s"}}\n')
                sys.stderr.flush()
                self._end(70)
                return
