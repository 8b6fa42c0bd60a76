"""R07, R21: which fields, under which condition, and always the same bytes."""

from a_case import (
    AVA,
    MAYA,
    NOON,
    decide,
    incident,
    it_reaches,
    reasons,
    the_register,
    what_they_see,
    with_basis,
    with_flow,
)

from safebus.deploy.local.demo import story

ATTENDANCE = story.attendance()
SEEN_WITHOUT_HEALTH = {
    "arrived_at": ATTENDANCE.payload.arrived_at,
    "left_at": ATTENDANCE.payload.left_at,
    "left_before_seen": False,
    "concern_code": "861931000000100",
}
SEEN_WITH_HEALTH = SEEN_WITHOUT_HEALTH | {
    "presenting_complaint": "bruised forearm",
    "diagnosis": "contusion",
    "attendances_last_year": 2,
    "plan_known": False,
}


def test_r07_health_data_reaches_the_mash_where_art_9_and_schedule_1_are_answered() -> None:
    seen = what_they_see(decide(ATTENDANCE, the_register()), "fordshire-mash", AVA)

    assert seen["payload"] == SEEN_WITH_HEALTH


def test_r07_without_an_art_9_condition_health_data_stays_and_the_event_goes() -> None:
    """The agreement names health data, and its basis does not carry it: the letter says "attended", not why."""
    decided = decide(ATTENDANCE, the_register())

    assert what_they_see(decided, "fordshire-0-19", AVA)["payload"] == SEEN_WITHOUT_HEALTH
    assert [f.path for f in decided.answer("fordshire-0-19", AVA).withheld if f.rule == "R07"] == [
        "payload.presenting_complaint",
        "payload.diagnosis",
        "payload.attendances_last_year",
    ]


def test_r07_an_art_9_condition_that_also_needs_schedule_1_does_not_hold_alone() -> None:
    basis = {"art6": "A6-1-e", "art9_or_10": "A9-2-g", "power_or_duty": "CA04-10", "confidentiality": "CLDC-OPI"}
    register = with_flow(the_register(), "fordshire-health-and-care", "attendance-to-mash", basis=basis)

    decided = decide(ATTENDANCE, register)

    assert it_reaches(decided, "fordshire-mash", AVA)
    assert what_they_see(decided, "fordshire-mash", AVA)["payload"] == SEEN_WITHOUT_HEALTH | {"plan_known": False}


def test_r07_a_condition_that_is_not_law_yet_carries_no_health_data() -> None:
    register = with_basis(the_register(), "DPA18-S1-P2-18", in_force_from=None)

    seen = what_they_see(decide(ATTENDANCE, register), "fordshire-mash", AVA)

    assert seen["payload"] == SEEN_WITHOUT_HEALTH | {"plan_known": False}


def test_r07_convictions_need_a_schedule_1_condition() -> None:
    named = ["payload.suspect_history"]
    with_condition = with_flow(the_register(), "fordshire-encompass", "to-mash", fields=named)
    without = with_flow(the_register(), "fordshire-encompass", "to-health-visiting", fields=named)

    mash = what_they_see(decide(incident(), with_condition), "fordshire-mash", AVA)
    health = what_they_see(decide(incident(), without), "fordshire-0-19", AVA)

    assert mash["payload"]["suspect_history"] == "two earlier cautions"
    assert health["payload"] == {
        "police_reference": "TEST-4711",
        "incident_type": "domestic abuse, assault",
        "children": [{"present": True, "spoken_to": True}],
    }


def test_prose_reaches_only_whom_the_agreement_names_it_for() -> None:
    decided = decide(incident(), the_register())

    assert what_they_see(decided, "fordshire-mash", AVA)["payload"]["circumstances"] == (
        "Neighbour called; mother injured; children upstairs and in the kitchen."
    )
    assert "circumstances" not in what_they_see(decided, "ash-primary", AVA)["payload"]


def test_the_neighbour_who_spoke_up_is_named_to_nobody_even_if_an_agreement_says_so() -> None:
    register = with_flow(the_register(), "fordshire-encompass", "to-mash", fields=["payload.referrer"])

    decided = decide(incident(), register)

    assert "referrer" not in what_they_see(decided, "fordshire-mash", AVA)["payload"]
    assert not [value for value in decided.values if b"number 14" in value]


def test_a_date_of_birth_may_go_as_a_year() -> None:
    register = with_flow(the_register(), "fordshire-encompass", "to-haven", mask={"subject.date_of_birth": "year"})

    assert what_they_see(decide(incident(), register), "haven", MAYA)["subject"] == {
        "given_name": "Maya",
        "family_name": "Hart",
        "date_of_birth": 1990,
        "phone": "07700 900123",
        "safe_to_call": False,
    }


def test_r21_the_same_event_agreement_and_time_give_the_same_bytes() -> None:
    first, again = decide(incident(), the_register()), decide(incident(), the_register())

    assert again.values == first.values
    assert again.record == first.record


def test_r21_a_changed_agreement_changes_what_is_given_and_under_which_version() -> None:
    register = with_flow(the_register(), "fordshire-encompass", "to-schools", fields=[])

    before, after = decide(incident(), the_register()), decide(incident(), register)

    assert what_they_see(before, "ash-primary", AVA)["payload"]["children"] == [
        {"present": True, "spoken_to": True, "words": "I took Cora upstairs."}
    ]
    assert what_they_see(after, "ash-primary", AVA)["payload"]["children"] == [{"present": True, "spoken_to": True}]
    assert reasons(after, "ash-primary", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-schools"]
    assert after.record.decided_at == NOON
