"""R10, R11, R12: some things go only with agreement; a wish stops no report of harm; withdrawal counts at once."""

from datetime import date, timedelta
from typing import Any

import pytest
from a_case import (
    AVA,
    GARY,
    MAYA,
    NOON,
    decide,
    described,
    id_of,
    incident,
    it_reaches,
    messages,
    reasons,
    the_register,
    what_they_see,
    with_basis,
    with_change,
    with_consent,
    with_entry,
    with_flow,
    with_no_consent_on_record,
)

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event, Person
from safebus.streams.register.store import Register
from safebus.streams.rules import asked_again
from safebus.streams.rules.consent import Capacity, Meaning, State

MOVE = story.moved_to_temporary_accommodation(1)
AGREED = ["PERMITTED R01 fordshire-temporary-accommodation v1 to-school-and-health"]


def nobody_was_asked() -> Register:
    """The register, before anyone asked the parent."""
    return with_no_consent_on_record(the_register())


def test_r10_a_move_reaches_school_health_and_gp_when_the_parent_agreed() -> None:
    decided = decide(MOVE, the_register())

    assert messages(decided) == [("ash-primary", "Ava"), ("fordshire-0-19", "Ava"), ("meadow-practice", "Ava")]


def test_r10_a_move_tells_the_school_that_and_since_when_and_not_why_or_where() -> None:
    assert what_they_see(decide(MOVE, the_register()), "ash-primary", AVA) == {
        "event_id": MOVE.event_id,
        "event_type": "housing.temporary-accommodation.v1",
        "lifecycle": "NEW",
        "recorded_at": MOVE.recorded_at,
        "published_at": MOVE.published_at,
        "purpose": "temporary_accommodation_notice",
        "urgency": "ROUTINE",
        "respond_by": None,
        "payload": {
            "application_reference": "TEST-H-1",
            "placed_on": MOVE.payload.placed_on,
            "agreed_on": MOVE.payload.agreed_on,
            "agreed_by": "PARENT",
        },
        "subject": {"given_name": "Ava", "family_name": "Hart", "date_of_birth": AVA.date_of_birth},
    }


def test_r10_when_nobody_asked_nothing_leaves() -> None:
    """Whatever the event itself claims about an agreement."""
    decided = decide(MOVE, nobody_was_asked())

    assert messages(decided) == []
    assert reasons(decided, "ash-primary", AVA) == ["CONSENT_UNKNOWN R10 temporary_accommodation_notice"]


def test_r10_a_refusal_stops_the_notice() -> None:
    decided = decide(MOVE, with_consent(nobody_was_asked(), AVA, State.REFUSED))

    assert reasons(decided, "ash-primary", AVA) == ["CONSENT_REFUSED R10 temporary_accommodation_notice"]


def test_r10_an_agreement_for_a_time_ends_with_it() -> None:
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN, expires_at=NOON + timedelta(hours=1))

    in_time = decide(MOVE, register, now=NOON + timedelta(minutes=59))
    too_late = decide(MOVE, register, now=NOON + timedelta(hours=1))

    assert reasons(in_time, "ash-primary", AVA) == AGREED
    assert reasons(too_late, "ash-primary", AVA) == ["CONSENT_EXPIRED R10 temporary_accommodation_notice"]


def test_r10_an_agreement_to_tell_the_school_tells_the_school_alone() -> None:
    decided = decide(MOVE, with_consent(nobody_was_asked(), AVA, State.GIVEN, recipients=("ash-primary",)))

    assert messages(decided) == [("ash-primary", "Ava")]
    assert reasons(decided, "meadow-practice", AVA) == ["CONSENT_UNKNOWN R10 temporary_accommodation_notice"]


def test_r10_agreement_to_treatment_is_no_agreement_to_tell() -> None:
    decided = decide(MOVE, with_consent(nobody_was_asked(), AVA, State.GIVEN, meaning=Meaning.TREATMENT))

    assert messages(decided) == []


def test_r10_agreement_to_another_purpose_is_no_agreement_to_this_one() -> None:
    decided = decide(MOVE, with_consent(nobody_was_asked(), AVA, State.GIVEN, purpose="early_help"))

    assert messages(decided) == []


def test_r10_an_agreement_about_one_child_is_none_about_another_the_register_does_not_know() -> None:
    unknown = described(AVA, nhs_number="9990554331", upn=None)

    decided = decide(MOVE.model_copy(update={"subjects": (unknown,)}), the_register())

    assert decided.record.answers == ()


