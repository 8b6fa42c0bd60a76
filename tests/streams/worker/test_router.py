"""What becomes of a batch, on both brokers, with a new router wherever a process would have been killed."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from a_pieces import in_blocks_of
from a_register import demo, share
from a_router import KEY, NOON, POLICE, demo_entries, load_demo, running
from pydantic import model_validator
from structlog.testing import capture_logs

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.producers.publisher import Messages
from safebus.schemas import codec
from safebus.schemas.bus_records import DecisionRecord, Outcome
from safebus.schemas.errors import BadRegister, NotReachable
from safebus.schemas.events import EVENT_CLASSES, Lifecycle, OperationEncompass, PersonRole
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import RegisterReader, current_register
from safebus.streams.register.write import as_records, consent_record, under, write_records
from safebus.streams.rules import decision, notifications, release
from safebus.streams.rules.consent import ConsentEntry, Meaning, State
from safebus.streams.rules.reasons import Code, Rule, why
from safebus.streams.rules.views import view_of
from safebus.streams.worker import router


@pytest.fixture
async def connection(broker: Broker) -> Connection:
    return await load_demo(broker)


NOBODY_THERE = story.incident().payload.with_(children=())


def incident(**changes: Any) -> OperationEncompass:
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4()), **changes})


async def suspend(connection: Connection, partner: str, *, suspended: bool) -> None:
    """A change of the register that changes the next decision."""
    found = (await current_register(connection)).partners[partner]
    entry = Entry(f"partner/{partner}", "partner", found.model_copy(update={"suspended": suspended}), "test")
    await write_records(connection, as_records([entry], at=NOON, by="test", reason="test"), key=KEY)


async def test_a_register_change_acknowledged_before_the_batch_counts_for_it(connection: Connection) -> None:
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await suspend(connection, "haven", suspended=True)
        await worker.handle(offset)
        await suspend(connection, "haven", suspended=False)

        answers = {a.recipient: a.outcome for a in (await worker.decision(event.event_id)).answers}
    assert answers["haven"] is Outcome.REFUSE
    assert answers["ash-primary"] is Outcome.PERMIT


async def test_a_redo_decides_as_of_the_record_though_register_and_clock_have_moved(connection: Connection) -> None:
    """Killed after the outputs and before the commit: the successor gives the same record and the same bytes."""
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)
        first = await worker.sent("haven", event.event_id)
    await suspend(connection, "haven", suspended=True)
    async with running(connection, now=NOON + timedelta(days=1)) as successor:
        await successor.handle(offset)
        again = await successor.sent("haven", event.event_id)
        records = await successor.decisions(event.event_id)
        counts = successor.router.counts
    await suspend(connection, "haven", suspended=False)

    assert len(first) == 1
    assert again == [*first, *first]
    assert len(records) == 1
    assert (counts.redone, counts.decided) == (1, 0)


async def test_a_decision_whose_outputs_were_never_sent_is_carried_out_by_the_redo(connection: Connection) -> None:
    """Killed between the decision's acknowledgement and its outputs: nothing is lost."""
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        worker.router._outgoing = NoOutputs()  # type: ignore[assignment]  # the process dies here
        with pytest.raises(Killed):
            await worker.handle(offset)
        before = await worker.sent("ash-primary", event.event_id)
    async with running(connection, now=NOON + timedelta(hours=1)) as successor:
        await successor.handle(offset)
        after = await successor.sent("ash-primary", event.event_id)
        record = await successor.decision(event.event_id)

    assert before == []
    assert [KEY.digest(value) for value in after] == [
        a.output_digest for a in record.answers if a.recipient == "ash-primary"
    ]
    assert record.decided_at == NOON


class Killed(Exception):
    """Where a SIGKILL would be."""


class NoOutputs:
    """The process ends where the first output would be sent."""

    async def send(self, messages: list[Message]) -> None:
        raise Killed


class Stricter(OperationEncompass):
    """The same type of event in a release that takes none of them."""

    @model_validator(mode="after")
    def _takes_none(self) -> Stricter:
        raise ValueError("refused by a later release")


