"""
Does a backup hold exactly the keys that this bus uses?

It is compared, by fingerprint, with the home where there is one, with what the register says it was written under, and
by opening the newest originals in quarantine, in memory and for nobody. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safebus.deploy.service import key_files, key_pack
from safebus.schemas import headers, sealing, topics
from safebus.schemas.bus_records import Quarantined
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.topic_list import topics_there
from safebus.schemas.keys import PersonKey
from safebus.schemas.own_records import Strange, own_record

#: Originals that are tried, of each partition of quarantine.
_NEWEST: Final = 3


@dataclass(frozen=True)
class Compared:
    """
    One thing that was looked at.

    Attributes:
        what: A key file, or where else a key is used.
        fine: Nothing there speaks against the backup.
    """

    what: str
    found: str
    fine: bool


def with_home(keys: Mapping[str, bytes], home: Path) -> list[Compared]:
    """
    Each key of the backup and of a home.

    Raises:
        BadInput: A key of the home cannot be used.
    """
    held = {path.name: key_files.read(home, path.name) for path in key_files.held(home)}
    ours, theirs = key_pack.fingerprints(keys), key_pack.fingerprints(held)
    rows = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours:
            rows.append(Compared(name, f"{theirs[name]} in `{home / 'keys'}`, and not in the backup", False))
        elif name not in theirs:
            rows.append(Compared(name, f"{ours[name]}; not in `{home / 'keys'}`", True))
        elif ours[name] != theirs[name]:
            what = f"{ours[name]} in the backup, {theirs[name]} in `{home / 'keys'}`"
            rows.append(Compared(name, what, False))
        else:
            rows.append(Compared(name, f"{ours[name]}, as in `{home / 'keys'}`", True))
    return rows


async def with_bus(keys: Mapping[str, bytes], connection: Connection) -> list[Compared]:
    """
    What the records of the bus say of the keys that it uses.

    Raises:
        NotReachable: The broker does not answer.
    """
    there = await topics_there(connection)
    rows = []
    if any(name.startswith(("person", "digest")) for name in keys):
        rows.append(await _register(keys, connection) if topics.REGISTER in there else _not_shown(topics.REGISTER))
    private = [secret for name, secret in keys.items() if name.startswith("seal") and name.endswith(".key")]
    if private:
        shown = topics.QUARANTINE in there
        rows.append(await _quarantine(private, connection) if shown else _not_shown(topics.QUARANTINE))
    return rows


def _not_shown(topic: str) -> Compared:
    return Compared(topic, "no such topic, or this certificate is not shown it; so it was not compared", False)


async def _register(keys: Mapping[str, bytes], connection: Connection) -> Compared:
    """Under which keys was it written?"""
    known = set(key_pack.fingerprints(keys).values())
    known |= {PersonKey(secret).digests.fingerprint for name, secret in keys.items() if name.startswith("person")}
    others: dict[str, int] = {}
    number = 0
    async for message in read_topic(connection, topics.REGISTER):
        under = dict(message.headers).get(headers.KEYS, b"").decode("ascii", "replace")[:80]
        number += 1
        if known.isdisjoint(under.split()):
            others.setdefault(under, message.offset)
    if others:
        said = "; ".join(f"from offset {at} under {under or 'no key that it names'}" for under, at in others.items())
        return Compared(topics.REGISTER, f"written {said}, which is not in the backup", False)
    return Compared(topics.REGISTER, f"all {number} records were written under keys of the backup", True)


async def _quarantine(private: Sequence[bytes], connection: Connection) -> Compared:
    """Do the newest originals of each partition open?"""
    opens, closed = 0, []
    async for message in read_topic(connection, topics.QUARANTINE, last=_NEWEST):
        entry = own_record(message, Quarantined)
        if isinstance(entry, Strange):
            continue
        if any(_opens(entry, key) for key in private):
            opens += 1
        else:
            closed.append(entry.quarantine_id)
    if closed:
        said = f"{', '.join(closed)} do not open: sealed to another key than those of the backup"
        return Compared(topics.QUARANTINE, said, False)
    return Compared(topics.QUARANTINE, f"the newest {opens} originals open" if opens else "empty", True)


def _opens(entry: Quarantined, private: bytes) -> bool:
    context = f"{entry.topic}/{entry.partition}/{entry.offset}"
    try:
        sealing.unseal(entry.sealed, private_key=private, context=context)
    except BadInput:
        return False
    return True
