"""What a running worker and running adapters say of themselves, on a real Apache Kafka, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a_watched_bus import DOWN, GONE, THERE, Answer, WatchedBus, incident, watched_bus

from safebus.deploy.local.demo import story
from safebus.schemas.kafka.admin import change_settings
from safebus.schemas.kafka.writer import Message, Writer

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedBus]:
    with watched_bus(tmp_path_factory.mktemp("watched"), THERE, GONE, DOWN) as bus:
        yield bus


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[WatchedBus]:
    """One on which nothing is under way, whose broker may be killed: with work in hand, processes end when it is."""
    with watched_bus(tmp_path, THERE) as bus:
        yield bus


@pytest.mark.parametrize("process", ["worker", "deliver"])
async def test_what_has_started_is_alive_and_ready(watched: WatchedBus, process: str) -> None:
    ready = await watched.ready(process)
    alive = await watched.ask(process, "livez")

    assert (alive.status, ready.content_type) == (200, "application/health+json")
    assert (alive.json()["status"], ready.json()["status"], ready.json()["causes"]) == ("pass", "pass", [])


async def test_what_was_published_and_what_was_counted_are_the_same_number(watched: WatchedBus) -> None:
    await watched.ready("worker")
    before = await watched.ask("worker", "metrics")
    once, twice = [incident() for _ in range(5)], incident()
    outbound = Writer(watched.connection, client_id="test")
    await outbound.start()
    await outbound.send_all([Message("in.fordshire-police", b"case", b"not an event")] * 2)
    await outbound.stop()
    await watched.publish(*once, twice, twice)

    def new(answer: Any, name: str) -> dict[tuple[str, ...], float]:
        old = before.samples(name)
        found = {labels: value - old.get(labels, 0) for labels, value in answer.samples(name).items()}
        return {labels: value for labels, value in found.items() if value}

    after = await watched.until("worker", "metrics", lambda a: sum(new(a, "safebus_events_total").values()) >= 9)
    police = "fordshire-police"
    assert new(after, "safebus_events_total") == {
        ("routed", f"in.{police}"): 6,
        ("rejected", f"in.{police}"): 2,
        ("repeated", f"in.{police}"): 1,
    }
    assert new(after, "safebus_quarantined_total") == {("NOT_SINGLE_OBJECT",): 2, ("FOR_A_PERSON",): 6}
    decided = new(after, "safebus_decisions_total")
    assert {key[2]: value for key, value in decided.items() if key[0] == "permit"} == {
        "ash-primary": 6,
        "fordshire-0-19": 12,
        "fordshire-mash": 18,
        "haven": 6,
    }


async def test_a_held_destination_is_shown_and_makes_nothing_unready(watched: WatchedBus) -> None:
    await watched.publish(incident())
    held = {(GONE,): 1.0, (THERE,): 0.0, (DOWN,): 0.0}
    seen = await watched.until("deliver", "metrics", lambda a: a.samples("safebus_destination_held") == held)
    ready, alive = await watched.ready("deliver"), await watched.ask("deliver", "livez")

    assert (ready.status, alive.status) == (200, 200)
    assert seen.samples("safebus_deliveries")[GONE, "held"] >= 1
    assert seen.samples("safebus_delivery_attempts_total")[GONE, "not_let_in", "folder"] == 1


async def test_what_waits_for_a_partner_that_does_not_answer_is_shown_with_its_age(watched: WatchedBus) -> None:
    await watched.publish(incident())
    seen = await watched.until("deliver", "metrics", lambda a: a.samples("safebus_deliveries")[DOWN, "waiting"] >= 1)

    assert seen.samples("safebus_delivery_oldest_seconds")[DOWN, "waiting"] > 0
    assert seen.samples("safebus_delivery_attempts_total")[DOWN, "busy", "postgres"] >= 1
    assert seen.samples("safebus_destination_held")[(DOWN,)] == 0
    assert (await watched.ask("deliver", "readyz")).status == 200


async def test_what_arrived_is_counted_and_timed(watched: WatchedBus) -> None:
    await watched.ready("deliver")
    before = (await watched.ask("deliver", "metrics")).samples("safebus_event_to_delivery_seconds_count")[(THERE,)]
    await watched.publish(incident(), incident())

    def settled(a: Answer) -> bool:
        """What others published may be between its attempt and its receipt."""
        arrived = a.samples("safebus_event_to_delivery_seconds_count")[(THERE,)]
        tried = a.samples("safebus_delivery_attempts_total")[THERE, "accepted", "folder"]
        return arrived >= before + 2 and tried == arrived

    seen = await watched.until("deliver", "metrics", settled)

    arrived = seen.samples("safebus_event_to_delivery_seconds_count")[(THERE,)]
    assert seen.samples("safebus_deliveries_ended_total")[THERE, "handed_over"] == arrived
    assert seen.samples("safebus_delivery_attempts_total")[THERE, "accepted", "folder"] == arrived
    assert seen.samples("safebus_delivery_duration_seconds_count")[THERE, "folder"] == arrived


async def test_nothing_of_the_story_is_in_the_numbers(watched: WatchedBus) -> None:
    """No value of any event, no id and no token, in either form of the text; the search can find."""
    event = incident()
    await watched.publish(event)
    await watched.until("deliver", "metrics", lambda a: a.samples("safebus_deliveries")[GONE, "held"] >= 1)
    asked = [
        await watched.ask(process, path, accept=accept)
        for process in ("worker", "deliver")
        for path in ("metrics", "readyz", "livez")
        for accept in ("*/*", "application/openmetrics-text")
    ]
    text = "".join(answer.text for answer in asked)

    token = watched.settings.person_key().token("nhs", story.AVA.nhs_number or "")
    needles = {*values(event.model_dump(mode="json", include={"subjects", "payload"})), event.event_id, token}
    assert len(needles) > 40
    assert {needle for needle in needles if needle in text} == set()
    assert "fordshire-police" in text


def values(found: Any) -> set[str]:
    """Every string in a value that is long enough to be looked for."""
    if isinstance(found, dict):
        return set().union(*map(values, found.values()))
    if isinstance(found, list):
        return set().union(*map(values, found)) if found else set()
    return {found} if isinstance(found, str) and len(found) > 3 else set()


async def test_without_a_broker_it_is_not_ready_and_says_why_and_is_again_when_it_is_back(idle: WatchedBus) -> None:
    """Starting again would not help, so it stays alive."""
    for process in ("worker", "deliver"):
        await idle.ready(process)
    idle.broker.kill()
    worker = await idle.until("worker", "readyz", lambda answer: answer.status == 503)
    deliver = await idle.until("deliver", "readyz", lambda answer: answer.status == 503)
    alive = [(await idle.ask(process, "livez")).status for process in ("worker", "deliver")]
    idle.broker.start()
    for process in ("worker", "deliver"):
        await idle.ready(process)

    assert alive == [200, 200]
    for answer in (worker, deliver):
        assert answer.content_type == "application/health+json"
        assert [cause.split(" to its end ")[0] for cause in answer.json()["causes"]][:1] == ["the register was read"]


async def test_a_topic_that_is_changed_under_a_worker_is_said_until_it_is_mended(watched: WatchedBus) -> None:
    """By the process itself, while it works on: whoever changed it need not be whoever looks at the bus."""
    about, client = ("cleanup.policy", "register"), {"bootstrap.servers": watched.connection.bootstrap}
    await watched.ready("worker")
    change_settings(client, {"register": {"cleanup.policy": "compact"}})
    try:
        await watched.until("worker", "metrics", lambda a: a.samples("safebus_topic_drift") == {about: 1.0})
        health = (await watched.ask("worker", "readyz")).json()
    finally:
        change_settings(client, {"register": {"cleanup.policy": "delete"}})
    await watched.until("worker", "metrics", lambda a: a.samples("safebus_topic_drift") == {})

    assert health["status"] == "warn"
    assert health["causes"] == [
        "register: cleanup.policy is compact, not delete: what a record of the past rests on is thrown away"
    ]


async def test_what_is_wrong_with_one_partner_s_section_is_said_stops_no_other_and_is_mended_without_a_restart(
    watched: WatchedBus, tmp_path: Path
) -> None:
    """A secret that is no text, a link that leads to itself, a transport that nobody knows."""
    (tmp_path / "d").write_bytes(b"\xff\xfe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for folder in ("mash", "beech"):
        (tmp_path / folder).mkdir()
    file = tmp_path / "destinations.yaml"
    wrong = {
        "haven": "{transport: postgres, dsn_file: d}",
        "beech-primary": "{transport: folder, folder: loop}",
        "fordshire-0-19": "{transport: pigeon}",
    }
    right = {"fordshire-mash": "{transport: folder, folder: mash}"}

    def write(**sections: str) -> None:
        file.write_text("\n".join(f"{partner}: {section}" for partner, section in sections.items()), "utf-8")

    write(**wrong, **right)
    watched.processes.start("deliver-2", ["deliver", "--destinations", str(file), "--health-port", "0"])
    said = await watched.until("deliver-2", "readyz", lambda answer: all(f"`{p}`" in answer.text for p in wrong))
    write(**wrong | {"beech-primary": "{transport: folder, folder: beech}"}, **right)
    await watched.until("deliver-2", "readyz", lambda a: "the courier of `beech-primary` has started" in a.text)
    await watched.publish(incident())
    async with asyncio.timeout(90):
        while not [*(tmp_path / "mash").glob("*.json")]:
            await asyncio.sleep(0.1)

    for partner, mend in {"haven": "UTF-8", "beech-primary": "itself", "fordshire-0-19": "pigeon"}.items():
        assert f"`{partner}`" in said.text and mend in said.text
    assert watched.processes.said("deliver-2", "courier.not_begun")
