"""Agencies that join while two workers share the work are heard, and the workers do not get in each other's way."""

from __future__ import annotations

import pytest
from a_ground import Ground
from a_scenario import EVENTS
from a_supervisor import wait_until
from a_world import Story

from safebus.schemas import topics

pytestmark = pytest.mark.flow

WORKERS = ("worker-1", "worker-2")


def test_two_workers_that_learn_of_new_topics_at_different_times_share_no_partition(
    ground: Ground, story: Story
) -> None:
    """
    In between, one knows of a topic that the other does not know of.

    With partition n of one topic here and of the other there, both would write partition n of `decisions`, and one of
    the two would be fenced off and end.
    """
    ground.deliver()
    for name in WORKERS:
        ground.worker(name, always=("--session", "10"))  # nobody is killed here, and who is overtaken is a finding
    for name in WORKERS:
        wait_until(lambda name=name: ground.processes.said(name, "worker.started"), f"`{name}` to start")
    for number in range(3):
        ground.broker.create_topics({topics.published_by(f"joined-{number}"): topics.PARTITIONS})
        ground.feed_until(
            story,
            lambda found=number: all(ground.processes.said(name, "worker.topics_found") > found for name in WORKERS),
            f"both workers to find topic {number}",
        )
        ground.feed(story, EVENTS // 4)
    ground.come_to_rest()

    assert (ground.findings(story), ground.processes.ends) == ([], [])
