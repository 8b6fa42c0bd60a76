"""How does a command send deliveries again, to where the register says, and say what became of each?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import written_down
from safebus.deploy.cli.options import DONE, SOME, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.consumers.adapters.destinations import Opened
    from safebus.consumers.delivery.attempt import Delivery
    from safebus.consumers.delivery.parked import Said
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.kafka.allowed import Right
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.register.store import Register

DESTINATIONS = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications")
ALTHOUGH_PAUSED = typer.Option(
    False, "--although-paused", help="deliveries to this partner are paused, and these are to go all the same"
)

#: So many in a row that are not taken: it is not the message, and the others need not be tried.
STOP_AFTER: Final = 3


def pause_of(register: Register, partner: str) -> str | None:
    """That deliveries to a partner are paused, since when and until when, in words; None: they are not."""
    from safebus.consumers.audit.waits import pause_in_words

    word = register.deliveries_word(partner)
    if word is None or not word.pauses(clock()):
        return None
    return pause_in_words(partner, since=word.began, until=word.until)


#: What comes of a pause where something would be sent by hand.
STAYS: Final = "nothing is sent, and what is parked stays parked, unless --although-paused is given"


def say_dry(would: str, paused: str | None, *, although_paused: bool) -> None:
    """
    What a dry run says.

    Args:
        would: What would be done, such as `46 parked deliveries to ash-primary would be tried`.
        paused: That deliveries are paused, in words; None: they are not.
    """
    if paused and not although_paused:
        say(f"dry run: nothing would be sent, for {paused}; with --although-paused {would}")
    else:
        say(f"dry run: {would}; --execute --reason ... does it")


def would_be_sent(found: Settings, partner: str, destinations: Path) -> str | None:
    """
    For a dry run: ask all that the sending asks before it sends.

    Returns:
        That deliveries are paused, in words; None: they are not.

    Raises:
        BadInput, NotAllowed: As `send_again`.
    """

    async def main() -> str | None:
        async with _ready(found, partner, destinations) as (_, _, paused):
            return paused

    return run(main)


@asynccontextmanager
async def _ready(
    found: Settings, partner: str, destinations: Path
) -> AsyncIterator[tuple[RegisterReader, Opened, str | None]]:
    """The register, read to its end; where it goes, which is the registered place; whether that is paused, in words."""
    from safebus.consumers.adapters import destinations as places
    from safebus.deploy.service import rights
    from safebus.deploy.service.register_checks import check_destination
    from safebus.streams.register.follow import RegisterReader

    there = places.read(destinations).of(partner)
    reader = RegisterReader(found.connection(), key=found.digest_key())
    try:
        await reader.start()
        place = places.opened(there, clock=clock)
        check_destination(reader.now, partner, place, must=True)
        await may(found, rights.of_sending_again(partner))
        yield reader, place, pause_of(reader.now, partner)
    finally:
        await reader.stop()


async def may(found: Settings, wanted: Sequence[Right]) -> None:
    """
    Has this certificate these rights?

    Raises:
        NotAllowed: It has not; says which.
        NotReachable: The broker does not answer.
    """
    from safebus.deploy.service import rights
    from safebus.schemas.errors import NotAllowed

    if lacking := await rights.lacking(found.connection(), wanted):
        raise NotAllowed(f"this certificate lacks {', '.join(map(str, lacking))}, or that is not there")


def send_again(
    found: Settings,
    partner: str,
    destinations: Path,
    deliveries: Sequence[Delivery],
    act: Act,
    *,
    although_paused: bool,
) -> typer.Exit:
    """
    Put on record, then send these again, one after another; says what became of each.

    A pause holds for what a person sends, too: who paused had a reason, and whoever sends may not know of it. With
    `although_paused` they say that they do.

    Returns:
        To be raised: exit code 3 where some were not handed over.

    Raises:
        BadInput: Its destination is not the registered one.
        NotAllowed: Whoever runs this may not write what a redrive writes.
    """
    from safebus.consumers.adapters.places import place_digest
    from safebus.consumers.delivery import parked
    from safebus.deploy.service.operations import writes_as
    from safebus.deploy.service.register_checks import RegisterRecheck

    async def main() -> list[Said]:
        said: list[Said] = []
        async with _ready(found, partner, destinations) as (reader, place, paused):
            if paused and not although_paused:
                raise stop(SOME, f"{paused}: {STAYS}")
            await written_down(found, act)
            tried = parked.redrive(
                found.connection(),
                partner,
                deliveries,
                adapter=place.adapter,
                recheck=RegisterRecheck(reader),
                clock=clock,
                written_by=writes_as(found),
                place=place_digest(place.transport, place.place, found.digest_key().of(reader.now.generation)),
                although_paused=although_paused,
            )
            async for each in tried:
                say(f"{each.notification_id}: {each.text}" if len(deliveries) > 1 else each.text)
                said.append(each)
                if _stopped(said):
                    await tried.aclose()
                    break
        return said

    said = run(main)
    done = sum(each.handed_over for each in said)
    if len(deliveries) > 1:
        say(f"{done} of {len(deliveries)} handed over to {partner}")
    if len(said) < len(deliveries):
        why = f"{STOP_AFTER} in a row were not taken" if _stopped(said) else "somebody paused deliveries meanwhile"
        left = len(deliveries) - len(said)
        say(f"{why}, so {left} were not tried; run it again later: whatever was not taken goes last then")
    return typer.Exit(DONE if done == len(deliveries) else SOME)


def refused_last(deliveries: Sequence[Delivery], refused: Mapping[str, datetime]) -> list[Delivery]:
    """
    Those that were never refused as they are given, then the others, whichever was tried longest ago first.

    The sending ends where several in a row are not taken. Begun with the same ones each time, it would never come to
    the others.

    Args:
        refused: Notification id -> when it was last not taken.
    """
    never = [each for each in deliveries if each.notification.notification_id not in refused]
    before = [each for each in deliveries if each.notification.notification_id in refused]
    return never + sorted(before, key=lambda each: refused[each.notification.notification_id])


def _stopped(said: Sequence[Said]) -> bool:
    """The last in a row were not taken."""
    return len(said) >= STOP_AFTER and all(each.refused for each in said[-STOP_AFTER:])
