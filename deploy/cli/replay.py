"""`safebus replay`: do the decisions on record follow from the topics?"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.not_shown import say_what_is_not_shown
from safebus.deploy.cli.options import DONE, FORM, SOME, USAGE, Form, example, parse_time, stop
from safebus.deploy.cli.output import progress, show
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.consumers.audit.replay.findings import Verified
    from safebus.deploy.service.settings import Settings

app = typer.Typer(
    name="replay", help="Make decisions again.", no_args_is_help=True, epilog=example("safebus replay verify")
)


@app.command("verify", epilog=example("safebus replay verify --from 2026-11-22T00:00 --to 2026-11-23T00:00"))
def replay_verify(
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    output: Form = FORM,
) -> None:
    """Make every decision of a span again from the topics, and compare byte for byte. Sends nothing."""
    from safebus.deploy.service import settings

    found = settings.load()
    now = clock()
    start, end = parse_time(since, now - timedelta(days=1)), parse_time(until, now + timedelta(minutes=1))
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    done, partners = run(lambda: verified(found, start, end))
    _tell(done, output)
    hidden = say_what_is_not_shown(found, partners)
    raise typer.Exit(SOME if done.differences or not done.decisions or hidden else DONE)


async def verified(found: Settings, start: datetime, end: datetime) -> tuple[Verified, list[str]]:
    """What was verified, and the partners of the register."""
    from safebus.consumers.audit.replay.verify import verify
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.schemas.event_schemas import event_schemas
    from safebus.streams.register.follow import RegisterReader

    connection = found.connection()
    bar, advance = progress("decisions made again")
    key = found.person_key()
    reader = RegisterReader(connection, key=key)
    await reader.start()
    try:
        with bar:
            done = await verify(
                connection,
                since=start,
                until=end,
                register=reader,
                key=key,
                schemas=event_schemas(),
                rules_digest=rules_digest(),
                progress=advance,
            )
        return done, list(reader.now.partners)
    finally:
        await reader.stop()


def _tell(done: Verified, output: Form) -> None:
    rows = [{"event_id": d.event_id, "what": d.what} for d in done.differences]
    if output is Form.JSON:
        tell(json.dumps({**vars(done), "differences": rows}, indent=2))
    else:
        show(rows, output, columns=["event_id", "what"])
    say(
        f"{done.identical} of {done.decisions} decisions and {done.outputs_identical} of {done.outputs} "
        f"notifications are identical, byte for byte; {done.other_rules} were decided by other rules than today's"
    )
    if done.not_listed:
        say(f"{done.not_listed} more differences are counted and not listed; a shorter span lists them")
    if not done.decisions:
        say("there is no decision in that span: nothing was verified")
