"""What was decided of a partition is known to whoever takes it over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from a_register import KEY, demo, share

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Accused, DecisionRecord, Episode, Origin
from safebus.schemas.errors import BrokenPromise
from safebus.schemas.events import Event, Lifecycle
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets, settled_ends
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.rules.episode import holders_of
from safebus.streams.worker import dedupe as dedupe_module
from safebus.streams.worker.dedupe import Dedupe
from safebus.streams.worker.remembered import KnownDecision

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def decided(offset: int, episodes: tuple[str, ...] | None = None, accuses: bool = False) -> KnownDecision:
    return KnownDecision(
        origin=Origin(topic="in.ash", partition=1, offset=offset),
        input_digest=f"input-{offset}",
        register_offset=7,
        decided_at=NOON + timedelta(milliseconds=offset),
        record_digest=f"record-{offset}",
        episodes=episodes,
        accuses=accuses,
    )


def a_record(offset: int, left: Episode | None = None) -> DecisionRecord:
    """The decision about `event-<offset>` of Ash."""
    of_ash = {"source": "ash", "event_id": f"event-{offset}", "origin": decided(offset).origin, "episode": left}
    return share(story.incident(), demo()).record.model_copy(update=of_ash)


@pytest.fixture
def connection(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Decisions on a topic of this test's own."""
    monkeypatch.setattr(topics, "DECISIONS", f"decisions-{fresh}")
    broker.create_topics({topics.DECISIONS: 4})
    return Connection(broker.bootstrap)


async def write(
    connection: Connection,
    *offsets: int,
    header: bool = True,
    left: Episode | dict[int, Episode] | None = None,
    as_worker: bool = True,
) -> None:
    """All in one transaction. `left`: what each leaves."""
    lefts = left if isinstance(left, dict) else dict.fromkeys(offsets, left)
    outbound = Writer(connection, client_id="test", transactional_id=topics.DECISIONS if as_worker else None)
    await outbound.start()
    messages = [
        Message(
            topics.DECISIONS,
            f"event-{offset}".encode(),
            b"record" if lefts[offset] is None else codec.encode_record(a_record(offset, lefts[offset])),
            [("ce_source", b"ash"), *([as_known(offset, lefts[offset]).header()] if header else [])],
            1,
        )
        for offset in lefts
    ]
    await (outbound.send_as_one(messages) if as_worker else outbound.send_all(messages))
    await outbound.stop()
    async with Offsets(connection) as surely, Offsets(connection, committed=False) as all_:
        await settled_ends(surely, all_, [Partition(topics.DECISIONS, 1)])


def as_known(offset: int, left: Episode | None) -> KnownDecision:
    if left is None:
        return decided(offset)
    return replace(decided(offset, left.tokens, bool(left.accused)), adds_to=left.adds_to)


async def test_a_takeover_knows_what_another_worker_decided(connection: Connection) -> None:
    await write(connection, 1, 2)
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})

    assert dedupe.find(1, "ash", "event-2") == decided(2)
    assert dedupe.find(1, "beech", "event-2") is None
    assert dedupe.find(1, "ash", "event-3") is None


async def test_a_repeat_under_another_case_is_known_wherever_this_worker_decided_it(connection: Connection) -> None:
    await write(connection, 1)
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1, 2})
    dedupe.add(1, a_record(2), decided(2))

    assert [dedupe.find(2, "ash", f"event-{n}") for n in (1, 2, 3)] == [decided(1), decided(2), None]
    assert dedupe.find(2, "beech", "event-1") is None


async def test_a_second_takeover_adds_what_came_in_between(connection: Connection) -> None:
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})
    dedupe.add(1, a_record(1), decided(1))
    await write(connection, 1, 2)
    await dedupe.read_tails({1})
    await write(connection, 3)
    await dedupe.read_tails({1})

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3)] == [decided(1), decided(2), decided(3)]


async def test_no_more_is_remembered_than_the_window_holds(connection: Connection) -> None:
    await write(connection, 1, 2, 3)
    dedupe = Dedupe(connection, key=KEY, window=2)
    await dedupe.read_tails({1})
    dedupe.add(1, a_record(4), decided(4))

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3, 4)] == [None, None, decided(3), decided(4)]


async def test_what_stands_as_a_workers_and_is_no_decision_stops_it_and_is_named(connection: Connection) -> None:
    await write(connection, 1, header=False)
    dedupe = Dedupe(connection, key=KEY)

    for _ in range(2):  # also whoever asks again
        with pytest.raises(BrokenPromise, match=r"`decisions-\S+` 1/\d+ is no decision of a worker.*find who"):
            await dedupe.read_tails({1})


async def test_what_was_written_without_a_workers_right_is_believed_by_nobody_and_stops_nobody(
    connection: Connection, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """WRITE on `decisions` alone, stolen: no transactional id. Forged or junk, what stands around it is read."""
    await write(connection, 1)
    await write(connection, 2, as_worker=False)
    await write(connection, 3, as_worker=False, header=False)
    await write(connection, 4)
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})

    assert [dedupe.find(1, "ash", f"event-{n}") for n in (1, 2, 3, 4)] == [decided(1), None, None, decided(4)]
    assert (capsys.readouterr().out + caplog.text).count("record.strange") == 2


