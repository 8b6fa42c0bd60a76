"""Exact matches only: one person, or a doubt that a person settles."""

from datetime import date
from typing import Any

import pytest
from a_register import KEY, demo, put
from hypothesis import given
from hypothesis import strategies as st
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event, Person, PersonRole
from safebus.schemas.names import Name, agree
from safebus.streams.register.store import Register
from safebus.streams.rules.identity import (
    Doubt,
    Match,
    Matched,
    confirm_tokens,
    contradicted,
    match_all,
    match_one,
    same_first_name,
    tokens,
)
from safebus.streams.rules.reasons import Aside

AVA_ID = KEY.token("nhs", "9990079196")
BEN_ID = KEY.token("nhs", "9990237573")


def ambiguous_two(*maybe: str) -> Doubt:
    return Doubt(
        Aside.IDENTITY_AMBIGUOUS,
        "subjects",
        "two `subjects` are one person; give each their own identifiers",
        frozenset(maybe),
    )


def person(**changes: Any) -> Person:
    return Person(**({"ref": "child", "role": PersonRole.CHILD} | changes))


def about(*people: Person) -> Event:
    event = story.protection_plan()
    return unchecked(event, {"subjects": people})


def matched(one: Person, register: Register | None = None) -> Match | Doubt:
    event = about(one)
    return match_one(one, tokens(one, event.publisher.agency, KEY), event, register or demo(), KEY)


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
        {"nhs_number": "9990079196", "given_name": " Ava Rose"},
        {"nhs_number": "9990079196", "given_name": "Unknown", "family_name": "N/K"},
    ],
    ids=lambda known_by: "+".join(known_by),
)
def test_a_number_that_nothing_contradicts_is_this_person(known_by: dict[str, Any]) -> None:
    assert matched(person(**known_by)) == Match(AVA_ID, AVA_ID)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("date_of_birth", {"date_of_birth": date(2015, 3, 3)}),
        ("family_name", {"family_name": "Hurst"}),
        ("given_name", {"given_name": "Eva", "family_name": "Hart"}),
        ("given_name", {"given_name": " Ben"}),
        ("given_name", {"given_name": "- Ben"}),
        ("given_name", {"given_name": "\u200b Ben"}),
        ("given_name", {"given_name": "Miss Eva"}),
    ],
)
def test_one_detail_that_contradicts_the_number_is_a_mismatch(field: str, said: dict[str, Any]) -> None:
    """A wrong number with a right check digit would send one child's danger to another child's school."""
    doubt = Doubt(
        Aside.IDENTITY_MISMATCH, field, f"`{field}` does not confirm the identifier of a subject", frozenset({AVA_ID})
    )

    assert matched(person(nhs_number="9990079196", **said)) == doubt


@given(
    *(
        st.text(max_size=8) | st.sampled_from(["Anne-Marie", "Anne Marie", "Annemarie", "Anne", "O'Brien", ""])
        for _ in "1234"
    )
)
def test_names_confirm_in_the_rules_as_they_agree_for_importers(g1: str, f1: str, g2: str, f2: str) -> None:
    """One notion of the same name: `schemas.names`."""
    one, other = confirm_tokens(f1, None, KEY, given_name=g1), confirm_tokens(f2, None, KEY, given_name=g2)
    both = one.keys() & other.keys() & {"given_name", "family_name"}

    assert agree(Name(g1, f1), Name(g2, f2)) is (not contradicted(one, other) if both else None)


@pytest.mark.parametrize(
    ("registered", "said"),
    [("Anne-Marie", "ANNE MARIE"), ("Anne-Marie", "Annemarie"), ("Annemarie", "Anne-Marie"), ("Anne-Marie", "Anne")],
)
def test_a_hyphen_in_a_first_name_is_no_other_person(registered: str, said: str) -> None:
    confirm = confirm_tokens("Hart", None, KEY, given_name=registered)
    token = KEY.token("nhs", "9990554331")
    known = {"person_id": "anne", "tokens": {"nhs": token}, "confirm": confirm}
    register = put(demo(), "person/anne", "person", known)

    assert matched(person(nhs_number="9990554331", given_name=said), register) == Match("anne", "anne")


