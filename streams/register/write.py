"""
How do agreements, partners and consents get into the register?

Everything is checked against the register as it stands, and against itself, before anything is written; only what
changes is written; and each call returns the register offset from which it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput, BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.identifiers import PersonKey
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry, consent_record_id, read_folder
from safebus.streams.register.follow import RegisterReader
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.consent import ConsentEntry, may_follow, standing
from safebus.streams.rules.parties import Involvement
from safebus.streams.rules.routing import SUBSCRIPTION


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
    if not folder.is_dir():
        raise BadInput(f"`{folder}` does not exist; give a folder of YAML files")
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


def not_in(folder: Path, register: Register, key: PersonKey) -> list[str]:
    """
    Records that stand in the register and not in this folder: leaving a line out ends nothing.

    Consents are left out: people's decisions come one by one and are in no folder.
    """
    named = {entry.record_id for entry in read_folder(read_files(folder), key, event_schemas())}
    return sorted(rid for rid, (kind, _) in register.entries().items() if rid not in named and kind != "consent")


def odd(entries: Iterable[Entry], register: Register, *, today: date) -> list[str]:
    """
    What is allowed and looks like a slip: a word that nothing else uses makes a flow silently carry nothing.

    Returns:
        One line each, with file and line of the entry.
    """
    new = list(entries)
    ties = [e.body for e in new] + [body for _, body in register.entries().values()]
    roles = {b.role for b in ties if isinstance(b, Involvement)}
    flows = [f for b in ties if isinstance(b, Agreement) for f in b.flows]
    asked = {role for f in flows for role in f.interest}
    consents = {f.purpose for f in flows if f.consent is not None}
    found = []
    for entry in new:
        body = entry.body
        if isinstance(body, Agreement):
            if today > body.last_day():
                found.append(f"{entry.where}: agreement `{body.agreement}` has expired already; everything is refused")
            for flow in body.flows:
                lost = sorted(set(flow.interest) - roles - {SUBSCRIPTION})
                if lost:
                    roles_lost = ", ".join(f"`{r}`" for r in lost)
                    found.append(f"{entry.where}: flow `{flow.flow}`: nobody has anyone in care as {roles_lost}")
        if isinstance(body, Involvement) and body.role not in asked:
            found.append(f"{entry.where}: no agreement is for those in the role `{body.role}`")
        if isinstance(body, ConsentEntry) and body.purpose not in consents:
            found.append(f"{entry.where}: no flow waits for consent to `{body.purpose}`")
    return found


def ending(record_id: str, register: Register, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record that ends an entry from now on; the past stays as it was.

    Raises:
        BadInput: The register has no such entry.
    """
    kind = register.entries().get(record_id, (None,))[0]
    if kind is None:
        raise BadInput(f"the register has no `{record_id}`; `safebus register show` lists what it has")
    return RegisterRecord(record_id=record_id, kind=kind, recorded_at=at, recorded_by=by, reason=reason, body=None)


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
    outbound = Writer(connection, client_id="registrar")
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
    unknown = sorted(set(entry.recipients) - set(register.partners))
    if unknown:
        raise BadInput(
            f"{', '.join(f'`{u}`' for u in unknown)} is no partner in the register, so this would change nothing; "
            f"there are {', '.join(sorted(register.partners))}"
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
