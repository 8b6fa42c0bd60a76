"""Commands that run something: demo, up, doctor, worker, deliver."""

from __future__ import annotations

from pathlib import Path

import typer

from deploy.cli.common import FAILED, SOME, USAGE, clock, run, say, stop

BROKER = typer.Option("embedded", "--broker", help="embedded (in memory, no Java) or kafka (Apache Kafka)")


def add_to(app: typer.Typer) -> None:
    """Put these commands into the application."""
    app.command()(demo)
    app.command()(up)
    app.command()(doctor)
    app.command()(worker)
    app.command()(deliver)


def demo(
    broker: str = BROKER,
    keep: Path | None = typer.Option(None, "--keep", help="keep everything that was written, in this folder"),
) -> None:
    """Show the whole bus at work: one family, ten agencies, and what each of them learns."""
    from deploy.demo.run import demonstrate

    code = run(lambda: demonstrate(broker, keep=keep))
    if code:
        raise stop(code)


def up(
    broker: str = BROKER,
    register: Path | None = typer.Option(
        None, "--register", help="register folder to load; default: the demonstration's"
    ),
    broker_only: bool = typer.Option(False, "--broker-only", help="start the broker and nothing else"),
) -> None:
    """Start a bus on this machine: broker, topics, register, worker, and a drop folder for each partner."""
    from deploy.up import stay_up

    stay_up(broker, register=register, broker_only=broker_only)


def doctor() -> None:
    """Look at this machine and this bus, and say what is missing."""
    from deploy.doctor import examine

    found = run(examine)
    for check in found:
        typer.echo(f"{'ok     ' if check.fine else 'MISSING'}  {check.what}: {check.found}")
        if not check.fine:
            typer.echo(f"         {check.to_do}")
    if not all(check.fine for check in found):
        raise stop(FAILED if any(not check.fine and check.needed for check in found) else SOME)


def worker() -> None:
    """Decide, redact and route: one worker process. Start as many as there are partitions."""
    import asyncio

    import structlog

    from deploy import logs, settings
    from deploy.rules_digest import rules_digest
    from deploy.topics_there import publishing_topics
    from schemas.broker_link import Connection
    from schemas.errors import SafebusError
    from streams.worker.router import RouterKeys
    from streams.worker.run import WorkerSettings, stop_on_signals
    from streams.worker.run import run as run_worker

    found = settings.load()
    logs.set_up(found.log_level)
    log = structlog.get_logger()

    async def main() -> None:
        connection = Connection(found.bootstrap(), found.tls())
        asked_to_stop = asyncio.Event()
        stop_on_signals(asked_to_stop)
        topics = await publishing_topics(connection)
        counts = await run_worker(
            WorkerSettings(
                connection=connection,
                topics=topics,
                keys=RouterKeys(found.person_key(), found.seal_public()),
                rules_digest=rules_digest(),
                scratch=found.home / "scratch",
            ),
            clock=clock,
            stop=asked_to_stop,
        )
        log.info(
            "worker.stopped",
            events=counts.events,
            decided=counts.decided,
            redone=counts.redone,
            repeats=counts.repeats,
            quarantined=sum(counts.quarantined.values()),
        )

    try:
        run(main)
    except SafebusError as exc:
        log.error("worker.failed", error=f"{type(exc).__name__}: {exc}")
        raise
    except Exception as exc:
        # The last line says what stopped it; the message of a foreign error may quote an event, so only its name.
        log.error("worker.failed", error=type(exc).__name__)
        raise stop(
            FAILED, f"safebus: worker stopped by {type(exc).__name__}; no offset moved past the last batch"
        ) from exc


def deliver(
    partners: list[str] = typer.Argument(None, help="partners to deliver to; default: all in the file"),
    destinations: Path = typer.Option(..., "--destinations", help="YAML: where each partner wants its notifications"),
) -> None:
    """Deliver to partners' own systems: one process for one or several partners."""
    import asyncio
    import random

    import structlog

    from consumers.courier import Courier
    from deploy import destinations as places
    from deploy import logs, settings
    from deploy.recheck import RegisterRecheck
    from schemas.broker_link import Connection
    from streams.worker.register_reader import RegisterReader
    from streams.worker.run import stop_on_signals

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

    async def main() -> None:
        connection = Connection(found.bootstrap(), found.tls())
        asked_to_stop = asyncio.Event()
        stop_on_signals(asked_to_stop)
        reader = RegisterReader(connection)
        await reader.start()
        chance = random.SystemRandom()
        couriers = [
            Courier(
                connection,
                partner=partner,
                adapter=places.adapter(there[partner], clock=clock),
                recheck=RegisterRecheck(reader),
                key=found.person_key(),
                clock=clock,
                jitter=lambda: chance.uniform(-1, 1),
            )
            for partner in chosen
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for courier in couriers:
                    group.create_task(courier.run(asked_to_stop))
        finally:
            await reader.stop()
        log.info("deliver.stopped", count=len(couriers))

    from schemas.errors import SafebusError

    try:
        run(main)
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
