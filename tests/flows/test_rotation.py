"""
The bus's secret is followed by another while events flow, and no answer differs from a run without.

The same events go through two buses that begin with the same keys. On one of them the secret is rotated in the middle,
by the commands, with the worker killed on the way. Then everything that stands on the topics is compared.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from a_bus import Bus, open_bus, utc_now
from a_token import OF_THE_FIRST
from test_commands import safebus

from safebus.consumers.audit import operations, quarantine
from safebus.deploy.local.demo import story
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.service import key_files
from safebus.schemas import codec, tokens, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Operation, Outcome, Receipt, RegisterRecord
from safebus.schemas.dress import generation_of
from safebus.schemas.events import Event, Lifecycle
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.topic_list import topics_there
from safebus.schemas.keys import PersonKey
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import current_register
from safebus.streams.register.governance import TWO_PERSONS, TwoPersons
from safebus.streams.register.write import ending_record, write_records
from safebus.streams.rules.parties import Involvement

pytestmark = pytest.mark.flow

CASES = 12
JUNK = (b"sealed to the one before", b"sealed to the one that follows it")


def first(case: int) -> Event:
    """An incident that names a suspect who governs one of the schools."""
    about = {"event_id": derived_id("rotation", str(case), "0"), "correlation_id": f"TEST-{case}"}
    return story.incident().model_copy(update=about)


def later(case: int) -> list[Event]:
    """What follows it: word that does not name him, a correction, a retraction, the same once more."""
    event = first(case)
    unnamed = tuple(person for person in event.subjects if person.ref != "gary")

    def follows(number: int, **changes: Any) -> Event:
        return event.model_copy(update={"event_id": derived_id("rotation", str(case), str(number)), **changes})

    update = follows(1, lifecycle=Lifecycle.UPDATE, subjects=unnamed)
    correct = follows(2, lifecycle=Lifecycle.CORRECT, supersedes_event_id=event.event_id)
    retract = follows(3, lifecycle=Lifecycle.RETRACT, supersedes_event_id=event.event_id)
    return [[update], [update, correct], [event, retract], [retract, update]][case % 4]


def at_last(case: int) -> Event:
    """More of what was decided before the secret changed."""
    about = {"event_id": derived_id("rotation", str(case), "last"), "lifecycle": Lifecycle.UPDATE}
    return first(case).model_copy(update=about)


CASE_OF = {event.event_id: str(case) for case in range(CASES) for event in (first(case), *later(case), at_last(case))}


@dataclass
class Seen:
    """All that stands on the topics, and at partners, as it is known and not as it is written."""

    decisions: dict[str, list[Any]]
    notifications: dict[tuple[str, str, str], list[Any]]  # of one child and one case, in order
    received: dict[str, list[Any]]
    raw: list[tuple[str, str, int]]  # topic, text of the value and its key, generation of what stands in it


async def run_through(bus: Bus, *, rotates: bool) -> Seen:
    key = bus.settings.person_key()
    await bus.register(Entry(TWO_PERSONS, TWO_PERSONS, TwoPersons(kinds=("token_key",)), "test"))
    everything = [event for event, _ in story.first_chapter()] + [first(case) for case in range(CASES)]
    await bus.send_raw("in.fordshire-police", JUNK[0])
    for event in everything:
        await bus.publish(event, case=event.correlation_id or event.event_id)
    await bus.settled(*everything)
    if rotates:
        make_what_follows(bus)
        restart(bus, "worker", ["worker"])
        deliveries = ["deliver", "--destinations", str(bus.partners.destinations(RECIPIENTS))]
        restart(bus, "deliver", deliveries)
        key = bus.settings.person_key()
    flowing = asyncio.create_task(publish_all(bus))
    while not flowing.done() and len((await bus.until(lambda _: True, "")).decisions) < len(everything) + 4:
        await asyncio.sleep(0.01)
    if rotates:
        await asyncio.to_thread(switch, bus)
    await flowing
    sent = [event for case in range(CASES) for event in later(case)]
    await bus.settled(*sent)
    await withdraw(bus, key)
    # What was decided before comes again, and is added to and taken back now.
    again = [first(case) for case in range(CASES)]
    last = [at_last(case) for case in range(CASES)]
    moved = story.moved_to_temporary_accommodation(2)
    for event in (*again, *last, moved):
        await bus.publish(event, case=event.correlation_id or event.event_id)
    await bus.send_raw("in.fordshire-police", JUNK[1])
    await bus.settled(*last, moved)
    await bus.until(lambda seen: len({q.size for q in seen.quarantined.values()} & {*map(len, JUNK)}) == 2, "the junk")
    return await look(bus)


def make_what_follows(bus: Bus) -> None:
    """Both the secret and the pair; nothing of it is in use before the processes have it."""
    because = ["--execute", "--reason", "a laptop was stolen"]
    for what, files in (("person", "person.2.key"), ("seal", "seal.2.key, seal.2.pub")):
        announced, made = safebus(bus, "keys", "rotate", what), safebus(bus, "keys", "rotate", what, *because)
        assert announced.returncode == 0 and f"{files} would be made" in announced.stderr, announced.stderr
        assert made.returncode == 0 and f"made {files} in" in made.stderr, made.stderr
    again, shown, announced = (
        safebus(bus, "keys", *words) for words in (["rotate", "person", *because], ["show"], ["switch"])
    )
    assert again.returncode == 1 and "is not in use yet" in again.stderr, again.stderr
    following = bus.settings.person_key().of(2)
    for mark in (following.fingerprint, following.digests.fingerprint):
        assert mark in shown.stdout and mark in announced.stderr


def opened(bus: Bus, folder: Path) -> set[bytes]:
    """What stands in quarantine, as an operator opens it."""
    for entry in (each.entry for each in asyncio.run(quarantine.entries(bus.connection))):
        if entry.reason == "NOT_SINGLE_OBJECT":
            words = ["quarantine", "open", entry.quarantine_id, "--to", str(folder / entry.quarantine_id)]
            done = safebus(bus, *words, "--reason", "the publisher asked")
            assert done.returncode == 0, done.stderr
    return {path.read_bytes() for path in folder.iterdir()}


def switch(bus: Bus) -> None:
    """The register asks two persons for it."""
    words = ["keys", "switch", "--execute", "--reason", "everybody has it"]
    asked = safebus(bus, *words)
    assert asked.returncode == 3 and "token_key need two persons" in asked.stderr, asked.stderr
    second = asked.stderr.split("--second ")[1].strip()
    done = safebus(bus, *words, "--second", second, sudo_user="ben")
    assert done.returncode == 0 and "generation 2 counts from register offset" in done.stderr, done.stderr


async def publish_all(bus: Bus) -> None:
    """Events flow; in the middle of them a worker is killed, and another begins."""
    for number, event in enumerate(event for case in range(CASES) for event in later(case)):
        await bus.publish(event, case=event.correlation_id or event.event_id)
        if number == CASES // 2:
            bus.kill_worker()
        if number == CASES // 2 + 3:
            bus.start_worker()


async def withdraw(bus: Bus, key: PersonKey) -> None:
    """Of what was sent before the switch; and somebody's involvement, that was registered before it, ends."""
    words = ["--state", "withdrawn", "--purpose", "temporary_accommodation_notice", "--capacity", "parent"]
    words += ["--method", "test", "--decided-at", "2026-11-20T15:00Z", "--execute", "--reason", "she rang"]
    said = await asyncio.to_thread(safebus, bus, "consent", "record", *words, given=f"{story.AVA.nhs_number}\n")
    assert said.returncode == 0, said.stderr
    register = await current_register(bus.connection, key=key)
    cora = key.token("nhs", story.CORA.nhs_number or "")
    ended = next(r for r, (_, e) in register.entries().items() if isinstance(e, Involvement) and e.person_id == cora)
    record = ending_record(ended, register, at=utc_now(), by="test", reason="test")
    await write_records(bus.connection, [record], key=key.of(register.generation))
    await bus.until(lambda seen: len(seen.noticed()) >= 1, "the partner to be told that the consent ended")


