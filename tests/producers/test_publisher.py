"""What an agency's own programme meets: an event accepted, or a word on what to mend. On both brokers."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from unchecked import unchecked

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.producers.event_check import checked
from safebus.producers.publisher import Publisher
from safebus.schemas import codec
from safebus.schemas.errors import BadInput, NoTopic, NotReachable, SomeNotAccepted, WrongUse
from safebus.schemas.events import Event, OperationEncompass
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message

SECRET = b"only this agency has it, 32 byte"


@pytest.fixture
def connection(broker: Broker) -> Connection:
    broker.create_topics({"in.fordshire-police": 4})
    return Connection(broker.bootstrap)


def incident(**changes: object) -> OperationEncompass:
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4()), **changes})


async def test_when_the_call_returns_the_broker_has_the_event(connection: Connection) -> None:
    event = incident()
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        accepted = await publisher.publish(event, case="case 1")
    read = read_topic(connection, accepted.topic, partitions=[accepted.partition])
    [found] = [m async for m in read if m.offset == accepted.offset]

    assert codec.decode(found.value).event == event
    assert dict(found.headers)["ce_id"] == event.event_id.encode()
    assert dict(found.headers)["sb_case_key_by"] == publisher.case_secret_fingerprint.encode()


def test_a_fingerprint_names_a_secret_and_does_not_tell_it() -> None:
    one, same, other = (
        Publisher(Connection("127.0.0.1:1"), agency=agency, case_secret=secret).case_secret_fingerprint
        for agency, secret in (("a-council", SECRET), ("another", SECRET), ("a-council", SECRET + b"."))
    )

    assert re.fullmatch("[0-9a-f]{16}", one) and one == same != other
    assert SECRET not in bytes.fromhex(one)


async def test_one_case_stays_in_order_and_its_reference_stays_at_home(connection: Connection) -> None:
    events = [incident() for _ in range(5)]
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        accepted = await publisher.publish_all([(event, "case 4711") for event in events])
        key = publisher.case_key("case 4711")

    assert len({a.partition for a in accepted}) == 1
    assert [a.offset for a in accepted] == sorted(a.offset for a in accepted)
    assert b"4711" not in key


async def test_what_the_bus_would_set_aside_is_refused_here_and_nothing_is_sent(connection: Connection) -> None:
    foreign = incident(publisher=story.attendance().publisher)
    long = incident(payload=story.incident().payload.model_copy(update={"officer_notes": "x" * 20_001}))
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        with pytest.raises(BadInput, match=r"`publisher.agency` is `county-hospital`"):
            await publisher.publish_all([(incident(), "c"), (foreign, "c")])
        with pytest.raises(BadInput, match="TOO_LONG_STRING"):
            await publisher.publish(long, case="c")
        with pytest.raises(BadInput, match="`case` is empty"):
            await publisher.publish(incident(), case="")


async def test_of_several_it_is_said_which_may_not_go(connection: Connection) -> None:
    """A generator is used up once."""
    events = [incident() for _ in range(3)]
    foreign = incident(publisher=story.attendance().publisher)
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        with pytest.raises(BadInput) as refused:
            await publisher.publish_all((event, "c") for event in (*events, foreign))
        accepted = await publisher.publish_all((event, "c") for event in events)

    assert str(refused.value).startswith(f"event 4 of 4 ({foreign.event_id}): `publisher.agency` is `county-hospital`")
    assert str(refused.value).endswith("; none was published")
    assert [a.event_id for a in accepted] == [e.event_id for e in events]


async def test_of_several_it_is_said_which_are_there_and_which_are_not(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [incident() for _ in range(4)]
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        made = publisher._messages.of

        def too_large(event: Event, case: str, place: str = "") -> Message:
            """No event that the gate lets through is; a broker's own limit may be lower."""
            message = made(event, case, place)
            return replace(message, value=bytes(2_000_000)) if event in events[1:3] else message

        monkeypatch.setattr(publisher._messages, "of", too_large)
        with pytest.raises(SomeNotAccepted) as some:
            await publisher.publish_all((event, "c") for event in events)
        with pytest.raises(NotReachable) as one:
            await publisher.publish(events[1], case="c")

    assert [a.event_id for a in some.value.accepted] == [events[0].event_id, events[3].event_id]
    assert [event_id for event_id, _ in some.value.not_accepted] == [events[1].event_id, events[2].event_id]
    assert str(some.value).startswith(f"2 of 4 events were accepted; not {events[1].event_id}: `in.fordshire-police` ")
    assert not isinstance(one.value, SomeNotAccepted) and "takes no message of 2000000 bytes" in str(one.value)


