"""Only the worker that took a partition over last may write its decisions, on both brokers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from a_router import load_demo, running

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.schemas import codec, topics
from safebus.schemas.errors import Overtaken
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message
from safebus.streams.worker import decision_log
from safebus.streams.worker.decision_log import DecisionLog


@pytest.fixture
def topic(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic, and transactional ids, that no other test has."""
    monkeypatch.setattr(decision_log, "TRANSACTIONAL_ID", f"{fresh}-")
    name = f"decisions-{fresh}"
    monkeypatch.setattr(topics, "DECISIONS", name)
    broker.create_topics({name: 4})
    return name


@pytest.fixture
async def pair(broker: Broker, topic: str) -> AsyncIterator[tuple[DecisionLog, DecisionLog]]:
    first, second = (DecisionLog(Connection(broker.bootstrap), timeout_s=10) for _ in range(2))
    yield first, second
    await first.stop()
    await second.stop()


@pytest.fixture
def fences(broker: Broker, request: pytest.FixtureRequest) -> None:
    """The embedded broker gives a second producer the same epoch, and keeps what was not committed."""
    if broker.name == "embedded":
        request.applymarker(pytest.mark.xfail(strict=True, reason="librdkafka's mock cluster does not fence"))


def decision(topic: str, text: str, partition: int = 0) -> Message:
    return Message(topic, b"event", text.encode(), (), partition)


async def there(broker: Broker, topic: str, count: int) -> list[tuple[int, str]]:
    """All there is, once there are so many: readers see a transaction a moment after it is committed."""
    async with asyncio.timeout(20):
        while True:
            read = read_topic(Connection(broker.bootstrap), topic)
            found = sorted([(m.partition, m.value.decode()) async for m in read])
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_what_is_written_is_there_in_its_partition(
    broker: Broker, topic: str, pair: tuple[DecisionLog, DecisionLog]
) -> None:
    log, _ = pair
    await log.own({0, 2}, 1)
    await log.write({0: [decision(topic, "a"), decision(topic, "b")], 2: [decision(topic, "c", 2)], 1: []})
    await log.write({0: [decision(topic, "d")]})

    assert await there(broker, topic, 4) == [(0, "a"), (0, "b"), (0, "d"), (2, "c")]


async def test_a_partition_is_taken_over_once_in_a_generation(pair: tuple[DecisionLog, DecisionLog]) -> None:
    log, _ = pair

    assert await log.own({0, 1}, 1) == {0, 1}
    assert await log.own({0, 1, 2}, 1) == {2}
    assert await log.own({1}, 2) == {1}


@pytest.mark.usefixtures("fences")
async def test_whoever_had_the_partition_before_can_write_no_more(
    broker: Broker, topic: str, pair: tuple[DecisionLog, DecisionLog]
) -> None:
    """It was paused, and does not know. Nothing of what it tries is ever read."""
    paused, successor = pair
    await paused.own({0}, 1)
    await paused.write({0: [decision(topic, "before")]})
    await successor.own({0}, 2)
    await successor.write({0: [decision(topic, "after")]})

    with pytest.raises(Overtaken):
        await paused.write({0: [decision(topic, "too late")]})
    assert await there(broker, topic, 2) == [(0, "after"), (0, "before")]


@pytest.mark.usefixtures("fences")
async def test_what_was_not_committed_never_happened(
    broker: Broker, topic: str, pair: tuple[DecisionLog, DecisionLog]
) -> None:
    """Killed between sending and committing: the successor undoes it before it reads the tail."""
    killed, successor = pair
    await killed.own({0}, 1)
    await killed._writers[0]._producer.begin_transaction()
    await killed._writers[0].send_all([decision(topic, "never committed")])
    await successor.own({0}, 2)
    await successor.write({0: [decision(topic, "decided")]})

    assert await there(broker, topic, 1) == [(0, "decided")]


@pytest.mark.usefixtures("fences")
async def test_a_worker_that_wakes_up_in_the_middle_of_a_batch_leaves_one_truth(broker: Broker) -> None:
    """It has decided and not written when its partition goes to another, which decides the same event."""
    connection = await load_demo(broker)
    event = story.incident().model_copy(update={"event_id": str(uuid.uuid4())})
    async with running(connection) as sleeper, running(connection) as successor:
        offset = await sleeper.publish(codec.encode(event))
        write = sleeper.router._decisions.write

        async def write_after_a_pause(messages: object) -> None:
            await successor.handle(offset, generation=2)
            await write(messages)  # type: ignore[arg-type]  # as it was given

        sleeper.router._decisions.write = write_after_a_pause  # type: ignore[method-assign]  # where SIGSTOP would be
        with pytest.raises(Overtaken):
            await sleeper.handle(offset)
        decided = await successor.decisions(event.event_id)
        sent = await successor.sent("ash-primary", event.event_id)

    assert len(decided) == 1
    assert len(sent) == 1
