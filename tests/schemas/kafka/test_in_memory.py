"""The cluster inside librdkafka is there for others too, for as long as it is held."""

from __future__ import annotations

import socket

import pytest
from confluent_kafka import Producer

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.in_memory import InMemoryCluster
from safebus.schemas.kafka.topic_list import topics_there


async def test_a_topic_is_there_once_it_is_named() -> None:
    cluster = InMemoryCluster()

    partitions = cluster.name_topic("in.police")

    assert await topics_there(Connection(cluster.bootstrap)) == {"in.police": partitions}


def test_it_ends_with_whoever_holds_it() -> None:
    cluster = InMemoryCluster()
    host, _, port = cluster.bootstrap.partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()

    del cluster

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_what_does_not_answer_in_time_is_not_reachable() -> None:
    with pytest.raises(NotReachable, match="the embedded broker did not answer within 0 s"):
        InMemoryCluster(patience_s=0.000_001)
    cluster = InMemoryCluster()
    # As if it had gone: nobody listens there.
    cluster._owner, cluster._patience_s = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}), 0.1
    with pytest.raises(NotReachable, match="the embedded broker did not make topic `late` within 0 s"):
        cluster.name_topic("late")
