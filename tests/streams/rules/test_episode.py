"""What was decided before of the same episode, whoever says it and however it refers to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from a_register import KEY, NOON, demo, share
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import DecisionRecord, Earlier, Episode, Holder, Outcome
from safebus.schemas.events import Confidentiality, Event, IdentityChange, IdentityEvent, Lifecycle, PersonRole
from safebus.streams.rules import adversary, episode

FIRST = story.incident()
SECOND_ID, THIRD_ID = "36ed9b87-fb06-564d-bd52-06c0eb337c42", "36ed9b87-fb06-564d-bd52-06c0eb337c43"


@dataclass
class Memory:
    """What was decided, in memory."""

    records: list[DecisionRecord] = field(default_factory=list)

    def tokens(self, event_id: str) -> tuple[str, ...] | None:
        found = (record.episode for record in self.records if record.event_id == event_id)
        return next((each.tokens for each in found if each), None)

    def of(self, token: str) -> list[DecisionRecord]:
        return [record for record in self.records if record.episode and token in record.episode.tokens]

    def episode(self, token: str) -> Episode | None:
        return self.of(token)[-1].episode if self.of(token) else None

    def latest(self, token: str) -> str | None:
        return self.of(token)[-1].event_id if self.of(token) else None

    def adds_to(self, event_id: str) -> str | None:
        found = (record.episode for record in self.records if record.event_id == event_id)
        return next((each.adds_to for each in found if each), None)

    def followers(self, event_id: str) -> Sequence[str]:
        return [each.event_id for each in self.records if each.episode and each.episode.adds_to == event_id]

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
    return unchecked(FIRST, {"event_id": SECOND_ID, "lifecycle": Lifecycle.UPDATE, "subjects": others} | changes)


def after_the_first(event: Event) -> Earlier:
    memory = Memory()
    memory.after(FIRST)
    return episode.earlier(event, KEY, memory)


def test_the_first_of_an_episode_has_nothing_before_it() -> None:
    token = KEY.token("episode", "fordshire-police|test4711")

    assert episode.earlier(FIRST, KEY, Memory()) == Earlier(tokens=(token,))


GARY = adversary.accused(FIRST.subjects[-1], FIRST, KEY)


@pytest.mark.parametrize(
    "refers",
    [
        {},
        {"supersedes_event_id": FIRST.event_id},
        {"supersedes_event_id": FIRST.event_id, "correlation_id": None},
        {"causation_id": FIRST.event_id, "correlation_id": None},
        {"supersedes_event_id": FIRST.event_id, "correlation_id": "ANOTHER"},
        {"correlation_id": " test-4711 "},
        {"correlation_id": "TEST 4711"},
        {"correlation_id": "Test\u20114711"},
        {"correlation_id": "\uff34\uff25\uff33\uff34-4711\u200b"},
        {"supersedes_event_id": FIRST.event_id.upper(), "correlation_id": None},
        {"lifecycle": Lifecycle.NEW},
    ],
    ids=str,
)
def test_whatever_refers_to_it_keeps_in_mind_whom_it_accused(refers: dict[str, Any]) -> None:
    found = after_the_first(follow_up(**refers))

    assert (found.known, found.accused) == (True, (GARY,))


def test_another_episode_of_the_same_agency_accuses_nobody() -> None:
    assert after_the_first(follow_up(correlation_id="OTHER", lifecycle=Lifecycle.NEW)).accused == ()


def test_the_same_reference_of_another_agency_is_another_episode() -> None:
    other = FIRST.publisher.model_copy(update={"agency": "fordshire-mash"})

    assert episode.token_of(FIRST.model_copy(update={"publisher": other}), KEY) != episode.token_of(FIRST, KEY)


@pytest.mark.parametrize(
    "refers", [{"correlation_id": "OTHER"}, {"correlation_id": None, "supersedes_event_id": THIRD_ID}], ids=str
)
def test_what_refers_to_something_that_nobody_knows_is_not_known(refers: dict[str, Any]) -> None:
    assert not after_the_first(follow_up(**refers)).known


def codes(record: DecisionRecord, recipient: str = "beech-primary") -> list[str]:
    return [reason.code for answer in record.answers if answer.recipient == recipient for reason in answer.reasons]


@pytest.mark.parametrize("first", [{"correlation_id": None}, {}], ids=["by ids alone", "the first has a reference"])
def test_whom_any_of_them_accuses_is_known_to_each_that_follows(first: dict[str, Any]) -> None:
    """The second names him, the third refers to the first alone."""
    others = follow_up().subjects
    memory = Memory()
    memory.after(FIRST.model_copy(update={"subjects": others} | first))
    memory.after(
        FIRST.model_copy(
            update={
                "event_id": SECOND_ID,
                "lifecycle": Lifecycle.UPDATE,
                "correlation_id": None,
                "supersedes_event_id": FIRST.event_id,
            }
        )
    )
    third = memory.after(follow_up(event_id=THIRD_ID, correlation_id=None, supersedes_event_id=FIRST.event_id))

    assert codes(third) == ["ADVERSARY_BEFORE"]


def test_it_is_handed_on_from_one_to_the_next() -> None:
    """The third names neither the suspect nor the first."""
    memory = Memory()
    memory.after(FIRST)
    memory.after(follow_up(correlation_id=None, supersedes_event_id=FIRST.event_id))
    third = memory.after(follow_up(event_id=THIRD_ID, correlation_id=None, supersedes_event_id=SECOND_ID))

    assert third.episode is not None and memory.records[0].episode is not None
    assert third.episode.accused == memory.records[0].episode.accused
    assert (third.episode.tokens, third.episode.adds_to) == (memory.records[0].episode.tokens, SECOND_ID)
    assert codes(third) == ["ADVERSARY_BEFORE"]


def test_what_the_event_says_itself_is_the_reason_and_not_what_an_earlier_one_said_too() -> None:
    memory = Memory()
    memory.after(FIRST)

    assert codes(memory.after(FIRST.model_copy(update={"event_id": SECOND_ID}))) == ["ADVERSARY"]


def test_what_was_only_likely_is_sure_once_somebody_knows_the_number() -> None:
    nameless = FIRST.subjects[-1].model_copy(update={"nhs_number": None})
    memory = Memory()
    memory.after(FIRST.model_copy(update={"subjects": (*FIRST.subjects[:-1], nameless)}))
    second = memory.after(follow_up())
    memory.after(FIRST.model_copy(update={"event_id": THIRD_ID}))
    last = memory.after(follow_up(event_id="36ed9b87-fb06-564d-bd52-06c0eb337c44"))

    assert codes(second) == ["ADVERSARY_PERHAPS_BEFORE"]
    assert codes(last) == ["ADVERSARY_BEFORE"]


def test_whom_a_correction_no_longer_names_is_looked_at_by_a_person() -> None:
    """It may be another man, or the same with less said of him; one that names nobody changes nothing."""
    miller = FIRST.subjects[-1].model_copy(
        update={"nhs_number": None, "family_name": "Miller", "given_name": "Ed", "date_of_birth": None}
    )
    corrected = {"lifecycle": Lifecycle.CORRECT, "supersedes_event_id": FIRST.event_id}
    memory = Memory()
    memory.after(FIRST)
    quiet = memory.after(follow_up(**corrected))
    put_right = memory.after(follow_up(event_id=THIRD_ID, subjects=(*follow_up().subjects, miller), **corrected))

    assert quiet.episode is not None and quiet.episode.accused == (GARY,)
    assert put_right.episode is not None
    assert [(one.named_in, one.corrected) for one in put_right.episode.accused] == [
        (THIRD_ID, False),
        (FIRST.event_id, True),
    ]


def test_what_the_first_says_stands_though_its_follow_up_is_corrected() -> None:
    tom = FIRST.subjects[-1].model_copy(update={"nhs_number": None, "family_name": "Miller", "given_name": "Tom"})
    update = follow_up(subjects=FIRST.subjects)
    corrected = {"event_id": THIRD_ID, "lifecycle": Lifecycle.CORRECT, "supersedes_event_id": SECOND_ID}
    memory = Memory()
    for event in (FIRST, update):
        memory.after(event)
    left = memory.after(follow_up(subjects=(*FIRST.subjects[:-1], tom), **corrected)).episode

    assert left is not None
    assert [(one.named_in, one.corrected) for one in left.accused if one.ids == GARY.ids] == [(FIRST.event_id, False)]


def test_whoever_is_named_again_is_accused_whatever_was_corrected() -> None:
    tom = FIRST.subjects[-1].model_copy(update={"nhs_number": None, "family_name": "Miller", "given_name": "Tom"})
    corrected = {"lifecycle": Lifecycle.CORRECT, "supersedes_event_id": FIRST.event_id}
    memory = Memory()
    memory.after(FIRST)
    memory.after(follow_up(subjects=(*FIRST.subjects[:-1], tom), **corrected))
    left = memory.after(follow_up(event_id=THIRD_ID, subjects=FIRST.subjects)).episode

    assert left is not None
    assert [one.corrected for one in left.accused if one.ids == GARY.ids] == [False]


def test_where_he_works_is_looked_at_once_a_correction_names_another() -> None:
    tom = FIRST.subjects[-1].model_copy(update={"nhs_number": None, "family_name": "Miller", "given_name": "Tom"})
    corrected = {"lifecycle": Lifecycle.CORRECT, "supersedes_event_id": FIRST.event_id}
    works = FIRST.subjects[-1].model_copy(update={"works_for": ("ash-primary",)})
    memory = Memory()
    memory.after(FIRST.model_copy(update={"subjects": (*FIRST.subjects[:-1], works)}))
    memory.after(follow_up(subjects=(*FIRST.subjects[:-1], tom), **corrected))
    found = memory.after(follow_up(event_id=THIRD_ID)).answers

    said = {a.recipient: [r.code for r in a.reasons] for a in found if a.recipient in ("ash-primary", "beech-primary")}
    assert said == {"ash-primary": ["ADVERSARY_PERHAPS_BEFORE"], "beech-primary": ["ADVERSARY_PERHAPS_BEFORE"]}


def test_every_event_that_is_named_must_be_known() -> None:
    """Its reference belongs to an innocent one; the one that it adds to nobody has seen."""
    unknown = follow_up(supersedes_event_id=THIRD_ID)

    assert not after_the_first(unknown).known
    assert after_the_first(follow_up(supersedes_event_id=FIRST.event_id)).known


@pytest.mark.parametrize(("lifecycle", "late"), [("UPDATE", True), ("CORRECT", True), ("NEW", False)])
def test_what_adds_to_a_retracted_one_comes_too_late(lifecycle: str, late: bool) -> None:
    """Whoever watches over all is told; nobody else is before a person has looked, and so for all that follows it."""
    memory = Memory()
    memory.after(FIRST)
    memory.after(follow_up(lifecycle=Lifecycle.RETRACT, supersedes_event_id=FIRST.event_id, subjects=FIRST.subjects))
    third = memory.after(
        follow_up(event_id=THIRD_ID, lifecycle=Lifecycle(lifecycle), supersedes_event_id=FIRST.event_id)
    )
    fourth = memory.after(follow_up(event_id="36ed9b87-fb06-564d-bd52-06c0eb337c44"))

    for record in (third, fourth):
        of_ash = next(a for a in record.answers if a.recipient == "ash-primary" and not a.bare)
        assert ("COMES_TOO_LATE" in {reason.code for reason in of_ash.reasons}) is late
        assert {a.outcome for a in record.answers if a.recipient == "fordshire-mash"} == {Outcome.PERMIT}


def test_more_than_any_episode_has_are_not_all_kept_and_that_is_known() -> None:
    many = tuple(
        FIRST.subjects[-1].model_copy(update={"ref": f"s{n}", "nhs_number": None, "family_name": f"Name{n}"})
        for n in range(episode.MOST_ACCUSED + 1)
    )
    memory = Memory()
    left = memory.after(FIRST.model_copy(update={"subjects": (*FIRST.subjects[:-1], *many)})).episode

    assert left is not None
    assert (len(left.accused), left.whole) == (episode.MOST_ACCUSED, False)
    assert not episode.earlier(follow_up(), KEY, memory).known


def test_an_agency_that_joins_ever_more_does_not_grow_the_record_for_ever() -> None:
    """Each with a reference of its own, and naming the one before; and somebody who works everywhere."""
    suspect = FIRST.subjects[-1].model_copy(update={"works_for": tuple(f"agency-{n}" for n in range(20))})
    memory, before = Memory(), None
    for n in range(episode.MOST_JOINED + 2):
        event_id = f"36ed9b87-fb06-564d-bd52-06c0eb33{n:04d}"
        refers = {"event_id": event_id, "correlation_id": f"TEST-{n}", "supersedes_event_id": before}
        last = memory.after(FIRST.model_copy(update={"subjects": (*FIRST.subjects[:-1], suspect)} | refers)).episode
        before = event_id

    assert last is not None
    assert (len(last.tokens), last.whole) == (episode.MOST_JOINED, False)
    assert [len(one.works_for) for one in last.accused] == [episode.MOST_AGENCIES]


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

    assert (found.known, found.holders, found.accused) == (False, (), (GARY,))


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


# What adds to it and corrects it is taken back with it


def without(*refs: str) -> dict[str, Any]:
    """The incident without these children."""
    children = tuple(c for c in FIRST.payload.children if c.subject_ref not in refs)
    return {
        "subjects": tuple(
            p for p in FIRST.subjects if p.ref not in refs and p.role is not PersonRole.ALLEGED_PERPETRATOR
        ),
        "payload": FIRST.payload.model_copy(update={"children": children}),
    }


NOBODY_ACCUSED = without()


@pytest.mark.parametrize(
    "second",
    [
        {"lifecycle": Lifecycle.CORRECT, "supersedes_event_id": FIRST.event_id},
        {"lifecycle": Lifecycle.UPDATE, "supersedes_event_id": FIRST.event_id},
        {"lifecycle": Lifecycle.UPDATE},
    ],
    ids=str,
)
def test_whoever_was_told_by_what_adds_to_it_hears_that_it_was_wrong(second: dict[str, Any]) -> None:
    """First about Ava and Cora alone; Ben's school is told by the second."""
    memory = Memory()
    memory.after(FIRST.model_copy(update=without("ben")))
    memory.after(FIRST.model_copy(update=NOBODY_ACCUSED | {"event_id": SECOND_ID} | second))
    retraction = {"event_id": THIRD_ID, "lifecycle": Lifecycle.RETRACT, "supersedes_event_id": FIRST.event_id}
    found = episode.earlier(FIRST.model_copy(update=NOBODY_ACCUSED | retraction), KEY, memory)

    assert "beech-primary" in {holder.recipient for holder in found.holders}
    assert len({(h.recipient, h.subject_token) for h in found.holders}) == len(found.holders)
    by_the_first = {holder.notification_id for holder in memory.holders(FIRST.event_id)}
    assert by_the_first < {holder.notification_id for holder in found.holders}


