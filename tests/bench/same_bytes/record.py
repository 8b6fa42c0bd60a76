"""
How does one tree tell the story?

Run in a process of its own, with the tree first on the path and as working directory:

    python -m same_bytes.record TREE WORLDS EVENTS SEED OUT
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import structlog

from .decide import Decider
from .deliver import deliver
from .recording import Recording
from .spellings import load
from .town import Town


def record(tree: Path, worlds: Path, *, events: int, seed: int) -> Recording:
    """Decide the worlds and the town; deliver what the first half of the town gave."""
    spelt = load(tree)
    spelt.install()
    decider = Decider(spelt, Recording())
    told = json.loads(worlds.read_text("utf-8"))
    for number, world in enumerate(told):
        decider.world(number, world)
    there = decider.recording.counts["events"]
    town = Town(decider, seed=seed, events=events - there)
    outputs = town.until((there + events) // 2)
    town.calm()
    register, withdrawals = town.for_deliveries()
    deliver(decider, outputs, register=register, withdrawals=withdrawals, now=town.now)
    town.until(events)
    return decider.recording


def main() -> None:
    """Tell it."""
    # Both trees log each delivery; the recording says more.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.ERROR)
    tree, worlds, events, seed, out = sys.argv[1:]
    record(Path(tree), Path(worlds), events=int(events), seed=int(seed)).write(Path(out))


if __name__ == "__main__":
    main()
