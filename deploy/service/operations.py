"""
How does what a person does come on record before it happens?

A command that shows, changes or sends something first writes who asks for it, what it is about, how much it is and why
to `operations`, and goes on only when the broker has it. Where that cannot be written, nothing is shown, changed or
sent.
"""

from __future__ import annotations

import os
import pwd
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from safebus.deploy.service.settings import Settings
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import MOST_ABOUT, Operation
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.topic_list import topics_there
from safebus.schemas.kafka.writer import Message, Writer


@dataclass(frozen=True)
class Act:
    """
    What is about to be done; as in `bus_records.Operation`.

    Attributes:
        number: None: as many as `about`.
    """

    what: str
    about: tuple[str, ...]
    reason: str
    number: int | None = None
    request: str | None = None
    seconds: str | None = None
    to: str | None = None


async def put_on_record(found: Settings, act: Act, *, clock: Callable[[], datetime]) -> Operation:
    """
    Write down what is about to be done, and return when the broker has it.

    Raises:
        NotReachable: It could not be written, so it must not be done.
        BadInput: The settings say nothing of a broker, or the certificate cannot be read.
    """
    signer = found.signer()
    operation = Operation(
        operation_id=str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)),
        at=clock(),
        certificate=signer.name if signer else "",
        system_user=system_user(),
        what=act.what,
        about=tuple(_listed(act.about)),
        number=len(act.about) if act.number is None else act.number,
        reason=act.reason,
        request=act.request,
        seconds=act.seconds,
        to=act.to,
    )
    value = codec.encode_record(operation)
    about = headers.cloud_event(id=operation.operation_id, source="operator", type="safebus.operation")
    if signer is not None:
        about += [(headers.CERTIFICATE, signer.certificate), (headers.SIGNATURE, signer.sign(value))]
    key = (operation.certificate or operation.system_user).encode()
    connection = found.connection()
    try:
        if topics.OPERATIONS not in await topics_there(connection):
            raise NotReachable(
                f"there is no topic `{topics.OPERATIONS}`, or this certificate may not write to it; "
                "`safebus topics apply` makes it, and an operator gives WRITE on it"
            )
        outbound = Writer(connection, client_id="operator", linger_ms=0)
        await outbound.start()
        try:
            await outbound.send_all([Message(topics.OPERATIONS, key, value, about, 0)])
        finally:
            await outbound.stop()
    except NotReachable as exc:
        raise NotReachable(f"{act.what}: nothing was done, because it could not be put on record: {exc}") from exc
    return operation


def _listed(about: Iterable[str]) -> list[str]:
    found = list(about)
    more = len(found) - MOST_ABOUT
    return [*found[:MOST_ABOUT], f"and {more} more"] if more > 0 else found


def writes_as(found: Settings) -> str:
    """Who writes what this process writes: its certificate, or the system user where it has none."""
    signer = found.signer()
    return signer.name if signer else system_user()


def system_user() -> str:
    """Who runs this process, as the machine knows them; who became somebody else is named too."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # a container may run under a number that nobody has
        name = str(number)
    before = os.environ.get("SUDO_USER")
    return f"{name} (by sudo from {before})" if before and before != name else name
