"""Exact matches only: one person, or a doubt that a person settles."""

from datetime import date
from typing import Any

import pytest
from a_register import KEY, demo, put

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event, Person, PersonRole
from safebus.streams.register.store import Register
from safebus.streams.rules.identity import Doubt, Match, confirm_tokens, match_all, match_one, tokens

AVA_ID = KEY.token("nhs", "9990079196")
AMBIGUOUS_TWO = Doubt("IDENTITY_AMBIGUOUS", "two `subjects` are one person; give each their own identifiers")


def person(**changes: Any) -> Person:
    return Person(**({"ref": "child", "role": PersonRole.CHILD} | changes))


def about(*people: Person) -> Event:
    event = story.protection_plan()
    return event.model_copy(update={"subjects": people})


def matched(one: Person, register: Register | None = None) -> Match | Doubt:
    return match_one(one, about(one), register or demo(), KEY)


@pytest.mark.parametrize(
    "known_by",
    [
        {"nhs_number": "9990079196"},
        {"upn": "X313000026001"},
        {"nhs_number": "9990079196", "upn": "X313000026001"},
        {"nhs_number": "9990079196", "family_name": " HART ", "date_of_birth": date(2015, 3, 2)},
        {"nhs_number": "9990079196", "family_name": "hart"},
        {"nhs_number": "9990079196", "date_of_birth": date(2015, 3, 2)},
        {"nhs_number": "9990079196", "local_id": "77"},
    ],
    ids=lambda known_by: "+".join(known_by),
)
def test_a_number_that_nothing_contradicts_is_this_person(known_by: dict[str, Any]) -> None:
    assert matched(person(**known_by)) == Match(AVA_ID, AVA_ID)


@pytest.mark.parametrize(
    ("field", "said"),
    [("date_of_birth", {"date_of_birth": date(2015, 3, 3)}), ("family_name", {"family_name": "Hurst"})],
)
def test_one_detail_that_contradicts_the_number_is_a_mismatch(field: str, said: dict[str, Any]) -> None:
    """A wrong number with a right check digit would send one child's danger to another child's school."""
    doubt = Doubt("IDENTITY_MISMATCH", f"`{field}` does not confirm the identifier of a subject")

    assert matched(person(nhs_number="9990079196", **said)) == doubt


def test_a_person_registered_without_a_name_is_known_by_the_number_alone() -> None:
    """NHS England's published examples do not agree on a name."""
    found = matched(person(nhs_number="9912003888", family_name="Anyone", date_of_birth=date(2000, 1, 1)))

    assert found == Match(KEY.token("nhs", "9912003888"), KEY.token("nhs", "9912003888"))


def test_identifiers_of_two_people_are_ambiguous() -> None:
    assert matched(person(nhs_number="9990079196", upn="L313000026002")) == Doubt(
        "IDENTITY_AMBIGUOUS", "identifiers of a subject (nhs, upn) point to 2 people"
    )


def test_one_identifier_of_two_people_is_ambiguous() -> None:
    upn = {"upn": KEY.token("upn", "X313000026001")}
    register = put(demo(), "person/other", "person", {"person_id": "other", "tokens": upn})

    assert matched(person(upn="X313000026001"), register) == Doubt(
        "IDENTITY_AMBIGUOUS", "identifiers of a subject (upn) point to 2 people"
    )


def test_an_identifier_that_differs_from_the_one_on_record_is_ambiguous() -> None:
    """The number is Ava's, the pupil number is not hers and nobody else's."""
    other = person(nhs_number="9990079196", upn="H801200001001")

    assert matched(other) == Doubt("IDENTITY_AMBIGUOUS", "`upn` of a subject differs from the one in the register")


def test_whom_nobody_knows_has_a_token_of_the_strongest_identifier() -> None:
    assert matched(person(nhs_number="9990554331", upn="H801200001001")) == Match(None, KEY.token("nhs", "9990554331"))


def test_whom_nothing_identifies_has_a_token_for_this_event_only() -> None:
    found = matched(person())

    assert found == Match(None, KEY.token("event", f"{story.protection_plan().event_id}|child"))


def test_an_unborn_child_is_never_taken_for_its_mother() -> None:
    unborn = person(role=PersonRole.UNBORN_CHILD, nhs_number="9990395950")

    assert matched(unborn) == Match(None, KEY.token("unborn", "9990395950"))
    assert tokens(unborn, "fordshire-mash", KEY).keys() == {"unborn"}


def test_a_mother_and_her_unborn_child_are_two_people() -> None:
    mother = person(ref="mother", role=PersonRole.PARENT_CARER, nhs_number="9990395950")
    unborn = person(ref="unborn", role=PersonRole.UNBORN_CHILD, nhs_number="9990395950")

    found = match_all(about(mother, unborn), demo(), KEY)

    assert found == {
        "mother": Match(KEY.token("nhs", "9990395950"), KEY.token("nhs", "9990395950")),
        "unborn": Match(None, KEY.token("unborn", "9990395950")),
    }


def test_a_local_number_means_something_at_its_own_agency_only() -> None:
    one = person(local_id="77")

    assert tokens(one, "fordshire-mash", KEY) != tokens(one, "fordshire-housing", KEY)


def test_two_subjects_that_are_one_person_of_the_register_are_a_doubt() -> None:
    by_number = person(ref="one", nhs_number="9990079196")
    by_school = person(ref="two", upn="X313000026001")

    assert match_all(about(by_number, by_school), demo(), KEY) == AMBIGUOUS_TWO


def test_two_subjects_under_one_unknown_number_are_a_doubt() -> None:
    """Their messages would have one id, so the second would be dropped as a repeat: a child nobody hears of."""
    one, two = person(ref="one", nhs_number="9990554331"), person(ref="two", nhs_number="9990554331")

    assert match_all(about(one, two), demo(), KEY) == AMBIGUOUS_TWO


def test_a_doubt_about_one_subject_holds_the_event() -> None:
    doubtful = person(ref="two", nhs_number="9990079196", upn="L313000026002")

    assert match_all(about(person(ref="one"), doubtful), demo(), KEY) == Doubt(
        "IDENTITY_AMBIGUOUS", "identifiers of a subject (nhs, upn) point to 2 people"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("HART", " hart"), ("José", "Jose\u0301"), ("O'Neill", "O\u2019Neill"), ("Smith-Jones", "Smith Jones")],
)
def test_a_name_confirms_however_it_is_spelt(one: str, other: str) -> None:
    assert confirm_tokens(one, None, KEY) == confirm_tokens(other, None, KEY)


def test_only_what_is_given_confirms() -> None:
    born = date(2015, 3, 2)

    assert confirm_tokens(None, None, KEY) == confirm_tokens("-", None, KEY) == {}
    assert set(confirm_tokens("Hart", born, KEY)) == {"family_name", "date_of_birth"}
    assert confirm_tokens(None, born, KEY) != confirm_tokens(None, date(2015, 3, 3), KEY)


def test_unborn_twins_are_two_subjects_of_one_mother() -> None:
    """They share her number; each gets a message of its own (R17)."""
    twins = [person(ref=ref, role=PersonRole.UNBORN_CHILD, nhs_number="9990395950") for ref in ("one", "two")]
    found = match_all(about(*twins), demo(), KEY)

    assert isinstance(found, dict)
    assert found["one"].token != found["two"].token
