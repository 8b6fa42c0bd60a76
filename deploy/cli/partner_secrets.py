"""`safebus partners rotate-secret`: how does a partner's webhook come to be signed with another secret?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import EXECUTE, REASON, SOME, USAGE, example, needs_reason, stop
from safebus.deploy.cli.redriving import DESTINATIONS
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.consumers.adapters.adapter import PartnerAnswer
    from safebus.consumers.adapters.destinations import Destinations, Folder, Postgres, Webhook
    from safebus.deploy.service.settings import Settings

app = typer.Typer()

_NAME = "safebus partners rotate-secret fordshire-mash --destinations destinations.yaml"


@app.command(
    "rotate-secret",
    epilog=example(
        f'{_NAME} --to mash.new --execute --reason "yearly"',
        f'{_NAME} --finish --execute --reason "they have changed"',
    ),
)
def partners_rotate_secret(
    partner: str = typer.Argument(...),
    destinations: Path = DESTINATIONS,
    to: Path | None = typer.Option(
        None, "--to", help="a new file for the partner, that only you can read: the new secret, and nothing else"
    ),
    finish: bool = typer.Option(False, "--finish", help="the partner has changed: only the newest signs from now on"),
    undo: bool = typer.Option(False, "--undo", help="the partner never got the new one: take it out again"),
    untested: bool = typer.Option(False, "--untested", help="with --finish: send no test first that it takes the new"),
    execute: bool = EXECUTE,
    reason: str = REASON,
) -> None:
    """
    Have a webhook signed with a new secret too, made here; then, with --finish, with the new one alone.

    In between both sign, and nothing is refused whichever the partner has. Run it where the file of secrets stands; a
    running `safebus deliver` takes it within seconds. Without --execute it says which secrets sign now, by their marks.

    Exit code 3: with --finish, the partner did not take a test that the new one alone had signed; nothing was changed.
    """
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.adapters import signing_secrets
    from safebus.deploy.service import settings

    needs_reason(execute, reason)
    if (to is not None) + finish + undo > 1 or (untested and not finish):
        raise stop(
            USAGE, "--to makes a new one, --finish and --undo end it: give one of them; --untested with --finish"
        )
    there = places.read(destinations)
    file = _file_of(partner, there)
    change = _Change(settings.load(), partner, there, file, signing_secrets.read(file), reason)
    say(f"`{partner}`: {change.signing(change.held)}, as `{file}` says")
    if finish or undo:
        _end(change, finish=finish, tested=finish and not untested, execute=execute)
    else:
        _begin(change, to, execute=execute)


@dataclass(frozen=True)
class _Change:
    """What is there, and who is to be signed for. `held`: what signs now, the newest first."""

    found: Settings
    partner: str
    there: Destinations
    file: Path
    held: tuple[str, ...]
    reason: str

    @staticmethod
    def signing(held: tuple[str, ...]) -> str:
        """Which secrets sign, by their marks."""
        from safebus.consumers.adapters.signing_secrets import mark

        one, *before = map(mark, held)
        return f"{len(held)} secrets sign, {one} (the newest) and {', '.join(before)}" if before else f"{one} signs"


def _file_of(partner: str, there: Destinations) -> Path:
    from safebus.consumers.adapters.destinations import Webhook
    from safebus.schemas.errors import BadInput

    destination = there.of(partner)
    if not isinstance(destination, Webhook):
        raise BadInput(_instead(partner, destination))
    return destination.secrets_file


def _instead(partner: str, destination: Folder | Postgres | Webhook) -> str:
    from safebus.consumers.adapters.destinations import Postgres

    if isinstance(destination, Postgres):
        return (
            f"`{partner}` is delivered into its database: nothing is signed, and what lets the bus in is the password "
            f"in `{destination.dsn_file}`. Ask the partner for another account with the same rights, put its DSN into "
            "that file (a running `safebus deliver` takes it within seconds), then have the old account closed"
        )
    return (
        f"`{partner}` is delivered into a folder: nothing is signed, and there is no secret. Who may write there is up "
        "to the file system: change the account under which the share is mounted, with the partner"
    )


def _begin(change: _Change, to: Path | None, *, execute: bool) -> None:
    import secrets

    from safebus.consumers.adapters import signing_secrets
    from safebus.consumers.audit.secrets_changed import WHAT
    from safebus.deploy.service.key_backup import write_new
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput

    if len(change.held) > 1:
        raise BadInput(
            f"`{change.partner}` is changing already: once it has the newest, --finish takes the others away; if it "
            "never got the newest, --undo takes that one out"
        )
    if to is None and execute:
        raise stop(USAGE, "--execute needs --to FILE: the new secret is written there for the partner, and never shown")
    if to is not None and to.exists():
        raise BadInput(f"`{to}` is there already; name a new file")
    if to is None or not execute:
        say("dry run: a new one would be made and sign beside it; --to FILE --execute --reason ... does it")
        return
    new = signing_secrets.new(secrets.token_bytes)
    mark = signing_secrets.mark(new)
    with signing_secrets.replacing(change.file, change.held, (new, *change.held)) as (_, put):
        put_on_record(change.found, Act(WHAT, (change.partner, mark), change.reason))
        write_new(to, f"{new}\n".encode())
        try:
            put()
        except BaseException:
            to.unlink(missing_ok=True)  # nothing signs with it
            raise
    say(f"{change.signing((new, *change.held))}; bring `{to}` to the partner by a way that nobody else reads, and")
    say("delete it; when they have changed, run this with --finish")


def _end(change: _Change, *, finish: bool, tested: bool, execute: bool) -> None:
    from safebus.consumers.adapters import signing_secrets
    from safebus.consumers.adapters.adapter import Reply
    from safebus.consumers.audit.secrets_changed import WHAT
    from safebus.deploy.service.operations import Act
    from safebus.schemas.errors import BadInput

    held = change.held
    if len(held) == 1:
        raise BadInput(f"one secret signs for `{change.partner}`, so there is no change to end; --to FILE begins one")
    stays, goes = (held[:1], held[1:]) if finish else (held[1:], held[:1])
    marks = tuple(map(signing_secrets.mark, goes))
    if not execute:
        first = "the partner would be sent a test that the newest alone signs; if it is taken, " if tested else ""
        say(f"dry run: {first}{', '.join(marks)} would be taken away; --execute --reason ... does it")
        return
    what = f"{WHAT} {'--finish' if finish else '--undo'}"
    with signing_secrets.replacing(change.file, held, stays) as (draft, put):
        operation = put_on_record(change.found, Act(what, (change.partner, *marks), change.reason))
        answer = _tried(change, draft, operation.operation_id) if tested else None
        if answer is not None and answer.reply is not Reply.ACCEPTED:
            say(f"the partner did not take what the newest alone had signed: {answer.reply}, answer {answer.code}")
            raise stop(SOME, "nothing was changed; has it changed, and is it up?")
        put()
    say(f"{', '.join(marks)} signs no more; {change.signing(stays)}")


def _tried(change: _Change, draft: Path, operation_id: str) -> PartnerAnswer:
    """A test to the partner, as it would be signed then."""
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.adapters.adapter import always, hand_over
    from safebus.consumers.delivery.parcels import trial_of
    from safebus.deploy.service.register_checks import check_destination
    from safebus.streams.register.follow import current_register

    place = places.opened(change.there.of(change.partner).model_copy(update={"secrets_file": draft}), clock=clock)
    register = run(lambda: current_register(change.found.connection()))
    check_destination(register, change.partner, place, must=False)
    trial = trial_of(operation_id, change.partner, clock())
    return run(lambda: hand_over(place.adapter, trial, may_go=always))
