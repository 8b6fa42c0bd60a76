"""Wherever a process ends: nothing is lost, nothing has two truths, and nobody gets anything twice or out of turn."""

from __future__ import annotations

import pytest
from a_ground import Ground
from a_place import ADAPTER_PLACES, CRASHED, WORKER_PLACES
from a_scenario import adapter_ends_at, worker_ends_at, worker_ends_in_a_rebalance
from a_supervisor import End
from a_world import Story

pytestmark = pytest.mark.flow

# At which pass of the place. `decoded` counts events, `first-output` messages, `decisions-sent` one partition's part
# of a batch, the others of a worker batches; of an adapter all count deliveries, `delivery-committed` commits.
WORKERS = {
    "decoded": 25,
    "decided": 2,
    "decisions-sent": 3,
    "decisions-committed": 2,
    "first-output": 50,
    "outputs": 2,
    "offsets-committed": 1,
}
ADAPTERS = {"partner-next": 60, "partner-answered": 60, "receipt-written": 60, "delivery-committed": 5}


def test_workers_that_end_at_every_place_leave_one_truth(ground: Ground, story: Story) -> None:
    """One after another in one bus: each worker is started where the one before has ended."""
    worker_ends_at(*(f"{place}:{number}" for place, number in WORKERS.items()))(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [End("worker-1", "place", CRASHED)] * len(WORKERS))


def test_a_worker_that_ends_while_it_lets_go_leaves_one_truth(ground: Ground, story: Story) -> None:
    worker_ends_in_a_rebalance(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [End("worker-1", "place", CRASHED)])


def test_adapters_that_end_at_every_place_are_followed_by_one_that_knows(ground: Ground, story: Story) -> None:
    adapter_ends_at(*(f"{place}:{number}" for place, number in ADAPTERS.items()))(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [End("deliver-1", "place", CRASHED)] * len(ADAPTERS))


def test_every_place_is_tried() -> None:
    assert {*WORKERS, "revoked"} == set(WORKER_PLACES)
    assert set(ADAPTERS) == set(ADAPTER_PLACES)


@pytest.mark.soak
@pytest.mark.parametrize("place", WORKERS)
def test_a_worker_that_ends_at_one_place_leaves_one_truth(ground: Ground, story: Story, place: str) -> None:
    """Each place alone, to see which of them it was."""
    worker_ends_at(f"{place}:{WORKERS[place]}")(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [End("worker-1", "place", CRASHED)])


@pytest.mark.soak
@pytest.mark.parametrize("place", ADAPTERS)
def test_an_adapter_that_ends_at_one_place_is_followed_by_one_that_knows(
    ground: Ground, story: Story, place: str
) -> None:
    adapter_ends_at(f"{place}:{ADAPTERS[place]}")(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [End("deliver-1", "place", CRASHED)])
