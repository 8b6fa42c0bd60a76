"""`safebus explain` and `safebus index`: what was decided about an event, and where does that stand?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.not_shown import say_what_is_not_shown
from safebus.deploy.cli.on_record import written_down
from safebus.deploy.cli.options import FAILED, FORM, REASON, USAGE, Form, example, needs_reason, stop
from safebus.deploy.cli.output import progress, say_strange
from safebus.deploy.service.terminal import clock, say, tell

if TYPE_CHECKING:
    from safebus.consumers.audit.explain.indexing import AboutEvent
    from safebus.deploy.service.settings import Settings

app = typer.Typer()


@app.command(epilog=example("safebus explain 3b241101-e2bb-4255-8caf-4136c566a962 -o json"))
def explain(
    event_id: str = typer.Argument(..., help="the event's id, or that of its entry in quarantine"),
    output: Form = FORM,
    show_released: bool = typer.Option(False, "--show-released", help="the values too; needs --reason and -o json"),
    reason: str = REASON,
) -> None:
    """Say what was decided about an event, for whom, why, and what became of each delivery."""
    from safebus.deploy.service import settings
    from safebus.schemas import identifiers

    identifiers.event_id(event_id)
    needs_reason(show_released, reason, option="--show-released")
    if show_released and output is not Form.JSON:
        raise stop(USAGE, "--show-released goes with -o json")
    found = settings.load()
    because = reason if show_released else None
    about = run(lambda: _explained(found, event_id, output, shown_because=because))
    if not about.decisions and (set_aside := run(lambda: _in_quarantine(found, event_id))) is not None:
        about = run(lambda: _explained(found, set_aside, output, shown_because=because))
        event_id = set_aside
    say_what_is_not_shown(found, about.register.partners)
    if not about.decisions:
        raise stop(
            FAILED,
            f"no decision about `{event_id}`; was it published, and is a worker running? "
            "`safebus quarantine list` shows what could not be decided",
        )


async def _in_quarantine(found: Settings, quarantine_id: str) -> str | None:
    """
    The event that an entry in quarantine is about; None: there is no such entry.

    Raises:
        BadInput: There is, and it is not known which event that was.
    """
    from safebus.consumers.audit import quarantine
    from safebus.schemas.errors import BadInput, NotReachable

    try:
        entries = await quarantine.entries(found.connection())
    except NotReachable:  # whoever may not see quarantine is told that this is no event, as before
        return None
    one = next((each for each in entries if each.entry.quarantine_id == quarantine_id), None)
    if one is None:
        return None
    say(f"`{quarantine_id}` is in quarantine: {one.entry.reason}: {one.entry.detail}")
    event_id = await quarantine.event_of(found.connection(), one)
    if event_id is None:
        raise BadInput(
            f"nothing was decided about it, and its event is not known; `safebus quarantine show {quarantine_id}` says "
            "where it stands, and opens it"
        )
    return event_id


async def _explained(found: Settings, event_id: str, output: Form, *, shown_because: str | None) -> AboutEvent:
    """
    Print what is on record about an event, and return it.

    Args:
        shown_because: Why released values are shown; None: they are not.
    """
    from safebus.consumers.audit.explain import explanation as explaining
    from safebus.consumers.audit.explain import indexing
    from safebus.consumers.audit.waits import all_wait_for
    from safebus.deploy.service.operations import Act
    from safebus.streams.register.follow import current_register

    connection = found.connection()
    about = await indexing.about_event(connection, event_id, home=found.home, say=say)
    waiting = await all_wait_for(connection, about.decisions, about.receipts, about.register, now=clock())
    if about.decisions and output is Form.JSON:
        views = None
        if shown_because is not None:
            number = len({a.notification_id for r in about.decisions for a in r.answers if a.notification_id})
            act = Act("explain", (event_id,), shown_because, number=number)
            await written_down(found, act)
            views = await explaining.views_of(connection, about.decisions, await current_register(connection))
        said = [explaining.as_dict(r, about.receipts, about.register, views, waiting) for r in about.decisions]
        tell(json.dumps(said, indent=2))
    elif about.decisions:
        for record in about.decisions:
            tell(explaining.as_text(record, about.receipts, about.register, waiting))
    say_strange(about.strange)
    return about


@app.command(epilog=example("safebus index --follow"))
def index(
    follow: bool = typer.Option(False, "--follow", help="keep it up to date until stopped, as a service"),
) -> None:
    """Bring the index that `explain` looks in up to date. It is a cache: `explain` does the same when it is asked."""
    from safebus.consumers.audit.explain import indexing
    from safebus.deploy.service import settings

    found = settings.load()
    connection = found.connection()
    bar, advance = progress("records read into the index")
    with bar:
        read = run(lambda: indexing.keep_index(connection, home=found.home, follow=follow, say=say, progress=advance))
    say(f"{read} records were read into the index; it is up to date")
