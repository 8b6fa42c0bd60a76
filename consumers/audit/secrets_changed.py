"""
Is a partner's webhook on its way from one secret to another?

By what is on record of `safebus partners rotate-secret`, so from any machine. It is written before it is done: what
really signs is said by the file, where that stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.x509 import Certificate

from safebus.consumers.audit import operations
from safebus.schemas.kafka.connection import Connection

#: As operations name it; what ends a change has its option behind it.
WHAT = "partners rotate-secret"


async def last_change(connection: Connection, partner: str, *, trusted: Sequence[Certificate]) -> str:
    """
    In words; empty: there was none.

    Raises:
        NotReachable: What is on record cannot be read.
    """
    found = await operations.entries(
        connection,
        trusted=trusted,
        wanted=lambda operation: operation.what.startswith(WHAT) and operation.about[:1] == (partner,),
    )
    if not found:
        return ""
    last = found[-1]
    marks, when = ", ".join(last.operation.about[1:]), f"{last.at:%Y-%m-%d %H:%M} UTC, by {last.who}"
    match last.operation.what.removeprefix(WHAT).strip():
        case "":
            return f"two sign since {when}; the new one is {marks}; --finish is still to come"
        case "--finish":
            return f"changed on {when}; {marks} signs no more"
        case _:
            return f"a change was undone on {when}; {marks} signs no more"
