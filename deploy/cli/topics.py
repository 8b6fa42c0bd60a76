"""`safebus topics`: which topics should there be, and which are missing?"""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, Form, example, needs_reason
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import say

app = typer.Typer(
    name="topics",
    help="The topics that the register asks for.",
    no_args_is_help=True,
    epilog=example("safebus topics plan"),
)


FOLDER = typer.Option(None, "--register", help="take the partners from this folder instead of the register")


@app.command("plan", epilog=example("safebus topics plan -o csv"))
def topics_plan(register: Path | None = FOLDER, output: Form = FORM) -> None:
    """Say which topics there should be and which are missing."""
    _topics(register, output, execute=False)


@app.command("apply", epilog=example('safebus topics apply --execute --reason "Beech Primary joins"'))
def topics_apply(
    register: Path | None = FOLDER, output: Form = FORM, execute: bool = EXECUTE, reason: str = REASON
) -> None:
    """Create the missing topics."""
    needs_reason(execute, reason)
    _topics(register, output, execute=execute)


def _topics(folder: Path | None, output: Form, *, execute: bool) -> None:
    from safebus.deploy.local.brokers.kafka_topics import ensure_topics
    from safebus.deploy.service import settings, topic_plan
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.streams.register import write as registrar
    from safebus.streams.register.store import Register

    found = settings.load()
    connection = found.connection()
    there = run(lambda: topics_there(connection))
    if folder is not None:
        wanted = topic_plan.wanted(
            topic_plan.partners_of(c.entry for c in registrar.plan(folder, Register(), found.person_key()))
        )
    else:
        wanted = topic_plan.wanted_by(run(lambda: registrar.current(connection)))
    rows = [
        {
            "topic": t.name,
            "partitions": t.partitions,
            "kept_days": "for ever" if t.kept_ms < 0 else t.kept_ms // 86_400_000,
            "written_by": t.written_by,
            "read_by": t.read_by,
            "state": "create"
            if t.name not in there
            else "same"
            if there[t.name] >= t.partitions
            else f"has {there[t.name]} partitions",
        }
        for t in wanted
    ]
    show(rows, output, columns=["topic", "partitions", "kept_days", "written_by", "read_by", "state"])
    missing = [t for t in wanted if t.name not in there]
    if execute:
        client = {"bootstrap.servers": connection.bootstrap}
        ensure_topics(client, {t.name: t.partitions for t in missing}, configs={t.name: t.config() for t in missing})
        say(f"created {len(missing)} topics")
    elif missing:
        say(f"dry run: {len(missing)} topics would be created; --execute --reason ... does it")
