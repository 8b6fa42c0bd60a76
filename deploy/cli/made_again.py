"""
`safebus deliveries again`: what a partner is owed is made again from its decision and its event.

Three kinds of it: what never came to its topic is put there; what it was handed and has lost, and what was stopped and
is permitted now, a person hands over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import (
    DONE,
    EXECUTE,
    FORM,
    REASON,
    SOME,
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
    may,
    pause_of,
    refused_last,
    say_dry,
    send_again,
    would_be_sent,
)
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from safebus.consumers.audit.owed import Owed
    from safebus.consumers.delivery.attempt import Delivery
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.bus_records import Receipt
    from safebus.streams.register.store import Register

#: Decisions of so long before the span are looked through, too: a topic keeps a notification for 7 days, and what was
#: paused, parked or made again is older.
DECIDED_BEFORE: Final = timedelta(days=30)

ON_ITS_WAY: Final = timedelta(minutes=1)
_COLUMNS: Final = ["notification_id", "event_id", "decided_at", "state"]

EXAMPLE: Final = example(
    "safebus deliveries again haven --from 2026-11-22T00:00",
    'safebus deliveries again haven --from 2026-11-22T00:00 --execute --reason "their topic could not be written"',
    "safebus deliveries again haven --from 2026-11-22T00:00 --restored --destinations destinations.yaml",
    "safebus deliveries again haven --from 2026-11-22T00:00 --stopped --destinations destinations.yaml",
)


def deliveries_again(
    partner: str = typer.Argument(...),
    since: str | None = typer.Option(
        None,
        "--from",
        help="decided since (--restored: handed over since; --stopped: stopped since), ISO 8601; default: a day ago",
    ),
    until: str | None = typer.Option(
        None, "--to", help="ISO 8601, not included; default: a minute ago; --restored, --stopped: now"
    ),
    restored: bool = typer.Option(
        False, "--restored", help="the partner lost what it was handed in that time: hand it over once more"
    ),
    stopped: bool = typer.Option(
        False, "--stopped", help="hand over what the register forbade in that time and permits now"
    ),
    destinations: Path | None = typer.Option(
        None, "--destinations", help="YAML: where each partner wants its notifications; with --restored and --stopped"
    ),
    although_paused: bool = ALTHOUGH_PAUSED,
    output: Form = FORM,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Put on a partner's topic what was permitted, stands neither there nor at the partner, and is owed.

    With --restored: a partner went back to an earlier copy of its system; what it was handed since goes to it once
    more, under the same ids and in the same order, each asked of the register as of now. A web server gets it with the
    header `safebus-repeated: true`.

    With --stopped: a suspension was lifted, an agreement was renewed; what was stopped for it in that time is handed
    over, each asked of the register as of now. What its publisher took back or corrected since is not.

    Needs what the worker may do; --restored and --stopped what redriving needs. Exit code 3: some cannot be made again,
    or were not taken.
    """
    from safebus.deploy.service import settings

    needs_reason(execute, reason)
    now = clock()
    # What was decided a moment ago is on its way; what was handed over or stopped has come to its end.
    to_come = timedelta() if restored or stopped else ON_ITS_WAY
    start, end = parse_time(since, now - timedelta(days=1)), parse_time(until, now - to_come)
    if start >= end and until is None and start < now:
        raise stop(USAGE, f"--from {start.isoformat()} is less than a minute ago: what was decided since is on its way")
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    if restored and stopped:
        raise stop(USAGE, "--restored and --stopped are two things; do one after the other")
    if (restored or stopped) != (destinations is not None):
        raise stop(USAGE, "--destinations FILE goes with --restored or --stopped, and each of these with it")
    if although_paused and destinations is None:
        raise stop(USAGE, "--although-paused goes with --restored or --stopped; what is put on the topic waits anyway")
    asked = _Asked(settings.load(), partner, start, end, output, execute=execute, reason=reason)
    if destinations is None:
        raise _put_on_topic(asked)
    raise _hand_over(asked, destinations, restored=restored, although_paused=although_paused)


@dataclass(frozen=True)
class _Asked:
    """For which partner and time, what for, and whether it is to be done."""

    found: Settings
    partner: str
    start: datetime
    end: datetime
    output: Form
    execute: bool
    reason: str

    async def register(self) -> Register:
        """As it stands now; it has the partner."""
        from safebus.schemas.errors import BadInput
        from safebus.schemas.nearest import or_the_known
        from safebus.streams.register.follow import current_register

        register = await current_register(self.found.connection(), key=self.found.person_key())
        if register.partner(self.partner) is None:
            raise BadInput(f"there is no partner `{self.partner}`{or_the_known(self.partner, register.partners)}")
        return register


