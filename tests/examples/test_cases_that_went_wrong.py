"""
Cases that went wrong once, each with the right answer: who is told, who is not and why, and what a person looks at.

One test or more for each folder of `tests/data/cases/decisions`; its `case.md` says why the answer is right. The
sentences below are what a person reads.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from a_case_on_disk import (
    CASES,
    FIRST_TOLD,
    answers,
    case_names,
    decide,
    doubts,
    event_of,
    for_a_person,
    problem_at_load,
    told,
    versions,
    views,
)

from safebus.schemas.errors import BadInput


def of_case(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as one of this case."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        _TESTED.add(name)
        return test

    return mark


_TESTED: set[str] = set()

TOLD = "told"
NO_AGREEMENT = "refused: no agreement with this publisher covers this kind of notification"
GOVERNS_BEECH = "refused: the alleged perpetrator works for or governs beech-primary"
GOVERNED_BEECH_BEFORE = (
    "refused: the alleged perpetrator of an earlier notification of this episode works for or governs beech-primary"
)
MAY_GOVERN_BEECH = (
    "held: somebody they must be protected from, accused or on record, may work for or govern beech-primary: it rests "
    "on a name or a birth date; "
    "a person must look"
)
MAY_WORK_FOR_BEECH = (
    "held: the alleged perpetrator works for an agency that the register does not have, and beech-primary resembles "
    "it; a person must look"
)
VERY_RESTRICTED = "held: marked very restricted: a person must decide, not the bus"
NOT_WITHOUT_AUTHORISATION = (
    "held: the publisher asks that nothing is disclosed without the person's authorisation (NODSCLCD); "
    "a person must decide"
)
NOT_SIGNED = "refused: ash-primary (fordshire-encompass v3) had not signed by this day"
NOT_THEIRS_TO_GIVE = (
    "refused: agreement to temporary_accommodation_notice was given by someone who may not give it for this person"
)
REFUSED_CONSENT = "refused: agreement to temporary_accommodation_notice was refused"

#: The incident as the base register answers it. Gary, the alleged perpetrator, governs Beech, where Ben goes.
THE_INCIDENT = {
    ("ash-primary", "Ava"): TOLD,
    ("fordshire-0-19", "Ava"): TOLD,
    ("fordshire-housing", "Ava"): NO_AGREEMENT,
    ("fordshire-mash", "Ava"): TOLD,
    ("meadow-practice", "Ava"): NO_AGREEMENT,
    ("beech-primary", "Ben"): GOVERNS_BEECH,
    ("fordshire-mash", "Ben"): TOLD,
    ("fordshire-0-19", "Cora"): TOLD,
    ("fordshire-mash", "Cora"): TOLD,
    ("meadow-practice", "Cora"): NO_AGREEMENT,
    ("haven", "Maya"): TOLD,
}
AVA, BEN, CORA, MAYA = "subjects.0 (CHILD)", "subjects.1 (CHILD)", "subjects.2 (CHILD)", "subjects.3 (ADULT_VICTIM)"

#: The move of Ava's family, as the base register answers it: the parent agreed.
EVERYONE_OF_THE_MOVE = {
    ("ash-primary", "Ava"): TOLD,
    ("fordshire-0-19", "Ava"): TOLD,
    ("meadow-practice", "Ava"): TOLD,
}


def nobody(why: str) -> dict[tuple[str, str], str]:
    """Of the move of Ava's family, with one answer for all."""
    return dict.fromkeys(EVERYONE_OF_THE_MOVE, why)


def everyone_waits(why: str) -> dict[tuple[str, str], str]:
    """Of the incident: who would be told waits for a person. A refusal is stronger and stays."""
    return {at: why if answer == TOLD else answer for at, answer in THE_INCIDENT.items()}


# The list itself


def test_every_case_has_a_test() -> None:
    assert case_names() == sorted(_TESTED)


def test_the_incident_of_the_base_register(tmp_path: Path) -> None:
    """What every case is compared with."""
    found = decide("99-agr-signed-later", tmp_path, now=datetime.fromisoformat("2026-12-01T00:00:00Z"))

    assert answers(found) == THE_INCIDENT


# 1. The adversary


@of_case("24-suspect-name-dob-no-number")
def test_a_suspect_known_by_name_and_birth_date_only_still_keeps_his_school_in_the_dark(tmp_path: Path) -> None:
    found = decide("24-suspect-name-dob-no-number", tmp_path)

    assert answers(found) == THE_INCIDENT | {("beech-primary", "Ben"): MAY_GOVERN_BEECH}
    assert for_a_person(found) == [BEN]


