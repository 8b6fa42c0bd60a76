"""`safebus publish`: check events that stand in files, and publish them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.may_publish import ask_in_a_dry_run, has_its_topic
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import EXECUTE, REASON, ask_for, example, needs_reason
from safebus.deploy.service.terminal import say, tell

if TYPE_CHECKING:
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.events import Event

app = typer.Typer()


@app.command(
    epilog=example(
        "safebus publish EVENT.json --case MY-1", 'safebus publish EVENT.json --case MY-1 --execute --reason "trying"'
    )
)
def publish(
    files: list[Path] = typer.Argument(..., help="events as JSON, one a file"),
    case: str = typer.Option(
        ...,
        callback=ask_for("case"),
        help="your own reference of the case, or -: asked for; it leaves this process only as a keyed token",
    ),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Check events and publish them. Everything that does not fit is said before anything is sent."""
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.producers.event_check import checked_case
    from safebus.schemas.errors import BadInput

    needs_reason(execute, reason)
    checked_case(case)
    found = settings.load()
    events = _read(files)
    _say_who_is_unclear(events)
    agencies = sorted({e.publisher.agency for e in events})
    if len(agencies) != 1:
        raise BadInput(f"these files are of {', '.join(agencies)}; publish each agency's events by themselves")
    if not execute:
        ask_in_a_dry_run(found, agencies[0], lambda: found.case_secret(agencies[0]))
        say(f"dry run: {len(events)} events fit their schemas; --execute --reason ... publishes them")
        return
    has_its_topic(found, agencies[0])
    found.case_secret(agencies[0])
    put_on_record(found, Act("publish", tuple(e.event_id for e in events), reason))
    run(lambda: _publish(found, agencies[0], events, case))
    say("accepted by the broker; `safebus explain EVENT_ID` says what was decided")


def _read(files: list[Path]) -> list[Event]:
    from safebus.producers.event_check import checked
    from safebus.schemas.errors import BadInput
    from safebus.schemas.events import from_json
    from safebus.schemas.plain_text import bytes_of

    events: list[Event] = []
    problems: list[str] = []
    for file in files:
        try:
            data = bytes_of(file)
        except BadInput as exc:
            problems.append(str(exc))
            continue
        try:
            event = from_json(data)
            checked(event)
            events.append(event)
        except BadInput as exc:
            problems.append(f"`{file}`: {exc}")
    if problems:
        raise BadInput("\n".join(problems))
    return events


def _say_who_is_unclear(events: list[Event]) -> None:
    """It is published all the same: an alert that is lost costs more than one that somebody must ask about."""
    from safebus.streams.rules.told_apart import unclear_to_all

    for event in events:
        for who in unclear_to_all(event):
            say(
                f"warning: {event.event_id}: nobody will be able to tell who is meant by {who}; give an NHS number, a "
                "UPN, or the first name with two of family_name, date_of_birth, home_address. As it is, each who gets "
                "it is told to ring you"
            )


async def _publish(found: Settings, agency: str, events: list[Event], case: str) -> None:
    from safebus.producers.publisher import Publisher

    async with Publisher(found.connection(), agency=agency, case_secret=found.case_secret(agency)) as publisher:
        for accepted in await publisher.publish_all([(e, case) for e in events]):
            tell(f"{accepted.event_id} {accepted.topic} {accepted.partition} {accepted.offset}")
