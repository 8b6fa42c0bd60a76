"""
Until when does a partner's topic keep what waits for it?

Kafka throws away what is old in pieces, each when the newest record in it is older than the topic keeps. So what is
said here is the earliest; often it is later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from safebus.consumers.audit.standing import Standing
    from safebus.deploy.service.settings import Settings


#: How the embedded broker keeps all that it has; librdkafka drops the oldest of a partition beyond this.
IN_MEMORY: Final = "until the embedded broker ends: in memory alone, and of each partition the newest 5 MB"


@dataclass(frozen=True)
class Kept:
    """
    How long a topic keeps what stands on it.

    Attributes:
        age: None: whatever its age.
        by_size: What is old goes sooner where there is much of it.
        in_memory: By the embedded broker, which has no settings: as long as it runs.
        why_not: It is not known, and why; empty: it is.
    """

    age: timedelta | None = None
    by_size: bool = False
    in_memory: bool = False
    why_not: str = ""

    def until(self, oldest: datetime) -> datetime | None:
        """When what came at this time may be gone, at the earliest; None: never, or nobody knows."""
        return None if self.age is None else oldest + self.age


async def kept_for(found: Settings, partners: Collection[str]) -> dict[str, Kept]:
    """
    How long the topic of each of these partners keeps what waits; a broker that does not show it is no error.

    Raises:
        BadInput: The settings say nothing of a broker.
    """
    from safebus.schemas import topics
    from safebus.schemas.errors import NotReachable
    from safebus.schemas.kafka.admin import settings_of

    names = {partner: topics.notifications_for(partner) for partner in partners}
    if not names:
        return {}
    try:
        shown = await asyncio.to_thread(settings_of, found.admin_client(), names.values())
    except NotReachable as exc:
        return dict.fromkeys(
            names, Kept(why_not=f"{exc}; an operator's certificate has the right DESCRIBE_CONFIGS on it")
        )
    if shown is None:  # the embedded broker
        return dict.fromkeys(names, Kept(in_memory=True))
    return {partner: by(shown[name]) for partner, name in names.items()}


def by(settings: Mapping[str, str]) -> Kept:
    """As these settings of a topic say, which Kafka gives as text."""
    age_ms, size = int(settings["retention.ms"]), int(settings["retention.bytes"])
    return Kept(None if age_ms < 0 else timedelta(milliseconds=age_ms), by_size=size >= 0)


def until_when(kept: Kept, standing: Standing) -> str:
    """For a column: until when what waits is kept at least; empty: nothing waits, or it is not known."""
    until = None if standing.oldest is None else kept.until(standing.oldest)
    return "" if until is None else until.isoformat(timespec="seconds")


def in_words(kept: Kept, standing: Standing, *, until: datetime | None, now: datetime) -> list[str]:
    """
    What an operator should know who pauses a partner, or finds it paused.

    Args:
        until: When the pause ends; None: when somebody ends it.
    """
    from safebus.schemas.topics import EVENTS_KEPT_DAYS

    topic = f"`out.{standing.partner}`"
    if kept.why_not:
        return [f"until when {topic} keeps what waits is not known: {kept.why_not}"]
    if kept.in_memory:
        return [f"{topic} keeps what waits, whatever its age, {IN_MEMORY}"]
    first = kept.until(standing.oldest or now)
    much = [f"{topic} has `retention.bytes`: where much comes, the oldest goes sooner"] if kept.by_size else []
    if first is None:
        return [f"{topic} keeps what waits, whatever its age", *much]
    which = "what comes from now on" if standing.oldest is None else "the oldest that waits"
    lines = [f"{topic} keeps {which} until {first:%Y-%m-%d %H:%M} UTC at least", *much]
    by = f"`safebus deliveries again {standing.partner} --from ...`"
    again = f"{by} makes it again while its event is kept ({EVENTS_KEPT_DAYS} days)"
    if until is None:
        lines.append(f"resume before then; what is gone from the topic by then goes to nobody, unless {again}")
    elif until > first:
        lines.append(f"the pause is longer than that: what is gone by then goes to nobody, unless {again}")
    return lines
