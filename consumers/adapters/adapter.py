"""
What is handed to a partner, and what may come back, whatever the transport?

An adapter does, and decides nothing: `consumers.delivery.stages` says what an answer means for the message. It does
so in two steps. What may have to wait (a queue, a name, a connection, a lock, a slow disk) comes first, and the partner
sees nothing of it; then one step makes it take effect. `hand_over` asks between the two whether it may still go, so
nothing that was withdrawn meanwhile reaches a partner, however long the first step took.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from safebus.schemas import identifiers

ParcelKind = Literal["notification", "consent.withdrawn"]


@dataclass(frozen=True)
class Parcel:
    """
    One thing for one partner.

    Attributes:
        notification_id: A UUID in lower case; it becomes file names and headers, so any other shape is refused here.
        case: The subject token: a keyed hash that keeps one child's parcels in order, and says nothing outside.
        body: All that the partner gets, ready for JSON. It is about a person, so it is not in the `repr`.
        digest: Stands for the content: a repeat has the same, another digest under the same id is never accepted.
        made_at: When the bus decided it. Give it wherever it is known: a repeat is then the same to the byte.
        repeated: It was handed over before, and a person sends it once more. Marked beside the content, never in it,
            and only where a partner that does not look for a mark is not disturbed by it.

    Raises:
        BadIdentifier: `notification_id` is not a UUID in lower case.
    """

    notification_id: str
    event_id: str
    event_type: str
    case: str
    urgency: str
    body: dict[str, Any] = field(repr=False)
    digest: str
    kind: ParcelKind
    made_at: datetime | None = None
    repeated: bool = False

    def __post_init__(self) -> None:
        identifiers.event_id(self.notification_id)

    def json_bytes(self) -> bytes:
        """The body as JSON in UTF-8, keys sorted and without spaces: equal bodies give equal bytes."""
        return canonical(self.body)


def canonical(value: dict[str, Any]) -> bytes:
    """
    JSON that equal values always give.

    Raises:
        ValueError: NaN or infinity, which JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


class Reply(StrEnum):
    """What an attempt came to, whatever the transport."""

    ACCEPTED = "ACCEPTED"
    BUSY = "BUSY"
    REFUSED = "REFUSED"
    OTHER_CONTENT = "OTHER_CONTENT"
    NOT_LET_IN = "NOT_LET_IN"
    GONE = "GONE"
    UNKNOWN = "UNKNOWN"
    HELD_BACK = "HELD_BACK"


@dataclass(frozen=True)
class PartnerAnswer:
    """
    What an attempt came to.

    Attributes:
        code: A status or a word of ours, such as `202`, `42501`, `timeout`. Never the partner's text: it may repeat
            what we sent, and ends up in receipts and logs.
        retry_after_s: Seconds from now, if the partner asked for a time.
    """

    reply: Reply
    code: str
    retry_after_s: float | None = None


#: The code of what was accepted before, under the same id and with the same content; nothing was done now.
ALREADY_THERE: Final = "already_there"
#: It was not to go any more, so the partner saw nothing of it.
HELD_BACK: Final = PartnerAnswer(Reply.HELD_BACK, "held_back")

#: Makes what was prepared take effect; called once at most.
Effect = Callable[[], Awaitable[PartnerAnswer]]


class Adapter(Protocol):
    """One destination of one partner."""

    transport: str

    async def open(self) -> None:
        """Get ready. A partner that cannot be reached is no error here: the first attempt says so."""
        ...

    def prepare(self, parcel: Parcel) -> AbstractAsyncContextManager[Effect | PartnerAnswer]:
        """
        Do all that may have to wait, and nothing that the partner can see; safe from several tasks.

        Gives what makes the parcel take effect, or the answer where that is known already: it is there, or we are not
        let in. Whoever leaves without the effect leaves nothing behind. The effect is safe to repeat.

        Never raises for what a partner or a network can do: that is a PartnerAnswer. What it raises is a bug.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice, or without `open`."""
        ...


async def hand_over(adapter: Adapter, parcel: Parcel, *, may_go: Callable[[], Awaitable[bool]]) -> PartnerAnswer:
    """
    One attempt.

    Args:
        may_go: Asked when nothing of ours stands between its answer and the effect.

    Returns:
        `HELD_BACK`: it may not go any more.
    """
    async with adapter.prepare(parcel) as ready:
        if isinstance(ready, PartnerAnswer):
            return ready
        return await ready() if await may_go() else HELD_BACK


async def always() -> bool:
    """For what discloses nothing, so that nothing can forbid it."""
    return True
