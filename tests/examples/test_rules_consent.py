"""R10, R11, R12: some things go only with agreement; a wish stops no report of harm; withdrawal counts at once."""

from datetime import timedelta

from a_case import (
    AVA,
    MAYA,
    NOON,
    decide,
    described,
    incident,
    it_reaches,
    messages,
    reasons,
    the_register,
    what_they_see,
    with_consent,
    with_flow,
    with_no_consent_on_record,
)

from safebus.deploy.local.demo import story
from safebus.streams.register.store import Register
from safebus.streams.rules import asked_again
from safebus.streams.rules.consent import Meaning, State

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

    assert reasons(decide(MOVE, register), "ash-primary", AVA) == ["CONSENT_NOT_ASKED_FOR R10 N14"]


def test_r11_an_objection_does_not_stop_a_report_of_harm_and_is_passed_on() -> None:
    register = with_consent(the_register(), AVA, State.REFUSED, purpose="safeguarding")

    decided = decide(incident(), register)
    notification = decided.notification("ash-primary", AVA)

    assert reasons(decided, "ash-primary", AVA) == [
        "PERMITTED R01 fordshire-encompass v3 to-schools",
        "OBJECTION_RECORDED R11 duty under Domestic Abuse Act 2021 s.49A; a wish does not stop a report of harm",
    ]
    assert notification is not None
    assert notification.labels == ("confidentiality:N", "objection_recorded")


def test_r11_an_objection_changes_no_field_of_what_the_school_has() -> None:
    objected = with_consent(the_register(), AVA, State.REFUSED, purpose="safeguarding")

    assert what_they_see(decide(incident(), objected), "ash-primary", AVA) == what_they_see(
        decide(incident(), the_register()), "ash-primary", AVA
    )


def test_r11_the_objection_of_another_person_is_not_passed_on() -> None:
    register = with_consent(the_register(), MAYA, State.REFUSED, purpose="safeguarding")

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
