"""
What becomes of a file that an importer is given?

An event on the agency's topic, or the sealed original in quarantine with its reason. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from safebus.producers.importers import mns, nems
from safebus.producers.importers.outcome import Imported, NotImported
from safebus.producers.publisher import Publisher
from safebus.schemas import codec, headers, sealing, topics
from safebus.schemas.bus_records import Quarantined
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer


@dataclass(frozen=True)
class ImportedFile:
    """What became of one file. `event_id` None: it went to quarantine."""

    file: str
    outcome: str
    detail: str
    event_id: str | None


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


async def import_all(
    kind: str,
    files: Mapping[str, bytes],
    *,
    agency: str,
    to: Sink | None,
    now: datetime,
) -> list[ImportedFile]:
    """
    Import files.

    Args:
        kind: `mns` or `nems`.
        to: None: say what would become of them, and send nothing.

    Raises:
        NotReachable: The broker did not acknowledge; import them again, an event counts once.
    """
    read = mns.import_signal if kind == "mns" else nems.import_message
    found = {name: read(data, agency=agency, received_at=now) for name, data in files.items()}
    if to is not None:
        await _send(found, files, agency, to, now)
    return [_line(name, outcome) for name, outcome in found.items()]


def _line(name: str, outcome: Imported | NotImported) -> ImportedFile:
    if isinstance(outcome, Imported):
        event = outcome.event
        return ImportedFile(name, event.payload.change, f"{event.lifecycle} {event.event_id}", event.event_id)
    return ImportedFile(name, "QUARANTINED", f"{outcome.reason}: {outcome.detail}", None)


async def _send(
    found: Mapping[str, Imported | NotImported],
    files: Mapping[str, bytes],
    agency: str,
    to: Sink,
    now: datetime,
) -> None:
    outbound = Writer(to.connection, client_id=f"importer-{agency}")
    await outbound.start()
    try:
        await outbound.send_all(
            quarantined(name, files[name], outcome, agency=agency, seal_to=to.seal_to, now=now)
            for name, outcome in found.items()
            if isinstance(outcome, NotImported)
        )
    finally:
        await outbound.stop()
    async with Publisher(to.connection, agency=agency, case_secret=to.case_secret) as publisher:
        # One person's events stay in order; the number leaves this process only as a keyed token.
        await publisher.publish_all(
            [
                (o.event, o.event.subjects[0].nhs_number or o.event.event_id)
                for o in found.values()
                if isinstance(o, Imported)
            ]
        )


def quarantined(name: str, data: bytes, outcome: NotImported, *, agency: str, seal_to: bytes, now: datetime) -> Message:
    """A file that could not be imported, sealed, as the quarantine holds it. Offset -1: it never was on a topic."""
    where = f"import/{agency}/{derived_id('import', name, str(len(data)))}"
    entry = Quarantined(
        quarantine_id=derived_id("quarantine", where, outcome.reason),
        reason=outcome.reason,
        detail=outcome.detail,
        topic=where,
        partition=-1,
        offset=-1,
        at=now,
        size=len(data),
        sealed=sealing.seal(data, public_key=seal_to, context=f"{where}/-1/-1"),
    )
    about = headers.cloud_event(id=entry.quarantine_id, source=agency, type="safebus.quarantined")
    return Message(topics.QUARANTINE, where.encode(), codec.encode_record(entry), about)
