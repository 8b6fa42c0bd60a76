"""
How a partner that is down, full, wrong or gone is dealt with, and what a restart does not repeat.

A real broker, a real drop folder, the real register check; only the clock is the test's own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from a_demo_bus import KEY, NOON, demo_bus

from safebus.consumers.adapters.folder import FolderAdapter
from safebus.consumers.delivery import courier as courier_module
from safebus.consumers.delivery import parked
from safebus.consumers.delivery.courier import Courier
from safebus.consumers.delivery.measures import NoMeasures, PartnerTopic
from safebus.consumers.delivery.stages import UNDER_WAY
from safebus.deploy.local.demo import story
from safebus.deploy.service.register_checks import RegisterRecheck
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Notification, Origin, Receipt, Stage
from safebus.schemas.errors import BadRegister
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.streams.register.entries import Entry, consent_record_id
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.write import as_records, switching_record, write_records
from safebus.streams.rules import sharing
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

PARTNER = "ash-primary"


@dataclass
class Clock:
    """A clock that moves when the test says so."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class School:
    """A school with a drop folder, a bus before it, and a courier between."""

    connection: Connection
    folder: Path
    clock: Clock = field(default_factory=Clock)
    key: PersonKey = KEY
    running: asyncio.Future[None] | None = None

    async def send(self, event: Event, *, at: datetime = NOON) -> str:
        """Decide about an event and put the school's notification on its topic; returns its id."""
        register = await current_register(self.connection, key=self.key)
        received = codec.decode(codec.encode(event))
        origin = Origin(topic=f"in.{event.publisher.agency}", partition=0, offset=0)
        outcome = sharing.share(received, register, origin=origin, now=at, key=self.key, rules_digest="test")
        assert isinstance(outcome, sharing.Shared)
        [output] = [o for o in outcome.outputs if o.notification.recipient == PARTNER]
        return await self.put(output.notification)

    async def put(self, notification: Notification) -> str:
        """Put one on the school's topic as it stands; returns its id."""
        key, value = notification.subject_token.encode(), codec.encode_record(notification)
        outbound = Writer(self.connection, client_id="test")
        await outbound.start()
        await outbound.send_all([Message(topics.notifications_for(PARTNER), key, value)])
        await outbound.stop()
        return notification.notification_id

    async def write(self, entry: Entry) -> None:
        await write_records(self.connection, as_records([entry], at=NOON, by="test", reason="test"), key=self.key)

    async def receipts(self) -> list[Receipt]:
        read = read_topic(self.connection, topics.receipts_from(PARTNER))
        return sorted([codec.decode_record(m.value, Receipt) async for m in read], key=lambda r: (r.at, r.attempt))

    def files(self) -> list[str]:
        return sorted(f.name for f in self.folder.glob("*.json"))

    @asynccontextmanager
    async def courier(
        self, recheck: Callable[[RegisterReader], RegisterRecheck] = RegisterRecheck
    ) -> AsyncIterator[Courier]:
        """A courier process, started and stopped in order."""
        reader = RegisterReader(self.connection, key=self.key.digests)
        await reader.start()
        courier = Courier(
            self.connection,
            partner=PARTNER,
            adapter=FolderAdapter(self.folder),
            recheck=recheck(reader),
            key=self.key.digests,
            clock=self.clock,
            jitter=lambda: 0.0,
            on_record_after_s=3_600.0,  # else a machine that stands still for a while adds a receipt
        )
        stop = asyncio.Event()
        self.running = running = asyncio.ensure_future(courier.run(stop))
        try:
            yield courier
        finally:
            stop.set()
            try:
                await running
            finally:
                await reader.stop()

    async def until(self, done: Callable[[list[Receipt]], bool]) -> list[Receipt]:
        async with asyncio.timeout(60):
            while not done(found := await self.receipts()):
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    async with demo_bus(tmp_path) as (connection, _):
        (tmp_path / "drop").mkdir()
        yield School(connection, tmp_path / "drop")


