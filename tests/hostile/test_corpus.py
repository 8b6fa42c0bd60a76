"""
Whatever is sent, decoding it refuses with a reason or gives an event that is written the same way again.

Never another error, which would stop a worker; and never more than a bounded time and memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import a_corpus
import pytest
from a_corpus import KINDS, ODD_BUT_GOOD, POLICE, Hostile, make

from safebus.schemas import codec, gate
from safebus.schemas.errors import Refused


def verdict(sent: Hostile) -> str:
    """What the worker would say of this record from `in.fordshire-police`; `in` if it would decide on it."""
    try:
        gate.check_wrapping(sent.key, sent.headers)
        received = codec.decode(sent.value)
    except Refused as refused:
        return refused.reason
    again = gate.MARKER + received.schema.fingerprint + gate.write(received.record, received.schema.parsed)
    assert again == received.content
    return "in" if received.event.publisher.agency == POLICE else "WRONG_SOURCE"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_refused_for_what_is_wrong_with_it(kind: str) -> None:
    verdicts = {verdict(make(kind, seed)) for seed in range(100)}

    assert verdicts <= KINDS[kind][1]


def test_every_reason_the_gate_knows_is_in_the_corpus() -> None:
    """All but what a whole batch is refused for (test_hostile_bus.py), and what only the bus's own records are."""
    of_batches = {"BAD_HEADER", "BATCH_TOO_LARGE", "UNREADABLE_BATCH", "IN_TRANSACTION"}
    of_our_own = {"NOT_CANONICAL"}

    found = {verdict(make(kind, seed)) for kind in KINDS for seed in range(20)}

    assert found == set(gate.GateReason) - of_batches - of_our_own | {"WRONG_SOURCE"}


def test_the_same_seed_makes_the_same_flood() -> None:
    assert list(a_corpus.flood(7, 200)) == list(a_corpus.flood(7, 200))
    assert list(a_corpus.flood(7, 200)) != list(a_corpus.flood(8, 200))


@pytest.mark.parametrize("name", ODD_BUT_GOOD, ids=ascii)
def test_an_odd_name_is_let_in(name: str) -> None:
    """Withholding an alert is as serious as leaking one. Only NUL is no text."""
    chance = a_corpus.random.Random(1)
    person = a_corpus.subject(chance, given_name=name)

    received = codec.decode(a_corpus.value(chance, subjects=[person]))

    assert received.event.subjects[0].given_name == name


MEASURE = """
import gc, json, resource, sys, time
sys.path[:0] = json.loads(sys.argv[1])
from a_corpus import KINDS, make
from test_corpus import verdict
kinds = list(KINDS)
samples = [make(name, seed) for name in kinds for seed in range(15)]
verdict(samples[0])
gc.collect()
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 64 * 2**20,) * 2)
slowest = {}
for sample in samples:
    began = time.process_time()
    verdict(sample)
    slowest[sample.kind] = max(slowest.get(sample.kind, 0), time.process_time() - began)
print(json.dumps(slowest))
"""


def test_no_record_costs_more_than_a_bounded_time_and_memory() -> None:
    """64 MiB beyond what the process has, or it dies of MemoryError; and a third of a second of CPU."""
    paths = json.dumps([path for path in sys.path if path] + [str(Path(__file__).parent)])

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, paths],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    slowest = json.loads(done.stdout)
    assert {kind: seconds for kind, seconds in slowest.items() if seconds > 0.33} == {}
