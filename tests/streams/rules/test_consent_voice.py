"""Whose yes and whose no counts? Line by line the table of `streams.rules.consent_voice`."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from a_register import KEY, demo
from hypothesis import given
from hypothesis import strategies as st

from safebus.deploy.local.demo import story
from safebus.schemas.events import PersonRole
from safebus.streams.rules import consent_voice
from safebus.streams.rules.consent import HOLDS, OBJECTS, Capacity, ConsentEntry, Meaning, State
from safebus.streams.rules.consent_voice import Around, Suspect, Voice, heard, may_be_parent, voice_of
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.parties import KnownPerson, MaySpeakFor, SpeaksAs

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)
THEIRS, NOT_THEIRS, UNSURE, NOBODYS = Voice.THEIRS, Voice.NOT_THEIRS, Voice.UNSURE, Voice.NOBODYS


def said(state: State = State.GIVEN, **changes: Any) -> ConsentEntry:
    values = {
        "person_id": "ava",
        "meaning": Meaning.SERVICE_AGREEMENT,
        "purpose": "notice",
        "state": state,
        "decided_at": NOON,
        "method": "in person",
    }
    return ConsentEntry(**(values | changes))


def aged(years: int, **changes: Any) -> Around:
    """A child of this age today, to the day, in an event without a suspect."""
    return child(born=date(TODAY.year - years, TODAY.month, TODAY.day), **changes)


def child(
    *, speakers: tuple[MaySpeakFor, ...] = (), suspects: Any = (), role: Any = PersonRole.CHILD, **facts: Any
) -> Around:
    born = facts.pop("born", None)
    return Around(KnownPerson(person_id="ava", tokens={"nhs": "ava"}, **facts), speakers, role, born, suspects)


def may_speak(by: str, speaks_as: SpeaksAs = SpeaksAs.PARENTAL_RESPONSIBILITY, **dates: Any) -> MaySpeakFor:
    return MaySpeakFor.model_validate({"person_id": "ava", "by": by, "as": speaks_as, "source": "certificate"} | dates)


MAYA = may_speak("maya")
A_STRANGER, HER_PARTNER, GARY = Suspect(None, True), Suspect(None, False), Suspect("gary", True)


@pytest.mark.parametrize("capacity", [Capacity.SUBJECT, Capacity.YOUNG_PERSON])
@pytest.mark.parametrize(
    ("who", "voice"),
    [
        (aged(10), NOT_THEIRS),
        (aged(15), NOT_THEIRS),
        (aged(16), THEIRS),
        (child(born=date(TODAY.year - 16, TODAY.month, TODAY.day) + DAY), NOT_THEIRS),
        (aged(18), THEIRS),
        (child(), UNSURE),
        (aged(14, competent_since=TODAY), THEIRS),
        (aged(14, competent_since=TODAY + DAY), NOT_THEIRS),
        (child(competent_since=TODAY), THEIRS),
        (child(role=PersonRole.UNBORN_CHILD), NOT_THEIRS),
        (child(role=PersonRole.ADULT_VICTIM), THEIRS),
        (Around(None, ()), UNSURE),
    ],
)
def test_the_person_decides_from_the_age_or_the_day_of_competence(
    capacity: Capacity, who: Around, voice: Voice
) -> None:
    """What counts is the day it was said. An age that is not known makes nobody competent."""
    assert voice_of(said(capacity=capacity), who) is voice
    assert voice_of(said(by="ava"), who) is voice


@pytest.mark.parametrize(
    ("who", "voice"),
    [
        (aged(10), THEIRS),
        (child(), THEIRS),
        (child(role=PersonRole.UNBORN_CHILD), THEIRS),
        (aged(17), THEIRS),
        (aged(17, lives_independently=True), NOT_THEIRS),
        (aged(16, lives_independently=True), NOT_THEIRS),
        (aged(15, lives_independently=True), THEIRS),
        (child(lives_independently=True), UNSURE),
        (aged(18), NOT_THEIRS),
        (child(role=PersonRole.ADULT_VICTIM), NOT_THEIRS),
        (Around(None, (), suspects=()), THEIRS),
    ],
)
def test_a_parent_decides_for_a_child_and_not_for_who_lives_independently(who: Around, voice: Voice) -> None:
    """HA 1996 s.213AA(3): of 16 and 17 years, and living independently, it is the young person who is asked."""
    named = Around(who.known, (MAYA,), who.role, who.born, who.suspects)

    assert voice_of(said(capacity=Capacity.PARENT), who) is voice
    assert voice_of(said(expressed_by="Parent"), who) is voice
    assert voice_of(said(by="maya"), named) is voice


@pytest.mark.parametrize(
    ("suspects", "unnamed", "maya", "gary"),
    [
        ((), THEIRS, THEIRS, THEIRS),
        ((HER_PARTNER,), THEIRS, THEIRS, THEIRS),
        ((A_STRANGER,), UNSURE, UNSURE, UNSURE),
        ((GARY,), UNSURE, THEIRS, NOT_THEIRS),
        ((Suspect("gary", False),), UNSURE, THEIRS, NOT_THEIRS),
        ((HER_PARTNER, GARY), UNSURE, THEIRS, NOT_THEIRS),
        (None, UNSURE, UNSURE, UNSURE),
    ],
    ids=["no-suspect", "no-parent", "unknown", "gary", "gary-though-told-otherwise", "two", "no-event"],
)
def test_beside_a_suspect_only_a_parent_who_is_known_and_another_speaks(
    suspects: Any, unnamed: Voice, maya: Voice, gary: Voice
) -> None:
    """R14. Maya and Gary both have parental responsibility."""
    who = aged(10, speakers=(MAYA, may_speak("gary")), suspects=suspects)

    assert voice_of(said(capacity=Capacity.PARENT), who) is unnamed
    assert voice_of(said(by="maya"), who) is maya
    assert voice_of(said(by="gary"), who) is gary


@pytest.mark.parametrize("speaks_as", [SpeaksAs.REPRESENTATIVE, SpeaksAs.COURT_ORDER])
def test_a_representative_and_who_has_an_order_speak_for_an_adult_too(speaks_as: SpeaksAs) -> None:
    assert voice_of(said(by="rita"), aged(30, speakers=(may_speak("rita", speaks_as),))) is THEIRS


@pytest.mark.parametrize(
    ("dates", "voice"),
    [
        ({"starts_on": TODAY, "ends_on": TODAY}, THEIRS),
        ({"starts_on": TODAY + DAY}, NOT_THEIRS),
        ({"ends_on": TODAY - DAY}, NOT_THEIRS),
    ],
)
def test_who_may_speak_may_on_the_days_on_record(dates: Any, voice: Voice) -> None:
    assert voice_of(said(by="maya"), aged(10, speakers=(may_speak("maya", **dates),))) is voice


def test_whoever_is_not_on_record_speaks_for_nobody_whatever_capacity_is_claimed() -> None:
    assert voice_of(said(by="eve", capacity=Capacity.PARENT), aged(10, speakers=(MAYA,))) is NOT_THEIRS


def test_a_court_speaks_and_of_a_representative_one_must_know_which() -> None:
    assert voice_of(said(capacity=Capacity.COURT), aged(10)) is THEIRS
    assert voice_of(said(capacity=Capacity.REPRESENTATIVE), aged(10)) is UNSURE


@pytest.mark.parametrize("word", ["", "officer", "gary", "parnt"])
def test_no_word_an_officer_and_a_slip_are_nobody(word: str) -> None:
    assert voice_of(said(expressed_by=word), aged(10)) is NOBODYS


def test_a_capacity_goes_before_the_words_beside_it() -> None:
    assert voice_of(said(expressed_by="the officer wrote it down", capacity=Capacity.PARENT), aged(10)) is THEIRS
    assert said(expressed_by="young person").spoken_as() is Capacity.YOUNG_PERSON


@pytest.mark.parametrize(
    ("words", "may"),
    [
        (None, True),
        ("", True),
        ("father", True),
        ("partner", True),
        ("neigbour", True),
        ("mother's partner", False),
        ("Mother\u2019s  ex-partner", False),
        ("Uncle", False),
    ],
)
def test_only_a_word_that_is_known_says_that_a_suspect_is_no_parent(words: str | None, may: bool) -> None:
    assert may_be_parent(words) is may


OF_EACH_VOICE = {
    THEIRS: {"capacity": Capacity.PARENT},
    NOT_THEIRS: {"by": "eve"},
    UNSURE: {"capacity": Capacity.REPRESENTATIVE},
    NOBODYS: {"expressed_by": "officer"},
}


@pytest.mark.parametrize("voice", Voice)
@pytest.mark.parametrize("state", State)
def test_a_yes_must_be_theirs_and_a_no_counts_unless_it_is_known_not_to_be(voice: Voice, state: State) -> None:
    entry = (0, said(state, **OF_EACH_VOICE[voice]))
    counts = voice is THEIRS if state in HOLDS else voice is not NOT_THEIRS or state not in OBJECTS

    found = heard([entry], aged(10))

    assert list(found.entries) == [entry] * counts
    assert found.yes_unsure == (state in HOLDS and voice is UNSURE)
    assert found.yes_not_theirs == (state in HOLDS and voice in (NOT_THEIRS, NOBODYS))
    assert found.no_not_theirs == (state in OBJECTS and voice is NOT_THEIRS)
    assert found.no_unsure == (state in OBJECTS and voice in (UNSURE, NOBODYS))


def test_a_no_of_whoever_may_say_it_makes_another_no_no_longer_unsure() -> None:
    unsure, theirs = said(State.REFUSED, **OF_EACH_VOICE[UNSURE]), said(State.REFUSED, **OF_EACH_VOICE[THEIRS])

    assert heard([(0, unsure)], aged(10)).no_unsure
    assert not heard([(0, unsure), (1, theirs)], aged(10)).no_unsure


def test_what_was_said_of_another_recipient_is_not_even_left_out() -> None:
    found = heard([(0, said(by="eve", recipients=("oak",)))], aged(10), recipient="ash")

    assert (list(found.entries), found.yes_not_theirs) == ([], False)
    assert heard([(0, said(by="eve", recipients=("oak",)))], aged(10)).yes_not_theirs


def test_before_a_delivery_a_yes_is_taken_as_the_decision_took_it_and_a_later_one_with_care() -> None:
    """The event is not at hand, and a parent may be the suspect: a no counts, and a new yes does not."""
    without = child(suspects=None)
    before = (0, said(capacity=Capacity.PARENT))
    no = (1, said(State.WITHDRAWN, capacity=Capacity.PARENT, decided_at=NOON + DAY))
    later = (2, said(capacity=Capacity.PARENT, decided_at=NOON + 2 * DAY))

    found = heard([before, no, later], without, judged_at=NOON)

    assert (list(found.entries), found.yes_unsure) == ([before, no], True)
    assert heard([before], without).entries == []


def test_whether_something_ended_is_told_by_all_that_may_count() -> None:
    unsure = [(0, said(capacity=Capacity.REPRESENTATIVE)), (1, said(State.REFUSED, capacity=Capacity.REPRESENTATIVE))]

    assert list(heard(unsure, aged(10), unsure_yes=True).entries) == unsure


_WHO = st.builds(
    aged,
    st.integers(0, 20),
    speakers=st.lists(st.sampled_from([MAYA, may_speak("gary")]), unique=True).map(tuple),
    suspects=st.none() | st.lists(st.sampled_from([A_STRANGER, HER_PARTNER, GARY]), max_size=2).map(tuple),
    lives_independently=st.booleans(),
    competent_since=st.none() | st.just(TODAY),
)
_SAID = st.builds(
    said,
    st.sampled_from(State),
    capacity=st.none() | st.sampled_from(Capacity),
    by=st.none() | st.sampled_from(["ava", "maya", "gary", "eve"]),
    expressed_by=st.sampled_from(["", "parent", "officer"]),
)


@given(_WHO, _SAID)
def test_a_suspect_never_agrees_and_never_takes_back(who: Around, entry: ConsentEntry) -> None:
    of_gary = entry.model_copy(update={"by": "gary"})
    suspected = Around(who.known, who.speakers, who.role, who.born, (GARY,))

    assert (0, of_gary) not in heard([(0, of_gary)], suspected).entries or entry.state not in HOLDS | OBJECTS


@given(_WHO, _SAID)
def test_knowing_less_of_the_event_never_lets_a_new_yes_count(who: Around, entry: ConsentEntry) -> None:
    less = Around(who.known, who.speakers, None, None, None)
    yes = entry.model_copy(update={"state": State.GIVEN})
    counts = bool(heard([(0, yes)], less).entries)

    assert not counts or voice_of(yes, less) is THEIRS
    if entry.state in OBJECTS and heard([(0, entry)], who).entries:
        assert heard([(0, entry)], less).entries


@given(_WHO, _SAID)
def test_a_further_suspect_never_makes_a_yes_count(who: Around, entry: ConsentEntry) -> None:
    yes = entry.model_copy(update={"state": State.GIVEN})
    more = Around(who.known, who.speakers, who.role, who.born, None if who.suspects is None else (*who.suspects, GARY))

    assert heard([(0, yes)], who).entries or not heard([(0, yes)], more).entries


def test_a_suspect_of_whom_it_is_not_known_who_he_is_may_be_a_parent() -> None:
    """His number and his name contradict each other, so what he is said to be to the child proves nothing."""
    told = story.incident()
    *others, gary = told.subjects
    event = told.model_copy(update={"subjects": (*others, gary.model_copy(update={"given_name": "Henry"}))})
    matched = match_all(event, demo(), KEY)

    found = consent_voice.around(
        event, event.subjects[0], KEY.token("nhs", "9990079196"), matched, demo(), on=NOON.date()
    )

    assert found.suspects == (Suspect(None, may_be_parent=True),)


def parent(**changes: Any) -> ConsentEntry:
    return said(**({"capacity": Capacity.PARENT} | changes))


def test_nobody_has_spoken_later_than_today_whatever_is_written() -> None:
    """A slip of a century would make the child grown up, and her parent's withdrawal nobody's."""
    late = parent(decided_at=NOON.replace(year=2206))
    ava = child(born=date(2015, 3, 2))

    assert voice_of(late, replace(ava, today=NOON.date())) is Voice.THEIRS
    assert voice_of(late, ava) is Voice.NOT_THEIRS


@pytest.mark.parametrize(
    ("around", "voice"),
    [
        ({}, Voice.THEIRS),
        ({"dangers": frozenset({"maya"})}, Voice.NOT_THEIRS),
        ({"suspects": (Suspect("maya", True),)}, Voice.NOT_THEIRS),
    ],
)
def test_before_birth_the_mother_speaks(around: Any, voice: Voice) -> None:
    unborn = replace(child(role=PersonRole.UNBORN_CHILD), mother="maya", **around)

    assert voice_of(parent(by="maya"), unborn) is voice
    assert voice_of(parent(by="another"), unborn) is Voice.NOT_THEIRS


def test_whoever_is_recorded_as_a_danger_speaks_for_nobody_with_or_without_an_event() -> None:
    for suspects in ((), None):
        ava = replace(child(speakers=(may_speak("gary"),), suspects=suspects), dangers=frozenset({"gary"}))

        assert voice_of(parent(by="gary"), ava) is Voice.NOT_THEIRS
        assert voice_of(parent(), ava) is Voice.UNSURE


def test_of_a_suspect_who_may_be_whoever_spoke_a_person_must_say() -> None:
    hers = replace(HER_PARTNER, resembles=frozenset({"gary"}))
    ava = child(speakers=(may_speak("gary"), MAYA), suspects=(hers,))

    assert voice_of(parent(by="gary"), ava) is Voice.UNSURE
    assert voice_of(parent(by="maya"), ava) is Voice.THEIRS