@of_case("24-suspect-name-dob-no-number")
@pytest.mark.parametrize(
    "change",
    [
        {"family_name": "Miller", "given_name": "Ed"},
        {"given_name": "Henry", "date_of_birth": "1981-05-30"},
        {"family_name": "Miller", "date_of_birth": "1981-05-30"},
    ],
)
def test_a_suspect_who_is_nobody_of_the_register_keeps_nobody_in_the_dark(
    change: dict[str, str], tmp_path: Path
) -> None:
    """Another name, or quite another birth date: most suspects are in no register, and the child needs the school."""
    case = "24-suspect-name-dob-no-number"
    event = json.loads((CASES / case / "event.json").read_text("utf-8"))
    suspect = next(person for person in event["subjects"] if person["role"] == "ALLEGED_PERPETRATOR")
    suspect.update(change)

    found = decide(case, tmp_path, event=event_of(case, tmp_path, subjects=event["subjects"]))

    assert answers(found) == THE_INCIDENT | {("beech-primary", "Ben"): TOLD}


@of_case("220-suspect-works-for-unknown-id")
def test_an_agency_id_that_does_not_exist_holds_the_one_it_resembles(tmp_path: Path) -> None:
    """He has no number here either, so his name and birth date hold Beech as well. The others go on."""
    found = decide("220-suspect-works-for-unknown-id", tmp_path)

    both = f"{MAY_WORK_FOR_BEECH}; {MAY_GOVERN_BEECH.removeprefix('held: ')}"
    assert answers(found) == THE_INCIDENT | {("beech-primary", "Ben"): both}
    assert for_a_person(found) == [BEN]


@of_case("31-suspect-absent-in-followup")
def test_a_follow_up_that_does_not_name_the_suspect_keeps_what_he_governs_in_the_dark(tmp_path: Path) -> None:
    found = decide("31-suspect-absent-in-followup", tmp_path, after=[FIRST_TOLD])

    assert answers(found) == THE_INCIDENT | {("beech-primary", "Ben"): GOVERNED_BEECH_BEFORE}
    assert for_a_person(found) == [BEN]


@of_case("31-suspect-absent-in-followup")
def test_a_follow_up_of_something_unknown_reaches_the_hub_and_not_the_school(tmp_path: Path) -> None:
    """Whom the first notification excluded cannot be said, and a refusal that cannot be evaluated does not permit."""
    found = decide("31-suspect-absent-in-followup", tmp_path)

    reached = {at for at in told(found) if at[0] in ("beech-primary", "fordshire-mash")}
    assert reached == {("fordshire-mash", "Ava"), ("fordshire-mash", "Ben"), ("fordshire-mash", "Cora")}


# 2. Doubt about one person


@of_case("198-one-doubtful-child-others-fine")
def test_a_wrong_birth_date_of_one_child_silences_nobody_else(tmp_path: Path) -> None:
    """Without Gary on the board of Beech, Ben's school hears, Cora's health visitor too, and so does Maya's charity."""
    found = decide("198-one-doubtful-child-others-fine", tmp_path)

    assert told(found) == {
        ("beech-primary", "Ben"),
        ("fordshire-mash", "Ben"),
        ("fordshire-0-19", "Cora"),
        ("fordshire-mash", "Cora"),
        ("haven", "Maya"),
    }
    assert doubts(found) == [(AVA, "IDENTITY_MISMATCH", "date_of_birth")]


@of_case("14-twins-wrong-twin-number")
def test_a_twin_under_the_other_twins_number_reaches_neither_school(tmp_path: Path) -> None:
    """Same family name and birth date: nothing but the first name tells them apart, and the register has none."""
    found = decide("14-twins-wrong-twin-number", tmp_path)

    assert told(found) == {("haven", "Maya")}
    assert doubts(found) == [("subjects.0 (CHILD)", "IDENTITY_AMBIGUOUS", "family_name, date_of_birth")]


