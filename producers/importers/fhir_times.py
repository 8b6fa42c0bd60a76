"""
When was this, as FHIR writes it?

FHIR allows a part of a date (`2017`, `2017-10`) where a day is not known. A part is not an error and not a day: it
reads as None, and nothing is filled in. What is no date at all is refused, and so is a time that has not come yet.

Source: FHIR STU3 and R4, Data Types: date, dateTime, instant.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused

CLOCKS_DIFFER_BY = timedelta(days=1)  # a time further ahead of ours than this is no clock's fault

# Written out: `fromisoformat` also takes week dates and times without an offset.
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


def instant(text: str, where: str, *, received_at: datetime) -> datetime:
    """
    A point in time, UTC.

    Raises:
        Refused: BAD_TIME, if it is no date with time and offset, or more than a day after `received_at`.
    """
    if not _INSTANT.fullmatch(text):
        raise Refused(
            ImportReason.BAD_TIME, f"`{where}` is not a date with time and offset, such as `2020-06-01T13:00:00Z`"
        )
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(ImportReason.BAD_TIME, f"`{where}` names a time that does not exist") from None
    if found - received_at > CLOCKS_DIFFER_BY:
        raise Refused(ImportReason.BAD_TIME, f"`{where}` is more than a day after the message was received")
    return found


def instant_if_whole(text: str, where: str, *, received_at: datetime) -> datetime | None:
    """A point in time, or None if only a day or less is given: midnight would be an invention."""
    return None if _DATE.fullmatch(text) else instant(text, where, received_at=received_at)


def day(text: str, where: str) -> date | None:
    """
    The day of a date or dateTime, as written where it was written; None if only year or month is given.

    Raises:
        Refused: BAD_TIME, if it is no date.
    """
    written = text[:10] if _INSTANT.fullmatch(text) else text
    if not _DATE.fullmatch(written):
        raise Refused(ImportReason.BAD_TIME, f"`{where}` is not a date, such as `2017-10-02`")
    whole = len(written) == 10
    try:
        found = date.fromisoformat(written if whole else (written + "-01-01")[:10])
    except ValueError:
        raise Refused(ImportReason.BAD_TIME, f"`{where}` names a day that does not exist") from None
    return found if whole else None
