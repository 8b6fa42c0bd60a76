"""
Writing is over when the broker has it, and trouble is said plainly and in time.

On the embedded broker. What it never does by itself (fall silent, refuse for want of a right) a wire between it and the
client does for it, so a real client meets the real bytes: see `wire`.
"""

import asyncio
import gc
import os
import struct
import time
from pathlib import Path

import pytest
from a_topic import CANARY, outbound
from aiokafka.errors import (
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from wire import METADATA, PRODUCE, Wire

from safebus.deploy.local.brokers import Broker, open_broker
from safebus.schemas.errors import NotAllowed, NoTopic, NotReachable, WrongUse
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer


@pytest.fixture
def here(embedded_broker: Broker, fresh: str) -> Connection:
    embedded_broker.create_topics({fresh: 4})
    return Connection(embedded_broker.bootstrap)


async def test_what_is_sent_has_its_partition_and_offset_in_order(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        written = await link.send_all(Message(fresh, b"case", b"v", partition=p) for p in (3, 0, 3, 3, 0))

    assert written == [(3, 0), (0, 0), (3, 1), (3, 2), (0, 1)]


async def test_a_message_carries_its_key_value_and_headers(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        await link.send_all([Message(fresh, b"case", b"value", [("ce_id", b"1"), ("ce_id", b"2")], partition=2)])

    records = [record async for record in read_topic(here, fresh)]

    assert [(r.partition, r.offset, r.key, r.value, list(r.headers)) for r in records] == [
        (2, 0, b"case", b"value", [("ce_id", b"1"), ("ce_id", b"2")])
    ]


async def test_messages_of_one_case_stay_together(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        written = await link.send_all(Message(fresh, key, b"v") for key in [b"case-a", b"case-b"] * 5)

    assert len({partition for partition, _ in written[0::2]}) == 1
    assert [offset for _, offset in written[0::2]] == sorted(offset for _, offset in written[0::2])


async def test_nothing_to_send_is_nothing_sent(here: Connection) -> None:
    async with outbound(here) as link:
        assert await link.send_all([]) == []


async def test_a_message_that_is_too_large_names_topic_and_size_and_not_its_content(
    here: Connection, fresh: str
) -> None:
    value = CANARY + bytes(2_000_000)
    async with outbound(here) as link:
        with pytest.raises(NotReachable) as refused:
            await link.send_all([Message(fresh, CANARY, value, [("ce_id", CANARY)], partition=0)])

    assert str(refused.value) == (
        f"`{fresh}` takes no message of 2000011 bytes (MessageSizeTooLargeError); it is not written"
    )
    assert isinstance(refused.value.__cause__, MessageSizeTooLargeError)
    assert "CANARY" not in repr(refused.value)


async def test_a_topic_this_certificate_may_not_write_to_is_named(here: Connection, fresh: str) -> None:
    """The embedded broker has no ACLs: the wire puts error 29 into its answer, as Kafka with ACLs does."""

    def not_allowed(answer: bytes) -> bytes:
        at = answer.index(fresh.encode()) + len(fresh) + 8  # after the name: count (4), partition (4), then the error
        return answer[:at] + struct.pack(">h", TopicAuthorizationFailedError.errno) + answer[at + 2 :]

    async with Wire(here.bootstrap) as wire, outbound(Connection(wire.bootstrap)) as link:
        await link.send_all([Message(fresh, b"case", b"allowed", partition=0)])
        wire.answers_to[PRODUCE] = not_allowed
        with pytest.raises(NotReachable) as refused:
            await link.send_all([Message(fresh, b"case", CANARY, partition=0)])

    assert str(refused.value) == f"this certificate may not write to `{fresh}`; ask the operator for WRITE on it"
    assert isinstance(refused.value.__cause__, TopicAuthorizationFailedError)


async def test_a_broker_that_falls_silent_while_we_write_is_an_error_in_bounded_time(
    here: Connection, fresh: str
) -> None:
    """Writing, and stopping after it."""
    async with Wire(here.bootstrap) as wire:
        async with outbound(Connection(wire.bootstrap), timeout_s=1.0) as link:
            await link.send_all([Message(fresh, b"case", b"heard", partition=0)])
            wire.silent = True
            began = time.monotonic()
            with pytest.raises(NotReachable, match=rf"^`{fresh}` did not acknowledge a message of 11 bytes \("):
                await link.send_all([Message(fresh, b"case", CANARY, partition=0)])
        sent_and_stopped_in = time.monotonic() - began

    assert sent_and_stopped_in < 10


async def test_what_is_no_error_of_the_broker_passes_as_it_is(here: Connection, fresh: str) -> None:
    """A bug must show as the bug it is."""
    async with outbound(here) as link:
        with pytest.raises(TypeError):
            await link.send_all([Message(fresh, b"case", "not bytes")])  # type: ignore[arg-type]


async def test_when_nobody_is_there_it_says_so_and_leaves_nothing_open(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        gone = Connection(broker.bootstrap)
    gc.collect()
    recwarn.clear()  # of what other tests left behind
    link = Writer(gone, client_id="test")

    with pytest.raises(NotReachable) as writing:
        await link.start()
    await link.stop()
    said = str(writing.value)
    del link, writing
    gc.collect()

    assert said == f"no broker answers at `{gone.bootstrap}`; is it up? `safebus doctor` looks"
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []


async def test_a_port_that_takes_calls_and_never_answers_is_an_error_in_bounded_time() -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return None

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    silent = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    link = Writer(silent, client_id="test", timeout_s=1.0)
    began = time.monotonic()

    with pytest.raises(NotReachable, match=r"^no broker answers at `127\.0\.0\.1:\d+`; is it up\?"):
        await link.start()
    took = time.monotonic() - began
    await link.stop()
    server.close()

    assert took < 10


async def test_whoever_gives_up_while_it_connects_leaves_nothing_open(
    here: Connection, recwarn: pytest.WarningsRecorder
) -> None:
    async with Wire(here.bootstrap) as wire:
        wire.silent = True
        link = Writer(Connection(wire.bootstrap), client_id="test")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await link.start()
        await link.stop()
    del link
    gc.collect()

    assert [str(w.message) for w in recwarn if "AIOKafka" in str(w.message)] == []


# What becomes of each


async def test_of_each_message_it_is_told_what_became_of_it(here: Connection, fresh: str) -> None:
    async with outbound(here) as link:
        told = await link.outcomes(
            [
                Message(fresh, b"k", b"v", partition=1),
                Message(fresh, b"k", bytes(2_000_000), partition=1),
                Message(f"{fresh}-is-not-there", b"k", b"v"),
                Message(fresh, b"k", b"v", partition=1),
            ]
        )
        nothing = await link.outcomes([])

    assert [told[0], told[3], nothing] == [(1, 0), (1, 1), []]
    assert "takes no message of 2000000 bytes" in str(told[1])
    assert isinstance(told[2], NoTopic) and str(told[2]).startswith(f"there is no topic `{fresh}-is-not-there` on")


async def test_a_topic_that_is_not_there_is_asked_for_once(here: Connection, fresh: str) -> None:
    async with outbound(here, timeout_s=4.0) as link:
        began = time.monotonic()
        told = await link.outcomes([Message(f"{fresh}-gone", b"k", b"v") for _ in range(50)])
        took = time.monotonic() - began

    assert [type(each) for each in told] == [NoTopic] * 50
    assert took < 4.0


async def test_what_a_broker_forgets_while_it_is_tried_may_be_written(here: Connection, fresh: str) -> None:
    """A broker that comes back answers error 3 for a while, also of what it has: that is not certain."""

    def not_there(answer: bytes) -> bytes:
        at = answer.index(fresh.encode()) + len(fresh) + 8
        return answer[:at] + struct.pack(">h", 3) + answer[at + 2 :]

    async with Wire(here.bootstrap) as wire, outbound(Connection(wire.bootstrap), timeout_s=1.0) as link:
        await link.send_all([Message(fresh, b"k", b"v", partition=0)])
        wire.answers_to[PRODUCE] = not_there
        [told] = await link.outcomes([Message(fresh, b"k", b"v", partition=0)])

    assert type(told) is NotReachable and "may or may not be written" in str(told)


async def test_a_topic_that_we_may_not_see_is_named(here: Connection, fresh: str) -> None:
    def not_allowed(answer: bytes) -> bytes:
        name = struct.pack(">h", len(fresh)) + fresh.encode()
        at = answer.find(name) - 2
        return answer if at < 0 else answer[:at] + struct.pack(">h", 29) + answer[at + 2 :]

    async with Wire(here.bootstrap) as wire:
        wire.answers_to[METADATA] = not_allowed
        async with outbound(Connection(wire.bootstrap)) as link:
            [told] = await link.outcomes([Message(fresh, b"k", b"v")])

    assert isinstance(told, NotAllowed) and f"may not write to `{fresh}`" in str(told)


# Where it lives


async def test_it_is_used_where_it_was_started(here: Connection, fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link = await asyncio.to_thread(Writer, here, client_id="test")
    message = Message(fresh, b"k", b"v", partition=0)

    with pytest.raises(WrongUse, match=r"^it was not started; start it first$"):
        await link.send_all([message])
    await link.start()
    with pytest.raises(WrongUse, match="was started in another event loop"):
        await asyncio.to_thread(asyncio.run, link.send_all([message]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(WrongUse, match="and this is process 1; make and start one in each process"):
            await link.send_all([message])
    assert await link.send_all([message]) == [(0, 0)]
    await link.stop()
    with pytest.raises(WrongUse, match=r"^it was stopped; start it again$"):
        await link.send_all([message])


def others() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_whoever_cancels_all_tasks_does_not_end_it(tmp_path: Path) -> None:
    """Nor while nobody answers: then the next call tries again. Those who call at once connect once."""
    with open_broker("embedded", data_dir=tmp_path) as broker:
        broker.create_topics({"t": 4})
        link = Writer(Connection(broker.bootstrap), client_id="test", timeout_s=2.0)
        await link.start()
        for task in others():
            task.cancel()
        written = await asyncio.gather(*(link.send_all([Message("t", b"k", b"v", partition=0)]) for _ in range(4)))
        connections = len({id(link._producer)})
        for task in others():
            task.cancel()
    for _ in range(2):
        with pytest.raises(NotReachable, match=r"^no broker answers at"):
            await link.send_all([Message("t", b"k", b"v", partition=0)])
    await link.stop()

    assert sorted(offset for [(_, offset)] in written) == [0, 1, 2, 3]
    assert connections == 1


async def test_those_who_wait_for_a_new_connection_wait_together(here: Connection, fresh: str) -> None:
    async with Wire(here.bootstrap) as wire:
        link = Writer(Connection(wire.bootstrap), client_id="test", timeout_s=1.0)
        await link.start()
        for task in others():
            if "Sender" in repr(task) or "_md_sync" in repr(task):
                task.cancel()
        wire.silent = True
        began = time.monotonic()
        message = Message(fresh, b"k", b"v", partition=0)
        told = await asyncio.gather(*(link.send_all([message]) for _ in range(10)), return_exceptions=True)
        took = time.monotonic() - began
        await link.stop()

    assert [type(each) for each in told] == [NotReachable] * 10
    assert took < 20  # one after the other it would be 30 at least


async def test_stopping_while_a_connection_is_made_anew_stops_that_one_too(here: Connection, fresh: str) -> None:
    link = Writer(here, client_id="test")
    await link.start()
    for task in others():
        task.cancel()
    sending = asyncio.create_task(link.send_all([Message(fresh, b"k", b"v", partition=0)]))
    while link._renewing is None:
        await asyncio.sleep(0)
    await link.stop()

    with pytest.raises(WrongUse, match="it was stopped meanwhile"):
        await sending
    assert [task for task in others() if "aiokafka" in repr(task)] == []


async def test_a_new_connection_that_is_cancelled_is_said_to_whoever_waits_for_it(here: Connection, fresh: str) -> None:
    link = Writer(here, client_id="test")
    await link.start()
    for task in others():
        task.cancel()
    message = Message(fresh, b"k", b"v", partition=0)
    sending = asyncio.create_task(link.send_all([message]))
    while link._renewing is None:
        await asyncio.sleep(0)
    link._renewing.cancel()

    with pytest.raises(NotReachable, match=r"^somebody cancelled the connection that was being made; nothing was sent"):
        await sending
    assert len(await link.send_all([message])) == 1
    await link.stop()


async def test_starting_it_again_keeps_the_connection_that_it_has(here: Connection) -> None:
    link = Writer(here, client_id="test")
    await link.start()
    first = link._producer
    await link.start()
    same = link._producer is first
    for task in others():
        task.cancel()
    await link.start()
    other = link._producer is not first
    await link.stop()

    assert (same, other) == (True, True)


async def test_whoever_gives_up_stopping_leaves_nothing_that_runs(here: Connection, fresh: str) -> None:
    async with Wire(here.bootstrap) as wire:
        link = Writer(Connection(wire.bootstrap), client_id="test", timeout_s=5.0)
        await link.start()
        await link.send_all([Message(fresh, b"k", b"v", partition=0)])
        wire.silent = True
        messages = [Message(fresh, b"k", b"v", partition=0)]
        sending = asyncio.create_task(link.outcomes(messages))
        while wire.asked[PRODUCE] < 2:
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(link.outcomes(messages))  # its batch has not been sent
        while not any(link._producer._message_accumulator._batches.values()):
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await link.stop()
        told = [*await sending, *await waiting]
        left = [repr(task) for task in others() if "aiokafka" in repr(task)]

    assert [type(each) for each in told] == [NotReachable] * 2
    assert left == []


async def test_a_broker_that_is_away_is_asked_ten_times_a_second(tmp_path: Path) -> None:
    """aiokafka asks without a pause: a third of a processor, and thousands of lines in a log."""
    with open_broker("embedded", data_dir=tmp_path) as broker:
        link = Writer(Connection(broker.bootstrap), client_id="test", timeout_s=2.0)
        await link.start()
    asked, began = 0, time.monotonic()
    while asked < 5:
        asked += not await link._producer.client.force_metadata_update()
    took = time.monotonic() - began
    [told] = await link.outcomes([Message("never-seen", b"k", b"v")])
    await link.stop()

    assert took > 0.4
    assert type(told) is NotReachable  # nobody has said that it is not there
