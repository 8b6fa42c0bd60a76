"""
What is somebody called now, of the names that a record gives?

A name that has ended, a maiden name, an alias still say whose record this is; they are not what to call the person.

Source: FHIR STU3 and R4, HumanName (`use`, `period`: a day on which a period ends is part of it); Personal
Demographics Service FHIR API, HumanName ("a patient will always have a usual name").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from safebus.producers.importers.fhir_times import Days
from safebus.producers.importers.orders import check_period
from safebus.schemas.names import Name, agree, named

#: In the order in which they are believed. Every other use is no name to call anybody by.
_USES = ("official", "usual", None)


@dataclass(frozen=True)
class GivenName:
    """A name as a record gives it; `use` None: it is not said."""

    name: Name
    use: str | None = None
    start: Days | None = None
    end: Days | None = None


def called(given: Sequence[GivenName], *, on: date) -> tuple[Name | None, str | None]:
    """
    The name that somebody goes by on a day.

    Returns:
        The name or None, and why there is none although some are given.

    Raises:
        Refused: CONTRADICTION, if one ends before it starts.
    """
    believed = [each for each in given if each.use in _USES]
    for each in believed:
        check_period(each.start, each.end, "Patient.name.period")
    held = [each for each in believed if not _ended(each, on)]
    for use in _USES:
        now = [each.name for each in held if each.use == use]
        if now:
            return _the_one(now)
    return None, "every name given has ended, or is none to call anybody by" if given else None


def _the_one(now: Sequence[Name]) -> tuple[Name | None, str | None]:
    if any(agree(one, other) is False for one in now for other in now):
        return None, "the message gives more than one"
    fullest = max(now, key=lambda name: (bool(name.given) + bool(name.family), len(name.given or ""), name))
    name = Name(named(fullest.given), named(fullest.family))
    return (name, None) if any(name) else (None, "what is given says that it is not known")


def _ended(each: GivenName, on: date) -> bool:
    return (each.end is not None and each.end.last < on) or (each.start is not None and each.start.first > on)
