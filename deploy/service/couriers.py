"""
How do deliveries to several partners go on beside each other, whatever happens to one of them?

Each partner has a courier. While something of its own is wrong (its file, its destination, its rights) it waits and is
tried again, and all others go on. A courier whose secret is followed by another makes its next attempt with the new
one; where that cannot be used it goes on with what it has, and that is said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import structlog

from safebus.consumers.adapters.changing import Changing
from safebus.consumers.adapters.destinations import Opened
from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads
from safebus.consumers.delivery.courier import Courier
from safebus.schemas.errors import BadInput, BadRegister, NotReachable, SafebusError
from safebus.schemas.kafka.allowed import Right
from safebus.schemas.kafka.connection import is_about_a_right

log = structlog.get_logger()

#: How long a courier that cannot go on waits until it is tried again, seconds.
_ASK_AGAIN_S = 5.0
#: How often a file of secrets is looked at, seconds; and how long that may take.
LOOK_EVERY_S = 5.0
_LOOKS_FOR_S = 10.0


class Couriers:
    """
    The couriers of one process.

    Args:
        place_for: Reads where a partner is delivered, anew; `BadInput` where that cannot be used.
        courier_for: Makes a courier for that place; the one before has ended.
        lacking: Asks the broker which rights on a partner's topics are missing.
        stop: Set when the process is to end.

    Attributes:
        running: By partner; a new one takes the place of one that ended.
        wrong: What a person must mend, by partner, for as long as it is so.
        told: Told of each new one, so that it is watched as the others are.
    """

    def __init__(
        self,
        *,
        place_for: Callable[[str], Awaitable[Opened]],
        courier_for: Callable[[str, Opened], Courier],
        lacking: Callable[[str], Awaitable[Sequence[Right]]],
        stop: asyncio.Event,
    ) -> None:
        self._place_for, self._courier_for, self._lacking, self._stop = place_for, courier_for, lacking, stop
        self._places: dict[str, Opened] = {}
        self._changing: dict[str, Changing] = {}
        self.running: dict[str, Courier] = {}
        self.wrong: dict[str, SafebusError] = {}
        self.told: Callable[[Courier], None] = lambda _: None

    async def begin(self, partners: Collection[str]) -> None:
        """
        Make one for each of these.

        Raises:
            BadInput: Not one of them can be delivered to.
        """
        for partner in partners:
            try:
                await self._make(partner, await self._place_for(partner))
            except BadInput as exc:  # a secret that is missing, a place that is not registered: that partner's trouble
                self._cannot_begin(partner, exc)
        if not self.running:
            raise next(iter(self.wrong.values()))

    async def keep(self, partner: str) -> None:
        """Deliver to one partner until stopped. While something of its own is wrong, it waits and all others go on."""
        begun = partner in self.running
        while not self._stop.is_set():
            another = None
            try:
                if begun:
                    another = await self._deliver(partner)
            except Exception as exc:
                await self._say_why(partner, exc)
            begun = False
            if another is not None:
                await self._make(partner, another)
                begun = True
            while not begun and not await self._asked_within(_ASK_AGAIN_S):
                try:
                    await self._make(partner, await self._place_for(partner))
                except (BadInput, NotReachable) as exc:  # its file or its destination, until that is mended
                    if isinstance(exc, BadRegister):
                        raise
                    self._cannot_begin(partner, exc)
                else:
                    begun = True

    async def _make(self, partner: str, place: Opened) -> None:
        changing = Changing(place.adapter)
        courier = self._courier_for(partner, replace(place, adapter=changing))
        self.running[partner], self._places[partner], self._changing[partner] = courier, place, changing
        self.wrong.pop(partner, None)
        self.told(courier)

    def _cannot_begin(self, partner: str, exc: SafebusError) -> None:
        if str(exc) != str(self.wrong.get(partner)):
            log.error("courier.not_begun", partner=partner, error=str(exc))
        self.wrong[partner] = exc

    async def _say_why(self, partner: str, exc: Exception) -> None:
        # By the broker's own word: whatever the client makes of a right that is gone, it may be a failed assertion.
        # Where no broker answers that, it is nobody's own trouble, and the process ends.
        missing = await self._lacking(partner)
        if isinstance(exc, BadRegister):
            raise exc  # nobody may be handed anything
        # The message of a foreign error may quote a notification.
        said = f": {exc}" if isinstance(exc, SafebusError) else ""
        what = f": it lacks {', '.join(map(str, missing))}, or that is not there" if missing else said
        event = "courier.not_allowed" if missing or is_about_a_right(exc) else "courier.begins_again"
        log.error(event, partner=partner, error=f"{type(exc).__name__}{what}")

    async def _deliver(self, partner: str) -> Opened | None:
        """Until asked to stop: None; or until its file names another place: that."""
        ends = asyncio.Event()
        watching = asyncio.create_task(self._watch(partner, self._places[partner], ends))
        try:
            await self.running[partner].run(ends)
            return await watching
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, partner: str, place: Opened, ends: asyncio.Event) -> Opened | None:
        looking = OwnThreads(within_s=_LOOKS_FOR_S, most=1)
        try:
            while not await self._asked_within(LOOK_EVERY_S):
                try:
                    following = await self._place_for(partner) if await looking.run(place.changed) else None
                except NoAnswer:
                    continue  # a disk that hangs says nothing of what stands on it
                except (BadInput, NotReachable) as exc:
                    self._goes_on_with_the_old(partner, exc)
                    continue
                self.wrong.pop(partner, None)
                if following is None:
                    continue
                log.info("secret.changed", partner=partner)
                if (following.transport, following.place) != (place.transport, place.place):
                    return following
                await self._changing[partner].use(following.adapter)
                self._places[partner] = place = following
                self.running[partner].mended()
            return None
        finally:
            ends.set()  # whatever ends this, a courier that nobody can stop must not be left

    def _goes_on_with_the_old(self, partner: str, exc: SafebusError) -> None:
        if str(exc) != str(self.wrong.get(partner)):
            log.error("secret.not_taken", partner=partner, error=str(exc))
        self.wrong[partner] = exc

    async def _asked_within(self, seconds: float) -> bool:
        """Wait so long, or until asked to stop; returns whether that was."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()
