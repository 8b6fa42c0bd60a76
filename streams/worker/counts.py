"""How much has this worker done since it started?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from safebus.schemas.bus_records import Answer, Outcome

#: What became of an event: a notification for somebody, for nobody, set aside, a publisher's repeat, a redo.
Fate = Literal["routed", "withheld", "rejected", "repeated", "redone"]


@dataclass
class Counts:
    """
    How many of what, since the worker started.

    Attributes:
        by_topic: Every event once, by its topic and what became of it.
        answers: By event type, recipient and outcome.
    """

    events: int = 0
    decided: int = 0
    redone: int = 0
    repeats: int = 0
    permitted: int = 0
    refused: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    by_topic: dict[tuple[str, Fate], int] = field(default_factory=dict)
    answers: dict[tuple[str, str, Outcome], int] = field(default_factory=dict)

    def event(self, topic: str, fate: Fate) -> None:
        """One event of a topic is dealt with."""
        self.by_topic[topic, fate] = self.by_topic.get((topic, fate), 0) + 1

    def answered(self, event_type: str, answers: Iterable[Answer]) -> None:
        """One event was decided for these recipients."""
        for answer in answers:
            key = event_type, answer.recipient, answer.outcome
            self.answers[key] = self.answers.get(key, 0) + 1
