"""R01, R02, R27, R28: no sharing without an agreement, a refusal on record, and a refusal that wins."""

from datetime import UTC, date, datetime

from a_case import (
    AVA,
    BEN,
    CORA,
    MAYA,
    decide,
    incident,
    it_reaches,
    messages,
    reasons,
    the_register,
    with_agreement,
    with_flow,
    with_partner,
    with_prohibition,
    without,
)

from safebus.deploy.local.demo import story

ENCOMPASS = "fordshire-encompass"


def test_r01_everyone_whom_an_agreement_covers_is_told_of_the_incident() -> None:
    """Both schools are not: one of them is governed by the alleged perpetrator."""
    decided = decide(incident(), the_register())

    assert messages(decided) == [
        ("ash-primary", "Ava"),
        ("fordshire-0-19", "Ava"),
        ("fordshire-mash", "Ava"),
        ("fordshire-mash", "Ben"),
        ("fordshire-0-19", "Cora"),
        ("fordshire-mash", "Cora"),
        ("haven", "Maya"),
    ]


def test_r01_a_gp_practice_that_signed_nothing_about_incidents_gets_nothing() -> None:
    decided = decide(incident(), the_register())

    assert not it_reaches(decided, "meadow-practice", AVA)
    assert reasons(decided, "meadow-practice", AVA) == ["NO_AGREEMENT R01 meadow-practice"]


def test_r01_a_draft_agreement_carries_nothing() -> None:
    decided = decide(incident(), with_agreement(the_register(), ENCOMPASS, status="draft"))

    assert messages(decided) == []
    assert reasons(decided, "ash-primary", AVA) == ["AGREEMENT_DRAFT R01 fordshire-encompass v3"]


def test_r01_an_agreement_for_another_purpose_carries_nothing() -> None:
    decided = decide(incident(purpose="research"), the_register())

    assert messages(decided) == []
    assert reasons(decided, "ash-primary", AVA) == ["PURPOSE_NOT_COVERED R01 fordshire-encompass v3"]


def test_r01_an_agreement_for_school_nursing_is_none_for_the_family_dentist() -> None:
    register = with_flow(the_register(), ENCOMPASS, "to-health-visiting", interest=["dentistry"])

    decided = decide(incident(), register)

    assert reasons(decided, "fordshire-0-19", AVA) == ["NOT_IN_CARE R01 fordshire-encompass v3"]
    assert it_reaches(decided, "ash-primary", AVA)


def test_r01_a_suspended_partner_gets_nothing_and_the_others_still_do() -> None:
    decided = decide(incident(), with_partner(the_register(), "ash-primary", suspended=True))

    assert reasons(decided, "ash-primary", AVA) == ["PARTNER_SUSPENDED R01 ash-primary"]
    assert it_reaches(decided, "fordshire-mash", AVA)


