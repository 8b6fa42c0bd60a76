"""
What may this worker read and write, by the broker's own word, and who is told when it is not enough?

One agency's topic that may not be read, or one partner's that may not be written, is that one's trouble: the others are
served, and it is said (log, health, metrics) until it is mended. Without what every event needs a worker ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from safebus.deploy.service import rights
from safebus.schemas import topics
from safebus.schemas.errors import BadInput, NotAllowed
from safebus.schemas.kafka.allowed import Right, allowed, missing
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.topic_list import topics_there
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.decision_log import TRANSACTIONAL_ID

log = structlog.get_logger()


class SeenTopics:
    """
    `streams.worker.process.WorkerTopics`, as the broker had them when it was last asked.

    Attributes:
        publishing: The `in.*` topics that may be read.
        recipients: Who has an `out.*` topic, or should have one.
        lacking: What this worker may not do and should; a topic that is not there is among them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.publishing: list[str] = []
        self.recipients: list[str] = []
        self.lacking: list[Right] = []

    @property
    def closed(self) -> frozenset[str]:
        """The `out.*` topics that there should be and that it may not write."""
        return frozenset(
            r.name for r in self._lacks(rights.WRITE) if topics.partner_of_notifications(r.name) is not None
        )

    @property
    def unreadable(self) -> frozenset[str]:
        """The `in.*` topics that there should be and that it may not read."""
        return frozenset(r.name for r in self._lacks(rights.READ) if topics.is_published(r.name))

    def _lacks(self, operation: str) -> list[Right]:
        return [right for right in self.lacking if right.operation == operation]

    async def look(self, partners: Collection[str]) -> Sequence[str]:
        """
        Ask again; returns `publishing`.

        Args:
            partners: All of the register.

        Raises:
            NotReachable: No broker answers.
            NotAllowed: What every event needs may not be read or written.
            BadInput: There is no `in.*` topic that may be read, so a worker would have nothing to do and nobody would
                notice.
        """
        there = await allowed(self._connection, groups=[GROUP], transactional_ids=[TRANSACTIONAL_ID])
        if there is None:  # the embedded broker makes a topic when it is named
            names: Collection[str] = await topics_there(self._connection)
            self._say([])
        else:
            names = there.topics
            expected = [name for p in partners for name in (topics.published_by(p), topics.notifications_for(p))]
            self._say(missing(rights.of_worker(), there, expected=expected))
        self.publishing = sorted({name for name in names if topics.is_published(name)} - self.unreadable)
        seen = {p for p in map(topics.partner_of_notifications, names) if p is not None}
        self.recipients = sorted(seen.union(partners))  # also whose topic is hidden: what it is owed is counted by name
        without = (*self._lacks(rights.READ), *self._lacks(rights.WRITE))  # that settings are not seen stops nothing
        if needed := [r for r in without if r.name not in self.closed | self.unreadable]:
            raise NotAllowed(
                f"this worker lacks {', '.join(map(str, needed))}, or that is not there; `safebus topics plan` shows "
                "what there should be, and `safebus rights plan` who may do what"
            )
        if not self.publishing:
            raise BadInput(
                "the broker has no `in.*` topic that this worker may read; `safebus topics apply` makes them from the "
                "register"
            )
        return self.publishing

    def _say(self, lacking: list[Right]) -> None:
        for right in sorted(set(lacking) - set(self.lacking)):
            log.error("right.missing", right=right.operation, topic=right.name)
        for right in sorted(set(self.lacking) - set(lacking)):
            log.info("right.given", right=right.operation, topic=right.name)
        self.lacking = lacking