def test_r10_a_flow_that_forgets_to_ask_carries_nothing() -> None:
    register = with_flow(
        the_register(),
        "fordshire-temporary-accommodation",
        "to-school-and-health",
        consent=None,
        objection_reason="we would like to",
    )

    assert reasons(decide(MOVE, register), "ash-primary", AVA) == [
        "CONSENT_NOT_ASKED_FOR R10 N14",
        "BASIS_CLAIMS_CONSENT R10 CLDC-CONSENT",
    ]


def test_r10_a_basis_that_is_consent_carries_nothing_where_nobody_is_asked() -> None:
    """Nor is it handed over if it was decided before the agreement changed so."""
    basis = {"art6": "A6-1-a", "power_or_duty": "DAA21-49A", "confidentiality": "CLDC-STATUTE"}
    register = with_flow(the_register(), "fordshire-encompass", "to-schools", basis=basis)
    sent = decide(incident(), the_register()).notification("ash-primary", AVA)
    assert sent is not None

    stopped = asked_again.still_permitted(sent, register, NOON)

    assert reasons(decide(incident(), register), "ash-primary", AVA) == ["BASIS_CLAIMS_CONSENT R10 A6-1-a"]
    assert stopped is not None
    assert (stopped.code, stopped.rule, stopped.about) == ("BASIS_CLAIMS_CONSENT", "R10", "A6-1-a")


def test_r10_any_basis_can_be_marked_as_one_that_waits_for_agreement() -> None:
    register = with_basis(the_register(), "CLDC-STATUTE", claims_consent=True)

    assert reasons(decide(incident(), register), "ash-primary", AVA) == ["BASIS_CLAIMS_CONSENT R10 CLDC-STATUTE"]


def test_r10_consent_is_consent_whatever_the_catalogue_says_of_it() -> None:
    register = with_basis(the_register(), "CLDC-CONSENT", claims_consent=False)
    with_flow(register, "fordshire-temporary-accommodation", "to-school-and-health", consent=None, objection_reason="-")

    assert "BASIS_CLAIMS_CONSENT R10 CLDC-CONSENT" in reasons(decide(MOVE, register), "ash-primary", AVA)


def test_r11_an_objection_does_not_stop_a_report_of_harm_and_is_passed_on() -> None:
    register = with_consent(the_register(), AVA, State.REFUSED, purpose="safeguarding")

    decided = decide(incident(), register)
    notification = decided.notification("ash-primary", AVA)

    assert reasons(decided, "ash-primary", AVA) == [
        "PERMITTED R01 fordshire-encompass v3 to-schools",
        "OBJECTION_RECORDED R11 duty under Domestic Abuse Act 2021 s.49A; a wish does not stop a report of harm",
    ]
    assert notification is not None
    assert notification.labels == ("objection_recorded",)


def test_r11_an_objection_changes_no_field_of_what_the_school_has() -> None:
    objected = with_consent(the_register(), AVA, State.REFUSED, purpose="safeguarding")

    assert what_they_see(decide(incident(), objected), "ash-primary", AVA) == what_they_see(
        decide(incident(), the_register()), "ash-primary", AVA
    )


def test_r11_the_objection_of_another_person_is_not_passed_on() -> None:
    register = with_consent(the_register(), MAYA, State.REFUSED, purpose="safeguarding", expressed_by="subject")

    decided = decide(incident(), register)

    assert reasons(decided, "ash-primary", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-schools"]
    assert reasons(decided, "haven", MAYA) == [
        "PERMITTED R01 fordshire-encompass v3 to-haven",
        "OBJECTION_RECORDED R11 serious risk to the person",
    ]


def test_r12_after_a_withdrawal_the_next_notice_reaches_nobody() -> None:
    decided = decide(MOVE, with_consent(the_register(), AVA, State.WITHDRAWN))

    assert messages(decided) == []
    assert reasons(decided, "ash-primary", AVA) == ["CONSENT_WITHDRAWN R10 temporary_accommodation_notice"]


def test_r12_a_withdrawal_stops_a_notice_that_was_decided_and_not_yet_handed_over() -> None:
    notification = decide(MOVE, the_register()).notification("ash-primary", AVA)
    assert notification is not None

    before = asked_again.still_permitted(notification, the_register(), NOON)
    after = asked_again.still_permitted(notification, with_consent(the_register(), AVA, State.WITHDRAWN), NOON)

    assert before is None
    assert after is not None
    assert after.model_dump() == {
        "code": "CONSENT_WITHDRAWN",
        "rule": "R12",
        "about": "temporary_accommodation_notice",
    }


def test_r12_a_withdrawal_for_the_school_leaves_the_health_visitor_told() -> None:
    decided = decide(MOVE, with_consent(the_register(), AVA, State.WITHDRAWN, recipients=("ash-primary",)))

    assert messages(decided) == [("fordshire-0-19", "Ava"), ("meadow-practice", "Ava")]


def test_r12_a_withdrawal_leaves_reports_of_harm_untouched() -> None:
    register = with_consent(the_register(), AVA, State.WITHDRAWN)

    assert it_reaches(decide(incident(), register), "ash-primary", AVA)
    assert reasons(decide(incident(), register), "ash-primary", AVA) == [
        "PERMITTED R01 fordshire-encompass v3 to-schools"
    ]


def test_r12_agreed_again_it_is_told_again() -> None:
    register = with_consent(the_register(), AVA, State.WITHDRAWN)
    with_consent(register, AVA, State.GIVEN, decided_at=NOON + timedelta(hours=1))

    assert reasons(decide(MOVE, register, now=NOON + timedelta(hours=2)), "ash-primary", AVA) == AGREED


def test_r28_of_two_decisions_the_newer_one_counts_whenever_it_was_typed_in() -> None:
    """The refusal was said first and typed in last."""
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN)
    with_consent(register, AVA, State.REFUSED, decided_at=NOON - timedelta(days=1))

    assert reasons(decide(MOVE, register), "ash-primary", AVA) == AGREED


