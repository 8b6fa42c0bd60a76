"""`safebus operations`: what did people look at, change and send, and why?"""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FORM, Form, example, parse_time
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.service.terminal import clock, say

app = typer.Typer(
    name="operations",
    help="What people looked at, changed and sent, and why.",
    no_args_is_help=True,
    epilog=example("safebus operations list"),
)

_COLUMNS = ["at", "who", "proven", "what", "number", "about", "reason", "operation_id"]


@app.command(
    "list",
    epilog=example("safebus operations list --who anna.operator --from 2026-11-01", "safebus operations list -o csv"),
)
def operations_list(
    who: str = typer.Option("", "--who", help="only of this person: the name in the certificate, or the system user"),
    what: str = typer.Option("", "--what", help="only this command, such as `quarantine open`, with its options"),
    about: str = typer.Option("", "--about", help="only what was about this id, partner, topic or register record"),
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: all"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    ca: list[Path] = typer.Option([], "--ca", help="a CA of before, by which older records are proven; repeatable"),
    output: Form = FORM,
) -> None:
    """List what people did through the commands, oldest first; `proven`: their certificate signed it."""
    from datetime import UTC, datetime

    from safebus.consumers.audit import operations
    from safebus.deploy.service import settings
    from safebus.schemas import signing
    from safebus.schemas.bus_records import MOST_ABOUT
    from safebus.schemas.own_records import Strange

    start, end = parse_time(since, datetime.min.replace(tzinfo=UTC)), parse_time(until, clock())
    found = settings.load()
    trusted = [*found.issuers(), *(each for pem in ca for each in signing.issuers(pem))]
    strange: list[Strange] = []
    entries = run(lambda: operations.entries(found.connection(), trusted=trusted, on_strange=strange.append))
    rows = [
        {
            "at": e.at.isoformat(timespec="seconds"),
            "who": e.who,
            "proven": "yes" if e.proven else "no",
            "what": e.operation.what if e.operation.seconds is None else f"{e.operation.what} (as the second)",
            "number": e.operation.number,
            "about": " ".join(e.operation.about),
            "reason": e.operation.reason,
            "operation_id": e.operation.operation_id,
        }
        for e in entries
        if start <= e.at < end
        and (not who or e.who == who)
        and (not what or operations.is_of(e.operation, what))
        and (not about or operations.is_about(e.operation, about))
    ]
    show(rows, output, columns=_COLUMNS)
    say_strange(strange)
    if any(one.reason == operations.NOT_SIGNED for one in strange):
        say("NOT_SIGNED: nobody of SAFEBUS_TLS_CA or --ca signed it in the name it has; was there another CA before?")
    if about and any(len(e.operation.about) > MOST_ABOUT for e in entries):
        say(f"an act about more than {MOST_ABOUT} ids lists only those: --about does not find the others")
