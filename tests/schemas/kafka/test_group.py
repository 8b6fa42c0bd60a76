"""
What may a process of a group take for its own? On both brokers.

Nothing of a partition is handed out before it is known what its last owner did with it, and nothing is begun without
the broker's word, within its session, that we are in the group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, RequestTimedOutError

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.group import GroupConsumer, Waiting, seconds_since_boot
from safebus.schemas.kafka.group_offsets import Done, done_by_each
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer


@pytest.fixture
async def connection(broker: Broker, fresh: str) -> Connection:
    """One record waits on the topic whose name is `fresh`."""
    broker.create_topics({fresh: 4})
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(fresh, b"case", b"record", (), 2)])
    await outbound.stop()
    return connection


async def nothing(_partitions: set[int]) -> None:
    return None


async def at_once() -> None:
    return None


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def group(
    connection: Connection,
    topic: str,
    assigned: Callable[[], Awaitable[None]] = at_once,
    *,
    clock: Clock | None = None,
    patience_s: float = 30.0,
) -> GroupConsumer:
    return GroupConsumer(
        connection,
        topic=topic,
        group=f"readers-of-{topic}",
        revoked=nothing,
        assigned=assigned,
        session_s=6.0,
        seconds=clock or Clock(),
        patience_s=patience_s,
    )


async def joined(
    connection: Connection, topic: str, *, clock: Clock | None = None, patience_s: float = 30.0
) -> tuple[GroupConsumer, Waiting]:
    """One that has its partitions, and the record that waited."""
    found = group(connection, topic, clock=clock, patience_s=patience_s)
    await found.start()
    async with asyncio.timeout(30):
        [waiting] = await _first(found)
    return found, waiting


async def test_what_was_fetched_waits_until_whoever_takes_over_is_ready(connection: Connection, fresh: str) -> None:
    """aiokafka gives out records of new partitions while it still tells of them: they were delivered a second time."""
    begun, ready = asyncio.Event(), asyncio.Event()

    async def make_ready() -> None:
        begun.set()
        await ready.wait()

    found = group(connection, fresh, make_ready)
    await found.start()
    fetching = asyncio.create_task(_first(found))
    async with asyncio.timeout(30):
        await begun.wait()
        # Long enough for the record to be fetched: another consumer has it.
        await _fetched_by_another(connection, fresh)
    before = fetching.done()
    ready.set()
    async with asyncio.timeout(30):
        came = await fetching
    open_before, _ = found.is_open(came[0]), found.dealt_with(came[0])
    await found.stop()

    assert not before
    assert [(w.partition, w.value) for w in came] == [(2, b"record")]
    assert (open_before, found.is_open(came[0])) == (True, False)


async def _first(found: GroupConsumer) -> list[Waiting]:
    while not (came := await found.fetch(0.2)):
        pass
    return came


async def _fetched_by_another(connection: Connection, topic: str) -> None:
    for _ in range(3):
        assert [m.value async for m in read_topic(connection, topic)] == [b"record"]


@pytest.mark.parametrize("error", [NotReachable("no receipts"), ValueError("no receipt of ours")], ids=["away", "odd"])
async def test_what_cannot_be_taken_over_is_not_handed_out(
    connection: Connection, fresh: str, error: Exception
) -> None:
    """aiokafka only logs what fails here, and would go on."""

    async def fails() -> None:
        raise error

    found = group(connection, fresh, fails)
    await found.start()

    with pytest.raises(type(error), match="no receipt"):
        async with asyncio.timeout(30):
            await _first(found)
    await found.stop()


async def test_it_is_sure_of_its_partitions_for_a_session_after_the_broker_said_so(
    connection: Connection, fresh: str
) -> None:
    clock = Clock()
    found, waiting = await joined(connection, fresh, clock=clock)
    sure = {"unasked": found.surely_ours()}
    assert await found.confirm()
    sure["asked"] = found.surely_ours()
    clock.now += 5.9
    sure["before the session ends"] = found.surely_ours()
    sure["for long enough to begin"] = found.surely_ours(for_another_s=1.0)
    clock.now += 0.1
    sure["when it may have ended"] = found.surely_ours()
    found.dealt_with(waiting)
    await found.commit()
    sure["after a commit"] = found.surely_ours()
    clock.now += 6.0
    await found.commit()  # there is nothing new, so the broker is not asked
    sure["after none"] = found.surely_ours()
    await found.stop()

    assert sure == {
        "unasked": False,
        "asked": True,
        "before the session ends": True,
        "for long enough to begin": False,
        "when it may have ended": False,
        "after a commit": True,
        "after none": False,
    }


async def test_the_session_counts_from_when_the_broker_was_asked(connection: Connection, fresh: str) -> None:
    """Its answer may have lain there while we were halted."""
    clock = Clock()
    found, _ = await joined(connection, fresh, clock=clock)
    commit = found._consumer.commit

    async def halted_before_the_answer_is_read(offsets: object) -> None:
        await commit(offsets)
        clock.now += 6.0

    found._consumer.commit = halted_before_the_answer_is_read
    confirmed = await found.confirm()
    sure = found.surely_ours()
    found._consumer.commit = commit
    await found.stop()

    assert (confirmed, sure) == (True, False)


async def test_who_is_in_no_group_may_not_commit(connection: Connection, fresh: str) -> None:
    """
    aiokafka would commit as nobody, and a group that is empty takes it: offsets would go back, and we would feel safe.

    Seen on Apache Kafka 4.3.1: a process wakes up after another has done its work and left.
    """
    found, _ = await joined(connection, fresh)
    await found.confirm()
    coordinator, commit, asked = found._consumer._coordinator, found._consumer.commit, 0
    generation = coordinator.generation

    async def put_out_while_it_is_asked(offsets: object) -> None:
        nonlocal asked
        asked += 1
        await commit(offsets)
        coordinator.generation = -1  # as aiokafka does when the broker does not know us

    found._consumer.commit = put_out_while_it_is_asked
    found._ours_at = float("-inf")
    meanwhile = (await found.confirm(), found.surely_ours(), asked)
    after = (await found.confirm(), found.surely_ours(), asked)
    coordinator.generation, found._consumer.commit = generation, commit
    await found.stop()

    assert (meanwhile, after) == ((False, False, 1), (False, False, 1))


async def test_who_was_told_that_it_is_out_is_sure_of_nothing(connection: Connection, fresh: str) -> None:
    found, _ = await joined(connection, fresh)
    await found.confirm()
    commit = found._consumer.commit

    async def out(_offsets: object) -> None:
        raise CommitFailedError()

    before, found._consumer.commit = found.surely_ours(), out
    await found.confirm()
    after, found._consumer.commit = found.surely_ours(), commit
    await found.stop()

    assert (before, after) == (True, False)


async def test_while_the_last_commit_is_on_its_way_nothing_of_it_is_open(connection: Connection, fresh: str) -> None:
    """What had been fetched and not taken in was taken in then, and handed over after another had done so."""
    found, waiting = await joined(connection, fresh)
    found.dealt_with(waiting)
    partition = TopicPartition(fresh, 2)
    commit, seen = found._consumer.commit, []

    async def on_its_way(offsets: dict[TopicPartition, int]) -> None:
        # As a fetch that ended just before: it is asked about now.
        seen.append((offsets, found.is_open(Waiting(2, waiting.offset + 1, b""))))
        await commit(offsets)

    found._progress[2].open.add(waiting.offset + 1)
    found._consumer.commit = on_its_way
    await found.on_partitions_revoked({partition})
    found._consumer.commit = commit
    committed = await found._consumer.committed(partition)
    await found.stop()

    assert (seen, committed) == ([({partition: (waiting.offset + 1, "")}, False)], waiting.offset + 1)


async def test_one_that_waits_for_hours_stays_in_the_group(connection: Connection, fresh: str) -> None:
    """With a full window nothing is fetched; aiokafka's default leaves the group after five minutes of that."""
    found, _ = await joined(connection, fresh)
    hours = found._consumer._coordinator._max_poll_interval / 3600
    await found.stop()

    assert hours > 72


