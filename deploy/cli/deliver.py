"""`safebus deliver`: hand notifications over to partners' own systems until stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FAILED, HEALTH_PORT, USAGE, example, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:  # everything else is imported when it is needed: `--help` answers at once
    from asyncio import Event

    from safebus.consumers.adapters.destinations import Destinations
    from safebus.deploy.service.adapter_rights import AdapterRights
    from safebus.deploy.service.couriers import Couriers
    from safebus.deploy.service.settings import Settings
    from safebus.streams.register.follow import RegisterReader

app = typer.Typer()

#: How long a partner's folder and files may take to be looked at, seconds.
_LOOKS_FOR_S = 10.0


@app.command(epilog=example("safebus deliver ash-primary --destinations destinations.yaml"))
def deliver(
    partners: list[str] = typer.Argument(None, help="partners to deliver to; default: all in the file"),
    destinations: Path = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications"),
    health_port: int | None = HEALTH_PORT,
) -> None:
    """Deliver to partners' own systems: one process for one or several partners."""
    import structlog

    from safebus.consumers.adapters import destinations as places
    from safebus.deploy.service import logs, settings
    from safebus.schemas.errors import SafebusError

    found = settings.load()
    logs.set_up(found.log_level)
    log = structlog.get_logger()
    there = places.read(destinations)
    chosen = partners or there.partners
    for partner in chosen:
        if partner not in there.partners:
            there.of(partner)  # says which there are
    if not chosen:
        raise stop(USAGE, f"`{destinations}` names no partner, so nothing would be delivered to anyone")
    asked = found.health_port if health_port is None else health_port
    try:
        run(lambda: _deliver(found, there, dict.fromkeys(chosen), asked))
    except* SafebusError as group:
        first = group.exceptions[0]
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        log.error("deliver.failed", error=f"{type(first).__name__}: {first}")
        raise first from None
    except* Exception as group:
        log.error("deliver.failed", error=type(group.exceptions[0]).__name__)
        say("safebus: a delivery process stopped; nothing was skipped")
        raise stop(FAILED) from None


async def _deliver(found: Settings, there: Destinations, chosen: Collection[str], health_port: int | None) -> None:
    import asyncio
    import random

    import structlog

    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads
    from safebus.consumers.adapters.places import place_digest
    from safebus.consumers.delivery.courier import Courier
    from safebus.consumers.delivery.ledger import Receipts
    from safebus.deploy.service import rights
    from safebus.deploy.service.adapter_rights import AdapterRights
    from safebus.deploy.service.certificates import renewing
    from safebus.deploy.service.couriers import Couriers
    from safebus.deploy.service.operations import writes_as
    from safebus.deploy.service.register_checks import RegisterRecheck, check_destination
    from safebus.schemas.errors import BadInput, NotAllowed
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.worker.process import stop_on_signals

    connection = found.connection()
    asked_to_stop = asyncio.Event()
    stop_on_signals(asked_to_stop)
    key = found.digest_key()
    if missing := await rights.lacking(connection, rights.of_reader()):
        raise NotAllowed(f"this certificate lacks {', '.join(map(str, missing))}, or that is not there")
    reader = RegisterReader(connection, key=key)
    await reader.start()
    chance = random.SystemRandom()
    writer = writes_as(found)
    receipts = Receipts(connection)  # read once for all of them
    looking = OwnThreads(within_s=_LOOKS_FOR_S)

    async def place_for(partner: str) -> places.Opened:
        try:  # anew, for it may have been mended since; and beside all others, for a folder may answer nothing
            place = await looking.run(lambda: places.opened(places.read(there.file).of(partner), clock=clock))
        except NoAnswer:
            raise BadInput(f"the folder or the files of `{partner}` do not answer; is the share there?") from None
        check_destination(await reader.catch_up(), partner, place, must=False)
        return place

    def courier_for(partner: str, place: places.Opened) -> Courier:
        return Courier(
            connection,
            partner=partner,
            adapter=place.adapter,
            recheck=RegisterRecheck(reader),
            key=key,
            clock=clock,
            jitter=lambda: chance.uniform(-1, 1),
            receipts=receipts,
            written_by=writer,
            place=place_digest(place.transport, place.place, key.of(reader.now.generation)),
        )

    seen = AdapterRights(connection, chosen)
    await seen.look()
    couriers = Couriers(place_for=place_for, courier_for=courier_for, lacking=seen.of, stop=asked_to_stop)
    await couriers.begin(chosen)
    try:
        async with (
            renewing(connection.tls, found.tls_ca, found.tls_cert, clock=clock),
            _watched(found, health_port, couriers, seen, reader, asked_to_stop),
            asyncio.TaskGroup() as group,
        ):
            watching = group.create_task(seen.watch())
            delivering = [group.create_task(couriers.keep(partner)) for partner in chosen]
            await asyncio.wait(delivering)
            watching.cancel()
    finally:
        await reader.stop()
    structlog.get_logger().info("deliver.stopped", count=len(couriers.running))


@asynccontextmanager
async def _watched(
    found: Settings,
    health_port: int | None,
    couriers: Couriers,
    seen: AdapterRights,
    reader: RegisterReader,
    asked_to_stop: Event,
) -> AsyncIterator[None]:
    """Others can see how these couriers are, where that is asked for."""
    if health_port is None:
        yield
        return
    import asyncio

    from safebus.deploy.service import health, metrics
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.streams.worker.watchdog import Progress

    pulse = Progress()
    numbers = metrics.DeliverNumbers(
        couriers.running.values(),
        pulse,
        clock=clock,
        rules_digest=rules_digest(),
        certificate=found.tls_cert,
        lacking=lambda: seen.lacking,
    )

    def trouble() -> list[str]:
        return [
            *(f"a destination for `{partner}` ({exc})" for partner, exc in couriers.wrong.items()),
            *map(str, seen.lacking),
        ]

    state = health.DeliverHealth(couriers.running.values(), pulse, asked_to_stop, clock, trouble)
    fresh = asyncio.create_task(health.keep_fresh(reader, pulse))
    try:
        async with health.serving(health_port, state, numbers.exposition):
            couriers.told = numbers.watch
            yield
    finally:
        fresh.cancel()
