"""How does a command put on record what it is about to do, and ask for a second person where one is needed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import SOME, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.bus_records import Operation, RegisterRecord
    from safebus.schemas.keys import PersonKey
    from safebus.streams.register.store import Register

SECOND = typer.Option(
    "", "--second", metavar="OPERATION", help="be the second person for what another asked for; as `operations list`"
)

#: What was asked for longer ago must be asked for again.
ASKED_WITHIN: Final = timedelta(days=7)


def put_on_record(found: Settings, act: Act) -> Operation:
    """Write down what is about to be done; errors as `written_down`, and then it must not be done."""
    return run(lambda: written_down(found, act))


async def written_down(found: Settings, act: Act) -> Operation:
    """As `put_on_record`, on a loop that runs. What was done without a broker comes first; errors as theirs."""
    from safebus.deploy.service import late_record, operations

    await late_record.bring(found, clock=clock)
    return await operations.put_on_record(found, act, clock=clock)


def write_to_register(
    found: Settings, register: Register, records: Sequence[RegisterRecord], act: Act, *, key: PersonKey, second: str
) -> int:
    """
    Put on record and write what changes the register; with a second person, where the register asks for one.

    Args:
        second: The operation that this person asks for, too; empty: they are the first.

    Returns:
        The offset from which it counts.

    Raises:
        typer.Exit: A second person must ask for the same; that this one did is on record.
        BadInput: `second` is nothing that this person may be the second of.
    """
    from safebus.schemas.errors import BadInput
    from safebus.streams.register import dressing
    from safebus.streams.register.governance import needing_two
    from safebus.streams.register.write import request_digest, write_records

    needed = needing_two((record.kind for record in records), register.two_persons)
    if second and not needed:
        raise BadInput("`--second` is for what one person alone may not change, and this is nothing of that kind")
    key = key.of(register.generation)
    about = tuple(dressing.dressed_id(each, key) for each in act.about)
    act = replace(act, request=request_digest(records, key), about=about, number=len(records))
    if second:
        first = _first(found, register, second, act)
        act = replace(act, seconds=second)
        who = first.certificate or first.system_user
        records = [r.model_copy(update={"reason": f"{r.reason}; asked for by {who} ({second})"}) for r in records]
    # Of what only the first person asks for nothing is written.
    operation = put_on_record(found, replace(act, number=0) if needed and not second else act)
    if needed and not second:
        say(f"on record as {operation.operation_id}; nothing is written yet: {', '.join(needed)} need two persons")
        raise stop(SOME, f"another person runs the same command with --second {operation.operation_id}")
    return run(lambda: write_records(found.connection(), list(records), key=key))


def _first(found: Settings, register: Register, second: str, act: Act) -> Operation:
    """What the first person asked for, if this one may be the second."""
    from safebus.consumers.audit import operations
    from safebus.deploy.service import rights
    from safebus.deploy.service.operations import system_user
    from safebus.schemas.errors import BadInput

    trusted = found.issuers()
    asked = {e.operation.operation_id: e for e in run(lambda: operations.entries(found.connection(), trusted=trusted))}
    first = asked.get(second)
    if first is None or first.operation.what != act.what or first.operation.seconds is not None:
        raise BadInput(f"nobody asked for `{act.what}` under `{second}`; `safebus operations list` shows what is")
    if first.operation.request != act.request:
        raise BadInput(
            f"what would be written now is not what `{first.who}` asked for under `{second}`: the files or the "
            "register have changed since; look at both, and let one of you ask anew"
        )
    if clock() - first.at > ASKED_WITHIN:
        raise BadInput(f"`{second}` was asked for on {first.at:%Y-%m-%d}, longer ago than {ASKED_WITHIN.days} days")
    signer = found.signer()
    if used := next((e for e in asked.values() if e.operation.seconds == second), None):
        raise BadInput(f"`{second}` was carried out on {used.at:%Y-%m-%d %H:%M} UTC; one of you asks anew")
    if trusted and not first.proven:
        raise BadInput(f"`{second}` is not signed by a certificate of this bus, so nobody is known to have asked")
    for name in (first.who, signer.name if signer else "") if trusted else ():
        if not rights.is_a_person(name, register.partners):
            raise BadInput(
                f"`{name}` is the certificate of a process, which more than one person may use; two persons are asked"
            )
    if first.who == (signer.name if signer else system_user()):
        raise BadInput(f"`{first.who}` asked for it themselves; the second must be somebody else")
    return first.operation
