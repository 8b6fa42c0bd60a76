"""`safebus import`: turn messages of the NHS into events of the bus."""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import DONE, EXECUTE, REASON, SOME, USAGE, example, needs_reason, stop
from safebus.deploy.service.terminal import cell, clock, say, tell

app = typer.Typer()


@app.command(
    "import",
    epilog=example(
        "safebus import mns SIGNAL.json", 'safebus import nems MESSAGE.xml --execute --reason "the backlog of Monday"'
    ),
)
def import_(
    kind: str = typer.Argument(..., help="mns (FHIR signals and CloudEvents, JSON) or nems (FHIR messages, XML)"),
    files: list[Path] = typer.Argument(..., help="one message a file"),
    agency: str = typer.Option("nhs-england", help="the agency that publishes them"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Turn NHS events into identity events and publish them; what cannot be taken goes to quarantine with a reason."""
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.producers.importers.sending import Sink, import_all

    needs_reason(execute, reason)
    if kind not in ("mns", "nems"):
        raise stop(USAGE, f"`{kind}` is no kind of import; expected mns or nems")
    found = settings.load()
    data = {file.name: file.read_bytes() for file in files}
    to = None
    if execute:
        put_on_record(found, Act("import", (kind, agency), reason, number=len(data)))
        to = Sink(found.connection(), found.case_secret(agency), found.seal_public())
    lines = run(lambda: import_all(kind, data, agency=agency, to=to, now=clock()))
    for line in lines:
        tell(cell(f"{line.file}  {line.outcome}  {line.detail}"))
    set_aside = sum(line.event_id is None for line in lines)
    if not execute:
        say(
            f"dry run: {len(lines) - set_aside} would be published, {set_aside} quarantined; "
            "--execute --reason ... does it"
        )
    raise typer.Exit(SOME if set_aside else DONE)
