"""Commands that look: explain, index, policy try, replay verify, quarantine, parked, schemas."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import typer

from safebus.deploy.cli.common import (
    DONE,
    EXECUTE,
    FAILED,
    FORM,
    REASON,
    SOME,
    USAGE,
    Form,
    clock,
    needs_reason,
    parse_time,
    progress,
    run,
    say,
    show,
    stop,
)

policy_app = typer.Typer(help="What the rules would decide.", no_args_is_help=True)
replay_app = typer.Typer(help="Make decisions again.", no_args_is_help=True)
parked_app = typer.Typer(help="Deliveries that a person must look at.", no_args_is_help=True)
quarantine_app = typer.Typer(help="Events that could not be decoded, verified or matched.", no_args_is_help=True)
schemas_app = typer.Typer(help="The schemas of events.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the application."""
    app.command()(explain)
    app.command()(index)
    policy_app.command("try")(policy_try)
    replay_app.command("verify")(replay_verify)
    replay_app.callback()(lambda: None)
    policy_app.callback()(lambda: None)
    parked_app.command("list")(parked_list)
    parked_app.command("show")(parked_show)
    parked_app.command("redrive")(parked_redrive)
    quarantine_app.command("list")(quarantine_list)
    quarantine_app.command("open")(quarantine_open)
    schemas_app.command("list")(schemas_list)
    schemas_app.command("show")(schemas_show)
    schemas_app.command("check")(schemas_check)
    schemas_app.command("release")(schemas_release)
    app.add_typer(policy_app, name="policy")
    app.add_typer(replay_app, name="replay")
    app.add_typer(parked_app, name="parked")
    app.add_typer(quarantine_app, name="quarantine")
    app.add_typer(schemas_app, name="schemas")


def explain(
    event_id: str = typer.Argument(..., help="the event's id"),
    output: Form = FORM,
    show_released: bool = typer.Option(False, "--show-released", help="the values too; needs --reason and -o json"),
    reason: str = REASON,
) -> None:
    """Say what was decided about an event, for whom, why, and what became of each delivery."""
    from safebus.consumers.audit.explain import explanation as explaining
    from safebus.consumers.audit.explain import indexing
    from safebus.deploy.service import settings
    from safebus.schemas import identifiers
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar

    identifiers.event_id(event_id)
    needs_reason(show_released, reason)
    if show_released and output is not Form.JSON:
        raise stop(USAGE, "--show-released goes with -o json")
    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())

    async def main() -> int:
        about = await indexing.about_event(connection, event_id, home=found.home, say=say)
        if not about.decisions:
            return FAILED
        if output is Form.JSON:
            views = None
            if show_released:
                views = await explaining.views_of(connection, about.decisions, await registrar.current(connection))
            said = [explaining.as_dict(r, about.receipts, about.register, views) for r in about.decisions]
            typer.echo(json.dumps(said, indent=2))
        else:
            for record in about.decisions:
                typer.echo(explaining.as_text(record, about.receipts, about.register))
        return DONE

    if run(main):
        raise stop(
            FAILED,
            f"no decision about `{event_id}`; was it published, and is a worker running? "
            "`safebus quarantine list` shows what could not be decided",
        )


def index(
    follow: bool = typer.Option(False, "--follow", help="keep it up to date until stopped, as a service"),
) -> None:
    """Bring the index that `explain` looks in up to date. It is a cache: `explain` does the same when it is asked."""
    from safebus.consumers.audit.explain import indexing
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection

    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
    bar, advance = progress("records read into the index")
    with bar:
        read = run(lambda: indexing.keep_index(connection, home=found.home, follow=follow, say=say, progress=advance))
    say(f"{read} records were read into the index; it is up to date")


