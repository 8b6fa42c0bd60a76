"""`safebus parked`: look at deliveries that a person must look at, and try them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.hands import ALL, TO, assign_or_close, columns_of, of_parked, shown, without_closed
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import EXECUTE, FORM, REASON, Form, example, needs_reason
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.cli.redriving import ALTHOUGH_PAUSED, DESTINATIONS, say_dry, send_again, would_be_sent
from safebus.deploy.service.terminal import tell

if TYPE_CHECKING:
    from safebus.consumers.audit.in_hand import InHand
    from safebus.consumers.delivery.parked import LastTry
    from safebus.deploy.service.settings import Settings

app = typer.Typer(
    name="parked",
    help="Deliveries that a person must look at.",
    no_args_is_help=True,
    epilog=example("safebus parked list ash-primary"),
)


@app.command("list", epilog=example("safebus parked list ash-primary"))
def parked_list(partner: str = typer.Argument(...), every: bool = ALL, output: Form = FORM) -> None:
    """List what is parked for a partner and neither handed over nor closed since, and who looks after it."""
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import settings
    from safebus.schemas.own_records import Strange

    found = settings.load()
    strange: list[Strange] = []
    waiting = run(lambda: parked.waiting(found.connection(), partner, on_strange=strange.append))
    hands = of_parked(found, partner, waiting)
    rows = [
        {
            "notification_id": p.notification.notification_id,
            "event_id": p.notification.event_id,
            "event_type": p.notification.event_type,
            "reason": p.reason,
            "parked_at": p.at.isoformat(timespec="seconds"),
            "answer": p.last.answer if p.last is not None else "",
            **_sent_again(p.last),
            **columns_of(hands[p.notification.notification_id]),
        }
        for p in waiting
    ]
    columns = [
        "notification_id",
        "event_id",
        "event_type",
        "reason",
        "parked_at",
        "answer",
        "sent_again_at",
        "came_of_it",
    ]
    show(without_closed(rows, every=every), output, columns=shown(columns, every=every))
    say_strange(strange)


def _sent_again(last: LastTry | None) -> dict[str, str]:
    """When a person last sent it again, and what came of that; empty: nobody did."""
    if last is None or not last.by_hand:
        return {"sent_again_at": "", "came_of_it": ""}
    return {"sent_again_at": last.at.isoformat(timespec="seconds"), "came_of_it": last.code}


@app.command(
    "show", epilog=example('safebus parked show ash-primary NOTIFICATION --show-released --reason "the school asked"')
)
def parked_show(
    partner: str = typer.Argument(...),
    notification_id: str = typer.Argument(...),
    show_released: bool = typer.Option(False, "--show-released", help="show the values that the partner would get"),
    reason: str = REASON,
) -> None:
    """Show one parked delivery; its values only with --show-released and a reason."""
    from safebus.consumers.delivery import parked
    from safebus.consumers.delivery.parcels import plain
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.streams.register.follow import current_register
    from safebus.streams.rules.asked_again import read_view

    needs_reason(show_released, reason, option="--show-released")
    found = settings.load()
    connection = found.connection()
    one = run(lambda: parked.find(connection, partner, notification_id))
    out = json.loads(one.notification.model_dump_json(exclude={"view"}))
    out["parked_because"] = one.reason
    if one.last is not None:
        out |= {"last_answer": one.last.answer, "last_reason": one.last.code}
    out |= columns_of(of_parked(found, partner, [one])[one.notification.notification_id])
    if show_released:
        put_on_record(found, Act("parked show", (partner, one.notification.notification_id), reason, number=1))
        out["view"] = plain(read_view(one.notification, run(lambda: current_register(connection))))
    tell(json.dumps(out, indent=2))


@app.command(
    "assign",
    epilog=example('safebus parked assign ash-primary NOTIFICATION --to op-anna --execute --reason "knows the school"'),
)
def parked_assign(
    partner: str = typer.Argument(...),
    notification_ids: list[str] = typer.Argument(..., metavar="NOTIFICATION..."),
    to: str = TO,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Say who looks after parked deliveries. One that was closed is open again."""
    found, hands = _hands(partner)
    assign_or_close(
        found, "parked assign", hands, notification_ids, partner=partner, to=to, execute=execute, reason=reason
    )


@app.command(
    "close",
    epilog=example('safebus parked close ash-primary NOTIFICATION --execute --reason "told by telephone"'),
)
def parked_close(
    partner: str = typer.Argument(...),
    notification_ids: list[str] = typer.Argument(..., metavar="NOTIFICATION..."),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Say that parked deliveries need nobody any more, and why. They stay parked, and are not handed over.

    One that is sent again and not taken is open again.
    """
    found, hands = _hands(partner)
    assign_or_close(found, "parked close", hands, notification_ids, partner=partner, execute=execute, reason=reason)


def _hands(partner: str) -> tuple[Settings, dict[str, InHand]]:
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import settings

    found = settings.load()
    return found, of_parked(found, partner, run(lambda: parked.waiting(found.connection(), partner)))


@app.command(
    "redrive",
    epilog=example(
        'safebus parked redrive ash-primary NOTIFICATION --destinations destinations.yaml --execute --reason "mended"'
    ),
)
def parked_redrive(
    partner: str = typer.Argument(...),
    notification_id: str = typer.Argument(...),
    destinations: Path = DESTINATIONS,
    although_paused: bool = ALTHOUGH_PAUSED,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Try one parked delivery again, at the destination that is registered. The register is asked first, as always."""
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import logs, settings
    from safebus.deploy.service.operations import Act

    needs_reason(execute, reason)
    found = settings.load()
    logs.set_up(logs.for_a_person(found.log_level))
    one = run(lambda: parked.find(found.connection(), partner, notification_id))
    if not execute:
        would = f"{one.notification.notification_id} would be handed to {partner} if the register still permits it"
        say_dry(would, would_be_sent(found, partner, destinations), although_paused=although_paused)
        return
    delivery = parked.again(one, found.digest_key(), reason)
    act = Act("parked redrive", (partner, notification_id), reason, number=1)
    raise send_again(found, partner, destinations, [delivery], act, although_paused=although_paused)
