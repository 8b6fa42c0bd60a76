"""How does a command send deliveries again, to where the register says, and say what became of each?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import written_down
from safebus.deploy.cli.options import DONE, SOME, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.consumers.delivery.attempt import Delivery
    from safebus.consumers.delivery.parked import Said
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.settings import Settings
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
    return pause_in_words(partner, since=word.said_at, until=word.until)


def say_if_paused(found: Settings, partner: str, *, then: str) -> None:
    """
    For a dry run.

    Args:
        then: What follows from it.
    """
    from safebus.streams.register.follow import current_register

    paused = pause_of(run(lambda: current_register(found.connection())), partner)
    if paused:
        say(f"{paused}: {then}")


#: What comes of a pause where something would be sent by hand.
STAYS: Final = "nothing is sent, and what is parked stays parked, unless --although-paused is given"


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
    """
    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.delivery import parked
    from safebus.deploy.service.register_checks import RegisterRecheck, check_destination
    from safebus.streams.register.follow import RegisterReader

    there = places.read(destinations).of(partner)

    async def main() -> list[Said]:
        reader = RegisterReader(found.connection(), key=found.digest_key())
        said: list[Said] = []
        try:
            await reader.start()
            place = places.opened(there, clock=clock)
            check_destination(reader.now, partner, place, must=True)
            paused = pause_of(reader.now, partner)
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
                although_paused=although_paused,
            )
            async for each in tried:
                say(f"{each.notification_id}: {each.text}" if len(deliveries) > 1 else each.text)
                said.append(each)
                if _stopped(said):
                    await tried.aclose()
                    break
        finally:
            await reader.stop()
        return said

    said = run(main)
    done = sum(each.handed_over for each in said)
    if len(deliveries) > 1:
        say(f"{done} of {len(deliveries)} handed over to {partner}")
    if len(said) < len(deliveries):
        why = f"{STOP_AFTER} in a row were not taken" if _stopped(said) else "somebody paused deliveries meanwhile"
        say(f"{why}, so {len(deliveries) - len(said)} were not tried; run it again later")
    return typer.Exit(DONE if done == len(deliveries) else SOME)


def _stopped(said: Sequence[Said]) -> bool:
    """The last in a row were not taken."""
    return len(said) >= STOP_AFTER and all(each.refused for each in said[-STOP_AFTER:])
