"""Whatever was acknowledged before somebody asks has been applied when the answer comes, on both brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from a_router import NOON, load_demo

from safebus.deploy.local.brokers import Broker
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadRegister
from safebus.schemas.gate import Damaged, GateReason
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.keys import DigestKey, PersonKey
from safebus.streams.register import follow
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.write import as_records, ending_record, switching_record, under, write_records

KEY = PersonKey(b"k" * 32)


@pytest.fixture
async def connection(broker: Broker) -> Connection:
    return await load_demo(broker)


@pytest.fixture
async def reader(connection: Connection) -> AsyncIterator[RegisterReader]:
    found = RegisterReader(connection, key=KEY)
    await found.start()
    yield found
    await found.stop()


async def change(connection: Connection, *, suspended: bool) -> int:
    """A change of the register; returns its offset."""
    partner = (await current_register(connection)).partners["haven"]
    entry = Entry("partner/haven", "partner", partner.model_copy(update={"suspended": suspended}), "test")
    return await write_records(connection, as_records([entry], at=NOON, by="test", reason="test"), key=KEY)


async def test_what_was_acknowledged_before_the_question_counts_in_the_answer(
    connection: Connection, reader: RegisterReader
) -> None:
    for suspended in (True, False, True, False):
        offset = await change(connection, suspended=suspended)

        register = await reader.catch_up()

        assert (register.offset >= offset, register.partners["haven"].suspended) == (True, suspended)


async def test_many_who_ask_at_once_share_one_question_that_was_put_after_all_of_them(
    reader: RegisterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never one that was put before: it may not know what was acknowledged in between."""
    asked: list[int] = []
    ends_of = reader._asked.ends_of

    async def counted(partitions: list[Partition]) -> dict[Partition, int]:
        asked.append(len(asked))
        return await ends_of(partitions)

    monkeypatch.setattr(reader._asked, "ends_of", counted)
    first = asyncio.create_task(reader.catch_up())
    async with asyncio.timeout(30):
        while not asked:
            await asyncio.sleep(0)
    await asyncio.gather(*(reader.catch_up() for _ in range(50)))

    assert first.done()
    assert asked == [0, 1]


async def test_all_who_ask_after_a_record_that_is_not_understood_hear_of_it(reader: RegisterReader) -> None:
    """A register with a hole is not decided on, by nobody."""
    strange = RegisterRecord(record_id="x", kind="override", recorded_at=NOON, recorded_by="t", reason="t", body="{}")
    with pytest.raises(BadRegister):
        reader._apply([_Fetched(10_000, codec.encode_record(strange))])

    answers = await asyncio.gather(*(reader.catch_up() for _ in range(3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [BadRegister] * 3


class _Fetched:
    """A record as aiokafka hands it over, written under our key unless it is said otherwise."""

    def __init__(self, offset: int, value: bytes | None, headers: Any = None) -> None:
        self.offset, self.value, self.timestamp = offset, value, 0
        self.headers = under(KEY) if headers is None else headers


MARKED = [*under(KEY), (Damaged("", GateReason.IN_TRANSACTION, "-"), None)]


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        pytest.param(None, None, id="tombstone"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"junk", None, id="junk"),
        pytest.param("good", MARKED, id="in a transaction"),
        pytest.param("good", (), id="no key named"),
    ],
)
async def test_nothing_is_decided_on_a_register_with_a_hole(
    reader: RegisterReader, value: bytes | str | None, headers: Any
) -> None:
    """Whatever stands there, whoever asks next hears of it too: the reader is past it by then."""
    good = RegisterRecord(record_id="x", kind="basis", recorded_at=NOON, recorded_by="t", reason="t", body=None)
    encoded = codec.encode_record(good)
    with pytest.raises(BadRegister, match="register offset 10000 is not understood"):
        reader._apply([_Fetched(10_000, encoded if value == "good" else value, headers)])

    with pytest.raises(BadRegister, match="register offset 10000"):
        await reader.catch_up()


async def test_a_fault_of_ours_leaves_no_hole_either(reader: RegisterReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(reader.now, "apply", broken)
    good = RegisterRecord(record_id="x", kind="basis", recorded_at=NOON, recorded_by="t", reason="t", body=None)
    with pytest.raises(KeyError):
        reader._apply([_Fetched(10_000, codec.encode_record(good))])

    with pytest.raises(BadRegister, match=r"register offset 10000 could not be taken in \(KeyError\)"):
        await reader.catch_up()


@pytest.mark.parametrize("of", [KEY, KEY.digests], ids=["person", "digest"])
async def test_a_record_that_names_our_key_is_taken_and_no_other(connection: Connection, of: Any) -> None:
    reader = RegisterReader(connection, key=of)
    good = RegisterRecord(record_id="x", kind="basis", recorded_at=NOON, recorded_by="t", reason="t", body=None)
    value = codec.encode_record(good)
    reader._apply([_Fetched(0, value)])

    with pytest.raises(BadRegister, match="another key than ours"):
        reader._apply([_Fetched(1, value, [(headers.KEYS, b"0" * 16 + b" " + b"1" * 16)])])
    with pytest.raises(BadRegister, match="does not say under which key"):
        RegisterReader(connection, key=of)._apply([_Fetched(2, value, ())])
    await reader.stop()


BOTH = PersonKey(KEY.secret, (b"l" * 32,))


@pytest.fixture
async def own(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """A register of this test's own: on the one that all share there would be no way back."""
    monkeypatch.setattr(topics, "REGISTER", f"register-{fresh}")
    monkeypatch.setattr(follow, "_REGISTER", Partition(topics.REGISTER, 0))
    broker.create_topics({topics.REGISTER: 1})
    return await load_demo(broker)


async def switch(connection: Connection, key: PersonKey = BOTH) -> None:
    register = await current_register(connection, key=key)
    record = switching_record(register, key, at=NOON, by="test", reason="test")
    await write_records(connection, [record], key=key.of(register.generation))


@pytest.mark.parametrize("held", [BOTH, BOTH.digests], ids=["person key", "digest key"])
async def test_whoever_holds_the_secret_that_follows_goes_on_when_it_counts(
    own: Connection, held: PersonKey | DigestKey
) -> None:
    """The same child, whether written of before or after."""
    before = await current_register(own, key=held)
    await switch(own)
    involvement = next(each for each in before.entries() if each.startswith("involvement/"))
    ending = ending_record(involvement, before, at=NOON, by="test", reason="test")
    await write_records(own, [ending], key=BOTH.of(2))
    after = await current_register(own, key=held)

    assert after.generation == 2
    assert before.entries().keys() ^ after.entries().keys() == {involvement, "token_key/2"}


@pytest.mark.parametrize(
    "held",
    [KEY, KEY.digests, PersonKey(KEY.secret, (b"other" * 7,))],
    ids=["person key", "digest key", "another that follows"],
)
async def test_whoever_lacks_the_secret_that_counts_does_not_go_on(
    own: Connection, held: PersonKey | DigestKey
) -> None:
    """It says which, and how to get it; before the switch it went on as everybody."""
    follower = RegisterReader(own, key=held)
    await follower.start()
    try:
        await switch(own)
        with pytest.raises(BadRegister) as said:
            await follower.catch_up()
    finally:
        await follower.stop()

    assert f"from here on generation 2 of the bus's secret counts, with the fingerprint {BOTH.of(2).fingerprint}" in (
        str(said.value)
    )
    assert "`person.2.key`, or `digest.2.key` where it has digest.key: `safebus keys export ROLE`" in str(said.value)
    with pytest.raises(BadRegister):
        await current_register(own, key=held)
