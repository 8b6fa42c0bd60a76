"""
What do the couriers of this process lack, by the broker's own word, and who is told?

What one partner's courier lacks is that one's trouble, and it may not meet it for hours: a right to read receipts is
needed when partitions change hands. So the broker is asked again and again, for all of them at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

import structlog

from safebus.deploy.service import rights
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.allowed import Right
from safebus.schemas.kafka.connection import Connection

log = structlog.get_logger()

_EVERY_S = 3.0


class AdapterRights:
    """
    What the couriers to these partners may do.

    Attributes:
        lacking: What they may not do and should; a topic that is not there is among them.
    """

    def __init__(self, connection: Connection, partners: Collection[str]) -> None:
        self._connection = connection
        self._of = {partner: rights.of_adapter(partner, "adapter") for partner in partners}
        self.lacking: list[Right] = []

    async def look(self) -> Sequence[Right]:
        """
        Ask again; returns `lacking`.

        Raises:
            NotReachable: No broker answers.
        """
        wanted = sorted({right for each in self._of.values() for right in each})
        lacking = await rights.lacking(self._connection, wanted)
        for right in sorted(set(lacking) - set(self.lacking)):
            log.error("right.missing", right=right.operation, topic=right.name)
        for right in sorted(set(self.lacking) - set(lacking)):
            log.info("right.given", right=right.operation, topic=right.name)
        self.lacking = lacking
        return lacking

    async def of(self, partner: str) -> Sequence[Right]:
        """
        Ask, and say what this partner's courier lacks.

        Raises:
            NotReachable: No broker answers.
        """
        lacking = await self.look()
        return [right for right in self._of[partner] if right in lacking]

    async def watch(self) -> None:
        """Look again and again, until cancelled; with very many topics for a fiftieth of the time."""
        took = 0.0
        while True:
            await asyncio.sleep(max(_EVERY_S, 50 * took))
            began = time.monotonic()
            try:
                await self.look()
            except NotReachable:
                continue  # whoever delivers meets the same
            took = time.monotonic() - began
