"""`safebus reconcile`: was any event lost, doubled or sent undecided?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.not_shown import say_what_is_not_shown
from safebus.deploy.cli.options import DONE, FORM, SOME, USAGE, Form, example, parse_time, stop
from safebus.deploy.cli.output import progress, show
from safebus.deploy.service.terminal import cell, clock, say, tell

if TYPE_CHECKING:  # everything else is imported when it is needed: `--help` answers at once
    from safebus.consumers.audit.reconcile.balance import Account, AgencyCount
    from safebus.consumers.audit.reconcile.reconcile import Asked
    from safebus.deploy.service.settings import Settings

app = typer.Typer()


_AGENCY = ["published", "decided", "set_aside", "repeats", "waiting", "lost", "permitted", "refused", "undecided"]
_PARTNER = ["permitted", "on_topic", "in_flight", "not_sent", "expired"]
_BECAME = ["handed_over", "waiting", "held", "parked", "stopped", "no_receipt", "told", "not_told"]
_ROW = ["kind", "who", "name", "number", "id", "event_id", "where", "what", "to_do"]


@app.command(epilog=example("safebus reconcile --from 2026-11-22T00:00 --to 2026-11-23T00:00"))
def reconcile(
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    grace: float = typer.Option(60.0, "--grace", min=0, help="seconds that a notification may take after its decision"),
    output: Form = FORM,
) -> None:
    """Count events end to end and name each that was lost, doubled or sent undecided. Reads only; exit code 3: some."""
    from safebus.consumers.audit.reconcile.reconcile import Asked
    from safebus.consumers.audit.reconcile.words import as_json, in_words
    from safebus.deploy.service import settings
    from safebus.streams.worker.app import GROUP

    found = settings.load()
    now = clock()
    asked = Asked(
        since=parse_time(since, now - timedelta(days=1)),
        until=parse_time(until, now),
        grace=timedelta(seconds=grace),
        group=GROUP,
    )
    if asked.since >= asked.until:
        raise stop(USAGE, f"--from {asked.since.isoformat()} is not before --to {asked.until.isoformat()}; swap them")
    account, partners = run(lambda: counted(found, asked))
    if output is Form.JSON:
        span = {"from": asked.since.isoformat(), "to": asked.until.isoformat()}
        tell(json.dumps(span | as_json(account), indent=2))
    elif output is Form.CSV:
        show(_as_rows(account), output, columns=_ROW)
    else:
        _tables(account)
    for each in in_words(account):
        say(each)
    hidden = say_what_is_not_shown(found, partners)
    raise typer.Exit(DONE if account.adds_up() and not hidden else SOME)


async def counted(found: Settings, asked: Asked, *, now: Callable[[], datetime] = clock) -> tuple[Account, list[str]]:
    """What was counted, and the partners of the register, which says where each is delivered to."""
    from safebus.consumers.audit.operations import entries
    from safebus.consumers.audit.reconcile.by_hand import ByHand
    from safebus.consumers.audit.reconcile.places import places_of
    from safebus.consumers.audit.reconcile.reconcile import reconcile as count
    from safebus.schemas import topics
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.register.history import history

    key, connection = found.digest_key(), found.connection()
    bar, advance = progress("records read")
    # With another bus's key everything would be somebody's fault.
    reader = RegisterReader(connection, key=key)
    await reader.start()
    try:
        partners = list(reader.now.partners)
        places = places_of(history(reader.log, reader.taken_in), key)
    finally:
        await reader.stop()
    by_hand = None
    if topics.OPERATIONS in await topics_there(connection):
        read_at = now()
        by_hand = ByHand(await entries(connection, trusted=found.issuers()), until=read_at)
    known = replace(asked, registered=frozenset(partners), places=places, by_hand=by_hand)
    with bar:
        return await count(connection, known, key=key, clock=now, progress=advance), partners


def _as_rows(account: Account) -> list[dict[str, Any]]:
    """One count or finding a row, so that a spreadsheet can filter them."""
    rows: list[dict[str, Any]] = []
    for name, agency in sorted(account.agencies.items()):
        counts = {**vars(agency), "set_aside": agency.set_aside.total()}
        counts |= {f"set_aside {reason}": n for reason, n in sorted(agency.set_aside.items())}
        rows += [{"kind": "agency", "who": name, "name": what, "number": n} for what, n in counts.items()]
    for name, partner in sorted(account.partners.items()):
        rows += [{"kind": "partner", "who": name, "name": what, "number": n} for what, n in vars(partner).items()]
    findings = [{**vars(f), "to_do": f.to_do} for f in account.findings]
    return rows + [{"kind": "finding", "name": f["code"], "number": 1, **f} for f in findings]


def _tables(account: Account) -> None:
    agencies = _with_total({name: _agency(a) for name, a in account.agencies.items()})
    partners = _with_total({name: Counter(vars(p)) for name, p in account.partners.items()})
    show(agencies, Form.TABLE, columns=["agency", *_AGENCY])
    for reason, n in sorted(sum((a.set_aside for a in account.agencies.values()), Counter[str]()).items()):
        tell(f"  set aside as {cell(reason)}: {n}")
    tell("")
    show([{**row, "partner": row["agency"]} for row in partners], Form.TABLE, columns=["partner", *_PARTNER, *_BECAME])
    for code, findings in groupby(account.findings, key=lambda f: f.code):
        tell("")
        for f in findings:
            event = f", event {f.event_id}" if f.event_id not in ("", f.id) else ""
            # Ids are whatever stands in a record: a line of its own would be a finding of its own.
            tell(cell(f"{code}  {f.id}{event}{', ' + f.who if f.who else ''}, at {f.where}: {f.what}"))
        tell(f"    what to do: {f.to_do}")


def _agency(agency: AgencyCount) -> Counter[str]:
    return Counter({**vars(agency), "set_aside": agency.set_aside.total()})


def _with_total(counts: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    total: Counter[str] = Counter()
    for one in counts.values():
        total.update(one)
    return [{"agency": name, **one} for name, one in [*sorted(counts.items()), ("all", total)]]
