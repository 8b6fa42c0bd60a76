"""
What does one measurement say?

A figure, and beside it the figure of what it is compared with, from the same run. Only the ratio of the two can be
carried to another machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """
    One line of the result.

    Attributes:
        part: Which part of the bench.
        value, unit: The median, and what it counts.
        beside: What it is compared with, and `beside_value` its median; empty: with nothing.
        ratio: The median of value to beside_value, round by round.
        low, high: The quarters of that ratio (of the value, where there is none).
        target: In words, such as `at least 0.8`; `met` says whether the ratio keeps it.
        rounds: Every single measurement of value, in order; `beside_rounds` likewise.
    """

    part: str
    what: str
    value: float
    unit: str
    beside: str = ""
    beside_value: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    target: str = ""
    met: bool | None = None
    rounds: tuple[float, ...] = ()
    beside_rounds: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def alone(part: str, what: str, unit: str, rounds: Sequence[float]) -> Row:
    """A figure with nothing beside it."""
    low, high = quarters(rounds)
    return Row(part, what, _short(median(rounds)), unit, low=_short(low), high=_short(high), rounds=_all(rounds))


def compared(
    part: str,
    what: str,
    unit: str,
    rounds: Sequence[float],
    *,
    beside: str,
    beside_rounds: Sequence[float],
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Two figures that took turns. What both met in a round (a busy neighbour, a slower clock) cancels out."""
    ratios = [a / b for a, b in zip(rounds, beside_rounds, strict=True)]
    ratio = median(ratios)
    low, high = quarters(ratios)
    target = f"at least {at_least}" if at_least is not None else f"at most {at_most}" if at_most is not None else ""
    met = (at_least is None or ratio >= at_least) and (at_most is None or ratio <= at_most)
    return Row(
        part,
        what,
        _short(median(rounds)),
        unit,
        beside,
        _short(median(beside_rounds)),
        round(ratio, 3),
        round(low, 3),
        round(high, 3),
        target,
        met if target else None,
        _all(rounds),
        _all(beside_rounds),
    )


def quarters(found: Sequence[float]) -> tuple[float, float]:
    """The number with a quarter of all below it, and the one with a quarter above."""
    ordered = sorted(found)
    return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]


def _all(found: Sequence[float]) -> tuple[float, ...]:
    return tuple(_short(each) for each in found)


def _short(value: float) -> float:
    """Three figures that count, and whole numbers whole."""
    return round(value) if value >= 100 else round(value, 2 if value >= 1 else 4)
