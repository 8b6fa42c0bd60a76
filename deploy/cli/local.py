"""`safebus demo`, `up` and `doctor`: a bus on this machine."""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FAILED, SOME, example, stop
from safebus.deploy.service.terminal import tell

app = typer.Typer()


BROKER = typer.Option("embedded", "--broker", help="embedded (in memory, no Java) or kafka (Apache Kafka)")


@app.command(epilog=example("safebus demo --broker kafka --keep demo-files"))
def demo(
    broker: str = BROKER,
    keep: Path | None = typer.Option(None, "--keep", help="keep everything that was written, in this folder"),
) -> None:
    """Show the whole bus at work: one family, ten agencies, and what each of them learns."""
    from safebus.deploy.local.demo.demonstrate import demonstrate

    code = run(lambda: demonstrate(broker, keep=keep))
    if code:
        raise stop(code)


@app.command(epilog=example("safebus up", "safebus up --broker kafka --register FOLDER"))
def up(
    broker: str = BROKER,
    register: Path | None = typer.Option(
        None, "--register", help="register folder to load; default: the demonstration's"
    ),
    broker_only: bool = typer.Option(False, "--broker-only", help="start the broker and nothing else"),
) -> None:
    """Start a bus on this machine: broker, topics, register, worker, and a drop folder for each partner."""
    from safebus.deploy.local.up import stay_up

    stay_up(broker, register=register, broker_only=broker_only)


@app.command(epilog=example("safebus doctor"))
def doctor() -> None:
    """Look at this machine and this bus, and say what is missing."""
    from safebus.deploy.local.doctor import examine

    found = run(examine)
    for check in found:
        tell(f"{'ok     ' if check.fine else 'MISSING'}  {check.what}: {check.found}")
        if not check.fine:
            tell(f"         {check.to_do}")
    if not all(check.fine for check in found):
        raise stop(FAILED if any(not check.fine and check.needed for check in found) else SOME)
