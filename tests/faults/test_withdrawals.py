"""
What is withdrawn before an event is published is respected for it, always; while a delivery waits, it is stopped.

Each child here has a placement that only its parent's agreement lets anyone have. One is told before the agreement ends
and must arrive (else nothing is shown), one after, and must not.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest
from a_ground import Ground
from a_supervisor import wait_until
from a_world import HAVEN, PURPOSE, Story, placement

from safebus.producers.samples import nhs_numbers
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Notification, Outcome, Receipt, RegisterRecord, Stage
from safebus.schemas.events import TemporaryAccommodation
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.entries import Entry, consent_record_id
from safebus.streams.register.write import as_records, under, write_records
from safebus.streams.rules.consent import ConsentEntry, Meaning, State
from safebus.streams.rules.parties import Involvement, KnownPerson

pytestmark = pytest.mark.flow

_FROM = 800_000  # of the numbers that are never issued: none that another test uses


def _now() -> datetime:
    return datetime.now(UTC)


def _register(ground: Ground, entries: list[Entry]) -> list[RegisterRecord]:
    return as_records(entries, at=_now(), by="test", reason="test")


def _consent(person: str, state: State) -> Entry:
    entry = ConsentEntry(
        person_id=person,
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose=PURPOSE,
        state=state,
        decided_at=_now(),
        expressed_by="parent",
        method="test",
    )
    return Entry(consent_record_id(entry), "consent", entry, "test")


def _known(ground: Ground, number: str) -> list[Entry]:
    """A child that `haven` supports, whose parent agreed."""
    token = ground.settings.person_key().token("nhs", number)
    person = KnownPerson(person_id=token, tokens={"nhs": token})
    tie = Involvement(person_id=token, partner=HAVEN, role="family_support")
    return [
        Entry(f"person/{token}", "person", person, "test"),
        Entry(f"involvement/{token}/{HAVEN}", "involvement", tie, "test"),
        _consent(token, State.GIVEN),
    ]


def _placement(number: str, event_id: str) -> TemporaryAccommodation:
    event = placement(event_id, 0)
    [child] = event.subjects
    return event.model_copy(update={"subjects": (child.model_copy(update={"nhs_number": number}),)})


def _message(story: Story, number: str, event_id: str) -> Message:
    message = story.tell(_placement(number, event_id), case=0)
    return Message(message.topic, number[-6:].encode(), message.value, message.headers)


async def _outcomes(ground: Ground) -> dict[str, tuple[Outcome, str]]:
    """Event id -> what was decided for `haven`, and why."""
    found = {}
    async for m in ground.records(topics.DECISIONS):
        record = codec.decode_record(m.value, DecisionRecord)
        for answer in record.answers:
            if answer.recipient == HAVEN:
                found[record.event_id] = (answer.outcome, answer.reasons[0].code if answer.reasons else "")
    return found


async def _on_topic(ground: Ground) -> set[str]:
    read = ground.records(topics.notifications_for(HAVEN))
    return {codec.decode_record(m.value, Notification).event_id async for m in read}


async def _withdraw_and_publish(ground: Ground, story: Story, numbers: list[str], kill_at: set[int]) -> None:
    """For each child: an event, the withdrawal, and, once that is acknowledged, another event."""
    outbound = Writer(ground.connection, client_id="test")
    await outbound.start()
    key = ground.settings.person_key()
    try:
        for n, number in enumerate(numbers):
            if n in kill_at:
                ground.processes.kill(f"worker-{1 + n % 2}")
            token = key.token("nhs", number)
            await outbound.send_all([_message(story, number, derived_id("before", story.name, number))])
            # What the event before must still find is only certain when it is decided; so every tenth waits for it.
            if n % 10 == 0:
                await _decided(ground, derived_id("before", story.name, number))
            [record] = _register(ground, [_consent(token, State.WITHDRAWN)])
            await outbound.send_all(
                [Message(topics.REGISTER, record.record_id.encode(), codec.encode_record(record), under(key), 0)]
            )
            await outbound.send_all([_message(story, number, derived_id("after", story.name, number))])
    finally:
        await outbound.stop()


async def _decided(ground: Ground, event_id: str) -> None:
    async with asyncio.timeout(60):
        while event_id not in await _outcomes(ground):
            await asyncio.sleep(0.05)


def _respected(
    ground: Ground, story: Story, count: int, *, kills: int, seed: int, mutation: tuple[str, ...] = ()
) -> dict[str, int]:
    """Run it; returns how many of the later events were decided how."""
    numbers = list(islice(nhs_numbers(start=_FROM + 2_000 * seed), count))
    entries = [entry for number in numbers for entry in _known(ground, number)]
    asyncio.run(write_records(ground.connection, _register(ground, entries), key=ground.settings.person_key()))
    for name in ("worker-1", "worker-2"):
        ground.worker(name, always=mutation)
    chance = random.Random(seed)
    kill_at = set(chance.sample(range(count // 5, count), kills))
    asyncio.run(_withdraw_and_publish(ground, story, numbers, kill_at))
    ground.come_to_rest(to=())
    outcomes, sent = asyncio.run(_outcomes(ground)), asyncio.run(_on_topic(ground))
    after = {derived_id("after", story.name, number) for number in numbers}
    before = [outcomes[derived_id("before", story.name, number)][0] for number in numbers[::10]]

    assert before == [Outcome.PERMIT] * len(before), "the events before the withdrawals must show that agreement counts"
    permitted = {event_id for event_id in after if outcomes[event_id][0] is Outcome.PERMIT}
    assert after & sent == permitted
    return Counter(" ".join(outcomes[event_id]) for event_id in after)


def test_a_withdrawal_is_respected_by_two_workers_while_one_is_killed(ground: Ground, story: Story) -> None:
    found = _respected(ground, story, 60, kills=2, seed=1)

    assert found == {"REFUSE CONSENT_WITHDRAWN": 60}


def test_without_the_read_barrier_it_would_not_be(ground: Ground, story: Story) -> None:
    """So the test above can fail."""
    found = _respected(ground, story, 20, kills=0, seed=3, mutation=("--mutate", "no-barrier"))

    assert found["PERMIT PERMITTED"] > 0


@pytest.mark.soak
def test_a_withdrawal_is_respected_a_thousand_times(ground: Ground, story: Story) -> None:
    found = _respected(ground, story, 1000, kills=10, seed=2)
    print(f"withdrawals respected: {found}, workers killed {len(ground.processes.by('signal'))} times")

    assert found == {"REFUSE CONSENT_WITHDRAWN": 1000}


def test_a_withdrawal_stops_what_waits_for_its_partner(ground: Ground, story: Story) -> None:
    """
    `haven` is busy; meanwhile the agreement ends; when `haven` is well again it must not get it any more.

    What it answered does not tell for certain that it has nothing, so it may hear that the agreement has ended.
    """
    numbers = list(islice(nhs_numbers(start=_FROM + 90_000), 10))
    entries = [entry for number in numbers for entry in _known(ground, number)]
    asyncio.run(write_records(ground.connection, _register(ground, entries), key=ground.settings.person_key()))
    haven = ground.partners.haven
    haven.mode, before = "busy", haven.turned_away
    ground.worker()
    ground.deliver(to=(HAVEN,))
    ground.publish([_message(story, number, derived_id("waits", story.name, number)) for number in numbers])
    wait_until(lambda: haven.turned_away - before >= len(numbers), f"`{HAVEN}` to turn each away once")
    key = ground.settings.person_key()
    withdrawn = [_consent(key.token("nhs", number), State.WITHDRAWN) for number in numbers]
    asyncio.run(write_records(ground.connection, _register(ground, withdrawn), key=ground.settings.person_key()))
    haven.mode = "answer"
    ground.come_to_rest(to=(HAVEN,))
    waits = {sent.event_id for sent in story.published}

    assert [e for e in haven.arrived if e.event_id in waits] == []
    ends = asyncio.run(_ends(ground, waits))
    assert ends.keys() == waits
    stopped, told = (Stage.STOPPED, "CONSENT_WITHDRAWN (R12)"), (Stage.NOTICE_HANDED_OVER, "consent_withdrawn")
    assert [each for each in ends.values() if each not in ([stopped], [stopped, told])] == []


async def _ends(ground: Ground, events: set[str]) -> dict[str, list[tuple[Stage, str]]]:
    """Every receipt after which nothing more happens by itself, in order."""
    found: dict[str, list[tuple[Stage, str]]] = {}
    async for m in ground.receipts():
        receipt = codec.decode_record(m.value, Receipt)
        if receipt.event_id in events and receipt.stage is not Stage.WAITING:
            found.setdefault(receipt.event_id, []).append((receipt.stage, receipt.reason))
    return found
