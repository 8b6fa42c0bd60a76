"""
How does an application without an event loop publish?

    publisher = PublisherSync(Connection("127.0.0.1:9092"), agency="fordshire-police", case_secret=secret)

    def a_view(request):
        accepted = publisher.publish(event, case="case 4711")

One for the whole application, made where its module is imported; it connects at the first event. Any number of
threads may call it. A process that was forked from one that used it (Celery, gunicorn, multiprocessing) gets a
connection of its own, for two processes at one connection would read each other's answers.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, TypeVar

from safebus.producers.publisher import PATIENCE_S, Accepted, Publisher
from safebus.schemas.errors import NotReachable, SafebusError, WrongUse
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection

T = TypeVar("T")
#: How long the end of a process waits for what is under way.
_AT_EXIT_S: Final = 6.0
#: How long it takes to cut off a broker that does not answer: a second, and what a busy machine adds.
_CUT_OFF_S: Final = 1.5


class PublisherSync:
    """
    Publishes one agency's events, from any thread.

    Args:
        case_secret: At least 16 bytes that only this agency has; it turns case references into opaque keys.
        timeout_s: How long a call waits for the broker, seconds. The first one connects, too; where nobody answers
            it takes up to four seconds more to find out why.

    Raises:
        BadInput: The agency cannot be one, or the secret can be guessed.
    """

    def __init__(
        self, connection: Connection, *, agency: str, case_secret: bytes, timeout_s: float = PATIENCE_S
    ) -> None:

        def make() -> Publisher:  # closed over, for a `partial` would show the secret in its repr
            return self._kind(connection, agency=agency, case_secret=case_secret, timeout_s=timeout_s)

        self._make = make
        self._never_started = self._make()  # what is wrong is said now, and not at the first event
        self._timeout_s = timeout_s
        self._held = _Held()
        self._one_at_a_time = threading.Lock()
        _ALL.add(self)
        weakref.finalize(self, self._held.leave).atexit = False

    @property
    def _kind(self) -> type[Publisher]:
        return Publisher

    def publish(self, event: Event, *, case: str) -> Accepted:
        """
        Publish an event and wait until the broker has it.

        Args:
            case: The agency's own reference of the case.

        Raises:
            BadInput: This agency may not publish it, or it does not fit its schema; says what to mend.
            NotReachable: The broker did not acknowledge it, or will not take it from us (`NotAllowed`, `NoTopic`).
                Publish the same event again, with all its fields as they were: it counts once.
            WrongUse: It was called inside an event loop, which it would hold up.
        """
        return self._run(lambda publisher: publisher.publish(event, case=case))

    def publish_all(self, events: Iterable[tuple[Event, str]]) -> list[Accepted]:
        """
        Publish several events, each with the agency's reference of its case; those of one case stay in order.

        Raises:
            BadInput: One of them may not be published; says which. Then none was.
            SomeNotAccepted: Not all were acknowledged; says which. Publish those again: what counts twice counts once.
            WrongUse: As `publish`.
        """
        given = list(events)  # here: a generator may belong to this thread
        return self._run(lambda publisher: publisher.publish_all(given))

    def case_key(self, case: str) -> bytes:
        """The opaque key of a case: HMAC-SHA-256 (RFC 2104), cut to 128 bits."""
        return self._never_started.case_key(case)

    @property
    def case_secret_fingerprint(self) -> str:
        """Names the case secret and does not tell it; see `Publisher.case_secret_fingerprint`."""
        return self._never_started.case_secret_fingerprint

    def close(self) -> None:
        """
        Wait for the calls that are under way, and disconnect. It may be used again; at the end of the process it closes
        itself.
        """
        with self._alone():
            running, self._held.running = self._held.running, None
        if running is not None:
            running.end(within_s=self._timeout_s + 1)

    def __enter__(self) -> PublisherSync:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def _run(self, call: Callable[[Publisher], Coroutine[Any, Any, T]]) -> T:
        _no_loop_here()
        with self._alone():
            running = self._connected()
            under_way = running.begin(call(running.publisher))  # here, so that `close` knows of it
        return running.wait_for(under_way, within_s=2 * self._timeout_s + 4, where_not="it may or may not be written")

    def _connected(self) -> _Running:
        running = self._held.running
        if running is None or not running.is_ours():
            running = _Running.begun(self._make())
            try:
                connecting = running.begin(running.publisher.start())
                running.wait_for(connecting, within_s=self._timeout_s + 4, where_not="nothing was sent")
            except BaseException:
                running.end(within_s=1.0)
                raise
            self._held.running = running
        return running

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While another thread connects, which may take all its time, all others wait together and not in a row."""
        lock, got = self._one_at_a_time, False
        try:
            got = lock.acquire(timeout=self._timeout_s + 5)
            if not got:
                raise NotReachable("another thread waits for the broker, and it does not answer; nothing was sent")
            yield
        finally:
            if got:
                lock.release()

    def _forked(self) -> None:
        """In a child: whoever held the lock is not there, and what was running runs in the parent."""
        self._one_at_a_time = threading.Lock()
        self._held.running = None