async def test_it_leaves_the_group_though_the_last_commit_is_not_taken(connection: Connection, fresh: str) -> None:
    """Its heartbeats went on, and nobody else was given the partitions."""
    found, waiting = await joined(connection, fresh)
    await found.confirm()
    found.dealt_with(waiting)

    async def no_answer(_offsets: object) -> None:
        raise RequestTimedOutError()

    found._consumer.commit = no_answer
    with pytest.raises(NotReachable):
        await found.stop()

    assert (found._consumer._closed, found.surely_ours()) == (True, False)


@pytest.mark.parametrize("error", [CommitFailedError(), RequestTimedOutError()], ids=["another-has-them", "no-answer"])
async def test_a_partition_that_is_taken_away_is_forgotten_though_its_commit_fails(
    connection: Connection, fresh: str, error: KafkaError
) -> None:
    """It was kept, and every later commit failed of it, for all other partitions too."""
    found, waiting = await joined(connection, fresh)
    await found.confirm()
    found.dealt_with(waiting)
    commit = found._consumer.commit

    async def fails(_offsets: object) -> None:
        raise error

    found._consumer.commit = fails
    await found.on_partitions_revoked({TopicPartition(fresh, 2)})
    left = await found.confirm()  # there is nothing of ours to ask about
    found._consumer.commit = commit
    await found.stop()

    assert (found.is_open(waiting), left, found.surely_ours()) == (False, False, False)


