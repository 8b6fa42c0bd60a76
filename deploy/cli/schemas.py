"""`safebus schemas`: list, print, check and release the schemas of events."""

from __future__ import annotations

import json

import typer

from safebus.deploy.cli.options import EXECUTE, FAILED, FORM, Form, example
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import say, tell

app = typer.Typer(
    name="schemas",
    help="The schemas of events, and what a value under each begins with; alone, it lists them.",
    invoke_without_command=True,
    epilog=example("safebus schemas"),
)


@app.callback()
def schemas(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        schemas_list(Form.TABLE)


@app.command("list", epilog=example("safebus schemas list -o json"))
def schemas_list(output: Form = FORM) -> None:
    """List the event types, the fingerprints that bytes may come in, and the 10 bytes that a value begins with."""
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.events import EVENT_CLASSES

    found = event_schemas()
    rows = [
        {
            "code": EVENT_CLASSES[s.event_type].CODE,
            "event_type": s.event_type,
            "version": s.version,
            "fingerprint": s.fingerprint.hex(),
            "leaves": len(s.leaves),
            "begins": _begins(s.fingerprint),
        }
        for s in sorted(found.by_fingerprint.values(), key=lambda s: (s.event_type, s.version))
    ]
    show(rows, output, columns=["code", "event_type", "version", "fingerprint", "leaves", "begins"])


@app.command("show", epilog=example("safebus schemas show police.encompass.v1"))
def schemas_show(event_type: str = typer.Argument(...)) -> None:
    """Print the whole Avro schema of an event type, for any Avro library; and what a value of it begins with."""
    from safebus.schemas.event_schemas import event_schemas

    schema = event_schemas().of(event_type)
    tell(json.dumps(schema.raw, indent=2))
    say(f"a value of it begins with {_begins(schema.fingerprint)}, whatever your library works out; the event follows")


def _begins(fingerprint: bytes) -> str:
    """In hexadecimal; by itself, because this is said without loading what reads and writes Avro."""
    return "c301" + fingerprint.hex()


@app.command("check", epilog=example("safebus schemas check"))
def schemas_check() -> None:
    """May the schemas here replace those that were released? Says why not."""
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.evolution import problems

    found = problems(event_schemas())
    for line in found:
        tell(line)
    if found:
        raise typer.Exit(FAILED)
    say("every schema is released, classified, and reads all that came before it")


@app.command("release", epilog=example("safebus schemas release --execute"))
def schemas_release(execute: bool = EXECUTE) -> None:
    """Freeze the current schemas as the next version, if they may replace the older ones. In a checkout only."""
    from safebus.schemas.releasing import release

    for line in release(execute=execute):
        tell(line)