async def test_an_event_of_ones_own_making_is_no_event(connection: Connection) -> None:
    class WithANote(OperationEncompass):
        note: str = ""

    own = WithANote(**{**dict(incident()), "note": "would be dropped"})
    nameless = OperationEncompass.model_construct(event_id="Maya Hart")
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        with pytest.raises(BadInput, match=r"^`WithANote` is no type of this bus; what you added"):
            await publisher.publish(own, case="c")
        for odd in (nameless, OperationEncompass.model_construct()):
            with pytest.raises(BadInput, match=r"^event 2 of 2 \(\?\): ") as refused:
                await publisher.publish_all([(incident(), "c"), (odd, "c")])
            assert "Maya" not in str(refused.value)


@pytest.mark.parametrize("timeout_s", [0, -1, 0.0001, float("nan"), float("inf"), "5", None])
def test_a_time_that_is_none_is_refused_as_it_is_made(timeout_s: Any) -> None:
    with pytest.raises(BadInput, match="expected a number of seconds, at most 3600"):
        Publisher(Connection("127.0.0.1:1"), agency="fordshire-police", case_secret=SECRET, timeout_s=timeout_s)


@pytest.mark.parametrize(("agency", "says"), [(None, "`agency` is of type `NoneType`"), ("X", "an agency id has")])
def test_an_agency_that_is_none_is_refused_as_it_is_made(agency: Any, says: str) -> None:
    with pytest.raises(BadInput, match=f"^{says}"):
        Publisher(Connection("127.0.0.1:1"), agency=agency, case_secret=SECRET)


async def test_a_topic_that_is_not_there_is_said_at_once(broker: Broker) -> None:
    """On both brokers, and nobody makes it by asking."""
    for _ in range(2):
        async with Publisher(
            Connection(broker.bootstrap), agency="fordshire-fire", case_secret=SECRET, timeout_s=60
        ) as publisher:
            event = incident(publisher=story.incident().publisher.with_(agency="fordshire-fire"))
            with pytest.raises(NoTopic, match=r"^there is no topic `in.fordshire-fire` on this bus"):
                async with asyncio.timeout(30):
                    await publisher.publish(event, case="c")


@pytest.mark.parametrize("case", ["case 4711", " case  4711\t", "case\u00a04711"])
def test_a_case_has_one_key_however_it_is_typed(case: str) -> None:
    publisher = Publisher(Connection("127.0.0.1:1"), agency="fordshire-police", case_secret=SECRET)

    assert publisher.case_key(case) == publisher.case_key("case 4711")
    assert publisher.case_key("Zo\u00eb") == publisher.case_key("Zoe\u0308") != publisher.case_key("Zoe")


# Where it is called from


async def test_it_is_made_anywhere_and_used_where_it_was_started(connection: Connection) -> None:
    publisher = await asyncio.to_thread(Publisher, connection, agency="fordshire-police", case_secret=SECRET)
    with pytest.raises(WrongUse, match=r"^it was not started; start it first$"):
        await publisher.publish(incident(), case="c")
    async with publisher:
        for _ in range(2):
            with pytest.raises(WrongUse, match="was started in another event loop"):
                await asyncio.to_thread(asyncio.run, publisher.publish(incident(), case="c"))
        assert await publisher.publish(incident(), case="c")  # a stranger's mistake is not its own
    with pytest.raises(WrongUse, match=r"^it was stopped; start it again$"):
        await publisher.publish(incident(), case="c")
    async with publisher:
        assert await publisher.publish(incident(), case="c")


