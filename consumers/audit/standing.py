"""
How do the deliveries to each partner stand?

Read from the broker alone, so from any machine: how far the partner's group has got on its topic, whether a delivery
process is in it, and what its last receipts say. Nothing moves for anyone.

That a destination is held, or takes nothing, no topic says: it follows from what its partner answered since it last
took one. A person who sends by hand shows nothing of it, for the delivery process does not hear of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from safebus.consumers.adapters.adapter import ALREADY_THERE
from safebus.consumers.delivery.circuit import SILENT_AFTER
from safebus.consumers.delivery.stages import NOBODY_ANSWERS, REFUSED, code_of, is_open, sent_again_because
from safebus.schemas import topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import committed_by_each, have_members
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


class Trouble(NamedTuple):
    """
    What a destination answered since it last took one.

    Attributes:
        since: The first of these answers; `held`: the first that says that everything is refused.
        code, answer: The last of them.
        held: It refuses everything, and is asked with one message at a time.
        silent: It takes nothing, and is asked likewise.
    """

    since: datetime
    code: str
    answer: str
    held: bool
    silent: bool


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
            at = reader.ends[partition] - undelivered.get(partition, 0)
            reader.seek(partition, min(tail, first.get(partition, tail)) if partition.topic in told else at)
        oldest, receipts = await _read(reader, told)
    late = [f"adapter-{partner}" for partner in wanted if any(p in undelivered for p in groups[partner])]
    members = await have_members(connection, late)
    found = []
    for partner in wanted:
        mine = groups[partner]
        if not mine:
            found.append(Standing(partner, How.NO_TOPIC, why=f"`{topics.notifications_for(partner)}` is not there"))
            continue
        seen = _Seen(
            undelivered=sum(undelivered.get(partition, 0) for partition in mine),
            oldest=min((oldest[p] for p in mine if p in oldest), default=None),
            receipts=sorted(receipts.get(partner, ()), key=lambda receipt: receipt.at),
            delivering=members.get(f"adapter-{partner}"),
            parked=None if parked is None else parked.get(partner, 0),
        )
        found.append(_standing(partner, register, seen, now))
    return found


async def _undelivered(
    connection: Connection, groups: Mapping[str, Sequence[Partition]], reader: Reader
) -> dict[Partition, int]:
    """How many notifications each group has not dealt with, where there are any."""
    asked = {f"adapter-{partner}": mine for partner, mine in groups.items() if mine}
    done = await committed_by_each(connection, asked)
    return {
        partition: left
        for group, mine in asked.items()
        for partition in mine
        if (left := reader.ends[partition] - max(done[group].get(partition, 0), reader.begins[partition])) > 0
    }


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


def trouble_of(receipts: Iterable[Receipt]) -> Trouble | None:
    """
    What a destination answered since it last took one; None: nothing that others would wait for.

    Args:
        receipts: Of one partner, by time.
    """
    since: list[Receipt] = []
    for receipt in receipts:
        if sent_again_because(receipt.reason) is not None:
            continue
        if receipt.stage is Stage.HANDED_OVER and receipt.answer != ALREADY_THERE:
            since = []
        elif receipt.stage is Stage.HELD or code_of(receipt.reason) in NOBODY_ANSWERS | REFUSED:
            since.append(receipt)
    if not since:
        return None
    held = next((r for r in since if r.stage is Stage.HELD), None)
    in_a_row = 0
    for receipt in reversed(since):
        if code_of(receipt.reason) not in NOBODY_ANSWERS:
            break
        in_a_row += 1
    last = since[-1]
    return Trouble(
        (held or since[0]).at, code_of(last.reason), last.answer, held is not None, silent=in_a_row >= SILENT_AFTER
    )


def _standing(partner: str, register: Register, seen: _Seen, now: datetime) -> Standing:
    handed = [r for r in seen.receipts if r.stage is Stage.HANDED_OVER]
    open_ones = [r for r in {r.notification_id: r for r in seen.receipts}.values() if is_open(r)]
    open_ones = sorted(open_ones, key=lambda r: r.at) if seen.undelivered else []
    trouble = trouble_of(seen.receipts) if seen.undelivered else None
    word, known = register.deliveries_word(partner), register.partner(partner)
    paused = word if word is not None and word.pauses(now) else None
    how, since, why = How.IN_ORDER, None, []
    if trouble is not None and trouble.held:
        how, since = How.HELD, trouble.since
        why.append(f"{trouble.code}, answer {trouble.answer}")
    elif open_ones:
        how, since = How.WAITING, open_ones[0].at
        why.append(f"{open_ones[-1].reason}, answer {open_ones[-1].answer}")
    elif seen.undelivered:
        how, since = How.WAITING, seen.oldest
        why += [] if paused else [_not_tried(seen, now)]
    elif seen.parked:
        how = How.PARKED
        why.append(f"a person must look: `safebus parked list {partner}`")
    if seen.delivering is False and open_ones:
        why.append("no delivery process is in its group")
    if paused is not None:
        how, since = How.PAUSED, paused.said_at
        why.insert(0, f"until {paused.until:%Y-%m-%d %H:%M} UTC" if paused.until else "until it is resumed")
    if known is not None and known.suspended:
        how, since = How.SUSPENDED, None
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
        paused.said_at if paused else None,
        paused.until if paused else None,
        trouble,
        seen.delivering,
        tuple(open_ones),
    )


def of_the_register(partner: str, register: Register, *, now: datetime) -> Standing | None:
    """How the deliveries to a partner stand by the register alone; None: it says nothing of them."""
    found = _standing(partner, register, _Seen(0, None, (), None, None), now)
    return found if found.how in (How.PAUSED, How.SUSPENDED) else None


def _not_tried(seen: _Seen, now: datetime) -> str:
    if seen.delivering is False:
        return "no attempt on record, and no delivery process is in its group: does `safebus deliver` run for it?"
    if seen.oldest is not None and now - seen.oldest < SOON:
        return "no attempt on record: it came a moment ago"
    if seen.delivering:
        return "no attempt on record, though a delivery process is in its group: what does its log say?"
    return "no attempt on record: does `safebus deliver` run for it?"


def _asked_again_at(open_ones: Sequence[Receipt], trouble: Trouble | None, now: datetime) -> datetime | None:
    """Where it is asked with one message at a time, no receipt says so each time, and nobody's own time counts."""
    alone = trouble is not None and (trouble.held or trouble.silent)
    times = [r.again_at for r in open_ones if r.again_at is not None and (r.stage is Stage.HELD or not alone)]
    return min((at for at in times if at > now), default=None)
