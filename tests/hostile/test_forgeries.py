"""
With the certificate and the keys of one role, every lie is told that its rights allow, on a running bus.

After each lie the police publish, and two partners must have it: nothing of theirs is lost, stopped, or believed of
somebody else. And it is noticed, by what each test names; what is not noticed is a test, too, and says so.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from a_secured_bus import HAVEN, SCHOOL, SecuredBus, incident, open_secured_bus
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from safebus.deploy.service import key_files
from safebus.deploy.service.operations import Act, put_on_record
from safebus.deploy.service.settings import Settings
from safebus.schemas import codec, headers, topics
from safebus.schemas.bus_records import BusRecord, Notification, Operation, Quarantined, Receipt, Stage
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.offsets import Offsets
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.write import under
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.decision_log import TRANSACTIONAL_ID

pytestmark = pytest.mark.flow

HOUSING, POLICE = "fordshire-housing", "fordshire-police"
MARKS = headers.cloud_event(id="x", source="x", type="x")


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBus]:
    with open_secured_bus(tmp_path_factory.mktemp("forgeries"), importers=[HOUSING]) as running:
        yield running


def stolen(bus: SecuredBus, certificate: str, role: str | None = None) -> Settings:
    """What a thief holds: the certificate of this name, and the keys of the role in a home of their own."""
    home = bus.folder / f"thief-{certificate}"
    if role is not None:
        key_files.export(bus.home, role, home)
    return bus.secured.settings(certificate, home=home)


async def write(thief: Settings, topic: str, *values: bytes | BusRecord, marks: Any = MARKS) -> list[str]:
    """Write these, whatever they are; returns where they stand."""
    outbound = Writer(thief.connection(), client_id="thief")
    await outbound.start()
    try:
        written = await outbound.send_all(
            Message(topic, b"k", v if isinstance(v, bytes) else codec.encode_record(v), marks, 0) for v in values
        )
    finally:
        await outbound.stop()
    return [f"{topic}/{partition}/{offset}" for partition, offset in written]


async def all_hear(bus: SecuredBus) -> str:
    """The police publish, and both have it; returns the event's id."""
    event_id = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, event_id)
    await bus.until_delivered(HAVEN, event_id)
    return event_id


def findings(bus: SecuredBus, since: datetime) -> set[tuple[str, str]]:
    """What `safebus reconcile` names since then: code, and the place or the partner."""
    done = bus.run("reconcile", "--from", since.isoformat(), "--grace", "0", "-o", "json", name="auditor")
    return {(f["code"], f["where"]) for f in json.loads(done.stdout)["findings"]}


def receipt(partner: str, *, notification_id: str, event_id: str, digest: str = "0" * 64) -> Receipt:
    """That an alert was handed over."""
    return Receipt(
        notification_id=notification_id,
        event_id=event_id,
        partner=partner,
        transport="folder",
        stage=Stage.HANDED_OVER,
        attempt=1,
        at=datetime.now(UTC),
        answer="ok",
        reason="",
        subject_token="0" * 32,
        purpose="safeguarding",
        consent_meaning=None,
        output_digest=digest,
    )


async def notifications(who: Settings, partner: str) -> list[tuple[Notification, bytes]]:
    found = [m.value async for m in read_topic(who.connection(), topics.notifications_for(partner))]
    return [(codec.decode_record(value, Notification), value) for value in found]


async def test_an_agencys_credential_speaks_for_no_other_agency(bus: SecuredBus) -> None:
    """Noticed by the worker at once: in quarantine as WRONG_SOURCE, counted; and by `operations list`."""
    thief, forged = stolen(bus, HOUSING), incident()

    await write(thief, topics.published_by(HOUSING), codec.encode(forged), b"junk")
    [place] = await write(thief, topics.OPERATIONS, b"junk")

    await all_hear(bus)

    async def counted() -> bool:
        by_reason = await bus.metric("safebus_quarantined_total")
        return by_reason["WRONG_SOURCE",] == 1

    await bus.until(counted, "the forged event to be set aside")
    assert not bus.delivered(SCHOOL, forged.event_id) and not bus.delivered(HAVEN, forged.event_id)
    assert place in bus.run("operations", "list", name="auditor").stderr