def retraction_of(original: DecisionRecord) -> Event:
    told = {"event_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "lifecycle": Lifecycle.RETRACT}
    return story.incident().model_copy(update=told | {"supersedes_event_id": original.event_id})


# Episodes

SOMEBODY = Accused(named_in="event-1", works_for=("beech-primary",))


async def test_an_episode_is_known_by_its_last_event_until_that_is_forgotten(connection: Connection) -> None:
    left = Episode(tokens=("t", "u"), accused=(SOMEBODY,))
    await write(connection, left={1: Episode(tokens=("t",)), 2: left})
    dedupe = Dedupe(connection, key=KEY, window=2)
    await dedupe.read_tails({1})
    before, others = dedupe.before(1, "ash", {}), dedupe.before(1, "beech", {})

    assert (before.latest("t"), before.latest("u"), before.latest("v")) == ("event-2", "event-2", None)
    assert (before.tokens("event-1"), before.tokens("event-2"), before.tokens("event-9")) == (("t",), ("t", "u"), None)
    assert before.episode("t") == before.episode("u") == left
    assert (before.episode("v"), others.episode("t"), others.latest("t")) == (None, None, None)

    dedupe.add(1, a_record(3), decided(3))  # of an earlier release: it says nothing of its episode
    assert (before.tokens("event-3"), before.latest("t")) == (None, "event-2")
    dedupe.add(1, a_record(4), decided(4))
    assert (before.latest("t"), before.episode("t")) == (None, None)


async def test_one_of_which_nobody_is_accused_is_known_all_the_same(connection: Connection) -> None:
    await write(connection, 1, left=Episode(tokens=("t",)))
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})

    assert dedupe.before(1, "ash", {}).episode("t") == Episode(tokens=("t",))


async def test_reading_the_tail_again_makes_no_earlier_event_the_last(connection: Connection) -> None:
    """The first is on record, the second is being written, and something else makes the tail be read."""
    first, second = Episode(tokens=("t",)), Episode(tokens=("t",), accused=(SOMEBODY,))
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})
    dedupe.add(1, a_record(1, first), as_known(1, first))
    dedupe.add(1, a_record(2, second), as_known(2, second))
    await write(connection, 1, left=first)
    await dedupe.read_tails({1})

    assert dedupe.before(1, "ash", {}).latest("t") == "event-2"
    assert dedupe.before(1, "ash", {}).episode("t") == second


async def test_who_had_what_is_taken_back_is_known_though_it_is_put_out_meanwhile(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The original is not written yet, and as many are decided behind it as are kept."""
    monkeypatch.setattr(dedupe_module, "_UNWRITTEN", 1)
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1})
    original = share(story.incident(), demo()).record
    dedupe.add(1, original, KnownDecision.of(original, "digest"))
    retraction = retraction_of(original)
    holders = await dedupe.holders([(1, retraction)])
    dedupe.add(1, a_record(9), decided(9))

    assert dedupe.before(1, "fordshire-police", holders).holders(original.event_id) == holders_of(original) != ()


async def test_what_came_under_another_case_key_is_known_on_every_partition_of_this_worker(
    connection: Connection,
) -> None:
    """Two cases, one reference; the partition of the event goes first where it knows something."""
    other = Accused(named_in="event-2", works_for=("ash-primary",))
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1, 2})
    there = Episode(tokens=("t", "u"), accused=(SOMEBODY,), retracted=True)
    dedupe.add(1, a_record(1, there), as_known(1, there))
    before = dedupe.before(2, "ash", {})
    assert (before.latest("t"), before.tokens("event-1"), before.partition_of("event-1")) == ("event-1", ("t", "u"), 1)
    assert (before.episode("t"), before.partition_of("event-9")) == (there, None)

    here = Episode(tokens=("t",), accused=(other,))
    dedupe.add(2, a_record(2, here), as_known(2, here))
    assert before.latest("t") == "event-2"
    assert before.episode("t") == Episode(tokens=("t", "u"), accused=(other, SOMEBODY), retracted=True)


async def test_who_had_what_is_taken_back_under_another_case_key_is_known(connection: Connection) -> None:
    dedupe = Dedupe(connection, key=KEY)
    await dedupe.read_tails({1, 2})
    original = share(story.incident(), demo()).record
    dedupe.add(1, original, KnownDecision.of(original, "digest"))
    retraction = retraction_of(original)
    holders = await dedupe.holders([(2, retraction)])

    assert dedupe.before(2, "fordshire-police", holders).holders(original.event_id) == holders_of(original) != ()


async def test_what_adds_to_an_event_is_known_until_it_is_forgotten(connection: Connection) -> None:
    adds = Episode(tokens=("t",), adds_to="event-1")
    await write(connection, left={1: Episode(tokens=("t",)), 2: adds, 3: adds})
    dedupe = Dedupe(connection, key=KEY, window=3)
    await dedupe.read_tails({1, 2})
    before = dedupe.before(2, "ash", {})

    assert (before.adds_to("event-2"), before.adds_to("event-1"), before.adds_to("event-9")) == ("event-1", None, None)
    assert (before.followers("event-1"), before.followers("event-2")) == (["event-2", "event-3"], [])
    for n, left in ((4, ["event-2", "event-3"]), (5, ["event-3"]), (6, [])):
        dedupe.add(1, a_record(n), decided(n))
        assert before.followers("event-1") == left
