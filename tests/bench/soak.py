"""
Does the bus stay as it is when it works for long?

A worker and a delivery process on Apache Kafka, at a share of what the worker did with a backlog on this machine just
before. Every second the worker is asked how long records have waited without a commit; every five, how much memory
both hold. At the end every offset must be committed, the worker must have counted as many decisions as there were
events, and the one recipient that is delivered to must have been sent all of its notifications.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from safebus.deploy.local.child_process import free_port
from safebus.deploy.local.processes import Processes
from safebus.schemas import topics
from safebus.schemas.errors import SafebusError
from safebus.streams.worker.app import GROUP
from tests.bench import world
from tests.bench.bus import IN, Bus
from tests.bench.delivery import BY, Systems
from tests.bench.rows import Row

SHARE = 0.7
MEMORY_SLOPE_MB_MIN = 1.0
COMMIT_AGE_S = 5.0
#: The first part is left out of the slope: caches fill until they hold all that they may.
WARM_UP = 0.2
_STEP_S = 0.05


@dataclass
class Seen:
    """
    What was seen while it ran.

    Attributes:
        memory: Process -> (seconds since the start, megabytes held), in order.
        commit_age: (seconds since the start, seconds), in order.
        unanswered: How often the worker did not say how it is within 5 seconds.
    """

    memory: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    commit_age: list[tuple[float, float]] = field(default_factory=list)
    unanswered: int = 0
    published: int = 0
    decided: int = 0


class Feed:
    """Publishes events at an even pace, each under an id of its own, until told to stop."""

    def __init__(self, bus: Bus, templates: Sequence[tuple[str, bytes]], per_s: float) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({**bus.client(), "acks": "all", "enable.idempotence": True, "linger.ms": 5})
        self._templates, self._per_s = templates, per_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.published = 0

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._producer.flush(60):
            raise SafebusError("the broker did not take the events within 60 s; look at its log")

    def _run(self) -> None:
        begin = time.monotonic()
        while not self._over.wait(_STEP_S):
            while self.published < (time.monotonic() - begin) * self._per_s:
                number = self.published % len(self._templates)
                old, value = self._templates[number]
                # Ids are equally long, so nothing else of the encoding changes.
                value = value.replace(old.encode(), str(uuid.uuid4()).encode(), 1)
                self._producer.produce(IN, value, f"case-{number}".encode(), partition=number % topics.PARTITIONS)
                self._producer.poll(0)
                self.published += 1


def soak(bus: Bus, systems: Systems, *, minutes: float, per_s: float, progress: Callable[[str], None]) -> Seen:
    """Run it."""
    templates = [
        (event.event_id, value)
        for event in world.events(world.families(200), 400, before=datetime.now(UTC))
        for value in world.values([event])
    ]
    health = free_port()
    processes = bus.processes()
    partner = BY["webhook"]
    seen = Seen()
    pids = {"worker": processes.start("worker", ["worker", "--health-port", str(health)]).pid}
    deliver = ["deliver", partner, "--destinations", str(systems.destinations("webhook").resolve())]
    pids["deliver"] = processes.start("deliver", deliver).pid
    try:
        while not processes.said("worker", "worker.started"):
            processes.check()
            time.sleep(0.1)
        with Feed(bus, templates, per_s) as feed:
            _watch(seen, processes, pids, health, minutes * 60, progress)
        seen.published = feed.published
        bus.events += seen.published
        bus.wait_until_committed(GROUP, alive=processes.check)
        bus.wait_until_committed(f"adapter-{partner}", alive=processes.check, topic=topics.notifications_for(partner))
    finally:
        processes.stop()
    seen.decided = _said_at_its_end(bus, "decided")
    return seen


def _said_at_its_end(bus: Bus, what: str) -> int:
    """A number from the worker's last line."""
    lines = (bus.folder / "logs" / "worker.log").read_text("utf-8").splitlines()
    last = next(line for line in reversed(lines) if '"worker.stopped"' in line)
    return int(json.loads(last)[what])


def _watch(
    seen: Seen, processes: Processes, pids: dict[str, int], health: int, for_s: float, progress: Callable[[str], None]
) -> None:
    begin = time.monotonic()
    number = 0
    while (at := time.monotonic() - begin) < for_s:
        processes.check()
        age = commit_age(health)
        if age is None:
            seen.unanswered += 1
        else:
            seen.commit_age.append((at, age))
        if number % 5 == 0:
            for name, pid in pids.items():
                seen.memory.setdefault(name, []).append((at, held_mb(pid)))
        if number % 60 == 0:
            held = ", ".join(f"{name} {found[-1][1]:.0f} MB" for name, found in seen.memory.items())
            waits = "no answer" if age is None else f"commit age {age:.1f} s"
            progress(f"soak: minute {at / 60:.0f}, {held}, {waits}")
        number += 1
        time.sleep(max(0.0, begin + number - time.monotonic()))


def commit_age(port: int) -> float | None:
    """What the worker says; None: it did not say anything in time."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    ages = [float(line.split()[-1]) for line in text.splitlines() if line.startswith("safebus_commit_age_seconds")]
    return max(ages, default=None)


def held_mb(pid: int) -> float:
    """Resident memory, megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much the second number grows for each 60 of the first: least squares."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def rows(seen: Seen, *, minutes: float, per_s: float) -> list[Row]:
    """What it says."""
    found = []
    for name, points in seen.memory.items():
        later = [p for p in points if p[0] >= WARM_UP * minutes * 60]
        grows = round(slope(later), 3)
        found.append(
            _row(
                f"{name}'s memory, {points[0][1]:.0f} to {points[-1][1]:.0f} MB",
                grows,
                "MB a minute",
                MEMORY_SLOPE_MB_MIN,
            )
        )
    worst = round(max((age for _, age in seen.commit_age), default=float("inf")), 2)
    found.append(_row(f"longest wait for a commit, asked {len(seen.commit_age)} times", worst, "s", COMMIT_AGE_S))
    found.append(_row("times the worker did not say how it is", seen.unanswered, "", 0))
    missing = seen.published - seen.decided
    found.append(_row(f"published ({per_s:.0f}/s for {minutes:g} min) and not decided", missing, "events", 0))
    return found


def _row(what: str, value: float, unit: str, at_most: float) -> Row:
    return Row("soak", what, value, unit, target=f"at most {at_most:g}", met=value <= at_most)
