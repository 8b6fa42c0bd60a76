"""
An application publishes while its broker is stopped, killed and halted, and nobody has to start the application again.

    # three times, at three rates, of one broker and of three
    .venv/bin/python -m pytest tests/faults/test_publisher_through_restarts.py -m soak -s
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from a_cluster import Cluster

from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

APP = Path(__file__).with_name("a_publishing_app.py")
POLICE = "in.fordshire-police"
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Seen:
    """What came of it; times in seconds."""

    events: int
    given_up: int  # begun, and neither acknowledged nor tried any more
    lost: int
    doubled: int  # acknowledged at the first try, and there twice
    written_again: int
    back_within: float
    log_lines: int
    busy: float  # seconds of a processor, for each second of the fault


def acknowledged(file: Path) -> dict[str, tuple[float, int]]:
    """Event id -> when, and at which try."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {event_id: (float(at), int(tries)) for at, event_id, tries in map(str.split, lines)}


def until(true: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_at, what
        time.sleep(0.02)


def there(broker: KafkaBroker | Cluster) -> Counter[str]:
    async def read() -> Counter[str]:
        records = read_topic(Connection(broker.bootstrap), POLICE)
        return Counter([dict(m.headers)["ce_id"].decode() async for m in records])

    return asyncio.run(read())


def happens(brokers: KafkaBroker | Cluster, fault: str, down_s: float) -> None:
    broker = brokers.one if isinstance(brokers, Cluster) else brokers
    child = broker._child
    assert child is not None
    if fault == "halted":
        child.send_signal(signal.SIGSTOP)
        time.sleep(down_s)  # the fault itself lasts so long
        child.send_signal(signal.SIGCONT)
        return
    {"stopped": broker.stop, "killed": broker.kill}[fault]()
    time.sleep(down_s)
    broker.start()


def through(folder: Path, *, fault: str, times: int, rate: float, down_s: float, brokers: int = 1) -> Seen:
    broker = Cluster(folder) if brokers > 1 else KafkaBroker(folder / "broker")
    file, log = folder / "acknowledged", folder / "log"
    app = None
    try:
        broker.start()
        broker.create_topics({POLICE: 4})
        with log.open("w") as out:
            words = [sys.executable, str(APP), broker.bootstrap, str(rate), str(file)]
            app = subprocess.Popen(words, stderr=out, stdout=out)
        until(lambda: len(acknowledged(file)) > 3, "nothing was published at first")
        before, began, slowest = sum(psutil.Process(app.pid).cpu_times()[:2]), time.monotonic(), 0.0
        for _ in range(times):
            happens(broker, fault, down_s)
            back = time.time()
            if isinstance(broker, Cluster):
                broker.next_one()
            until(lambda since=back: any(at > since for at, _ in acknowledged(file).values()), "it does not come back")  # type: ignore[misc]
            slowest = max(slowest, min(at for at, _ in acknowledged(file).values() if at > back) - back)
        busy = (sum(psutil.Process(app.pid).cpu_times()[:2]) - before) / (time.monotonic() - began)
        app.send_signal(signal.SIGTERM)
        assert app.wait(PATIENCE_S) == 0, log.read_text()[-2000:]
        said, found = acknowledged(file), there(broker)
        [began_all] = re.findall(r"^began (\d+)$", log.read_text(), re.MULTILINE)
        return Seen(
            events=len(said),
            given_up=int(began_all) - len(said),
            lost=sum(not found[event_id] for event_id in said),
            doubled=sum(found[event_id] > 1 and tries == 1 for event_id, (_, tries) in said.items()),
            written_again=sum(count - 1 for count in found.values()),
            back_within=round(slowest, 1),
            log_lines=len(log.read_text().splitlines()),
            busy=round(busy, 2),
        )
    finally:
        if app is not None and app.poll() is None:
            app.kill()
            app.wait()
        broker.kill()


@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_it_goes_on_by_itself_and_nothing_acknowledged_is_lost(tmp_path: Path, fault: str) -> None:
    """Long enough that what waited has been given up: there the idempotent producer was dead for ever."""
    seen = through(tmp_path, fault=fault, times=1, rate=20, down_s=7)

    assert (seen.given_up, seen.lost, seen.doubled) == (0, 0, 0), seen
    assert seen.log_lines < 2_000, seen


@pytest.mark.soak
@pytest.mark.parametrize("brokers", [1, 3])
@pytest.mark.parametrize("rate", [2, 20, 200])
@pytest.mark.parametrize("fault", ["stopped", "killed", "halted"])
def test_three_times_at_each_rate(tmp_path: Path, fault: str, rate: float, brokers: int) -> None:
    """Of three brokers each in turn: one is always down, so whoever leads a partition changes each time."""
    seen = through(tmp_path, fault=fault, times=3, rate=rate, down_s=15, brokers=brokers)
    print(f"\n{brokers} brokers, {fault}, {rate} a second: {seen}")

    assert (seen.given_up, seen.lost, seen.doubled) == (0, 0, 0), seen
    assert seen.back_within < 10, seen
