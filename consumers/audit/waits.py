"""
What does a delivery that has not ended wait for?

Its last receipt says what came of its last attempt, and no more: whether the partner is paused or its destination held
is true of all that wait, tried or not, and counts for more than what one of them was told before. What counts most is
said first. A time is named only while it is to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from safebus.consumers.audit.standing import SOON, How, Standing, of_the_register, standings
from safebus.consumers.audit.trouble import Trouble
from safebus.consumers.delivery import retry
from safebus.consumers.delivery.stages import ALL_WAIT_FOR, PAUSED, WAITS_FOR, code_of, is_open
from safebus.schemas.bus_records import DecisionRecord, Outcome, Receipt, Stage
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.store import Register

#: So long after its time one that waits should have been tried.
LATE: Final = timedelta(minutes=1)

#: One that ended in the first moments of an attempt leaves no word of it.
_NO_ATTEMPT: Final = "its first try, as far as is on record"
_RUNS: Final = "does `safebus deliver` run for this partner?"


@dataclass(frozen=True)
class Delivery:
    """
    One that may be open.

    Attributes:
        last: Its last receipt; None: it was not tried yet.
        since: Since when it stands on its partner's topic, or was decided, as far as is known.
        subject_token: Of whom it is about: one person's go one after another.
    """

    notification_id: str
    partner: str
    last: Receipt | None
    since: datetime | None = None
    subject_token: str = ""


def waits_for(one: Delivery, standing: Standing | None, *, now: datetime) -> str | None:
    """
    What it waits for, as a sentence; None: it has ended.

    Args:
        standing: How the deliveries to its partner stand; None: that is not known.
    """
    if one.last is not None and not is_open(one.last):
        return None
    if standing is None:
        return f"waits for {_by_itself(one, None, now)}; how its destination stands this certificate is not shown"
    first = list(_whatever_it_is(one, standing))
    if destination := _held(standing) or _left_alone(standing):
        first.append(destination)
    return "waits for " + ("; besides, for ".join(first) or _by_itself(one, standing, now))


def asked_again_at(one: Delivery, standing: Standing | None, *, now: datetime) -> datetime | None:
    """When it is tried again at the latest; None: that depends on something else, or is due."""
    at = one.last.again_at if one.last is not None and one.last.stage is Stage.WAITING else None
    if at is None or at <= now or standing is None:
        return None
    trouble = standing.trouble
    if (trouble is not None and trouble.one_at_a_time) or list(_whatever_it_is(one, standing)):
        return None
    alone = trouble.left_alone_until if trouble is not None else None
    return at if alone is None else max(at, alone)


def pause_in_words(partner: str, *, since: datetime, until: datetime | None) -> str:
    """That deliveries to a partner are paused, since when and until when."""
    end = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody resumes them"
    return f"deliveries to {partner} are paused, since {since:%Y-%m-%d %H:%M} UTC and {end}"


def _whatever_it_is(one: Delivery, standing: Standing) -> Iterable[str]:
    """What all deliveries to this partner wait for, and no answer of the partner would change."""
    if standing.how is How.SUSPENDED:
        yield f"the register, which suspends {one.partner}: it is stopped when its turn comes, unless that is lifted"
    if standing.paused_since is not None:
        yield "an operator: " + pause_in_words(one.partner, since=standing.paused_since, until=standing.paused_until)
    if standing.delivering is False:
        yield f"a delivery process: none is in the group `adapter-{one.partner}`; {_RUNS}"


def _held(standing: Standing) -> str:
    if standing.trouble is None or not standing.trouble.held:
        return ""
    trouble = standing.trouble
    code, what = trouble.code, ALL_WAIT_FOR.get(trouble.code, WAITS_FOR.get(trouble.code, trouble.code))
    return (
        f"{what}; {_one_at_a_time(trouble, retry.HELD_FOR[-1])}: "
        f"the destination is held since {trouble.since:%Y-%m-%d %H:%M:%S} UTC ({code}, answer {trouble.answer})"
    )


def _one_at_a_time(trouble: Trouble, longest: timedelta) -> str:
    at = max((t for t in (trouble.asked_at, trouble.left_alone_until) if t is not None), default=None)
    when = f"asked again at {at:%Y-%m-%d %H:%M:%S} UTC, then" if at is not None else "asked again"
    return f"{when} at least every {longest.total_seconds() / 60:.0f} minutes, with one message at a time"


def _left_alone(standing: Standing) -> str:
    """The partner asked for a pause: it is for all that wait, whoever it was said of."""
    trouble = standing.trouble
    if trouble is None or trouble.left_alone_until is None:
        return ""
    answer = f" (answer {trouble.answer})" if trouble.answer else ""
    return f"the partner, which asked to be left alone until {trouble.left_alone_until:%Y-%m-%d %H:%M:%S} UTC{answer}"


def _by_itself(one: Delivery, standing: Standing | None, now: datetime) -> str:
    if one.last is None:
        return _first_try(one, standing, now)
    code, at = code_of(one.last.reason), one.last.again_at
    what = WAITS_FOR.get(code, code)
    if one.last.stage is Stage.HELD:
        if standing is None:
            return what
        return _takes_nothing(standing, only_silent=False) or "its turn: its destination takes others again"
    if standing is not None and code == PAUSED:
        return "its turn, now that the pause is over"
    if nothing := _takes_nothing(standing, only_silent=True):
        return nothing
    if at is None:
        return what
    if at > now:
        return f"{what}; asked again at {at:%Y-%m-%d %H:%M:%S} UTC at the latest"
    if now - at < LATE:
        return f"{what}; its time has come"
    runs = "" if standing is not None and standing.delivering else f": {_RUNS}"
    return f"{what}; its time has come, and nothing is known of it since {one.last.at:%Y-%m-%d %H:%M:%S} UTC{runs}"


def _first_try(one: Delivery, standing: Standing | None, now: datetime) -> str:
    if standing is not None:
        if before := next((r for r in standing.open if _is_before(r, one)), None):
            earlier = Delivery(before.notification_id, one.partner, before)
            then = _by_itself(earlier, standing, now)
            return f"an earlier one about the same person, {before.notification_id}, which waits for {then}"
        if nothing := _takes_nothing(standing, only_silent=False):
            return nothing
    if one.since is not None and now - one.since < SOON:
        return f"{_NO_ATTEMPT}: it came a moment ago"
    if standing is not None and not standing.undelivered:
        return (
            "its partner's topic to have it, where nothing waits: "
            f"`safebus deliveries again {one.partner}` lists what is owed"
        )
    if standing is not None and standing.delivering:
        return f"{_NO_ATTEMPT}: a delivery process is in the partner's group; what does its log say?"
    return f"{_NO_ATTEMPT}: {_RUNS}"


def _is_before(receipt: Receipt, one: Delivery) -> bool:
    return receipt.subject_token == one.subject_token and receipt.notification_id != one.notification_id


def _takes_nothing(standing: Standing | None, *, only_silent: bool) -> str:
    """That others were not taken either, and what follows from it for this one."""
    trouble = standing.trouble if standing is not None else None
    if trouble is None or (only_silent and not trouble.silent):
        return ""
    if trouble.doubted:
        return (
            "its turn: the destination refused another, and they are tried one at a time, to see whose fault that is "
            f"({trouble.code}, answer {trouble.answer})"
        )
    said = f"the partner, which has taken nothing since {trouble.since:%Y-%m-%d %H:%M:%S} UTC"
    every = f"; {_one_at_a_time(trouble, retry.SILENT_FOR[-1])}" if trouble.silent else ""
    return f"{said} ({trouble.code}, answer {trouble.answer})" + every


async def all_wait_for(
    connection: Connection,
    decisions: Sequence[DecisionRecord],
    receipts: Sequence[Receipt],
    register: Register,
    *,
    now: datetime,
) -> dict[str, str]:
    """
    Notification id -> what it waits for, of those of these decisions that are open.

    Args:
        register: With its partners, and what operators said of the deliveries to them.
    """
    last = {r.notification_id: r for r in receipts if r.stage is not Stage.NOTICE_HANDED_OVER}
    may_wait = [
        Delivery(a.notification_id, a.recipient, last.get(a.notification_id), record.decided_at, a.subject_token)
        for record in decisions
        for a in record.answers
        if a.outcome is Outcome.PERMIT and a.notification_id
    ]
    open_ones = [one for one in may_wait if one.last is None or is_open(one.last)]
    stand = await known_standings(connection, register, {one.partner for one in open_ones}, now=now)
    said = {one.notification_id: waits_for(one, stand.get(one.partner), now=now) for one in open_ones}
    return {key: text for key, text in said.items() if text}


async def known_standings(
    connection: Connection, register: Register, partners: Iterable[str], *, now: datetime
) -> dict[str, Standing]:
    """Partner -> how its deliveries stand, of those of which this certificate is told; of a pause it always is."""
    wanted = sorted(partners)
    if not wanted:
        return {}
    try:
        return {each.partner: each for each in await standings(connection, register, wanted, now=now)}
    except NotReachable:  # who may read decisions need not see how far the adapters are
        by_register = (of_the_register(partner, register, now=now) for partner in wanted)
        return {each.partner: each for each in by_register if each is not None}
