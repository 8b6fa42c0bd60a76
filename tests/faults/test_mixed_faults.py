"""Many faults in one run: whatever comes together, what was published arrives once, in order, where it may."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from a_checker import check, figures
from a_ground import SESSION_S, Fault, Ground, schedule
from a_world import Story

pytestmark = pytest.mark.flow

PROCESSES = ("worker-1", "worker-2", "deliver-1", "deliver-2")


def run(
    ground: Ground, story: Story, events: int, faults: list[Fault], *, within_s: float
) -> tuple[list[str], dict[str, object]]:
    """
    Feed under these faults, and come to rest.

    Returns:
        What was wrong, and a table of figures.
    """
    began = time.monotonic()
    for name in PROCESSES:
        (ground.worker if name.startswith("worker") else ground.deliver)(name)
    ground.feed(story, events, faults, ahead=200, within_s=within_s)
    ground.come_to_rest(within_s=within_s)
    seconds = round(time.monotonic() - began)
    seen = ground.observe()
    table: dict[str, object] = {"seconds": seconds, **figures(story.published, seen)}
    table |= Counter(f"{fault.what} {fault.whom}" for fault in faults)
    table["ended by themselves"] = len(ground.processes.by("itself"))
    return check(story.published, seen), table


def test_kills_of_every_process_a_pause_and_a_broker_restart_lose_and_double_nothing(
    ground: Ground, story: Story
) -> None:
    faults = schedule(7, kills=4, whom=PROCESSES)
    print("faults:", *faults, sep="\n  ")
    findings, table = run(ground, story, 1000, faults, within_s=400)
    show(table)

    assert findings == []


def test_a_broker_that_is_halted_and_wakes_up_loses_and_doubles_nothing(ground: Ground, story: Story) -> None:
    """It wakes up and takes all members for gone, while they wake up and write to it."""
    findings, table = run(ground, story, 300, [Fault(0.3, "halt-broker", for_s=4 * SESSION_S)], within_s=400)
    show(table)

    assert findings == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twenty_thousand_events_and_a_dozen_kills_lose_and_double_nothing(
    ground: Ground, story: Story, seed: int
) -> None:
    faults = schedule(seed, kills=12, whom=PROCESSES)
    print(f"seed {seed}; faults:", *faults, sep="\n  ")
    findings, table = run(ground, story, 20_000, faults, within_s=3000)
    show(table)

    assert findings == []


def show(table: dict[str, object]) -> None:
    print("\n".join(f"  {name:<20}{value:>8}" for name, value in table.items()))