def test_twins_whose_names_begin_alike_are_told_apart_by_one_that_only_one_of_them_has() -> None:
    register, born = demo(), date(2015, 3, 2)
    for person_id, number, given_name in (("one", "9990554331", "Anne-Marie"), ("two", "9990633525", "Anne")):
        confirm = confirm_tokens("Stone", born, KEY, given_name=given_name)
        body = {"person_id": person_id, "tokens": {"nhs": KEY.token("nhs", number)}, "confirm": confirm}
        put(register, f"person/{person_id}", "person", body)
    stone = {"nhs_number": "9990554331", "family_name": "Stone", "date_of_birth": born}

    assert isinstance(matched(person(**stone, given_name="Annemarie"), register), Match)
    assert isinstance(matched(person(**stone, given_name="Anne-Marie"), register), Doubt)


def test_a_person_registered_without_a_name_is_known_by_the_number_alone() -> None:
    """NHS England's published examples do not agree on a name."""
    found = matched(person(nhs_number="9912003888", family_name="Anyone", date_of_birth=date(2000, 1, 1)))

    assert found == Match(KEY.token("nhs", "9912003888"), KEY.token("nhs", "9912003888"))


def test_identifiers_of_two_people_are_ambiguous() -> None:
    assert matched(person(nhs_number="9990079196", upn="L313000026002")) == Doubt(
        Aside.IDENTITY_AMBIGUOUS,
        "nhs, upn",
        "identifiers of a subject (nhs, upn) point to 2 people",
        frozenset({AVA_ID, BEN_ID}),
    )


def test_one_identifier_of_two_people_is_ambiguous() -> None:
    upn = {"upn": KEY.token("upn", "X313000026001")}
    register = put(demo(), "person/other", "person", {"person_id": "other", "tokens": upn})

    assert matched(person(upn="X313000026001"), register) == Doubt(
        Aside.IDENTITY_AMBIGUOUS,
        "upn",
        "identifiers of a subject (upn) point to 2 people",
        frozenset({AVA_ID, "other"}),
    )


def test_an_identifier_that_differs_from_the_one_on_record_is_ambiguous() -> None:
    """The number is Ava's, the pupil number is not hers and nobody else's."""
    other = person(nhs_number="9990079196", upn="H801200001001")

    assert matched(other) == Doubt(
        Aside.IDENTITY_AMBIGUOUS,
        "upn",
        "`upn` of a subject differs from the one in the register",
        frozenset({AVA_ID}),
    )


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

    assert found == Matched(
        {
            "mother": Match(KEY.token("nhs", "9990395950"), KEY.token("nhs", "9990395950")),
            "unborn": Match(None, KEY.token("unborn", "9990395950")),
        }
    )


def test_a_local_number_means_something_at_its_own_agency_only() -> None:
    one = person(local_id="77")

    assert tokens(one, "fordshire-mash", KEY) != tokens(one, "fordshire-housing", KEY)


def test_two_subjects_that_are_one_person_of_the_register_are_a_doubt() -> None:
    by_number = person(ref="one", nhs_number="9990079196")
    by_school = person(ref="two", upn="X313000026001")

    assert match_all(about(by_number, by_school), demo(), KEY) == Matched(
        {}, {"one": ambiguous_two(AVA_ID), "two": ambiguous_two(AVA_ID)}
    )


def test_two_subjects_under_one_unknown_number_are_a_doubt() -> None:
    """Their messages would have one id, so the second would be dropped as a repeat: a child nobody hears of."""
    one, two = person(ref="one", nhs_number="9990554331"), person(ref="two", nhs_number="9990554331")

    assert match_all(about(one, two), demo(), KEY) == Matched({}, {"one": ambiguous_two(), "two": ambiguous_two()})


def test_a_doubt_about_one_subject_says_nothing_of_the_others() -> None:
    doubtful = person(ref="two", nhs_number="9990079196", upn="L313000026002")

    found = match_all(about(person(ref="one", nhs_number="9990316767"), doubtful), demo(), KEY)

    assert (sorted(found.matches), sorted(found.doubts)) == (["one"], ["two"])
    assert (len(found.may_be("one")), found.may_be("two")) == (1, {AVA_ID, BEN_ID})


def test_a_third_subject_like_two_others_is_in_doubt_with_them() -> None:
    same = [person(ref=ref, nhs_number="9990554331") for ref in ("one", "two", "three")]

    assert sorted(match_all(about(*same), demo(), KEY).doubts) == ["one", "three", "two"]


def the_twin() -> Register:
    """Ava's twin, who goes to another school."""
    register = demo()
    ava = register.person(AVA_ID)
    assert ava is not None
    twin = {
        "person_id": "twin",
        "tokens": {"nhs": KEY.token("nhs", "9990633525")},
        "confirm": confirm_tokens("Hart", date(2015, 3, 2), KEY, given_name="Eva"),
    }
    return put(register, "person/twin", "person", twin)


