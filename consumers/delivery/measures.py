"""
What has one partner's courier done since it started, and how is it now?

Plain numbers that the courier keeps for whoever looks: no ids, nothing about a person. Times are seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from safebus.consumers.adapters.interface import Reply
from safebus.schemas.bus_records import Stage

#: Seconds. One attempt: adapters give up after half a minute.
ATTEMPT_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Seconds, from decided to handed over: 1 s to 5 days, as long as a partner's system may be down over a week-end.
ARRIVAL_S: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0, 72 * 3600.0, 120 * 3600.0)


class OpenState(StrEnum):
    """How a delivery that has not ended stands."""

    PENDING = "pending"
    WAITING = "waiting"
    HELD = "held"


class Told(StrEnum):
    """What became of an attempt to tell a partner that a consent ended."""

    TOLD = "told"
    REFUSED = "refused"
    WAITS = "waits"


@dataclass
class Spread:
    """
    How values are spread: a histogram.

    Attributes:
        bounds: Upper ends, included, ascending.
        counts: How many lie in each, and last those above all of them.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: timedelta) -> None:
        """Take in one; a clock that was set back gives nothing below zero."""
        seconds = max(0.0, value.total_seconds())
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True)
class Pile:
    """How many deliveries stand alike, and when the oldest of them was decided; None: there are none."""

    count: int = 0
    oldest: datetime | None = None

    def with_one(self, decided_at: datetime) -> Pile:
        """One more."""
        return Pile(self.count + 1, decided_at if self.oldest is None else min(self.oldest, decided_at))


@dataclass
class CourierFacts:
    """
    Counted by the courier since it started.

    Attributes:
        joined: It has its adapter, its ledger and a place in the partner's group.
        turned_at: When it last began a round, or ended a part of one, by the courier's clock; None: never.
        attempts: What the partner answered, notices left out.
        stages: The receipts it wrote, notices left out.
        took: How long attempts took.
        arrival: From decided to handed over.
    """

    joined: bool = False
    turned_at: datetime | None = None
    attempts: Counter[Reply] = field(default_factory=Counter)
    stages: Counter[Stage] = field(default_factory=Counter)
    notices: Counter[Told] = field(default_factory=Counter)
    took: Spread = field(default_factory=lambda: Spread(ATTEMPT_S))
    arrival: Spread = field(default_factory=lambda: Spread(ARRIVAL_S))

    def tried(self, reply: Reply, *, took: timedelta) -> None:
        """The partner answered an attempt, or did not."""
        self.attempts[reply] += 1
        self.took.add(took)

    def wrote(self, stage: Stage, *, since_decided: timedelta) -> None:
        """A receipt is on record."""
        self.stages[stage] += 1
        if stage is Stage.HANDED_OVER:
            self.arrival.add(since_decided)


class Observed(Protocol):
    """A courier, as whoever looks at it sees it."""

    partner: str
    transport: str
    facts: CourierFacts

    @property
    def held(self) -> bool:
        """The destination lets nothing in, and a person must look at it."""
        ...

    def piles(self) -> dict[OpenState, Pile]:
        """How what it has taken in and not ended stands; what is beyond its window of 500 is not known to it."""
        ...
