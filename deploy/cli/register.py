"""`safebus register`: load, show and end what decisions rest on."""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, USAGE, Form, example, needs_reason, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say

app = typer.Typer(
    name="register",
    help="Agreements, partners, bases, involvements: what decisions rest on.",
    no_args_is_help=True,
    epilog=example("safebus register show"),
)


@app.command(
    "load",
    epilog=example(
        "safebus register load deploy/local/demo/register",
        'safebus register load FOLDER --execute --reason "agreement v4 was signed"',
    ),
)
def register_load(
    folder: Path = typer.Argument(..., help="folder of YAML files"),
    output: Form = FORM,
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
) -> None:
    """Check a register folder and write what changes. Every problem is named with file and line."""
    from safebus.deploy.service import settings
    from safebus.streams.register.changes import changes_of, left_out, likely_slips
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import as_records, write_records

    needs_reason(execute, reason)
    found = settings.load()
    connection = found.connection()
    register = run(lambda: current_register(connection))
    changes = changes_of(folder, register, found.person_key())
    changed = [c for c in changes if c.what != "same"]
    rows = [{"what": c.what, "kind": c.entry.kind, "record": c.entry.record_id, "from": c.entry.where} for c in changed]
    show(rows, output, columns=["what", "kind", "record", "from"])
    for line in likely_slips((c.entry for c in changed), register, today=clock().date()):
        say(f"look again: {line}")
    staying = left_out(folder, register, found.person_key())
    if staying:
        say(f"{len(staying)} entries stand in the register and not in this folder; they stay in force:")
        say("\n".join(f"  {record_id}" for record_id in staying[:20]) + ("\n  ..." if len(staying) > 20 else ""))
        say("`safebus register end RECORD --execute --reason ...` ends one")
    if not execute:
        say(f"dry run: {len(changed)} of {len(changes)} entries would be written; --execute --reason ... does it")
        return
    records = as_records((c.entry for c in changed), at=clock(), by=by, reason=reason)
    offset = run(lambda: write_records(connection, records)) if records else None
    say(f"wrote {len(records)} entries" + (f"; they count from register offset {offset}" if records else ""))


@app.command(
    "end", epilog=example('safebus register end agreement/fordshire-encompass --execute --reason "it was terminated"')
)
def register_end(
    record_id: str = typer.Argument(..., help="as `safebus register show` lists it"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
) -> None:
    """End one entry from now on: an involvement, a subscription, an agreement. What was decided stays as it was."""
    from safebus.deploy.service import settings
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import ending_record, write_records

    needs_reason(execute, reason)
    found = settings.load()
    connection = found.connection()
    register = run(lambda: current_register(connection))
    record = ending_record(record_id, register, at=clock(), by=by, reason=reason)
    if not execute:
        say(f"dry run: {record.kind} `{record_id}` would end; --execute --reason ... does it")
        return
    offset = run(lambda: write_records(connection, [record]))
    say(f"ended; it no longer counts from register offset {offset}")


@app.command("show", epilog=example("safebus register show agreement/fordshire-encompass"))
def register_show(
    record_id: str = typer.Argument("", help="one record; default: a line for each"),
    output: Form = FORM,
) -> None:
    """Show what is in the register. People stand in it as tokens only."""
    from safebus.deploy.service import settings
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.store import body_of

    found = settings.load()
    register = run(lambda: current_register(found.connection()))
    entries = register.entries()
    if record_id and record_id not in entries:
        raise stop(USAGE, f"the register has no `{record_id}`; `safebus register show` lists all {len(entries)}")
    if record_id:
        typer.echo(body_of(entries[record_id][1]))
        return
    show(
        [{"kind": kind, "record": rid} for rid, (kind, _) in sorted(entries.items())],
        output,
        columns=["kind", "record"],
    )
    say(f"as of register offset {register.offset}")
