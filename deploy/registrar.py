"""
How do agreements, partners and consents get into the register?

Everything is checked against the register as it stands, and against itself, before anything is written; only what
changes is written; and each call returns the register offset from which it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from schemas import codec, headers, topics
from schemas.broker_link import Connection, Message, Outbound
from schemas.bus_records import RegisterRecord
from schemas.errors import BadInput, BadRegister
from schemas.event_schemas import event_schemas
from schemas.identifiers import PersonKey
from streams.rules.consent import ConsentEntry, may_follow, standing
from streams.rules.entries import Entry, consent_record_id, cross_check, read_folder
from streams.rules.register import Register, body_of
from streams.worker.register_reader import RegisterReader


@dataclass(frozen=True)
class Change:
    """One entry to write: `added`, `changed` or `same`."""

    entry: Entry
    what: str


def read_files(folder: Path) -> dict[str, str]:
    """
    Name -> text of every YAML file below a folder.

    Raises:
        BadInput: There is no such folder, or no YAML file in it.
    """
    files = {str(p.relative_to(folder)): p.read_text("utf-8") for p in sorted(folder.rglob("*.yaml"))}
    if not files:
        raise BadInput(f"`{folder}` holds no *.yaml file; a register folder has partners, bases and agreements")
    return files


def plan(folder: Path, register: Register, key: PersonKey) -> list[Change]:
    """
    What loading a folder would change.

    Raises:
        BadRegister: Everything that does not fit, with file and line.
    """
    entries = read_folder(read_files(folder), key, event_schemas())
    problems = cross_check(entries, register)
    if problems:
        raise BadRegister(problems)
    return [Change(entry, _what(entry, register)) for entry in entries]


def _what(entry: Entry, register: Register) -> str:
    before = register.entry(entry.record_id)
    if before is None:
        return "added"
    return "same" if before == entry.body else "changed"


def records(entries: Iterable[Entry], *, at: datetime, by: str, reason: str) -> list[RegisterRecord]:
    """Entries as they are written."""
    return [
        RegisterRecord(
            record_id=entry.record_id,
            kind=entry.kind,
            recorded_at=at,
            recorded_by=by,
            reason=reason,
            body=body_of(entry.body),
        )
        for entry in entries
    ]


def register_of(entries: Iterable[Entry], *, at: datetime) -> Register:
    """The register that these entries alone make; for `policy try` and tests, without a broker."""
    register = Register()
    for offset, record in enumerate(records(entries, at=at, by="folder", reason="folder")):
        register.apply(offset, record)
    return register


async def write(connection: Connection, found: list[RegisterRecord]) -> int:
    """
    Write records to the register and wait until the broker has them.

    Returns:
        The offset of the last one: whatever is decided after this call counts it.
    """
    outbound = Outbound(connection, client_id="registrar")
    await outbound.start()
    try:
        written = await outbound.send_all(
            Message(
                topics.REGISTER,
                record.record_id.encode(),
                codec.encode_record(record),
                headers.cloud_event(id=record.record_id, source="registrar", type=f"safebus.{record.kind}"),
                0,
            )
            for record in found
        )
    finally:
        await outbound.stop()
    return max((offset for _, offset in written), default=-1)


async def current(connection: Connection) -> Register:
    """The register as it stands."""
    reader = RegisterReader(connection)
    try:
        await reader.start()
        return reader.now
    finally:
        await reader.stop()


def check_consent(entry: ConsentEntry, register: Register, *, now: datetime) -> None:
    """
    May this consent decision follow what is on record?

    Raises:
        BadInput: Nobody has this person in care, it lies in the future, or the state cannot follow the present one.
    """
    if entry.person_id not in register.persons:
        raise BadInput(
            "this person is not in the register; `safebus register load` adds people and who has them in care"
        )
    if entry.decided_at > now:
        raise BadInput(f"`decided_at` {entry.decided_at.isoformat()} lies in the future; give when it was said")
    entries = register.consents(entry.person_id, entry.meaning, entry.purpose)
    # A decision for everyone may follow any that was made for someone: whoever takes back, takes all of it back.
    scopes = entry.recipients or ("", *sorted({r for _, e in entries for r in e.recipients}))
    found = [may_follow(standing(entries, recipient=r, now=now).state, entry.state) for r in scopes]
    problems = [problem for problem in found if problem]
    if problems and (entry.recipients or len(problems) == len(scopes)):
        raise BadInput(problems[0])
    newest = max((e.decided_at for _, e in entries), default=None)
    if newest is not None and entry.decided_at < newest:
        raise BadInput(
            f"a later decision of {newest.isoformat()} is on record, and the newest decides; check `decided_at`"
        )


def consent_record(entry: ConsentEntry, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """A consent decision as it is written."""
    return RegisterRecord(
        record_id=consent_record_id(entry),
        kind="consent",
        recorded_at=at,
        recorded_by=by,
        reason=reason,
        body=body_of(entry),
    )