def change_the_rules(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """What an upgrade between crash and restart can change."""
    if how == "refuses everyone":
        monkeypatch.setattr(decision, "kept_out", lambda _stands, who: [why(Code.ADVERSARY, who)])
    elif how == "releases nothing":
        monkeypatch.setattr(release, "_PLANS", {})
        monkeypatch.setattr(release, "rule_for", lambda *_args, **_how: (Rule.NOT_NAMED, False))
    else:
        monkeypatch.setitem(EVENT_CLASSES, Stricter.TYPE, Stricter)


@pytest.mark.parametrize("changed", ["refuses everyone", "releases nothing", "does not take the event"])
async def test_a_redo_under_other_rules_carries_out_what_is_on_record(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """A crash once decisions are committed, a restart under changed rules: what is sent has the bytes on record."""
    event = incident()
    async with running(connection, rules_digest="old rules") as worker:
        offset = await worker.publish(codec.encode(event))
        worker.router._outgoing = NoOutputs()  # type: ignore[assignment]  # the process dies here
        with pytest.raises(Killed):
            await worker.handle(offset)
        [on_record] = await worker.decisions(event.event_id)
    change_the_rules(monkeypatch, changed)
    async with running(connection, now=NOON + timedelta(hours=1), rules_digest="new rules") as successor:
        await successor.handle(offset)
        records = await successor.decisions(event.event_id)
        record = await successor.decision(event.event_id)
        sent = {
            a.notification_id: await successor.sent(a.recipient, event.event_id)
            for a in record.answers
            if a.outcome is Outcome.PERMIT
        }
        quarantined = await successor.quarantined(offset)

    assert records == [on_record]
    assert {KEY.digest(value) for values in sent.values() for value in values} == {
        a.output_digest for a in record.answers if a.output_digest is not None
    }
    assert len(sent) == 7
    assert [q.reason for q in quarantined] == ["FOR_A_PERSON"]  # the suspect governs one of the schools


async def test_a_redo_that_cannot_make_the_same_bytes_goes_to_a_person(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that builds views in another way must not send a second truth."""
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)
    monkeypatch.setattr(notifications, "view_of", lambda schema, fields: view_of(schema, fields[1:]))
    async with running(connection) as successor:
        await successor.handle(offset)
        records = await successor.decisions(event.event_id)
        quarantined = await successor.quarantined(offset)

    assert len(records) == 1
    assert [q.reason for q in quarantined] == ["FOR_A_PERSON", "REDO_DIFFERS"]


async def test_what_no_record_could_hold_goes_to_a_person_and_the_next_is_decided(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small event about thirty children for fifteen hubs took 1.4 MB, and the broker's refusal ended the worker."""
    large = incident()
    children = tuple(c for c in large.payload.children if c.subject_ref == "ava")
    small = incident(subjects=large.subjects[:1], payload=large.payload.model_copy(update={"children": children}))
    async with running(connection) as worker:
        offsets = [await worker.publish(codec.encode(event)) for event in (large, small)]
        record = share(small, demo()).record
        monkeypatch.setattr(router, "MOST_BYTES", 2 * len(codec.encode_record(record)))
        await worker.handle(*offsets)
        quarantined = await worker.quarantined(offsets[0])
        decided = await worker.decision(small.event_id)

        assert await worker.decisions_now(large.event_id) == []
    assert [q.reason for q in quarantined] == ["DECISION_TOO_LARGE"]
    assert decided.event_id == small.event_id


async def test_another_event_where_a_decided_one_stood_is_decided(connection: Connection) -> None:
    """A topic that was made again has other events at the same offsets; their ids tell."""
    first, second = incident(), incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(first))
        await worker.handle(offset)
    async with running(connection) as successor:
        [record] = [m async for m in read_topic(connection, POLICE, partitions=[0]) if m.offset == offset]
        there_now = replace(record, value=codec.encode(second))
        await successor.router([(Partition(POLICE, 0), [there_now])], 1)

        assert (successor.router.counts.decided, successor.router.counts.redone) == (1, 0)
        assert len(await successor.decisions(second.event_id)) == 1


async def test_a_repeat_is_known_by_a_new_worker_too(connection: Connection) -> None:
    event = incident()
    async with running(connection) as worker:
        first = await worker.publish(codec.encode(event))
        second = await worker.publish(codec.encode(event))
        await worker.handle(first)
    async with running(connection) as successor:
        await successor.handle(second)

        assert successor.router.counts.repeats == 1
        assert len(await successor.decisions(event.event_id)) == 1


async def test_a_repeat_by_another_encoder_is_a_repeat(connection: Connection) -> None:
    """An agency changes its software and sends the day again: the same content, cut into other blocks."""
    event = incident()
    async with running(connection) as worker:
        offsets = [await worker.publish(value) for value in (in_blocks_of(event, 1), codec.encode(event))]
        offsets.append(await worker.publish(in_blocks_of(event, 2)))
        await worker.handle(*offsets)

        assert (worker.router.counts.decided, worker.router.counts.repeats) == (1, 2)
        assert [await worker.quarantined(offset) for offset in offsets[1:]] == [[], []]


async def test_events_under_two_case_secrets_are_decided_and_counted(connection: Connection) -> None:
    one, other = (Messages("fordshire-police", secret * 16) for secret in (b"1", b"2"))
    events = [incident() for _ in range(3)]
    async with running(connection) as worker:
        offsets = []
        for of, event in zip((one, other, one), events, strict=True):
            message = of.of(event, "case 1")
            offsets.append(await worker.publish(message.value, key=message.key or b"", headers=message.headers))
        with capture_logs() as logs:
            await worker.handle(*offsets)

        assert worker.router.counts.decided == 3
    told = [line for line in logs if line["event"] == "publisher.other_case_secret"]
    assert [(line["found"], line["expected"]) for line in told] == [(other.fingerprint, one.fingerprint)]


async def test_an_event_in_blocks_leads_to_the_decision_and_the_redo_that_it_has_without(
    connection: Connection,
) -> None:
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(in_blocks_of(event, 1))
        await worker.handle(offset)
        record = await worker.decision(event.event_id)
    async with running(connection) as successor:
        await successor.handle(offset)
        [first, again] = await successor.sent("haven", event.event_id)
        counts = successor.router.counts

    assert record.input_digest == KEY.digest(codec.encode(event))
    assert again == first
    assert (counts.redone, counts.decided) == (1, 0)


async def test_other_content_in_blocks_is_other_content(connection: Connection) -> None:
    event = incident()
    changed = event.model_copy(update={"purpose": "something_else"})
    async with running(connection) as worker:
        first, second = await worker.publish(in_blocks_of(event, 1)), await worker.publish(in_blocks_of(changed, 1))
        await worker.handle(first, second)
        [entry] = await worker.quarantined(second)

    assert entry.reason == "ID_REUSED"


async def test_an_event_about_someone_in_nobodys_care_is_decided_and_shown_to_a_person(connection: Connection) -> None:
    """A child whom nobody knows, and no hub that watches over this kind of event: a person must look."""
    stranger = story.CORA.model_copy(update={"nhs_number": "9990554331", "ref": "stranger"})
    event = story.moved_to_temporary_accommodation(1)
    event = event.model_copy(
        update={
            "event_id": str(uuid.uuid4()),
            "subjects": (stranger,),
            "publisher": event.publisher.model_copy(update={"agency": "fordshire-police"}),
        }
    )
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)
        record = await worker.decision(event.event_id)
        quarantined = await worker.quarantined(offset)

    assert record.answers == ()
    assert [q.reason for q in quarantined] == ["NO_RECIPIENT"]


async def test_a_doubtful_identity_is_never_decided(connection: Connection) -> None:
    """Ava's number under Ben's pupil number: nobody is told of either before a person has looked."""
    mixed = story.AVA.model_copy(update={"upn": "L313000026002"})
    event = incident(subjects=(mixed,), payload=NOBODY_THERE)
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)

        assert await worker.decisions_now(event.event_id) == []
        assert [q.reason for q in await worker.quarantined(offset)] == ["IDENTITY_AMBIGUOUS"]


