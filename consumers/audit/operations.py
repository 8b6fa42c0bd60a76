"""What did people do through the commands: what did they look at, change, send, and why?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.x509 import Certificate

from safebus.schemas import headers, signing, topics
from safebus.schemas.bus_records import Operation
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.own_records import Strange, own_record

#: It names somebody whose certificate did not sign it.
NOT_SIGNED = "NOT_SIGNED"


@dataclass(frozen=True)
class OnRecord:
    """
    One operation.

    Attributes:
        at: When the broker took it, whatever the record says.
        proven: The certificate it names signed it; False: it names none, and only the machine's word stands for who.
    """

    operation: Operation
    at: datetime
    offset: int
    proven: bool

    @property
    def who(self) -> str:
        """The name in the certificate; else, as the machine knew them."""
        return self.operation.certificate or self.operation.system_user


def is_of(operation: Operation, command: str) -> bool:
    """Was it done by this command, with whatever options?"""
    return f"{operation.what} ".startswith(f"{command} ")


def is_about(operation: Operation, what: str) -> bool:
    """Was it about this id, partner, topic or register record? `partner/ash` is about `ash`, too."""
    return any(each == what or each.endswith(f"/{what}") for each in operation.about)


async def entries(
    connection: Connection,
    *,
    trusted: Sequence[Certificate],
    on_strange: Callable[[Strange], None] = lambda _: None,
    wanted: Callable[[Operation], bool] = lambda _: True,
) -> list[OnRecord]:
    """
    Every operation that is wanted, in the order in which they were written.

    Args:
        trusted: Who issues the certificates of this bus; none: what a record says of a certificate cannot be proven.
        on_strange: Told of each record that the bus did not write, or that names somebody who did not sign it.
        wanted: Says which are looked at; who signed the others is not looked at either.
    """
    found: dict[str, OnRecord] = {}
    async for message in read_topic(connection, topics.OPERATIONS):
        operation = own_record(message, Operation)
        if isinstance(operation, Strange):
            on_strange(operation)
            continue
        if not wanted(operation):
            continue
        at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
        marks = dict(message.headers)
        signature, certificate = marks.get(headers.SIGNATURE), marks.get(headers.CERTIFICATE)
        by = None
        if signature and certificate:
            by = signing.who_signed(message.value, signature, certificate, trusted=trusted, at=at)
        # On a bus with certificates everybody has one, and who leaves it out hides behind the name of somebody else.
        if (operation.certificate or trusted) and by != operation.certificate:
            on_strange(Strange(message.topic, message.partition, message.offset, NOT_SIGNED))
            continue
        # Written once; whoever copies a record makes no second operation of it.
        found.setdefault(operation.operation_id, OnRecord(operation, at, message.offset, by is not None))
    return list(found.values())
