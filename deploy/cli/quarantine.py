"""`safebus quarantine`: list and open what could not be decoded, verified or matched."""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import FORM, REASON, Form, example, needs_reason
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.service.terminal import say

app = typer.Typer(
    name="quarantine",
    help="Events that could not be decoded, verified or matched.",
    no_args_is_help=True,
    epilog=example("safebus quarantine list"),
)


@app.command("list", epilog=example("safebus quarantine list -o csv"))
def quarantine_list(output: Form = FORM, reason: str = typer.Option("", help="only this reason")) -> None:
    """List what could not be decoded, verified or matched."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.schemas.own_records import Strange

    found = settings.load()
    strange: list[Strange] = []
    entries = run(lambda: quarantine.entries(found.connection(), on_strange=strange.append))
    rows = [
        {
            "quarantine_id": e.quarantine_id,
            "reason": e.reason,
            "where": f"{e.topic}/{e.partition}/{e.offset}",
            "size": e.size,
            "at": e.at.isoformat(timespec="seconds"),
            "detail": e.detail,
        }
        for e in entries
        if not reason or e.reason == reason
    ]
    show(rows, output, columns=["quarantine_id", "reason", "where", "size", "at", "detail"])
    say_strange(strange)


@app.command(
    "open", epilog=example('safebus quarantine open QUARANTINE_ID --to original.bin --reason "the publisher asked"')
)
def quarantine_open(
    quarantine_id: str = typer.Argument(..., help="as `safebus quarantine list` shows it"),
    to: Path = typer.Option(..., "--to", help="a new file for the original; only you can read it"),
    reason: str = REASON,
) -> None:
    """Open one sealed original with the operators' key. It is about people, so it needs a reason."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput

    needs_reason(True, reason)
    found = settings.load()
    entry = run(lambda: quarantine.find(found.connection(), quarantine_id))
    keys = found.seal_privates()
    if to.exists():
        raise BadInput(f"`{to}` exists already; name a new file")
    put_on_record(found, Act("quarantine open", (entry.quarantine_id,), reason))
    size = quarantine.open_original(entry, private_keys=keys, to=to)
    say(f"wrote {size} bytes to {to}" if size else "the original was too large to be sealed; it stands at its origin")
