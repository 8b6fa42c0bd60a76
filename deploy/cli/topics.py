"""`safebus topics`: which topics should there be, which are missing, and which are not as they should be?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.kept import IN_MEMORY
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import EXECUTE, FAILED, FORM, REASON, SOME, Form, example, needs_reason, stop
from safebus.deploy.cli.output import show
from safebus.deploy.service.terminal import say

if TYPE_CHECKING:
    from safebus.deploy.service.settings import Settings
    from safebus.deploy.service.topic_plan import Drift
    from safebus.schemas.topics import Topic

app = typer.Typer(
    name="topics",
    help="The topics that the register asks for.",
    no_args_is_help=True,
    epilog=example("safebus topics plan"),
)

_COLUMNS = ("topic", "partitions", "kept_days", "written_by", "read_by", "state")
FOLDER = typer.Option(None, "--register", help="take the partners from this folder instead of the register")


@app.command("plan", epilog=example("safebus topics plan -o csv"))
def topics_plan(register: Path | None = FOLDER, output: Form = FORM) -> None:
    """Say which topics there should be, which are missing or not as they should be (exit code 3: some)."""
    _topics(register, output, execute=False)


@app.command("apply", epilog=example('safebus topics apply --execute --reason "Beech Primary joins"'))
def topics_apply(
    register: Path | None = FOLDER, output: Form = FORM, execute: bool = EXECUTE, reason: str = REASON
) -> None:
    """Create the missing topics, and mend the settings of those that are not as they should be."""
    needs_reason(execute, reason)
    _topics(register, output, execute=execute, reason=reason)


def _topics(folder: Path | None, output: Form, *, execute: bool, reason: str = "") -> None:
    from safebus.deploy.service import settings, topic_plan
    from safebus.deploy.service.operations import Act
    from safebus.schemas.kafka.admin import change_settings, settings_of
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.schemas.topics import OPERATIONS

    found = settings.load()
    connection, client = found.connection(), found.admin_client()
    there = run(lambda: topics_there(connection))
    wanted = _wanted(found, folder)
    shown = settings_of(client, [t.name for t in wanted if t.name in there])
    drift = topic_plan.drifted(wanted, there, shown)
    show([_row(topic, there, drift, has_settings=shown is not None) for topic in wanted], output, columns=_COLUMNS)
    if shown is None:
        say(f"every topic is kept {IN_MEMORY}")
    missing = [t for t in wanted if t.name not in there]
    to_mend: dict[str, dict[str, str]] = {}
    for one in drift:
        if one.can_be_mended:
            to_mend.setdefault(one.topic, {})[one.setting] = one.expected
    cannot = ""
    if missing and shown is None:
        names = ", ".join(t.name for t in missing)
        cannot = f"the embedded broker makes no topics once it runs: start it with these ({names})"
    if execute:
        if cannot:
            raise stop(FAILED, cannot)
        # First the one that says who made the others.
        first = [t for t in missing if t.name == OPERATIONS]
        _make(client, first)
        if missing or to_mend:
            about = (*(t.name for t in missing), *to_mend)
            put_on_record(found, Act("topics apply", about, reason))
        _make(client, [t for t in missing if t not in first])
        change_settings(client, to_mend)
        say(f"created {len(missing)} topics, mended {len(to_mend)}")
        missing, drift = [], [one for one in drift if not one.can_be_mended]
    elif cannot:
        say(cannot)
    elif missing or to_mend:
        would = f"{len(missing)} topics would be created and {len(to_mend)} mended"
        say(f"dry run: {would}; --execute --reason ... does it")
    if missing or drift:
        raise stop(SOME, "\n".join(f"{d.topic}: {d}" for d in drift))


def _make(client: Mapping[str, str], missing: Sequence[Topic]) -> None:
    from safebus.schemas.kafka.admin import ensure_topics

    ensure_topics(client, {t.name: t.partitions for t in missing}, configs={t.name: t.config() for t in missing})


def _wanted(found: Settings, folder: Path | None) -> list[Topic]:
    from safebus.deploy.service import key_files, topic_plan
    from safebus.streams.register.changes import changes_of
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.store import Register

    if folder is None:
        return topic_plan.wanted_by(run(lambda: current_register(found.connection())))
    entries = (change.entry for change in changes_of(folder, Register(), key_files.any_key()))
    return topic_plan.wanted(topic_plan.partners_of(entries))


def _row(topic: Topic, there: Mapping[str, int], drift: Sequence[Drift], *, has_settings: bool) -> dict[str, object]:
    kept: str | int = "for ever" if topic.kept_ms < 0 else topic.kept_ms // 86_400_000
    mine = [f"{d.setting} is {d.found}, not {d.expected}" for d in drift if d.topic == topic.name]
    state = "create" if topic.name not in there else "; ".join(mine) or "same"
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "kept_days": kept if has_settings else "until it ends",
        "written_by": topic.written_by,
        "read_by": topic.read_by,
        "state": state,
    }