async def test_whoever_cancels_all_tasks_of_the_loop_harms_nobody(connection: Connection) -> None:
    """As a web server that ends a request does, or a test's tidying up; then several publish at once."""
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        await publisher.publish(incident(), case="c")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        events = [incident() for _ in range(5)]
        accepted = await asyncio.gather(*(publisher.publish(event, case="c") for event in events))
        await asyncio.sleep(0)
        again = [await publisher.publish(incident(), case="c") for _ in range(2)]

    assert len({a.offset for a in [*accepted, *again]}) == 7


async def test_a_fork_that_uses_its_parents_is_told(connection: Connection) -> None:
    async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(WrongUse, match=r"^it was started in process \d+, and this is process 1; "):
                await publisher.publish(incident(), case="c")


# What it writes where others read


@pytest.mark.filterwarnings("error")
async def test_no_log_at_debug_and_no_error_shows_a_value(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    event = incident()
    said = []
    with caplog.at_level(logging.DEBUG):
        async with Publisher(connection, agency="fordshire-police", case_secret=SECRET) as publisher:
            await publisher.publish(event, case="case-CANARY")
            for wrong in (
                "text",
                event.with_(publisher=story.attendance().publisher),
                unchecked(event, {"purpose": "MAYA"}),
            ):
                with pytest.raises(BadInput) as refused:
                    await publisher.publish(wrong, case="c")  # type: ignore[arg-type]
                said.append("".join(traceback.format_exception(refused.value)) + repr(refused.value.__context__))
    told = [leaf for leaf in leaves(event.model_dump(mode="json")) if len(leaf) > 7 and leaf not in OPEN]
    shown = caplog.text + "".join(said)

    assert "ProduceRequest" in shown and "not shown" in shown
    assert [leaf for leaf in [*told, "case-CANARY", "MAYA"] if leaf in shown] == []
    assert len(told) > 20


def leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    elif isinstance(value, str):
        yield value


#: Agency and type stand in topics and headers; a purpose in what is said of a wrong one.
OPEN = {story.incident().event_type, story.incident().publisher.agency, "safeguarding"}


async def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(BadInput, match="expected at least 16"):
        Publisher(Connection("127.0.0.1:1"), agency="fordshire-police", case_secret=b"short")


async def test_no_broker_is_said_in_one_line() -> None:
    with pytest.raises(NotReachable, match=r"no broker answers at `127.0.0.1:1`"):
        async with Publisher(Connection("127.0.0.1:1"), agency="fordshire-police", case_secret=SECRET):
            pass


@pytest.mark.parametrize(
    ("name", "character"),
    [
        ("O\x92Hara", "U+0092"),
        ("Ava\x1b[2J", "U+001B"),
        ("\u202etraH", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("a\x7f", "U+007F"),
    ],
)
def test_characters_that_act_are_refused_while_somebody_can_mend_them(name: str, character: str) -> None:
    event = incident()
    ava = event.subjects[0].with_(family_name=name)
    odd = event.with_(subjects=(ava,), payload=event.payload.with_(children=event.payload.children[:1]))

    with pytest.raises(BadInput, match=rf"^`subjects\.0\.family_name` has the character {re.escape(character)},"):
        checked(odd)


@pytest.mark.parametrize(
    "name", ["Zo\xeb S\xfailleabh\xe1in", "a\u200db", "\u0627\u0644", "two\r\nlines\ta tab\x0c", "\U0001f600"]
)
def test_what_somebody_may_be_called_is_no_such_character(name: str) -> None:
    event = incident()
    odd = event.model_copy(update={"payload": event.payload.model_copy(update={"circumstances": name})})

    assert checked(odd)
