"""What was decided before of the same episode, whoever says it and however it refers to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from a_register import KEY, NOON, demo, share

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import DecisionRecord, Earlier, Episode, Holder
from safebus.schemas.events import Event, IdentityChange, IdentityEvent, Lifecycle, PersonRole
from safebus.streams.rules import episode

FIRST = story.incident()
SECOND_ID, THIRD_ID = "36ed9b87-fb06-564d-bd52-06c0eb337c42", "36ed9b87-fb06-564d-bd52-06c0eb337c43"


@dataclass
class Memory:
    """What was decided, in memory."""

    records: list[DecisionRecord] = field(default_factory=list)

    def episode(self, event_id: str) -> Episode | None:
        return next((record.episode for record in self.records if record.event_id == event_id), None)

    def latest(self, token: str) -> str | None:
        found = [record.event_id for record in self.records if record.episode and record.episode.token == token]
        return found[-1] if found else None

    def holders(self, event_id: str) -> Sequence[Holder]:
        return episode.holders_of(next(record for record in self.records if record.event_id == event_id))

    def after(self, event: Event) -> DecisionRecord:
        """Decide about one more."""
        record = share(event, demo(), earlier=episode.earlier(event, KEY, self)).record
        self.records.append(record)
        return record


def follow_up(**changes: Any) -> Event:
    """The next morning; nobody names the suspect any more."""
    others = tuple(person for person in FIRST.subjects if person.role != "ALLEGED_PERPETRATOR")
    return FIRST.model_copy(update={"event_id": SECOND_ID, "lifecycle": Lifecycle.UPDATE, "subjects": others} | changes)


def after_the_first(event: Event) -> Earlier:
    memory = Memory()
    memory.after(FIRST)
    return episode.earlier(event, KEY, memory)


def test_the_first_of_an_episode_has_nothing_before_it() -> None:
    token = KEY.token("episode", "fordshire-police|TEST-4711")

    assert episode.earlier(FIRST, KEY, Memory()) == Earlier(token=token)


@pytest.mark.parametrize(
    "refers",
    [
        {},
        {"supersedes_event_id": FIRST.event_id},
        {"supersedes_event_id": FIRST.event_id, "correlation_id": None},
        {"supersedes_event_id": FIRST.event_id, "correlation_id": "ANOTHER"},
        {"lifecycle": Lifecycle.NEW},
    ],
    ids=str,
)
def test_whatever_refers_to_it_keeps_out_whom_it_kept_out(refers: dict[str, Any]) -> None:
    found = after_the_first(follow_up(**refers))

    assert (found.known, found.kept_out) == (True, ("beech-primary",))


def test_another_episode_of_the_same_agency_keeps_out_nobody() -> None:
    assert after_the_first(follow_up(correlation_id="OTHER", lifecycle=Lifecycle.NEW)).kept_out == ()


def test_the_same_reference_of_another_agency_is_another_episode() -> None:
    other = FIRST.publisher.model_copy(update={"agency": "fordshire-mash"})

    assert episode.token_of(FIRST.model_copy(update={"publisher": other}), KEY) != episode.token_of(FIRST, KEY)


@pytest.mark.parametrize(
    "refers", [{"correlation_id": "OTHER"}, {"correlation_id": None, "supersedes_event_id": THIRD_ID}], ids=str
)
def test_what_refers_to_something_that_nobody_knows_is_not_known(refers: dict[str, Any]) -> None:
    assert not after_the_first(follow_up(**refers)).known


def test_it_is_handed_on_from_one_to_the_next() -> None:
    """The third names neither the suspect nor the first."""
    memory = Memory()
    memory.after(FIRST)
    memory.after(follow_up(correlation_id=None, supersedes_event_id=FIRST.event_id))

    third = follow_up(event_id=THIRD_ID, correlation_id=None, supersedes_event_id=SECOND_ID)

    assert memory.after(third).episode == memory.records[0].episode
    beech = next(answer for answer in memory.records[2].answers if answer.recipient == "beech-primary")
    assert [reason.code for reason in beech.reasons] == ["ADVERSARY_BEFORE"]


def test_what_was_only_likely_stays_likely_until_it_is_sure() -> None:
    nameless = FIRST.subjects[-1].model_copy(update={"nhs_number": None})
    memory = Memory()
    first = memory.after(FIRST.model_copy(update={"subjects": (*FIRST.subjects[:-1], nameless)}))
    second = memory.after(follow_up())
    third = memory.after(FIRST.model_copy(update={"event_id": THIRD_ID}))

    assert [(r.episode.kept_out, r.episode.perhaps_kept_out) for r in (first, second, third) if r.episode] == [
        ((), ("beech-primary",)),
        ((), ("beech-primary",)),
        (("beech-primary",), ()),
    ]
    beech = next(answer for answer in second.answers if answer.recipient == "beech-primary")
    assert (beech.outcome, [reason.code for reason in beech.reasons]) == ("HOLD", ["ADVERSARY_PERHAPS_BEFORE"])


# What is taken back


def test_who_had_the_original_is_who_was_sent_it() -> None:
    memory = Memory()
    original = memory.after(FIRST)
    found = episode.earlier(follow_up(lifecycle=Lifecycle.RETRACT, supersedes_event_id=FIRST.event_id), KEY, memory)

    sent = {answer.notification_id for answer in original.answers if answer.outcome == "PERMIT"}
    assert {holder.notification_id for holder in found.holders} == sent
    assert found.known


def test_what_takes_back_the_unknown_is_not_known_though_its_episode_is() -> None:
    found = after_the_first(follow_up(lifecycle=Lifecycle.RETRACT, supersedes_event_id=THIRD_ID))

    assert (found.known, found.holders, found.kept_out) == (False, (), ("beech-primary",))


def test_an_update_takes_nothing_back() -> None:
    assert after_the_first(follow_up(supersedes_event_id=FIRST.event_id)).holders == ()


# The record of a person


def identity(**changes: Any) -> IdentityEvent:
    """Ava's record has changed."""
    told = story.attendance()
    payload = {
        "change": IdentityChange.RECORD_CHANGED,
        "source_event_type": "pds-record-change-1",
        "source_event_id": "TEST-3",
        "source_system": "PDS",
    }
    about = told.model_dump(exclude={"event_type", "payload", "correlation_id", "subjects"})
    ava = FIRST.subjects[0].model_copy(update={"role": PersonRole.PERSON})
    return IdentityEvent.model_validate(about | {"payload": payload, "subjects": (ava,)}).model_copy(update=changes)


