"""`safebus deliveries`: what is a partner owed, and how does it get it after all?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import (
    DONE,
    EXECUTE,
    FORM,
    REASON,
    SOME,
    USAGE,
    Form,
    example,
    needs_reason,
    parse_time,
    stop,
)
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safebus.consumers.audit.owed import Owed
    from safebus.deploy.service.settings import Settings

app = typer.Typer(
    name="deliveries",
    help="What partners are owed.",
    no_args_is_help=True,
    epilog=example("safebus deliveries again haven --from 2026-11-22T00:00"),
)


@app.command(
    "again",
    epilog=example(
        "safebus deliveries again haven --from 2026-11-22T00:00",
        'safebus deliveries again haven --from 2026-11-22T00:00 --execute --reason "their topic could not be written"',
    ),
)
def deliveries_again(
    partner: str = typer.Argument(...),
    since: str | None = typer.Option(None, "--from", help="decided since, ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: a minute ago"),
    output: Form = FORM,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Put on a partner's topic what was permitted, stands neither there nor at the partner, and is owed.

    Needs what the worker may do. Its adapter asks the register before it hands anything over. Exit code 3: some cannot
    be made again.
    """
    from safebus.consumers.audit.owed import owed
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.nearest import or_the_known
    from safebus.streams.register.follow import current_register

    needs_reason(execute, reason)
    now = clock()
    # What was decided a moment ago is on its way.
    start, end = parse_time(since, now - timedelta(days=1)), parse_time(until, now - timedelta(minutes=1))
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    found = settings.load()
    connection, key = found.connection(), found.person_key()

    async def main() -> list[Owed]:
        register = await current_register(connection, key=key)
        if register.partner(partner) is None:
            raise BadInput(f"there is no partner `{partner}`{or_the_known(partner, register.partners)}")
        return await owed(connection, partner, since=start, until=end, key=key, schemas=event_schemas())

    what = run(main)
    rows = [
        {
            "notification_id": each.notification_id,
            "event_id": each.event_id,
            "decided_at": each.decided_at.isoformat(timespec="seconds"),
            "state": "owed" if each.output is not None else each.why,
        }
        for each in what
    ]
    show(rows, output, columns=["notification_id", "event_id", "decided_at", "state"])
    can = [each for each in what if each.output is not None]
    if not execute:
        say(
            f"dry run: {len(can)} of {len(what)} would be put on the topic of {partner}; --execute --reason ... does it"
        )
    elif can:
        about = (partner, *(each.notification_id for each in can))
        put_on_record(found, Act("deliveries again", about, reason, len(can)))
        run(lambda: _send(found, can))
        say(f"{len(can)} notifications are on the topic of {partner}; its adapter asks the register before each")
    else:
        say(f"nothing is owed to {partner}")
    raise typer.Exit(SOME if len(can) < len(what) else DONE)


async def _send(found: Settings, what: Sequence[Owed]) -> None:
    from safebus.schemas.kafka.writer import Writer
    from safebus.streams.worker import messages

    outbound = Writer(found.connection(), client_id="operator")
    await outbound.start()
    try:
        key = found.person_key()
        await outbound.send_all(messages.notification(each.output, key) for each in what if each.output is not None)
    finally:
        await outbound.stop()
