"""
Is this process well, and who is told?

    /livez     does the loop turn and the work move? 503: starting it again helps
    /readyz    is it in its group, with a register read to its end just now, and does the broker answer?
    /metrics   the numbers, for Prometheus (`deploy.service.metrics`)

On 127.0.0.1 only, in the loop that does the work: an answer proves that the loop turns. Whether a partner's system
answers makes nothing unready: what waits for it is held, and starting again would not help.

Source: draft-inadarei-api-health-check-06 (`application/health+json`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from aiohttp import web

from safebus.consumers.delivery.measures import Observed
from safebus.deploy.service.topic_plan import Drift
from safebus.schemas.errors import BadInput, SafebusError
from safebus.streams.register.follow import RegisterReader
from safebus.streams.worker.watchdog import Progress

log = structlog.get_logger()

HOST = "127.0.0.1"
FRESH_S = 10.0  # what was learnt from the broker longer ago says nothing of now
SPARE_AFTER_S = 60.0  # joining a group takes seconds, and up to 30 s while others finish what they have under way
ROUND_LIMIT_S = 180.0  # a courier's round waits for a broker and a partner, each of them for up to 30 s, a few times
_REGISTER_EVERY_S = 2.0


@dataclass(frozen=True)
class HealthCheck:
    """
    One thing that was looked at.

    Attributes:
        about: One word: register, broker, group, rights, topics, commits, loop, courier, stop.
        found: In plain words, whichever way it went.
        warns: It is fine for all but some, and a person must look.
    """

    about: str
    fine: bool
    found: str
    warns: bool = False

    @property
    def status(self) -> str:
        """As draft-inadarei-api-health-check-06 calls it."""
        return "warn" if self.fine and self.warns else "pass" if self.fine else "fail"


class ProcessState(Protocol):
    """How one kind of process is."""

    def alive(self) -> Sequence[HealthCheck]:
        """What starting again would mend."""
        ...

    def ready(self) -> Sequence[HealthCheck]:
        """What it needs for its work."""
        ...


Exposition = Callable[[str], tuple[bytes, str]]  # what is asked for (Accept) -> (body, content type)
RequestHandler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True)
class WorkerHealth:
    """
    How a worker is.

    Args:
        since: When it began, by the same clock as the pulse.
        stop: Set when it was asked to stop.
        lacking: The rights that it should have and has not.
        drift: How its topics differ from what they should be.
    """

    pulse: Progress
    stop: asyncio.Event
    lacking: Callable[[], Sequence[object]] = tuple
    drift: Callable[[], Sequence[Drift]] = tuple
    clock: Callable[[], float] = time.monotonic
    since: float = field(default_factory=time.monotonic)

    def alive(self) -> list[HealthCheck]:
        """What starting again would mend."""
        now = self.clock()
        stalled = self.pulse.stalled(now)
        words = f"the longest wait for a commit is {self.pulse.commit_age_s(now):.0f} s"
        return [_loop(), HealthCheck("commits", stalled is None, stalled or words)]

    def ready(self) -> list[HealthCheck]:
        """What it needs to decide."""
        now = self.clock()
        broker = _fresh("broker", "the broker said where our partitions end", self.pulse.looked_at, now)
        standing = [_rights(self.lacking()), _topics(self.drift()), _stopping(self.stop)]
        return [self._group(now), _register(self.pulse, now), broker, *standing]

    def _group(self, now: float) -> HealthCheck:
        if self.pulse.lag:
            return HealthCheck("group", True, f"in its group with {len(self.pulse.lag)} partitions")
        # The pulse does not tell a spare from one that has not joined yet; the time that joining takes does.
        if now - self.since < SPARE_AFTER_S:
            return HealthCheck(
                "group", False, f"no partitions {now - self.since:.0f} s after the start; joining its group"
            )
        return HealthCheck("group", True, "no partitions: a spare, until another worker ends")


@dataclass(frozen=True)
class DeliverHealth:
    """
    How a delivery process is.

    Args:
        clock: As the couriers'.
        lacking: The rights that they should have and have not.
        ticks: Seconds, as the pulse's.
    """

    couriers: Collection[Observed]
    pulse: Progress
    stop: asyncio.Event
    clock: Callable[[], datetime]
    lacking: Callable[[], Sequence[object]] = tuple
    ticks: Callable[[], float] = time.monotonic

    def alive(self) -> list[HealthCheck]:
        """What starting again would mend."""
        now = self.clock()
        return [_loop(), *(_turns(courier, now) for courier in self.couriers)]

    def ready(self) -> list[HealthCheck]:
        """What it needs to deliver; never a partner's system."""
        joined = [_joined(courier) for courier in self.couriers]
        return [*joined, _register(self.pulse, self.ticks()), _rights(self.lacking()), _stopping(self.stop)]


