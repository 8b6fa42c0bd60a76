"""
Are the topics that a worker works on still as they should be, and who is told when one is not?

Settings and partitions are compared by value, as `safebus topics plan` does, when the worker starts and again and again
after. Nothing stops for it: it is said (log, health, metrics) until it is mended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from safebus.deploy.service import rights
from safebus.deploy.service.topic_plan import Drift, drifted, wanted
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.admin import settings_of
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.topic_list import topics_there

log = structlog.get_logger()

#: Nobody changes a topic often, and a broker is asked about each of them.
_EVERY_S: Final = 30.0


class Partners(Protocol):
    """Who is on this bus by now."""

    @property
    def recipients(self) -> Collection[str]: ...


class TopicDrift:
    """
    How the topics differ, as they were when the broker was last asked.

    Args:
        client: How to reach it, as librdkafka names it.

    Attributes:
        found: Each setting that is another than it should be.
    """

    def __init__(self, connection: Connection, client: Mapping[str, str], partners: Partners) -> None:
        self._connection, self._client, self._partners = connection, client, partners
        self.found: list[Drift] = []

    async def look(self) -> None:
        """
        Ask again.

        Raises:
            NotReachable: No broker answers, or it does not show the settings to this certificate.
        """
        expected = [t for t in wanted(self._partners.recipients) if rights.sees_settings_of(t.name)]
        there = await topics_there(self._connection)
        names = [t.name for t in expected if t.name in there]  # one that is not there is a right that is missing
        shown = await asyncio.to_thread(settings_of, self._client, names)
        self._say(drifted(expected, there, shown))

    def _say(self, found: list[Drift]) -> None:
        for one in (d for d in found if d not in self.found):
            log.error("topic.drifted", topic=one.topic, error=str(one))
        for one in (d for d in self.found if d not in found):
            log.info("topic.mended", topic=one.topic, reason=one.setting)
        self.found = found

    @asynccontextmanager
    async def watched(self, *, every_s: float = _EVERY_S) -> AsyncIterator[None]:
        """While this lasts, look again and again."""
        looking = asyncio.create_task(self._look_again(every_s))
        try:
            yield
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking

    async def _look_again(self, every_s: float) -> None:
        told = ""
        while True:
            try:
                await self.look()
                told = ""
            except NotReachable as exc:
                if str(exc) != told:  # that nobody answers is said elsewhere, too; a right that is missing may be old
                    log.warning("topic.settings_not_seen", error=str(exc))
                told = str(exc)
            except Exception as exc:  # a bug: ended by it, this would look no more and nobody would see
                log.error("topic.settings_not_seen", error=type(exc).__name__)
            await asyncio.sleep(every_s)
