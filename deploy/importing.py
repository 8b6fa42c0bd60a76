"""
What becomes of a file that an importer is given?

An event on the agency's topic, or the sealed original in quarantine with its reason. Nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from deploy.settings import Settings
from producers.importers import mns, nems
from producers.importers.outcome import Imported, NotImported
from producers.publisher import Publisher
from schemas import codec, headers, sealing, topics
from schemas.broker_link import Connection
from schemas.bus_records import Quarantined
from schemas.identifiers import derived_id
from schemas.outbound import Message, Outbound


@dataclass(frozen=True)
class Line:
    """What became of one file. `event_id` None: it went to quarantine."""

    file: str
    outcome: str
    detail: str
    event_id: str | None


async def import_all(
    kind: str,
    files: Mapping[str, bytes],
    *,
    agency: str,
    settings: Settings,
    connection: Connection | None,
    now: datetime,
) -> list[Line]:
    """
    Import files.

    Args:
        kind: `mns` or `nems`.
        connection: None: say what would become of them, and send nothing.

    Raises:
        NotReachable: The broker did not acknowledge; import them again, an event counts once.
    """
    read = mns.import_signal if kind == "mns" else nems.import_message
    found = {name: read(data, agency=agency, received_at=now) for name, data in files.items()}
    if connection is not None:
        await _send(found, files, agency, settings, connection, now)
    return [_line(name, outcome) for name, outcome in found.items()]


def _line(name: str, outcome: Imported | NotImported) -> Line:
    if isinstance(outcome, Imported):
        event = outcome.event
        return Line(name, event.payload.change, f"{event.lifecycle} {event.event_id}", event.event_id)
    return Line(name, "QUARANTINED", f"{outcome.reason}: {outcome.detail}", None)


async def _send(
    found: Mapping[str, Imported | NotImported],
    files: Mapping[str, bytes],
    agency: str,
    settings: Settings,
    connection: Connection,
    now: datetime,
) -> None:
    outbound = Outbound(connection, client_id=f"importer-{agency}")
    await outbound.start()
    try:
        await outbound.send_all(
            quarantined(name, files[name], outcome, agency=agency, seal_to=settings.seal_public(), now=now)
            for name, outcome in found.items()
            if isinstance(outcome, NotImported)
        )
    finally:
        await outbound.stop()
    async with Publisher(connection, agency=agency, case_secret=settings.case_secret(agency)) as publisher:
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
