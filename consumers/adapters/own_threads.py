"""
How does one partner's file system, or name server, that answers nothing stop only that partner?

A folder on a server that is gone holds whoever touches it, for ever, and a name whose server is gone whoever looks it
up, for half a minute; nobody can take that call back. So each adapter has a few threads of its own, not those that the
process shares, and never waits longer than was said. A thread that hangs keeps its place until it
comes back; it does not hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class NoAnswer(Exception):
    """The work was not done in time, or there was no thread for it; it may still be done."""


class OwnThreads:
    """
    A few threads.

    Args:
        within_s: Seconds until a place is free, and then for each piece of work.
    """

    def __init__(self, *, within_s: float, most: int = 8) -> None:
        self._within_s, self._free = within_s, asyncio.Semaphore(most)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """
        A thread for what is done one after another: once there is one, nothing waits for one again.

        Raises:
            NoAnswer: None is free: others hang.
        """
        try:
            async with asyncio.timeout(self._within_s):
                await self._free.acquire()
        except TimeoutError:
            raise NoAnswer from None
        place = Place(self._within_s, self._free.release)
        try:
            yield place
        finally:
            place.leave()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Do one piece of work.

        Raises:
            NoAnswer: It took too long, or no thread is free.
        """
        async with self.place() as place:
            return await place.run(work, *args, **kwargs)


class Place:
    """A thread of one's own; where the work hangs when it is left, it is free only when that comes back."""

    def __init__(self, within_s: float, free: Callable[[], None]) -> None:
        self._within_s, self._free = within_s, free
        self._working = 0
        self._left = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Do it in the thread.

        Raises:
            NoAnswer: It took too long; it may still be done.
        """
        try:
            async with asyncio.timeout(self._within_s):
                return await asyncio.shield(self._begun(partial(work, *args, **kwargs)))
        except TimeoutError:
            raise NoAnswer from None

    def leave(self) -> None:
        """Nothing more is done here."""
        self._left = True
        if not self._working:
            self._free()

    def _begun(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        done.add_done_callback(_seen)
        self._working += 1

        def finish(settle: Callable[[], None]) -> None:
            self._working -= 1
            if self._left and not self._working:
                self._free()
            if not done.cancelled():
                settle()

        def in_thread() -> None:
            try:
                settle = partial(done.set_result, work())
            except BaseException as error:
                settle = partial(done.set_exception, error)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish, settle)

        threading.Thread(target=in_thread, daemon=True, name="safebus-adapter").start()
        return done


def _seen(done: asyncio.Future[T]) -> None:
    """Where nobody waits any more, what came of it is nobody's, and no error that is never looked at."""
    if not done.cancelled():
        done.exception()