def test_r28_a_yes_dated_ahead_does_not_outlast_a_withdrawal() -> None:
    """A year typed wrong must not bind the family until then."""
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN, decided_at=NOON + timedelta(days=365))
    with_consent(register, AVA, State.WITHDRAWN)

    assert messages(decide(MOVE, register)) == []


# Whose yes and whose no it is (R13, R14). Ava is eleven years old.


def in_the_register(register: Register, **facts: Any) -> Register:
    """The register with these facts of Ava."""
    return with_change(register, f"person/{id_of(AVA)}", lambda body: body.update(facts))


def speaks_for_ava(register: Register, who: Person) -> Register:
    """The register in which this person has parental responsibility for Ava."""
    body = {"person_id": id_of(AVA), "by": id_of(who), "as": "parental_responsibility", "source": "birth certificate"}
    return with_entry(register, f"may_speak_for/{who.ref}", "may_speak_for", body)


def moved(*others: Person, **of_ava: Any) -> Event:
    """Ava's family moves; `others`: who else the event names."""
    return MOVE.model_copy(update={"subjects": (described(AVA, **of_ava), *others)})


def the_school(register: Register, event: Event = MOVE) -> list[str]:
    return reasons(decide(event, register), "ash-primary", AVA)


PURPOSE = "temporary_accommodation_notice"
FATHER = described(GARY, relationship="father")


@pytest.mark.parametrize("words", ["", "officer", "social worker", "subject", "young_person"])
def test_r13_nobody_agrees_for_a_child_who_is_not_its_parent(words: str) -> None:
    """Neither an officer, nor nobody in particular, nor a child of eleven."""
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN, expressed_by=words)

    assert the_school(register) == [f"CONSENT_NOT_THEIRS R13 {PURPOSE}"]


def test_r13_a_child_who_was_found_competent_agrees() -> None:
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN, capacity=Capacity.YOUNG_PERSON)

    assert the_school(in_the_register(register, competent_since=NOON.date().isoformat())) == AGREED


def test_r13_of_an_age_that_nobody_knows_it_cannot_be_said_whether_a_child_may_agree() -> None:
    register = with_consent(nobody_was_asked(), AVA, State.GIVEN, capacity=Capacity.SUBJECT)

    assert the_school(register, moved(date_of_birth=None)) == [f"CONSENT_UNSURE R14 {PURPOSE}"]


def test_r13_of_seventeen_and_on_her_own_it_is_she_who_is_asked() -> None:
    """HA 1996 s.213AA(3). Her birth date stands in the register as a token only, so the event tells her age."""
    of_seventeen = moved(date_of_birth=date(2009, 11, 1))
    facts = {"lives_independently": True, "confirm": {}}
    mother_agreed = in_the_register(with_consent(nobody_was_asked(), AVA, State.GIVEN), **facts)
    she_agreed = in_the_register(
        with_consent(nobody_was_asked(), AVA, State.GIVEN, capacity=Capacity.YOUNG_PERSON), **facts
    )

    assert the_school(mother_agreed, of_seventeen) == [f"CONSENT_NOT_THEIRS R13 {PURPOSE}"]
    assert the_school(she_agreed, of_seventeen) == AGREED


def test_r14_a_father_who_is_the_suspect_does_not_agree() -> None:
    register = speaks_for_ava(with_consent(nobody_was_asked(), AVA, State.GIVEN, by=id_of(GARY)), GARY)

    assert the_school(register) == AGREED
    assert the_school(register, moved(FATHER)) == [f"CONSENT_NOT_THEIRS R13 {PURPOSE}"]


