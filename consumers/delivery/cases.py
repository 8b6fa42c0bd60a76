"""
Which notifications are taken in and not dealt with, and which of them may be tried now?

Each case has a queue of its own, oldest first, and only its first is tried: what a partner learns about one child comes
in order, and a case that waits does not hold up another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from safebus.consumers.delivery.attempt import Delivery
from safebus.consumers.delivery.measures import OpenState, Pile
from safebus.consumers.delivery.source import Waiting
from safebus.consumers.delivery.stages import open_state


@dataclass(kw_only=True)
class Item(Delivery):
    """
    A delivery in its queue.

    Attributes:
        waiting: Where it stands on the partner's topic.
        not_before: When it may be tried again; None: it was not tried since it was taken in.
    """

    waiting: Waiting
    not_before: datetime | None = None

    def due(self, now: datetime, opened_at: datetime | None = None) -> bool:
        """
        It may be tried now.

        Args:
            opened_at: When its destination began to let in again: what was tried before that need not wait any more.
        """
        if self.not_before is None or self.not_before <= now:
            return True
        if self.tried_at is None:
            return False
        # Tried in the future: the clock was set back, and its time with it.
        return self.tried_at > now or (opened_at is not None and self.tried_at < opened_at)


@dataclass
class Case:
    """The notifications of one case, oldest first. `busy`: its first is being tried."""

    queue: deque[Item] = field(default_factory=deque)
    busy: bool = False


class Cases:
    """All cases of one partner that have something left to do."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    def __len__(self) -> int:
        """How many notifications there are."""
        return sum(len(case.queue) for case in self._cases.values())

    def add(self, item: Item) -> None:
        """Put one behind those of its case; what it takes back is not sent any more."""
        queue = self._cases.setdefault(item.case, Case()).queue
        for other in queue:
            if item.notification.takes_back == other.notification.notification_id:
                other.taken_back, other.not_before = True, None
        queue.append(item)

    def free(self) -> list[Case]:
        """Those of which none is being tried, the longest decided first; what is done with is forgotten."""
        for token in [t for t, case in self._cases.items() if not case.queue and not case.busy]:
            del self._cases[token]
        free = [c for c in self._cases.values() if not c.busy and c.queue]
        return sorted(free, key=lambda case: case.queue[0].notification.decided_at)

    def at_rest(self) -> list[Item]:
        """The first of each case of which none is being tried: of the others none was."""
        return [case.queue[0] for case in self._cases.values() if case.queue and not case.busy]

    def let_go(self, partitions: Collection[int]) -> None:
        """Forget what came from these partitions: another process has them."""
        for case in self._cases.values():
            case.queue = deque(i for i in case.queue if i.waiting.partition not in partitions)

    def piles(self, *, held: bool) -> dict[OpenState, Pile]:
        """How they stand."""
        piles = {state: Pile() for state in OpenState}
        for case in self._cases.values():
            for item in case.queue:
                state = open_state(tried=item.not_before is not None, held=held)
                piles[state] = piles[state].with_one(item.notification.decided_at)
        return piles
