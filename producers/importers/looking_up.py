"""
What do signals mean, one after another, with the records that they point at?

A number that cannot be asked about stops its own signal. When it is the service that does not answer, not the number,
the rest is not asked: forty signals would wait for forty times as long, and each attempt is another one on a service
that is down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from safebus.producers.importers.identity_events import checked_agency
from safebus.producers.importers.input_files import InputFile
from safebus.producers.importers.mns import Signal, read_signal
from safebus.producers.importers.mns_records import import_looked_up, import_without
from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, NotNow
from safebus.producers.importers.pds import PdsRecord
from safebus.producers.importers.pds_client import NotAnswered
from safebus.schemas.errors import Refused

#: So many numbers in a row without an answer are the service, not the numbers.
IN_A_ROW: Final = 3


class Source(Protocol):
    """Who is asked: `PdsClient`."""

    async def ask(self, number: str) -> PdsRecord:
        """The record under an NHS number; errors as `PdsClient.ask`."""
        ...


@dataclass(frozen=True)
class Lookup:
    """
    How signals are looked up.

    Attributes:
        case_secret: The agency's own; see `import_looked_up`.
    """

    source: Source
    case_secret: bytes


async def looked_up(
    files: Sequence[InputFile], *, agency: str, now: datetime, lookup: Lookup
) -> AsyncIterator[tuple[InputFile, Imported | NotImported | NotNow]]:
    """Each file, in its order, and what becomes of it."""
    checked_agency(agency, now)
    in_a_row, over = 0, ""
    for file in files:
        try:
            signal = read_signal(file.data, received_at=now)
        except Refused as exc:
            yield file, NotImported(ImportReason(exc.reason), exc.detail)
            continue
        if over:
            yield file, NotNow(f"not asked for: {over}")
            continue
        try:
            yield file, await _one(signal, agency, now, lookup)
            in_a_row = 0
        except NotAnswered as exc:
            in_a_row += 1
            over = str(exc) if exc.for_all or in_a_row >= IN_A_ROW else ""
            yield file, NotNow(str(exc))


async def _one(signal: Signal, agency: str, now: datetime, lookup: Lookup) -> Imported | NotImported | NotNow:
    try:
        record = await lookup.source.ask(signal.number)
    except Refused as exc:
        if exc.reason == ImportReason.NOT_AT_SOURCE and signal.becomes["record"] == "number":
            # A number that is no longer valid, and that no other replaces, is what such a signal tells of.
            return import_without(signal, exc.detail, agency=agency)
        return NotImported(ImportReason(exc.reason), exc.detail)
    return import_looked_up(signal, record, agency=agency, asked_at=now, case_secret=lookup.case_secret)