def _put_on_topic(asked: _Asked) -> typer.Exit:
    from safebus.consumers.audit.owed import owed
    from safebus.deploy.service import rights
    from safebus.deploy.service.operations import Act
    from safebus.schemas.event_schemas import event_schemas

    found, partner = asked.found, asked.partner

    async def main() -> tuple[Register, list[Owed]]:
        register = await asked.register()
        await may(found, rights.of_putting_on_topic(partner))  # a dry run, too, says what the execution would
        key, schemas = found.person_key(), event_schemas()
        return register, await owed(
            found.connection(), partner, since=asked.start, until=asked.end, key=key, schemas=schemas
        )

    register, what = run(main)
    show([_row(each, "owed") for each in what], asked.output, columns=_COLUMNS)
    can = [each for each in what if each.output is not None]
    if paused := pause_of(register, partner):
        say(f"{paused}: what is put on the topic waits there until they go on, and is asked again then")
    if not asked.execute:
        say(
            f"dry run: {len(can)} of {len(what)} would be put on the topic of {partner}; --execute --reason ... does it"
        )
    elif can:
        about = (partner, *(each.notification_id for each in can))
        put_on_record(found, Act("deliveries again", about, asked.reason, len(can)))
        run(lambda: _send(found, can))
        say(f"{len(can)} notifications are on the topic of {partner}; its adapter asks the register before each")
    else:
        say(f"nothing is owed to {partner}")
    return typer.Exit(SOME if len(can) < len(what) else DONE)


def _hand_over(asked: _Asked, destinations: Path, *, restored: bool, although_paused: bool) -> typer.Exit:
    """What a partner was handed and has lost, or what was stopped and is permitted now."""
    from safebus.consumers.audit import owed
    from safebus.deploy.service import logs
    from safebus.deploy.service.operations import Act
    from safebus.schemas.event_schemas import event_schemas

    found, partner, connection = asked.found, asked.partner, asked.found.connection()

    async def main() -> tuple[Register, dict[str, Receipt], list[Owed]]:
        register = await asked.register()
        which = owed.handed_over if restored else owed.stopped
        wanted = await which(connection, partner, since=asked.start, until=asked.end)
        span = {"since": asked.start - DECIDED_BEFORE, "until": asked.end}
        key, schemas = found.person_key(), event_schemas()
        return register, wanted, await owed.made_again(connection, partner, wanted, **span, key=key, schemas=schemas)

    register, receipts, what = run(main)
    rows = [_row(each, "handed over before" if restored else "stopped") for each in what]
    again = _by_hand(found, what, asked.reason, restored=restored)
    if not restored:
        again = _permitted(again, register, receipts, rows)
    show(rows, asked.output, columns=_COLUMNS)
    cannot = sum(each.output is None for each in what)
    logs.set_up(logs.for_a_person(found.log_level))
    if not asked.execute or not again:
        would_be_sent(found, partner, destinations)
        if asked.execute:
            which = "that was handed to" if restored else "that was stopped for"
            say(f"nothing {which} {partner} in that time can be handed over {'once more' if restored else 'now'}")
        else:
            how = f"would be handed to {partner}{' once more' if restored else ''}"
            paused = pause_of(register, partner)
            say_dry(f"{len(again)} of {len(what)} {how}", paused, although_paused=although_paused)
        return typer.Exit(SOME if cannot else DONE)
    since = min(each.decided_at for each in what)
    again = refused_last(again, run(lambda: owed.last_refused(connection, partner, since=since)))
    ids = (each.notification.notification_id for each in again)
    act = Act("deliveries again", (partner, *ids), asked.reason, len(again))
    ended = send_again(found, partner, destinations, again, act, although_paused=although_paused)
    return typer.Exit(SOME) if cannot else ended


def _row(each: Owed, state: str) -> dict[str, str]:
    return {
        "notification_id": each.notification_id,
        "event_id": each.event_id,
        "decided_at": each.decided_at.isoformat(timespec="seconds"),
        "state": each.why if each.output is None else state,
    }


def _by_hand(found: Settings, what: Sequence[Owed], reason: str, *, restored: bool) -> list[Delivery]:
    """Those that can be made again, as a person sends them."""
    from safebus.consumers.delivery.attempt import Delivery
    from safebus.consumers.delivery.stages import RESTORED
    from safebus.schemas import codec
    from safebus.schemas.bus_records import Notification

    digests = found.person_key().digests
    why = f"{RESTORED}{reason}" if restored else reason
    values = [each.output.value for each in what if each.output is not None]
    return [
        Delivery.of(codec.decode_record(value, Notification), value, digests, redriven=why, repeated=restored)
        for value in values
    ]


def _permitted(
    again: Sequence[Delivery], register: Register, receipts: dict[str, Receipt], rows: list[dict[str, str]]
) -> list[Delivery]:
    """Those that the register permits now; each row says for what it was stopped, and how that stands now."""
    from safebus.consumers.delivery.stages import code_of
    from safebus.streams.rules.asked_again import still_permitted

    now, left = clock(), []
    by_id = {row["notification_id"]: row for row in rows}
    for delivery in again:
        key = delivery.notification.notification_id
        refusal = still_permitted(delivery.known, register, now)
        if refusal is None:
            left.append(delivery)
        today = "permitted now" if refusal is None else f"still not permitted: {refusal.code} ({refusal.rule})"
        by_id[key]["state"] = f"stopped: {code_of(receipts[key].reason)}; {today}"
    return left


async def _send(found: Settings, what: Sequence[Owed]) -> None:
    from safebus.schemas.kafka.writer import Writer
    from safebus.streams.worker import messages

    outbound = Writer(found.connection(), client_id="operator")
    await outbound.start()
    try:
        key = found.person_key()
        await outbound.send_all(messages.notification(each.output, key) for each in what if each.output is not None)
    finally:
        await outbound.stop()
