"""`safebus quarantine`: list and open what could not be decoded, verified or matched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.hands import ALL, TO, assign_or_close, columns_of, of_quarantine, shown, without_closed
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, Form, example, needs_reason
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.service.terminal import say, tell

if TYPE_CHECKING:
    from safebus.consumers.audit.in_hand import InHand
    from safebus.deploy.service.settings import Settings

TOO_LARGE: Final = "the original was too large to be sealed; it stands at its origin"

app = typer.Typer(
    name="quarantine",
    help="Events that could not be decoded, verified or matched.",
    no_args_is_help=True,
    epilog=example("safebus quarantine list"),
)


@app.command("list", epilog=example("safebus quarantine list -o csv"))
def quarantine_list(
    every: bool = ALL, output: Form = FORM, reason: str = typer.Option("", help="only this reason")
) -> None:
    """List what could not be decoded, verified or matched and is not closed, and who looks after it."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.schemas.own_records import Strange

    found = settings.load()
    strange: list[Strange] = []
    entries = run(lambda: quarantine.entries(found.connection(), on_strange=strange.append))
    hands = of_quarantine(found, entries)
    rows = [
        {
            "quarantine_id": e.quarantine_id,
            "reason": e.reason,
            "event_id": each.event_id or "",
            "where": f"{e.topic}/{e.partition}/{e.offset}",
            "size": e.size,
            "at": e.at.isoformat(timespec="seconds"),
            "detail": e.detail,
            **columns_of(hands[e.quarantine_id]),
        }
        for each in entries
        for e in (each.entry,)
        if not reason or e.reason == reason
    ]
    columns = ["quarantine_id", "reason", "event_id", "where", "size", "at", "detail"]
    show(without_closed(rows, every=every), output, columns=shown(columns, every=every))
    say_strange(strange)


@app.command(
    "show",
    epilog=example(
        "safebus quarantine show QUARANTINE_ID",
        'safebus quarantine show QUARANTINE_ID --show-original --reason "the agency asks what is wrong"',
    ),
)
def quarantine_show(
    quarantine_id: str = typer.Argument(..., help="as `safebus quarantine list` shows it"),
    show_original: bool = typer.Option(
        False, "--show-original", help="open it with the operators' key and show its fields; needs --reason"
    ),
    reason: str = REASON,
) -> None:
    """Show one entry as JSON: where it came from, why it is there, who looks after it; its fields on request."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act

    needs_reason(show_original, reason, option="--show-original")
    found = settings.load()
    one = run(lambda: quarantine.find(found.connection(), quarantine_id))
    out = json.loads(one.entry.model_dump_json(exclude={"sealed"}))
    out["event_id"] = run(lambda: quarantine.event_of(found.connection(), one))
    out |= columns_of(of_quarantine(found, [one])[quarantine_id])
    if show_original:
        keys = found.seal_privates()
        put_on_record(found, Act("quarantine show", (quarantine_id,), reason))
        data = quarantine.original(one.entry, private_keys=keys)
        out["original"] = quarantine.decoded(data) if data else {"why_not": TOO_LARGE}
    tell(json.dumps(out, indent=2))


@app.command(
    "assign",
    epilog=example('safebus quarantine assign QUARANTINE_ID --to op-anna --execute --reason "rings the agency"'),
)
def quarantine_assign(
    quarantine_ids: list[str] = typer.Argument(..., metavar="QUARANTINE_ID..."),
    to: str = TO,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Say who looks after entries. One that was closed is open again."""
    found, hands = _hands()
    assign_or_close(found, "quarantine assign", hands, quarantine_ids, to=to, execute=execute, reason=reason)


@app.command(
    "close",
    epilog=example('safebus quarantine close QUARANTINE_ID --execute --reason "corrected by the agency today"'),
)
def quarantine_close(
    quarantine_ids: list[str] = typer.Argument(..., metavar="QUARANTINE_ID..."),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Say that entries need nobody any more, and why. The originals stay, sealed, as long as the topic keeps them."""
    found, hands = _hands()
    assign_or_close(found, "quarantine close", hands, quarantine_ids, execute=execute, reason=reason)


def _hands() -> tuple[Settings, dict[str, InHand]]:
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings

    found = settings.load()
    return found, of_quarantine(found, run(lambda: quarantine.entries(found.connection())))


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

    needs_reason(True, reason, option="")
    found = settings.load()
    entry = run(lambda: quarantine.find(found.connection(), quarantine_id)).entry
    keys = found.seal_privates()
    if to.exists():
        raise BadInput(f"`{to}` exists already; name a new file")
    put_on_record(found, Act("quarantine open", (entry.quarantine_id,), reason))
    size = quarantine.open_original(entry, private_keys=keys, to=to)
    say(f"wrote {size} bytes to {to}" if size else TOO_LARGE)