@pytest.mark.parametrize(
    ("said", "sure"),
    [
        ({}, False),
        ({"family_name": "Hart", "date_of_birth": date(2015, 3, 2)}, False),
        ({"given_name": "Ava"}, True),
        ({"upn": "X313000026001"}, True),
    ],
)
def test_one_number_alone_does_not_tell_twins_apart(said: dict[str, Any], sure: bool) -> None:
    """One slip in it, and one school hears of the other child."""
    found = matched(person(nhs_number="9990079196", **said), the_twin())

    assert isinstance(found, Match if sure else Doubt), found
    if isinstance(found, Doubt):
        assert found.maybe == {AVA_ID, "twin"}


@pytest.mark.parametrize(("one", "other"), [("Mary-Kate", "Mary-Ann"), ("Mohammed Ali", "Mohammed Hasan")])
def test_a_first_word_that_both_twins_have_does_not_tell_them_apart(one: str, other: str) -> None:
    """One slip in the number, and the alert about Mary-Kate went to the school of Mary-Ann."""
    register, born = demo(), date(2015, 3, 2)
    for person_id, number, given_name in (("kate", "9990554331", one), ("ann", "9990633525", other)):
        confirm = confirm_tokens("Stone", born, KEY, given_name=given_name)
        body = {"person_id": person_id, "tokens": {"nhs": KEY.token("nhs", number)}, "confirm": confirm}
        put(register, f"person/{person_id}", "person", body)
    told = person(nhs_number="9990633525", given_name=one, family_name="Stone", date_of_birth=born)

    found = matched(told, register)

    assert isinstance(found, Doubt) and found.maybe == {"kate", "ann"}


@pytest.mark.parametrize(
    "said",
    [
        {"date_of_birth": date(1900, 1, 1)},
        {"given_name": "To be confirmed"},
        {"given_name": "Unknown child", "family_name": "N.K."},
        {"given_name": "Twin 1"},
        {"given_name": "Baby of Jane"},
        {"given_name": "NotKnown"},
    ],
)
def test_what_stands_where_nobody_knew_contradicts_nothing(said: dict[str, Any]) -> None:
    """The alert was set aside, and no school heard of it."""
    assert matched(person(nhs_number="9990079196", **said)) == Match(AVA_ID, AVA_ID)


def test_a_number_that_the_register_knows_as_replaced_is_still_this_person() -> None:
    register = demo()
    known = register.person(AVA_ID)
    assert known is not None
    old = KEY.token("nhs", "9990554331")
    body = {
        "person_id": AVA_ID,
        "tokens": dict(known.tokens),
        "confirm": dict(known.confirm),
        "superseded": [old],
    }
    put(register, f"person/{AVA_ID}", "person", body)

    assert matched(person(nhs_number="9990554331"), register) == Match(AVA_ID, AVA_ID)


def test_who_was_adopted_is_not_looked_for_under_the_number_from_before() -> None:
    """Whoever has the child in care now would read the number that tells who the child was."""
    register = demo()
    known = register.person(AVA_ID)
    assert known is not None
    body = known.model_dump(mode="json") | {"superseded": [KEY.token("nhs", "9990554331")], "adopted": True}
    put(register, f"person/{AVA_ID}", "person", body)

    found = matched(person(nhs_number="9990554331"), register)

    assert isinstance(found, Doubt)
    assert (found.fields, found.maybe) == ("nhs", {AVA_ID})
    assert matched(person(nhs_number="9990079196"), register) == Match(AVA_ID, AVA_ID)


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
    assert set(confirm_tokens("Hart", None, KEY, given_name="Ava")) == {"family_name", "given_name"}
    assert same_first_name(*(confirm_tokens(None, None, KEY, given_name=name) for name in ("Ava Rose", "ava")))
    assert confirm_tokens(None, born, KEY) != confirm_tokens(None, date(2015, 3, 3), KEY)


def test_unborn_twins_are_two_subjects_of_one_mother() -> None:
    """They share her number; each gets a message of its own (R17)."""
    twins = [person(ref=ref, role=PersonRole.UNBORN_CHILD, nhs_number="9990395950") for ref in ("one", "two")]
    found = match_all(about(*twins), demo(), KEY)

    assert found.matches["one"].token != found.matches["two"].token
    assert not found.doubts
