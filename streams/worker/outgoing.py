"""
How do notifications go out when one partner's topic does not take them?

One missing right, one topic that is gone, must not keep an alert from any other partner. What a partner's topic does
not take is owed: the decision is on record, and `safebus deliveries again` makes it from there. Quarantine is
everybody's, so what cannot be set aside stops the worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable

import structlog

from safebus.schemas import topics
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.worker.counts import Counts

log = structlog.get_logger()


class Outgoing:
    """
    What a worker sends beside its decisions.

    Args:
        closed: The partners' topics that the worker was last seen not to be let write; they are not tried.
        look: Sees anew which those are; raises NotReachable where the broker does not answer.
    """

    def __init__(
        self,
        writer: Writer,
        counts: Counts,
        *,
        closed: Callable[[], Collection[str]],
        look: Callable[[], Awaitable[object]],
    ) -> None:
        self._writer, self._counts, self._closed, self._look = writer, counts, closed, look

    async def send(self, messages: Iterable[Message]) -> None:
        """
        Send all that is taken, and say what is owed.

        Raises:
            NotReachable: The broker did not acknowledge something in time, or takes nothing into quarantine.
        """
        to_try = self._open(messages)
        try:
            refused = await self._writer.send_each(to_try)
        except NotReachable:
            # The client asks for a topic that is gone until its time is over, and says no more than that. What was
            # acknowledged before goes out twice, under the same ids.
            await self._look()
            left = self._open(to_try)
            if len(left) == len(to_try):
                raise
            await self._writer.renew()
            refused = await self._writer.send_each(left)
        for refusal in refused:
            if topics.partner_of_notifications(refusal.message.topic) is None:
                raise refusal.why
            self._owed(refusal.message, str(refusal.why))

    def _open(self, messages: Iterable[Message]) -> list[Message]:
        """Those that can be tried; all others are owed."""
        closed = frozenset(self._closed())
        found = []
        for message in messages:
            if message.topic in closed:
                self._owed(message, "this worker may not write to it, or it is not there")
            else:
                found.append(message)
        return found

    def _owed(self, message: Message, why: str) -> None:
        partner = topics.partner_of_notifications(message.topic)
        assert partner is not None
        self._counts.is_owed(partner)
        notification_id = dict(message.headers)["ce_id"].decode()
        log.error("notification.owed", partner=partner, topic=message.topic, notification_id=notification_id, error=why)
