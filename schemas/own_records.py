"""
Did the bus write this record, on one of its own topics?

Rights on the broker say who may write where; whoever has stolen one, or finds none set up, can still write what does
not belong there. Such a record is believed by nobody, is said, and stops nobody: what comes after it goes on.

Where every record counts, readers stop instead and say which: a register with a hole, or a decision that is forgotten,
would disclose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from safebus.schemas import codec, gate
from safebus.schemas.bus_records import BusRecord
from safebus.schemas.errors import Refused

R = TypeVar("R", bound=BusRecord)


@dataclass(frozen=True)
class Strange:
    """
    A record that the bus did not write, and where it stands.

    Attributes:
        reason: A `gate.GateReason`, NOT_THIS_TOPICS or IN_NO_TRANSACTION.
    """

    topic: str
    partition: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset} ({self.reason})"


#: A record of the right kind about somebody else: its place is on another topic.
NOT_THIS_TOPICS = "NOT_THIS_TOPICS"

#: The worker writes these in transactions, under an id that nobody else may use.
IN_NO_TRANSACTION = "IN_NO_TRANSACTION"


def own_record(
    message: Any, kind: type[R], *, belongs: Callable[[R], bool] = lambda _: True, in_transaction: bool = False
) -> R | Strange:
    """
    A record of this kind, or where something else stands.

    Args:
        message: As a reader gives it, with its place.
        belongs: Whether such a record belongs on this topic.
        in_transaction: It stands in one, as `topics.is_transactional` ones do; else it is not the bus's.
    """
    try:
        gate.check_marks(message.headers, in_transaction=in_transaction)
        record = codec.decode_record(message.value or b"", kind)
    except Refused as exc:
        return Strange(message.topic, message.partition, message.offset, exc.reason)
    if in_transaction and not gate.in_transaction(message.headers):
        return Strange(message.topic, message.partition, message.offset, IN_NO_TRANSACTION)
    if not belongs(record):
        return Strange(message.topic, message.partition, message.offset, NOT_THIS_TOPICS)
    return record
