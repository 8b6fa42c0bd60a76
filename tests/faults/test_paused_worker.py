"""A worker halted for longer than its session does not know it; what it decided must not become a second truth."""

from __future__ import annotations

import pytest
from a_ground import Ground
from a_scenario import worker_sleeps_past_its_session
from a_world import Story

pytestmark = pytest.mark.flow


def test_a_worker_that_wakes_up_too_late_changes_nothing(ground: Ground, story: Story) -> None:
    worker_sleeps_past_its_session(ground, story)

    assert ground.findings(story) == []
    assert {(end.name, end.hand) for end in ground.processes.ends} <= {("worker-1", "itself")}
