"""Commands that change something: topics, register, consent, publish, import. Dry runs until --execute."""

from __future__ import annotations

from pathlib import Path

import typer

from safebus.deploy.cli.common import (
    DONE,
    EXECUTE,
    FORM,
    REASON,
    SOME,
    USAGE,
    Form,
    clock,
    needs_reason,
    parse_time,
    run,
    say,
    show,
    stop,
)

topics_app = typer.Typer(help="The topics that the register asks for.", no_args_is_help=True)
register_app = typer.Typer(
    help="Agreements, partners, bases, involvements: what decisions rest on.", no_args_is_help=True
)
consent_app = typer.Typer(help="What people agreed to.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the application."""
    topics_app.command("plan")(topics_plan)
    topics_app.command("apply")(topics_apply)
    register_app.command("load")(register_load)
    register_app.command("show")(register_show)
    register_app.command("end")(register_end)
    consent_app.command("record")(consent_record)
    app.add_typer(topics_app, name="topics")
    app.add_typer(register_app, name="register")
    app.add_typer(consent_app, name="consent")
    app.command()(publish)
    app.command("import")(import_)


FOLDER = typer.Option(None, "--register", help="take the partners from this folder instead of the register")


def topics_plan(register: Path | None = FOLDER, output: Form = FORM) -> None:
    """Say which topics there should be and which are missing."""
    _topics(register, output, execute=False)


def topics_apply(
    register: Path | None = FOLDER, output: Form = FORM, execute: bool = EXECUTE, reason: str = REASON
) -> None:
    """Create the missing topics."""
    needs_reason(execute, reason)
    _topics(register, output, execute=execute)


def _topics(folder: Path | None, output: Form, *, execute: bool) -> None:
    from safebus.deploy.service import settings, topic_plan
    from safebus.schemas.kafka.admin import ensure_topics
    from safebus.schemas.kafka.connection import Connection
    from safebus.schemas.kafka.topic_list import topics_there
    from safebus.streams.register import write as registrar
    from safebus.streams.register.store import Register

    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
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


def register_load(
    folder: Path = typer.Argument(..., help="folder of YAML files"),
    output: Form = FORM,
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
) -> None:
    """Check a register folder and write what changes. Every problem is named with file and line."""
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar

    needs_reason(execute, reason)
    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
    register = run(lambda: registrar.current(connection))
    changes = registrar.plan(folder, register, found.person_key())
    changed = [c for c in changes if c.what != "same"]
    rows = [{"what": c.what, "kind": c.entry.kind, "record": c.entry.record_id, "from": c.entry.where} for c in changed]
    show(rows, output, columns=["what", "kind", "record", "from"])
    for line in registrar.odd((c.entry for c in changed), register, today=clock().date()):
        say(f"look again: {line}")
    staying = registrar.not_in(folder, register, found.person_key())
    if staying:
        say(f"{len(staying)} entries stand in the register and not in this folder; they stay in force:")
        say("\n".join(f"  {record_id}" for record_id in staying[:20]) + ("\n  ..." if len(staying) > 20 else ""))
        say("`safebus register end RECORD --execute --reason ...` ends one")
    if not execute:
        say(f"dry run: {len(changed)} of {len(changes)} entries would be written; --execute --reason ... does it")
        return
    records = registrar.records((c.entry for c in changed), at=clock(), by=by, reason=reason)
    offset = run(lambda: registrar.write(connection, records)) if records else None
    say(f"wrote {len(records)} entries" + (f"; they count from register offset {offset}" if records else ""))


def register_end(
    record_id: str = typer.Argument(..., help="as `safebus register show` lists it"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
) -> None:
    """End one entry from now on: an involvement, a subscription, an agreement. What was decided stays as it was."""
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar

    needs_reason(execute, reason)
    found = settings.load()
    connection = Connection(found.bootstrap(), found.tls())
    register = run(lambda: registrar.current(connection))
    record = registrar.ending(record_id, register, at=clock(), by=by, reason=reason)
    if not execute:
        say(f"dry run: {record.kind} `{record_id}` would end; --execute --reason ... does it")
        return
    offset = run(lambda: registrar.write(connection, [record]))
    say(f"ended; it no longer counts from register offset {offset}")


def register_show(
    record_id: str = typer.Argument("", help="one record; default: a line for each"),
    output: Form = FORM,
) -> None:
    """Show what is in the register. People stand in it as tokens only."""
    from safebus.deploy.service import settings
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar
    from safebus.streams.register.store import body_of

    found = settings.load()
    register = run(lambda: registrar.current(Connection(found.bootstrap(), found.tls())))
    entries = register.entries()
    if record_id and record_id not in entries:
        raise stop(USAGE, f"the register has no `{record_id}`; `safebus register show` lists all {len(entries)}")
    if record_id:
        typer.echo(body_of(entries[record_id][1]))
        return
    show(
        [{"kind": kind, "record": rid} for rid, (kind, _) in sorted(entries.items())],
        output,
        columns=["kind", "record"],
    )
    say(f"as of register offset {register.offset}")


def consent_record(
    state: str = typer.Option(..., help="given, renewed, refused, withdrawn, revoked ..."),
    purpose: str = typer.Option(..., help="what was agreed to, such as temporary_accommodation_notice"),
    meaning: str = typer.Option("service_agreement", help="service_agreement, data_protection or treatment"),
    scheme: str = typer.Option("nhs", help="kind of identifier: nhs, upn or local:<agency>"),
    recipients: list[str] = typer.Option([], "--recipient", help="only for this partner; may be given several times"),
    decided_at: str | None = typer.Option(None, help="when they said it, ISO 8601; default: now"),
    expires_at: str | None = typer.Option(None, help="until when it holds"),
    expressed_by: str = typer.Option(..., help="in which capacity: subject, parent, young_person ..."),
    method: str = typer.Option(..., help="how it was taken down"),
    by: str = typer.Option("operator", "--by", help="who records it, as a role"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Record what someone agreed to or took back. The person's identifier is asked for, never an argument."""
    from pydantic import ValidationError

    from safebus.deploy.service import settings
    from safebus.schemas.events import what_is_wrong
    from safebus.schemas.identifiers import nhs_number
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register import write as registrar
    from safebus.streams.rules.consent import ConsentEntry

    needs_reason(execute, reason)
    found = settings.load()
    # Arguments stand in the shell's history and in the process list; an identifier of a person may not.
    value = typer.prompt(f"{scheme} identifier", err=True, hide_input=True).strip()
    token = found.person_key().token(scheme, nhs_number(value) if scheme == "nhs" else value)
    connection = Connection(found.bootstrap(), found.tls())
    register = run(lambda: registrar.current(connection))
    ids = register.persons_with(scheme, token)
    now = clock()
    try:
        entry = ConsentEntry.model_validate(
            {
                "person_id": next(iter(ids), token),
                "meaning": meaning,
                "purpose": purpose,
                "state": state,
                "decided_at": parse_time(decided_at, now),
                "expires_at": parse_time(expires_at, now) if expires_at else None,
                "recipients": tuple(recipients),
                "expressed_by": expressed_by,
                "method": method,
            }
        )
    except ValidationError as exc:
        raise stop(USAGE, what_is_wrong(exc)) from None
    registrar.check_consent(entry, register, now=now)
    if not execute:
        say(f"dry run: `{state}` for {purpose} would be recorded; --execute --reason ... does it")
        return
    record = registrar.consent_record(entry, at=now, by=by, reason=reason)
    offset = run(lambda: registrar.write(connection, [record]))
    say(f"recorded; it counts for every decision and every delivery attempt from now on (register offset {offset})")


def publish(
    files: list[Path] = typer.Argument(..., help="events as JSON, one a file"),
    case: str = typer.Option(..., help="your own reference of the case; it leaves this process only as a keyed token"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Check events and publish them. Everything that does not fit is said before anything is sent."""
    from safebus.deploy.service import settings
    from safebus.producers.publisher import Publisher
    from safebus.schemas.errors import BadInput
    from safebus.schemas.events import Event, from_json
    from safebus.schemas.kafka.connection import Connection

    needs_reason(execute, reason)
    found = settings.load()
    events: list[Event] = []
    problems: list[str] = []
    for file in files:
        try:
            events.append(from_json(file.read_text("utf-8")))
        except OSError as exc:
            problems.append(f"{file}: cannot be read: {exc.strerror}")
        except BadInput as exc:
            problems.append(f"{file}: {exc}")
    if problems:
        raise BadInput("\n".join(problems))
    if not execute:
        say(f"dry run: {len(events)} events fit their schemas; --execute --reason ... publishes them")
        return
    agencies = sorted({e.publisher.agency for e in events})
    if len(agencies) != 1:
        raise BadInput(f"these files are of {', '.join(agencies)}; publish each agency's events by themselves")

    async def main() -> None:
        connection = Connection(found.bootstrap(), found.tls())
        async with Publisher(connection, agency=agencies[0], case_secret=found.case_secret(agencies[0])) as publisher:
            for accepted in await publisher.publish_all([(e, case) for e in events]):
                typer.echo(f"{accepted.event_id} {accepted.topic} {accepted.partition} {accepted.offset}")

    run(main)
    say("accepted by the broker; `safebus explain EVENT_ID` says what was decided")


def import_(
    kind: str = typer.Argument(..., help="mns (FHIR signals and CloudEvents, JSON) or nems (FHIR messages, XML)"),
    files: list[Path] = typer.Argument(..., help="one message a file"),
    agency: str = typer.Option("nhs-england", help="the agency that publishes them"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """Turn NHS events into identity events and publish them; what cannot be taken goes to quarantine with a reason."""
    from safebus.deploy.service import settings
    from safebus.producers.importers.sending import Sink, import_all
    from safebus.schemas.kafka.connection import Connection

    needs_reason(execute, reason)
    if kind not in ("mns", "nems"):
        raise stop(USAGE, f"`{kind}` is no kind of import; expected mns or nems")
    found = settings.load()
    data = {file.name: file.read_bytes() for file in files}
    to = None
    if execute:
        to = Sink(Connection(found.bootstrap(), found.tls()), found.case_secret(agency), found.seal_public())
    lines = run(lambda: import_all(kind, data, agency=agency, to=to, now=clock()))
    for line in lines:
        typer.echo(f"{line.file}  {line.outcome}  {line.detail}")
    set_aside = sum(line.event_id is None for line in lines)
    if not execute:
        say(
            f"dry run: {len(lines) - set_aside} would be published, {set_aside} quarantined; "
            "--execute --reason ... does it"
        )
    raise typer.Exit(SOME if set_aside else DONE)