def stages(receipts: list[Receipt]) -> list[Stage]:
    """Without what is written before an attempt that a consent stands on."""
    return [r.stage for r in receipts if r.reason != UNDER_WAY]


async def test_it_arrives_once_and_a_restart_does_not_repeat_it(school: School) -> None:
    notification_id = await school.send(story.incident())
    async with school.courier():
        await school.until(lambda r: Stage.HANDED_OVER in stages(r))
    again = await school.send(story.incident())
    async with school.courier():
        marker = await school.send(story.moved_to_temporary_accommodation(1))
        receipts = await school.until(
            lambda r: any(x.notification_id == marker and x.stage is Stage.HANDED_OVER for x in r)
        )

    assert again == notification_id
    assert school.files() == sorted([f"{notification_id}.json", f"{marker}.json"])
    assert stages(receipts) == [Stage.HANDED_OVER, Stage.HANDED_OVER]


async def test_one_event_that_two_workers_decided_arrives_once_and_nobody_is_accused(school: School) -> None:
    """Published under two cases, it came on two partitions. What says something else under its id needs a person."""
    first = await school.send(story.incident())
    async with school.courier():
        await school.until(lambda found: Stage.HANDED_OVER in stages(found))
        second = await school.send(story.incident(), at=NOON + timedelta(seconds=1))
        marker = await school.send(story.moved_to_temporary_accommodation(1))
        seen = await school.until(lambda found: any(r.notification_id == marker for r in found))
        [bytes_of_first, *_] = [m.value async for m in read_topic(school.connection, topics.notifications_for(PARTNER))]
        changed = codec.decode_record(bytes_of_first, Notification).model_copy(update={"urgency": "ROUTINE"})
        await school.put(changed)
        parked = await school.until(lambda found: Stage.PARKED in stages(found))

    assert (first, [r.stage for r in seen if r.notification_id == first]) == (second, [Stage.HANDED_OVER])
    assert [r.reason for r in parked if r.stage is Stage.PARKED] == ["same_id_other_content"]
    assert len(school.files()) == 2


async def test_what_arrives_holds_the_released_fields_and_how_to_ask_back(school: School) -> None:
    notification_id = await school.send(story.moved_to_temporary_accommodation(1))
    async with school.courier():
        await school.until(lambda r: Stage.HANDED_OVER in stages(r))
    found = json.loads((school.folder / f"{notification_id}.json").read_text("utf-8"))

    event = story.moved_to_temporary_accommodation(1)
    assert found == {
        "notification_id": notification_id,
        "event_id": event.event_id,
        "event_type": "housing.temporary-accommodation.v1",
        "lifecycle": "NEW",
        "publisher": "fordshire-housing",
        "purpose": "temporary_accommodation_notice",
        "urgency": "ROUTINE",
        "agreement": "fordshire-temporary-accommodation v1 to-school-and-health",
        "labels": [],
        "decided_at": "2026-11-22T12:00:00.000Z",
        "fields": {
            "event_id": event.event_id,
            "event_type": "housing.temporary-accommodation.v1",
            "lifecycle": "NEW",
            "recorded_at": "2026-11-20T09:30:00.000Z",
            "published_at": "2026-11-20T09:31:00.000Z",
            "purpose": "temporary_accommodation_notice",
            "urgency": "ROUTINE",
            "respond_by": None,
            "payload": {
                "application_reference": "TEST-H-1",
                "placed_on": "2026-11-20",
                "agreed_on": "2026-11-02",
                "agreed_by": "PARENT",
            },
            "subject": {"given_name": "Ava", "family_name": "Hart", "date_of_birth": "2015-03-02"},
        },
    }


