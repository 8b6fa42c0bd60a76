"""`safebus deliveries`: what became of each, what is a partner owed, and how does it get it after all?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli import made_again, one_delivery
from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.hands import of_parked
from safebus.deploy.cli.options import (
    EXECUTE,
    FORM,
    REASON,
    USAGE,
    Form,
    example,
    needs_reason,
    parse_time,
    stop,
)
from safebus.deploy.cli.output import show
from safebus.deploy.cli.redriving import (
    ALTHOUGH_PAUSED,
    DESTINATIONS,
    refused_last,
    say_dry,
    send_again,
    would_be_sent,
)
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safebus.consumers.audit.in_hand import InHand
    from safebus.consumers.delivery.parked import Parked

app = typer.Typer(
    name="deliveries",
    help="What became of deliveries; send some or all of them again.",
    no_args_is_help=True,
    epilog=example("safebus deliveries again haven --from 2026-11-22T00:00"),
)


@app.command(
    "list",
    epilog=example(
        "safebus deliveries list ash-primary",
        "safebus deliveries list ash-primary --stage WAITING -o json",
        "safebus deliveries list ash-primary --unclear",
    ),
)
def deliveries_list(
    partner: str = typer.Argument(...),
    since: str | None = typer.Option(None, "--from", help="last receipt since, ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    stage: str = typer.Option("", "--stage", help="HANDED_OVER, WAITING, HELD, PARKED, STOPPED or NOTICE_HANDED_OVER"),
    answer: str = typer.Option("", "--answer", help="what the partner answered last, such as 403 or 23514"),
    unclear: bool = typer.Option(
        False, "--unclear", help="only what does not say to the partner which person is meant, of what its topic keeps"
    ),
    output: Form = FORM,
) -> None:
    """List the deliveries to a partner by their last receipt, oldest first; and what each waits for."""
    from safebus.consumers.audit import owed
    from safebus.consumers.audit.waits import Delivery, known_standings, waits_for
    from safebus.deploy.service import settings
    from safebus.schemas.bus_records import Stage
    from safebus.schemas.errors import NotReachable
    from safebus.schemas.nearest import or_the_known
    from safebus.streams.register.follow import current_register

    if stage and stage not in Stage.__members__:
        raise stop(USAGE, f"there is no stage `{stage}`{or_the_known(stage, Stage.__members__)}")
    start, end = parse_time(since, clock() - timedelta(days=1)), parse_time(until, clock())
    connection = settings.load().connection()
    found = run(lambda: owed.last_receipts(connection, partner, since=start, until=end))
    register = run(lambda: current_register(connection))
    standing = run(lambda: known_standings(connection, register, [partner], now=clock())).get(partner)
    try:
        left_out = run(lambda: owed.without_receipt(connection, partner))
    except NotReachable as exc:
        say(f"how many have no receipt yet is not known: {exc}")
        left_out = []
    before = 0 if standing is None else sum(each.at < start for each in standing.open)
    if unclear:
        asked = run(lambda: owed.unclear(connection, partner, since=start - made_again.DECIDED_BEFORE))
        found = [each for each in found if each.notification_id in asked]
    rows = [
        {
            "notification_id": each.notification_id,
            "event_id": each.event_id,
            "stage": each.stage.value,
            "at": each.at.isoformat(timespec="seconds"),
            "attempt": each.attempt,
            "answer": each.answer,
            "reason": each.reason,
            "waits_for": waits_for(Delivery(each.notification_id, partner, each), standing, now=clock()) or "",
        }
        for each in found
        if stage in ("", each.stage) and answer in ("", each.answer)
    ]
    columns = ["notification_id", "event_id", "stage", "at", "attempt", "answer", "reason", "waits_for"]
    show(rows, output, columns=columns)
    if left_out:
        say(
            f"not listed, for they have no receipt yet: {len(left_out)} on the topic of {partner}, such as "
            f"{left_out[0]}; `safebus deliveries show` says what one waits for"
        )
    if before:
        say(f"not listed, for their last receipt is older than --from: {before} that are not dealt with")


app.command("show", epilog=one_delivery.EXAMPLE)(one_delivery.deliveries_show)


@app.command(
    "redrive",
    epilog=example(
        "safebus deliveries redrive ash-primary --answer 403 --destinations destinations.yaml",
        "safebus deliveries redrive ash-primary --answer 403 --destinations destinations.yaml "
        '--execute --reason "their firewall was mended"',
    ),
)
def deliveries_redrive(
    partner: str = typer.Argument(...),
    destinations: Path = DESTINATIONS,
    since: str | None = typer.Option(None, "--from", help="parked since, ISO 8601; default: whenever"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    answer: str = typer.Option("", "--answer", help="only those that the partner answered so last, such as 403"),
    although_paused: bool = ALTHOUGH_PAUSED,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Try all that is parked for a partner and not closed again, or a part of it. The register is asked before each.

    First goes what was tried longest ago. It ends when three in a row are not taken; run again, it begins with the
    others. Exit code 3: some were not handed over.
    """
    from safebus.consumers.audit.owed import last_receipts, last_refused
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import logs, settings
    from safebus.deploy.service.operations import Act

    needs_reason(execute, reason)
    found = settings.load()
    logs.set_up(logs.for_a_person(found.log_level))
    start, end = parse_time(since, datetime.min.replace(tzinfo=UTC)), parse_time(until, clock())
    waiting = [p for p in run(lambda: parked.waiting(found.connection(), partner)) if start <= p.at < end]
    if answer and waiting:
        first = min(p.at for p in waiting) - timedelta(minutes=1)
        last = run(lambda: last_receipts(found.connection(), partner, since=first, until=clock()))
        said = {each.notification_id for each in last if each.answer == answer}
        waiting = [p for p in waiting if p.notification.notification_id in said]
    hands = of_parked(found, partner, waiting)
    waiting, closed = _without_closed(waiting, hands)
    if closed:
        say(f"{closed} of them are closed and left out; `safebus parked redrive` takes one by its id")
    if not execute:
        paused = would_be_sent(found, partner, destinations)
        say_dry(
            f"{len(waiting)} parked deliveries to {partner} would be tried", paused, although_paused=although_paused
        )
        return
    if not waiting:
        say(f"nothing of that kind is parked for {partner}")
        return
    key = found.digest_key()
    act = Act("deliveries redrive", (partner, *(p.notification.notification_id for p in waiting)), reason, len(waiting))
    first = min(p.at for p in waiting) - timedelta(minutes=1)
    refused = run(lambda: last_refused(found.connection(), partner, since=first))
    again = refused_last([parked.again(p, key, reason) for p in waiting], refused)
    raise send_again(found, partner, destinations, again, act, although_paused=although_paused)


app.command("again", epilog=made_again.EXAMPLE)(made_again.deliveries_again)


def _without_closed(waiting: Sequence[Parked], hands: Mapping[str, InHand]) -> tuple[list[Parked], int]:
    """Those that somebody still has to look at, and how many others: a person has said that these need nothing more."""
    from safebus.consumers.audit.in_hand import State

    left = [p for p in waiting if hands[p.notification.notification_id].state is not State.CLOSED]
    return left, len(waiting) - len(left)
