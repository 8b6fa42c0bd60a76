"""
One message that a partner's system dislikes, and one that dislikes all of them: told apart by what others are answered.

A real broker, real servers behind real adapters; only the clock is the test's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest
from a_demo_bus import NOON
from many_children import MANY, POISON, Bus, Server, System, delivering, handed, ids, webhook

from safebus.consumers.adapters.postgres import CREATE_TABLE, PostgresAdapter, PostgresSettings
from safebus.deploy.local.partner_postgres import open_postgres
from safebus.schemas.bus_records import Stage


@asynccontextmanager
async def postgres(tmp_path: Path, state: str) -> AsyncIterator[System]:
    with open_postgres(tmp_path / "postgres") as dsn:
        partner = await asyncpg.connect(dsn, timeout=10)
        await partner.execute(CREATE_TABLE)

        async def dislike(what: str) -> None:
            which = {"none": "false", "all": "true", "one": f"NEW.notification_id = '{POISON}'"}[what]
            await partner.execute(
                f"CREATE OR REPLACE FUNCTION dislike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {which} THEN"
                f" RAISE 'no' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;"
                "CREATE OR REPLACE TRIGGER dislike BEFORE INSERT ON safebus_inbound"
                " FOR EACH ROW EXECUTE FUNCTION dislike()"
            )

        async def has() -> list[str]:
            return [str(row[0]) for row in await partner.fetch("SELECT notification_id FROM safebus_inbound")]

        yield System(PostgresAdapter(PostgresSettings(dsn)), dislike, has)
        await partner.close()


Kind = Callable[[Path], AbstractAsyncContextManager[System]]
KINDS = [
    *(pytest.param(lambda _, s=s: webhook(Server(status=s)), id=f"webhook-{s}") for s in (400, 403, 413, 422)),
    *(pytest.param(lambda p, s=s: postgres(p, s), id=f"postgres-{s}") for s in ("P0001", "42501", "54000")),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_is_disliked_is_parked_and_holds_up_nobody(bus: Bus, tmp_path: Path, kind: Kind) -> None:
    """It comes first, so it would be the probe of a held destination for ever."""
    async with kind(tmp_path) as system:
        await system.dislike("one")
        await bus.send(ids())
        async with delivering(bus, system) as courier:
            await bus.until(lambda r: len(handed(r)) == MANY - 1, step=timedelta(milliseconds=20))
            on_time = bus.now
            receipts = await bus.until(lambda r: (POISON, Stage.PARKED) in r, step=timedelta(seconds=2))
            held = courier.held

        assert sorted(await system.has()) == ids()[1:]
    assert on_time - NOON < timedelta(minutes=1)
    assert [(r.notification_id, r.reason) for r in receipts if r.stage is Stage.PARKED] == [
        (POISON, "refused_while_others_are_taken")
    ]
    assert not held
    assert Stage.HELD not in {r.stage for r in receipts}


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[1], KINDS[4]])
async def test_one_that_dislikes_all_of_them_is_held_and_gets_them_all_when_it_is_mended(
    bus: Bus, tmp_path: Path, kind: Kind
) -> None:
    async with kind(tmp_path) as system:
        await system.dislike("all")
        await bus.send(ids())
        async with delivering(bus, system):
            await bus.until(lambda r: any(stage is Stage.HELD for _, stage in r), step=timedelta(seconds=1))
            mended_at = NOON + timedelta(hours=1)
            await bus.until(lambda _: bus.now >= mended_at, step=timedelta(minutes=1))
            before = list(await system.has())
            await system.dislike("none")
            receipts = await bus.until(lambda r: len(handed(r)) == MANY, step=timedelta(seconds=10))

        assert (before, sorted(await system.has())) == ([], ids())
    assert Stage.PARKED not in {r.stage for r in receipts}
    # A quarter of an hour, and what of this time went by while a busy machine did other things.
    assert bus.now - mended_at < timedelta(minutes=30)


async def test_many_that_are_disliked_among_others_hold_up_nobody_and_are_parked(bus: Bus) -> None:
    """Half of them: what others are answered shows whose fault it is, without a pause for each three in a row."""
    many, more = ids(90), [f"7f1c0f9e-0000-4000-8000-{n:012}" for n in range(8)]
    bad = frozenset(Random(3).sample(many, 45))
    server = Server(disliked="bad", status=422, bad=bad)
    async with webhook(server) as system:
        await bus.send(many)
        async with delivering(bus, system) as courier:
            await bus.until(lambda r: len(handed(r)) == 45, step=timedelta(milliseconds=20))
            on_time = bus.now
            for n, each in enumerate(more):  # others go on coming
                await bus.send([each])
                receipts = await bus.until(lambda r, n=n: len(handed(r)) == 46 + n, step=timedelta(seconds=1))
                bus.now += timedelta(seconds=10)
            held = courier.held

    parked = {r.notification_id for r in receipts if r.stage is Stage.PARKED}
    good = {*many, *more} - bad
    assert (len(server.taken), set(server.taken)) == (len(good), good)
    assert on_time - NOON < timedelta(seconds=20)
    assert parked == bad
    assert not held
