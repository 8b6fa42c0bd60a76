"""`safebus register show`, `register history`: what stands in the register, what stood, and who changed it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FORM, USAGE, Form, example, parse_time, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.deploy.service.settings import Settings
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.register.history import Step
    from safebus.streams.register.store import Register

SHOW: Final = example(
    "safebus register show agreement/fordshire-encompass/v3",
    "safebus register show agreement/fordshire-encompass/v3 --at 2026-11-22T09:30",
)
HISTORY: Final = example(
    "safebus register history agreement/fordshire-encompass/v3",
    "safebus register history --from 2026-11-22 -o json",
)


def register_show(
    record_id: str = typer.Argument("", help="one record; default: a line for each"),
    at: str = typer.Option("", "--at", help="as it stood then: a register offset, or a time; default: now"),
    output: Form = FORM,
) -> None:
    """Show what is in the register. People stand in it as tokens only."""
    from safebus.deploy.service import settings
    from safebus.streams.register import dressing
    from safebus.streams.register.store import body_of

    found = settings.load()
    register = run(lambda: _as_of(found, at))
    entries = register.entries()
    key = found.key_if_any()
    record_id = dressing.plain_id(record_id, key) if key else record_id
    if record_id and record_id not in entries:
        then, how = (f" as of offset {register.offset}", f" --at {at}") if at else ("", "")
        lists = f"`safebus register show{how}` lists all {len(entries)}"
        raise stop(USAGE, f"the register{then} has no `{record_id}`; {lists}")
    if record_id:
        tell(json.dumps(json.loads(body_of(entries[record_id][1])), indent=2))
        return
    show(
        [{"kind": kind, "record": rid} for rid, (kind, _) in sorted(entries.items())],
        output,
        columns=["kind", "record"],
    )
    say(f"as of register offset {register.offset}")


async def _as_of(found: Settings, at: str) -> Register:
    from safebus.streams.register.history import offset_at

    async with _whole(found) as reader:
        if not at:
            return reader.now
        if at.isdecimal():
            offset = int(at)
            if offset > reader.now.offset:
                raise stop(USAGE, f"--at {at}: the register ends at offset {reader.now.offset}")
        else:
            offset = offset_at(reader.taken_in, parse_time(at, clock()))
        return reader.at(offset)


@asynccontextmanager
async def _whole(found: Settings) -> AsyncIterator[RegisterReader]:
    from safebus.streams.register.follow import RegisterReader

    reader = RegisterReader(found.connection(), key=found.key_if_any())
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


def register_history(
    record_id: str = typer.Argument("", help="one record; default: all of them"),
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: from the beginning"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    output: Form = FORM,
) -> None:
    """
    Say who changed what in the register, when and why, in order; also what stood for a minute only.

    Each change with the offset that decisions name. `-o json` shows the entries before and after.
    """
    from safebus.deploy.service import settings
    from safebus.streams.register import dressing
    from safebus.streams.register.history import history

    start, end = parse_time(since, datetime.min.replace(tzinfo=UTC)), parse_time(until, clock() + timedelta(minutes=1))
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    found = settings.load()
    key = found.key_if_any()
    record_id = dressing.plain_id(record_id, key) if key else record_id

    async def main() -> list[Step]:
        async with _whole(found) as reader:
            return list(history(reader.log, reader.taken_in))

    every = run(main)
    steps = [step for step in every if record_id in ("", step.record.record_id)]
    if not steps and record_id:
        raise stop(USAGE, f"the register never had `{record_id}`; `safebus register show` lists what it has")
    steps = [step for step in steps if start <= step.at < end]
    rows = [_row(step, whole=output is Form.JSON) for step in steps]
    show(rows, output, columns=["offset", "at", "record", "what", "stood", "fields", "by", "reason"])
    say(f"{len(steps)} of {len(every)} records of the register")


def _row(step: Step, *, whole: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "offset": step.offset,
        "at": step.at.isoformat(timespec="seconds"),
        "record": step.record.record_id,
        "what": str(step.what),
        "stood": "" if step.stood is None else str(timedelta(seconds=step.stood // timedelta(seconds=1))),
        "fields": ", ".join(step.fields),
        "by": step.record.recorded_by,
        "reason": step.record.reason,
    }
    if whole:
        row |= {"kind": step.record.kind, "fields": [*step.fields], "before": step.before, "after": step.after}
    return row