def restart(bus: Bus, name: str, words: list[str]) -> None:
    child = bus.processes._running[name]
    child.send_signal(signal.SIGTERM)
    child.wait(60)
    bus.processes.forget(name)
    bus._children[name] = bus.processes.start(name, words)


async def look(bus: Bus) -> Seen:
    key = bus.settings.person_key()
    decisions: dict[str, list[Any]] = defaultdict(list)
    notifications: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    raw: list[tuple[str, str, int]] = []
    async for m in read_topic(bus.connection, topics.DECISIONS):
        record = codec.decode_record(m.value, DecisionRecord)
        decisions[record.event_id].append(as_decided(tokens.plain(record, key)))
        raw.append((m.topic, record.model_dump_json() + str(m.headers), generation_of(record.input_digest)))
    for topic in sorted(await topics_there(bus.connection)):
        if topics.partner_of_notifications(topic):
            async for m in read_topic(bus.connection, topic):
                n = codec.decode_record(m.value, Notification)
                plain = as_decided(tokens.plain(n, key))
                those = notifications[topic, key.plain(n.subject_token), CASE_OF.get(n.event_id, n.event_id)]
                if plain not in those:  # a redo sends the same bytes again
                    those.append(plain)
                text = n.model_dump_json(exclude={"view"}) + m.key.decode() + str(m.headers)
                raw.append((topic, text, generation_of(n.subject_token)))
        elif topics.partner_of_receipts(topic):
            async for m in read_topic(bus.connection, topic):
                r = codec.decode_record(m.value, Receipt)
                raw.append((topic, r.model_dump_json(), generation_of(r.subject_token)))
    async for m in read_topic(bus.connection, topics.OPERATIONS):
        operation = codec.decode_record(m.value, Operation)
        if operation.what == "consent record":
            raw.append((m.topic, " ".join(operation.about), generation_of(operation.about[0].partition("/")[2])))
    async for m in read_topic(bus.connection, topics.REGISTER):
        entry = codec.decode_record(m.value, RegisterRecord)
        generation = key.fingerprints[dict(m.headers)["sb_keys"].decode().split()[0]]
        raw.append((m.topic, f"{entry.record_id} {entry.body} {m.key}", generation))
    received = {partner: [as_received(b) for b in await bus.partners.received(partner)] for partner in RECIPIENTS}
    return Seen(dict(decisions), dict(notifications), received, raw)


