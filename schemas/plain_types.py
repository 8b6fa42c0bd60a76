"""
Which plain value may stand for a day, a time, a number, a yes or no?

What people type comes as text, and as whatever their program makes of it. pydantic by itself reads `00000000` as the
first of January 1970, `true` as the number 1 and `off` as false, so one child's record would say what nobody said.
Here nothing is taken for what it is not.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Strict

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?")
_ZONE: Final = re.compile(r"[Zz]|[+-][0-9]{2}:?[0-9]{2}")


def _day(value: object) -> object:
    # A datetime is a date to Python, and which day it is depends on where you are.
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise ValueError("expected a date as 2026-11-22")
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("expected a date as 2026-11-22")
    return value


def _time(value: object) -> object:
    if isinstance(value, datetime):
        zone = value.tzinfo is not None
    elif isinstance(value, str) and (found := _TIME.match(value)):
        rest = value[found.end() :]
        zone = bool(_ZONE.fullmatch(rest))
        if rest and not zone:
            raise ValueError("write the time as in `2026-11-03T08:00:00Z`")
    else:
        raise ValueError("write the time as in `2026-11-03T08:00:00Z`")
    if not zone:
        raise ValueError("the time has no zone; write it as in `2026-11-03T08:00:00Z`, or `+01:00` in summer")
    return value


#: A day of the calendar: a `date`, or text as in ISO 8601, 2026-11-22.
Day = Annotated[date, BeforeValidator(_day)]
#: A moment with its zone: a `datetime`, or text as in RFC 3339, 2026-11-03T08:00:00Z.
Moment = Annotated[AwareDatetime, BeforeValidator(_time)]
#: A whole number; neither `true` nor 3.0 nor "3" is one.
Whole = Annotated[int, Strict()]
#: True or false; neither 1 nor "yes" is one.
YesNo = Annotated[bool, Strict()]
