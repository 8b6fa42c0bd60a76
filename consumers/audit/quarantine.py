"""What is in quarantine, and how does an operator open one original, or see its fields?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from safebus.consumers.delivery.parcels import plain
from safebus.schemas import codec, headers, identifiers, sealing, strict_json, topics
from safebus.schemas.bus_records import DecisionRecord, Quarantined
from safebus.schemas.errors import BadIdentifier, BadInput, Refused
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.own_records import Strange, own_record
from safebus.streams.rules.reasons import Aside

#: What is also in quarantine and has a decision.
DECIDED_ALL_THE_SAME: Final = frozenset({Aside.FOR_A_PERSON, Aside.NO_RECIPIENT, Aside.REDO_DIFFERS})
_DECIDED_BEFORE: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class InQuarantine:
    """
    One entry.

    Attributes:
        last_at: When it was last set aside, by the broker's clock: a redo does so again under the same id.
        event_id: Which event it is; None: that could not be read, or an earlier release set it aside.
    """

    entry: Quarantined
    last_at: datetime
    event_id: str | None = None


async def entries(
    connection: Connection, *, on_strange: Callable[[Strange], None] = lambda _: None
) -> list[InQuarantine]:
    """
    Every entry, oldest first. What was set aside again under the same id stands here once, as it was written first.

    Args:
        on_strange: Told of each record that the bus did not write.
    """
    found: dict[str, InQuarantine] = {}
    async for message in read_topic(connection, topics.QUARANTINE):
        entry = own_record(message, Quarantined)
        if isinstance(entry, Strange):
            on_strange(entry)
            continue
        first = found.get(entry.quarantine_id)
        at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        event_id = _event_of(message) or (first.event_id if first else None)
        found[entry.quarantine_id] = InQuarantine(first.entry if first else entry, at, event_id)
    return sorted(found.values(), key=lambda each: each.entry.at)


def _event_of(message: Any) -> str | None:
    marked = dict(message.headers).get(headers.EVENT)
    try:
        return None if marked is None else identifiers.event_id(marked.decode("utf-8", "replace"))
    except BadIdentifier:
        return None


async def event_of(connection: Connection, one: InQuarantine) -> str | None:
    """
    The event that an entry is about, also where the entry does not say: of one that was decided, by its origin.

    Raises:
        NotReachable: The decisions cannot be read.
    """
    if one.event_id is not None or one.entry.reason not in DECIDED_ALL_THE_SAME:
        return one.event_id
    origin = (one.entry.topic, one.entry.partition, one.entry.offset)
    for since in (one.entry.at - _DECIDED_BEFORE, None):  # a redo may have set it aside long after it was decided
        async for message in read_topic(connection, topics.DECISIONS, partitions=[one.entry.partition], since=since):
            record = own_record(message, DecisionRecord, in_transaction=True)
            if isinstance(record, DecisionRecord):
                stands = record.origin
                if (stands.topic, stands.partition, stands.offset) == origin:
                    return record.event_id
    return None


async def find(connection: Connection, quarantine_id: str) -> InQuarantine:
    """
    One entry.

    Raises:
        BadInput: There is no such entry.
    """
    found = next((e for e in await entries(connection) if e.entry.quarantine_id == quarantine_id), None)
    if found is None:
        raise BadInput(f"nothing is in quarantine under `{quarantine_id}`; `safebus quarantine list` shows what is")
    return found


def open_original(entry: Quarantined, *, private_keys: Sequence[bytes], to: Path) -> int:
    """
    Write the original of an entry into a file that only its owner can read.

    Returns:
        How many bytes; 0 when the original was too large to be sealed and stands at its origin only.

    Raises:
        BadInput: The file exists; and as `original`.
    """
    data = original(entry, private_keys=private_keys)
    try:
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"`{to}` exists already; name a new file") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return len(data)


def original(entry: Quarantined, *, private_keys: Sequence[bytes]) -> bytes:
    """
    What was set aside, opened in memory; nothing where it was too large to be sealed.

    Args:
        private_keys: One of which it was sealed to: the pair may have been changed since.

    Raises:
        BadInput: No key is the one it was sealed to.
    """
    context = f"{entry.topic}/{entry.partition}/{entry.offset}"
    for key in private_keys[:-1]:
        with contextlib.suppress(BadInput):
            return sealing.unseal(entry.sealed, private_key=key, context=context)
    return sealing.unseal(entry.sealed, private_key=private_keys[-1], context=context)


def decoded(data: bytes) -> dict[str, Any]:
    """
    An original as a person can read it.

    Returns:
        `event`: its fields, where it can be read as one; else `why_not`, and `json` or `text` where it is that, as what
        was imported is, or `begins`: its first 64 bytes, in hex. JSON that could be read as two things is text.
    """
    try:
        schema, fields = codec.decode_plain(data)
    except Refused as exc:
        return {"why_not": f"{exc.reason}: {exc.detail}"} | _as_text(data)
    return {"event_type": schema.event_type, "event": plain(fields)}


def _as_text(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {"begins": data[:64].hex(" ")}
    try:
        return {"json": strict_json.parse(text)}
    except BadInput:
        return {"text": text}
