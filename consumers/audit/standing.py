"""
How do the deliveries to each partner stand?

Read from the broker alone, so from any machine: how far the partner's group has got on its topic, whether a delivery
process is in it, and what its last receipts say. Nothing moves for anyone.

How a destination stands, each receipt of the process that delivers to it says. A person who sends by hand shows
nothing of it, for that process does not hear of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from safebus.consumers.audit.trouble import Trouble, flaky_until, trouble_of
from safebus.consumers.delivery.source import group_of
from safebus.consumers.delivery.stages import is_open
from safebus.schemas import topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import Done, done_by_each, have_members
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.own_records import own_record
from safebus.streams.register.store import Register

#: So many of the newest receipts of each partition are looked at: what happened before is not how it stands.
_TAIL = 500

#: What came so lately need not have been tried.
SOON: Final = timedelta(seconds=15)


class How(StrEnum):
    """How deliveries to a partner stand, the most pressing first."""

    NO_TOPIC = "no topic"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    HELD = "held"
    WAITING = "waiting"
    PARKED = "parked"
    IN_ORDER = "in order"


@dataclass(frozen=True)
class Standing:
    """
    One partner.

    Attributes:
        since: Since when it stands so, as far as is known.
        undelivered: Notifications on its topic that its group has not dealt with.
        oldest: When the oldest of them came there.
        last_handed_over: None: not among the receipts that were looked at.
        asked_again_at: When it is asked again at the latest, as far as a receipt says.
        why: Until when it is paused; what the last receipt says of what is open.
        parked: What a person must look at, and has not closed; None: not asked, or not shown.
        paused_since, paused_until: None: it is not paused, or somebody has to end it.
        trouble: What is undelivered waits for more than its own time; None: for nothing else that receipts tell.
        delivering: A delivery process is in its group; None: nothing is undelivered, or the broker does not tell.
        open: The last receipt of each that is open, of those that were looked at, by time.
    """

    partner: str
    how: How
    since: datetime | None = None
    undelivered: int = 0
    oldest: datetime | None = None
    last_handed_over: datetime | None = None
    asked_again_at: datetime | None = None
    why: str = ""
    parked: int | None = None
    paused_since: datetime | None = None
    paused_until: datetime | None = None
    trouble: Trouble | None = None
    delivering: bool | None = None
    open: tuple[Receipt, ...] = ()


async def standings(
    connection: Connection,
    register: Register,
    partners: Iterable[str],
    *,
    now: datetime,
    since: datetime | None = None,
    parked: Mapping[str, int] | None = None,
) -> list[Standing]:
    """
    How each of these partners stands.

    Args:
        since: Receipts are looked at from here on, too, however many came after them.
        parked: Partner -> what a person must look at; None: nobody has asked.

    Raises:
        NotReachable: The broker does not say.
    """
    wanted = sorted(partners)
    out = {topics.notifications_for(partner): partner for partner in wanted}
    told = {topics.receipts_from(partner): partner for partner in wanted}
    async with Reader(connection, (out | told).__contains__, committed=False) as reader:
        first = {} if since is None else await reader.offsets_at(since)
        groups: dict[str, list[Partition]] = {partner: [] for partner in wanted}
        for partition in reader.partitions:
            if partition.topic in out:
                groups[out[partition.topic]].append(partition)
        undelivered = await _undelivered(connection, groups, reader)
        for partition in reader.partitions:
            tail = max(reader.begins[partition], reader.ends[partition] - _TAIL)
            if partition.topic in told:
                reader.seek(partition, min(tail, first.get(partition, tail)))
            else:
                first_open = undelivered[partition].first if partition in undelivered else reader.ends[partition]
                reader.seek(partition, first_open)
        oldest, receipts = await _read(reader, told)
    late = [group_of(partner) for partner in wanted if any(p in undelivered for p in groups[partner])]
    members = await have_members(connection, late)
    found = []
    for partner in wanted:
        mine = groups[partner]
        if not mine:
            found.append(Standing(partner, How.NO_TOPIC, why=f"`{topics.notifications_for(partner)}` is not there"))
            continue
        seen = _Seen(
            undelivered=sum(undelivered[partition].how_many for partition in mine if partition in undelivered),
            oldest=min((oldest[p] for p in mine if p in oldest), default=None),
            receipts=sorted(receipts.get(partner, ()), key=lambda receipt: receipt.at),
            delivering=members.get(group_of(partner)),
            parked=None if parked is None else parked.get(partner, 0),
        )
        found.append(_standing(partner, register, seen, now))
    return found


class _Undelivered(NamedTuple):
    """Offset of the first that is not dealt with, and how many there are."""

    first: int
    how_many: int


async def _undelivered(
    connection: Connection, groups: Mapping[str, Sequence[Partition]], reader: Reader
) -> dict[Partition, _Undelivered]:
    """What each group has not dealt with, where there is anything; what is done behind the first of it left out."""
    asked = {group_of(partner): mine for partner, mine in groups.items() if mine}
    done = await done_by_each(connection, asked)
    found = {}
    for group, mine in asked.items():
        for partition in mine:
            up_to, beyond = done[group].get(partition, Done())
            first = max(up_to, reader.begins[partition])
            if (behind := reader.ends[partition] - first) > 0:
                found[partition] = _Undelivered(first, max(1, behind - beyond))
    return found


async def _read(reader: Reader, told: Mapping[str, str]) -> tuple[dict[Partition, datetime], dict[str, list[Receipt]]]:
    """When the first that comes of each partition of notifications came there; and the receipts, by partner."""
    oldest: dict[Partition, datetime] = {}
    receipts: dict[str, list[Receipt]] = {}
    while records := await reader.take_any():
        for record in records:
            if (partner := told.get(record.topic)) is not None:
                receipt = own_record(record, Receipt, belongs=partial(_is_of, partner))
                if isinstance(receipt, Receipt):
                    receipts.setdefault(partner, []).append(receipt)
            elif (here := Partition(record.topic, record.partition)) not in oldest:
                oldest[here] = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                reader.seek(here, reader.ends[here])  # the others behind it need not be read
    return oldest, receipts


def _is_of(partner: str, receipt: Receipt) -> bool:
    return receipt.partner == partner


class _Seen(NamedTuple):
    """What was read of one partner: as `Standing` has it, and its receipts by time."""

    undelivered: int
    oldest: datetime | None
    receipts: Sequence[Receipt]
    delivering: bool | None
    parked: int | None


def _standing(partner: str, register: Register, seen: _Seen, now: datetime) -> Standing:
    handed = [r for r in seen.receipts if r.stage is Stage.HANDED_OVER]
    open_ones = [r for r in {r.notification_id: r for r in seen.receipts}.values() if is_open(r)]
    open_ones = sorted(open_ones, key=lambda r: r.at) if seen.undelivered else []
    trouble = trouble_of(seen.receipts, now=now) if seen.undelivered else None
    flaky = flaky_until(seen.receipts, now)
    word, known = register.deliveries_word(partner), register.partner(partner)
    paused = word if word is not None and word.pauses(now) else None
    how, since, why = How.IN_ORDER, None, []
    if trouble is not None and trouble.held:
        how, since = How.HELD, trouble.since
        why.append(f"{trouble.code}, answer {trouble.answer}")
    elif open_ones:
        waiting = {r.notification_id for r in open_ones}
        how, since = How.WAITING, min(r.at for r in seen.receipts if r.notification_id in waiting)
        why.append(f"{open_ones[-1].reason}, answer {open_ones[-1].answer}")
    elif seen.undelivered:
        how, since = How.WAITING, seen.oldest
        # Since it might be tried: what was said or ended of a pause comes after it.
        let = max(
            (at for at in (seen.oldest, word and word.said_at, word and word.until) if at and at <= now), default=None
        )
        why += [] if paused else [_not_tried(seen, now, since=let)]
    elif seen.parked:
        how = How.PARKED
        why.append(f"a person must look: `safebus parked list {partner}`")
    if trouble is not None and trouble.left_alone_until is not None:
        why.append(f"it asked to be left alone until {trouble.left_alone_until:%Y-%m-%d %H:%M:%S} UTC")
    if flaky is not None:
        why.append(f"one of its servers refuses what another takes: nothing is parked for it until {flaky:%H:%M} UTC")
    if seen.delivering is False and open_ones:
        why.append("no delivery process is in its group")
    if paused is not None:
        how, since = How.PAUSED, paused.began
        why.insert(0, f"until {paused.until:%Y-%m-%d %H:%M} UTC" if paused.until else "until it is resumed")
    if known is not None and known.suspended:
        how, since = How.SUSPENDED, None
        waits = (
            "; what waits is stopped when its turn comes (after a lift: `deliveries again --stopped`)"
            if seen.undelivered
            else ""
        )
        why = [f"the register forbids it{waits}"]
    return Standing(
        partner,
        how,
        since,
        seen.undelivered,
        seen.oldest,
        handed[-1].at if handed else None,
        _asked_again_at(open_ones, trouble, now) if how in (How.HELD, How.WAITING) else None,
        "; ".join(why),
        seen.parked,
        paused.began if paused else None,
        paused.until if paused else None,
        trouble,
        seen.delivering,
        tuple(open_ones),
    )


def of_the_register(partner: str, register: Register, *, now: datetime) -> Standing | None:
    """How the deliveries to a partner stand by the register alone; None: it says nothing of them."""
    found = _standing(partner, register, _Seen(0, None, (), None, None), now)
    return found if found.how in (How.PAUSED, How.SUSPENDED) else None


def _not_tried(seen: _Seen, now: datetime, *, since: datetime | None) -> str:
    if seen.delivering is False:
        return "no attempt on record, and no delivery process is in its group: does `safebus deliver` run for it?"
    if since is not None and now - since < SOON:
        came = seen.oldest is not None and now - seen.oldest < SOON
        return f"no attempt on record: {'it came' if came else 'deliveries go on since'} a moment ago"
    if seen.delivering:
        return "no attempt on record, though a delivery process is in its group: what does its log say?"
    return "no attempt on record: does `safebus deliver` run for it?"


def _asked_again_at(open_ones: Sequence[Receipt], trouble: Trouble | None, now: datetime) -> datetime | None:
    """Where it is asked with one message at a time, nobody's own time counts; before a pause is over no time does."""
    if trouble is not None and trouble.one_at_a_time:
        at = trouble.asked_at
    else:
        at = min((r.again_at for r in open_ones if r.again_at is not None and r.again_at > now), default=None)
    alone = trouble.left_alone_until if trouble is not None else None
    return max((each for each in (at, alone) if each is not None), default=None)
