"""
Whatever a partner was asked with is on record: that it was tried, what was answered, when, and how often.

A web server reads the whole body and then says no: whatever it answers, it has seen it. A real broker and a real
server; only the clock is the test's own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest
from a_demo_bus import NOON
from many_children import MANY, Bus, Server, delivering, handed, ids, webhook

from safebus.consumers.delivery import courier as courier_module
from safebus.schemas.bus_records import Receipt, Stage

DEADLINE_S = 60
MINUTE = timedelta(minutes=1)


async def until(what: str, done: Callable[[], bool], each: Callable[[], None] = lambda: None) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                each()
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"after {DEADLINE_S} s still waiting for: {what}") from None


def later(bus: Bus, step: timedelta) -> Callable[[], None]:
    def each() -> None:
        bus.now += step

    return each


def by_id(receipts: list[Receipt]) -> dict[str, list[Receipt]]:
    found: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        found[receipt.notification_id].append(receipt)
    return found


async def all_on_record(bus: Bus, server: Server) -> list[Receipt]:
    """The receipts, once there is one of each that the server was asked with: at once, so the clock stands still."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await bus.receipts()
            if {r.notification_id for r in found} >= set(server.asked):
                return found
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("status", [403, 422])
async def test_each_that_a_partner_refused_is_on_record_and_its_attempts_are_counted(bus: Bus, status: int) -> None:
    """Held after the third; what was under way then, and each that is asked to see whether it is mended, counts."""
    server = Server(disliked="all", status=status)
    async with webhook(server) as system:
        await bus.send(ids())
        async with delivering(bus, system) as courier:
            await until("20 to be asked", lambda: len(set(server.asked)) >= 20, later(bus, MINUTE / 10))
            held = courier.held
            meanwhile = await all_on_record(bus, server)
            await system.dislike("none")
            receipts = await bus.until(lambda r: len(handed(r)) == MANY, step=timedelta(seconds=10))

    asked = Counter(server.asked)
    assert held
    assert {r.answer for r in meanwhile} == {str(status)}
    assert all(r.attempt >= 1 and r.at >= NOON for r in meanwhile)
    assert {r.notification_id: r.attempt for r in receipts if r.stage is Stage.HANDED_OVER} == asked
    attempts = {key: [r.attempt for r in found] for key, found in by_id(receipts).items()}
    assert attempts == {key: sorted(set(each)) for key, each in attempts.items()}


async def test_a_partner_that_is_asked_for_days_writes_no_receipt_each_time_but_one_for_another_answer(
    bus: Bus,
) -> None:
    server, few = Server(disliked="all"), ids(5)
    async with webhook(server) as system:
        await bus.send(few)
        async with delivering(bus, system):
            await until("many probes", lambda: len(server.asked) >= 60, later(bus, MINUTE))
            before = await all_on_record(bus, server)
            server.status, asked = 422, len(server.asked)
            await until("as many again", lambda: len(server.asked) >= asked + 30, later(bus, MINUTE))
            after = await bus.receipts()

    assert all(len(found) <= 3 for found in by_id(before).values())
    said_before, said = (Counter((r.notification_id, r.stage, r.reason) for r in found) for found in (before, after))
    assert sorted((said - said_before).elements()) == [(key, Stage.HELD, "all_refused") for key in few]


async def test_a_restart_knows_what_was_tried_and_how_often(bus: Bus) -> None:
    server, few = Server(disliked="all"), ids(5)
    async with webhook(server) as system:
        await bus.send(few)
        async with delivering(bus, system):
            await until("some probes", lambda: len(server.asked) >= 25, later(bus, MINUTE))
        after_first = by_id(await bus.receipts())
        counted = Counter(server.asked)
        async with delivering(bus, system):
            await until("more of them", lambda: len(server.asked) >= 50, later(bus, MINUTE))
            await system.dislike("none")
            receipts = await bus.until(lambda r: len(handed(r)) == len(few), step=timedelta(seconds=10))

    assert {key: found[-1].attempt for key, found in after_first.items()} == counted
    assert {r.notification_id: r.attempt for r in receipts if r.stage is Stage.HANDED_OVER} == Counter(server.asked)


async def test_an_attempt_that_lasts_is_on_record_before_its_answer(bus: Bus) -> None:
    """Who asks meanwhile, or after the process was killed, must not read that it was not tried."""
    server, [only] = Server(waits=asyncio.Event()), ids(1)
    assert server.waits is not None
    async with webhook(server) as system:
        await bus.send([only])
        async with delivering(bus, system, on_record_after_s=0.05):
            await until("it to be read", lambda: server.asked == [only])
            [begun] = await all_on_record(bus, server)
            server.waits.set()
            receipts = await bus.until(lambda r: len(handed(r)) == 1, step=timedelta())

    assert (begun.stage, begun.attempt, begun.answer, begun.reason) == (
        Stage.WAITING,
        1,
        "not_yet",
        "attempt_under_way",
    )
    assert [(r.stage, r.attempt) for r in receipts] == [(Stage.WAITING, 1), (Stage.HANDED_OVER, 1)]


async def test_an_attempt_that_a_shutdown_breaks_off_is_on_record(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "_FINISH_WITHIN_S", 0.05)
    server, [only] = Server(waits=asyncio.Event()), ids(1)
    assert server.waits is not None
    async with webhook(server) as system:
        await bus.send([only])
        async with delivering(bus, system):
            await until("it to be read", lambda: server.asked == [only])
        broken_off = await bus.receipts()
        server.waits.set()
        async with delivering(bus, system):
            receipts = await bus.until(lambda r: len(handed(r)) == 1, step=timedelta(seconds=10))

    assert [(r.stage, r.attempt, r.reason) for r in broken_off] == [(Stage.WAITING, 1, "attempt_under_way")]
    assert [(r.stage, r.attempt) for r in receipts][-1] == (Stage.HANDED_OVER, 2)
