"""What is sent for an answer on record? The same bytes, whoever makes them and under whichever rules."""

from a_register import KEY, NOON, ORIGIN, demo
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.bus_records import DecisionRecord, Notification
from safebus.schemas.event_schemas import bus_schemas
from safebus.schemas.events import Event
from safebus.streams.rules.notifications import outputs_of
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