async def test_a_broker_that_does_not_say_whether_we_are_in_the_group_is_an_error(
    connection: Connection, fresh: str
) -> None:
    found, _ = await joined(connection, fresh, patience_s=0.05)
    commit = found._consumer.commit

    async def waits_for_ever(_offsets: object) -> None:
        await asyncio.Event().wait()

    found._consumer.commit = waits_for_ever
    with pytest.raises(NotReachable, match=r"offsets of `.*` could not be committed"):
        await found.confirm()
    found._consumer.commit, found._patience_s = commit, 30.0  # what is asked in earnest, a busy machine may answer late
    await found.stop()


async def test_while_partitions_are_let_go_nothing_is_handed_out(connection: Connection, fresh: str) -> None:
    """Whoever has them next reads it again; and what was handed out before is ours no more."""
    came: list[list[Waiting]] = []

    async def still_asking(partitions: set[int]) -> None:
        if partitions:  # a group begins by taking none away
            came.append(await found.fetch(0.0))

    found = GroupConsumer(connection, topic=fresh, group=f"readers-of-{fresh}", revoked=still_asking, assigned=at_once)
    await found.start()
    async with asyncio.timeout(30):
        [waiting] = await _first(found)
    await found.on_partitions_revoked({TopicPartition(fresh, waiting.partition)})
    found.dealt_with(waiting)
    open_after = found.is_open(waiting)
    await found.stop()

    assert (came, open_after) == ([[]], False)


async def test_a_broker_that_gives_nothing_out_is_an_error(
    connection: Connection, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(**_how: object) -> None:
        raise RequestTimedOutError()

    found, _ = await joined(connection, fresh)
    monkeypatch.setattr(found._consumer, "getmany", fails)
    with pytest.raises(NotReachable, match=f"`{fresh}` could not be read: RequestTimedOutError"):
        await found.fetch(0.2)
    await found.stop()


def test_the_clock_of_the_lease_never_goes_back() -> None:
    assert 0 < seconds_since_boot() <= seconds_since_boot()


async def test_what_is_dealt_with_behind_one_that_waits_is_told_with_the_offset(
    connection: Connection, fresh: str
) -> None:
    """From outside it would seem that nothing behind it was: a list of what waits said 250, and it was one."""
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    await outbound.send_all([Message(fresh, b"case", b"record", (), 2) for _ in range(4)])
    await outbound.stop()
    found, name = group(connection, fresh), f"readers-of-{fresh}"
    place = Partition(fresh, 2)
    await found.start()
    came: list[Waiting] = []
    async with asyncio.timeout(30):
        while len(came) < 5:
            came += await found.fetch(0.2)
    told = []
    for done in (came[1], came[3], came[3], came[0], came[2], came[4]):
        found.dealt_with(done)
        await found.commit()
        told.append((await done_by_each(connection, {name: [place]}))[name].get(place))
    await found.stop()

    assert told == [Done(0, 1), Done(0, 2), Done(0, 2), Done(2, 1), Done(4), Done(5)]