class _Held:
    """What a publisher runs. A thing of its own, so that it can be ended once nobody holds the publisher any more."""

    running: _Running | None = None

    def leave(self) -> None:
        """Nobody can call it any more, so nothing is under way."""
        if self.running is not None:
            self.running.leave()


_ALL: weakref.WeakSet[PublisherSync] = weakref.WeakSet()
#: What runs in this process, until it is ended: for a moment also of a publisher that nobody holds any more.
_RUNNING: set[_Running] = set()
#: Never touched and never freed: an event loop that a child closes forgets the parent's sockets, which both share.
_OF_PARENTS: list[_Running] = []


def _after_a_fork() -> None:
    _OF_PARENTS.extend(_RUNNING)
    _RUNNING.clear()
    for publisher in list(_ALL):
        publisher._forked()


def _at_exit() -> None:
    for running in list(_RUNNING):
        running.end(within_s=_AT_EXIT_S)


os.register_at_fork(after_in_child=_after_a_fork)
atexit.register(_at_exit)


def _no_loop_here() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise WrongUse("it was called inside an event loop, which it would hold up; use `Publisher` there")


def _run_and_close(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


@dataclass(frozen=True, eq=False)
class _Running:
    """A publisher in an event loop in a thread of its own, and the calls that are under way."""

    publisher: Publisher
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    pid: int
    under_way: set[futures.Future[Any]] = field(default_factory=set)

    @classmethod
    def begun(cls, publisher: Publisher) -> _Running:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run_and_close, args=(loop,), name="safebus-publisher", daemon=True)
        thread.start()
        running = cls(publisher, loop, thread, os.getpid())
        _RUNNING.add(running)
        return running

    def is_ours(self) -> bool:
        return self.pid == os.getpid() and self.thread.is_alive()

    def begin(self, call: Coroutine[Any, Any, T]) -> futures.Future[T]:
        done = asyncio.run_coroutine_threadsafe(call, self.loop)
        self.under_way.add(done)
        done.add_done_callback(self.under_way.discard)
        return done

    def wait_for(self, done: futures.Future[T], *, within_s: float, where_not: str) -> T:
        """What it comes to; whoever is interrupted while waiting takes the call back."""
        try:
            return done.result(within_s)
        except (TimeoutError, futures.CancelledError):
            raise NotReachable(f"the broker did not answer in time; {where_not}") from None
        finally:
            done.cancel()

    def end(self, *, within_s: float) -> None:
        """Disconnect, once what is under way has come to its end."""
        _RUNNING.discard(self)
        if not self.is_ours():
            return
        futures.wait(set(self.under_way), timeout=within_s)
        with contextlib.suppress(SafebusError):  # what is on its way can wait no longer
            ending = self.begin(self._disconnected(within_s + _CUT_OFF_S))
            self.wait_for(ending, within_s=within_s + 3 * _CUT_OFF_S, where_not="it is given up")
        with contextlib.suppress(RuntimeError):  # it has left, and its loop is closed
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(within_s)

    def leave(self) -> None:
        """Disconnect without waiting: a garbage collector may call it from any thread, at any moment."""
        if self.is_ours():
            asyncio.run_coroutine_threadsafe(self._left(), self.loop)

    async def _left(self) -> None:
        await self._disconnected(_CUT_OFF_S)
        _RUNNING.discard(self)
        self.loop.stop()

    async def _disconnected(self, within_s: float) -> None:
        """No task is left after it: of each that is, a loop that is closed says a traceback on stderr."""
        with contextlib.suppress(SafebusError, TimeoutError):
            async with asyncio.timeout(within_s):
                await self.publisher.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CUT_OFF_S)
