"""A topic that is changed under a running worker is said, in log, health and metrics, until it is mended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from test_metrics import There

from safebus.deploy.local.brokers import Broker
from safebus.deploy.service.health import WorkerHealth
from safebus.deploy.service.metrics import WorkerNumbers
from safebus.deploy.service.topic_drift import TopicDrift
from safebus.deploy.service.topic_plan import Drift, wanted
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.admin import change_settings
from safebus.schemas.kafka.connection import Connection
from safebus.streams.worker.watchdog import Progress


@dataclass
class Here:
    """Who is on this bus."""

    recipients: list[str] = field(default_factory=list)


def make(broker: Broker, partner: str) -> TopicDrift:
    """A bus of one partner, beside others' on the same broker."""
    mine = [t for t in wanted([partner]) if t.name.endswith(partner)]
    broker.create_topics({t.name: t.partitions for t in mine}, configs={t.name: t.config() for t in mine})
    return TopicDrift(Connection(broker.bootstrap), {"bootstrap.servers": broker.bootstrap}, Here([partner]))


def of(drift: TopicDrift, partner: str) -> list[Drift]:
    return [one for one in drift.found if one.topic.endswith(partner)]


async def look_until(drift: TopicDrift, partner: str, *, number: int) -> None:
    """A broker shows what was changed a moment later."""
    async with asyncio.timeout(60):
        await drift.look()
        while len(of(drift, partner)) != number:
            await asyncio.sleep(0.05)
            await drift.look()


def shown(drift: TopicDrift) -> set[tuple[str, str]]:
    numbers = WorkerNumbers(Progress(), There(), rules_digest="d1", drift=lambda: drift.found)
    families = text_string_to_metric_families(numbers.exposition("")[0].decode())
    return {
        (s.labels["topic"], s.labels["setting"])
        for family in families
        for s in family.samples
        if s.name == "safebus_topic_drift" and s.value == 1
    }


async def test_a_setting_that_is_changed_is_said_until_it_is_mended(kafka_broker: Broker, fresh: str) -> None:
    drift, client = make(kafka_broker, fresh), {"bootstrap.servers": kafka_broker.bootstrap}
    state = WorkerHealth(Progress(), asyncio.Event(), drift=lambda: of(drift, fresh))
    await drift.look()
    before = of(drift, fresh)

    change_settings(client, {f"in.{fresh}": {"retention.ms": "3600000", "cleanup.policy": "compact"}})
    with capture_logs() as said:
        await look_until(drift, fresh, number=2)
        await drift.look()  # said once
    found, health, metric = of(drift, fresh), state.ready(), shown(drift)
    change_settings(client, {f"in.{fresh}": {"retention.ms": "2592000000", "cleanup.policy": "delete"}})
    with capture_logs() as mended:
        await look_until(drift, fresh, number=0)

    about = {(f"in.{fresh}", "retention.ms"), (f"in.{fresh}", "cleanup.policy")}
    assert before == [] and of(drift, fresh) == []
    assert {(one.topic, one.setting) for one in found} == about
    assert {(one["topic"], one["event"]) for one in said if one["topic"].endswith(fresh)} == {
        (f"in.{fresh}", "topic.drifted")
    }
    assert len([one for one in said if one["topic"].endswith(fresh)]) == 2
    [check] = [check for check in health if check.about == "topics"]
    assert check.status == "warn" and "retention.ms is 3600000, not 2592000000" in check.found
    assert about <= metric and not about & shown(drift)
    assert {(one["topic"], one["reason"]) for one in mended if one["topic"].endswith(fresh)} == about


async def test_it_is_looked_at_again_and_again_whatever_happens(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a broker that did not answer, and after a bug; both are said once."""
    drift, client = make(kafka_broker, fresh), {"bootstrap.servers": kafka_broker.bootstrap}
    answers = iter([NotReachable("nobody"), NotReachable("nobody"), KeyError("a bug")])
    look = drift.look

    async def looked() -> None:
        if (trouble := next(answers, None)) is not None:
            raise trouble
        await look()

    monkeypatch.setattr(drift, "look", looked)
    change_settings(client, {f"out.{fresh}": {"message.timestamp.type": "CreateTime"}})
    with capture_logs() as said:
        async with drift.watched(every_s=0.02), asyncio.timeout(60):
            while not of(drift, fresh):
                await asyncio.sleep(0.02)

    assert [(one.topic, one.setting) for one in of(drift, fresh)] == [(f"out.{fresh}", "message.timestamp.type")]
    trouble = [one["error"] for one in said if one["event"] == "topic.settings_not_seen"]
    assert trouble == ["nobody", "KeyError"]


async def test_on_the_embedded_broker_there_is_nothing_to_compare(embedded_broker: Broker, fresh: str) -> None:
    drift = make(embedded_broker, fresh)

    await drift.look()

    assert of(drift, fresh) == []
