"""`safebus deliver`: hand notifications over to partners' own systems until stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
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
    from safebus.consumers.delivery.courier import Courier
    from safebus.deploy.service.adapter_rights import AdapterRights
    from safebus.deploy.service.settings import Settings
    from safebus.schemas.errors import SafebusError
    from safebus.schemas.kafka.allowed import Right
    from safebus.streams.register.follow import RegisterReader

app = typer.Typer()

#: How long a courier that may not read or write its topics waits until it tries again, seconds.
_ASK_AGAIN_S = 5.0
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
    from functools import partial

    import structlog

    from safebus.consumers.adapters import destinations as places
    from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads
    from safebus.consumers.delivery.courier import Courier
    from safebus.consumers.delivery.ledger import Receipts
    from safebus.deploy.service import rights
    from safebus.deploy.service.adapter_rights import AdapterRights
    from safebus.deploy.service.certificates import renewing
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
    receipts = Receipts(connection)  # read once for all of them
    looking = OwnThreads(within_s=_LOOKS_FOR_S)

    async def courier_for(partner: str) -> Courier:
        try:  # anew, for it may have been mended since; and beside all others, for a folder may answer nothing
            place = await looking.run(lambda: places.opened(places.read(there.file).of(partner), clock=clock))
        except NoAnswer:
            raise BadInput(f"the folder or the files of `{partner}` do not answer; is the share there?") from None
        check_destination(await reader.catch_up(), partner, place, must=False)
        return Courier(
            connection,
            partner=partner,
            adapter=place.adapter,
            recheck=RegisterRecheck(reader),
            key=key,
            clock=clock,
            jitter=lambda: chance.uniform(-1, 1),
            receipts=receipts,
        )

    seen = AdapterRights(connection, chosen)
    await seen.look()
    couriers: dict[str, Courier] = {}
    wrong: dict[str, SafebusError] = {}
    for partner in chosen:
        try:
            couriers[partner] = await courier_for(partner)
        except BadInput as exc:  # a secret that is missing, a place that is not registered: that partner's trouble
            wrong[partner] = exc
            structlog.get_logger().error("courier.not_begun", partner=partner, error=str(exc))
    if not couriers:
        raise next(iter(wrong.values()))
    try:
        async with (
            renewing(connection.tls, found.tls_ca, found.tls_cert, clock=clock),
            _watched_couriers(found, health_port, couriers, wrong, seen, reader, asked_to_stop) as told,
            asyncio.TaskGroup() as group,
        ):
            watching = group.create_task(seen.watch())
            delivering = [
                group.create_task(
                    _keep(partner, couriers, wrong, courier_for, told, partial(seen.of, partner), asked_to_stop)
                )
                for partner in chosen
            ]
            await asyncio.wait(delivering)
            watching.cancel()
    finally:
        await reader.stop()
    structlog.get_logger().info("deliver.stopped", count=len(couriers))


async def _keep(
    partner: str,
    couriers: dict[str, Courier],
    wrong: dict[str, SafebusError],
    courier_for: Callable[[str], Awaitable[Courier]],
    told: Callable[[Courier], None],
    lacking: Callable[[], Awaitable[Sequence[Right]]],
    asked_to_stop: Event,
) -> None:
    """
    Deliver to one partner until stopped. While something of its own is wrong, it waits and all others go on.

    Args:
        couriers: Of all partners, as whoever watches sees them; a new one takes the place of one that ended.
        wrong: Why a partner's courier could not begin, for as long as it cannot.
        told: Tells the metrics of a new one.
        lacking: Asks the broker which rights on this partner's topics are missing.
    """
    import structlog

    from safebus.schemas.errors import BadInput, BadRegister, NotReachable, SafebusError
    from safebus.schemas.kafka.connection import is_about_a_right

    begun = partner in couriers
    while not asked_to_stop.is_set():
        try:
            if begun:
                await couriers[partner].run(asked_to_stop)
        except Exception as exc:
            # By the broker's own word: whatever the client makes of a right that is gone, it may be a failed assertion.
            # Where no broker answers that, it is nobody's own trouble, and the process ends.
            missing = await lacking()
            if isinstance(exc, BadRegister):
                raise  # nobody may be handed anything
            # The message of a foreign error may quote a notification.
            said = f": {exc}" if isinstance(exc, SafebusError) else ""
            what = f": it lacks {', '.join(map(str, missing))}, or that is not there" if missing else said
            event = "courier.not_allowed" if missing or is_about_a_right(exc) else "courier.begins_again"
            structlog.get_logger().error(event, partner=partner, error=f"{type(exc).__name__}{what}")
        begun = False
        while not begun and not await _asked_within(asked_to_stop, _ASK_AGAIN_S):
            try:
                couriers[partner] = await courier_for(partner)
            except (BadInput, NotReachable) as exc:  # its file or its destination: its trouble, until that is mended
                if isinstance(exc, BadRegister):
                    raise
                if str(exc) != str(wrong.get(partner)):
                    structlog.get_logger().error("courier.not_begun", partner=partner, error=str(exc))
                wrong[partner] = exc
            else:
                begun = True
                wrong.pop(partner, None)
                told(couriers[partner])


async def _asked_within(asked_to_stop: Event, seconds: float) -> bool:
    """Wait so long, or until asked to stop; returns whether that was."""
    import asyncio
    import contextlib

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asked_to_stop.wait(), seconds)
    return asked_to_stop.is_set()


@asynccontextmanager
async def _watched_couriers(
    found: Settings,
    health_port: int | None,
    couriers: Mapping[str, Courier],
    wrong: Mapping[str, SafebusError],
    seen: AdapterRights,
    reader: RegisterReader,
    asked_to_stop: Event,
) -> AsyncIterator[Callable[[Courier], None]]:
    """Others can see how these couriers are, where that is asked for; gives what tells them of a new one."""
    if health_port is None:
        yield lambda _: None
        return
    import asyncio

    from safebus.deploy.service import health, metrics
    from safebus.deploy.service.rules_digest import rules_digest
    from safebus.streams.worker.watchdog import Progress

    pulse = Progress()
    numbers = metrics.DeliverNumbers(
        couriers.values(),
        pulse,
        clock=clock,
        rules_digest=rules_digest(),
        certificate=found.tls_cert,
        lacking=lambda: seen.lacking,
    )

    def trouble() -> list[str]:
        return [*(f"a destination for `{partner}` ({exc})" for partner, exc in wrong.items()), *map(str, seen.lacking)]

    state = health.DeliverHealth(couriers.values(), pulse, asked_to_stop, clock, trouble)
    fresh = asyncio.create_task(health.keep_fresh(reader, pulse))
    try:
        async with health.serving(health_port, state, numbers.exposition):
            yield numbers.watch
    finally:
        fresh.cancel()
