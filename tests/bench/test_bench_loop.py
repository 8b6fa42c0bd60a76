"""The plain loop that the worker is measured against does the same work, and no measurement leaves anything behind."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification
from safebus.streams.worker.app import GROUP
from tests.bench import plain_loop, worker
from tests.bench.bus import OUTS, WRITTEN, Bus, open_bus

EVENTS = 40


@pytest.mark.flow
def test_the_plain_loop_writes_the_same_records_as_the_worker(tmp_path: Path) -> None:
    """Each in its turn from the same beginning; only the time of the decision, and digests over it, may differ."""
    with open_bus(tmp_path, events=EVENTS, families=10) as bus:
        worker.run_worker(bus)
        ours = _written(bus)
        bus.start_afresh([GROUP, plain_loop.GROUP])
        emptied = {topic: len(bus.messages(topic)) for topic in WRITTEN}
        worker.run_loop(bus)
        plain = _written(bus)

    assert emptied == dict.fromkeys(WRITTEN, 0)
    assert (len(ours), sum(topic == topics.DECISIONS for topic, *_ in ours)) == (EVENTS * 5, EVENTS)
    assert plain == ours


@pytest.mark.flow
def test_a_bench_that_is_told_to_stop_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    """SIGTERM comes while Kafka and the worker run."""
    argv = [sys.executable, "-m", "safebus.deploy.cli", "bench", "worker", "--quick"]
    said = tmp_path / "said"
    with said.open("wb") as to:
        bench = subprocess.Popen(argv, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=to)
    try:
        started = _until_it_runs(bench, "worker")
        bench.terminate()
        code = bench.wait(120)
    finally:
        bench.kill()

    _, alive = psutil.wait_procs(started, timeout=30)
    assert (code, alive, list(tmp_path.glob("safebus-bench-*"))) == (143, [], []), said.read_text()


def _until_it_runs(bench: subprocess.Popen[bytes], command: str) -> list[psutil.Process]:
    """All its processes, as soon as one of them is this command of ours."""
    give_up_at = time.monotonic() + 200
    while time.monotonic() < give_up_at and bench.poll() is None:
        with contextlib.suppress(psutil.Error):  # one has ended while we looked
            there = psutil.Process(bench.pid).children(recursive=True)
            if any(p.cmdline()[-1:] == [command] for p in there if p.status() != psutil.STATUS_ZOMBIE):
                return there
    raise AssertionError(f"`{command}` was not started; the bench ended with {bench.poll()}")


def _written(bus: Bus) -> list[tuple[Any, ...]]:
    found = []
    for topic in (topics.DECISIONS, *OUTS):
        for message in bus.messages(topic):
            kind = DecisionRecord if topic == topics.DECISIONS else Notification
            record = codec.decode_record(message.value(), kind)
            names = sorted(name for name, _ in message.headers())
            found.append((topic, message.key(), names, repr(_timeless(record))))
    return sorted(found)


def _timeless(record: Any) -> dict[str, Any]:
    # The digest is over the source files, and somebody may be editing them between the two.
    plain: dict[str, Any] = record.model_dump(exclude={"decided_at", "rules_digest"})
    for answer in plain.get("answers", ()):
        answer.pop("output_digest")
    return plain