def test_what_becomes_of_a_person_s_record_is_one_episode_for_each_kind_of_change() -> None:
    told = identity()
    other = told.payload.model_copy(update={"change": IdentityChange.DEATH})

    assert episode.token_of(told, KEY) == episode.token_of(identity(event_id=SECOND_ID), KEY) is not None
    assert episode.token_of(identity(payload=other), KEY) != episode.token_of(told, KEY)


def test_an_update_of_a_record_needs_no_reference_and_nothing_to_be_known() -> None:
    assert episode.earlier(identity(lifecycle=Lifecycle.UPDATE), KEY, Memory()).known


def test_what_takes_a_change_of_a_record_back_takes_back_the_last_of_its_kind() -> None:
    memory = Memory([share(identity(), demo(), now=NOON).record])

    assert episode.taken_back(identity(event_id=SECOND_ID, lifecycle=Lifecycle.RETRACT), KEY, memory) == (
        identity().event_id
    )


def test_of_somebody_without_any_identifier_nothing_is_found_again() -> None:
    told = identity()
    [person, *others] = told.subjects
    nobody = person.model_copy(update={"nhs_number": None, "upn": None, "local_id": None})

    found = told.model_copy(update={"subjects": (nobody, *others)})
    assert episode.token_of(found, KEY) is None
    assert episode.taken_back(found.model_copy(update={"lifecycle": Lifecycle.RETRACT}), KEY, Memory()) is None
