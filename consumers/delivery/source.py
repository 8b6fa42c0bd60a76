"""
Which notifications wait for this partner, and which of them are dealt with?

A restart reads those again that were not dealt with; the ledger knows which of them were handed over. A partner's
system cannot be fenced as a topic can, so before an attempt we have to be sure of our partitions: `schemas.kafka.group`
says for how long we are. On a virtual machine that cannot know that it was paused the partner sees the same id twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group import GroupConsumer, seconds_since_boot
from safebus.schemas.kafka.group import Waiting as Waiting


def group_of(partner: str) -> str:
    """The group of the processes that deliver to a partner: how far it is tells what they are done with."""
    return f"adapter-{partner}"


class Source(GroupConsumer):
    """`out.<partner>`, shared with the other processes that deliver to this partner."""

    def __init__(
        self,
        connection: Connection,
        *,
        partner: str,
        revoked: Callable[[set[int]], Awaitable[None]],
        assigned: Callable[[], Awaitable[None]],
        session_s: float = 10.0,
        seconds: Callable[[], float] = seconds_since_boot,
        patience_s: float = 30.0,
    ) -> None:
        super().__init__(
            connection,
            topic=topics.notifications_for(partner),
            group=group_of(partner),
            revoked=revoked,
            assigned=assigned,
            session_s=session_s,
            seconds=seconds,
            patience_s=patience_s,
        )
