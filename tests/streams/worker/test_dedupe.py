"""What was decided of a partition is known to whoever takes it over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from a_register import demo, share

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.schemas import topics
from safebus.schemas.bus_records import DecisionRecord, Episode, Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.worker.dedupe import Dedupe, KnownDecision

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def decided(offset: int, episode: Episode | None = None) -> KnownDecision:
    return KnownDecision(
        origin=Origin(topic="in.ash", partition=1, offset=offset),
        input_digest=f"input-{offset}",
        register_offset=7,
        decided_at=NOON + timedelta(milliseconds=offset),
        record_digest=f"record-{offset}",
        episode=episode,
    )


def a_record(offset: int) -> DecisionRecord:
    """The decision about `event-<offset>` of Ash."""
    of_ash = {"source": "ash", "event_id": f"event-{offset}", "origin": decided(offset).origin}
    return share(story.incident(), demo()).record.model_copy(update=of_ash)


@pytest.fixture
def connection(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Decisions on a topic of this test's own."""
    monkeypatch.setattr(topics, "DECISIONS", f"decisions-{fresh}")
    broker.create_topics({topics.DECISIONS: 4})
    return Connection(broker.bootstrap)


async def write(connection: Connection, *offsets: int, header: bool = True, episode: Episode | None = None) -> None:
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all(
        Message(
            topics.DECISIONS,
            f"event-{offset}".encode(),
            b"record",
            [("ce_source", b"ash"), *([decided(offset, episode).header()] if header else [])],
            1,
        )
        for offset in offsets
    )
    await outbound.stop()


def test_what_stands_in_the_header_is_all_of_it() -> None:
    one = decided(3)

    assert KnownDecision.from_header(one.header()[1]) == one


@pytest.mark.parametrize(
    "left", [Episode(token="t"), Episode(token="t", kept_out=("a", "b")), Episode(token="t", perhaps_kept_out=("c",))]
)
def test_what_it_leaves_for_its_episode_stands_there_too(left: Episode) -> None:
    one = decided(3, left)

    assert KnownDecision.from_header(one.header()[1]) == one


async def test_a_takeover_knows_what_another_worker_decided(connection: Connection) -> None:
    await write(connection, 1, 2)
    dedupe = Dedupe(connection)
    await dedupe.read_tails({1})

    assert dedupe.find(1, "ash", "event-2") == decided(2)
    assert dedupe.find(1, "beech", "event-2") is None
    assert dedupe.find(1, "ash", "event-3") is None


async def test_a_second_takeover_adds_what_came_in_between(connection: Connection) -> None:
    dedupe = Dedupe(connection)
    await dedupe.read_tails({1})
    dedupe.add(1, a_record(1), decided(1))
    await write(connection, 1, 2)
    await dedupe.read_tails({1})
    await write(connection, 3)
    await dedupe.read_tails({1})

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3)] == [decided(1), decided(2), decided(3)]


async def test_no_more_is_remembered_than_the_window_holds(connection: Connection) -> None:
    await write(connection, 1, 2, 3)
    dedupe = Dedupe(connection, window=2)
    await dedupe.read_tails({1})
    dedupe.add(1, a_record(4), decided(4))

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3, 4)] == [None, None, decided(3), decided(4)]


async def test_a_decision_that_no_worker_wrote_stops_it(connection: Connection) -> None:
    await write(connection, 1, header=False)

    with pytest.raises(BrokenPromise, match=r"was not written by the worker"):
        await Dedupe(connection).read_tails({1})


# Episodes


async def test_an_episode_is_known_by_its_last_event_until_that_is_forgotten(connection: Connection) -> None:
    await write(connection, 1, 2, episode=Episode(token="t", kept_out=("beech",)))
    dedupe = Dedupe(connection, window=2)
    await dedupe.read_tails({1})
    before = dedupe.before(1, "ash", {})

    assert before.latest("t") == "event-2"
    assert before.episode("event-1") == Episode(token="t", kept_out=("beech",))
    assert (before.episode("event-9"), before.latest("other"), dedupe.before(1, "beech", {}).latest("t")) == (
        None,
        None,
        None,
    )

    dedupe.add(1, a_record(3), decided(3))  # of an earlier release: it says nothing of its episode
    assert (before.episode("event-3"), before.latest("t")) == (None, "event-2")
    dedupe.add(1, a_record(4), decided(4))
    assert before.latest("t") is None
