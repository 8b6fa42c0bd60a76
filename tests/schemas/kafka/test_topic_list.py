"""Which topics are there? On both brokers; and a broker that goes away in between is one that does not answer."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.topic_list import topics_there


async def test_topics_are_told_with_their_partitions(broker: Broker, fresh: str) -> None:
    broker.create_topics({f"in.{fresh}": 4, f"out.{fresh}": 4})
    connection = Connection(broker.bootstrap)
    found = await topics_there(connection)

    assert {name: count for name, count in found.items() if fresh in name} == {f"in.{fresh}": 4, f"out.{fresh}": 4}


GONE = {
    "start": r"^no broker answers at `127\.0\.0\.1:1`",
    "question": r"^`127\.0\.0\.1:1` does not say which topics there are \(KafkaError\)",
}


@pytest.mark.parametrize("gone_at", GONE)
async def test_a_broker_that_is_gone_is_not_reachable(gone_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another error would end a worker that looks whether an agency has joined while its broker starts again."""

    async def as_if_it_had_been_there(_self: AIOKafkaConsumer) -> None:
        return None

    if gone_at == "question":
        monkeypatch.setattr(AIOKafkaConsumer, "start", as_if_it_had_been_there)
    with pytest.raises(NotReachable, match=GONE[gone_at]):
        await topics_there(Connection("127.0.0.1:1"))