@pytest.mark.parametrize("state", [State.REFUSED, State.WITHDRAWN])
def test_r14_what_the_suspect_takes_back_stays_agreed_and_it_is_said(state: State) -> None:
    register = speaks_for_ava(with_consent(nobody_was_asked(), AVA, State.GIVEN, by=id_of(MAYA)), MAYA)
    speaks_for_ava(register, GARY)
    with_consent(register, AVA, state, by=id_of(GARY), decided_at=NOON + timedelta(minutes=1))

    later = decide(moved(FATHER), register, now=NOON + timedelta(hours=1))

    assert reasons(later, "ash-primary", AVA) == [*AGREED, f"NO_NOT_THEIRS R14 {PURPOSE}"]
    assert not it_reaches(decide(MOVE, register, now=NOON + timedelta(hours=1)), "ash-primary", AVA)


def test_r14_which_parent_it_was_must_be_known_where_one_of_them_may_be_the_suspect() -> None:
    """Silence refuses, and a person looks."""
    some_parent = with_consent(nobody_was_asked(), AVA, State.GIVEN, capacity=Capacity.PARENT)
    maya = speaks_for_ava(with_consent(nobody_was_asked(), AVA, State.GIVEN, by=id_of(MAYA)), MAYA)

    assert the_school(some_parent, moved(FATHER)) == [f"CONSENT_UNSURE R14 {PURPOSE}"]
    assert the_school(some_parent, moved(described(GARY, relationship="uncle"))) == AGREED
    assert the_school(maya, moved(FATHER)) == AGREED


def test_r14_a_withdrawal_of_a_parent_who_is_not_named_stops_even_beside_a_suspect() -> None:
    register = speaks_for_ava(with_consent(nobody_was_asked(), AVA, State.GIVEN, by=id_of(MAYA)), MAYA)
    with_consent(register, AVA, State.WITHDRAWN, decided_at=NOON, capacity=Capacity.PARENT)

    assert the_school(register, moved(FATHER)) == [f"REFUSAL_UNSURE R14 {PURPOSE}"]


def test_r14_the_objection_of_the_suspect_is_no_objection_of_the_child() -> None:
    register = with_consent(the_register(), AVA, State.REFUSED, purpose="safeguarding", by=id_of(GARY))

    decided = decide(incident(), register)
    notification = decided.notification("ash-primary", AVA)

    assert notification is not None
    assert notification.labels == ()
    assert reasons(decided, "ash-primary", AVA)[1:] == ["NO_NOT_THEIRS R14 safeguarding"]


def test_r14_before_a_delivery_what_the_decision_rested_on_still_holds() -> None:
    notification = decide(MOVE, the_register()).notification("ash-primary", AVA)
    assert notification is not None
    by_nobody = with_consent(
        the_register(), AVA, State.WITHDRAWN, by=id_of(GARY), decided_at=NOON + timedelta(minutes=1)
    )

    assert asked_again.still_permitted(notification, by_nobody, NOON + timedelta(hours=1)) is None


def test_r14_before_a_delivery_a_new_yes_of_a_parent_undoes_no_withdrawal() -> None:
    """Which parent it was, and whether the event accuses one, is not known there. The next notice is decided afresh."""
    notification = decide(MOVE, the_register()).notification("ash-primary", AVA)
    assert notification is not None
    register = with_consent(the_register(), AVA, State.WITHDRAWN, decided_at=NOON + timedelta(minutes=1))
    with_consent(register, AVA, State.GIVEN, decided_at=NOON + timedelta(minutes=2))

    stopped = asked_again.still_permitted(notification, register, NOON + timedelta(hours=1))

    assert stopped is not None
    assert stopped.code == "CONSENT_WITHDRAWN"


def test_r10_a_notice_that_did_not_wait_for_agreement_needs_one_that_is_known_to_be_theirs() -> None:
    """The flow waits since the decision; the event is not at hand, so a parent's yes may be anybody's."""
    flow = ("fordshire-encompass", "to-schools")
    sent = decide(incident(), the_register()).notification("ash-primary", AVA)
    assert sent is not None
    waits = with_flow(the_register(), *flow, consent="service_agreement")
    with_consent(waits, AVA, State.GIVEN, purpose="safeguarding")

    stopped = asked_again.still_permitted(sent, waits, NOON)

    assert stopped is not None
    assert stopped.code == "CONSENT_UNSURE"
    by_court = with_consent(waits, AVA, State.GIVEN, purpose="safeguarding", capacity=Capacity.COURT)
    assert asked_again.still_permitted(sent, by_court, NOON) is None
