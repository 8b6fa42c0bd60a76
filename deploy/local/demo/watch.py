"""
What has the bus done so far, and is it done?

Reads the topics as an operator would; the demonstration waits on facts, not on time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Outcome, Quarantined, Receipt, Stage
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.topic_list import topics_there


@dataclass
class BusSoFar:
    """Everything on the topics of the bus itself."""

    decisions: dict[str, DecisionRecord] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)

    def handed_over(self) -> set[str]:
        """Ids of notifications that arrived."""
        return {r.notification_id for r in self.receipts if r.stage is Stage.HANDED_OVER}

    def noticed(self) -> set[str]:
        """Ids of notifications whose recipient was told that the consent ended."""
        return {r.notification_id for r in self.receipts if r.stage is Stage.NOTICE_HANDED_OVER}

    def permitted(self, event_ids: set[str]) -> set[str]:
        """Ids of the notifications that were permitted for these events."""
        return {
            answer.notification_id
            for event_id in event_ids & self.decisions.keys()
            for answer in self.decisions[event_id].answers
            if answer.outcome is Outcome.PERMIT and answer.notification_id
        }

    def settled(self, event_ids: set[str]) -> bool:
        """Each of these events is decided, and each notification permitted has arrived."""
        return event_ids <= self.decisions.keys() and self.permitted(event_ids) <= self.handed_over()


async def look(connection: Connection) -> BusSoFar:
    """Read the topics of the bus to their ends."""
    seen = BusSoFar()
    async for m in read_topic(connection, topics.DECISIONS):
        record = codec.decode_record(m.value, DecisionRecord)
        seen.decisions[record.event_id] = record
    for topic in filter(topics.partner_of_receipts, await topics_there(connection)):
        async for m in read_topic(connection, topic):
            seen.receipts.append(codec.decode_record(m.value, Receipt))
    async for m in read_topic(connection, topics.QUARANTINE):
        entry = codec.decode_record(m.value, Quarantined)
        seen.quarantined[entry.quarantine_id] = entry
    return seen


async def until(
    connection: Connection,
    done: Callable[[BusSoFar], bool],
    *,
    what: str,
    clock: Callable[[], datetime],
    check: Callable[[], None],
    patience: timedelta = timedelta(seconds=60),
) -> BusSoFar:
    """
    Look again and again until it is done.

    Args:
        check: Raises when one of the processes that should do it has ended.

    Raises:
        NotReachable: It was not done in time; names `what`.
    """
    give_up = clock() + patience
    while True:
        check()
        seen = await look(connection)
        if done(seen):
            return seen
        if clock() > give_up:
            raise NotReachable(f"after {patience.seconds} seconds still waiting for: {what}")
        await asyncio.sleep(0.2)


async def bytes_with(connection: Connection, needles: list[str]) -> dict[str, int]:
    """Topic -> how many records hold one of these texts anywhere: key, headers or value."""
    wanted = [needle.encode() for needle in needles]
    found: dict[str, int] = {}
    for topic in await topics_there(connection):
        if topic.startswith("__"):
            continue
        count = 0
        async for m in read_topic(connection, topic):
            whole = (m.key or b"") + b"".join(k.encode() + (v or b"") for k, v in m.headers) + (m.value or b"")
            count += any(needle in whole for needle in wanted)
        found[topic] = count
    return found
