"""
When was this, as FHIR writes it?

FHIR allows a part of a date (`2017`, `2017-10`) where a day is not known. A part is not an error and not a day: it
reads as the days that it may mean, and nothing is filled in. What is no date at all is refused, and so is a time that
has not come yet, and a time without a zone: an hour in summer is another day to a birth at midnight. `t` and `z` in
lower case mean what they mean in capitals (RFC 3339).

Source: FHIR STU3 and R4, Data Types: date, dateTime, instant.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused
from safebus.schemas.uk_day import uk_day

CLOCKS_DIFFER_BY = timedelta(days=1)  # a time further ahead of ours than this is no clock's fault

# Written out: `fromisoformat` also takes week dates and times without an offset.
_ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})"
_LOCAL = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_INSTANT = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,9}})?{_ZONE}")
_WITHOUT_ZONE = re.compile(_LOCAL)
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


@dataclass(frozen=True)
class Days:
    """
    The days that a date may mean: one, a month's, a year's.

    A time in UTC near midnight means two: the day as written, and the day in the United Kingdom. Systems that turn
    a birthday at home into UTC, and systems that write a local time and `Z` behind it, both exist.
    """

    first: date
    last: date

    @property
    def day(self) -> date | None:
        """The day, where it is one."""
        return self.first if self.first == self.last else None

    def __and__(self, other: Days) -> Days | None:
        """The days that both may mean; None: they contradict each other."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Days(first, last) if first <= last else None

    def is_exact(self) -> bool:
        """Is it a day, or one of two?"""
        return self.last - self.first <= timedelta(days=1)


def instant(text: str, where: str, *, received_at: datetime) -> datetime:
    """
    A point in time, UTC.

    Raises:
        Refused: BAD_TIME, if it is no date with time and offset, or more than a day after `received_at`.
    """
    found = _instant(text.upper(), where)
    if found - received_at > CLOCKS_DIFFER_BY:
        raise Refused(ImportReason.BAD_TIME, f"`{where}` is more than a day after the message was received")
    return found


def instant_if_whole(text: str, where: str, *, received_at: datetime) -> datetime | None:
    """
    A point in time, or None if only a day or less is given: midnight would be an invention.

    A time of exactly midnight, as written, is such an invention: PDS writes it where it holds a day alone.
    """
    if _DATE.fullmatch(text):
        return None
    found = instant(text, where, received_at=received_at)
    return None if datetime.fromisoformat(text.upper()).time() == time.min else found


def days(text: str, where: str) -> Days:
    """
    The days that a date or dateTime may mean.

    Raises:
        Refused: BAD_TIME, if it is no date, or a time without a zone.
    """
    if not _DATE.fullmatch(text):
        text = text.upper()
        moment = _instant(text, where)
        written = date.fromisoformat(text[:10])
        home = uk_day(moment) if datetime.fromisoformat(text).utcoffset() == timedelta() else written
        return Days(min(written, home), max(written, home))
    year, *rest = (int(part) for part in text.split("-"))
    month, day = (*rest, None, None)[:2]
    try:
        return Days(date(year, month or 1, day or 1), date(year, month or 12, day or monthrange(year, month or 12)[1]))
    except ValueError:
        raise Refused(ImportReason.BAD_TIME, f"`{where}` names a day that does not exist") from None


def _instant(text: str, where: str) -> datetime:
    if _WITHOUT_ZONE.fullmatch(text):
        raise Refused(
            ImportReason.BAD_TIME,
            f"`{where}` is a time without a zone, which may be either of two; expected `Z` or an offset behind it, "
            "such as `2020-06-01T13:00:00+01:00`",
        )
    if not _INSTANT.fullmatch(text):
        raise Refused(
            ImportReason.BAD_TIME,
            f"`{where}` is not a date with time and offset, such as `2020-06-01T13:00:00Z`",
        )
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(ImportReason.BAD_TIME, f"`{where}` names a time that does not exist") from None
