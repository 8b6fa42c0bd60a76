"""
A process that starts goes on from how the one before it left the destination. A real broker, a real web server.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from a_demo_bus import NOON
from many_children import Bus, Server, delivering, handed, ids, webhook

from safebus.schemas.bus_records import DestinationStanding, Stage

DEADLINE_S = 60


async def asked(server: Server, times: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while len(server.asked) < times:
            await asyncio.sleep(0.02)


async def test_a_pause_that_the_partner_asked_for_holds_after_a_restart(bus: Bus) -> None:
    server, few = Server(asks_for=600), ids(3)
    async with webhook(server) as system:
        await bus.send(few[:1])
        async with delivering(bus, system):
            await asked(server, 1)
            await bus.until(lambda found: (few[0], Stage.WAITING) in found, step=timedelta())
        [last] = await bus.receipts()
        server.asks_for = None
        await bus.send(few[1:])
        async with delivering(bus, system) as courier:
            bus.now = NOON + timedelta(minutes=5)
            async with asyncio.timeout(DEADLINE_S):  # it has them all, and turns
                while sum(pile.count for pile in courier.piles().values()) < 3:
                    await asyncio.sleep(0.02)
            turned = courier.facts.turned_at
            bus.now += timedelta(seconds=1)
            async with asyncio.timeout(DEADLINE_S):
                while courier.facts.turned_at == turned:
                    await asyncio.sleep(0.02)
            in_the_pause = list(server.asked)
            bus.now = NOON + timedelta(minutes=11)
            await bus.until(lambda found: handed(found) == set(few), step=timedelta())

    assert last.destination is not None
    assert last.destination.left_alone_until == NOON + timedelta(minutes=10)
    assert in_the_pause == few[:1]


async def test_a_destination_that_is_held_is_asked_with_one_message_after_a_restart(bus: Bus) -> None:
    """Nobody mended it: eight at once would be refused again, and it would seem held since the restart."""
    server, few = Server(disliked="all"), ids(9)
    async with webhook(server) as system:
        await bus.send(few)
        async with delivering(bus, system):
            await bus.until(lambda found: any(stage is Stage.HELD for _, stage in found), step=timedelta())
        since = {r.destination.since for r in await bus.receipts() if r.stage is Stage.HELD and r.destination}
        before, bus.now = len(server.asked), NOON + timedelta(hours=1)
        server.waits = asyncio.Event()
        async with delivering(bus, system) as courier:
            await asked(server, before + 1)
            at_first, held = len(server.asked) - before, courier.held
            server.disliked = "none"
            server.waits.set()
            receipts = await bus.until(lambda found: handed(found) == set(few), step=timedelta(seconds=1))

    assert since == {NOON}
    assert (at_first, held) == (1, True)
    assert {r.destination.standing for r in receipts if r.stage is Stage.HANDED_OVER and r.destination} == {
        DestinationStanding.LETS_IN
    }
