"""What is in quarantine, and how does an operator open one original?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from safebus.schemas import sealing, topics
from safebus.schemas.bus_records import Quarantined
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.own_records import Strange, own_record


async def entries(
    connection: Connection, *, on_strange: Callable[[Strange], None] = lambda _: None
) -> list[Quarantined]:
    """
    Every entry, oldest first. A redo writes the same entry again under the same id; it stands here once.

    Args:
        on_strange: Told of each record that the bus did not write.
    """
    found: dict[str, Quarantined] = {}
    async for message in read_topic(connection, topics.QUARANTINE):
        entry = own_record(message, Quarantined)
        if isinstance(entry, Strange):
            on_strange(entry)
            continue
        found.setdefault(entry.quarantine_id, entry)
    return sorted(found.values(), key=lambda entry: entry.at)


async def find(connection: Connection, quarantine_id: str) -> Quarantined:
    """
    One entry.

    Raises:
        BadInput: There is no such entry.
    """
    entry = next((e for e in await entries(connection) if e.quarantine_id == quarantine_id), None)
    if entry is None:
        raise BadInput(f"nothing is in quarantine under `{quarantine_id}`; `safebus quarantine list` shows what is")
    return entry


def open_original(entry: Quarantined, *, private_keys: Sequence[bytes], to: Path) -> int:
    """
    Write the original of an entry into a file that only its owner can read.

    Args:
        private_keys: One of which it was sealed to: the pair may have been changed since.

    Returns:
        How many bytes; 0 when the original was too large to be sealed and stands at its origin only.

    Raises:
        BadInput: The file exists, or no key is the one it was sealed to.
    """
    context = f"{entry.topic}/{entry.partition}/{entry.offset}"
    data = _opened(entry.sealed, private_keys, context)
    try:
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"`{to}` exists already; name a new file") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return len(data)


def _opened(sealed: bytes, private_keys: Sequence[bytes], context: str) -> bytes:
    for key in private_keys[:-1]:
        with contextlib.suppress(BadInput):
            return sealing.unseal(sealed, private_key=key, context=context)
    return sealing.unseal(sealed, private_key=private_keys[-1], context=context)