def policy_try(
    event: Path = typer.Argument(..., help="an event as JSON"),
    register: Path = typer.Option(..., "--register", help="folder of YAML files"),
    now: str | None = typer.Option(None, "--now", help="decide as if it were this time, ISO 8601"),
    output: Form = typer.Option(Form.JSON, "-o", "--output", help="json or table"),
) -> None:
    """Decide about one event by a folder alone, without a broker, and show what each recipient would get."""
    from safebus.consumers.audit.policy_try import policy_try as try_it
    from safebus.deploy.service import settings
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.schemas.bus_records import Reason
    from safebus.streams.rules.reasons import say as say_reason

    found = try_it(
        event, register, now=parse_time(now, clock()), key=settings.load().person_key(), rules_digest=rules_digest()
    )
    if output is Form.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        rows = [
            {
                "recipient": a["recipient"],
                "outcome": a["outcome"],
                "about": a["subject_token"][:8],
                "why": "; ".join(say_reason(Reason.model_validate(r)) for r in a["reasons"]),
                "fields": json.dumps(a["view"], ensure_ascii=False) if a["view"] else "",
            }
            for a in found.get("answers", [])
        ]
        show(rows, output, columns=["recipient", "about", "outcome", "why", "fields"])
    if "quarantine" in found:
        raise stop(SOME, f"set aside: {found['quarantine']['reason']}: {found['quarantine']['detail']}")


def replay_verify(
    since: str | None = typer.Option(None, "--from", help="ISO 8601; default: a day ago"),
    until: str | None = typer.Option(None, "--to", help="ISO 8601, not included; default: now"),
    output: Form = FORM,
) -> None:
    """Make every decision of a span again from the topics, and compare byte for byte. Sends nothing."""
    from safebus.consumers.audit.replay.verify import verify
    from safebus.deploy.service import settings
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register.follow import RegisterReader

    found = settings.load()
    now = clock()
    start, end = parse_time(since, now - timedelta(days=1)), parse_time(until, now + timedelta(minutes=1))
    if start >= end:
        raise stop(USAGE, f"--from {start.isoformat()} is not before --to {end.isoformat()}; swap them")
    connection = Connection(found.bootstrap(), found.tls())
    bar, advance = progress("decisions made again")

    async def main() -> int:
        reader = RegisterReader(connection)
        await reader.start()
        try:
            with bar:
                done = await verify(
                    connection,
                    since=start,
                    until=end,
                    register_log=reader.log,
                    key=found.person_key(),
                    schemas=event_schemas(),
                    rules_digest=rules_digest(),
                    progress=advance,
                )
        finally:
            await reader.stop()
        rows = [{"event_id": d.event_id, "what": d.what} for d in done.differences]
        if output is Form.JSON:
            typer.echo(json.dumps({**vars(done), "differences": rows}, indent=2))
        else:
            show(rows, output, columns=["event_id", "what"])
        say(
            f"{done.identical} of {done.decisions} decisions and {done.outputs_identical} of {done.outputs} "
            f"notifications are identical, byte for byte; {done.other_rules} were decided by other rules than today's"
        )
        if done.not_listed:
            say(f"{done.not_listed} more differences are counted and not listed; a shorter span lists them")
        if not done.decisions:
            say("there is no decision in that span: nothing was verified")
        return SOME if done.differences or not done.decisions else DONE

    raise typer.Exit(run(main))


DESTINATIONS = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications")


def parked_list(partner: str = typer.Argument(...), output: Form = FORM) -> None:
    """List what is parked for a partner and not handed over since."""
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection

    found = settings.load()
    waiting = run(lambda: parked.waiting(Connection(found.bootstrap(), found.tls()), partner))
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
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar
    from safebus.streams.rules.sharing import read_view

    needs_reason(show_released, reason)
    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
    one = run(lambda: parked.find(connection, partner, notification_id))
    out = json.loads(one.notification.model_dump_json(exclude={"view"}))
    out["parked_because"] = one.reason
    if show_released:
        out["view"] = plain(read_view(one.notification, run(lambda: registrar.current(connection))))
    typer.echo(json.dumps(out, indent=2))


