"""Topics are made as they were asked for, or it is said why not; more of it in `tests/deploy/local/test_brokers.py`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.schemas.errors import NotReachable, WrongPartitions
from safebus.schemas.kafka import admin
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.topic_list import topics_there

GONE = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.fixture
def client(kafka_broker: Broker) -> dict[str, str]:
    return {"bootstrap.servers": kafka_broker.bootstrap}


def test_a_broker_answers_or_it_does_not(client: dict[str, str]) -> None:
    assert (admin.answers(client), admin.answers(GONE)) == (True, False)


async def test_only_topics_that_are_missing_are_made(client: dict[str, str], fresh: str) -> None:
    admin.ensure_topics(client, {fresh: 2}, configs={})
    admin.ensure_topics(client, {fresh: 2, f"{fresh}-new": 3}, configs={f"{fresh}-new": {"retention.ms": "-1"}})
    admin.ensure_topics(client, {}, configs={})

    there = await topics_there(Connection(client["bootstrap.servers"]))
    assert {name: count for name, count in there.items() if fresh in name} == {fresh: 2, f"{fresh}-new": 3}


def test_another_number_of_partitions_is_an_error(client: dict[str, str], fresh: str) -> None:
    admin.ensure_topics(client, {fresh: 2}, configs={})

    with pytest.raises(WrongPartitions, match=f"topic `{fresh}` has 2 partitions, expected 4"):
        admin.ensure_topics(client, {fresh: 4}, configs={})


def test_what_another_process_made_meanwhile_is_no_error(client: dict[str, str], fresh: str) -> None:
    admin.ensure_topics(client, {fresh: 2}, configs={})

    admin._create(admin._admin(client), {fresh: 2}, configs={})


def test_what_the_broker_refuses_is_said_in_its_words(client: dict[str, str]) -> None:
    with pytest.raises(NotReachable, match=r"Kafka refused topic `no spaces`: .*; mend its name or its `configs`"):
        admin.ensure_topics(client, {"no spaces": 2}, configs={})


def test_a_topic_that_is_not_ready_in_time_is_named(client: dict[str, str], fresh: str) -> None:
    with pytest.raises(NotReachable, match=f"took topics `{fresh}-never` and did not have them ready"):
        admin._once_ready(admin._admin(client), {f"{fresh}-never": 2}, give_up_at=time.monotonic() + 0.05)


def test_a_broker_that_is_gone_is_not_reachable() -> None:
    with pytest.raises(NotReachable, match="Kafka did not answer within 1 s; is it running"):
        admin._partitions(admin._admin(GONE), answer_within_s=1.0)


async def test_settings_are_seen_as_they_are_and_changed_alone(client: dict[str, str], fresh: str) -> None:
    admin.ensure_topics(client, {fresh: 1}, configs={fresh: {"retention.ms": "-1", "max.message.bytes": "70000"}})
    before = admin.settings_of(client, [fresh])
    admin.change_settings(client, {fresh: {"retention.ms": "3600000"}})
    after = admin.settings_of(client, [fresh])

    assert before is not None and after is not None
    assert (before[fresh]["retention.ms"], after[fresh]["retention.ms"]) == ("-1", "3600000")
    assert before[fresh]["message.timestamp.type"] == "CreateTime"  # the broker's own, where the topic says nothing
    assert after[fresh]["max.message.bytes"] == "70000"
    assert admin.settings_of(client, []) == {}
    admin.change_settings(client, {})


def test_the_embedded_broker_has_no_settings(embedded_broker: Broker, fresh: str) -> None:
    embedded_broker.create_topics({fresh: 1})

    assert admin.settings_of({"bootstrap.servers": embedded_broker.bootstrap}, [fresh]) is None


@pytest.mark.parametrize("ask", [admin.settings_of, admin.change_settings])
def test_settings_of_a_topic_that_is_not_there_are_an_error(client: dict[str, str], fresh: str, ask: Any) -> None:
    with pytest.raises(NotReachable, match=f"Kafka (does not show the settings of|refused to change) `{fresh}`"):
        ask(client, {fresh: {"retention.ms": "-1"}})


def test_no_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "ANSWER_WITHIN_S", 1.0)

    with pytest.raises(NotReachable, match=r"^Kafka does not answer: "):
        admin.settings_of(GONE, ["register"])


def test_a_topic_that_is_not_made_in_time_is_an_error(
    embedded_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded broker has nobody who makes one."""
    monkeypatch.setattr(admin, "ANSWER_WITHIN_S", 1.0)

    with pytest.raises(NotReachable, match=f"Kafka refused topic `{fresh}`"):
        admin.ensure_topics({"bootstrap.servers": embedded_broker.bootstrap}, {fresh: 1}, configs={})


def test_the_metadata_that_clients_are_served_is_waited_for(
    client: dict[str, str], fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It follows the controller by a moment, on a machine that has other work by more."""
    admin.ensure_topics(client, {fresh: 2}, configs={})
    asked, seen = admin._partitions, list[dict[str, int]]()

    def later(of: Any) -> dict[str, int]:
        seen.append(asked(of) if seen else {})
        return seen[-1]

    monkeypatch.setattr(admin, "_partitions", later)
    there = admin._once_ready(admin._admin(client), {fresh: 2}, give_up_at=time.monotonic() + 60)

    assert there[fresh] == 2 and seen[0] == {}
