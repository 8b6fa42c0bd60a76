"""
What becomes of a file that an importer is given?

An event on the agency's topic, or the sealed original in quarantine with its reason. Nothing is dropped: what could not
be looked up at its source stays where it is, and is named. What two files of one run have in common is said, too: the
same content counts once, and of two contents under one message id the bus sets the later one aside.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from safebus.producers.importers import mns, nems
from safebus.producers.importers.input_files import InputFile
from safebus.producers.importers.looking_up import Lookup, looked_up
from safebus.producers.importers.outcome import Imported, NotImported, NotNow
from safebus.producers.publisher import Publisher
from safebus.schemas import codec, headers, sealing, topics
from safebus.schemas.bus_records import Quarantined
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.strict_json import MAX_BYTES

#: What a line says became of a file, beside the changes that events tell of.
QUARANTINED: Final = "QUARANTINED"
NOT_NOW: Final = "NOT NOW"


@dataclass(frozen=True)
class ImportedFile:
    """
    What became of one file.

    Attributes:
        event_id: None: it went to quarantine, or could not be looked up now (`NOT_NOW`).
        contradicts: Another file of the run has its message id and says something else.
    """

    file: str
    outcome: str
    detail: str
    event_id: str | None
    contradicts: bool = False


@dataclass(frozen=True)
class Sink:
    """
    Where files go, and under which secrets.

    Attributes:
        case_secret: The agency's own; it turns a person's number into an opaque key.
        seal_to: The operators' public key; what cannot be imported is sealed to it.
    """

    connection: Connection
    case_secret: bytes
    seal_to: bytes


@dataclass(frozen=True)
class _Found:
    """
    What becomes of a file.

    Attributes:
        same_as: The path of one with the same message, which counts for both.
        id_of: The path of one with the same message id and another content.
    """

    file: InputFile
    outcome: Imported | NotImported | NotNow
    same_as: str | None = None
    id_of: str | None = None


async def import_all(
    kind: str,
    files: Sequence[InputFile],
    *,
    agency: str,
    to: Sink | None,
    now: datetime,
    lookup: Lookup | None = None,
) -> list[ImportedFile]:
    """
    Import files.

    Args:
        kind: `mns` or `nems`.
        to: None: say what would become of them, and send nothing.
        lookup: Asks the source what signals of MNS point at; None: they say "this changed, look it up".

    Raises:
        NotReachable: The broker did not acknowledge; import them again, an event counts once.
    """
    found = _told_apart([each async for each in _read(kind, files, agency, now, lookup)])
    if to is not None:
        await _send(found, agency, to, now)
    return [_line(each, agency=agency, to=to) for each in found]


async def _read(
    kind: str, files: Sequence[InputFile], agency: str, now: datetime, lookup: Lookup | None
) -> AsyncIterator[_Found]:
    if kind == "mns" and lookup is not None:
        async for file, outcome in looked_up(files, agency=agency, now=now, lookup=lookup):
            yield _Found(file, outcome)
        return
    read = mns.import_signal if kind == "mns" else nems.import_message
    for file in files:
        yield _Found(file, read(file.data, agency=agency, received_at=now))


def _told_apart(found: Iterable[_Found]) -> list[_Found]:
    """The same, with what files have in common."""
    kept: list[_Found] = []
    contents: dict[tuple[bytes, str], str] = {}
    events: dict[str, tuple[Imported, str]] = {}
    for each in found:
        path, outcome = each.file.path, each.outcome
        # Set aside it is two entries: whoever looks at one folder looks for its own.
        content = (each.file.digest(), "" if isinstance(outcome, Imported) else each.file.place)
        if content in contents:
            kept.append(replace(each, same_as=contents[content]))
            continue
        contents[content] = path
        first = events.setdefault(outcome.event.event_id, (outcome, path)) if isinstance(outcome, Imported) else None
        if first is None or first[0] is outcome:
            kept.append(each)
        elif isinstance(outcome, Imported) and first[0].event == outcome.event:
            kept.append(replace(each, same_as=first[1]))
        else:
            kept.append(replace(each, id_of=first[1]))
    return kept


def _line(each: _Found, *, agency: str, to: Sink | None) -> ImportedFile:
    path, outcome = each.file.path, each.outcome
    if isinstance(outcome, NotNow):
        return ImportedFile(path, NOT_NOW, outcome.detail, None)
    if isinstance(outcome, NotImported):
        also = f"; entry {_entry_id(each.file, outcome, agency=agency, to=to)}" if to else ""
        also += "; given twice, one entry" if each.same_as else ""
        return ImportedFile(path, QUARANTINED, f"{outcome.reason}: {outcome.detail}{also}", None)
    event = outcome.event
    detail = f"{event.lifecycle} {event.event_id}"
    if each.same_as:
        detail += f"; the same message as `{each.same_as}`, counts once"
    if each.id_of:
        # Which of them came first only the bus knows: one may have been published last week.
        detail += f"; the message id of `{each.id_of}`, which says something else: the bus sets the later one aside"
    if outcome.left_out:
        detail += f"; left out: {'; '.join(outcome.left_out)}"
    return ImportedFile(path, event.payload.change, detail, event.event_id, contradicts=each.id_of is not None)


async def _send(found: Sequence[_Found], agency: str, to: Sink, now: datetime) -> None:
    once = [each for each in found if each.same_as is None]
    outbound = Writer(to.connection, client_id=f"importer-{agency}")
    await outbound.start()
    try:
        await outbound.send_all(
            quarantined(each.file, each.outcome, agency=agency, to=to, now=now)
            for each in once
            if isinstance(each.outcome, NotImported)
        )
    finally:
        await outbound.stop()
    async with Publisher(to.connection, agency=agency, case_secret=to.case_secret) as publisher:
        # One person's events stay in order; the number leaves this process only as a keyed token.
        await publisher.publish_all(
            [
                (each.outcome.event, each.outcome.event.subjects[0].nhs_number or each.outcome.event.event_id)
                for each in once
                if isinstance(each.outcome, Imported)
            ]
        )


def quarantined(file: InputFile, outcome: NotImported, *, agency: str, to: Sink, now: datetime) -> Message:
    """
    A file that could not be imported, sealed, as the quarantine holds it. Offset -1: it never was on a topic.

    What is larger than any message is not sealed: it stays where it is, and the entry says how large it is.
    """
    where = _origin(file, agency=agency, to=to)
    entry = Quarantined(
        quarantine_id=_entry_id(file, outcome, agency=agency, to=to),
        reason=outcome.reason,
        detail=outcome.detail,
        topic=where,
        partition=-1,
        offset=-1,
        at=now,
        size=file.size,
        sealed=sealing.seal(
            file.data if file.size <= MAX_BYTES else b"", public_key=to.seal_to, context=f"{where}/-1/-1"
        ),
    )
    about = headers.cloud_event(id=entry.quarantine_id, source=agency, type="safebus.quarantined")
    return Message(topics.QUARANTINE, where.encode(), codec.encode_record(entry), about)


def _entry_id(file: InputFile, outcome: NotImported, *, agency: str, to: Sink) -> str:
    return derived_id("quarantine", _origin(file, agency=agency, to=to), outcome.reason)


def _origin(file: InputFile, *, agency: str, to: Sink) -> str:
    """What stands for path and content. Keyed: under a plain digest of a message one could try every NHS number."""
    known_by = hmac.new(to.case_secret, file.place.encode("utf-8", "surrogateescape") + file.digest(), hashlib.sha256)
    return f"import/{agency}/{derived_id('import', known_by.hexdigest())}"
