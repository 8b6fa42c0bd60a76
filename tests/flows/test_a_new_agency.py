"""An agency that joins while the bus runs is heard without anybody starting a worker again, on both brokers."""

from __future__ import annotations

import uuid

import pytest
from a_bus import Bus

from safebus.deploy.local.demo import story
from safebus.deploy.service import key_files
from safebus.schemas import topics
from safebus.schemas.events import Sender

pytestmark = pytest.mark.flow


async def test_what_an_agency_publishes_is_decided_though_it_joined_after_the_worker_started(bus: Bus) -> None:
    """Its alerts would lie on a topic that nobody reads, and nobody would know."""
    newcomer = Sender(agency="westshire-hospital", org_scheme="ODS", org_code="ZZ101", org_name="Westshire Hospital")
    # Not the incident: where the refuge's address may be is what others on this bus are about.
    before, theirs, after = (story.attendance().model_copy(update={"event_id": str(uuid.uuid4())}) for _ in range(3))
    theirs = theirs.model_copy(update={"publisher": newcomer})
    await bus.publish(before)
    await bus.settled(before)  # so it has looked which topics there are
    bus.broker.create_topics({topics.published_by(newcomer.agency): topics.PARTITIONS})
    key_files.init_cases(bus.settings.home, [newcomer.agency])
    await bus.publish(theirs)
    await bus.settled(theirs)
    await bus.publish(after)  # the others go on being heard
    seen = await bus.settled(theirs, after)

    record = seen.decisions[theirs.event_id]
    assert (record.source, record.origin.topic) == (newcomer.agency, "in.westshire-hospital")
    assert {answer.outcome.value for answer in record.answers} == {"REFUSE"}  # no agreement covers it yet
    assert bus.processes.said("worker", "worker.topics_found")
