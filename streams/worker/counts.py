"""How much has this worker done since it started, and who is told while it does it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from safebus.schemas.bus_records import Answer

#: What became of an event: a notification for somebody, for nobody, set aside, a publisher's repeat, a redo.
Fate = Literal["routed", "withheld", "rejected", "repeated", "redone"]


class EventTally(Protocol):
    """Whoever counts what the worker does, such as metrics (`deploy.service.metrics`). It is told once of each."""

    def event_dealt_with(self, topic: str, fate: Fate) -> None:
        """One event of a topic is dealt with."""
        ...

    def answered(self, event_type: str, answers: Iterable[Answer]) -> None:
        """One event was decided for these recipients."""
        ...

    def set_aside(self, reason: str) -> None:
        """One event is put where a person looks, for a reason of `streams.rules.reasons.SET_ASIDE`."""
        ...

    def is_owed(self, partner: str) -> None:
        """One notification is permitted, and the partner's topic did not take it."""
        ...

    def under_other_secret(self, topic: str) -> None:
        """The key of one event of a topic was made with another secret than the agency's (`case_secrets`)."""
        ...


class NoCounts:
    """The tally of a worker that shows no metrics."""

    def event_dealt_with(self, topic: str, fate: Fate) -> None:
        """Nobody is told."""

    def answered(self, event_type: str, answers: Iterable[Answer]) -> None:
        """Nobody is told."""

    def set_aside(self, reason: str) -> None:
        """Nobody is told."""

    def is_owed(self, partner: str) -> None:
        """Nobody is told."""

    def under_other_secret(self, topic: str) -> None:
        """Nobody is told."""


@dataclass
class Counts:
    """
    What the worker says when it ends.

    Attributes:
        tally: Is told of each as it happens, and in more detail.
        quarantined: How many were set aside, by reason.
    """

    events: int = 0
    decided: int = 0
    redone: int = 0
    repeats: int = 0
    owed: int = 0
    tally: EventTally = field(default_factory=NoCounts)
    quarantined: dict[str, int] = field(default_factory=dict)

    def event(self, topic: str, fate: Fate) -> None:
        """One event of a topic is dealt with."""
        self.tally.event_dealt_with(topic, fate)

    def answered(self, event_type: str, answers: Iterable[Answer]) -> None:
        """One event was decided for these recipients."""
        self.tally.answered(event_type, answers)

    def set_aside(self, reason: str) -> None:
        """One event is put where a person looks."""
        self.quarantined[reason] = self.quarantined.get(reason, 0) + 1
        self.tally.set_aside(reason)

    def is_owed(self, partner: str) -> None:
        """One notification is permitted, and the partner's topic did not take it."""
        self.owed += 1
        self.tally.is_owed(partner)

    def under_other_secret(self, topic: str) -> None:
        """The key of one event of a topic was made with another secret than the agency's."""
        self.tally.under_other_secret(topic)
