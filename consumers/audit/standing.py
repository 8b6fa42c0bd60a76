"""
How do the deliveries to each partner stand?

Read from the broker alone, so from any machine: how far the partner's group has got on its topic, and what its last
receipts say. Nothing moves for anyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

from safebus.consumers.delivery.stages import waits_for
from safebus.schemas import topics
from safebus.schemas.bus_records import Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group_offsets import committed_by_each
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.own_records import own_record
from safebus.streams.register.store import Register

#: So many of the newest receipts of each partition are looked at: what happened before is not how it stands.
_TAIL = 500


class How(StrEnum):
    """How deliveries to a partner stand, the most pressing first."""

    NO_TOPIC = "no topic"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    HELD = "held"
    WAITING = "waiting"
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
        paused_until: PAUSED: when it ends by itself; None: when somebody ends it.
    """

    partner: str
    how: How
    since: datetime | None = None
    undelivered: int = 0
    oldest: datetime | None = None
    last_handed_over: datetime | None = None
    asked_again_at: datetime | None = None
    why: str = ""
    paused_until: datetime | None = None


async def standings(
    connection: Connection,
    register: Register,
    partners: Iterable[str],
    *,
    now: datetime,
    since: datetime | None = None,
) -> list[Standing]:
    """
    How each of these partners stands.

    Args:
        since: Receipts are looked at from here on, too, however many came after them.

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
    found = []
    for partner in wanted:
        mine = groups[partner]
        if not mine:
            found.append(Standing(partner, How.NO_TOPIC, why=f"`{topics.notifications_for(partner)}` is not there"))
            continue
        many = sum(undelivered.get(partition, 0) for partition in mine)
        since_when = min((oldest[p] for p in mine if p in oldest), default=None)
        said = sorted(receipts.get(partner, ()), key=lambda receipt: receipt.at)
        found.append(_standing(partner, register, many, since_when, said, now))
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


def _standing(
    partner: str,
    register: Register,
    undelivered: int,
    oldest: datetime | None,
    receipts: list[Receipt],
    now: datetime,
) -> Standing:
    handed = [r for r in receipts if r.stage is Stage.HANDED_OVER]
    last = handed[-1].at if handed else None
    open_ones = [r for r in {r.notification_id: r for r in receipts}.values() if waits_for(r)] if undelivered else []
    held = [r for r in open_ones if r.stage is Stage.HELD and (last is None or r.at > last)]
    word, known = register.deliveries_word(partner), register.partner(partner)
    paused = word is not None and word.pauses(now)
    how, since, why = How.IN_ORDER, None, []
    if held:
        how, since = How.HELD, held[0].at
        why.append(f"{held[-1].reason}, answer {held[-1].answer}")
    elif open_ones:
        newest = max(open_ones, key=lambda r: r.at)
        how, since = How.WAITING, min(r.at for r in open_ones)
        why.append(f"{newest.reason}, answer {newest.answer}")
    elif undelivered:
        how, since = How.WAITING, oldest
        why += [] if paused else ["not tried yet: does `safebus deliver` run for it?"]
    if word is not None and paused:
        how, since = How.PAUSED, word.said_at
        why.insert(0, f"until {word.until:%Y-%m-%d %H:%M} UTC" if word.until else "until it is resumed")
    if known is not None and known.suspended:
        how, since = How.SUSPENDED, None
    # A held destination is asked again and again, and no receipt says so each time.
    again = [r.again_at for r in open_ones if r.again_at is not None and r.again_at > now]
    until = word.until if word is not None and paused else None
    return Standing(partner, how, since, undelivered, oldest, last, min(again, default=None), "; ".join(why), until)