async def test_an_agencys_credential_takes_nothing_off_the_lists_that_operators_look_at(bus: SecuredBus) -> None:
    """It may write to `operations`, for what it does itself; `operations list` shows that it tried."""
    thief = stolen(bus, HOUSING)
    await write(thief, topics.published_by(HOUSING), b"junk of this test's own")

    def listed() -> dict[str, str]:
        rows = json.loads(bus.run("quarantine", "list", "-o", "json", name="auditor").stdout)
        return {row["quarantine_id"]: row["state"] for row in rows if row["size"] == len(b"junk of this test's own")}

    async def is_there() -> bool:
        return bool(listed())

    await bus.until(is_there, "it to be set aside")
    [mine] = listed()
    act = Act("quarantine close", (mine,), "nothing to see here")
    operation = await put_on_record(thief, act, clock=lambda: datetime.now(UTC))
    seen = listed()
    closing = ("quarantine", "close", mine, "--execute", "--reason", "I rang them")
    closed = bus.run(*closing, name="op-anna")

    assert seen == {mine: "open"}
    tried = json.loads(bus.run("operations", "list", "--about", mine, "-o", "json", name="auditor").stdout)
    assert [(row["operation_id"], row["who"]) for row in tried][:1] == [(operation.operation_id, HOUSING)]
    assert (closed.returncode, listed()) == (0, {}), closed.stderr


async def test_an_agencys_credential_speaks_for_that_agency_and_nobody_can_tell(bus: SecuredBus) -> None:
    """Not noticed: a signature of the publisher is to come, and whoever stole its key as well could still sign."""
    thief = stolen(bus, POLICE)
    forged = incident()

    await write(thief, topics.published_by(POLICE), codec.encode(forged))

    await bus.until_delivered(SCHOOL, forged.event_id)
    await all_hear(bus)


async def test_an_importers_credential_can_say_that_anothers_event_was_set_aside_and_it_goes_out_all_the_same(
    bus: SecuredBus,
) -> None:
    """Noticed by `reconcile`: it was decided as well, or the bus did not write it."""
    since, thief = datetime.now(UTC), stolen(bus, f"importer-{HOUSING}", "importer")
    event_id = await all_hear(bus)
    origin = json.loads(bus.run("explain", event_id, "-o", "json", name="auditor").stdout)
    stands = next(f"{o['topic']}/{o['partition']}/{o['offset']}" for o in _origins(origin))
    topic, partition, offset = stands.rsplit("/", 2)
    forged = Quarantined(
        quarantine_id=str(uuid.uuid4()),
        reason="TRUNCATED",
        detail="x",
        topic=topic,
        partition=int(partition),
        offset=int(offset),
        at=datetime.now(UTC),
        size=1,
        sealed=b"",
    )

    [_, junk] = await write(thief, topics.QUARANTINE, forged, b"junk")
    [wrong] = await write(thief, topics.published_by(HOUSING), codec.encode(incident()))

    await all_hear(bus)
    found = findings(bus, since)
    assert {code for code, _ in found} == {"DECIDED_AND_SET_ASIDE", "UNREADABLE"}
    assert ("UNREADABLE", junk) in found
    assert (await bus.metric("safebus_quarantined_total"))["WRONG_SOURCE",] >= 1, wrong


def _origins(found: Any) -> Iterator[dict[str, Any]]:
    """Wherever it says where the event stands."""
    if isinstance(found, dict):
        if {"topic", "partition", "offset"} <= found.keys() and str(found["topic"]).startswith("in."):
            yield found
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from _origins(each)


async def test_an_adapters_credential_says_nothing_about_anothers_deliveries(bus: SecuredBus) -> None:
    """Noticed by the delivery process (log, metric, alert) and by `reconcile`, each by its place."""
    since, thief = datetime.now(UTC), stolen(bus, f"adapter-{HAVEN}", "adapter")
    await all_hear(bus)
    told = [n for n, _ in await notifications(bus.secured.settings("auditor"), SCHOOL)]
    of_school = receipt(SCHOOL, notification_id=told[-1].notification_id, event_id=told[-1].event_id)
    of_nothing = receipt(HAVEN, notification_id=str(uuid.uuid4()), event_id=str(uuid.uuid4()))

    places = await write(thief, topics.receipts_from(HAVEN), b"junk", of_school, of_nothing)
    await write(thief, topics.parked_for(HAVEN), b"junk")

    bus.end("deliver")
    bus.start_delivery(SCHOOL, HAVEN)  # its memory is what stands on receipts
    await all_hear(bus)
    strange = await bus.metric("safebus_strange_records_total", "deliver")
    assert {who: n for who, n in strange.items() if n} == {(HAVEN, "receipts"): 2}
    assert '"reason": "NOT_THIS_TOPICS"' in bus.log("deliver")
    assert {("UNREADABLE", places[0]), ("UNREADABLE", places[1]), ("UNKNOWN_RECEIPT", places[2])} <= findings(
        bus, since
    )
    parked = bus.run("parked", "list", HAVEN, name="op-anna")
    assert "parked.haven/0/" in parked.stderr
    with pytest.raises(BadInput):
        thief.person_key()