async def test_a_doubt_about_one_child_holds_up_no_other(connection: Connection) -> None:
    """The same mistake, and the others of the household are decided about at once."""
    mixed = story.AVA.model_copy(update={"upn": "L313000026002"})
    told = story.incident()
    event = incident(subjects=(mixed, *(p for p in told.subjects if p.ref not in ("ava", "ben"))), payload=NOBODY_THERE)
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)

        record = await worker.decision(event.event_id)
        assert [q.reason for q in await worker.quarantined(offset)] == ["FOR_A_PERSON"]
    assert {(a.recipient, a.subject_index) for a in record.answers if a.outcome is Outcome.PERMIT} == {
        ("fordshire-0-19", 1),
        ("fordshire-mash", 1),
        ("haven", 2),
    }
    assert ("subjects.0 (CHILD)", "IDENTITY_AMBIGUOUS") in {(seen.who, seen.code) for seen in record.worklist}


async def test_when_the_broker_does_not_acknowledge_the_handler_raises(connection: Connection) -> None:
    """So that the offset stays: a value larger than the broker takes stands for any refusal."""
    async with running(connection) as worker:
        with pytest.raises(NotReachable, match="takes no message of"):
            await worker.outbound.send_all([Message("decisions", b"k", b"x" * 2_000_000)])


async def test_a_consent_given_after_the_decision_changes_nothing_that_was_decided(connection: Connection) -> None:
    entry = ConsentEntry(
        person_id=KEY.token("nhs", "9990237573"),
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose=f"purpose {uuid.uuid4()}",
        state=State.GIVEN,
        decided_at=NOON,
        expressed_by="parent",
        method="test",
    )
    event = incident()
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)
        before = await worker.decision(event.event_id)
        written = await write_records(connection, [consent_record(entry, at=NOON, by="test", reason="test")], key=KEY)
        await worker.register.catch_up()

        assert written > before.register_offset
        assert worker.register.at(before.register_offset).offset == before.register_offset
        assert worker.register.now.offset >= written


