"""`safebus audit`: everything about a span in one document, for a person to sign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli import reconcile, replay
from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.not_shown import not_shown
from safebus.deploy.cli.options import DONE, SOME, USAGE, example, parse_time, stop
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.consumers.audit.operations import OnRecord
    from safebus.consumers.audit.report import Report
    from safebus.consumers.audit.unrecorded import Unrecorded
    from safebus.consumers.audit.untold import Untold
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.own_records import Strange
    from safebus.streams.register.history import Step

app = typer.Typer(
    name="audit",
    help="Everything that an auditor asks, in one document.",
    no_args_is_help=True,
    epilog=example("safebus audit report --from 2026-11-01 --to 2026-12-01"),
)
GRACE: Final = timedelta(seconds=60)
#: A notice of a consent that has ended goes out within a minute or two, but one after another, and again where it was
#: not taken.
TOLD_WITHIN: Final = timedelta(minutes=15)


class Kind(StrEnum):
    """What a report is written as."""

    MARKDOWN = "markdown"
    JSON = "json"


@app.command("report", epilog=example("safebus audit report --from 2026-11-01 --to 2026-12-01"))
def audit_report(
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    output: Kind = typer.Option(Kind.MARKDOWN, "-o", "--output", help="markdown or json; the report goes to stdout"),
) -> None:
    """
    Write down what was looked at, what adds up, which decisions follow from the topics, and who changed and did what.

    `safebus reconcile`, `replay verify`, `register history` and `operations list` of one span, with what of each topic
    is still there, and a place to sign. Reads only. Exit code 3: something speaks against "all is well".
    """
    from safebus.consumers.audit.report import as_document, as_json
    from safebus.deploy.service import settings

    now = clock()
    start, end = parse_time(since, now - timedelta(days=1)), parse_time(until, now)
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    report = made(settings.load(), start, end, now)
    tell(json.dumps(as_json(report), indent=2) if output is Kind.JSON else as_document(report))
    doubts = report.doubts()
    for each in doubts or ["nothing speaks against what the bus says it did"]:
        say(each)
    raise typer.Exit(SOME if doubts else DONE)


def made(found: Settings, start: datetime, end: datetime, now: datetime) -> Report:
    """The report of a span, as whoever these settings are for is shown the bus."""
    from importlib.metadata import version

    from safebus.consumers.audit.coverage import coverage
    from safebus.consumers.audit.reconcile.reconcile import Asked
    from safebus.consumers.audit.report import Report
    from safebus.deploy.service.operations import writes_as
    from safebus.deploy.service.topic_plan import also_there, wanted
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.streams.worker.app import GROUP

    asked = Asked(since=start, until=end, grace=GRACE, group=GROUP)
    account, partners = run(lambda: reconcile.counted(found, asked, now=lambda: now))
    verified, _ = run(lambda: replay.verified(found, start, end))
    every, strange = run(lambda: _operations(found))
    steps, offset, alone = run(lambda: _register(found, start, end, every, now=now))
    former = also_there(partners, run(lambda: topics_there(found.connection())))
    return Report(
        since=start,
        until=end,
        made_at=now,
        by=writes_as(found),
        release=version("safebus"),
        register_offset=offset,
        hidden=not_shown(found, partners),
        covered=run(lambda: coverage(found.connection(), [*wanted(partners), *former])),
        account=account,
        verified=verified,
        steps=steps,
        operations=[one for one in every if start <= one.at < end],
        strange=strange,
        unrecorded=alone,
        untold=run(lambda: _untold(found, partners, now)),
    )


async def _register(
    found: Settings, start: datetime, end: datetime, acts: Sequence[OnRecord], *, now: datetime
) -> tuple[list[Step], int, list[Unrecorded]]:
    """What changed in the register in the span, the offset of its last record, and what no command is beside of."""
    from safebus.consumers.audit.unrecorded import unrecorded
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.register.history import history

    key = found.digest_key()
    reader = RegisterReader(found.connection(), key=key)
    await reader.start()
    try:
        every = list(history(reader.log, reader.taken_in))
        taken_in = {step.offset: step.at for step in every}
        alone = unrecorded(reader.log, taken_in, acts, since=start, until=end, now=now, key=key)
        return [step for step in every if start <= step.at < end], reader.now.offset, alone
    finally:
        await reader.stop()


async def _untold(found: Settings, partners: Sequence[str], now: datetime) -> list[Untold]:
    """A consent that has ended for less than a while may be told just now."""
    from safebus.consumers.audit.untold import untold
    from safebus.deploy.service.register_checks import consent_ended
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.register.history import offset_at

    key = found.digest_key()
    reader = RegisterReader(found.connection(), key=key)
    await reader.start()
    try:
        today, before = reader.now, reader.at(offset_at(reader.taken_in, now - TOLD_WITHIN))
    finally:
        await reader.stop()

    def ended(*, person: str, meaning: str, purpose: str, partner: str) -> str | None:
        word = today.deliveries_word(partner)
        if word is not None and word.pauses(now):
            return None  # on record as an operator's wish; it is told when that ends
        about = {"person": person, "meaning": meaning, "purpose": purpose, "partner": partner}
        # And it had by then: what was agreed to anew since is owed to nobody.
        return consent_ended(today, **about, now=now) and consent_ended(before, **about, now=now - TOLD_WITHIN)

    return await untold(found.connection(), partners, ended=ended, key=key)


async def _operations(found: Settings) -> tuple[list[OnRecord], list[Strange]]:
    from safebus.consumers.audit import operations

    strange: list[Strange] = []
    every = await operations.entries(found.connection(), trusted=found.issuers(), on_strange=strange.append)
    return every, strange