def parked_redrive(
    partner: str = typer.Argument(...),
    notification_id: str = typer.Argument(...),
    destinations: Path = DESTINATIONS,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Try one parked delivery again. The register is asked first, as before every attempt."""
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.delivery import parked
    from safebus.deploy.service import logs, settings
    from safebus.deploy.service.register_checks import RegisterRecheck
    from safebus.schemas.errors import BadInput
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register.follow import RegisterReader

    needs_reason(execute, reason)
    found = settings.load()
    logs.set_up(found.log_level)
    connection = Connection(found.bootstrap(), found.tls())
    if not execute:
        one = run(lambda: parked.find(connection, partner, notification_id))
        say(
            f"dry run: {one.notification.notification_id} would be handed to {partner} if the register still permits it"
        )
        return
    there = places.read(destinations)
    if partner not in there:
        raise BadInput(f"`{destinations}` has no section for `{partner}`")

    async def main() -> parked.Said:
        await parked.find(connection, partner, notification_id)  # before anything else is looked up
        reader = RegisterReader(connection)
        try:
            await reader.start()
            return await parked.redrive(
                connection,
                partner,
                notification_id,
                adapter=places.adapter(there[partner], clock=clock),
                recheck=RegisterRecheck(reader),
                key=found.person_key(),
                reason=reason,
                clock=clock,
            )
        finally:
            await reader.stop()

    said = run(main)
    say(said.text)
    raise typer.Exit(DONE if said.handed_over else SOME)


def quarantine_list(output: Form = FORM, reason: str = typer.Option("", help="only this reason")) -> None:
    """List what could not be decoded, verified or matched."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection

    found = settings.load()
    entries = run(lambda: quarantine.entries(Connection(found.bootstrap(), found.tls())))
    rows = [
        {
            "quarantine_id": e.quarantine_id,
            "reason": e.reason,
            "where": f"{e.topic}/{e.partition}/{e.offset}",
            "size": e.size,
            "at": e.at.isoformat(timespec="seconds"),
            "detail": e.detail,
        }
        for e in entries
        if not reason or e.reason == reason
    ]
    show(rows, output, columns=["quarantine_id", "reason", "where", "size", "at", "detail"])


def quarantine_open(
    quarantine_id: str = typer.Argument(..., help="as `safebus quarantine list` shows it"),
    to: Path = typer.Option(..., "--to", help="a new file for the original; only you can read it"),
    reason: str = REASON,
) -> None:
    """Open one sealed original with the operators' key. It is about people, so it needs a reason."""
    from safebus.consumers.audit import quarantine
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection

    needs_reason(True, reason)
    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
    size = run(lambda: quarantine.open_original(connection, quarantine_id, private_key=found.seal_private(), to=to))
    say(f"wrote {size} bytes to {to}" if size else "the original was too large to be sealed; it stands at its origin")


def schemas_list(output: Form = FORM) -> None:
    """List the event types and the fingerprints that bytes may come in."""
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.events import EVENT_CLASSES

    found = event_schemas()
    rows = [
        {
            "code": EVENT_CLASSES[s.event_type].CODE,
            "event_type": s.event_type,
            "version": s.version,
            "fingerprint": s.fingerprint.hex(),
            "leaves": len(s.leaves),
        }
        for s in sorted(found.by_fingerprint.values(), key=lambda s: (s.event_type, s.version))
    ]
    show(rows, output, columns=["code", "event_type", "version", "fingerprint", "leaves"])


def schemas_show(event_type: str = typer.Argument(...)) -> None:
    """Print the whole Avro schema of an event type, for any Avro library."""
    from safebus.schemas.event_schemas import event_schemas

    typer.echo(json.dumps(event_schemas().of(event_type).raw, indent=2))


def schemas_check() -> None:
    """May the schemas here replace those that were released? Says why not."""
    from safebus.schemas.event_schemas import event_schemas
    from safebus.schemas.evolution import problems

    found = problems(event_schemas())
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(FAILED)
    say("every schema is released, classified, and reads all that came before it")


def schemas_release(execute: bool = EXECUTE, reason: str = REASON) -> None:
    """Freeze the current schemas as the next version, if they may replace the older ones. In a checkout only."""
    from safebus.schemas.releasing import release

    needs_reason(execute, reason)
    for line in release(execute=execute):
        typer.echo(line)
