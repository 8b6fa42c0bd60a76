"""A harness that finds nothing proves nothing: with one safeguard taken out, the same scenarios are found wanting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from a_ground import Ground
from a_mutation import MUTATIONS
from a_scenario import (
    adapter_ends_at,
    adapter_sleeps_past_its_session,
    partner_is_busy,
    plain,
    worker_ends_at,
    worker_sleeps_past_its_session,
)
from a_world import Story

pytestmark = pytest.mark.flow

# mutation -> the scenario that leans on what it takes out, and what must be found. Without a mutation nothing is found
# in any of them: test_crash_points, test_paused_processes, test_partners_in_trouble.
FOUND: dict[str, tuple[Callable[..., None], str]] = {
    "commit-first": (worker_ends_at("decided:2"), "lost"),
    "no-dedupe": (worker_ends_at("decisions-committed:2"), "two truths"),
    "no-fence": (worker_sleeps_past_its_session, "two truths"),
    "effects-first": (worker_ends_at("outputs:2"), "rewritten"),
    "no-ledger": (adapter_ends_at("receipt-written:60"), "doubled"),
    "no-lease": (adapter_sleeps_past_its_session, "doubled"),
    "takes-any-answer": (partner_is_busy, "lost"),
    "no-order": (partner_is_busy, "misordered"),
    "tells-everyone": (plain, "leaked"),
}


@pytest.mark.parametrize("mutation", FOUND)
def test_without_it_something_is_found(ground: Ground, story: Story, mutation: str) -> None:
    scenario, kind = FOUND[mutation]
    scenario(ground, story, ("--mutate", mutation))

    kinds = {line.split(":")[0] for line in ground.findings(story)}
    assert kind in kinds, kinds


def test_every_safeguard_is_taken_out_once() -> None:
    elsewhere = {"no-barrier"}  # in test_withdrawals.py
    assert {*FOUND, *elsewhere} == set(MUTATIONS)


def test_what_goes_well_is_not_found_wanting(ground: Ground, story: Story) -> None:
    plain(ground, story)

    assert (ground.findings(story), ground.processes.ends) == ([], [])
