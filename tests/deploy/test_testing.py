"""What a publisher's developer writes in tests of their own, and that it answers as the bus does."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from safebus.deploy.local.demo import story
from safebus.producers.publisher import Publisher
from safebus.schemas.errors import BadInput, BadRegister, NotAllowed, NoTopic, NotReachable, WrongUse
from safebus.schemas.events import OperationEncompass
from safebus.testing import BusInMemory

NOW = story.incident().published_at


@pytest.fixture
def bus() -> BusInMemory:
    return BusInMemory(now=NOW)


async def my_code_that_publishes(publisher: Publisher, event: OperationEncompass) -> None:
    """As an application would: an event that was not accepted is tried once more."""
    try:
        await publisher.publish(event, case="4711")
    except NotReachable:
        await publisher.publish(event, case="4711")


async def test_a_school_hears_what_its_agreement_releases(bus: BusInMemory) -> None:
    async with bus.publisher("fordshire-police") as publisher:
        await my_code_that_publishes(publisher, story.incident())

    [told] = bus.told("ash-primary")
    assert told.view["subject"]["given_name"] == "Ava"
    assert "suspect_history" not in str(told.view) and story.REFUGE_POSTCODE not in str(bus.told())


async def test_whoever_is_told_nothing_is_there_with_the_reason(bus: BusInMemory) -> None:
    async with bus.publisher("fordshire-police") as publisher:
        await publisher.publish(story.incident(), case="c")

    [refused] = [each for each in bus.answers(story.incident().event_id) if each.partner == "beech-primary"]
    assert refused.outcome != "DISCLOSE"
    assert any("alleged perpetrator works for or governs" in why for why in refused.why)
    assert bus.told("beech-primary") == []


async def test_what_comes_again_counts_once_and_other_content_not_at_all(bus: BusInMemory) -> None:
    event = story.incident()
    async with bus.publisher("fordshire-police") as publisher:
        first = await publisher.publish(event, case="c")
        again = await publisher.publish(event, case="c")
        await publisher.publish(event.with_(published_at=event.published_at + timedelta(seconds=1)), case="c")

    assert (again.partition, again.offset) == (first.partition, first.offset + 1)
    assert bus.published == [event]
    assert len(bus.told("ash-primary")) == 1
    assert bus.set_aside == {event.event_id: "ID_REUSED: the event id was used before, for other content"}


async def test_it_refuses_what_the_bus_refuses(bus: BusInMemory) -> None:
    publisher = bus.publisher("fordshire-police")
    with pytest.raises(WrongUse):
        await publisher.publish(story.incident(), case="c")
    async with publisher, bus.publisher("fordshire-fire") as nobody:
        with pytest.raises(BadInput, match=r"`publisher\.agency` is `county-hospital`"):
            await publisher.publish(story.incident().with_(publisher=story.attendance().publisher), case="c")
        with pytest.raises(NoTopic, match="its register has no partner `fordshire-fire`"):
            sender = story.incident().publisher.with_(agency="fordshire-fire")
            await nobody.publish(story.incident().with_(publisher=sender), case="c")
    assert bus.published == []


async def test_an_outage_can_be_played(bus: BusInMemory) -> None:
    async with bus.publisher("fordshire-police") as publisher:
        with bus.down(), pytest.raises(NotReachable):
            await publisher.publish(story.incident(), case="c")
        with bus.down(NotAllowed("no right")), pytest.raises(NotAllowed):
            await publisher.publish(story.incident(), case="c")
        assert bus.published == []
        await publisher.publish(story.incident(), case="c")
    assert len(bus.published) == 1


def test_it_is_there_for_code_without_a_loop(bus: BusInMemory) -> None:
    with bus.publisher_sync("fordshire-police") as publisher:
        publisher.publish(story.incident().with_(event_id=str(uuid.uuid4())), case="c")

    assert len(bus.told("ash-primary")) == 1


def test_a_folder_of_ones_own_that_does_not_hold_together_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("partners: [{partner: ash}]\n", "utf-8")
    with pytest.raises(BadRegister, match=r"`.*x.yaml` line 1"):
        BusInMemory(tmp_path)


def test_it_needs_no_broker_and_no_faust() -> None:
    code = (
        "import safebus.testing, sys; print([m for m in ('confluent_kafka', 'faust', 'asyncpg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.strip() == "[]"
