"""
How do agreements, partners and consents get into the register?

What is to be written was checked before (`streams.register.changes`, and `check_consent` here); each call returns the
register offset from which it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.entries import Entry, consent_record_id
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules.consent import ConsentEntry, may_follow, standing


def ending_record(record_id: str, register: Register, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record that ends an entry from now on; the past stays as it was.

    Raises:
        BadInput: The register has no such entry.
    """
    kind = register.entries().get(record_id, (None,))[0]
    if kind is None:
        raise BadInput(f"the register has no `{record_id}`; `safebus register show` lists what it has")
    return RegisterRecord(record_id=record_id, kind=kind, recorded_at=at, recorded_by=by, reason=reason, body=None)


def as_records(entries: Iterable[Entry], *, at: datetime, by: str, reason: str) -> list[RegisterRecord]:
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
    for offset, record in enumerate(as_records(entries, at=at, by="folder", reason="folder")):
        register.apply(offset, record)
    return register


async def write_records(connection: Connection, found: list[RegisterRecord]) -> int:
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