def test_what_is_taken_back_alone_leaves_what_it_added_to() -> None:
    memory = Memory()
    memory.after(FIRST.model_copy(update=NOBODY_ACCUSED))
    memory.after(FIRST.model_copy(update=NOBODY_ACCUSED | {"event_id": SECOND_ID, "lifecycle": Lifecycle.UPDATE}))
    retraction = {"event_id": THIRD_ID, "lifecycle": Lifecycle.RETRACT, "supersedes_event_id": SECOND_ID}
    found = episode.earlier(FIRST.model_copy(update=NOBODY_ACCUSED | retraction), KEY, memory)

    assert {h.notification_id for h in found.holders} == {h.notification_id for h in memory.holders(SECOND_ID)}


def test_a_change_of_a_record_is_taken_back_from_whoever_was_told_though_the_last_word_was_held() -> None:
    """A death was told; what added to it is very restricted and waits; then it was all a mistake."""
    nhs = {"publisher": identity().publisher.model_copy(update={"agency": "nhs-england"}), "purpose": "record_accuracy"}
    told = identity(**nhs)
    memory = Memory()
    memory.after(told)
    held = told.handling.model_copy(update={"confidentiality": Confidentiality.V})
    memory.after(identity(event_id=SECOND_ID, lifecycle=Lifecycle.UPDATE, handling=held, **nhs))
    found = episode.earlier(identity(event_id=THIRD_ID, lifecycle=Lifecycle.RETRACT, **nhs), KEY, memory)

    assert memory.holders(SECOND_ID) == ()
    assert found.original == told.event_id
    assert found.holders == memory.holders(told.event_id) != ()


def test_an_event_to_which_ever_more_was_added_is_taken_back_by_a_person() -> None:
    """Each is read again for it; nobody adds a hundred times to one, and whoever does must not stop the others."""
    memory = Memory()
    memory.after(FIRST)
    [first] = memory.records
    for n in range(episode.MOST_CONCERNED + 5):
        left = Episode(tokens=(KEY.token("episode", "x"),), adds_to=memory.records[-1].event_id)
        memory.records.append(first.model_copy(update={"event_id": f"event-{n}", "episode": left}))
    retraction = {"event_id": THIRD_ID, "lifecycle": Lifecycle.RETRACT, "supersedes_event_id": FIRST.event_id}
    found = episode.earlier(FIRST.model_copy(update=retraction), KEY, memory)

    assert len(episode.concerned(FIRST.event_id, memory)) == episode.MOST_CONCERNED
    assert not found.known
    assert found.holders
    record = share(FIRST.model_copy(update=retraction), demo(), earlier=found).record
    assert "ORIGINAL_UNKNOWN" in {seen.code for seen in record.worklist}
