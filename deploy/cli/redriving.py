"""How does a command send deliveries again, to where the register says, and say what became of each?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.on_record import written_down
from safebus.deploy.cli.options import DONE, SOME
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:
    from safebus.consumers.delivery.attempt import Delivery
    from safebus.consumers.delivery.parked import Said
    from safebus.deploy.service.operations import Act
    from safebus.deploy.service.settings import Settings

DESTINATIONS = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications")

#: So many in a row that are not taken: it is not the message, and the others need not be tried.
STOP_AFTER: Final = 3


def send_again(
    found: Settings, partner: str, destinations: Path, deliveries: Sequence[Delivery], act: Act
) -> typer.Exit:
    """
    Put on record, then send these again, one after another; says what became of each.

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
            await written_down(found, act)
            tried = parked.redrive(
                found.connection(),
                partner,
                deliveries,
                adapter=place.adapter,
                recheck=RegisterRecheck(reader),
                clock=clock,
            )
            in_a_row = 0
            async for each in tried:
                say(f"{each.notification_id}: {each.text}" if len(deliveries) > 1 else each.text)
                said.append(each)
                in_a_row = 0 if each.handed_over or not each.refused else in_a_row + 1
                if in_a_row == STOP_AFTER:
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
        left = len(deliveries) - len(said)
        say(f"{STOP_AFTER} in a row were not taken, so {left} were not tried; run it again later")
    return typer.Exit(DONE if done == len(deliveries) else SOME)
