"""R16, R17, R24 and the adversary rule: the right child, nobody else's, and never the one they fear."""

from datetime import UTC, date, datetime

from a_case import (
    AVA,
    BEN,
    CORA,
    GARY,
    KEY,
    MAYA,
    NOON,
    decide,
    described,
    id_of,
    incident,
    it_reaches,
    messages,
    reasons,
    set_aside,
    the_register,
    to_look_at,
    what_they_see,
    with_change,
    with_entry,
    with_restricted_record,
)
from a_register import put

from safebus.deploy.local.demo import story
from safebus.schemas.events import Confidentiality, Handling, Person, PersonRole, PlanType
from safebus.streams.rules.sharing import SetAside

RESTRICTED = "RESTRICTED_PERSON R16 locations, contacts and related persons withheld"


# R16


def test_r16_the_mash_has_the_address_of_a_child_whose_record_is_open() -> None:
    seen = what_they_see(decide(incident(), the_register()), "fordshire-mash", AVA)

    assert seen["subject"] == {
        "given_name": "Ava",
        "family_name": "Hart",
        "date_of_birth": date(2015, 3, 2),
        "nhs_number": "9990079196",
        "upn": "X313000026001",
        "home_address": {
            "lines": ["12 Mill Lane", "Fordham"],
            "postcode": "ZZ99 3VZ",
            "uprn": None,
            "local_authority": "E99999999",
        },
        "registered_gp": "ZZ001",
        "school": "Ash Primary School",
    }


