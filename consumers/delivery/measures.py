"""
How is one partner's courier now, and who is told what it does?

For whoever looks or counts: no ids, nothing about a person.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from safebus.consumers.adapters.adapter import Reply
from safebus.schemas.bus_records import Stage


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


class PartnerTopic(StrEnum):
    """On which of a partner's topics something stands."""

    NOTIFICATIONS = "notifications"
    RECEIPTS = "receipts"


@dataclass(frozen=True)
class Pile:
    """How many deliveries stand alike, and when the oldest of them was decided; None: there are none."""

    count: int = 0
    oldest: datetime | None = None

    def with_one(self, decided_at: datetime) -> Pile:
        """One more."""
        return Pile(self.count + 1, decided_at if self.oldest is None else min(self.oldest, decided_at))


class DeliveryTally(Protocol):
    """Whoever counts what one courier does, such as metrics (`deploy.service.metrics`). It is told once of each."""

    def attempted(self, reply: Reply, took: timedelta) -> None:
        """The partner answered an attempt, or did not; notices left out."""
        ...

    def receipt_written(self, stage: Stage, since_decided: timedelta) -> None:
        """A receipt is on record; notices left out."""
        ...

    def noticed(self, told: Told) -> None:
        """A partner was told that a consent ended, or was to be."""
        ...

    def strange(self, on: PartnerTopic) -> None:
        """A record stands there that the bus did not write."""
        ...


class NoMeasures:
    """The tally of a courier that shows no metrics."""

    def attempted(self, reply: Reply, took: timedelta) -> None:
        """Nobody is told."""

    def receipt_written(self, stage: Stage, since_decided: timedelta) -> None:
        """Nobody is told."""

    def noticed(self, told: Told) -> None:
        """Nobody is told."""

    def strange(self, on: PartnerTopic) -> None:
        """Nobody is told."""


@dataclass
class CourierFacts:
    """
    What the courier says of itself.

    Attributes:
        joined: It has its adapter, its ledger and a place in the partner's group.
        turned_at: When it last began a round, or ended a part of one, by the courier's clock; None: never.
        tally: Is told what it does, as it does it.
        notices: What came of telling the partner that a consent ended.
    """

    joined: bool = False
    turned_at: datetime | None = None
    tally: DeliveryTally = field(default_factory=NoMeasures)
    notices: Counter[Told] = field(default_factory=Counter)

    def tried(self, reply: Reply, *, took: timedelta) -> None:
        """The partner answered an attempt, or did not."""
        self.tally.attempted(reply, took)

    def wrote(self, stage: Stage, *, since_decided: timedelta) -> None:
        """A receipt is on record."""
        self.tally.receipt_written(stage, since_decided)

    def noticed(self, told: Told) -> None:
        """The partner was told that a consent ended, or was to be."""
        self.notices[told] += 1
        self.tally.noticed(told)

    def strange(self, on: PartnerTopic) -> None:
        """A record stands there that the bus did not write."""
        self.tally.strange(on)


class Observed(Protocol):
    """A courier, as whoever looks at it sees it."""

    partner: str
    transport: str
    facts: CourierFacts

    @property
    def held(self) -> bool:
        """The destination lets nothing in, and a person must look at it."""
        ...

    @property
    def silent(self) -> bool:
        """The destination takes nothing, and is asked with one message at a time."""
        ...

    @property
    def paused(self) -> bool:
        """An operator wants nothing handed over now."""
        ...

    def piles(self) -> dict[OpenState, Pile]:
        """How what it has taken in and not ended stands; what is beyond its window of 500 is not known to it."""
        ...