async def test_an_adapters_credential_can_hide_an_alert_from_its_own_partner_and_no_other(bus: SecuredBus) -> None:
    """
    Not noticed by the bus: who delivers for a partner is believed about that partner. Only the partner's own word
    (collected, seen) can say otherwise.
    """
    since, thief = datetime.now(UTC), stolen(bus, f"adapter-{HAVEN}", "adapter")
    bus.end("deliver")
    bus.start_delivery(SCHOOL)
    hidden = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, hidden)
    await bus.until(lambda: _sent(thief, hidden), "it to be on the topic of haven")
    forged = [
        receipt(
            HAVEN,
            notification_id=n.notification_id,
            event_id=hidden,
            digest=thief.digest_key().digest(value),
        )
        for n, value in await notifications(thief, HAVEN)
        if n.event_id == hidden
    ]
    await write(thief, topics.receipts_from(HAVEN), *forged)
    bus.end("deliver")
    bus.start_delivery(SCHOOL, HAVEN)

    await all_hear(bus)
    assert not bus.delivered(HAVEN, hidden)
    assert findings(bus, since) == set()


async def test_offsets_that_a_stolen_credential_moves_make_only_its_own_wait(bus: SecuredBus) -> None:
    """
    While somebody is in the group the broker lets nobody else move its offsets. While nobody is, a worker's credential
    can make the next worker leave out what waits: `reconcile` says LOST. An adapter's can make what is on its partner's
    topic wait, and nobody else's: `reconcile` says NO_RECEIPT.
    """
    since = datetime.now(UTC)
    await all_hear(bus)
    worker, haven = stolen(bus, "worker"), stolen(bus, f"adapter-{HAVEN}")
    assert await moved_to_the_end(worker, GROUP, topics.published_by(POLICE)) is False
    assert await moved_to_the_end(haven, f"adapter-{HAVEN}", topics.notifications_for(HAVEN)) is False

    bus.end("worker")
    lost = await bus.publish(incident())
    assert await moved_to_the_end(worker, GROUP, topics.published_by(POLICE))
    bus.start_worker()
    bus.end("deliver")
    bus.start_delivery(SCHOOL)
    late = await bus.publish(incident())
    await bus.until_delivered(SCHOOL, late)
    await bus.until(lambda: _sent(haven, late), "it to be on the topic of haven")
    assert await moved_to_the_end(haven, f"adapter-{HAVEN}", topics.notifications_for(HAVEN))
    bus.end("deliver")
    bus.start_delivery(SCHOOL, HAVEN)

    await all_hear(bus)
    assert not bus.delivered(SCHOOL, lost) and not bus.delivered(HAVEN, late)
    done = bus.run("reconcile", "--from", since.isoformat(), "--grace", "0", "-o", "json", name="auditor")
    found = json.loads(done.stdout)
    assert [(f["code"], f["who"]) for f in found["findings"]] == [("NO_RECEIPT", HAVEN), ("LOST", POLICE)]
    assert found["partners"][HAVEN]["no_receipt"] == 1


async def moved_to_the_end(thief: Settings, group: str, topic: str) -> bool:
    """As if all of a topic had been dealt with; False: the broker does not take it."""
    async with Offsets(thief.connection()) as asked:
        ends = await asked.ends_of(Partition(topic, number) for number in range(topics.PARTITIONS))
    places = [TopicPartition(place.topic, place.number, end) for place, end in ends.items()]
    admin = AdminClient({**thief.admin_client(), "log_level": 0})
    [future] = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]).values()
    done = await asyncio.to_thread(future.result, 30)
    return all(place.error is None for place in done.topic_partitions)


async def _sent(who: Settings, event_id: str) -> bool:
    return any(n.event_id == event_id for n, _ in await notifications(who, HAVEN))


