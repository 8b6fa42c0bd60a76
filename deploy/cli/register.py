"""`safebus register`: load, show and end what decisions rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli import register_shown
from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import SECOND, write_to_register
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, USAGE, Form, example, needs_reason, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.schemas.bus_records import RegisterRecord

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
    confirm: list[str] = typer.Option([], "--confirm", metavar="NAME", help="what is meant as it stands; repeatable"),
    second: str = SECOND,
) -> None:
    """Check a register folder and write what changes. Every problem is named with file and line."""
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.uk_day import uk_day
    from safebus.streams.register.changes import changes_of, left_out, likely_slips, not_read
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.to_confirm import confirmed, to_confirm
    from safebus.streams.register.write import as_records

    needs_reason(execute, reason)
    found = settings.load()
    connection, key = found.connection(), found.person_key()
    register = run(lambda: current_register(connection, key=key))
    changes = changes_of(folder, register, key, now=clock())
    changed = [c for c in changes if c.what != "same"]
    rows = [{"what": c.what, "kind": c.entry.kind, "record": c.entry.record_id, "from": c.entry.where} for c in changed]
    show(rows, output, columns=["what", "kind", "record", "from"])
    if unread := not_read(folder):
        say(f"not read, as they are no YAML: {', '.join(unread)}")
    for line in likely_slips((c.entry for c in changed), register, today=uk_day(clock())):
        say(f"look again: {line}")
    asked = to_confirm((c.entry for c in changed), register, event_schemas())
    meant = confirmed(asked, confirm)
    for one in asked:
        say(f"{'confirmed' if one.name in confirm else 'to be confirmed'}: {one.name}\n  {one.says}")
    staying = left_out(folder, register, key)
    if staying:
        say(f"{len(staying)} entries stand in the register and not in this folder; they stay in force:")
        say("\n".join(f"  {record_id}" for record_id in staying[:20]) + ("\n  ..." if len(staying) > 20 else ""))
        say("`safebus register end RECORD --execute --reason ...` ends one")
    if not execute:
        say(f"dry run: {len(changed)} of {len(changes)} entries would be written; --execute --reason ... does it")
        return
    open_still = [one.name for one in asked if one.name not in confirm]
    if open_still:
        lines = "\n".join(f'  --confirm "{name}"' for name in open_still)
        raise stop(USAGE, f"nothing was written: this must be said by name; if it is meant, add\n{lines}")
    records = as_records((c.entry for c in changed), at=clock(), by=by, reason=reason, confirmed=meant)
    offset = None
    if records:
        act = Act("register load", tuple(record.record_id for record in records), reason)
        offset = write_to_register(found, register, records, act, key=key, second=second)
    say(f"wrote {len(records)} entries" + (f"; they count from register offset {offset}" if records else ""))


@app.command(
    "end",
    epilog=example('safebus register end agreement/fordshire-encompass/v3 --execute --reason "terminated"'),
)
def register_end(
    record_id: str = typer.Argument(..., help="as `safebus register show` lists it"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """End one entry from now on: an involvement, a subscription, an agreement. What was decided stays as it was."""
    from safebus.streams.register.write import ending_record

    asked = _Asked("register end", record_id, execute=execute, reason=reason, by=by, second=second)
    _write_one(asked, ending_record, "end", "ended; it no longer counts")


@app.command(
    "revive",
    epilog=example('safebus register revive agreement/fordshire-encompass/v3 --execute --reason "ended by mistake"'),
)
def register_revive(
    record_id: str = typer.Argument(..., help="as it was called when it was ended"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """Bring back an entry that was ended, as it stood then. Loading a folder never does."""
    from safebus.streams.register.write import reviving_record

    asked = _Asked("register revive", record_id, execute=execute, reason=reason, by=by, second=second)
    _write_one(asked, reviving_record, "come back", "written; it counts")


@app.command("lift", epilog=example('safebus register lift partner/haven --execute --reason "the breach was closed"'))
def register_lift(
    record_id: str = typer.Argument(..., help="a suspended partner, as `safebus register show` lists it"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """Lift the suspension of a partner. Loading a folder never does."""
    from safebus.streams.register.write import lifting_record

    asked = _Asked("register lift", record_id, execute=execute, reason=reason, by=by, second=second)
    _write_one(asked, lifting_record, "no longer be suspended", "written; it counts")


@dataclass(frozen=True)
class _Asked:
    """One entry that is to be changed, and what was typed about it."""

    what: str
    record_id: str
    _: KW_ONLY
    execute: bool
    reason: str
    by: str
    second: str


def _write_one(asked: _Asked, record_of: Callable[..., RegisterRecord], would: str, done: str) -> None:
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.streams.register import dressing
    from safebus.streams.register.follow import current_register

    needs_reason(asked.execute, asked.reason)
    found = settings.load()
    connection, key = found.connection(), found.person_key()
    register = run(lambda: current_register(connection, key=key))
    record = record_of(dressing.plain_id(asked.record_id, key), register, at=clock(), by=asked.by, reason=asked.reason)
    if not asked.execute:
        say(f"dry run: {record.kind} `{asked.record_id}` would {would}; --execute --reason ... does it")
        return
    act = Act(asked.what, (record.record_id,), asked.reason)
    offset = write_to_register(found, register, [record], act, key=key, second=asked.second)
    say(f"{done} from register offset {offset}")


@app.command("diff", epilog=example("safebus register diff FOLDER", "safebus register diff FOLDER --on 2027-01-01"))
def register_diff(
    folder: Path = typer.Argument(..., help="folder of YAML files"),
    on: str = typer.Option("", "--on", help="the day to compare, such as 2027-01-01; default: today"),
) -> None:
    """Say in words what loading a folder would change: who gains, who loses, and of whom."""
    from safebus.deploy.service import settings
    from safebus.schemas.uk_day import uk_day
    from safebus.streams.register.changes import changes_of
    from safebus.streams.register.differences import differences
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import register_after

    try:
        day = date.fromisoformat(on) if on else uk_day(clock())
    except ValueError:
        raise stop(USAGE, f"`--on {on}` is no day; write it as 2027-01-01") from None
    found = settings.load()
    connection, key = found.connection(), found.person_key()
    register = run(lambda: current_register(connection, key=key))
    changes = changes_of(folder, register, key, now=clock())
    after = register_after(register, (c.entry for c in changes if c.what != "same"), at=clock())
    lines = differences(register, after, day)
    tell("\n".join(lines) or f"on {day} nobody would gain or lose anything by an agreement")
    others = Counter(c.entry.kind for c in changes if c.what != "same" and c.entry.kind not in ("agreement", "partner"))
    if others:
        kinds = ", ".join(f"{number} of {kind}" for kind, number in sorted(others.items()))
        say(f"not compared, though they decide who hears of whom: {kinds}; `safebus policy try` shows what they change")


app.command("show", epilog=register_shown.SHOW)(register_shown.register_show)
app.command("history", epilog=register_shown.HISTORY)(register_shown.register_history)