async def test_what_does_not_say_who_is_meant_says_whom_to_ask(school: School) -> None:
    ava, *others = story.incident().subjects
    barely_known = ava.model_copy(update={"family_name": None, "date_of_birth": None, "upn": None})
    notification_id = await school.send(story.incident().model_copy(update={"subjects": (barely_known, *others)}))
    async with school.courier():
        await school.until(lambda r: Stage.HANDED_OVER in stages(r))
    found = json.loads((school.folder / f"{notification_id}.json").read_text("utf-8"))

    assert found["fields"]["subject"]["given_name"] == "Ava"
    assert found["whom_to_ask"] == "Fordshire Police public protection desk, 01632 960101"
    assert found["what_to_do"] == (
        "what you may have of this does not say which person is meant: ask `whom_to_ask`, naming `event_id`, before "
        "you act on it or file it; do not take it for the nearest name"
    )


async def test_a_destination_that_is_gone_is_held_and_what_waited_is_delivered_when_it_is_back(school: School) -> None:
    school.folder.rmdir()
    notification_id = await school.send(story.incident())
    async with school.courier():
        await school.until(lambda r: Stage.HELD in stages(r))
        school.folder.mkdir()
        school.clock.now += timedelta(minutes=16)
        receipts = await school.until(lambda r: Stage.HANDED_OVER in stages(r))

    assert stages(receipts) == [Stage.HELD, Stage.HANDED_OVER]
    assert school.files() == [f"{notification_id}.json"]


async def test_a_held_destination_is_not_asked_again_before_its_time(school: School) -> None:
    school.folder.rmdir()
    await school.send(story.incident())
    async with school.courier():
        await school.until(lambda r: Stage.HELD in stages(r))
        school.folder.mkdir()
        school.clock.now += timedelta(seconds=29)
    # The courier was stopped while holding: nothing was skipped, and nothing was sent.
    assert school.files() == []
    school.clock.now += timedelta(seconds=2)
    async with school.courier():
        await school.until(lambda r: Stage.HANDED_OVER in stages(r))
    assert len(school.files()) == 1


async def test_what_the_partner_refuses_for_good_is_parked_and_can_be_redriven(school: School, tmp_path: Path) -> None:
    """Someone wrote another file under the notification's name; asking again cannot help."""
    event = story.incident()
    notification_id = await school.send(event)
    (school.folder / f"{notification_id}.json").write_text("something else", "utf-8")
    async with school.courier():
        receipts = await school.until(lambda r: Stage.PARKED in stages(r))
    waiting = await parked.waiting(school.connection, PARTNER)

    assert stages(receipts) == [Stage.PARKED]
    assert [(p.notification.notification_id, p.reason) for p in waiting] == [(notification_id, "other_content")]
    assert (school.folder / f"{notification_id}.json").read_text("utf-8") == "something else"


async def test_a_withdrawal_stops_what_waits(school: School) -> None:
    """Decided while the agreement held, withdrawn before it could be handed over: it is not handed over."""
    school.folder.rmdir()
    await school.send(story.moved_to_temporary_accommodation(1))
    async with school.courier():
        await school.until(lambda r: Stage.HELD in stages(r))
        await school.write(withdrawal())
        school.folder.mkdir()
        school.clock.now += timedelta(minutes=16)
        receipts = await school.until(lambda r: Stage.STOPPED in stages(r))

    assert stages(receipts) == [Stage.HELD, Stage.STOPPED]
    assert receipts[-1].reason == "CONSENT_WITHDRAWN (R12)"
    assert school.files() == []


async def test_a_withdrawal_after_delivery_is_told_once_also_after_a_restart(school: School) -> None:
    notification_id = await school.send(story.moved_to_temporary_accommodation(1))
    async with school.courier():
        await school.until(lambda r: Stage.HANDED_OVER in stages(r))
    await school.write(withdrawal())
    async with school.courier():
        await school.until(lambda r: Stage.NOTICE_HANDED_OVER in stages(r))
    marker = await school.send(story.incident())
    async with school.courier():
        receipts = await school.until(lambda r: any(x.notification_id == marker for x in r))

    assert stages(receipts).count(Stage.NOTICE_HANDED_OVER) == 1
    notice = json.loads((school.folder / f"{notification_id}.withdrawn.json").read_text("utf-8"))
    assert notice == {
        "notification_id": notification_id,
        "event_id": story.moved_to_temporary_accommodation(1).event_id,
        "event_type": "consent.withdrawn",
        "purpose": "temporary_accommodation_notice",
        "consent": "withdrawn",
        "what_to_do": "stop using what you were sent under this notification unless you have another basis for it",
    }


