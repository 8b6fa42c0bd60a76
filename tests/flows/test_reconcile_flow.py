"""`safebus reconcile` on real topics: a running bus adds up, and each fault planted on the topics is named."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from a_bus import Bus, utc_now
from aiokafka import AIOKafkaConsumer, TopicPartition
from as_a_worker import as_worker
from confluent_kafka import TopicPartition as Deleted
from confluent_kafka.admin import AdminClient

from safebus.consumers.audit.reconcile.balance import Account, AgencyCount, Discrepancy, Noted, PartnerCount
from safebus.consumers.audit.reconcile.reconcile import Asked, reconcile
from safebus.deploy.local.brokers import make_topics, open_broker
from safebus.deploy.local.demo import story
from safebus.deploy.service import key_files
from safebus.deploy.service.operations import system_user
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import (
    Answer,
    DecisionRecord,
    Notification,
    Origin,
    Outcome,
    Quarantined,
    Receipt,
    Stage,
)
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.keys import PersonKey
from safebus.streams.worker.app import GROUP

pytestmark = pytest.mark.flow

KEY = PersonKey(b"k" * 32)
GRACE = timedelta(seconds=1)


def nothing(_count: int) -> None:
    pass


async def count(connection: Connection, since: datetime, key: PersonKey, *, now: datetime | None = None) -> Account:
    # Into the future, so that nothing which happens while it reads is left out for being too late.
    asked = Asked(since, utc_now() + timedelta(hours=1), timedelta(seconds=60), GROUP)
    return await reconcile(connection, asked, key=key.digests, clock=lambda: now or utc_now(), progress=nothing)


async def test_a_running_bus_adds_up(bus: Bus) -> None:
    """An event, its repeat, its id with other content, what cannot be read, and a reader that does not stop the bus."""
    since = utc_now()
    await asyncio.sleep(0.01)  # the broker's clock has milliseconds
    event = story.incident().model_copy(update={"event_id": str(uuid.uuid4())})
    await bus.publish(event, event, event.model_copy(update={"purpose": "something_else"}))
    await bus.send_raw("in.fordshire-police", b"not an event")
    seen = await bus.settled(event)
    key, give_up = bus.settings.person_key(), time.monotonic() + 60
    found = await count(bus.connection, since, key)
    while found.agencies["fordshire-police"].waiting or any(p.no_receipt for p in found.partners.values()):
        assert time.monotonic() < give_up, found
        found = await count(bus.connection, since, key)
    env = {**os.environ, "SAFEBUS_HOME": str(bus.settings.home), "SAFEBUS_BROKER": bus.connection.bootstrap}
    words = [sys.executable, "-m", "safebus.deploy.cli", "reconcile", "--from", since.isoformat(), "-o", "json"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)

    # Each receipt says by whom it was written, and where it went, as a digest of the place.
    mine = [r for r in seen.receipts if r.event_id == event.event_id]
    assert {r.written_by for r in mine} == {system_user()}
    assert len({(r.partner, r.place) for r in mine}) == len({r.place for r in mine}) == len({r.partner for r in mine})
    answers = seen.decisions[event.event_id].answers
    permitted = Counter(a.recipient for a in answers if a.outcome is Outcome.PERMIT)
    refused = len(answers) - permitted.total()
    aside = Counter(ID_REUSED=1, NOT_SINGLE_OBJECT=1)
    police = AgencyCount(4, 1, aside, repeats=1, permitted=permitted.total(), refused=refused)
    assert found.agencies == {"fordshire-police": police}
    assert found.partners == {p: PartnerCount(permitted=n, on_topic=n, handed_over=n) for p, n in permitted.items()}
    assert found.findings == []
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["adds_up"], said["findings"]) == (True, [])
    assert said["agencies"]["fordshire-police"]["set_aside"] == aside
    assert story.REFUGE not in done.stdout
    assert "Hart" not in done.stdout + done.stderr


@dataclass
class Trail:
    """Topics of one agency and two partners, written by hand."""

    connection: Connection
    outbound: Writer
    worker_writes: Writer
    partition: int

    async def write(self, topic: str, value: bytes, *, key: str = "key", headers: Any = ()) -> Origin:
        message = Message(topic, key.encode(), value, headers, self.partition)
        [(partition, offset)] = await self.outbound.send_all([message])
        return Origin(topic=topic, partition=partition, offset=offset)

    async def publish(self, event_id: str) -> tuple[Origin, str]:
        """An event of these bytes: (where it stands, its digest)."""
        value = b"bytes of " + event_id.encode()
        return await self.write("in.police", value, headers=[("ce_id", event_id.encode())]), KEY.digest(value)

    async def decide(
        self, event_id: str, origin: Origin, digest: str, *views: bytes, at: datetime | None = None
    ) -> None:
        """Permit the school one notification for each view, and refuse the GP."""
        permits = [
            answer(
                "school", Outcome.PERMIT, f"note-{event_id}-{n}", KEY.digest(codec.encode_record(note(event_id, n, v)))
            )
            for n, v in enumerate(views)
        ]
        record = self.decision(event_id, origin, digest, *permits, at=at)
        message = Message(topics.DECISIONS, event_id.encode(), codec.encode_record(record), (), self.partition)
        await self.worker_writes.send_as_one([message])

    def decision(
        self, event_id: str, origin: Origin, digest: str, *permits: Answer, at: datetime | None = None
    ) -> DecisionRecord:
        return DecisionRecord(
            event_id=event_id,
            event_type="police.encompass.v1",
            lifecycle="NEW",
            source="police",
            purpose="safeguarding",
            origin=origin,
            input_digest=digest,
            rules_digest="rules",
            register_offset=0,
            decided_at=at or utc_now(),
            answers=(*permits, answer("gp", Outcome.REFUSE, None, None)),
        )

    async def send(self, event_id: str, view: bytes, *, n: int = 0, partner: str = "school") -> None:
        await self.write(topics.notifications_for(partner), codec.encode_record(note(event_id, n, view)))

    async def receipt(self, event_id: str, view: bytes, stage: Stage = Stage.HANDED_OVER, *, n: int = 0) -> None:
        digest = KEY.digest(codec.encode_record(note(event_id, n, view)))
        found = Receipt(
            notification_id=f"note-{event_id}-{n}",
            event_id=event_id,
            partner="school",
            transport="folder",
            stage=stage,
            attempt=1,
            at=utc_now(),
            answer="ok",
            reason="",
            subject_token="token",
            purpose="safeguarding",
            consent_meaning=None,
            output_digest=digest,
        )
        await self.write(topics.receipts_from("school"), codec.encode_record(found))

    async def set_aside(self, origin: Origin, reason: str) -> None:
        entry = Quarantined(
            quarantine_id=str(uuid.uuid4()),
            reason=reason,
            detail="",
            at=utc_now(),
            size=1,
            sealed=b"",
            **origin.model_dump(),
        )
        await self.write(topics.QUARANTINE, codec.encode_record(entry))

    async def whole(self, event_id: str) -> tuple[Origin, str]:
        published = await self.publish(event_id)
        await self.decide(event_id, *published, b"view")
        await self.send(event_id, b"view")
        await self.receipt(event_id, b"view")
        return published

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Commit as a worker does that has finished with everything before an offset."""
        consumer = AIOKafkaConsumer(group_id=GROUP, enable_auto_commit=False, **self.connection.consumer_settings())
        await consumer.start()
        tp = TopicPartition("in.police", self.partition)
        consumer.assign([tp])
        try:
            yield lambda offset: consumer.commit({tp: offset})
        finally:
            await consumer.stop()


