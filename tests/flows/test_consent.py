"""Fixture F5: agreed to, told; taken back, not told; and whoever was told before is told that it has ended."""

from __future__ import annotations

import uuid

import pytest
from a_bus import Bus

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Outcome
from safebus.schemas.events import TemporaryAccommodation
from safebus.streams.rules.consent import State

pytestmark = pytest.mark.flow

PURPOSE = "temporary_accommodation_notice"
TOLD = {"ash-primary", "fordshire-0-19", "meadow-practice"}


def placed() -> TemporaryAccommodation:
    """The family is placed, under an event id of its own."""
    return story.moved_to_temporary_accommodation(1).model_copy(update={"event_id": str(uuid.uuid4())})


async def test_a_withdrawal_is_respected_by_the_next_event_and_told_to_those_who_hold_the_last(bus: Bus) -> None:
    before, after, again = placed(), placed(), placed()
    await bus.publish(before)
    first = await bus.settled(before)
    await bus.consent(story.AVA.nhs_number or "", State.WITHDRAWN, purpose=PURPOSE)
    await bus.publish(after)
    seen = await bus.until(
        lambda s: s.settled({after.event_id}) and s.permitted({before.event_id}) <= s.noticed(), "the notices"
    )
    offset = await bus.consent(story.AVA.nhs_number or "", State.GIVEN, purpose=PURPOSE)
    await bus.publish(again)
    last = await bus.settled(again)

    def told(record_of: TemporaryAccommodation, outcome: Outcome) -> set[str]:
        return {a.recipient for a in last.decisions[record_of.event_id].answers if a.outcome is outcome}

    assert {a.recipient for a in first.decisions[before.event_id].answers} == TOLD
    assert (told(before, Outcome.PERMIT), told(after, Outcome.PERMIT), told(again, Outcome.PERMIT)) == (
        TOLD,
        set(),
        TOLD,
    )
    codes = {r.code for a in seen.decisions[after.event_id].answers for r in a.reasons}
    assert codes == {"CONSENT_WITHDRAWN"}
    assert {a.consent_offset for a in last.decisions[again.event_id].answers} == {offset}
    notices = [p for p in await bus.partners.received("ash-primary") if p["event_type"] == "consent.withdrawn"]
    assert [n["event_id"] for n in notices if n["event_id"] in (before.event_id, after.event_id)] == [before.event_id]


async def test_a_duty_does_not_wait_for_consent(bus: Bus) -> None:
    """The refusal of one purpose leaves the report of harm untouched."""
    event = story.incident().model_copy(update={"event_id": str(uuid.uuid4())})
    await bus.publish(event)
    seen = await bus.settled(event)

    assert "ash-primary" in {a.recipient for a in seen.decisions[event.event_id].answers if a.outcome is Outcome.PERMIT}
