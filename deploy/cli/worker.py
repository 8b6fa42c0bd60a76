"""`safebus worker`: decide, redact and route until stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from safebus.deploy.cli.event_loop import run
from safebus.deploy.cli.options import FAILED, HEALTH_PORT, example, stop
from safebus.deploy.service.terminal import clock

if TYPE_CHECKING:  # everything else is imported when it is needed: `--help` answers at once
    from asyncio import Event

    from safebus.deploy.service.settings import Settings
    from safebus.deploy.service.topic_drift import TopicDrift
    from safebus.deploy.service.worker_topics import SeenTopics
    from safebus.streams.worker.counts import Counts
    from safebus.streams.worker.watchdog import Progress

app = typer.Typer()


@app.command(epilog=example("safebus worker --health-port 9400"))
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

    from safebus.deploy.service.certificates import renewing
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.deploy.service.topic_drift import TopicDrift
    from safebus.deploy.service.worker_topics import SeenTopics
    from safebus.streams.worker.counts import Counts
    from safebus.streams.worker.process import WorkerSettings, stop_on_signals
    from safebus.streams.worker.process import run as run_worker
    from safebus.streams.worker.router import RouterKeys
    from safebus.streams.worker.watchdog import Progress

    connection = found.connection()
    asked_to_stop = asyncio.Event()
    stop_on_signals(asked_to_stop)
    there = SeenTopics(connection)
    await there.look([])  # what every event needs, before anything is read
    wanted = WorkerSettings(
        connection=connection,
        topics=there,
        keys=RouterKeys(found.person_key(), found.seal_public()),
        rules_digest=rules_digest(),
        scratch=found.home / "scratch",
    )
    pulse, counts, drift = Progress(), Counts(), TopicDrift(connection, found.admin_client(), there)
    async with (
        renewing(connection.tls, found.tls_ca, found.tls_cert, clock=clock),
        drift.watched(),
        _watched_worker(found, health_port, wanted.rules_digest, there, drift, pulse, counts, asked_to_stop),
    ):
        await run_worker(wanted, clock=clock, stop=asked_to_stop, pulse=pulse, counts=counts)
    structlog.get_logger().info(
        "worker.stopped",
        events=counts.events,
        decided=counts.decided,
        redone=counts.redone,
        repeats=counts.repeats,
        owed=counts.owed,
        quarantined=sum(counts.quarantined.values()),
    )


@asynccontextmanager
async def _watched_worker(
    found: Settings,
    health_port: int | None,
    rules_digest: str,
    there: SeenTopics,
    drift: TopicDrift,
    pulse: Progress,
    counts: Counts,
    asked_to_stop: Event,
) -> AsyncIterator[None]:
    """Others can see how this worker is, where that is asked for."""
    if health_port is None:
        yield
        return
    from safebus.deploy.service import health, metrics

    counts.tally = numbers = metrics.WorkerNumbers(
        pulse, there, rules_digest=rules_digest, certificate=found.tls_cert, drift=lambda: drift.found
    )
    state = health.WorkerHealth(pulse, asked_to_stop, lacking=lambda: there.lacking, drift=lambda: drift.found)
    async with health.serving(health_port, state, numbers.exposition):
        yield