def answer(partner: str, outcome: Outcome, notification_id: str | None, digest: str | None) -> Answer:
    return Answer(
        decision_id="decision",
        recipient=partner,
        subject_token="token",
        interest="CARE",
        outcome=outcome,
        reasons=(),
        agreement_id=None,
        agreement_version=None,
        flow=None,
        basis=None,
        purpose="safeguarding",
        consent_state=None,
        consent_offset=None,
        released=(),
        withheld=(),
        call=None,
        notification_id=notification_id,
        output_digest=digest,
    )


def note(event_id: str, n: int, view: bytes) -> Notification:
    return Notification(
        notification_id=f"note-{event_id}-{n}",
        decision_id="decision",
        event_id=event_id,
        event_type="police.encompass.v1",
        lifecycle="NEW",
        recipient="school",
        publisher="police",
        purpose="safeguarding",
        urgency="PRIORITY",
        subject_token="token",
        agreement_id="agreement",
        agreement_version=1,
        flow="flow",
        consent_meaning=None,
        labels=(),
        restricted=False,
        decided_at=datetime(2026, 11, 22, tzinfo=UTC),
        view_schema="schema",
        view=view,
    )


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def own_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What is planted here would stop a worker of other tests."""
    with open_broker(request.param, data_dir=tmp_path_factory.mktemp(f"reconcile-{request.param}")) as broker:
        make_topics(broker, topics.table(["police"], ["school", "gp"]))
        yield broker


@asynccontextmanager
async def trail(broker: Any, partition: int = 0) -> AsyncIterator[Trail]:
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    try:
        async with as_worker(connection) as worker_writes:
            yield Trail(connection, outbound, worker_writes, partition)
    finally:
        await outbound.stop()


async def test_every_fault_on_the_topics_is_named_and_nothing_else(own_broker: Any) -> None:
    kinds = ("earlier", "whole", "lost", "unsent", "twice", "other", "aside", "repeat", "waiting", "from_nothing")
    ids = {kind: str(uuid.uuid4()) for kind in kinds}
    async with trail(own_broker) as t:
        earlier = await t.whole(ids["earlier"])
        await asyncio.sleep(0.01)  # the broker's clock has milliseconds
        since = utc_now()
        await t.whole(ids["whole"])
        lost, _ = await t.publish(ids["lost"])
        await t.decide(ids["unsent"], *await t.publish(ids["unsent"]), b"view")
        twice = await t.publish(ids["twice"])
        await t.decide(ids["twice"], *twice, b"view")
        await t.send(ids["twice"], b"view")
        await t.receipt(ids["twice"], b"view", Stage.WAITING)
        await t.decide(ids["twice"], *twice, at=utc_now() + timedelta(seconds=1))
        await t.decide(ids["other"], *await t.publish(ids["other"]), b"view", b"second")
        await t.send(ids["other"], b"changed")
        await t.send(ids["other"], b"second", n=1)
        await t.receipt(ids["other"], b"changed", n=1)
        both = await t.publish(ids["aside"])
        await t.decide(ids["aside"], *both)
        await t.set_aside(both[0], "ID_REUSED")
        await t.set_aside((await t.publish(ids["repeat"]))[0], "EMPTY")
        await t.publish(ids["whole"])
        await t.send("foreign", b"view")
        await t.send(ids["whole"], b"view", partner="gp")
        await t.receipt("unknown", b"view")
        # By somebody who has a worker's certificate: about nothing, and again about an event from before the span.
        await t.decide(ids["from_nothing"], Origin(topic="in.police", partition=0, offset=10_000), "x", b"view")
        await t.send(ids["from_nothing"], b"view")
        await t.receipt(ids["from_nothing"], b"view")
        await t.decide(ids["earlier"], *earlier, b"another", at=utc_now() + timedelta(seconds=1))
        # One that permits what nobody decided, by somebody who may not write under the worker's id.
        forged = await t.write(topics.DECISIONS, codec.encode_record(t.decision("forged", twice[0], "x")))
        stray = await t.write("out.gp", b"no notification")
        last, _ = await t.publish(ids["waiting"])
        async with t.worker() as commit:
            await commit(last.offset)
        found = await count(t.connection, since, KEY, now=utc_now() + timedelta(minutes=2))

    named = sorted((f.code, f.id, f.event_id, f.who) for f in found.findings)
    assert named == sorted(
        [
            (Discrepancy.NO_ORIGIN, ids["from_nothing"], ids["from_nothing"], "police"),
            (Discrepancy.UNEXPECTED, f"note-{ids['from_nothing']}-0", ids["from_nothing"], "school"),
            (Discrepancy.TWO_DECISIONS, ids["earlier"], ids["earlier"], "police"),
            (Discrepancy.LOST, ids["lost"], ids["lost"], "police"),
            (Discrepancy.NOT_SENT, f"note-{ids['unsent']}-0", ids["unsent"], "school"),
            (Discrepancy.TWO_DECISIONS, ids["twice"], ids["twice"], "police"),
            (Discrepancy.OTHER_BYTES, f"note-{ids['other']}-0", ids["other"], "school"),
            (Discrepancy.HANDED_OVER_OTHER_BYTES, f"note-{ids['other']}-1", ids["other"], "school"),
            (Discrepancy.DECIDED_AND_SET_ASIDE, f"in.police/0/{both[0].offset}", "", "police"),
            (Discrepancy.UNEXPECTED, "note-foreign-0", "foreign", "school"),
            (Discrepancy.UNEXPECTED, f"note-{ids['whole']}-0", ids["whole"], "gp"),
            (Discrepancy.UNKNOWN_RECEIPT, "note-unknown-0", "unknown", "school"),
            (Discrepancy.UNREADABLE, f"decisions/0/{forged.offset}", "", ""),
            (Discrepancy.UNREADABLE, f"out.gp/0/{stray.offset}", "", ""),
        ]
    )
    assert found.findings[0].code is Discrepancy.NO_ORIGIN
    assert next(f.where for f in found.findings if f.code is Discrepancy.LOST) == f"in.police/0/{lost.offset}"
    assert found.agencies == {
        "police": AgencyCount(9, 5, Counter(EMPTY=1), repeats=1, waiting=1, lost=1, permitted=5, refused=5)
    }
    assert found.partners == {
        "school": PartnerCount(permitted=5, on_topic=4, not_sent=1, handed_over=2, waiting=1, no_receipt=1)
    }
    assert found.noted == Noted(oldest_waiting_at=found.noted.oldest_waiting_at)


async def test_only_what_was_published_in_the_span_is_counted(own_broker: Any) -> None:
    """`--to` cuts what was published, not what follows from it."""
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    async with trail(own_broker) as t:
        since = utc_now()
        await asyncio.sleep(0.01)
        origin = await t.publish(first)
        await asyncio.sleep(0.01)
        until = utc_now()
        await asyncio.sleep(0.01)
        await t.decide(first, *origin, b"view")
        await t.send(first, b"view")
        await t.receipt(first, b"view")
        await t.whole(second)
        asked = Asked(since, until, GRACE, GROUP)
        found = await reconcile(t.connection, asked, key=KEY.digests, clock=utc_now, progress=nothing)

    assert found == Account(
        {"police": AgencyCount(1, 1, permitted=1, refused=1)},
        {"school": PartnerCount(permitted=1, on_topic=1, handed_over=1)},
    )


def release(due: asyncio.Semaphore, number: int) -> None:
    for _ in range(number):
        due.release()


async def test_what_happens_while_it_counts_is_in_flight_and_never_lost(own_broker: Any) -> None:
    """Traffic goes on while the ends are fixed; whenever that is, everything adds up."""
    connection, stop = Connection(own_broker.bootstrap), asyncio.Event()
    # Not as many as there is time for: on a machine where counting is slower than publishing it would never end.
    due = asyncio.Semaphore(0)
    await asyncio.sleep(0.01)
    since = utc_now()

    async def traffic(partition: int) -> None:
        async with trail(own_broker, partition) as t, t.worker() as commit:
            while await due.acquire() and not stop.is_set():
                event_id = str(uuid.uuid4())
                origin, digest = await t.publish(event_id)
                await t.decide(event_id, origin, digest, b"view")
                await t.send(event_id, b"view")
                await commit(origin.offset + 1)
                await t.receipt(event_id, b"view")

    async with asyncio.TaskGroup() as group:
        for partition in range(topics.PARTITIONS):
            group.create_task(traffic(partition))
        # Often enough: each of them catches the traffic at another moment.
        counted = []
        for _ in range(10):
            release(due, 50 * topics.PARTITIONS)
            counted.append(await count(connection, since, KEY))
        stop.set()
        release(due, topics.PARTITIONS)
    after = await count(connection, since, KEY)

    assert [(c.adds_up(), c.findings) for c in [*counted, after]] == [(True, [])] * 11
    assert after.agencies["police"].published > counted[0].agencies.get("police", AgencyCount()).published
    assert after.agencies["police"].waiting == 0


@pytest.mark.parametrize("own_broker", ["kafka"], indirect=True)
async def test_a_decision_that_is_acknowledged_and_not_seen_yet_is_waited_for(own_broker: Any) -> None:
    """A broker acknowledges a commit before readers see it, and what follows from it may be seen first."""
    event_id, since = str(uuid.uuid4()), utc_now()
    async with trail(own_broker) as t:
        await asyncio.sleep(0.01)
        origin, digest = await t.publish(event_id)
        producer = await t.worker_writes._usable()
        await producer.begin_transaction()
        t.worker_writes.send_as_one = t.worker_writes.send_all  # type: ignore[method-assign]  # within this one
        await t.decide(event_id, origin, digest, b"view")
        await t.send(event_id, b"view")
        await t.receipt(event_id, b"view")
        counting = asyncio.ensure_future(count(t.connection, since, KEY))
        assert await asyncio.wait([counting], timeout=2) == (set(), {counting})
        await producer.commit_transaction()
        found = await counting

    assert (found.adds_up(), found.partners["school"].handed_over) == (True, 1)


async def test_no_broker_is_exit_code_4(tmp_path: Any) -> None:
    key_files.init(tmp_path)
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "127.0.0.1:1"}
    words = [sys.executable, "-m", "safebus.deploy.cli", "reconcile"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stdout) == (4, "")


@pytest.mark.parametrize("form", ["table", "csv", "json"])
async def test_the_command_names_a_fault_in_every_form_and_ends_with_3(
    own_broker: Any, tmp_path: Any, form: str
) -> None:
    event_id, since = str(uuid.uuid4()), utc_now()
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "person.key").write_bytes(KEY.secret)
    (tmp_path / "keys" / "person.key").chmod(0o600)
    async with trail(own_broker) as t:
        await asyncio.sleep(0.01)
        await t.whole(event_id)
        await t.send(event_id, b"changed")
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": own_broker.bootstrap, "COLUMNS": "200"}
    words = [sys.executable, "-m", "safebus.deploy.cli", "reconcile", "--from", since.isoformat(), "-o", form]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)

    assert done.returncode == 3, done.stderr
    assert (f"note-{event_id}-0" in done.stdout, "OTHER_BYTES" in done.stdout) == (True, True)
    assert "does not add up: 1 OTHER_BYTES" in done.stderr


@pytest.mark.parametrize("own_broker", ["kafka"], indirect=True)
async def test_what_was_deleted_is_named(own_broker: Any) -> None:
    """The last one here: what it deletes is missed from then on."""
    since = utc_now()
    admin = AdminClient({"bootstrap.servers": own_broker.bootstrap})
    async with trail(own_broker) as t:
        await t.whole(str(uuid.uuid4()))
        last, _ = await t.whole(str(uuid.uuid4()))
        begins = {("receipts.school", 0): 1, ("in.police", 0): last.offset}
        done = admin.delete_records([Deleted(*where, offset) for where, offset in begins.items()])
        for each in done.values():
            each.result(30)
        found = await count(t.connection, since, KEY)

    cut = [(f.id, f.what) for f in found.findings if f.code is Discrepancy.CUT]
    what = "`receipts.school` is kept for ever, and partition 0 begins at offset 1: what was before is gone"
    assert cut == [("receipts.school/0/1", what)]
    assert [*found.noted.events_kept_since] == ["in.police/0"]
    assert found.noted.event_no_longer_kept == 1
    assert not found.adds_up()