async def test_a_suspended_partner_is_handed_nothing_more(school: School) -> None:
    partner = (await current_register(school.connection)).partners[PARTNER]
    await school.send(story.incident())
    await school.write(Entry(f"partner/{PARTNER}", "partner", partner.model_copy(update={"suspended": True}), "test"))
    async with school.courier():
        receipts = await school.until(lambda r: Stage.STOPPED in stages(r))

    assert receipts[-1].reason == "PARTNER_SUSPENDED (R01)"
    assert school.files() == []


def withdrawal() -> Entry:
    body = ConsentEntry(
        person_id=KEY.token("nhs", story.AVA.nhs_number or ""),
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose="temporary_accommodation_notice",
        state=State.WITHDRAWN,
        decided_at=NOON,
        expressed_by="parent",
        method="test",
    )
    return Entry("consent/test-withdrawal", "consent", body, "test")


class SlowRegister(RegisterRecheck):
    """The register answers when the test says so."""

    def __init__(self, reader: RegisterReader) -> None:
        super().__init__(reader)
        self.answers = asyncio.Event()

    async def refresh(self) -> int:
        await self.answers.wait()
        return await super().refresh()


async def test_what_was_let_go_while_the_register_was_slow_is_not_handed_over(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt outlasts the time that a rebalance waits for; then it must neither go on nor end the process."""
    monkeypatch.setattr(courier_module, "_FINISH_WITHIN_S", 0.1)
    slow: list[SlowRegister] = []

    def recheck(reader: RegisterReader) -> SlowRegister:
        slow.append(SlowRegister(reader))
        return slow[0]

    await school.send(story.incident())
    async with school.courier(recheck) as courier:
        async with asyncio.timeout(30):
            while not list(school.folder.glob("*.part")):  # it is ready, and asks
                await asyncio.sleep(0.01)
        [attempt] = courier._tasks
        source = courier._source
        await source.on_partitions_revoked(source._consumer.assignment())
        # The others go on being ours: the broker says so, for the process as a whole.
        source._ours_at = source._seconds()
        slow[0].answers.set()
        await asyncio.wait([attempt], timeout=30)
        while_slow = (attempt.exception(), school.files(), await school.receipts())
    async with school.courier():
        receipts = await school.until(lambda found: len(found) == 1)

    assert while_slow == (None, [], [])
    assert (stages(receipts), len(school.files())) == ([Stage.HANDED_OVER], 1)


async def test_what_the_worker_did_not_send_is_not_delivered_and_stops_nobody(school: School) -> None:
    """Junk, and what was sent to another: neither reaches the partner, and what stands behind them does."""
    await school.send(story.incident())
    [taken] = [m async for m in read_topic(school.connection, topics.notifications_for(PARTNER))]
    other = codec.decode_record(taken.value, Notification).model_copy(update={"recipient": "haven"})
    outbound = Writer(school.connection, client_id="thief")
    await outbound.start()
    values = [b"junk", b"", codec.encode_record(other.model_copy(update={"notification_id": "another"}))]
    await outbound.send_all(Message(topics.notifications_for(PARTNER), b"k", value, (), 0) for value in values)
    await outbound.stop()
    async with school.courier() as courier:
        counted: Counter[PartnerTopic] = Counter()
        courier.facts.tally = CountsStrange(counted)
        sent = other.notification_id
        await school.until(lambda found: [r.notification_id for r in found if r.stage is Stage.HANDED_OVER] == [sent])
        async with asyncio.timeout(60):
            while counted[PartnerTopic.NOTIFICATIONS] < len(values):
                await asyncio.sleep(0.05)

    assert len(school.files()) == 1
    async with school.courier():  # it has gone past them: none is read again
        assert len(await school.receipts()) == 1


class CountsStrange(NoMeasures):
    def __init__(self, counted: Counter[PartnerTopic]) -> None:
        self._counted = counted

    def strange(self, on: PartnerTopic) -> None:
        self._counted[on] += 1


BOTH = PersonKey(KEY.secret, (b"l" * 32,))
ANOTHER = "00000000-0000-4000-8000-00000000a11e"


async def switch(school: School) -> School:
    """From now on the secret that follows counts; returns the school as whoever holds it sees it."""
    register = await current_register(school.connection, key=BOTH)
    await write_records(school.connection, [switching_record(register, BOTH, at=NOON, by="t", reason="t")], key=BOTH)
    return replace(school, key=BOTH)


async def test_an_adapter_that_lacks_the_secret_in_use_stops_and_skips_nothing(school: School) -> None:
    """What it cannot read is no stranger's: the next one, that has it, delivers it."""
    before = await school.send(story.incident())
    with pytest.raises(BadRegister, match="from here on generation 2 of the bus's secret counts"):
        async with school.courier():
            await school.until(lambda found: len(found) == 1)
            informed = await switch(school)
            after = await informed.send(story.incident().model_copy(update={"event_id": ANOTHER}))
            assert school.running is not None
            await asyncio.wait([school.running], timeout=60)
    async with informed.courier():
        receipts = await informed.until(lambda found: len(found) == 2)

    assert [(r.notification_id, r.stage) for r in receipts] == [(each, Stage.HANDED_OVER) for each in (before, after)]
    assert BOTH.plain(receipts[1].subject_token) == receipts[0].subject_token != receipts[1].subject_token


async def test_a_withdrawal_that_is_written_after_the_change_stops_what_was_decided_before(school: School) -> None:
    """It says another token, and is about the same child."""
    held = replace(school, key=BOTH)
    notification = await held.send(story.moved_to_temporary_accommodation(1))
    await switch(school)
    said = withdrawal()
    assert isinstance(said.body, ConsentEntry)
    entry = replace(said, record_id=consent_record_id(said.body))
    records = as_records([entry], at=NOON, by="test", reason="test")
    await write_records(held.connection, records, key=BOTH.of(2))
    async with held.courier():
        [receipt] = await held.until(lambda found: len(found) == 1)

    assert (receipt.notification_id, receipt.stage) == (notification, Stage.STOPPED)


async def test_what_claims_a_secret_that_there_never_was_is_not_delivered_and_stops_nobody(school: School) -> None:
    held = replace(school, key=BOTH)
    register = await current_register(school.connection, key=BOTH)
    received = codec.decode(codec.encode(story.incident()))
    origin = Origin(topic="in.fordshire-police", partition=0, offset=0)
    outcome = sharing.share(received, register, origin=origin, now=NOON, key=BOTH, rules_digest="test")
    assert isinstance(outcome, sharing.Shared)
    [output] = [o for o in outcome.outputs if o.notification.recipient == PARTNER]
    outbound = Writer(school.connection, client_id="test")
    await outbound.start()
    for token in ("9." + "f" * 32, "2.Ava Hart"):
        forged = codec.encode_record(output.notification.model_copy(update={"subject_token": token}))
        await outbound.send_all([Message(topics.notifications_for(PARTNER), b"key", forged)])
    await outbound.stop()
    good = await held.send(story.incident())
    counted: Counter[PartnerTopic] = Counter()
    async with held.courier() as courier:
        courier.facts.tally = CountsStrange(counted)
        [receipt] = await held.until(lambda found: len(found) == 1)
        async with asyncio.timeout(60):
            while counted[PartnerTopic.NOTIFICATIONS] < 2:
                await asyncio.sleep(0.05)

    assert (receipt.notification_id, receipt.stage) == (good, Stage.HANDED_OVER)
