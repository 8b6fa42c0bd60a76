"""
Which day is it in the United Kingdom at this moment?

Agreements, school places and laws begin and end on days, and these are days where the children live: in summer the
first hour of a day belongs to the day before in UTC. Every rule that asks for a day asks here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

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
