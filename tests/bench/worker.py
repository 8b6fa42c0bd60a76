"""
What does the worker cost beside the least program that writes the same records?

All events are published first. Then worker and plain loop take turns (A B B A ...) on the same broker and the same
events, each as a process of its own, each time from the beginning. Counted is from the first decision to the last by
the broker's own clock, so that neither pays for its start; processor time is the process's own in that span.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safebus.deploy.local.child_process import last_lines, start_child, stop_child
from safebus.schemas import topics
from safebus.schemas.errors import SafebusError
from safebus.streams.worker.app import GROUP
from tests.bench import plain_loop
from tests.bench.bus import OUTS, Bus
from tests.bench.commands import environment
from tests.bench.meter import Meter


@dataclass(frozen=True)
class Round:
    """One run through all events: how fast, and microseconds of processor time for each event."""

    events_per_s: float
    us_per_event: float


def worker_round(bus: Bus) -> Round:
    """The worker, through `safebus worker`."""
    return _round(bus, run_worker(bus))


def loop_round(bus: Bus) -> Round:
    """The plain loop."""
    return _round(bus, run_loop(bus))


def run_worker(bus: Bus) -> Meter:
    """Let the worker do all events, and stop it."""
    processes = bus.processes()
    child = processes.start("worker", ["worker"])
    try:
        with Meter(child.pid) as meter:
            bus.wait_until_committed(GROUP, alive=processes.check)
    finally:
        processes.stop()
    return meter


def run_loop(bus: Bus) -> Meter:
    """Let the plain loop do all events, and stop it."""
    log = bus.folder / "logs" / "plain-loop.log"
    log.parent.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "tests.bench.plain_loop"]
    child = start_child(argv, log=log, cwd=Path.cwd(), environ=environment(bus))

    def alive() -> None:
        if child.poll() is not None:
            raise SafebusError(
                f"the plain loop ended with exit code {child.returncode}; it said last:{last_lines(log)}"
            )

    try:
        with Meter(child.pid) as meter:
            bus.wait_until_committed(plain_loop.GROUP, alive=alive)
    finally:
        stop_child(child, ask=signal.SIGTERM, wait_s=30)
    return meter


def _round(bus: Bus, meter: Meter) -> Round:
    decided = bus.appended(topics.DECISIONS)
    sent = sum(len(bus.appended(topic)) for topic in OUTS)
    if (len(decided), sent) != (bus.events, bus.events * len(OUTS)):
        raise SafebusError(
            f"{len(decided)} decisions and {sent} notifications of {bus.events} events; nothing was measured"
        )
    # Those of the first moment were worked on before it.
    begin, end = decided[0], decided[-1]
    after = sum(at > begin for at in decided)
    return Round(after / (end - begin), meter.between(begin, end) / after * 1e6)


def worker_afresh(bus: Bus) -> Round:
    """The worker, from the beginning."""
    bus.start_afresh([GROUP])
    return worker_round(bus)


def loop_afresh(bus: Bus) -> Round:
    """The plain loop, from the beginning."""
    bus.start_afresh([plain_loop.GROUP])
    return loop_round(bus)


def in_turns(
    measures: Mapping[str, Callable[[], Round]], rounds: int, progress: Callable[[str], None]
) -> dict[str, list[Round]]:
    """So many rounds of each; one of each before them warms the broker up and is left out."""
    found: dict[str, list[Round]] = {name: [] for name in measures}
    for i in range(rounds + 1):
        for name in list(measures) if i % 2 == 0 else list(measures)[::-1]:
            this = measures[name]()
            progress(f"{name} {i}: {this.events_per_s:.0f}/s, {this.us_per_event:.0f} us of processor")
            found[name].append(this)
    return {name: each[1:] for name, each in found.items()}
