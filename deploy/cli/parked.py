"""`safebus parked`: look at deliveries that a person must look at, and try them again."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record, written_down
from safebus.deploy.cli.options import DONE, EXECUTE, FORM, REASON, SOME, Form, example, needs_reason
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.service.terminal import clock, say, tell

app = typer.Typer(
    name="parked",
    help="Deliveries that a person must look at.",
    no_args_is_help=True,
    epilog=example("safebus parked list ash-primary"),
)


DESTINATIONS = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications")


@app.command("list", epilog=example("safebus parked list ash-primary"))
def parked_list(partner: str = typer.Argument(...), output: Form = FORM) -> None:
    """List what is parked for a partner and not handed over since."""
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import settings
    from safebus.schemas.own_records import Strange

    found = settings.load()
    strange: list[Strange] = []
    waiting = run(lambda: parked.waiting(found.connection(), partner, on_strange=strange.append))
    rows = [
        {
            "notification_id": p.notification.notification_id,
            "event_id": p.notification.event_id,
            "event_type": p.notification.event_type,
            "reason": p.reason,
            "parked_at": p.at.isoformat(timespec="seconds"),
        }
        for p in waiting
    ]
    show(rows, output, columns=["notification_id", "event_id", "event_type", "reason", "parked_at"])
    say_strange(strange)


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

    needs_reason(show_released, reason)
    found = settings.load()
    connection = found.connection()
    one = run(lambda: parked.find(connection, partner, notification_id))
    out = json.loads(one.notification.model_dump_json(exclude={"view"}))
    out["parked_because"] = one.reason
    if show_released:
        put_on_record(found, Act("parked show", (partner, one.notification.notification_id), reason, number=1))
        out["view"] = plain(read_view(one.notification, run(lambda: current_register(connection))))
    tell(json.dumps(out, indent=2))


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
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Try one parked delivery again, at the destination that is registered. The register is asked first, as always."""
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import logs, settings
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.register_checks import RegisterRecheck, check_destination
    from safebus.streams.register.follow import RegisterReader

    needs_reason(execute, reason)
    found = settings.load()
    logs.set_up(found.log_level)
    connection = found.connection()
    if not execute:
        one = run(lambda: parked.find(connection, partner, notification_id))
        say(
            f"dry run: {one.notification.notification_id} would be handed to {partner} if the register still permits it"
        )
        return
    there = places.read(destinations).of(partner)

    key = found.digest_key()

    async def main() -> parked.Said:
        await parked.find(connection, partner, notification_id)  # before anything else is looked up
        reader = RegisterReader(connection, key=key)
        try:
            await reader.start()
            place = places.opened(there, clock=clock)
            check_destination(reader.now, partner, place, must=True)
            await written_down(found, Act("parked redrive", (partner, notification_id), reason, number=1))
            return await parked.redrive(
                connection,
                partner,
                notification_id,
                adapter=place.adapter,
                recheck=RegisterRecheck(reader),
                key=key,
                reason=reason,
                clock=clock,
            )
        finally:
            await reader.stop()

    said = run(main)
    say(said.text)
    raise typer.Exit(DONE if said.handed_over else SOME)
