"""
Which day is it in the United Kingdom at this moment, and which moment does somebody there mean?

Agreements, school places and laws begin and end on days, and these are days where the children live: in summer the
first hour of a day belongs to the day before in UTC. Every rule that asks for a day asks here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from safebus.schemas.errors import BadInput

_UK = ZoneInfo("Europe/London")


def uk_day(at: datetime) -> date:
    """
    The day in the UK.

    Args:
        at: Any moment with a time zone.
    """
    try:
        return at.astimezone(_UK).date()
    except OverflowError:  # the first minute of the year 1: London was behind UTC
        return at.astimezone(UTC).date()


def at_home(typed: datetime) -> datetime:
    """
    The moment that somebody in the UK means by a time without a zone, UTC.

    Args:
        typed: Without a zone.

    Raises:
        BadInput: Clocks there never show it, or show it twice, when they are changed.
    """
    first, second = (typed.replace(tzinfo=_UK, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    if first > second:
        raise BadInput("is left out when clocks go forward in London; write it with `+00:00` or `+01:00`")
    raise BadInput("is twice when clocks go back in London; write it with `+01:00` (before) or `+00:00` (after)")
