"""How does a command assign and close what a person must look at, and say how each stands?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import put_on_record
from safebus.deploy.cli.options import needs_reason
from safebus.deploy.service.terminal import say, visible

if TYPE_CHECKING:
    from datetime import datetime

    from safebus.consumers.audit.in_hand import InHand
    from safebus.consumers.audit.operations import OnRecord
    from safebus.consumers.audit.quarantine import InQuarantine
    from safebus.consumers.delivery.parked import Parked
    from safebus.deploy.service.settings import Settings

TO = typer.Option(
    "", "--to", metavar="PERSON", help="whom, as their certificate or the machine names them; default: you"
)
ALL = typer.Option(False, "--all", help="what is closed, too")

#: What a list says of each, beside what it is.
COLUMNS: Final = ("state", "assigned_to", "since")

LAST_WORD: Final = ("last_word_by", "last_word")

_MOST_TO: Final = 100


def of_parked(found: Settings, partner: str, items: Sequence[Parked]) -> dict[str, InHand]:
    """How each of these stands, by its id."""
    from safebus.consumers.audit import in_hand

    here = {p.notification.notification_id: p.at for p in items}

    async def main() -> dict[str, InHand]:
        acts = await _acts(found, "parked", partner)
        counts = await _who_counts(found)
        closed = [act.at for act in acts if act.operation.what.endswith(in_hand.CLOSE)]
        again: dict[str, datetime] = {}
        if closed:
            again = await in_hand.refused_since(found.connection(), partner, here.keys(), since=min(closed))
        return in_hand.in_hand(here, acts, counts=counts, again=again)

    return run(main)


def of_quarantine(found: Settings, items: Sequence[InQuarantine]) -> dict[str, InHand]:
    """How each of these stands, by its id."""
    from safebus.consumers.audit import in_hand

    async def main() -> dict[str, InHand]:
        return in_hand.in_hand(
            {each.entry.quarantine_id: each.entry.at for each in items},
            await _acts(found, "quarantine", None),
            counts=await _who_counts(found),
            again={each.entry.quarantine_id: each.last_at for each in items},
        )

    return run(main)


def open_parked(found: Settings, partners: Collection[str]) -> dict[str, int] | None:
    """Partner -> how many parked deliveries a person must look at; None: this certificate is not shown that."""
    from safebus.consumers.audit import parked_counts
    from safebus.schemas.errors import NotReachable

    async def main() -> dict[str, int]:
        parked = await parked_counts.parked_ones(found.connection(), partners)
        if not parked:
            return {}
        acts = await _acts(found, "parked", None)
        return parked_counts.still_open(parked, acts, counts=await _who_counts(found))

    try:
        return run(main)
    except NotReachable as exc:
        say(f"how many are parked is not known: {exc}")
        return None


async def _acts(found: Settings, kind: str, partner: str | None) -> list[OnRecord]:
    from safebus.consumers.audit import in_hand, operations

    return await operations.entries(
        found.connection(),
        trusted=found.issuers(),
        wanted=lambda operation: in_hand.is_about_hands(operation, kind, partner),
    )


async def _who_counts(found: Settings) -> Any:
    """Where certificates are in use, persons: agencies and processes have the right to write there for other things."""
    from safebus.deploy.service import rights
    from safebus.schemas import topics
    from safebus.schemas.kafka.topic_list import topics_there

    if not found.issuers():
        return lambda _: True
    there = await topics_there(found.connection())
    partners = {name for topic in there if (name := topics.partner_of_notifications(topic)) is not None}
    partners |= {topics.agency_of(topic) for topic in there if topics.is_published(topic)}
    return lambda act: act.proven and rights.is_a_person(act.who, partners)


def columns_of(hand: InHand) -> dict[str, str]:
    """What a list says of it, and what `-o json` says beside."""
    return {
        "state": hand.state.value,
        "assigned_to": hand.to,
        "since": hand.since.isoformat(timespec="seconds"),
        "last_word_by": hand.by,
        "last_word": hand.why,
    }


def shown(columns: Sequence[str], *, every: bool) -> list[str]:
    """The columns of a list: with what is closed, also who closed it and why."""
    return [*columns, *COLUMNS, *(LAST_WORD if every else ())]


def without_closed(rows: Sequence[Mapping[str, Any]], *, every: bool) -> list[Mapping[str, Any]]:
    """The rows to show; says how many are closed."""
    from safebus.consumers.audit.in_hand import State

    left = [row for row in rows if row["state"] != State.CLOSED]
    if closed := len(rows) - len(left):
        say(f"{closed} are closed" if every else f"{closed} are closed and not shown; --all shows them")
    return list(rows) if every else left


def assign_or_close(
    found: Settings,
    what: str,
    hands: Mapping[str, InHand],
    ids: Sequence[str],
    *,
    partner: str | None = None,
    to: str | None = None,
    execute: bool,
    reason: str,
) -> None:
    """
    Put on record that these are assigned or closed. Nothing else changes: where they are parked or sealed, they stay.

    Args:
        what: The command, as `parked close`.
        hands: How all that may be meant stand.
        to: Whom they are assigned to, empty: whoever runs this; None: they are closed.

    Raises:
        BadInput: One of them is not there, or closed already; then nothing is done.
    """
    from safebus.consumers.audit.in_hand import State
    from safebus.deploy.service.operations import Act, system_user
    from safebus.schemas.bus_records import MOST_ABOUT
    from safebus.schemas.errors import BadInput

    needs_reason(execute, reason)
    wanted = list(dict.fromkeys(ids))
    where = f"`safebus {what.split()[0]} list{f' {partner}' if partner else ''} --all`"
    if missing := [each for each in wanted if each not in hands]:
        raise BadInput(f"nothing is there under `{missing[0]}`; {where} shows what is")
    if len(wanted) >= MOST_ABOUT:
        raise BadInput(f"{len(wanted)} at once are too many to be named on record; give fewer than {MOST_ABOUT}")
    if to is None:
        closed = [hands[each] for each in wanted if hands[each].state is State.CLOSED]
        if closed:
            raise BadInput(f"closed already, by `{closed[0].by}` at {closed[0].since:%Y-%m-%d %H:%M} UTC")
    else:
        signer = found.signer()
        to = to.strip() or (signer.name if signer else system_user())
        if visible(to, keep="") != to or len(to) > _MOST_TO:
            raise BadInput(f"`--to` is a name in at most {_MOST_TO} visible characters")
    then = "closed" if to is None else f"assigned to {to}"
    for line in [*_taken_from(hands, wanted, to), *([] if to is None else _known_of(found, to))]:
        say(line)
    if not execute:
        say(f"dry run: {len(wanted)} would be {then}; --execute --reason ... does it")
        return
    put_on_record(found, Act(what, (*([partner] if partner else []), *wanted), reason, len(wanted), to=to))
    say(f"{len(wanted)} {then}")


def _taken_from(hands: Mapping[str, InHand], wanted: Sequence[str], to: str | None) -> list[str]:
    """Whose these are now, where that is somebody else."""
    from collections import Counter

    from safebus.consumers.audit.in_hand import State

    has = Counter(hands[each].to for each in wanted if hands[each].state is not State.CLOSED and hands[each].to != to)
    return [f"{number} of them are assigned to {who} now" for who, number in sorted(has.items()) if who]


def _known_of(found: Settings, to: str) -> list[str]:
    """That nobody of this name has done anything here: names are not kept, so that is all that can be known of one."""
    from safebus.consumers.audit import operations
    from safebus.deploy.service.operations import system_user
    from safebus.schemas.nearest import did_you_mean

    signer = found.signer()
    names = {act.who for act in run(lambda: operations.entries(found.connection(), trusted=found.issuers()))}
    names |= {signer.name if signer else system_user()}
    if to in names:
        return []
    return [f"nobody called `{to}` has done anything on this bus yet{did_you_mean(to, names)}"]
