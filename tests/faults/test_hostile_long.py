"""
A hundred thousand hostile records among ten thousand good ones: nothing lost, nothing hidden, memory as at first.

Its short form is tests/hostile/test_hostile_bus.py. Run this one with
`.venv/bin/python -m pytest tests/faults/test_hostile_long.py -m soak -s`; HOSTILE=1000000 asks for more.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from a_flooded_bus import open_flooded_bus, report, unlike_expected

HOSTILE = int(os.environ.get("HOSTILE", "100000"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_long_flood_leaves_the_worker_as_it_was(tmp_path: Path) -> None:
    with open_flooded_bus(tmp_path) as bus:
        sent = bus.publish(2, hostile=HOSTILE, good=HOSTILE // 10)
        with bus.transactions(2, sent, HOSTILE // 10):
            bus.publish_compressed(2, sent)
            bus.publish_damaged(sent)

            became = bus.watch(sent, patience_s=3000)

    print("\n" + report(sent, became))
    assert unlike_expected(sent, became) == []
    assert became.delivered == sent.good
    late = [became.decided[event] - at for event, at in sent.neighbours.items()]
    assert max(late) < timedelta(seconds=120)
    assert became.memory_at(0.95) < became.memory_at(0.25) + 64 * 2**20
