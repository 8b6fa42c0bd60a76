"""`safebus consent`: record what someone agreed to or took back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import SECOND, write_to_register
from safebus.deploy.cli.options import EXECUTE, REASON, USAGE, example, needs_reason, parse_time, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.streams.rules.consent import ConsentEntry

app = typer.Typer(
    name="consent", help="What people agreed to.", no_args_is_help=True, epilog=example("safebus consent record --help")
)


@app.command(
    "record",
    epilog=example(
        "safebus consent record --state withdrawn --purpose temporary_accommodation_notice "
        "--capacity parent --method telephone"
    ),
)
def consent_record(
    state: str = typer.Option(..., help="given, renewed, refused, withdrawn, revoked ..."),
    purpose: str = typer.Option(..., help="what was agreed to, such as temporary_accommodation_notice"),
    meaning: str = typer.Option("service_agreement", help="service_agreement, data_protection or treatment"),
    scheme: str = typer.Option("nhs", help="kind of identifier: nhs, upn or local:<agency>"),
    recipients: list[str] = typer.Option([], "--recipient", help="only for this partner; may be given several times"),
    decided_at: str | None = typer.Option(None, help="when they said it, ISO 8601; default: now"),
    expires_at: str | None = typer.Option(None, help="until when it holds"),
    capacity: str | None = typer.Option(
        None, help="of who said it: subject, parent, young_person, representative, court"
    ),
    by_scheme: str | None = typer.Option(
        None,
        help="kind of identifier of who said it, if the register knows them: nhs, upn or local:<agency>; asked for",
    ),
    expressed_by: str = typer.Option("", help="the same in words; without --capacity they must be one of those"),
    method: str = typer.Option(..., help="how it was taken down"),
    by: str = typer.Option("operator", "--by", help="who records it, as a role"),
    execute: bool = EXECUTE,
    reason: str = REASON,
    second: str = SECOND,
) -> None:
    """Record what someone agreed to or took back. The person's identifier is asked for, never an argument."""
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.schemas.identifiers import of_scheme
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import check_consent, consent_record

    needs_reason(execute, reason)
    found = settings.load()
    # Arguments stand in the shell's history and in the process list; an identifier of a person may not.
    key = found.person_key()

    def asked(scheme: str, whose: str) -> str:
        value = typer.prompt(f"{scheme} identifier{whose}", err=True, hide_input=True).strip()
        return key.token(scheme, of_scheme(scheme, value))

    token = asked(scheme, "")
    by_token = asked(by_scheme, " of who said it") if by_scheme is not None else None
    connection = found.connection()
    register = run(lambda: current_register(connection, key=key))
    ids = register.persons_with(scheme, token)
    speaker = None
    if by_scheme is not None and by_token is not None:
        speaker = next(iter(register.persons_with(by_scheme, by_token)), None)
        if speaker is None:
            raise stop(USAGE, "who said it is not in the register; `safebus register load` adds people")
    now = clock()
    entry = _entry(
        {
            "person_id": next(iter(ids), token),
            "meaning": meaning,
            "purpose": purpose,
            "state": state,
            "decided_at": parse_time(decided_at, now),
            "expires_at": parse_time(expires_at, now) if expires_at else None,
            "recipients": tuple(recipients),
            "capacity": capacity,
            "by": speaker,
            "expressed_by": expressed_by,
            "method": method,
        }
    )
    check_consent(entry, register, now=now)
    if not execute:
        say(f"dry run: `{state}` for {purpose} would be recorded; --execute --reason ... does it")
        return
    record = consent_record(entry, at=now, by=by, reason=reason)
    act = Act("consent record", (record.record_id,), reason)
    offset = write_to_register(found, register, [record], act, key=key, second=second)
    say(f"recorded; it counts for every decision and every delivery attempt from now on (register offset {offset})")


def _entry(said: dict[str, object]) -> ConsentEntry:
    from pydantic import ValidationError

    from safebus.schemas.event_part import what_is_wrong
    from safebus.streams.rules.consent import ConsentEntry

    try:
        return ConsentEntry.model_validate(said)
    except ValidationError as exc:
        raise stop(USAGE, what_is_wrong(exc)) from None