def _loop() -> HealthCheck:
    return HealthCheck("loop", True, "the loop turns: it gave this answer")


def _rights(lacking: Sequence[object]) -> HealthCheck:
    """Some agency or partner waits for it, and starting this process again would not help."""
    if not lacking:
        return HealthCheck("rights", True, "it may read and write what it should")
    return HealthCheck("rights", True, f"it lacks {', '.join(map(str, lacking))}, or that is not there", warns=True)


def _topics(drift: Sequence[Drift]) -> HealthCheck:
    """It works on, and what comes of it is a person's to mend."""
    if not drift:
        return HealthCheck("topics", True, "nothing is known of its topics that is not as it should be")
    return HealthCheck("topics", True, "; ".join(f"{one.topic}: {one}" for one in drift), warns=True)


def _stopping(stop: asyncio.Event) -> HealthCheck:
    asked = stop.is_set()
    return HealthCheck("stop", not asked, "asked to stop, and finishing" if asked else "not asked to stop")


def _register(pulse: Progress, now: float) -> HealthCheck:
    return _fresh("register", "the register was read to its end", pulse.register_at, now)


def _fresh(about: str, what: str, at: float | None, now: float) -> HealthCheck:
    if at is None:
        return HealthCheck(about, False, f"not yet: {what}")
    return HealthCheck(about, now - at <= FRESH_S, f"{what} {now - at:.1f} s ago; the limit is {FRESH_S:.0f} s")


def _turns(courier: Observed, now: datetime) -> HealthCheck:
    at = courier.facts.turned_at
    if at is None:
        return HealthCheck("courier", True, f"the courier of `{courier.partner}` is starting")
    age = (now - at).total_seconds()
    words = f"the courier of `{courier.partner}` began its round {age:.1f} s ago; the limit is {ROUND_LIMIT_S:.0f} s"
    return HealthCheck("courier", age <= ROUND_LIMIT_S, words)


def _joined(courier: Observed) -> HealthCheck:
    joined = courier.facts.joined
    return HealthCheck(
        "courier", joined, f"the courier of `{courier.partner}` {'has' if joined else 'has not yet'} started"
    )


async def keep_fresh(
    reader: RegisterReader,
    pulse: Progress,
    *,
    clock: Callable[[], float] = time.monotonic,
    every_s: float = _REGISTER_EVERY_S,
) -> None:
    """Read the register to its end again and again, for processes that else read it only when they have work."""
    while True:
        try:
            pulse.register_offset = (await reader.catch_up()).offset
            pulse.register_at = clock()
        except SafebusError:
            pass  # readiness says that it was not read, and whoever delivers meets the same error and ends of it
        except Exception as exc:  # a bug: ended by it, this would look no more and nobody would see
            log.error("register.not_read", error=type(exc).__name__)
        await asyncio.sleep(every_s)


@asynccontextmanager
async def serving(port: int, state: ProcessState, exposition: Exposition) -> AsyncIterator[int]:
    """
    Answer on 127.0.0.1.

    Args:
        port: 0: a free one.

    Yields:
        The port.

    Raises:
        BadInput: The port is taken.
    """
    app = web.Application()
    app.router.add_get("/livez", _answering(state.alive))
    app.router.add_get("/readyz", _answering(state.ready))
    app.router.add_get("/metrics", _exposing(exposition))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as exc:
            raise BadInput(
                f"health port `{port}` cannot be opened on {HOST}: {exc.strerror}; choose another, or 0 for a free one"
            ) from exc
        bound: int = runner.addresses[0][1]
        log.info("health.started", port=bound)
        yield bound
    finally:
        await runner.cleanup()


def _answering(look: Callable[[], Sequence[HealthCheck]]) -> RequestHandler:
    async def answer(_request: web.Request) -> web.Response:
        checks = look()
        fine = all(check.fine for check in checks)
        warns = fine and any(check.warns for check in checks)
        body = {
            "status": "warn" if warns else "pass" if fine else "fail",
            "causes": [check.found for check in checks if check.status != "pass"],
            "checks": _by_name(checks),
        }
        return web.Response(
            status=200 if fine else 503,
            body=json.dumps(body, indent=1).encode() + b"\n",
            content_type="application/health+json",
            headers={"Cache-Control": "no-store"},
        )

    return answer


def _by_name(checks: Sequence[HealthCheck]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for check in checks:
        found.setdefault(check.about, []).append({"status": check.status, "output": check.found})
    return found


def _exposing(exposition: Exposition) -> RequestHandler:
    async def answer(request: web.Request) -> web.Response:
        body, content_type = exposition(",".join(request.headers.getall("Accept", [])))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return answer
