"""
What about those that did not meet their like?

A notification on a topic that no decision read so far permits may be a copy that a redo sent again, or belong to a
decision from before the span. A permitted one that was not seen may stand elsewhere. Both are rare, so they are
collected and looked up together, each time in one reading of the topics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from safebus.consumers.audit.replay.pairing import Key, Permit
from safebus.consumers.audit.replay.time_span import CLOCKS_APART
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Outcome
from safebus.schemas.errors import BadIdentifier, Refused
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import until_settled
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.keys import DigestKey
from safebus.schemas.own_records import own_record

_BEFORE = timedelta(hours=1)  # a redo mostly follows its decision within this


class Fault(StrEnum):
    """What is wrong with a notification, in words that name its recipient."""

    NOT_THERE = "notification for `{partner}` is not on its topic (never sent, or no longer kept)"
    OTHER_BYTES = "notification for `{partner}` has other bytes"
    NO_PERMIT = "notification {notification_id} for `{partner}` stands on its topic, and no decision permits it"
    NOBODY = "notification {notification_id} is for somebody who cannot be a partner"
    NOT_ONE = "something stands on the topic of `{partner}` that is no notification"


@dataclass(frozen=True)
class Stray:
    """Something on a partner's topic, and the event it says it is about; "" when it is no notification."""

    key: Key
    event_id: str


def stray_of(key: Key, value: bytes | None) -> Stray:
    """Read what a stray says of itself."""
    try:
        return Stray(key, codec.decode_record(value or b"", Notification).event_id)
    except (Refused, ValueError):
        return Stray(key, "")


async def faults_of_strays(
    connection: Connection, strays: list[Stray], *, since: datetime, until: datetime
) -> dict[Stray, Fault]:
    """Look for the decisions that permit these: first near the span, then in all there are."""
    faults = {stray: Fault.NOT_ONE for stray in strays if not stray.event_id}
    open_ = {stray for stray in strays if stray.event_id}
    for start, end in ((since - _BEFORE, until + CLOCKS_APART), (None, None)):
        if not open_:
            break
        permits = await _permits(connection, {stray.event_id for stray in open_}, start, end)
        open_ = {s for s in open_ if s.key.digest not in permits.get((s.key.partner, s.key.notification_id), ())}
        for stray in open_:
            known = (stray.key.partner, stray.key.notification_id) in permits
            faults[stray] = Fault.OTHER_BYTES if known else Fault.NO_PERMIT
    return {stray: fault for stray, fault in faults.items() if stray in open_ or not stray.event_id}


async def _permits(
    connection: Connection, event_ids: set[str], since: datetime | None, until: datetime | None
) -> dict[tuple[str, str], set[str]]:
    """(partner, notification id) -> digests that decisions about these events permit."""
    wanted = {event_id.encode() for event_id in event_ids}
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    await until_settled(connection, topics.DECISIONS)  # one whose notification is there already may not be seen yet
    async for message in _all(connection, {topics.DECISIONS}, since):
        late = until is not None and message.timestamp >= until.timestamp() * 1000
        if message.key not in wanted or late:
            continue
        record = own_record(message, DecisionRecord, in_transaction=True)
        for key in permitted_by(record) if isinstance(record, DecisionRecord) else ():
            found[(key.partner, key.notification_id)].add(key.digest)
    return found


def permitted_by(record: DecisionRecord) -> list[Key]:
    """What a decision record permits."""
    return [
        Key(a.recipient, a.notification_id, a.output_digest)
        for a in record.answers
        if a.outcome is Outcome.PERMIT and a.notification_id is not None and a.output_digest is not None
    ]


async def faults_of_missing(
    connection: Connection, missing: Mapping[Key, Permit], *, key: DigestKey, since: datetime, until: datetime
) -> tuple[dict[Key, Fault], int]:
    """
    Look for these on their topics once more.

    Returns:
        What is wrong with each, and how many are right after all: permitted twice by the same decision. One that stands
        within the span with other bytes is left out: it was found as a stray.
    """
    wanted = {(k.partner, k.notification_id) for k in missing}
    there: set[Key] = set()
    others: dict[tuple[str, str], bool] = {}  # does it stand within the span?
    faults: dict[Key, Fault] = {}
    partners: dict[str, str] = {}
    for k in missing:
        try:
            partners[topics.notifications_for(k.partner)] = k.partner
        except BadIdentifier:  # nothing can stand on its topic, and one such must not end the looking
            faults[k] = Fault.NOBODY
    async for message in _all(connection, set(partners), since - CLOCKS_APART):
        partner = partners[message.topic]
        found = as_it_stands(message, partner, key)
        if found in missing:
            there.add(found)
        elif found[:2] in wanted:
            within = since.timestamp() * 1000 <= message.timestamp < until.timestamp() * 1000
            others[found[:2]] = others.get(found[:2], False) or within
    for k in missing.keys() - there - faults.keys():
        if k[:2] not in others:
            faults[k] = Fault.NOT_THERE
        elif not others[k[:2]]:
            faults[k] = Fault.OTHER_BYTES
    return faults, sum(missing[k].made_again for k in there)


def notification_id(message: Any) -> str:
    """What a record on a partner's topic says it is. A wrong one meets nothing, and is then looked at."""
    return next(((value or b"").decode("utf-8", "replace") for name, value in message.headers if name == "ce_id"), "")


def as_it_stands(message: Any, partner: str, key: DigestKey) -> Key:
    """
    What a record on a partner's topic says it is, and the digest of what it is.

    Its key is the token of whom it is about, and says under which secret both were made. A wrong one gives a digest
    that meets nothing.
    """
    token = (message.key or b"").decode("utf-8", "replace")
    under = key.under(token) if key.knows(token) else key
    return Key(partner, notification_id(message), under.digest(message.value or b""))


async def _all(connection: Connection, wanted: set[str], since: datetime | None) -> AsyncIterator[Any]:
    async with Reader(connection, wanted.__contains__, committed=all(map(topics.is_transactional, wanted))) as reader:
        starts = await reader.offsets_at(since) if since else reader.begins
        for partition in reader.partitions:
            reader.seek(partition, starts[partition])
        for partition in reader.partitions:
            while records := await reader.take_some(partition):
                for record in records:
                    yield record
