"""Commands that work until they are stopped: worker, deliver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.common import FAILED, USAGE, clock, run, say, stop

if TYPE_CHECKING:  # everything else is imported when it is needed: `--help` answers at once
    from asyncio import Event

    from safebus.consumers.adapters.destinations import Folder, Postgres, Webhook
    from safebus.consumers.delivery.courier import Courier
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.kafka.topic_list import TopicsThere
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.worker.counts import Counts
    from safebus.streams.worker.watchdog import Progress

HEALTH_PORT = typer.Option(
    None,
    "--health-port",
    min=0,
    max=65_535,
    help="answer /livez, /readyz and /metrics here, on 127.0.0.1; 0: a free port; default: SAFEBUS_HEALTH_PORT, or off",
)


def worker(health_port: int | None = HEALTH_PORT) -> None:
    """Decide, redact and route: one worker process. Start as many as there are partitions."""
    import structlog

    from safebus.deploy.service import logs, settings
    from safebus.schemas.errors import SafebusError

    found = settings.load()
    logs.set_up(found.log_level)
    log = structlog.get_logger()
    try:
        run(lambda: _work(found, found.health_port if health_port is None else health_port))
    except SafebusError as exc:
        log.error("worker.failed", error=f"{type(exc).__name__}: {exc}")
        raise
    except Exception as exc:
        # The last line says what stopped it; the message of a foreign error may quote an event, so only its name.
        log.error("worker.failed", error=type(exc).__name__)
        raise stop(
            FAILED, f"safebus: worker stopped by {type(exc).__name__}; no offset moved past the last batch"
        ) from exc


async def _work(found: Settings, health_port: int | None) -> None:
    import asyncio

    import structlog

    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.schemas.kafka.connection import Connection
    from safebus.schemas.kafka.topic_list import TopicsThere
    from safebus.streams.worker.counts import Counts
    from safebus.streams.worker.process import WorkerSettings, stop_on_signals
    from safebus.streams.worker.process import run as run_worker
    from safebus.streams.worker.router import RouterKeys
    from safebus.streams.worker.watchdog import Progress

    connection = Connection(found.bootstrap(), found.tls())
    asked_to_stop = asyncio.Event()
    stop_on_signals(asked_to_stop)
    there = TopicsThere(connection)
    await there.look()  # before anything is shown of them
    wanted = WorkerSettings(
        connection=connection,
        publishing=there.look,
        keys=RouterKeys(found.person_key(), found.seal_public()),
        rules_digest=rules_digest(),
        scratch=found.home / "scratch",
    )
    pulse, counts = Progress(), Counts()
    async with _watched_worker(health_port, wanted.rules_digest, there, pulse, counts, asked_to_stop):
        await run_worker(wanted, clock=clock, stop=asked_to_stop, pulse=pulse, counts=counts)
    structlog.get_logger().info(
        "worker.stopped",
        events=counts.events,
        decided=counts.decided,
        redone=counts.redone,
        repeats=counts.repeats,
        quarantined=sum(counts.quarantined.values()),
    )


@asynccontextmanager
async def _watched_worker(
    health_port: int | None,
    rules_digest: str,
    there: TopicsThere,
    pulse: Progress,
    counts: Counts,
    asked_to_stop: Event,
) -> AsyncIterator[None]:
    """Others can see how this worker is, where that is asked for."""
    if health_port is None:
        yield
        return
    from safebus.deploy.service import health, metrics

    counts.tally = numbers = metrics.WorkerNumbers(pulse, there, rules_digest=rules_digest)
    state = health.WorkerHealth(pulse, asked_to_stop)
    async with health.serving(health_port, state, numbers.exposition):
        yield


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
    from safebus.deploy.service.register_checks import RegisterRecheck
    from safebus.schemas.kafka.connection import Connection
    from safebus.streams.register.follow import RegisterReader
    from safebus.streams.worker.process import stop_on_signals

    connection = Connection(found.bootstrap(), found.tls())
    asked_to_stop = asyncio.Event()
    stop_on_signals(asked_to_stop)
    reader = RegisterReader(connection)
    await reader.start()
    chance = random.SystemRandom()
    receipts = Receipts(connection)  # read once for all of them
    couriers = [
        Courier(
            connection,
            partner=partner,
            adapter=places.adapter(place, clock=clock),
            recheck=RegisterRecheck(reader),
            key=found.person_key(),
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
