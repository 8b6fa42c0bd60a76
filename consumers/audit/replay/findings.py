"""What did a verification find?"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was decided. `what` names it; no values."""

    event_id: str
    what: str


@dataclass
class Verified:
    """
    What a verification found.

    Attributes:
        outputs: Notifications that decisions permit and that could be made again.
        other_rules: Decisions made by rules or schemas other than today's; they are made again all the same.
        differences: The first of them; `not_listed` counts those beyond.
    """

    decisions: int = 0
    identical: int = 0
    outputs: int = 0
    outputs_identical: int = 0
    other_rules: int = 0
    not_listed: int = 0
    differences: list[Difference] = field(default_factory=list)


@dataclass
class Findings:
    """
    Takes down what is found, and of the differences so many.

    Attributes:
        at_most: How many differences are listed.
    """

    at_most: int
    so_far: Verified = field(default_factory=Verified)

    def differs(self, event_id: str, what: str) -> None:
        """Something is not as it was decided."""
        if len(self.so_far.differences) < self.at_most:
            self.so_far.differences.append(Difference(event_id, what))
        else:
            self.so_far.not_listed += 1
