"""What is sent for an answer on record? The same bytes, whoever makes them and under whichever rules."""

import pytest
from a_register import KEY, NOON, ORIGIN, demo
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.bus_records import DecisionRecord, Notification
from safebus.schemas.event_schemas import bus_schemas
from safebus.schemas.events import Event
from safebus.streams.rules.notifications import as_sent_then, outputs_of
from safebus.streams.rules.sharing import Shared, share

STORY = [event for event, _ in story.first_chapter()]


def decided(event: Event) -> Shared:
    received = codec.decode(codec.encode(event))
    found = share(received, demo(), origin=ORIGIN, now=NOON, key=KEY, rules_digest="rules")
    assert isinstance(found, Shared)
    return found


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(STORY))
def test_the_record_and_the_event_are_enough_to_send_the_very_bytes(event: Event) -> None:
    """As after a crash: the record comes back from its topic, and nothing is asked of rules or register."""
    first = decided(event)
    on_topic = codec.decode_record(codec.encode_record(first.record), DecisionRecord)
    schema, plain = codec.decode_plain(codec.encode(event))

    again = outputs_of(on_topic, schema, plain, key=KEY)

    assert again is not None
    assert [output.value for output in again] == [output.value for output in first.outputs]
    assert [output.notification for output in again] == [output.notification for output in first.outputs]


def test_what_is_not_byte_for_byte_what_was_decided_is_not_sent() -> None:
    first = decided(story.incident())
    schema, plain = codec.decode_plain(codec.encode(story.incident()))
    permits = [answer.notification_id is not None for answer in first.record.answers]
    spoilt = first.record.answers[permits.index(True)].model_copy(update={"labels": ("another",)})
    answers = [spoilt if a.decision_id == spoilt.decision_id else a for a in first.record.answers]

    assert outputs_of(first.record.model_copy(update={"answers": tuple(answers)}), schema, plain, key=KEY) is None


def test_a_record_from_before_these_fields_lets_nothing_out() -> None:
    """Written by a release that did not keep what a notification is made from: the digest tells, and a person looks."""
    first = decided(story.incident())
    schema, plain = codec.decode_plain(codec.encode(story.incident()))
    bare = {"subject_index": -1, "view_fields": (), "labels": (), "consent_meaning": None, "restricted": False}
    answers = tuple(answer.model_copy(update=bare) for answer in first.record.answers)

    assert outputs_of(first.record.model_copy(update={"answers": answers}), schema, plain, key=KEY) is None


def test_a_redo_across_an_upgrade_sends_the_bytes_of_the_schema_it_was_decided_under() -> None:
    """The worker was stopped between decision and notification, and the one that goes on writes a newer schema."""
    found = decided(story.incident())
    schema, plain = codec.decode_plain(codec.encode(story.incident()))
    earlier = next(mark for mark in bus_schemas(Notification.SCHEMA) if mark != found.outputs[0].value[2:10])
    then = [codec.encode_record(output.notification, under=earlier) for output in found.outputs]
    sent = iter(then)
    answers = tuple(
        answer.model_copy(update={"output_digest": KEY.digest(next(sent))}) if answer.output_digest else answer
        for answer in found.record.answers
    )

    outputs = outputs_of(found.record.model_copy(update={"answers": answers}), schema, plain, key=KEY)

    assert outputs is not None
    assert [output.value for output in outputs] == then != [output.value for output in found.outputs]


def test_whom_to_ask_follows_from_the_record_alone() -> None:
    """A redo asks nobody whether the partner could tell: it says what was decided."""
    first = decided(story.incident())
    schema, plain = codec.decode_plain(codec.encode(story.incident()))
    [school, *_] = [a for a in first.record.answers if a.notification_id]
    unclear = school.model_copy(update={"unclear": True, "told_apart_by": ()})
    [due] = [o for o in first.outputs if o.notification.decision_id == school.decision_id]
    then = due.notification.model_copy(update={"whom_to_ask": school.call})
    unclear = unclear.model_copy(update={"output_digest": KEY.digest(codec.encode_record(then))})
    answers = tuple(unclear if a.decision_id == unclear.decision_id else a for a in first.record.answers)

    again = outputs_of(first.record.model_copy(update={"answers": answers}), schema, plain, key=KEY)

    assert again is not None
    assert [o.notification for o in again if o.notification.decision_id == school.decision_id] == [then]


def of_an_earlier_release(found: Shared, decision: bytes, notification: bytes) -> tuple[bytes, list[bytes]]:
    """What a release with these schemas would have written: the decision, and its notifications."""
    sent = [codec.encode_record(output.notification, under=notification) for output in found.outputs]
    digests = iter(map(KEY.digest, sent))
    answers = tuple(
        answer.model_copy(update={"output_digest": next(digests)}) if answer.output_digest else answer
        for answer in found.record.answers
    )
    record = found.record.model_copy(update={"answers": answers})
    return codec.encode_record(record, under=decision), sent


EARLIER = [
    (decision, notification)
    for decision in bus_schemas(DecisionRecord.SCHEMA)
    for notification in bus_schemas(Notification.SCHEMA)
    if decision != codec.fingerprint_of_bus(DecisionRecord.SCHEMA)
]


@pytest.mark.parametrize(("decision", "notification"), EARLIER, ids=lambda mark: mark.hex())
def test_a_decision_of_an_earlier_release_that_is_made_again_is_the_same_to_the_byte(
    decision: bytes, notification: bytes
) -> None:
    """Also of whom nobody could tell who was meant: that release did not say so, and could not."""
    event = story.incident()
    ava, *others = event.subjects
    unclear = ava.model_copy(update={"family_name": None, "date_of_birth": None, "upn": None})
    found = decided(event.model_copy(update={"subjects": (unclear, *others)}))
    value, _ = of_an_earlier_release(found, decision, notification)
    then = codec.decode_record(value, DecisionRecord)

    made = as_sent_then(found.record, found.outputs, then, KEY)

    assert any(answer.unclear for answer in found.record.answers)
    assert codec.encode_record(made, like=value) == value


def test_what_was_sent_otherwise_stays_different() -> None:
    found = decided(story.incident())
    decision, notification = EARLIER[0]
    value, _ = of_an_earlier_release(found, decision, notification)
    then = codec.decode_record(value, DecisionRecord)
    forged, *rest = (a for a in then.answers if a.output_digest)
    others = {forged.decision_id: forged.model_copy(update={"output_digest": KEY.digest(b"other bytes")})}
    gone = {rest[0].decision_id}
    answers = tuple(others.get(a.decision_id, a) for a in then.answers if a.decision_id not in gone)

    made = as_sent_then(found.record, found.outputs, then.model_copy(update={"answers": answers}), KEY)

    before = {a.decision_id: a.output_digest for a in found.record.answers}
    after = {a.decision_id: a.output_digest for a in made.answers}
    changed = {decision_id for decision_id in before if before[decision_id] != after[decision_id]}
    assert changed == {a.decision_id for a in rest[1:]}
