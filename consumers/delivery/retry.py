"""
What next, after this answer from a partner?

    ACCEPTED    the partner has it                          -> done
    BUSY        not now                                     -> try again, later each time, for 72 hours
    UNKNOWN     sent, and no answer came: it may be there   -> the same, under the same id
    REFUSED     the partner will never take this one        -> park: a person must look at this message
    NOT_LET_IN  our key, address or table is not right      -> hold: a person must look at this destination
    GONE        the partner says there is nothing there now -> the same

A message that is held is never parked for it: the destination is at fault, and every message would follow. While
a destination is held, its oldest message asks again every 15 minutes, and a person must be told at once.

Sources: Standard Webhooks 1.0.0, "Deliverability and reliability" (schedule, jitter, 410); GOV.UK Notify, which
tries for 72 hours; RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from safebus.consumers.adapters.interface import Reply


@dataclass(frozen=True)
class Done:
    """The partner has it."""


@dataclass(frozen=True)
class TryAgain:
    """Send this message again, under the same id."""

    at: datetime
    reason: str


@dataclass(frozen=True)
class Hold:
    """
    Send nothing more to this destination, and tell a person.

    Attributes:
        at: When the oldest message may ask whether it is mended.
    """

    at: datetime
    reason: str


@dataclass(frozen=True)
class Park:
    """Set this message aside for a person."""

    reason: str


Step = Done | TryAgain | Hold | Park

#: After the first attempt, the second ...; the last one again and again. Source: Standard Webhooks 1.0.0, as Svix does.
WAITS: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
JITTER: Final = 0.2  # of the wait, either way, so that what failed together does not come back together
GIVE_UP_AFTER: Final = timedelta(hours=72)
PROBE_EVERY: Final = timedelta(minutes=15)
#: A partner that asks for more is asked after a day all the same: it may have meant milliseconds.
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)

_TRANSIENT: Final = {Reply.BUSY: "partner_busy", Reply.UNKNOWN: "answer_unknown"}
_DESTINATION: Final = {Reply.NOT_LET_IN: "not_let_in", Reply.GONE: "destination_gone"}


def next_step(
    reply: Reply,
    *,
    attempt: int,
    first_sent: datetime,
    now: datetime,
    retry_after_s: float | None = None,
    jitter: float,
) -> Step:
    """
    What to do with this message now.

    Args:
        attempt: Which attempt this was the reply to; the first is 1.
        first_sent: When the first attempt was made; after a hold, when the hold ended. Time in which we sent
            nothing is no time in which the partner did not answer.
        retry_after_s: What the partner asked for, in seconds from `now`; never asked earlier, up to 24 hours.
        jitter: Chance, from -1 to 1.

    Raises:
        ValueError: `attempt` or `jitter` is outside its range.
    """
    if attempt < 1 or not -1 <= jitter <= 1:
        raise ValueError(f"attempt counts from 1 and jitter is from -1 to 1; found {attempt} and {jitter}")
    if reply is Reply.ACCEPTED:
        return Done()
    if reply is Reply.REFUSED:
        return Park("refused_by_partner")
    asked = min(timedelta(seconds=max(0.0, min(retry_after_s or 0.0, 1e9))), LONGEST_RETRY_AFTER)
    if reply in _DESTINATION:
        return Hold(now + max(PROBE_EVERY, asked), _DESTINATION[reply])
    give_up = first_sent + GIVE_UP_AFTER
    if now >= give_up:
        return Park("no_answer_for_72_hours")
    wait = WAITS[min(attempt, len(WAITS)) - 1] * (1 + JITTER * jitter)
    # The last attempt is made when the 72 hours end and not up to 12 hours after: a person waits to be told.
    return TryAgain(max(min(now + wait, give_up), now + asked), _TRANSIENT[reply])
