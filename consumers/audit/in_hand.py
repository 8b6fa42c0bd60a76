"""
In whose hands is what a person must look at, and what of it is closed?

What is parked or in quarantine stays where it is; what people do about it stands on `operations`, and nowhere else. The
last word on an item counts, unless it was refused or set aside again after it was closed: then it is open again, and
with whoever had it.

Closing hides an item from a list on which a lost alert may stand. So where certificates are in use only the word of a
person counts: agencies and processes may write to `operations`, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from safebus.consumers.audit.operations import OnRecord
from safebus.schemas import topics
from safebus.schemas.bus_records import Operation, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.own_records import own_record

ASSIGN: Final = "assign"
CLOSE: Final = "close"


class State(StrEnum):
    """Where an item stands."""

    OPEN = "open"
    ASSIGNED = "assigned"
    CLOSED = "closed"
    OPEN_AGAIN = "open again"


@dataclass(frozen=True)
class InHand:
    """
    One item.

    Attributes:
        since: Since when it stands so.
        to: Whom it is assigned to, or was before it was closed; empty: nobody.
        by, why: Who said so last, and their reason; empty: nobody said anything.
    """

    state: State
    since: datetime
    to: str = ""
    by: str = ""
    why: str = ""


def is_about_hands(operation: Operation, kind: str, partner: str | None = None) -> bool:
    """
    Does this operation assign or close something of this kind?

    Args:
        kind: `parked` or `quarantine`, as the commands are called.
        partner: Only of this partner; None: `quarantine` has none.
    """
    named = partner is None or operation.about[:1] == (partner,)
    return named and operation.what in (f"{kind} {ASSIGN}", f"{kind} {CLOSE}")


def in_hand(
    items: Mapping[str, datetime],
    acts: Iterable[OnRecord],
    *,
    counts: Callable[[OnRecord], bool],
    again: Mapping[str, datetime],
) -> dict[str, InHand]:
    """
    How each item stands.

    Args:
        items: Id -> when it came there.
        acts: Those that `is_about_hands`, in the order in which they were written.
        counts: Whether the word of whoever did it counts.
        again: Id -> when it was last refused or set aside; none: not since it came.
    """
    found = {item: InHand(State.OPEN, at) for item, at in items.items()}
    for act in acts:
        operation = act.operation
        for item in operation.about:
            if item in found and counts(act):
                found[item] = _after(found[item], act)
    return {item: _opened_again(hand, again.get(item)) for item, hand in found.items()}


def _after(before: InHand, act: OnRecord) -> InHand:
    said = replace(before, since=act.at, by=act.who, why=act.operation.reason)
    if act.operation.what.endswith(CLOSE):
        return replace(said, state=State.CLOSED)
    return replace(said, state=State.ASSIGNED, to=act.operation.to or act.who)


def _opened_again(hand: InHand, again: datetime | None) -> InHand:
    # At the same moment: nobody knows which was first, and what is open is seen.
    if hand.state is State.CLOSED and again is not None and again >= hand.since:
        return replace(hand, state=State.OPEN_AGAIN, since=again)
    return hand


async def refused_since(
    connection: Connection, partner: str, wanted: Collection[str], *, since: datetime
) -> dict[str, datetime]:
    """
    When each of these was last parked or not taken, by the broker's clock as operations are dated; of those that were.

    Args:
        since: Nothing before is looked at.

    Raises:
        NotReachable: The partner's receipts cannot be read.
    """
    found: dict[str, datetime] = {}
    async for message in read_topic(connection, topics.receipts_from(partner), since=since):
        if (message.key or b"").decode("utf-8", "replace") not in wanted:
            continue
        receipt = own_record(message, Receipt, belongs=lambda r: r.partner == partner)
        if isinstance(receipt, Receipt) and receipt.stage is Stage.PARKED:
            found[receipt.notification_id] = datetime.fromtimestamp(message.timestamp / 1000, UTC)
    return found