def as_decided(record: DecisionRecord | Notification) -> Any:
    """Without when it was decided, at which offset, and what proves bytes in which these stand."""
    found: Any = json.loads(record.model_dump_json(exclude={"view"}))
    for answer in found.get("answers", ()):
        answer |= {"output_digest": answer["output_digest"] is not None, "consent_offset": 0}
    return found | {"decided_at": "", "register_offset": 0, "input_digest": "", "origin": ""}


def as_received(body: dict[str, Any]) -> str:
    return json.dumps({**body, "decided_at": ""}, sort_keys=True)


@contextmanager
def a_bus(folder: Path, keys: Path) -> Iterator[Bus]:
    shutil.copytree(keys, folder / "home")
    with open_bus("kafka", folder) as bus:
        yield bus


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With which both begin."""
    home = tmp_path_factory.mktemp("keys") / "home"
    key_files.init(home, agencies=[*RECIPIENTS, "fordshire-police"])
    return home


def test_no_answer_differs_from_a_run_without(tmp_path: Path, keys: Path) -> None:
    with a_bus(tmp_path / "without", keys) as bus:
        without = asyncio.run(run_through(bus, rotates=False))
    with a_bus(tmp_path / "with", keys) as bus:
        found = asyncio.run(run_through(bus, rotates=True))
        verified = safebus(bus, "replay", "verify", "-o", "json")
        counted = safebus(bus, "reconcile", "-o", "json")
        shown = safebus(bus, "register", "show")
        on_record = asyncio.run(operations.entries(bus.connection, trusted=[]))
        (tmp_path / "opened").mkdir()
        originals = opened(bus, tmp_path / "opened")
        first_alone = PersonKey(bus.settings.person_key().secret)

    written = Counter(generation for _, _, generation in found.raw)
    outcomes = Counter(a["outcome"] for those in found.decisions.values() for d in those for a in d["answers"])
    assert written[1] > 100 and written[2] > 100, written
    assert outcomes[Outcome.PERMIT] > 20 and outcomes[Outcome.REFUSE] > 20 and outcomes[Outcome.HOLD] > 0, outcomes
    assert {len(those) for those in found.decisions.values()} == {1}
    assert found.decisions == without.decisions
    assert found.notifications == without.notifications  # and of each child and case in their order
    assert {p: sorted(r) for p, r in found.received.items()} == {p: sorted(r) for p, r in without.received.items()}
    ids = Counter(
        (partner, body["notification_id"], "consent" in body)
        for partner, those in found.received.items()
        for body in map(json.loads, those)
    )
    assert set(ids.values()) == {1}
    nothing_looks_as_the_first_secret_makes_it(found, first_alone)
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["identical"] == len(found.decisions)
    assert counted.returncode == 0, counted.stdout
    assert originals == {*JUNK}
    assert "2." not in shown.stdout and "token_key/2" in shown.stdout
    assert {"keys rotate", "keys switch"} <= {entry.operation.what for entry in on_record}


def nothing_looks_as_the_first_secret_makes_it(found: Seen, first_alone: PersonKey) -> None:
    """Whoever stole it tries all numbers against what was written since, and finds nobody."""
    persons = [story.AVA, story.BEN, story.CORA, story.MAYA, story.GARY]
    tried = {first_alone.token("nhs", person.nhs_number or "") for person in persons}
    assert {topic for topic, _, generation in found.raw if generation == 2} >= {
        topics.DECISIONS,
        topics.REGISTER,
        topics.OPERATIONS,
        "out.ash-primary",
        "receipts.ash-primary",
    }
    since = [text for _, text, generation in found.raw if generation == 2]
    before = [text for _, text, generation in found.raw if generation == 1]

    assert {token for token in tried if any(token in text for text in before)} == tried
    assert not [token for token in tried if any(token in text for text in since)]
    tokens_seen = {m[1] for text in since for m in OF_THE_FIRST.finditer(text) if "-" not in m[1]}
    assert tokens_seen == set()