async def test_an_auditors_credential_acts_in_nobody_elses_name(bus: SecuredBus) -> None:
    """Noticed by `operations list`: NOT_SIGNED."""
    thief = stolen(bus, "auditor", "auditor")
    forged = Operation(
        operation_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
        certificate="op-anna",
        system_user="anna",
        what="explain",
        about=("x",),
        number=1,
        reason="it was her",
    )
    value = codec.encode_record(forged)
    signer = thief.signer()
    assert signer is not None
    signed = [*MARKS, (headers.CERTIFICATE, signer.certificate), (headers.SIGNATURE, signer.sign(value))]

    [bare] = await write(thief, topics.OPERATIONS, value)
    [by_another] = await write(thief, topics.OPERATIONS, value, marks=signed)

    await all_hear(bus)
    listed = bus.run("operations", "list", "-o", "json", name="op-anna")
    assert "it was her" not in listed.stdout
    assert f"{bare} (NOT_SIGNED)" in listed.stderr and f"{by_another} (NOT_SIGNED)" in listed.stderr


async def test_a_workers_credential_is_noticed_in_what_it_sends_and_decides(bus: SecuredBus) -> None:
    """
    The worker is who decides, so this is the worst to lose. A decision in no transaction is believed by nobody; what it
    sends goes out, and `reconcile` names it UNEXPECTED: treat it as a disclosure.
    """
    since, thief = datetime.now(UTC), stolen(bus, "worker", "worker")
    before = await all_hear(bus)
    sent, _ = next(
        (n, v) for n, v in await notifications(bus.secured.settings("auditor"), HAVEN) if n.event_id == before
    )
    forged = sent.model_copy(update={"notification_id": str(uuid.uuid4()), "event_id": str(uuid.uuid4())})
    decided = [m.value async for m in read_topic(thief.connection(), topics.DECISIONS)]

    [lie] = await write(thief, topics.notifications_for(HAVEN), forged)
    [no_decision] = await write(thief, topics.DECISIONS, decided[-1])

    await all_hear(bus)
    await bus.until_delivered(HAVEN, forged.event_id)
    found = findings(bus, since)
    assert ("UNEXPECTED", lie) in found and ("UNREADABLE", no_decision) in found


async def test_a_workers_credential_that_takes_over_stops_the_worker_which_says_so_and_loses_nothing(
    bus: SecuredBus,
) -> None:
    """Noticed at once: the worker ends and says that another writes in its place; whoever starts it again goes on."""
    thief = stolen(bus, "worker", "worker")
    await all_hear(bus)
    for partition in range(topics.PARTITIONS):
        usurper = Writer(thief.connection(), client_id="thief", transactional_id=f"{TRANSACTIONAL_ID}{partition}")
        await usurper.start()
        await usurper.stop()
    event_id = await bus.publish(incident())
    worker = bus.children.pop("worker")

    assert await asyncio.to_thread(worker.wait, 90) != 0
    assert "another process has started in our place" in failure(bus, "worker")
    bus.start_worker()
    await bus.until_delivered(SCHOOL, event_id)
    await bus.until_delivered(HAVEN, event_id)
    await all_hear(bus)


def failure(bus: SecuredBus, process: str) -> str:
    """The line that says what ended it."""
    return next(line for line in reversed(bus.log(process).splitlines()) if f'"{process}.failed"' in line)


@pytest.fixture
def lost_bus(tmp_path: Path) -> Iterator[SecuredBus]:
    """One that nobody needs afterwards."""
    with open_secured_bus(tmp_path) as running:
        yield running


async def test_a_registrars_credential_stops_the_bus_aloud_and_discloses_nothing(lost_bus: SecuredBus) -> None:
    """
    Noticed within seconds: a worker ends and names the place, a delivery process is not ready. Nothing is decided by a
    register that nobody understands, and what is published meanwhile waits where it stands. A record that is understood
    is believed: who writes the register is who says what may be shared, and `operations` has nothing beside it.
    """
    bus = lost_bus
    thief = stolen(bus, "registrar", "registrar")
    await all_hear(bus)

    [place] = await write(
        thief, topics.REGISTER, b"a record that makes no sense", marks=[*MARKS, *under(thief.person_key())]
    )
    worker = bus.children.pop("worker")
    waiting = await bus.publish(incident())

    assert await asyncio.to_thread(worker.wait, 90) != 0
    assert f"register offset {place.rpartition('/')[2]} is not understood" in failure(bus, "worker")

    async def not_ready() -> bool:
        return bool(json.loads(await bus.ask("readyz", "deliver"))["status"] == "fail")

    await bus.until(not_ready, "the delivery process not to be ready")
    assert not bus.delivered(SCHOOL, waiting) and not bus.delivered(HAVEN, waiting)
