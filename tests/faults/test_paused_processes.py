"""
A process halted for longer than its session does not know it.

What a worker decided must not become a second truth; what an adapter had in hand must not reach the partner again.
"""

from __future__ import annotations

import pytest
from a_ground import Ground
from a_scenario import adapter_sleeps_past_its_session, worker_sleeps_past_its_session
from a_world import Story

pytestmark = pytest.mark.flow


def test_a_worker_that_wakes_up_too_late_changes_nothing(ground: Ground, story: Story) -> None:
    worker_sleeps_past_its_session(ground, story)

    assert ground.findings(story) == []
    assert {(end.name, end.hand) for end in ground.processes.ends} <= {("worker-1", "overtaken")}


def test_an_adapter_that_wakes_up_too_late_hands_nothing_over_again(ground: Ground, story: Story) -> None:
    adapter_sleeps_past_its_session(ground, story)

    assert ground.findings(story) == []
    assert ground.processes.ends == []
