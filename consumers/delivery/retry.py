"""
When is a partner asked again?

A message that the partner could not take now is sent again, later each time, for 72 hours. A destination that takes
nothing, or lets nothing in, is asked with one message at a time: soon at first, then every 5 or 15 minutes. Whoever
names a time is not asked before it.

Which answer leads to what is said in `consumers.delivery.stages`; whose fault a refusal is, in
`consumers.delivery.circuit`.

Sources: Standard Webhooks 1.0.0, "Deliverability and reliability" (schedule, jitter); GOV.UK Notify, which tries for
72 hours; RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

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
_REFUSED_MOST: Final = 4  # half an hour
JITTER: Final = 0.2  # of the wait, either way, so that what failed together does not come back together
GIVE_UP_AFTER: Final = timedelta(hours=72)
#: A destination that refuses everything waits for a person, who may be quick.
HELD_FOR: Final = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=15))
#: One that takes nothing may be back at any moment, and everything waits for it.
SILENT_FOR: Final = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=5))
#: A partner that asks for more is asked after a day all the same: it may have meant milliseconds.
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)


def next_try(
    *, attempt: int, first_sent: datetime, now: datetime, retry_after_s: float | None = None, jitter: float
) -> datetime | None:
    """
    When to send this message again, under the same id; None: the 72 hours are over.

    Args:
        attempt: Which attempt was the last; the first is 1. No wait is longer than what comes at the age it has by now:
            a process that is started three times in a minute asks three times more, and puts nothing off by that.
        first_sent: When the first attempt was made; after a hold, when the hold ended. Time in which we sent
            nothing is no time in which the partner did not answer.
        retry_after_s: What the partner asked for, in seconds from `now`; never asked earlier, up to 24 hours.
        jitter: Chance, from -1 to 1.

    Raises:
        ValueError: `attempt` or `jitter` is outside its range.
    """
    if attempt < 1 or not -1 <= jitter <= 1:
        raise ValueError(f"attempt counts from 1 and jitter is from -1 to 1; found {attempt} and {jitter}")
    give_up = first_sent + GIVE_UP_AFTER
    if now >= give_up:
        return None
    wait = WAITS[min(attempt - 1, _waited_through(now - first_sent), len(WAITS) - 1)] * (1 + JITTER * jitter)
    # The last attempt is made when the 72 hours end and not up to 12 hours after: a person waits to be told.
    return max(min(now + wait, give_up), now + asked_for(retry_after_s))


def _waited_through(age: timedelta) -> int:
    """How many of the waits one of this age has had, had each been as short as chance makes them."""
    return sum(ends * (1 - JITTER) <= age for ends in accumulate(WAITS))


def refused_for(times: int) -> timedelta:
    """How long one that was refused waits, so many times by now, until it is tried beside others again."""
    return WAITS[min(times, _REFUSED_MOST, len(WAITS)) - 1]


def held_for(rounds: int) -> timedelta:
    """How long a destination that refuses everything is left alone, after so many rounds."""
    return HELD_FOR[min(rounds, len(HELD_FOR) - 1)]


def silent_for(rounds: int) -> timedelta:
    """How long a destination that takes nothing is left alone, after so many failures."""
    return SILENT_FOR[min(rounds, len(SILENT_FOR) - 1)]


def asked_for(retry_after_s: float | None) -> timedelta:
    """The pause that a partner asked for; a day at most."""
    return min(timedelta(seconds=max(0.0, min(retry_after_s or 0.0, 1e9))), LONGEST_RETRY_AFTER)
