"""`safebus deliver`: hand notifications over to partners' own systems until stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FAILED, HEALTH_PORT, USAGE, example, stop
from safebus.deploy.service.terminal import clock, say

if TYPE_CHECKING:  # everything else is imported when it is needed: `--help` answers at once
    from asyncio import Event

    from safebus.consumers.adapters.destinations import Folder, Postgres, Webhook
    from safebus.consumers.delivery.courier import Courier
    from safebus.deploy.service.settings import Settings
    from safebus.streams.register.follow import RegisterReader

app = typer.Typer()


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
    chosen = partners or sorted(there)
    unknown = [p for p in chosen if p not in there]
    if unknown:
        raise stop(
            USAGE, f"`{destinations}` has no section for {', '.join(unknown)}; it has {', '.join(sorted(there))}"
        )
    asked = found.health_port if health_port is None else health_port
    try:
        run(lambda: _deliver(found, {partner: there[partner] for partner in chosen}, asked))
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


async def _deliver(found: Settings, there: Mapping[str, Folder | Webhook | Postgres], health_port: int | None) -> None:
    import asyncio
    import random

    import structlog

    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.delivery.courier import Courier
    from safebus.consumers.delivery.ledger import Receipts
    from safebus.deploy.service.register_checks import RegisterRecheck, check_destination
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.worker.process import stop_on_signals

    connection = found.connection()
    asked_to_stop = asyncio.Event()
    stop_on_signals(asked_to_stop)
    key = found.digest_key()
    reader = RegisterReader(connection, key=key)
    await reader.start()
    for partner, place in there.items():
        check_destination(reader.now, partner, place, must=False)
    chance = random.SystemRandom()
    receipts = Receipts(connection)  # read once for all of them
    couriers = [
        Courier(
            connection,
            partner=partner,
            adapter=places.adapter(place, clock=clock),
            recheck=RegisterRecheck(reader),
            key=key,
            clock=clock,
            jitter=lambda: chance.uniform(-1, 1),
            receipts=receipts,
        )
        for partner, place in there.items()
    ]
    try:
        async with _watched_couriers(health_port, couriers, reader, asked_to_stop), asyncio.TaskGroup() as group:
            for courier in couriers:
                group.create_task(courier.run(asked_to_stop))
    finally:
        await reader.stop()
    structlog.get_logger().info("deliver.stopped", count=len(couriers))


@asynccontextmanager
async def _watched_couriers(
    health_port: int | None, couriers: Sequence[Courier], reader: RegisterReader, asked_to_stop: Event
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
    numbers = metrics.DeliverNumbers(couriers, pulse, clock=clock, rules_digest=rules_digest())
    state = health.DeliverHealth(couriers, pulse, asked_to_stop, clock)
    fresh = asyncio.create_task(health.keep_fresh(reader, pulse))
    try:
        async with health.serving(health_port, state, numbers.exposition):
            yield
    finally:
        fresh.cancel()
