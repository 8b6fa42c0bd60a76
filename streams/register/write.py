"""
How do agreements, partners and consents get into the register?

What is to be written was checked before (`streams.register.changes`, and `check_consent` here); each call returns the
register offset from which it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput
from safebus.schemas.identifiers import joined
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.schemas.nearest import did_you_mean, or_the_known
from safebus.schemas.uk_day import uk_day
from safebus.streams.register import dressing
from safebus.streams.register.cross_checks import names_nobody, purposes
from safebus.streams.register.entries import Entry, consent_record_id
from safebus.streams.register.governance import TOKEN_KEY, DeliveriesWord, TokenKey
from safebus.streams.register.store import Register, body_of
from safebus.streams.rules import consent_voice
from safebus.streams.rules.consent import ASKING, HOLDS, OBJECTS, Capacity, ConsentEntry, may_follow, standing
from safebus.streams.rules.consent_voice import Voice


def ending_record(record_id: str, register: Register, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record that ends an entry from now on; the past stays as it was.

    Raises:
        BadInput: The register has no such entry, or it is one that is only followed by another.
    """
    if record_id.startswith(f"{TOKEN_KEY}/"):
        raise BadInput(f"`{record_id}` cannot be ended; `safebus keys rotate` makes the secret that follows it")
    kind = register.entries().get(record_id, (None,))[0]
    if kind is None:
        hint = did_you_mean(record_id, register.entries(), alike=0.85) or "; `safebus register show` lists what it has"
        raise BadInput(f"the register has no `{record_id}`{hint}")
    return RegisterRecord(record_id=record_id, kind=kind, recorded_at=at, recorded_by=by, reason=reason, body=None)