@of_case("14-twins-wrong-twin-number")
@pytest.mark.parametrize(
    ("number", "reached", "doubtful"),
    [
        ("9990554331", set(), [("subjects.0 (CHILD)", "IDENTITY_MISMATCH", "given_name")]),
        ("9990633525", {("fordshire-mash", "Tom"), ("oak-primary", "Tom")}, []),
    ],
    ids=["under-the-number-of-tia", "under-his-own"],
)
def test_a_register_with_first_names_tells_twins_apart(
    number: str, reached: set[tuple[str, str]], doubtful: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """Assumed: `given_name` of a person in the register, which confirms as the family name does."""
    case = "14-twins-wrong-twin-number"
    event = json.loads((CASES / case / "event.json").read_text("utf-8"))
    event["subjects"][0]["nhs_number"] = number

    found = decide(
        case, tmp_path, event=event_of(case, tmp_path, subjects=event["subjects"]), family=_with_their_first_names
    )

    assert told(found) == {("haven", "Maya"), *reached}
    assert doubts(found) == doubtful


def _with_their_first_names(family: str) -> str:
    return family.replace("- alias: t1\n", "- alias: t1\n  given_name: Tia\n").replace(
        "- alias: t2\n", "- alias: t2\n  given_name: Tom\n"
    )


# 3. Versions of an agreement


@of_case("110-two-versions-of-one")
def test_a_draft_beside_the_version_in_force_changes_nothing(tmp_path: Path) -> None:
    found = decide("110-two-versions-of-one", tmp_path)

    assert answers(found) == THE_INCIDENT
    assert versions(found) == {("fordshire-encompass", 3)}


@of_case("99-agr-signed-later")
def test_a_school_that_has_not_signed_yet_is_not_told(tmp_path: Path) -> None:
    found = decide("99-agr-signed-later", tmp_path)

    assert answers(found) == THE_INCIDENT | {("ash-primary", "Ava"): NOT_SIGNED}


@of_case("99-agr-signed-later")
def test_that_a_school_has_not_signed_yet_reaches_a_person(tmp_path: Path) -> None:
    assert for_a_person(decide("99-agr-signed-later", tmp_path)) == [AVA, BEN]


@of_case("99-agr-signed-later")
def test_from_the_day_it_signed_the_school_is_told(tmp_path: Path) -> None:
    """1 December begins at midnight in the UK."""
    found = decide("99-agr-signed-later", tmp_path, now=datetime.fromisoformat("2026-12-01T00:00:00Z"))

    assert ("ash-primary", "Ava") in told(found)


# 4. A refusal that asks for a person reaches one


@of_case("38-very-restricted-event")
def test_a_very_restricted_event_waits_for_a_person_who_sees_all_it_is_about(tmp_path: Path) -> None:
    found = decide("38-very-restricted-event", tmp_path)

    assert answers(found) == everyone_waits(VERY_RESTRICTED)
    assert views(found) == {}
    assert for_a_person(found) == [AVA, BEN, CORA, MAYA]


@of_case("217-suspect-restricted")
def test_a_restricted_suspect_costs_the_child_and_its_mother_nothing(tmp_path: Path) -> None:
    """Of the payload only the child's own words are compared: what is told of the place may be his."""
    restricted = decide("217-suspect-restricted", _folder(tmp_path, "restricted"))
    open_record = decide("217-suspect-restricted", _folder(tmp_path, "open"), event=FIRST_TOLD)

    assert answers(restricted) == THE_INCIDENT
    assert _of_the_family(restricted) == _of_the_family(open_record)
    at_the_mash = views(restricted)[("fordshire-mash", "Ava")]
    assert at_the_mash["subject"]["home_address"]["lines"] == ["12 Mill Lane", "Fordham"]
    assert at_the_mash["adults"][0]["phone"] == "07700 900123"


@of_case("217-suspect-restricted")
def test_a_restricted_suspect_gives_away_no_place_of_his_own(tmp_path: Path) -> None:
    found = decide("217-suspect-restricted", tmp_path)

    of_him = {name for view in views(found).values() for he in view.get("alleged_perpetrators", []) for name in he}
    assert of_him <= {"role", "given_name", "family_name", "date_of_birth", "relationship"}


def _of_the_family(found: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """What each recipient has of everyone but the suspect, and what the children said."""
    groups = ("subject", "other_children", "other_children_count", "adults")
    return {
        at: {**{group: view[group] for group in groups if group in view}, "said": view["payload"]["children"]}
        for at, view in views(found).items()
    }


# 5. Consent


@of_case("49-consent-given-then-requested")
def test_asking_again_takes_nothing_back(tmp_path: Path) -> None:
    assert answers(decide("49-consent-given-then-requested", tmp_path)) == EVERYONE_OF_THE_MOVE


@of_case("61-consent-same-instant")
def test_of_a_yes_and_a_no_of_the_same_instant_the_no_counts(tmp_path: Path) -> None:
    """The yes stands last in the folder."""
    assert answers(decide("61-consent-same-instant", tmp_path)) == nobody(REFUSED_CONSENT)


@of_case("61-consent-same-instant")
def test_of_a_no_and_a_yes_of_the_same_instant_the_no_counts(tmp_path: Path) -> None:
    """The no stands last in the folder."""

    def the_other_way_round(family: str) -> str:
        return (
            family.replace("state: given", "state: -").replace("refused", "given").replace("state: -", "state: refused")
        )

    found = decide("61-consent-same-instant", tmp_path, family=the_other_way_round)

    assert answers(found) == nobody(REFUSED_CONSENT)


@of_case("70-consent-by-suspect")
def test_the_suspect_agrees_for_no_child(tmp_path: Path) -> None:
    """Nobody is told of Ava, so a person must see to it: someone else may be asked."""
    found = decide("70-consent-by-suspect", tmp_path)

    assert answers(found) == nobody(NOT_THEIRS_TO_GIVE)
    assert for_a_person(found) == [AVA]


@of_case("70-consent-by-suspect")
def test_what_the_other_parent_agreed_to_counts_beside_a_suspect(tmp_path: Path) -> None:
    """Gary is her mother's partner, and no parent of hers: a parent's agreement cannot be his."""
    found = decide("70-consent-by-suspect", tmp_path, family=lambda text: text.replace("by: gary", "by: parent"))

    assert answers(found) == EVERYONE_OF_THE_MOVE


@of_case("81-purpose-typo-withdrawal")
def test_a_withdrawal_for_a_purpose_that_does_not_exist_does_not_load(tmp_path: Path) -> None:
    problem = problem_at_load("81-purpose-typo-withdrawal", tmp_path)

    assert problem == (
        "`family.yaml` line 81: consent: no flow has the purpose `temporary_accomodation_notice`; "
        "did you mean `temporary_accommodation_notice`?"
    )


@of_case("81-purpose-typo-withdrawal")
def test_the_withdrawal_spelt_right_stops_the_notice(tmp_path: Path) -> None:
    found = decide(
        "81-purpose-typo-withdrawal", tmp_path, family=lambda text: text.replace("accomodation", "accommodation")
    )

    assert answers(found) == nobody("refused: agreement to temporary_accommodation_notice was withdrawn")


@of_case("82-recipient-typo-refusal")
def test_a_refusal_for_a_school_that_does_not_exist_does_not_load(tmp_path: Path) -> None:
    problem = problem_at_load("82-recipient-typo-refusal", tmp_path)

    assert problem == (
        "`family.yaml` line 81: consent names partner `ash-primery`, who is not in the register; "
        "did you mean `ash-primary`?"
    )


@of_case("82-recipient-typo-refusal")
def test_the_refusal_spelt_right_keeps_the_school_in_the_dark_and_tells_the_others(tmp_path: Path) -> None:
    found = decide("82-recipient-typo-refusal", tmp_path, family=lambda text: text.replace("primery", "primary"))

    assert answers(found) == EVERYONE_OF_THE_MOVE | {("ash-primary", "Ava"): REFUSED_CONSENT}


@of_case("131-basis-49A-art6-e")
def test_a_flow_that_claims_consent_and_waits_for_none_does_not_load(tmp_path: Path) -> None:
    problem = problem_at_load("131-basis-49A-art6-e", tmp_path)

    assert problem == (
        "`agreements/encompass.yaml` line 1: agreement `fordshire-encompass` flow `to-schools`: `art6: A6-1-a` claims "
        "consent, and the flow waits for none; add `consent: data_protection`, or name the basis it rests on"
    )


# 6. Masks


@of_case("152-mask2-outward-bad")
def test_of_a_postcode_that_is_none_nothing_is_released(tmp_path: Path) -> None:
    """Of Ben's, which is one, the first half."""
    found = views(decide("152-mask2-outward-bad", tmp_path))

    assert found[("fordshire-mash", "Ava")]["subject"]["home_address"] == {
        "postcode": None,
        "local_authority": "E99999999",
    }
    assert found[("fordshire-mash", "Ben")]["subject"]["home_address"] == {
        "postcode": "ZZ99",
        "local_authority": "E99999999",
    }
    assert "refu" not in json.dumps(found[("fordshire-mash", "Ava")], default=str)


# 7. Labels


@of_case("215-handling-refrain")
def test_what_the_publisher_wants_authorised_waits_for_a_person(tmp_path: Path) -> None:
    found = decide("215-handling-refrain", tmp_path)

    assert answers(found) == everyone_waits(NOT_WITHOUT_AUTHORISATION)
    assert views(found) == {}
    assert for_a_person(found) == [AVA, BEN, CORA, MAYA]


# 8. Days and codes


@of_case("08-bst-start")
def test_a_school_place_begins_at_midnight_in_the_uk(tmp_path: Path) -> None:
    """Half past midnight of 1 July in London is still 30 June in UTC."""
    assert answers(decide("08-bst-start", tmp_path)) == THE_INCIDENT | {("oak-primary", "Ava"): TOLD}


@of_case("08-bst-start")
def test_a_minute_before_midnight_in_the_uk_the_new_school_is_not_told(tmp_path: Path) -> None:
    told_at = "2027-06-30T21:00:00Z"
    event = event_of("08-bst-start", tmp_path, occurred_at=told_at, recorded_at=told_at, published_at=told_at)

    found = decide("08-bst-start", tmp_path, event=event, now=datetime.fromisoformat("2027-06-30T22:59:00Z"))

    assert answers(found) == THE_INCIDENT


@of_case("223-role-typo")
def test_a_misspelt_role_does_not_load(tmp_path: Path) -> None:
    problem = problem_at_load("223-role-typo", tmp_path)

    assert problem == (
        "`family.yaml` line 27: involvement: no agreement is for those in the role `attends_shcool`; "
        "did you mean `attends_school`?"
    )


@of_case("223-role-typo")
def test_the_role_spelt_right_tells_the_school(tmp_path: Path) -> None:
    found = decide("223-role-typo", tmp_path, family=lambda text: text.replace("shcool", "school"))

    assert answers(found) == THE_INCIDENT


@of_case("213-plan-mismatched-snomed")
def test_a_plan_type_with_the_code_of_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        decide("213-plan-mismatched-snomed", tmp_path)

    assert str(refused.value).endswith(
        "event.json`: `payload`: `snomed_code` is not the code of this `plan_type`; LOOKED_AFTER is 764841000000100"
    )


@of_case("213-plan-mismatched-snomed")
def test_a_plan_with_its_own_code_reaches_the_hospital_and_the_health_visitor(tmp_path: Path) -> None:
    case = "213-plan-mismatched-snomed"
    event = event_of(case, tmp_path, payload={"snomed_code": "764841000000100"})

    found = decide(case, tmp_path, event=event)

    assert told(found) == {("county-hospital", "Ava"), ("fordshire-0-19", "Ava")}


# 9. Numbers that were replaced


@of_case("224-number-changed-role-ok")
def test_who_holds_the_child_under_the_old_number_is_told_the_new_one(tmp_path: Path) -> None:
    """And nobody has both in one view: the agreement names the number of the subject only."""
    found = decide("224-number-changed-role-ok", tmp_path)

    assert answers(found) == {
        ("fordshire-0-19", "Cora"): TOLD,
        ("fordshire-mash", "Cora"): TOLD,
        ("meadow-practice", "Cora"): TOLD,
    }
    assert {at: view["subject"]["nhs_number"] for at, view in views(found).items()} == dict.fromkeys(
        told(found), "9990554331"
    )
    assert "9990316767" not in json.dumps(list(views(found).values()), default=str)


# 10. Retractions


@of_case("183-retract-content")
def test_a_retraction_goes_to_who_had_the_original_and_says_what_to_delete(tmp_path: Path) -> None:
    """Nothing of what was wrong is told again: ids of the message, and the identifier the recipient holds."""
    case = "183-retract-content"
    retraction = json.loads((CASES / case / "event.json").read_text("utf-8"))
    had_it = {at for at, answer in THE_INCIDENT.items() if answer == TOLD}

    found = decide(case, tmp_path, after=[FIRST_TOLD])

    assert told(found) == had_it
    for view in views(found).values():
        assert view["supersedes_event_id"] == retraction["supersedes_event_id"]
        assert set(view) <= _FINDS_AND_DELETES
        assert set(view.get("subject", {})) <= {"nhs_number", "upn", "local_id"}


@of_case("183-retract-content")
def test_a_retraction_tells_nothing_again_whatever_is_known_of_the_original(tmp_path: Path) -> None:
    found = decide("183-retract-content", tmp_path)

    assert {name for view in views(found).values() for name in view} <= _FINDS_AND_DELETES


_FINDS_AND_DELETES = {
    "event_id",
    "event_type",
    "lifecycle",
    "supersedes_event_id",
    "recorded_at",
    "published_at",
    "purpose",
    "urgency",
    "respond_by",
    "subject",
}


def _folder(tmp_path: Path, name: str) -> Path:
    """A folder of its own, for a test that decides twice."""
    made = tmp_path / name
    made.mkdir()
    return made
