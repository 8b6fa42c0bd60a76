"""`safebus partners`: how do the deliveries to each partner stand, and what does an operator do about it?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from safebus.deploy.cli import kept as kept_topics
from safebus.deploy.cli import partner_secrets
from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.hands import open_parked
from safebus.deploy.cli.on_record import SECOND, put_on_record, write_to_register
from safebus.deploy.cli.options import (
    DONE,
    EXECUTE,
    FORM,
    REASON,
    SOME,
    Form,
    example,
    needs_reason,
    parse_time,
)
from safebus.deploy.cli.output import show
from safebus.deploy.cli.redriving import DESTINATIONS
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.consumers.audit.standing import Standing
    from safebus.streams.register.store import Register

#: As `--until`: a pause that only somebody ends.
NEVER: Final = "never"

app = typer.Typer(
    name="partners",
    help="How deliveries to partners stand; pause, resume and test them, change a secret.",
    no_args_is_help=True,
    epilog=example(
        "safebus partners list", 'safebus partners pause ash-primary --execute --reason "they move offices"'
    ),
)

app.add_typer(partner_secrets.app)

_COLUMNS = ["partner", "how", "since", "undelivered", "parked", "oldest", "last_handed_over", "asked_again_at", "why"]


@app.command("list", epilog=example("safebus partners list", "safebus partners list --silent-since 2026-11-24"))
def partners_list(
    silent_since: str | None = typer.Option(
        None, "--silent-since", help="only those that were handed nothing since, ISO 8601"
    ),
    output: Form = FORM,
) -> None:
    """
    Say of each partner how its deliveries stand, how many are not delivered, how many are parked and not closed, and
    when it was last handed one.
    """
    since = None if silent_since is None else parse_time(silent_since, clock())
    found = [
        each
        for each in _standings(None, since, with_parked=True)
        if since is None or each.last_handed_over is None or each.last_handed_over < since
    ]
    show([_row(each) for each in found], output, columns=_COLUMNS)


@app.command("show", epilog=example("safebus partners show ash-primary"))
def partners_show(partner: str = typer.Argument(...), output: Form = FORM) -> None:
    """
    Say how the deliveries to one partner stand, and whether the secret of its webhook is being changed.

    While they are paused, also until when its topic keeps what waits.
    """
    from safebus.consumers.audit.standing import How
    from safebus.deploy.service import settings

    [standing] = _standings(partner, with_parked=True)
    row, columns = _row(standing) | {"secret": _secret_change(partner)}, [*_COLUMNS, "secret"]
    if standing.how is How.PAUSED:
        kept = run(lambda: kept_topics.kept_for(settings.load(), [partner]))[partner]
        row["kept_until"], columns = kept_topics.until_when(kept, standing), [*columns, "kept_until"]
        for line in kept_topics.in_words(kept, standing, until=standing.paused_until, now=clock()):
            say(line)
    show([row], output, columns=columns)


def _secret_change(partner: str) -> str:
    from safebus.consumers.audit.secrets_changed import last_change
    from safebus.deploy.service import settings
    from safebus.schemas.errors import NotReachable

    found = settings.load()
    try:
        return run(lambda: last_change(found.connection(), partner, trusted=found.issuers()))
    except NotReachable as exc:  # a certificate that may not read what others did sees the rest all the same
        return f"not known: {exc}"


def _standings(partner: str | None, since: datetime | None = None, *, with_parked: bool = False) -> list[Standing]:
    from safebus.consumers.audit.standing import standings
    from safebus.deploy.service import settings
    from safebus.schemas.errors import BadInput
    from safebus.schemas.nearest import or_the_known
    from safebus.streams.register.follow import current_register

    found = settings.load()

    register = run(lambda: current_register(found.connection()))
    if partner is not None and partner not in register.partners:
        raise BadInput(f"there is no partner `{partner}`{or_the_known(partner, register.partners)}")
    asked = [partner] if partner is not None else list(register.partners)
    parked = open_parked(found, asked) if with_parked else None
    return run(lambda: standings(found.connection(), register, asked, now=clock(), since=since, parked=parked))


def _row(each: Standing) -> dict[str, Any]:
    def at(when: datetime | None) -> str:
        return "" if when is None else when.isoformat(timespec="seconds")

    return {
        "partner": each.partner,
        "how": each.how.value,
        "since": at(each.since),
        "undelivered": each.undelivered,
        "parked": "not known" if each.parked is None else each.parked,
        "oldest": at(each.oldest),
        "last_handed_over": at(each.last_handed_over),
        "asked_again_at": at(each.asked_again_at),
        "why": each.why,
    }


@app.command(
    "pause",
    epilog=example(
        "safebus partners pause ash-primary --until 2027-01-04T07:00",
        'safebus partners pause ash-primary --until 2027-01-04T07:00 --execute --reason "closed over the holidays"',
    ),
)
def partners_pause(
    partner: str = typer.Argument(...),
    until: str | None = typer.Option(
        None,
        "--until",
        help=f"ISO 8601: goes on by itself then; `{NEVER}`: when resumed; default: as a pause that is on, else {NEVER}",
    ),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """
    Hand nothing over to a partner for now. What comes is decided and kept, for as long as its topic keeps it.

    It is no suspension: the partner may have it, and gets it when it is resumed, each asked again. What has begun when
    this is run ends. Where they are paused already, it says until when, and what this would change.
    """
    end = None if until in (None, NEVER) else parse_time(until, clock())
    word = _Word("partners pause", paused=True, until=end, keeps_end=until is None)
    _say_word(word, partner, execute=execute, reason=reason, by=by, second=second)


@app.command("resume", epilog=example('safebus partners resume ash-primary --execute --reason "they are back"'))
def partners_resume(
    partner: str = typer.Argument(...),
    execute: bool = EXECUTE,
    reason: str = REASON,
    by: str = typer.Option("operator", "--by", help="who, as a role"),
    second: str = SECOND,
) -> None:
    """
    Have deliveries go on, and what waits tried now, whether they were paused or not.

    A destination that is held or silent is probed now, with one message; when it takes that, the others follow.
    """
    word = _Word("partners resume", paused=False, until=None, keeps_end=False)
    _say_word(word, partner, execute=execute, reason=reason, by=by, second=second)


class _Word(NamedTuple):
    """What an operator says of the deliveries; `keeps_end`: a pause that is on ends when it would have ended."""

    command: str
    paused: bool
    until: datetime | None
    keeps_end: bool


def _before(register: Register, partner: str, word: _Word) -> tuple[datetime | None, list[str]]:
    """Until when they are paused then; and, where they are paused now, what this changes, in words."""
    from safebus.deploy.cli.redriving import pause_of

    standing, now = register.deliveries_word(partner), pause_of(register, partner)
    if standing is None or now is None:
        return word.until, []
    if not word.paused:
        return None, [f"{now}; that ends"]
    until = standing.until if word.keeps_end else word.until
    if until != standing.until:
        return until, [f"{now} already; this changes the end: {_end(until)}"]
    how = f"; --until gives another, or `{NEVER}` none" if until and word.keeps_end else ""
    return until, [f"{now} already; that end stays{how}"]


def _tried_how(standing: Standing) -> str:
    from safebus.consumers.audit.standing import How

    if standing.how is How.SUSPENDED:
        return "and are stopped, for the register suspends the partner"
    if standing.trouble is not None and standing.trouble.one_at_a_time:
        return "and one is tried now; the others follow when that is taken, each asked again"
    return "and are tried now, each asked again"


def _end(until: datetime | None) -> str:
    return f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody resumes them"


def _say_word(
    word: _Word,
    partner: str,
    *,
    execute: bool,
    reason: str,
    by: str,
    second: str,
) -> None:
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.streams.register.follow import current_register
    from safebus.streams.register.write import deliveries_record

    needs_reason(execute, reason)
    found = settings.load()
    key = found.person_key()
    register = run(lambda: current_register(found.connection(), key=key))
    until, before = _before(register, partner, word)
    record = deliveries_record(partner, register, paused=word.paused, until=until, at=clock(), by=by, reason=reason)
    [standing] = _standings(partner)
    would = f"be paused {_end(until)}" if word.paused else "go on, and what waits be tried now"
    kept = run(lambda: kept_topics.kept_for(found, [partner] if word.paused else []))
    known = [line for each in kept.values() for line in kept_topics.in_words(each, standing, until=until, now=clock())]
    if (there := register.partner(partner)) is not None and there.suspended:
        before.append(
            f"the register suspends {partner}: nothing is handed over until `safebus register lift` ends that"
        )
    for line in before:
        say(line)
    if not execute:
        say(f"dry run: deliveries to {partner} would {would}; {standing.undelivered} are not delivered")
        for line in known:
            say(line)
        say("--execute --reason ... does it")
        return
    write_to_register(found, register, [record], Act(word.command, (partner,), reason), key=key, second=second)
    if word.paused:
        say(f"paused {_end(until)}; {standing.undelivered} wait, and what comes waits with them")
        for line in known:
            say(line)
    else:
        say(f"resumed; {standing.undelivered} wait, {_tried_how(standing)}")


@app.command(
    "test",
    epilog=example(
        'safebus partners test ash-primary --destinations destinations.yaml --execute --reason "is it back?"'
    ),
)
def partners_test(
    partner: str = typer.Argument(...),
    destinations: Path = DESTINATIONS,
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Send a partner a notification that says it is a test and is about nobody, the way all others go.

    Exit code 3: it was not taken.
    """
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.adapters.adapter import PartnerAnswer, Reply, always, hand_over
    from safebus.consumers.delivery.parcels import trial_of
    from safebus.deploy.service import settings
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.register_checks import check_destination
    from safebus.streams.register.follow import current_register

    needs_reason(execute, reason)
    found = settings.load()
    there = places.read(destinations).of(partner)
    place = places.opened(there, clock=clock)
    check_destination(run(lambda: current_register(found.connection())), partner, place, must=False)
    if not execute:
        say(
            f"dry run: a test would go to {partner} at {place.transport} {place.place}; --execute --reason ... sends it"
        )
        return
    operation = put_on_record(found, Act("partners test", (partner,), reason))

    async def main() -> PartnerAnswer:
        await place.adapter.open()
        try:
            return await hand_over(place.adapter, trial_of(operation.operation_id, partner, clock()), may_go=always)
        finally:
            await place.adapter.close()

    began = clock()
    answer = run(main)
    took = (clock() - began).total_seconds()
    if answer.reply is Reply.ACCEPTED:
        say(f"taken: answer {answer.code} in {took:.2f} s, as {operation.operation_id}")
        say(f"if deliveries wait, `safebus partners resume {partner}` has them tried now")
    else:
        say(f"not taken: {answer.reply}, answer {answer.code} after {took:.2f} s")
    raise typer.Exit(DONE if answer.reply is Reply.ACCEPTED else SOME)
