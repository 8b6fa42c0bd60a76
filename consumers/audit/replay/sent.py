"""
Does what stands on the partners' topics agree with what was permitted?

The topics are read forward, never past the time of the decisions, so little is held: what was permitted and is sent a
moment later. What does not agree is collected and looked at again (`unmatched`) before it is called a difference.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from safebus.consumers.audit.replay.findings import Findings
from safebus.consumers.audit.replay.pairing import Key, Pairing, Permit, SeenOnTopic
from safebus.consumers.audit.replay.time_span import CLOCKS_APART, Span, ms
from safebus.consumers.audit.replay.unmatched import (
    Fault,
    Stray,
    as_it_stands,
    faults_of_missing,
    faults_of_strays,
    stray_of,
)
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.keys import DigestKey

#: How the topics of all partners begin.
PREFIX = topics.notifications_for("any").removesuffix("any")

_SLACK_MS = int(CLOCKS_APART.total_seconds() * 1000)
_FOR_EVER = datetime(9999, 12, 1, tzinfo=UTC)


class Sent:
    """
    What was sent in one span.

    Args:
        reader: Of all partners' topics.
        at_once: How many strays, or missing ones, are held before they are looked up in one reading of the topics.
    """

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        findings: Findings,
        *,
        since: datetime,
        until: datetime,
        key: DigestKey,
        at_once: int = 20_000,
    ) -> None:
        self._connection, self._findings, self._key = connection, findings, key
        self._since, self._until, self._at_once = since, until, at_once
        self._span = Span(reader, since=since - CLOCKS_APART, until=_FOR_EVER)
        self._matching = Pairing()
        self._strays: list[Stray] = []

    async def begin(self) -> None:
        """Stand at the beginning of the span."""
        await self._span.begin()

    def permitted(self, key: Key, permit: Permit) -> None:
        """A decision permits this."""
        self._matching.permitted(key, permit)

    async def read_up_to(self, at_ms: int) -> None:
        """Read what was sent up to a time, milliseconds: every decision up to then is known."""
        async for message in self._span.up_to(at_ms):
            self._stands(message)
        # Whatever was permitted was decided before it was sent, so these were not, or a while ago.
        await self._let_go(at_ms - _SLACK_MS)
        if self._matching.awaited > self._at_once:
            await self._look_for_missing()

    async def read_the_rest(self) -> None:
        """There are no more decisions: look for what they permitted in what was sent since."""
        await self.read_up_to(ms(self._until))
        await self._let_go(None)
        if self._matching.awaited:
            async for message in self._span.up_to():
                self._stands(message)
                if self._matching.held > 2 * self._at_once:
                    await self._let_go(None)
                if not self._matching.awaited:
                    break
            await self._let_go(None)
        await self._judge_strays()
        await self._look_for_missing()
        self._findings.so_far.outputs_identical = self._matching.agreed

    def _stands(self, message: Any) -> None:
        key = as_it_stands(message, message.topic.removeprefix(PREFIX), self._key)
        self._matching.stands(key, SeenOnTopic(message.value or b"", message.timestamp))

    async def _let_go(self, before_ms: int | None) -> None:
        for key, standing in self._matching.strays(before_ms=before_ms):
            # Outside of the span it belongs to decisions that were not looked at.
            if ms(self._since) <= standing.at_ms < ms(self._until):
                self._strays.append(stray_of(key, standing.value))
        if len(self._strays) > self._at_once:
            await self._judge_strays()

    async def _judge_strays(self) -> None:
        strays, self._strays = self._strays, []
        faults = await faults_of_strays(self._connection, strays, since=self._since, until=self._until)
        for stray, fault in faults.items():
            self._faulty(stray.event_id, stray.key, fault)

    async def _look_for_missing(self) -> None:
        missing = self._matching.missing()
        if not missing:
            return
        faults, right = await faults_of_missing(
            self._connection, missing, key=self._key, since=self._since, until=self._until
        )
        self._matching.agreed += right
        for key, fault in faults.items():
            self._faulty(missing[key].event_id, key, fault)

    def _faulty(self, event_id: str, key: Key, fault: Fault) -> None:
        what = fault.format(partner=key.partner, notification_id=key.notification_id)
        self._findings.differs(event_id, what)
