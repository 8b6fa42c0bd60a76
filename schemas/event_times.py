"""
Can these have come one after the other?

Clocks differ, and a day begins at another hour elsewhere, so a day is allowed for. What is further off is a slip (a
year typed wrong, two dates in each other's place) and would be believed by whoever reads it: how old the child is,
whether the plan is over, whether the person lives.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

ALLOWED: Final = timedelta(days=1)

#: (name of the earlier, its value, name of the later, its value); None: not said.
Order = tuple[str, date | None, str, date | None]


def out_of_order(orders: Iterable[Order]) -> str:
    """What cannot be, by the names of the fields and without their values; empty: nothing."""
    return "; ".join(
        f"`{first}` lies after `{then}`; check both in the source record"
        for first, earlier, then, later in orders
        if earlier is not None and later is not None and not _may_follow(earlier, later)
    )


def _may_follow(earlier: date, later: date) -> bool:
    if isinstance(earlier, datetime) and isinstance(later, datetime):
        return earlier - later <= ALLOWED
    return _day(earlier) - _day(later) <= ALLOWED


def _day(value: date) -> date:
    return value.astimezone(UTC).date() if isinstance(value, datetime) else value