def reviving_record(record_id: str, register: Register, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record that brings an entry back that was ended, as it stood then: who was suspended is so again.

    Raises:
        BadInput: It was not ended.
    """
    ending = register.ended.get(record_id)
    if ending is None:
        raise BadInput(f"`{record_id}` was not ended, so there is nothing to bring back")
    body = body_of(ending.entry)
    return RegisterRecord(
        record_id=record_id, kind=ending.kind, recorded_at=at, recorded_by=by, reason=reason, body=body
    )


def lifting_record(record_id: str, register: Register, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record that lifts the suspension of a partner.

    Raises:
        BadInput: There is no such partner, or it is not suspended.
    """
    partner = register.partners.get(record_id.removeprefix("partner/"))
    if partner is None or not partner.suspended:
        raise BadInput(f"`{record_id}` is no partner that is suspended, so there is nothing to lift")
    lifted = partner.model_copy(update={"suspended": False})
    return RegisterRecord(
        record_id=f"partner/{partner.partner}",
        kind="partner",
        recorded_at=at,
        recorded_by=by,
        reason=reason,
        body=body_of(lifted),
    )


def deliveries_record(
    partner: str, register: Register, *, paused: bool, until: datetime | None, at: datetime, by: str, reason: str
) -> RegisterRecord:
    """
    The record that pauses the deliveries to a partner, or has them go on.

    Raises:
        BadInput: There is no such partner, or the pause would be over already.
    """
    if partner not in register.partners:
        raise BadInput(f"there is no partner `{partner}`{or_the_known(partner, register.partners)}")
    if until is not None and until <= at:
        raise BadInput(f"the pause would be over already: {until.isoformat()} is not after {at.isoformat()}")
    before = register.deliveries_word(partner)
    since = before.began if paused and before is not None and before.pauses(at) else None
    word = DeliveriesWord(partner=partner, paused=paused, until=until, said_at=at, paused_since=since)
    return RegisterRecord(
        record_id=f"deliveries/{partner}",
        kind="deliveries",
        recorded_at=at,
        recorded_by=by,
        reason=reason,
        body=body_of(word),
    )


def as_records(
    entries: Iterable[Entry],
    *,
    at: datetime,
    by: str,
    reason: str,
    confirmed: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[RegisterRecord]:
    """
    Entries as they are written.

    Args:
        confirmed: Record id -> what was confirmed by name for it; stands with the reason.
    """
    return [
        RegisterRecord(
            record_id=entry.record_id,
            kind=entry.kind,
            recorded_at=at,
            recorded_by=by,
            reason="; confirmed: ".join((reason, *confirmed.get(entry.record_id, ()))),
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


def register_after(register: Register, entries: Iterable[Entry], *, at: datetime) -> Register:
    """The register as it would be after these entries were loaded; the one given stays as it is."""
    standing = [Entry(record_id, kind, body, "register") for record_id, (kind, body) in register.entries().items()]
    return register_of([*standing, *entries], at=at)


def switching_record(register: Register, key: PersonKey, *, at: datetime, by: str, reason: str) -> RegisterRecord:
    """
    The record from which on the next generation of the bus's secret counts.

    Raises:
        BadInput: It was not made yet, or is not here.
    """
    generation = register.generation + 1
    if key.newest < generation:
        raise BadInput(
            f"generation {register.generation} of the bus's secret is in use, and the next one is not here; `safebus "
            "keys rotate person` makes it"
        )
    following = key.of(generation)
    body = TokenKey(
        generation=generation,
        fingerprint=following.fingerprint,
        digest_fingerprint=following.digests.fingerprint,
    )
    return RegisterRecord(
        record_id=f"{TOKEN_KEY}/{generation}",
        kind=TOKEN_KEY,
        recorded_at=at,
        recorded_by=by,
        reason=reason,
        body=body_of(body),
    )


def under(key: PersonKey) -> list[tuple[str, bytes]]:
    """The header that names the key of a register record, and the digest key that belongs to it."""
    return [(headers.KEYS, f"{key.fingerprint} {key.digests.fingerprint}".encode())]


def request_content(records: Iterable[RegisterRecord]) -> bytes:
    """What is asked for, whoever asks, when and why: the same for the same content."""
    return joined(*(part for r in records for part in (r.record_id, r.kind, r.body or "")))


def request_digest(records: Iterable[RegisterRecord], key: PersonKey) -> str:
    """The keyed digest of that: 64 hex digits."""
    return key.digest(request_content(records))


async def write_records(connection: Connection, found: list[RegisterRecord], *, key: PersonKey) -> int:
    """
    Write records to the register and wait until the broker has them.

    Args:
        key: Which made their tokens, acting under the generation of the register: each says so, and whoever holds
            another does not decide by them.

    Returns:
        The offset of the last one: whatever is decided after this call counts it.
    """
    mark = under(key)
    outbound = Writer(connection, client_id="registrar")
    await outbound.start()
    try:
        written = await outbound.send_all(
            Message(
                topics.REGISTER,
                record.record_id.encode(),
                codec.encode_record(record),
                headers.cloud_event(id=record.record_id, source="registrar", type=f"safebus.{record.kind}") + mark,
                0,
            )
            for record in (dressing.dressed(each, key) for each in found)
        )
    finally:
        await outbound.stop()
    return max((offset for _, offset in written), default=-1)


def check_consent(entry: ConsentEntry, register: Register, *, now: datetime) -> None:
    """
    May this consent decision follow what is on record?

    Raises:
        BadInput: A person, partner or purpose does not exist, it lies in the future, or the state cannot follow.
    """
    if entry.person_id not in register.persons:
        raise BadInput(
            "this person is not in the register; `safebus register load` adds people and who has them in care"
        )
    unknown = [*names_nobody(entry, register.partners, purposes(register))]
    if unknown:
        raise BadInput("; ".join(unknown))
    if entry.decided_at > now:
        raise BadInput(f"`decided_at` {entry.decided_at.isoformat()} lies in the future; give when it was said")
    who = consent_voice.around_without_event(entry.person_id, register, suspects=(), on=uk_day(now))
    if entry.state in HOLDS | OBJECTS:
        _check_voice(entry, consent_voice.voice_of(entry, who))
    entries = consent_voice.heard(
        register.consents(entry.person_id, entry.meaning, entry.purpose), who, unsure_yes=True
    ).entries
    # A decision for everyone may follow any that was made for someone: whoever takes back, takes all of it back.
    scopes = entry.recipients or ("", *sorted({r for _, e in entries for r in e.recipients}))
    found = [may_follow(standing(entries, recipient=r, now=now).state, entry.state) for r in scopes]
    problems = [problem for problem in found if problem]
    if problems and (entry.recipients or len(problems) == len(scopes)):
        raise BadInput(problems[0])
    newest = max((e.decided_at for _, e in entries if e.state not in ASKING), default=None)
    if newest is not None and entry.decided_at < newest:
        raise BadInput(
            f"a later decision of {newest.isoformat()} is on record, and the newest decides; check `decided_at`"
        )


def _check_voice(entry: ConsentEntry, voice: Voice) -> None:
    if voice is Voice.NOBODYS:
        raise BadInput(f"nobody speaks in this capacity; give one of {', '.join(Capacity)}")
    if voice is Voice.NOT_THEIRS:
        raise BadInput(
            f"`{entry.state}` is not theirs to say for this person; `may_speak_for` in the register says who may"
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
