"""The index is a cache: it finds what stands on the topics, in one place at a time or in several, or is made again."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from as_a_worker import write_as_worker

from safebus.consumers.audit.explain import indexing
from safebus.consumers.audit.explain.index_file import FILE, BegunAgain, EventIndex, Reached, open_index, throw_away
from safebus.deploy.local.brokers import Broker, make_topics, open_broker
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Origin, Receipt, RegisterRecord, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import Reader
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.store import body_of
from safebus.streams.rules.bases import Basis, BasisKind

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENT, OTHER = uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes
WAIT_S = 60


def silent(_text: str) -> None:
    return None


def reached(next_: int) -> Reached:
    return Reached(next_, next_ - 1, b"digest-%d" % next_)


# The file


def test_the_index_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with open_index(tmp_path / "home", say=silent) as index:
        index.add("decisions", 0, events=[(EVENT, 0)], reached=reached(1))
        modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "home").iterdir()}

    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}


def test_an_event_is_found_where_it_was_added_however_often(tmp_path: Path) -> None:
    with open_index(tmp_path, say=silent) as index:
        for _ in range(2):
            index.add("receipts.pp", 1, events=[(EVENT, 8), (OTHER, 7), (EVENT, 6)], reached=reached(9))
        index.add("decisions", 3, events=[(EVENT, 5)], reached=reached(6))
    with open_index(tmp_path, say=silent) as again:
        assert again.places(EVENT) == [("decisions", 3, 5), ("receipts.pp", 1, 6), ("receipts.pp", 1, 8)]
        assert again.reached() == {("receipts.pp", 1): reached(9), ("decisions", 3): reached(6)}


def test_a_slower_process_does_not_take_the_index_back(tmp_path: Path) -> None:
    with open_index(tmp_path, say=silent) as fast, open_index(tmp_path, say=silent) as slow:
        fast.add("register", 0, entries=[("partner/a", 7)], reached=reached(8))
        slow.add("register", 0, entries=[("partner/a", 3)], reached=reached(4))

        assert slow.reached() == {("register", 0): reached(8)}
        assert slow.entries() == {"partner/a": 7}


def test_a_process_is_told_when_another_began_again(tmp_path: Path) -> None:
    """Else its `reached` would claim that what the other threw away is there."""
    with open_index(tmp_path, say=silent) as one, open_index(tmp_path, say=silent) as other:
        one.clear()
        with pytest.raises(BegunAgain):
            other.add("decisions", 0, events=[(EVENT, 9)], reached=reached(10))
        one.add("decisions", 0, events=[(EVENT, 0)], reached=reached(1))

        assert one.reached() == other.reached() == {("decisions", 0): reached(1)}
        other.add("decisions", 0, events=[(EVENT, 1)], reached=reached(2))
        assert one.places(EVENT) == [("decisions", 0, 0), ("decisions", 0, 1)]


@pytest.mark.parametrize("content", [b"no index " * 1000, None])
def test_what_is_no_index_is_said_and_made_again(tmp_path: Path, content: bytes | None) -> None:
    """Garbage, and the index of another version."""
    path, said = tmp_path / FILE, list[str]()
    if content:
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as base:
            base.execute("PRAGMA user_version = 99")
    with open_index(tmp_path, say=said.append) as index:
        assert index.reached() == {}
    [text] = said
    assert f"`{path}` cannot be used" in text


# The topics


@dataclass
class Ground:
    """A broker to write to, and a home of one's own."""

    connection: Connection
    outbound: Writer
    home: Path
    said: list[str] = field(default_factory=list)

    async def decide(self, event_id: str, *, partition: int = 0) -> DecisionRecord:
        record = DecisionRecord(
            event_id=event_id,
            event_type="test",
            lifecycle="NEW",
            source="test",
            purpose="test",
            origin=Origin(topic="in.test", partition=partition, offset=0),
            input_digest="",
            rules_digest="",
            register_offset=0,
            decided_at=NOON,
            answers=(),
        )
        value = codec.encode_record(record)
        await write_as_worker(self.connection, Message(topics.DECISIONS, event_id.encode(), value, (), partition))
        return record

    async def deliver(self, event_id: str, *, minute: int, partition: int = 0) -> Receipt:
        receipt = Receipt(
            notification_id="n",
            event_id=event_id,
            partner="pp",
            transport="folder",
            stage=Stage.HANDED_OVER,
            attempt=1,
            at=NOON.replace(minute=minute),
            answer="",
            reason="",
            subject_token="",
            purpose="",
            consent_meaning=None,
            output_digest="",
        )
        about = [("sb_event", event_id.encode())]
        value = codec.encode_record(receipt)
        await self.outbound.send_all([Message(topics.receipts_from("pp"), b"n", value, about, partition)])
        return receipt

    async def index(self) -> int:
        """Bring it up to date: how many records were read."""
        return await indexing.keep_index(
            self.connection, home=self.home, follow=False, say=self.said.append, progress=lambda _n: None
        )

    async def about(self, event_id: str) -> tuple[list[DecisionRecord], list[Receipt]]:
        found = await indexing.about_event(self.connection, event_id, home=self.home, say=self.said.append)
        return found.decisions, found.receipts

    def places(self, event_id: str) -> list[tuple[str, int, int]]:
        with open_index(self.home, say=self.said.append) as index:
            return index.places(uuid.UUID(event_id).bytes)

    async def until_found(self, event_id: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while not self.places(event_id):
                await asyncio.sleep(0.05)


def new_id() -> str:
    return str(uuid.uuid4())


# Brokers of our own: a worker that shared them would stop at decisions that no worker wrote.


@pytest.fixture(scope="module")
def own_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with open_broker("embedded", data_dir=tmp_path_factory.mktemp("embedded")) as broker:
        yield broker


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with open_broker("kafka", data_dir=tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(params=["own_embedded", "own_kafka"])
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    broker: Broker = request.getfixturevalue(request.param)
    make_topics(broker, topics.table([], ["pp"]))
    outbound = Writer(Connection(broker.bootstrap), client_id="test")
    await outbound.start()
    yield Ground(Connection(broker.bootstrap), outbound, tmp_path / "home")
    await outbound.stop()


async def test_all_that_stands_about_an_event_is_found_and_nothing_else(ground: Ground) -> None:
    event_id, other = new_id(), new_id()
    late = await ground.deliver(event_id, minute=2, partition=1)
    decisions = [await ground.decide(event_id, partition=p) for p in (2, 3)]
    await ground.decide(other, partition=2)
    await ground.deliver(other, minute=0, partition=1)
    early = await ground.deliver(event_id, minute=1, partition=1)

    assert await ground.about(event_id) == (decisions, [early, late])
    assert await ground.about(new_id()) == ([], [])


async def test_only_what_is_new_is_read_the_next_time(ground: Ground) -> None:
    await ground.decide(new_id())
    first = await ground.index()
    second = await ground.index()
    event_id = new_id()
    await ground.decide(event_id)
    await ground.deliver(event_id, minute=0)
    third = await ground.index()

    assert first > 0
    assert (second, third) == (0, 2)


async def test_decisions_written_in_transactions_are_found_and_read_once(ground: Ground, fresh: str) -> None:
    """Their marks take offsets, also the last one of the partition."""
    writer = Writer(ground.connection, client_id="test", transactional_id=fresh)
    await writer.start()
    record = (await ground.decide(new_id())).model_copy(update={"event_id": new_id()})
    await writer.send_as_one([Message(topics.DECISIONS, record.event_id.encode(), codec.encode_record(record), (), 0)])
    await writer.stop()
    async with asyncio.timeout(WAIT_S):  # a commit is acknowledged a moment before readers see it
        while (await ground.about(record.event_id))[0] != [record]:
            await asyncio.sleep(0.05)

    assert await ground.index() == 0


async def test_what_has_no_event_id_is_passed_over(ground: Ground) -> None:
    await ground.outbound.send_all(
        [
            Message(topics.DECISIONS, b"not an id", b"", (), 0),
            Message(topics.DECISIONS, "\ud800".encode("utf-8", "surrogatepass"), b"", (), 0),
            Message(topics.receipts_from("pp"), b"n", b"", (), 0),
        ]
    )
    record = await ground.decide(new_id())

    assert await ground.about(record.event_id) == ([record], [])


async def test_partners_are_named_as_the_register_has_them_now(ground: Ground) -> None:
    """Only the newest entry of each partner is read, and none about people."""
    record_id = f"basis/TEST-{new_id()[:8]}"

    def entry(title: str) -> Message:
        basis = Basis(
            code=record_id.removeprefix("basis/"),
            kind=BasisKind.ART6,
            title=title,
            source="test",
            territory=("england",),
            in_force_from=None,
        )
        record = RegisterRecord(
            record_id=record_id,
            kind="basis",
            recorded_at=NOON,
            recorded_by="test",
            reason="test",
            body=body_of(basis),
        )
        return Message(topics.REGISTER, record_id.encode(), codec.encode_record(record), (), 0)

    await ground.outbound.send_all([entry("old"), entry("new")])
    found = await indexing.about_event(ground.connection, new_id(), home=ground.home, say=silent)
    with open_index(ground.home, say=silent) as index:
        kinds = {name.split("/")[0] for name in index.entries()}

    assert found.register.bases[record_id.removeprefix("basis/")].title == "new"
    assert found.register.persons == {}
    assert kinds <= {"partner", "basis"}


async def test_much_to_read_first_is_said(ground: Ground) -> None:
    for _ in range(5):  # with the marks of their transactions
        await ground.decide(new_id())
    said: list[str] = []
    async with Reader(ground.connection, indexing.is_indexed) as reader:
        with open_index(ground.home, say=silent) as index:
            for _ in range(2):
                await indexing.bring_up_to_date(reader, index, say=said.append, progress=lambda _n: None, many=8)

    [text] = said
    assert text.endswith("are read first; `safebus index --follow` keeps it ready")


async def test_an_index_of_another_broker_is_noticed_and_made_again(
    own_embedded: Broker, own_kafka: Broker, tmp_path: Path
) -> None:
    homes = []
    for broker in (own_embedded, own_kafka):
        make_topics(broker, topics.table([], ["pp"]))
        outbound = Writer(Connection(broker.bootstrap), client_id="test")
        await outbound.start()
        homes.append(Ground(Connection(broker.bootstrap), outbound, tmp_path))
    one, other = homes
    there = await one.decide(new_id())
    await one.index()
    with open_index(tmp_path, say=silent) as index:
        known = index.reached()
    # At least as much as on the first, so that only what stands there tells them apart.
    await other.outbound.send_all(
        Message(topic, b"x", b"", (), partition)
        for (topic, partition), reached in known.items()
        for _ in range(reached.next)
    )
    here = await other.decide(new_id())
    found = await other.about(here.event_id), await other.about(there.event_id)
    await one.outbound.stop()
    await other.outbound.stop()

    assert found == (([here], []), ([], []))
    assert other.said == ["the index is of another broker, or of topics that were made again; it is made again"]


async def test_a_damaged_index_is_said_and_made_again(ground: Ground) -> None:
    record = await ground.decide(new_id())
    await ground.index()
    path = ground.home / FILE
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)  # all but the first page
        file.write(b"\xff" * (size - 4096))

    assert await ground.about(record.event_id) == ([record], [])
    assert "made again from the topics" in ground.said[0]


async def test_an_index_that_names_a_wrong_place_is_made_again(ground: Ground) -> None:
    wrong, right = await ground.decide(new_id()), await ground.decide(new_id())
    await ground.index()
    [(topic, partition, offset)] = ground.places(wrong.event_id)
    with open_index(ground.home, say=silent) as index:
        known = index.reached()[(topic, partition)]
        index.add(topic, partition, events=[(uuid.UUID(right.event_id).bytes, offset)], reached=known)

    assert await ground.about(right.event_id) == ([right], [])
    assert ground.said == [
        "the index is damaged (it names records about another event); it is made again from the topics"
    ]


async def test_several_at_once_find_the_same(ground: Ground) -> None:
    records = [await ground.decide(new_id(), partition=i % 4) for i in range(8)]
    found = await asyncio.gather(*(ground.about(r.event_id) for r in records), ground.index(), ground.index())

    assert list(found[:8]) == [([r], []) for r in records]
    assert ground.said == []


async def test_a_follower_keeps_the_index_ready_and_makes_it_again_when_it_is_deleted(ground: Ground) -> None:
    follower = asyncio.create_task(
        indexing.keep_index(
            ground.connection, home=ground.home, follow=True, say=ground.said.append, progress=lambda _n: None
        )
    )
    try:
        ids = [new_id() for _ in range(3)]
        await ground.decide(ids[0])
        await ground.until_found(ids[0])
        await ground.decide(ids[1])
        await ground.until_found(ids[1])
        throw_away(ground.home)
        await ground.decide(ids[2])
        await ground.until_found(ids[2])
        await ground.until_found(ids[0])
    finally:
        follower.cancel()
        await asyncio.wait([follower])


def test_the_file_holds_ids_and_offsets_only(tmp_path: Path) -> None:
    """What a thief of the file would have."""
    with open_index(tmp_path, say=silent) as index:
        assert isinstance(index, EventIndex)
    with sqlite3.connect(tmp_path / FILE) as base:
        columns = {
            table: [name for _, name, *_ in base.execute(f"PRAGMA table_info({table})")]
            for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }

    assert columns == {
        "generation": ["number"],
        "place": ["event", "topic", "part", "at"],
        "entry": ["record_id", "at"],
        "reached": ["topic", "part", "next", "last", "digest"],
    }


async def test_what_stands_under_an_events_id_and_the_bus_did_not_write_is_named(ground: Ground) -> None:
    """It makes the index neither unusable nor the answer wrong."""
    record = await ground.decide(new_id())
    own = await ground.deliver(record.event_id, minute=1)
    forged = [
        b"junk",
        codec.encode_record(own.model_copy(update={"event_id": new_id()})),
        codec.encode_record(own.model_copy(update={"partner": "haven"})),
    ]
    about = [("sb_event", record.event_id.encode())]
    await ground.outbound.send_all(Message(topics.receipts_from("pp"), b"n", value, about, 2) for value in forged)

    found = await indexing.about_event(ground.connection, record.event_id, home=ground.home, say=silent)

    assert (found.decisions, found.receipts) == ([record], [own])
    assert [s.reason for s in found.strange] == ["UNKNOWN_SCHEMA", "NOT_THIS_TOPICS", "NOT_THIS_TOPICS"]


async def test_a_forged_record_under_an_events_id_ends_neither_explain_nor_the_index(ground: Ground) -> None:
    """In capitals, without hyphens; junk where a decision should stand; a register key that is no text."""
    record = await ground.decide(new_id())
    own = await ground.deliver(record.event_id, minute=1)
    capitals = [("sb_event", record.event_id.upper().encode())]
    messages = [
        Message(topics.receipts_from("pp"), b"n", codec.encode_record(own), capitals, 1),
        Message(topics.DECISIONS, record.event_id.encode(), b"junk", (), 1),
        Message(topics.DECISIONS, record.event_id.replace("-", "").encode(), b"", (), 2),
    ]
    await ground.outbound.send_all(messages)

    found = await indexing.about_event(ground.connection, record.event_id, home=ground.home, say=silent)

    assert (found.decisions, found.receipts) == ([record], [own, own])
    assert [(s.topic, s.reason) for s in found.strange] == [(topics.DECISIONS, "UNKNOWN_SCHEMA")] * 2


async def test_a_decision_that_stands_in_no_transaction_is_not_believed(ground: Ground) -> None:
    """It would explain away what was done, and nobody who may write under the worker's id wrote it."""
    record = await ground.decide(new_id())
    forged = codec.encode_record(record.model_copy(update={"purpose": "forged"}))
    await ground.outbound.send_all([Message(topics.DECISIONS, record.event_id.encode(), forged, (), 1)])

    found = await indexing.about_event(ground.connection, record.event_id, home=ground.home, say=silent)

    assert found.decisions == [record]
    assert [s.reason for s in found.strange] == ["IN_NO_TRANSACTION"]
