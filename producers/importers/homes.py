"""
Where does a Patient live now, of the addresses that a record gives?

Source: FHIR STU3 and R4, Address; nhsconnect/Events-Management, pds_change_of_address_1.md (current and previous
address); Personal Demographics Service FHIR API, Address ("can be a future date").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from safebus.producers.importers.fhir_times import Days
from safebus.producers.importers.orders import check_period
from safebus.schemas.events import DatedAddress
from safebus.schemas.names import fold
from safebus.schemas.uk_day import uk_day

SEVERAL = "several are given, and none starts last"
UNSURE = "it may not have started or may have ended: only a month or a year is given"
LATER = "it starts after the message was sent"


@dataclass(frozen=True)
class GivenAddress:
    """
    An address as a record gives it.

    Attributes:
        use: `home`, `old`, `temp` ...; None: it is not said.
        postal: Letters go there, and nobody lives there.
    """

    lines: tuple[str, ...]
    postcode: str | None
    use: str | None = None
    postal: bool = False
    start: Days | None = None
    end: Days | None = None


def home_of(given: Sequence[GivenAddress], *, as_of: datetime) -> tuple[DatedAddress | None, str | None]:
    """
    Where someone lives: the address with use `home` and the latest start, of those that have started and not ended.

    Where no address has a `use` and there is just one, it is the home (a birth notification gives the baby's so).
    Two homes of which neither is certainly the later are no answer: an address told wrongly is the worst mistake here.

    Returns:
        The address or None, and why there is none although some are given.

    Raises:
        Refused: CONTRADICTION, if one ends before it starts.
    """
    homes = homes_among(given)
    today = uk_day(as_of)
    for each in homes:
        check_period(each.start, each.end, "Patient.address.period")
    present = [each for each in homes if not _ended(each, today) and not _later(each, today)]
    if not present:
        later = any(_later(each, today) for each in homes)
        why = LATER if later else "every home address given has ended"
        return None, why if homes else ("none that is given is said to be a home" if given else None)
    if any(not _surely_present(each, today) for each in present):
        return None, UNSURE
    home = _latest(present)
    if home is None:
        return None, SEVERAL
    if not home.lines:
        return None, "it has no lines"
    started = home.start.day if home.start else None
    return DatedAddress(lines=home.lines, postcode=home.postcode, from_date=started), None


def homes_among(given: Sequence[GivenAddress]) -> Sequence[GivenAddress]:
    """Those of use `home` where somebody can live."""
    homes = [each for each in given if each.use == "home" and not each.postal]
    return homes or [each for each in given if len(given) == 1 and each.use is None and not each.postal]


def starts_later(given: Sequence[GivenAddress], *, as_of: datetime) -> bool:
    """Is one of the homes one of a later day?"""
    return any(_later(each, uk_day(as_of)) for each in homes_among(given))


def _ended(each: GivenAddress, today: date) -> bool:
    return each.end is not None and each.end.last <= today


def _later(each: GivenAddress, today: date) -> bool:
    return each.start is not None and each.start.first > today


def _surely_present(each: GivenAddress, today: date) -> bool:
    return (each.end is None or each.end.first > today) and (each.start is None or each.start.last <= today)


def _latest(homes: Sequence[GivenAddress]) -> GivenAddress | None:
    """The one that starts last, if that is certain; several that are one place are one."""
    latest = max(homes, key=lambda each: each.start.first if each.start else date.min)
    others = [each for each in homes if _place(each) != _place(latest)]
    sure = latest.start is not None and all(each.start and each.start.last < latest.start.first for each in others)
    return latest if sure or not others else None


def _place(each: GivenAddress) -> tuple[str, str]:
    return fold("".join(each.lines)), fold(each.postcode)
