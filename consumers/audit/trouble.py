"""
What is wrong with a destination, so that what waits for it waits for more than its own time?

Each receipt of the process that delivers to it says how it stands; what it answered tells why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from safebus.consumers.adapters.adapter import ALREADY_THERE
from safebus.consumers.delivery.stages import NOBODY_ANSWERS, REFUSED, code_of, sent_again_because
from safebus.schemas.bus_records import DestinationStanding, DestinationState, Receipt, Stage


class Trouble(NamedTuple):
    """
    What is wrong with a destination, so that what waits for it waits for more than its own time.

    Attributes:
        since: When that began: it is held or silent, or since it last took one it has not taken one.
        code, answer: What it answered last of what it did not take.
        held: It refuses everything, and is asked with one message at a time.
        silent: It takes nothing, and is asked likewise.
        doubted: It refused one, and the others are tried one at a time, to see whose fault that is.
        asked_at: Held or silent: when it is asked again; None: it was asked since, and no receipt says when again.
        left_alone_until: It asked for a pause, which is not over.
    """

    since: datetime
    code: str
    answer: str
    held: bool = False
    silent: bool = False
    doubted: bool = False
    asked_at: datetime | None = None
    left_alone_until: datetime | None = None

    @property
    def one_at_a_time(self) -> bool:
        """Nobody's own time counts."""
        return self.held or self.silent


def trouble_of(receipts: Iterable[Receipt], *, now: datetime) -> Trouble | None:
    """
    What is wrong with a destination; None: nothing that others would wait for.

    Args:
        receipts: Of one partner, by time.
    """
    not_taken: list[Receipt] = []
    state: DestinationState | None = None
    for receipt in receipts:
        if sent_again_because(receipt.reason) is not None:
            continue
        state = receipt.destination or state
        if receipt.stage is Stage.HANDED_OVER and receipt.answer != ALREADY_THERE:
            not_taken = []
        elif receipt.stage is Stage.HELD or code_of(receipt.reason) in NOBODY_ANSWERS | REFUSED:
            not_taken.append(receipt)
    return None if state is None else _trouble(state, not_taken, now)


def _trouble(state: DestinationState, not_taken: Sequence[Receipt], now: datetime) -> Trouble | None:
    alone_until, standing = state.left_alone_until, state.standing
    alone_until = alone_until if alone_until is not None and alone_until > now else None
    if standing is DestinationStanding.LETS_IN and alone_until is None and not not_taken:
        return None
    first, last = (not_taken[0], not_taken[-1]) if not_taken else (None, None)
    one_at_a_time = standing in (DestinationStanding.HELD, DestinationStanding.SILENT)
    since = state.since if one_at_a_time and state.since is not None else (first.at if first is not None else now)
    return Trouble(
        since,
        code_of(last.reason) if last is not None else "",
        last.answer if last is not None else "",
        held=standing is DestinationStanding.HELD,
        silent=standing is DestinationStanding.SILENT,
        doubted=standing is DestinationStanding.DOUBTED,
        asked_at=state.asked_at if one_at_a_time and state.asked_at is not None and state.asked_at > now else None,
        left_alone_until=alone_until,
    )


def flaky_until(receipts: Sequence[Receipt], now: datetime) -> datetime | None:
    """Until when one of its servers is thought to refuse what another takes; None: it is not. Receipts as above."""
    last = next((r.destination for r in reversed(receipts) if r.destination is not None), None)
    until = last.flaky_until if last is not None else None
    return until if until is not None and until > now else None