def test_r16_a_restricted_child_is_still_reported_without_places_contacts_and_relatives() -> None:
    """Nor prose: places and names hide in it, the child's own words included."""
    decided = decide(incident(), with_restricted_record(the_register(), AVA))

    told = story.incident()
    assert reasons(decided, "fordshire-mash", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-mash", RESTRICTED]
    assert what_they_see(decided, "fordshire-mash", AVA) == {
        "event_id": told.event_id,
        "event_type": "police.encompass.v1",
        "lifecycle": "NEW",
        "occurred_at": told.occurred_at,
        "recorded_at": told.recorded_at,
        "published_at": told.published_at,
        "publisher": {
            "agency": "fordshire-police",
            "org_scheme": "CJS-OU",
            "org_code": "99",
            "org_name": "Fordshire Police",
            "contact": "public protection desk, 01632 960101",
        },
        "purpose": "safeguarding",
        "urgency": "PRIORITY",
        "respond_by": None,
        "source_reliability": "REPORTED",
        "payload": {
            "police_reference": "TEST-4711",
            "incident_type": "domestic abuse, assault",
            "risk_grade": "HIGH",
            "previous_incidents": 3,
            "children": [{"present": True, "spoken_to": True}],
        },
        "subject": {
            "given_name": "Ava",
            "family_name": "Hart",
            "date_of_birth": date(2015, 3, 2),
            "nhs_number": "9990079196",
            "upn": "X313000026001",
        },
        "alleged_perpetrators": [
            {
                "given_name": "Gary",
                "family_name": "Stone",
                "date_of_birth": date(1986, 1, 30),
                "relationship": "mother's partner",
            }
        ],
    }


def test_r16_the_label_on_the_event_and_on_the_person_count_like_the_register() -> None:
    by_register = decide(incident(), with_restricted_record(the_register(), AVA))
    by_event = decide(incident(handling=Handling(confidentiality=Confidentiality.R)), the_register())
    by_person = decide(incident(described(AVA, confidentiality=Confidentiality.R)), the_register())

    seen = [what_they_see(d, "fordshire-mash", AVA) for d in (by_register, by_event, by_person)]
    assert seen == [seen[0]] * 3


def test_r16_a_restricted_child_hides_the_address_of_a_sibling_in_the_same_home() -> None:
    decided = decide(incident(), with_restricted_record(the_register(), BEN))

    assert "home_address" not in what_they_see(decided, "fordshire-mash", AVA)["subject"]
    assert reasons(decided, "fordshire-mash", AVA) == ["PERMITTED R01 fordshire-encompass v3 to-mash", RESTRICTED]


def test_r16_a_restricted_family_is_not_counted_either() -> None:
    decided = decide(incident(), with_restricted_record(the_register(), CORA))

    assert "other_children_count" not in what_they_see(decided, "haven", MAYA)


def test_r16_very_restricted_is_for_a_person_to_decide() -> None:
    decided = decide(incident(described(AVA, confidentiality=Confidentiality.V)), the_register())

    assert reasons(decided, "fordshire-mash", AVA) == ["VERY_RESTRICTED R16 handling"]
    assert it_reaches(decided, "fordshire-mash", BEN)


# R17


def test_r17_the_school_has_its_own_pupil_and_what_happened() -> None:
    told = story.incident()

    assert what_they_see(decide(incident(), the_register()), "ash-primary", AVA) == {
        "event_id": told.event_id,
        "event_type": "police.encompass.v1",
        "lifecycle": "NEW",
        "occurred_at": told.occurred_at,
        "recorded_at": told.recorded_at,
        "published_at": told.published_at,
        "purpose": "safeguarding",
        "urgency": "PRIORITY",
        "respond_by": None,
        "source_reliability": "REPORTED",
        "payload": {
            "police_reference": "TEST-4711",
            "incident_type": "domestic abuse, assault",
            "children": [{"present": True, "spoken_to": True, "words": "I took Cora upstairs."}],
        },
        "subject": {
            "given_name": "Ava",
            "family_name": "Hart",
            "date_of_birth": date(2015, 3, 2),
            "upn": "X313000026001",
        },
        "alleged_perpetrators": [{"relationship": "mother's partner"}],
    }


def test_r17_the_school_is_told_of_no_sibling_at_another_school() -> None:
    decided = decide(incident(), the_register())

    assert [m for m in messages(decided) if m[0] == "ash-primary"] == [("ash-primary", "Ava")]
    assert not {"other_children", "other_children_count"} & set(what_they_see(decided, "ash-primary", AVA))


def test_r17_a_school_with_two_of_the_children_has_two_messages_with_their_own_words() -> None:
    register = with_entry(
        the_register(),
        "involvement/ben-at-ash",
        "involvement",
        {"person_id": id_of(BEN), "partner": "ash-primary", "role": "attends_school"},
    )

    decided = decide(incident(), register)

    assert [what_they_see(decided, "ash-primary", child)["payload"]["children"] for child in (AVA, BEN)] == [
        [{"present": True, "spoken_to": True, "words": "I took Cora upstairs."}],
        [{"present": True, "spoken_to": True, "words": "I hid under the table."}],
    ]


def test_r17_a_school_that_the_child_has_left_is_not_told() -> None:
    register = the_register()
    record_id = next(
        r for r, (kind, e) in register.entries().items() if kind == "involvement" and e.partner == "ash-primary"
    )

    decided = decide(incident(), with_change(register, record_id, lambda b: b.update(ends_on="2026-11-19")))

    assert "ash-primary" not in {answer.recipient for answer in decided.record.answers}


def test_r17_the_charity_has_its_own_client_and_no_child_by_name() -> None:
    told = story.incident()

    assert what_they_see(decide(incident(), the_register()), "haven", MAYA) == {
        "event_id": told.event_id,
        "event_type": "police.encompass.v1",
        "lifecycle": "NEW",
        "occurred_at": told.occurred_at,
        "recorded_at": told.recorded_at,
        "published_at": told.published_at,
        "purpose": "safeguarding",
        "urgency": "PRIORITY",
        "respond_by": None,
        "source_reliability": "REPORTED",
        "payload": {
            "police_reference": "TEST-4711",
            "incident_type": "domestic abuse, assault",
            "risk_grade": "HIGH",
            "previous_incidents": 3,
            "children": [],
        },
        "subject": {
            "given_name": "Maya",
            "family_name": "Hart",
            "date_of_birth": date(1990, 6, 11),
            "phone": "07700 900123",
            "safe_to_call": False,
        },
        "alleged_perpetrators": [
            {
                "given_name": "Gary",
                "family_name": "Stone",
                "date_of_birth": date(1986, 1, 30),
                "relationship": "mother's partner",
            }
        ],
        "other_children_count": 3,
    }


def test_nobody_receives_the_address_of_the_refuge() -> None:
    """It stands in its own field and in an officer's prose."""
    decided = decide(incident(), the_register())

    assert not [v for v in decided.values if b"Rowan House" in v or b"ZZ99 9RF" in v]


# R24


def test_r24_the_right_number_name_and_birth_reach_the_school() -> None:
    assert it_reaches(decide(incident(), the_register()), "ash-primary", AVA)


def test_r24_a_number_that_belongs_to_another_name_is_for_a_person_to_look_at() -> None:
    event = incident(described(AVA, given_name="Eva", family_name="Hurst"))

    decided = decide(event, the_register())

    assert "subjects.0 (CHILD) IDENTITY_MISMATCH nobody is told" in to_look_at(decided)
    assert not [a for a in decided.record.answers if a.subject_token == id_of(AVA)]
    assert it_reaches(decided, "fordshire-mash", BEN)


def test_r24_on_a_bus_of_real_people_a_number_for_trying_is_for_a_person_to_look_at() -> None:
    register = put(the_register(), "people_here", "people_here", {"are": "real"})

    assert set_aside(story.attendance(), register) == SetAside(
        "TEST_NUMBER", "the NHS number of a subject is of a range for trying only and nobody's; give theirs"
    )


def test_r24_with_a_doubt_about_the_only_child_nothing_is_decided() -> None:
    event = story.attendance().model_copy(update={"subjects": (described(AVA, family_name="Hurst"),)})

    assert set_aside(event, the_register()) == SetAside(
        "IDENTITY_MISMATCH", "`family_name` does not confirm the identifier of a subject"
    )


def test_r24_identifiers_of_two_children_are_for_a_person_to_look_at() -> None:
    event = incident(described(AVA, upn=BEN.upn))

    decided = decide(event, the_register())

    assert "subjects.0 (CHILD) IDENTITY_AMBIGUOUS nobody is told" in to_look_at(decided)
    assert it_reaches(decided, "fordshire-mash", CORA)


def test_r24_two_children_under_one_number_are_for_a_person_to_look_at() -> None:
    """Even when nobody knows the number: otherwise the second child's message would pass for a repeat and be lost."""
    new = described(AVA, nhs_number="9990554331", upn=None, family_name="New")
    event = incident().model_copy(update={"subjects": (new, described(BEN, nhs_number="9990554331", upn=None), CORA)})

    decided = decide(event, the_register())

    assert to_look_at(decided)[:2] == [
        "subjects.0 (CHILD) IDENTITY_AMBIGUOUS nobody is told",
        "subjects.1 (CHILD) IDENTITY_AMBIGUOUS nobody is told",
    ]
    assert it_reaches(decided, "fordshire-mash", CORA)


def test_r24_a_child_nobody_knows_still_reaches_the_mash() -> None:
    unknown = described(AVA, nhs_number="9990554331", upn=None)

    decided = decide(incident(unknown), the_register())

    assert [(a.recipient, str(a.outcome)) for a in decided.record.answers if a.subject_token == id_of(unknown)] == [
        ("fordshire-mash", "PERMIT")
    ]


def test_r24_an_unborn_child_is_not_taken_for_its_mother() -> None:
    """CP-IS knows it by her number; a message about her would reach those who have her in their care."""
    unborn = Person(ref="unborn", role=PersonRole.UNBORN_CHILD, nhs_number=MAYA.nhs_number)

    plan = story.protection_plan()
    before_birth = {"plan_type": PlanType.UNBORN_CHILD_PROTECTION, "snomed_code": "818901000000100"}
    told = plan.model_copy(update={"subjects": (unborn,), "payload": plan.payload.model_copy(update=before_birth)})
    decided = decide(told, the_register())

    assert [(a.recipient, a.subject_token == id_of(MAYA)) for a in decided.record.answers] == [
        ("county-hospital", False)
    ]
    assert decided.notifications[0].subject_token == KEY.token("unborn", "9990395950")


# Adversary


def test_a_school_that_the_alleged_perpetrator_governs_is_told_nothing() -> None:
    decided = decide(incident(), the_register())

    assert not it_reaches(decided, "beech-primary", BEN)
    assert reasons(decided, "beech-primary", BEN) == ["ADVERSARY ADVERSARY beech-primary"]


def test_the_other_school_and_the_mash_are_told_all_the_same() -> None:
    decided = decide(incident(), the_register())

    assert it_reaches(decided, "ash-primary", AVA)
    assert it_reaches(decided, "fordshire-mash", BEN)


def test_what_the_officer_knows_of_where_the_alleged_perpetrator_works_counts_too() -> None:
    decided = decide(incident(described(GARY, works_for=("ash-primary",))), the_register())

    assert reasons(decided, "ash-primary", AVA) == ["ADVERSARY ADVERSARY ash-primary"]


def test_a_governor_who_left_the_board_is_no_reason_to_keep_the_school_in_the_dark() -> None:
    register = the_register()
    record_id = next(r for r, (kind, _) in register.entries().items() if kind == "affiliation")

    decided = decide(
        incident(),
        with_change(register, record_id, lambda body: body.update(ends_on="2026-11-19")),
        now=datetime(2026, 11, 20, tzinfo=UTC),
    )

    assert it_reaches(decided, "beech-primary", BEN)


def test_a_mother_who_works_at_the_school_is_no_reason_to_keep_it_in_the_dark() -> None:
    decided = decide(incident(described(MAYA, works_for=("ash-primary",))), the_register())

    assert it_reaches(decided, "ash-primary", AVA)
    assert decided.record.decided_at == NOON
