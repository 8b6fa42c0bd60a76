"""
Which deliveries did persons put on record before they sent them?

A receipt of what a person sent says so, and the command that sent it wrote before it for whom, which ones and why. One
that says so without such an entry was written by somebody who went past the commands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.audit.reconcile.evidence import Handled
from safebus.consumers.audit.reconcile.side_by_side import CLOCKS_APART
from safebus.consumers.delivery.stages import RESTORED
from safebus.schemas.bus_records import MOST_ABOUT

_COMMANDS: Final = frozenset({"deliveries redrive", "deliveries again", "parked redrive"})
#: So long may one command be at work; four hundred that are refused take minutes.
_AT_WORK_MS: Final = 24 * 60 * 60 * 1000
_APART_MS: Final = int(CLOCKS_APART.total_seconds() * 1000)


class _Act(NamedTuple):
    at: int
    reason: str
    ids: frozenset[str] | None  # None: more than are listed


class ByHand:
    """
    What persons sent, as `operations` has it.

    Args:
        until: When it was read: of what was sent later nothing is known.
    """

    def __init__(self, acts: Iterable[OnRecord], *, until: datetime) -> None:
        self._until = int(until.timestamp() * 1000) - _APART_MS
        self._of: dict[str, list[_Act]] = defaultdict(list)
        for act in acts:
            operation = act.operation
            if operation.what in _COMMANDS and operation.about:
                partner, *ids = operation.about
                listed = None if len(operation.about) > MOST_ABOUT else frozenset(ids)
                self._of[partner].append(_Act(int(act.at.timestamp() * 1000), operation.reason, listed))

    def tells_of(self, receipt: Handled) -> bool:
        """Is it on record that a person was about to send this, for the reason that its receipt gives?"""
        return receipt.at > self._until or any(
            act.at - _APART_MS <= receipt.at <= act.at + _AT_WORK_MS
            and act.reason.removeprefix(RESTORED) == receipt.because
            and (act.ids is None or receipt.notification_id in act.ids)
            for act in self._of.get(receipt.partner, ())
        )
