"""
How many parked deliveries must a person still look at, of each partner?

The same that `safebus parked list` shows, for all partners at once: what is parked, and neither handed over nor stopped
since, nor closed. Receipts are read of those partners alone that have anything parked, from when it was parked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from safebus.consumers.audit.in_hand import State, in_hand, is_about_hands
from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.audit.replay.time_span import CLOCKS_APART
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas import topics
from safebus.schemas.bus_records import Notification, Receipt, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.own_records import own_record


class ParkedOnes(NamedTuple):
    """Of one partner: id -> when it came there, and when it was last parked or not taken, by the broker's clock."""

    came: Mapping[str, datetime]
    refused: Mapping[str, datetime]


async def parked_ones(connection: Connection, partners: Collection[str]) -> dict[str, ParkedOnes]:
    """
    What is parked for each of these partners and neither handed over nor stopped since; of those that have any.

    Raises:
        NotReachable: A topic cannot be read.
    """
    came = await _came(connection, {topics.parked_for(partner): partner for partner in partners})
    if not came:
        return {}
    last, refused = await _receipts(connection, came)
    return {
        partner: ParkedOnes(left, refused.get(partner, {}))
        for partner, items in came.items()
        if (left := {k: at for k, at in items.items() if last.get(partner, {}).get(k, Stage.PARKED) is Stage.PARKED})
    }


async def _came(connection: Connection, names: Mapping[str, str]) -> dict[str, dict[str, datetime]]:
    found: dict[str, dict[str, datetime]] = {}
    async with Reader(connection, names.__contains__, committed=False) as reader:
        while records := await reader.take_any():
            for record in records:
                partner = names[record.topic]
                parked = own_record(record, Notification, belongs=partial(_is_to, partner))
                if isinstance(parked, Notification):
                    found.setdefault(partner, {})[parked.notification_id] = _when(record.timestamp)
    return found


async def _receipts(
    connection: Connection, came: Mapping[str, Mapping[str, datetime]]
) -> tuple[dict[str, dict[str, Stage]], dict[str, dict[str, datetime]]]:
    """How each has ended, and when it was last refused, by partner."""
    names = {topics.receipts_from(partner): partner for partner in came}
    last: dict[str, dict[str, Stage]] = {}
    refused: dict[str, dict[str, datetime]] = {}
    async with Reader(connection, names.__contains__, committed=False) as reader:
        since = await reader.offsets_at(min(at for items in came.values() for at in items.values()) - CLOCKS_APART)
        for partition in reader.partitions:
            reader.seek(partition, since[partition])
        while records := await reader.take_any():
            for record in records:
                partner = names[record.topic]
                if (record.key or b"").decode("utf-8", "replace") not in came[partner]:
                    continue
                receipt = own_record(record, Receipt, belongs=partial(_is_of, partner))
                if not isinstance(receipt, Receipt) or receipt.stage not in ENDED:
                    continue
                last.setdefault(partner, {})[receipt.notification_id] = receipt.stage
                if receipt.stage is Stage.PARKED:
                    refused.setdefault(partner, {})[receipt.notification_id] = _when(record.timestamp)
    return last, refused


def still_open(
    parked: Mapping[str, ParkedOnes], acts: Iterable[OnRecord], *, counts: Callable[[OnRecord], bool]
) -> dict[str, int]:
    """
    Partner -> how many of these nobody has closed.

    Args:
        acts, counts: As `in_hand` takes them.
    """
    said = list(acts)
    found = {}
    for partner, ones in parked.items():
        mine = [act for act in said if is_about_hands(act.operation, "parked", partner)]
        hands = in_hand(ones.came, mine, counts=counts, again=ones.refused)
        found[partner] = sum(hand.state is not State.CLOSED for hand in hands.values())
    return found


def _is_to(partner: str, notification: Notification) -> bool:
    return notification.recipient == partner


def _is_of(partner: str, receipt: Receipt) -> bool:
    return receipt.partner == partner


def _when(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp / 1000, UTC)