def test_r02_an_agreement_reviewed_in_time_holds_on_its_last_day() -> None:
    decided = decide(incident(), the_register(), now=datetime(2027, 6, 30, 22, 59, tzinfo=UTC))

    assert reasons(decided, "ash-primary", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-schools"]


def test_r02_an_agreement_past_its_review_still_reaches_the_school_and_says_so() -> None:
    decided = decide(incident(), the_register(), now=datetime(2027, 7, 30, 12, tzinfo=UTC))

    assert it_reaches(decided, "ash-primary", AVA)
    assert reasons(decided, "ash-primary", AVA) == [
        "PERMITTED R01 fordshire-encompass v3 to-schools",
        "AGREEMENT_REVIEW_OVERDUE R02 fordshire-encompass",
    ]


def test_r02_after_thirty_days_of_grace_it_lapses_and_never_in_silence() -> None:
    decided = decide(incident(), the_register(), now=datetime(2027, 7, 31, 0, 0, tzinfo=UTC))

    assert messages(decided) == []
    assert reasons(decided, "ash-primary", AVA) == ["AGREEMENT_EXPIRED R02 fordshire-encompass v3"]


def test_r02_days_of_grace_do_not_prolong_an_agreement_that_ends() -> None:
    register = with_agreement(the_register(), ENCOMPASS, expires_on=str(date(2027, 6, 30)))

    decided = decide(incident(), register, now=datetime(2027, 7, 1, tzinfo=UTC))

    assert reasons(decided, "ash-primary", AVA) == ["AGREEMENT_EXPIRED R02 fordshire-encompass v3"]


def test_r27_a_permit_is_recorded_with_agreement_basis_purpose_and_fields() -> None:
    answer = decide(incident(), the_register()).answer("ash-primary", AVA)

    assert (answer.agreement_id, answer.agreement_version, answer.flow) == (ENCOMPASS, 3, "to-schools")
    assert answer.basis is not None
    assert answer.basis.model_dump() == {
        "art6": "A6-1-c",
        "art9_or_10": "A9-2-g",
        "sch1": "DPA18-S1-P2-18",
        "power_or_duty": "DAA21-49A",
        "confidentiality": "CLDC-STATUTE",
    }
    assert [(f.path, f.rule) for f in answer.released if f.path.startswith("payload")] == [
        ("payload.police_reference", "AGREEMENT"),
        ("payload.incident_type", "AGREEMENT"),
        ("payload.children[].present", "AGREEMENT"),
        ("payload.children[].spoken_to", "AGREEMENT"),
        ("payload.children[].words", "AGREEMENT"),
    ]
    assert [(f.path, f.rule) for f in answer.withheld if f.path.startswith("payload")] == [
        ("payload.incident_address", "NOT_NAMED"),
        ("payload.circumstances", "PROSE"),
        ("payload.officer_notes", "PROSE"),
        ("payload.risk_grade", "NOT_NAMED"),
        ("payload.previous_incidents", "NOT_NAMED"),
        ("payload.suspect_history", "NOT_NAMED"),
        ("payload.referrer", "NEVER"),
        ("payload.children[].subject_ref", "NOT_NAMED"),
    ]


def test_r27_a_refusal_is_recorded_with_why_and_whom_to_ring() -> None:
    answer = decide(incident(), the_register()).answer("fordshire-housing", AVA)

    assert (answer.outcome, answer.interest, answer.call) == (
        "REFUSE",
        "household_of_tenant",
        "Fordshire Police public protection desk, 01632 960101",
    )
    assert (answer.notification_id, answer.output_digest, answer.released) == (None, None, ())


def test_r27_everyone_considered_has_an_answer_and_nobody_twice() -> None:
    answers = decide(incident(), the_register()).record.answers

    assert [(a.recipient, str(a.outcome)) for a in answers] == [
        ("ash-primary", "PERMIT"),
        ("fordshire-0-19", "PERMIT"),
        ("fordshire-housing", "REFUSE"),
        ("fordshire-mash", "PERMIT"),
        ("meadow-practice", "REFUSE"),
        ("beech-primary", "REFUSE"),
        ("fordshire-mash", "PERMIT"),
        ("fordshire-0-19", "PERMIT"),
        ("fordshire-mash", "PERMIT"),
        ("meadow-practice", "REFUSE"),
        ("haven", "PERMIT"),
    ]
    assert len({a.decision_id for a in answers}) == len(answers)


def test_r28_a_prohibition_beats_the_agreement_that_permits() -> None:
    register = with_prohibition(
        the_register(), sender="fordshire-police", to="ash-primary", event_type="police.encompass.v1"
    )

    decided = decide(incident(), register)

    assert not it_reaches(decided, "ash-primary", AVA)
    assert reasons(decided, "ash-primary", AVA) == ["PROHIBITED R28 a-prohibition/nothing"]


def test_r28_a_prohibition_for_one_school_stops_nobody_else() -> None:
    register = with_prohibition(
        the_register(), sender="fordshire-police", to="ash-primary", event_type="police.encompass.v1"
    )

    decided = decide(incident(), register)

    assert [m for m in messages(decided) if m[0] != "fordshire-mash"] == [
        ("fordshire-0-19", "Ava"),
        ("fordshire-0-19", "Cora"),
        ("haven", "Maya"),
    ]
    assert it_reaches(decided, "fordshire-mash", AVA) and it_reaches(decided, "fordshire-mash", BEN)


def test_r28_a_prohibition_that_was_terminated_stops_nothing() -> None:
    register = with_prohibition(
        the_register(),
        sender="fordshire-police",
        to="ash-primary",
        event_type="police.encompass.v1",
        status="terminated",
    )

    assert it_reaches(decide(incident(), register), "ash-primary", AVA)


def test_r28_a_prohibition_does_not_lapse_because_nobody_reviewed_it() -> None:
    register = with_prohibition(
        the_register(),
        sender="fordshire-police",
        to="ash-primary",
        event_type="police.encompass.v1",
        review_by="2026-02-01",
    )

    assert not it_reaches(decide(incident(), register), "ash-primary", AVA)


def test_a_partner_whom_nobody_registered_gets_nothing() -> None:
    decided = decide(incident(), without(the_register(), "partner/haven"))

    assert reasons(decided, "haven", MAYA) == ["UNKNOWN_PARTNER R01 haven"]
    assert it_reaches(decided, "fordshire-mash", CORA)


def test_a_child_protection_plan_reaches_the_hospital_whoever_its_patient_is() -> None:
    """A hospital cannot know beforehand which child will come in, so it watches over every plan."""
    decided = decide(story.protection_plan(), the_register())

    assert messages(decided) == [("county-hospital", "Ava"), ("fordshire-0-19", "Ava")]