async def test_no_decision_record_names_a_person(connection: Connection) -> None:
    event = incident()
    async with running(connection) as worker:
        await worker.handle(await worker.publish(codec.encode(event)))
        [value] = await worker.decisions(event.event_id)

    said = [p.given_name for p in event.subjects] + [p.nhs_number for p in event.subjects] + ["Stone", "Hart"]
    assert [text for text in said if text and text.encode() in value] == []


async def test_an_alarm_that_nobody_was_told_survives_a_crash(connection: Connection) -> None:
    """Only Ben, whose school the suspect governs, and no hub that may have it: the redo raises the alarm again."""
    ben, gary = story.BEN, story.GARY
    event = incident(subjects=(ben, gary), payload=NOBODY_THERE)
    await suspend(connection, "fordshire-mash", suspended=True)
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        worker.router._outgoing = NoOutputs()  # type: ignore[assignment]  # the process dies here
        with pytest.raises(Killed):
            await worker.handle(offset)
        before = await worker.quarantined(offset)
    await suspend(connection, "fordshire-mash", suspended=False)
    async with running(connection) as successor:
        await successor.handle(offset)
        after = await successor.quarantined(offset)

    assert before == []
    assert [q.reason for q in after] == ["NO_RECIPIENT"]


async def test_an_original_that_is_too_large_is_set_aside_without_it(connection: Connection) -> None:
    """Sealed it would be too large to send, and the worker would stop at it for ever."""
    value = b"x" * 900_000
    async with running(connection) as worker:
        offset = await worker.publish(value)
        await worker.handle(offset)
        [entry] = await worker.quarantined(offset)

    assert (entry.reason, entry.size) == ("TOO_LARGE", 900_000)
    assert len(entry.sealed) < 200


async def test_a_register_that_is_not_understood_stops_every_later_look(connection: Connection) -> None:
    """Going on would mean deciding on a register with a hole: a suspension behind it would be missed."""
    reader = RegisterReader(connection, key=KEY)
    await reader.start()
    unknown = as_records(demo_entries()[:1], at=NOON, by="test", reason="test")[0]
    reader._apply([_Record(10_000, codec.encode_record(unknown))])
    strange = unknown.model_copy(update={"kind": "override"})
    for _ in range(2):
        with pytest.raises(BadRegister, match="unknown kind `override`"):
            reader._apply([_Record(10_001, codec.encode_record(strange))])
    with pytest.raises(BadRegister, match="unknown kind `override`"):
        await reader.catch_up()
    await reader.stop()


class _Record:
    """A record as aiokafka hands it over."""

    def __init__(self, offset: int, value: bytes) -> None:
        self.offset, self.value, self.headers, self.timestamp = offset, value, under(KEY), 0


# What came before


def followed(event: OperationEncompass, lifecycle: Lifecycle, **changes: Any) -> OperationEncompass:
    """What follows it and does not name the suspect."""
    others = tuple(person for person in event.subjects if person.role is not PersonRole.ALLEGED_PERPETRATOR)
    return incident(lifecycle=lifecycle, supersedes_event_id=event.event_id, subjects=others, **changes)


def told(record: DecisionRecord) -> set[tuple[str, str]]:
    return {(a.recipient, a.subject_token) for a in record.answers if a.outcome is Outcome.PERMIT}


@pytest.mark.parametrize("when", ["in one batch", "in the next", "after a restart"])
async def test_a_follow_up_and_a_retraction_rest_on_what_was_decided_before(connection: Connection, when: str) -> None:
    """Whether the first decision is still being written, was written by us, or by another process before."""
    first = incident()
    update, retraction = followed(first, Lifecycle.UPDATE), followed(first, Lifecycle.RETRACT)
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(running(connection))
        offsets = [await worker.publish(codec.encode(event)) for event in (first, update, retraction)]
        if when == "in one batch":
            await worker.handle(*offsets)
        else:
            await worker.handle(offsets[0])
            if when == "after a restart":
                worker = await stack.enter_async_context(running(connection))
            await worker.handle(*offsets[1:])
        original, later, last = [await worker.decision(e.event_id) for e in (first, update, retraction)]

    beech = [answer for answer in later.answers if answer.recipient == "beech-primary"]
    assert [[reason.code for reason in answer.reasons] for answer in beech] == [["ADVERSARY_BEFORE"]]
    assert told(last) == told(original) != set()
    assert {a.takes_back for a in last.answers} == {a.notification_id for a in original.answers if a.notification_id}


async def test_what_takes_back_something_that_the_bus_does_not_know_goes_to_a_person(connection: Connection) -> None:
    event = followed(incident(), Lifecycle.RETRACT)
    async with running(connection) as worker:
        offset = await worker.publish(codec.encode(event))
        await worker.handle(offset)
        record = await worker.decision(event.event_id)
        [entry] = await worker.quarantined(offset)

    assert record.answers == ()
    assert entry.reason == "FOR_A_PERSON"
    assert "ORIGINAL_UNKNOWN" in entry.detail
