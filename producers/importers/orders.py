"""
Can these times of one message be as they say, one beside the other?

Whoever is told of a death before a birth, or of next winter's address as the home of today, is told something that is
not so. Which of two times is the wrong one nobody can see from here, so the message is set aside with both named.

    born        on or before the day on which the record changed, and on which the message was sent
    died        not before the birth; on or before the change of the record, and the message
    changed     not after the message that tells of it
    from        not after until, of an address, a name
    starts      an address that starts after the message is not where somebody lives

Clocks of two computers differ a little; days are days in the United Kingdom. What two parts of a message disagree on
(two birth dates) is in order if one of them is: what is left out elsewhere is no reason here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from safebus.producers.importers.fhir_times import Days
from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused
from safebus.schemas.uk_day import uk_day

#: Of two computers, whose times stand in one message.
CLOCKS_OF_TWO = timedelta(minutes=5)


def check_told(changed_at: datetime, *, told_at: datetime, change: str, telling: str) -> None:
    """
    What a message tells of comes before the message.

    Raises:
        Refused: CONTRADICTION.
    """
    if changed_at > told_at + CLOCKS_OF_TWO:
        raise Refused(
            ImportReason.CONTRADICTION,
            f"`{telling}` is before `{change}`: a message cannot be older than what it tells of; chose neither",
        )


def check_period(start: Days | None, end: Days | None, where: str) -> None:
    """
    What ends has begun before.

    Raises:
        Refused: CONTRADICTION.
    """
    if start is not None and end is not None and end.last < start.first:
        raise Refused(ImportReason.CONTRADICTION, f"`{where}` ends before it starts; chose neither")


def check_born(births: Iterable[Days], *, by: datetime, who: str, what: str) -> None:
    """
    Whoever a record or a message is about was born by then. No births: nothing is known.

    Raises:
        Refused: CONTRADICTION.
    """
    first = min((each.first for each in births), default=None)
    if first is not None and first > uk_day(by + CLOCKS_OF_TWO):
        raise Refused(ImportReason.CONTRADICTION, f"the date of birth of `{who}` is after {what}; chose neither")


def check_died(
    died: Days, died_at: datetime | None, births: Iterable[Days], *, changed_at: datetime, told_at: datetime
) -> None:
    """
    Whoever died was born before, and had died when the record said so.

    Args:
        died_at: The moment, where more than a day is known.

    Raises:
        Refused: CONTRADICTION.
    """
    first = min((each.first for each in births), default=None)
    if first is not None and died.last < first:
        raise Refused(ImportReason.CONTRADICTION, "the death is before the date of birth; chose neither")
    for moment, what in ((changed_at, "the change of the record"), (told_at, "the message")):
        late = died.first > uk_day(moment + CLOCKS_OF_TWO)
        if late or (died_at is not None and died_at > moment + CLOCKS_OF_TWO):
            raise Refused(ImportReason.CONTRADICTION, f"the death is after {what} that tells of it; chose neither")
