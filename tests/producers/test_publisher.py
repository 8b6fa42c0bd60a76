"""What an agency's own programme meets: an event accepted, or a word on what to mend. On both brokers."""

from __future__ import annotations

import re
import uuid

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.producers.publisher import Publisher, checked
from safebus.schemas import codec
from safebus.schemas.errors import BadInput, NotReachable
from safebus.schemas.events import OperationEncompass
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

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
    odd = event.model_copy(update={"subjects": (event.subjects[0].model_copy(update={"family_name": name}),)})
    odd = odd.model_copy(update={"payload": odd.payload.model_copy(update={"children": odd.payload.children[:1]})})

    with pytest.raises(BadInput, match=rf"^`subjects\.0\.family_name` has the character {re.escape(character)},"):
        checked(odd)


@pytest.mark.parametrize(
    "name", ["Zo\xeb S\xfailleabh\xe1in", "a\u200db", "\u0627\u0644", "two\r\nlines\ta tab\x0c", "\U0001f600"]
)
def test_what_somebody_may_be_called_is_no_such_character(name: str) -> None:
    event = incident()
    odd = event.model_copy(update={"payload": event.payload.model_copy(update={"circumstances": name})})

    assert checked(odd)
