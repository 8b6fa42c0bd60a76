"""
How does a destination get another secret while deliveries to it go on?

Who delivers keeps one adapter, and this is it: each attempt is made with what is in use when it is prepared, and what
was in use before is let go of when its last attempt has ended. Nothing waits, and nobody leaves a group for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from safebus.consumers.adapters.adapter import Adapter, Effect, Parcel, PartnerAnswer


class Changing:
    """One destination of one partner, whose adapter may be followed by another of the same transport."""

    def __init__(self, adapter: Adapter) -> None:
        self.transport = adapter.transport
        self._in_use = adapter
        self._under_way: Counter[int] = Counter()  # attempts, by the adapter that makes them

    async def open(self) -> None:
        """Get ready."""
        await self._in_use.open()

    async def use(self, adapter: Adapter) -> None:
        """
        Make every attempt from now on with this one.

        Raises:
            ValueError: It is of another transport.
        """
        if adapter.transport != self.transport:
            raise ValueError(f"this delivers to a {self.transport}, not to a {adapter.transport}")
        await adapter.open()
        before, self._in_use = self._in_use, adapter
        await self._let_go(before)

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        """As `Adapter.prepare`, with what is in use now."""
        adapter = self._in_use
        self._under_way[id(adapter)] += 1
        try:
            async with adapter.prepare(parcel) as ready:
                yield ready
        finally:
            self._under_way[id(adapter)] -= 1
            if adapter is not self._in_use:
                await self._let_go(adapter)

    async def close(self) -> None:
        """Let go of connections; what was in use before does so by itself."""
        await self._in_use.close()

    async def _let_go(self, adapter: Adapter) -> None:
        if not self._under_way[id(adapter)]:
            del self._under_way[id(adapter)]
            await adapter.close()
