"""
How does the worker process live and die?

It starts when the register is caught up, stops on SIGTERM after the running batch, and stops by itself with a clear
last line and exit code 1 when it can no longer keep its promises. Whoever starts processes starts it again. When an
agency has joined, and its topic is there, the worker joins its group anew and reads that one, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from safebus.schemas.errors import BadInput, BrokenPromise, NotReachable
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka.connection import Connection, is_about_a_right
from safebus.schemas.kafka.writer import Writer
from safebus.streams.register.follow import RegisterReader
from safebus.streams.worker.app import build
from safebus.streams.worker.counts import Counts
from safebus.streams.worker.decision_log import DecisionLog
from safebus.streams.worker.dedupe import Dedupe
from safebus.streams.worker.outgoing import Outgoing
from safebus.streams.worker.router import Router, RouterKeys
from safebus.streams.worker.watchdog import Progress, Sources, StuckAlarm
from safebus.streams.worker.watchdog import take as take_pulse

log = structlog.get_logger()


class WorkerTopics(Protocol):
    """
    What a worker may read and write.

    Attributes:
        closed: The `out.*` topics that there should be and that it may not write.
        unreadable: The `in.*` topics that there should be and that it may not read.
    """

    @property
    def closed(self) -> Collection[str]: ...

    @property
    def unreadable(self) -> Collection[str]: ...

    async def look(self, partners: Collection[str]) -> Sequence[str]:
        """
        Ask the broker; returns the `in.*` topics that may be read.

        Args:
            partners: All of the register: each may publish and receive.

        Raises:
            NotReachable: It does not answer.
            BadInput: There is nothing to read.
        """
        ...


@dataclass(frozen=True)
class WorkerSettings:
    """
    What a worker needs.

    Attributes:
        topics: What it may read and write, as the broker says.
        scratch: A folder that may hold empty folders.
        session_timeout_s: Until a killed worker's partitions go to another, seconds.
        look_every_s: Until a topic that is new is noticed, seconds.
    """

    connection: Connection
    topics: WorkerTopics
    keys: RouterKeys
    rules_digest: str
    scratch: Path
    session_timeout_s: float = 10.0
    commit_every_s: float = 1.0
    look_every_s: float = 3.0
    dedupe_window: int = 20_000


async def run(
    settings: WorkerSettings,
    *,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
    pulse: Progress | None = None,
    counts: Counts | None = None,
) -> Counts:
    """
    Run until `stop` is set.

    Args:
        pulse, counts: Kept up to date for whoever else looks at them.

    Returns:
        What was done.

    Raises:
        NotReachable: The broker, or the end of the register, could not be reached.
        BadInput: There is no topic to read.
        Overtaken: Another worker has our partitions, and we did not hear of it in time.
        BrokenPromise: Records wait and nothing is committed any more.
        Exception: Whatever stopped the application; nothing after the last finished batch was committed.
    """
    register = RegisterReader(settings.connection, key=settings.keys.person)
    outbound = Writer(settings.connection, client_id="safebus-worker")
    counts = counts or Counts()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(StuckAlarm())
        stack.push_async_callback(register.stop)
        await register.start()
        stack.push_async_callback(outbound.stop)
        await outbound.start()
        topics: Sequence[str] | None = await settings.topics.look(register.now.partners)
        while topics is not None:
            # Made anew each time: what was decided and not written when the last one stopped must not be remembered.
            decisions = DecisionLog(settings.connection)
            router = Router(
                register=register,
                dedupe=Dedupe(settings.connection, key=settings.keys.person, window=settings.dedupe_window),
                decisions=decisions,
                outgoing=Outgoing(
                    outbound,
                    counts,
                    closed=lambda: settings.topics.closed,
                    look=lambda: settings.topics.look(register.now.partners),
                ),
                keys=settings.keys,
                schemas=event_schemas(),
                rules_digest=settings.rules_digest,
                clock=clock,
                counts=counts,
            )
            app = build(
                settings.connection,
                topics,
                router,
                session_timeout_s=settings.session_timeout_s,
                commit_every_s=settings.commit_every_s,
                scratch=settings.scratch,
            )
            watch = take_pulse(pulse or Progress(), _sources(app, register), clock=time.monotonic)
            more = _other(settings.topics, register, topics, every_s=settings.look_every_s)
            try:
                topics = await _live(app, stop, watch, more, register.now.offset, len(topics))
            except Exception as exc:
                if not is_about_a_right(exc):
                    raise
                # One topic that may not be read any more keeps none of the others from being read.
                log.error("worker.not_allowed", error=type(exc).__name__)
                await _asked_within(stop, settings.look_every_s)  # the broker may be in the middle of it
                topics = None if stop.is_set() else await settings.topics.look(register.now.partners)
            finally:
                await decisions.stop()
    return counts


async def _other(
    seen: WorkerTopics, register: RegisterReader, known: Sequence[str], *, every_s: float
) -> Sequence[str]:
    """Look until what may be read is not what is read; returns what may."""
    took = 0.0
    while True:
        await asyncio.sleep(max(every_s, 50 * took))  # with very many topics, a fiftieth of the time is enough
        began = time.monotonic()
        # Whoever takes the pulse says that nobody answers. And one that is not shown may be shown again: a broker
        # that has just come back shows none. One that is gone for good stops whoever leads the group.
        with contextlib.suppress(NotReachable, BadInput):
            there = await seen.look(register.now.partners)
            took = time.monotonic() - began
            wanted = sorted({*known, *there} - set(seen.unreadable))
            if wanted != sorted(known):
                log.info("worker.topics_found", topics=len(wanted))
                return wanted


def _sources(app: Any, register: RegisterReader) -> Sources:
    async def offset() -> int:
        return (await register.catch_up()).offset

    return Sources(lambda: app.consumer.committed_positions(), register.ends, offset)


async def _live(
    app: Any,
    stop: asyncio.Event,
    watch: Coroutine[Any, Any, None],
    more: Coroutine[Any, Any, Sequence[str]],
    register_offset: int,
    topics: int,
) -> Sequence[str] | None:
    """
    Start the application, and stop it when told to, when it crashed, when whoever watches it says so, or for more.

    Returns:
        The topics to go on with; None: it was told to stop.
    """
    asked = asyncio.ensure_future(stop.wait())
    watching = asyncio.ensure_future(watch)
    starting = asyncio.ensure_future(app.start())
    crashed = asyncio.ensure_future(_crashed(app))
    looking = asyncio.ensure_future(more)
    ends = {asked, crashed, watching, looking}
    try:
        # Joining a group can take long; someone who asks for a stop meanwhile must not wait for it.
        await asyncio.wait({*ends, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and not starting.cancelled() and starting.exception() is None and not crashed.done():
            log.info("worker.started", register_offset=register_offset, topics=topics)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        failed = next((exc for task in (watching, looking, starting) if (exc := _failure(task)) is not None), None)
        found = looking.result() if looking.done() and failed is None else None
        in_order = stop.is_set() or found is not None
        for task in (*ends, starting):
            task.cancel()
        goes_on = in_order or is_about_a_right(failed or app.crash_reason)
        # Who was asked may finish its batch; who cannot go on has none, and the others wait for it to leave the group.
        stopped = await _stopped(app, within_s=_STOP_S if goes_on else _CRASHED_STOP_S)
    failed = failed or app.crash_reason
    if failed is not None:
        if is_about_a_right(failed) and not stopped:
            raise BrokenPromise("a topic may not be read any more, and what reads the others did not stop in time")
        raise failed
    if found is None or stop.is_set():
        return None
    if not stopped:
        raise BrokenPromise("there are new topics, and what reads the known ones did not stop in time; start it again")
    return found


async def _asked_within(stop: asyncio.Event, seconds: float) -> None:
    """Return when asked to stop, or after so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def _failure(task: asyncio.Future[Any]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def _stopped(app: Any, *, within_s: float) -> bool:
    """
    Stop the application. False: it may still be at work.

    A stop that fails or takes too long changes no promise: what was not committed is redone by the next worker. So it
    is logged, and what stopped the application in the first place is what is told.
    """
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.wait({stopping}, timeout=within_s)
    if not stopping.done():
        stopping.cancel()
        log.warning("worker.stop_overdue", reason="the group or the broker does not let go")
        return False
    if stopping.cancelled() or stopping.exception() is not None:
        log.warning("worker.stop_incomplete", reason="the last offsets were not committed; the next worker redoes them")
        return False
    return True


_STOP_S = 25.0  # seconds; a batch under way is bounded by the producer's 20 s
_CRASHED_STOP_S = 5.0


async def _crashed(app: Any) -> None:
    # mode's services say that they crashed by an event and by `crash_reason`; there is nothing to await for both.
    while app.crash_reason is None and not (app.started and app.should_stop):
        await asyncio.sleep(0.05)


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT ask for an orderly stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
