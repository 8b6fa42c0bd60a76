"""Which secret is in use changes how a decision is written down, and no answer in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from a_register import KEY as FIRST
from a_register import NOON, ORIGIN, demo
from a_token import OF_THE_FIRST

from safebus.deploy.local.demo import story
from safebus.schemas import codec, tokens
from safebus.schemas.bus_records import DecisionRecord, Earlier, Outcome
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event, Lifecycle
from safebus.schemas.keys import PersonKey
from safebus.streams.register.store import Register
from safebus.streams.register.write import switching_record
from safebus.streams.rules import episode, sharing
from safebus.streams.rules.notifications import outputs_of
from safebus.streams.rules.sharing import Shared

KEY = PersonKey(FIRST.secret, (b"l" * 32,))
EVENTS = [event for event, _ in story.first_chapter()]


def switched(*, days_ago: int = 0) -> Register:
    register = demo()
    register.apply(
        register.offset + 1, switching_record(register, KEY, at=NOON - timedelta(days=days_ago), by="x", reason="x")
    )
    return register


def share(event: Event, register: Register, *, earlier: Earlier | None = None) -> Shared:
    found = sharing.share(
        codec.decode(codec.encode(event)), register, origin=ORIGIN, now=NOON, key=KEY, rules_digest="r", earlier=earlier
    )
    assert isinstance(found, Shared)
    return found


def answered(record: DecisionRecord) -> dict[str, Any]:
    """A decision without what proves bytes, and without where the register stood."""
    found = tokens.plain(record, KEY).model_dump()
    for answer in found["answers"]:
        answer["output_digest"] = answer["output_digest"] is not None
    return found | {"input_digest": "", "register_offset": 0}


def retracted(event: Event) -> Event:
    return event.model_copy(
        update={
            "event_id": f"{event.event_id[:-1]}f",
            "lifecycle": Lifecycle.RETRACT,
            "supersedes_event_id": event.event_id,
        }
    )


def both(event: Event, earlier: Earlier | None = None) -> tuple[Shared, Shared]:
    return share(event, demo(), earlier=earlier), share(event, switched(), earlier=earlier)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event_type)
def test_a_decision_under_the_secret_that_follows_is_the_same_decision(event: Event) -> None:
    before, after = both(event)
    told = tokens.plain(before.record, KEY)

    assert answered(after.record) == answered(before.record) and told == before.record
    assert [tokens.plain(o.notification, KEY) for o in after.outputs] == [o.notification for o in before.outputs]


def test_what_takes_back_goes_to_whoever_had_it_whichever_secret_was_in_use_then() -> None:
    event = story.incident()
    record = share(event, demo()).record
    held = Earlier(
        tokens=record.episode.tokens if record.episode else (),
        accused=record.episode.accused if record.episode else (),
        original=event.event_id,
        holders=episode.holders_of(record),
    )
    before, after = both(retracted(event), held)

    assert answered(after.record) == answered(before.record)
    assert {a.takes_back for a in after.record.answers if a.outcome is Outcome.PERMIT} == {
        a.notification_id for a in record.answers if a.outcome is Outcome.PERMIT
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event_type)
def test_nothing_that_is_written_under_it_looks_as_the_first_secret_makes_it(event: Event) -> None:
    """Whoever has that one could try all numbers against it. What is left are the ids of events and notifications."""
    after = share(event, switched())
    found = tokens.plain(after.record, KEY)
    ids = {event.event_id, *(i for a in found.answers for i in (a.decision_id, a.notification_id) if i)}
    written = [after.record, *(output.notification for output in after.outputs)]
    texts = [each.model_dump_json(exclude={"view"}) for each in written]

    assert {found[1] for text in texts for found in OF_THE_FIRST.finditer(text)} <= ids
    assert all(output.notification.subject_token.startswith("2.") for output in after.outputs) and after.outputs


def test_a_decision_of_either_secret_is_carried_out_again_in_its_bytes() -> None:
    """After a crash, or when a partner is owed something: whichever counts by then."""
    event = story.incident()
    schema, plain = codec.decode_plain(codec.encode(event), schemas=event_schemas())
    for decided in both(event):
        again = outputs_of(decided.record, schema, plain, key=KEY)

        assert again is not None and [each.value for each in again] == [each.value for each in decided.outputs]


def test_ids_are_of_the_secret_that_was_in_use_when_the_event_was_published() -> None:
    """So an event that comes again, long after it is remembered, has the ids by which adapters know it."""
    event = story.incident()
    ids = [
        [(a.decision_id, a.notification_id) for a in share(event, register).record.answers]
        for register in (demo(), switched(), switched(days_ago=30))
    ]

    assert ids[0] == ids[1] != ids[2]
