"""On the alleged perpetrator's side, perhaps, or not: by identifier, by likeness, and by an agency that is misspelt."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from a_register import KEY, NOON, demo, put
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Earlier
from safebus.schemas.events import Event, PersonRole
from safebus.streams.register.store import Register
from safebus.streams.rules.adversary import Side, accused, resembling, sides, unknown_suspect
from safebus.streams.rules.identity import match_all

BEECH = "beech-primary"


def with_gary(**changes: Any) -> Event:
    """The incident, and this is what is said of Gary, who governs Beech."""
    told = story.incident()
    *others, gary = told.subjects
    return told.model_copy(update={"subjects": (*others, gary.model_copy(update=changes))})


def stands(
    event: Event, register: Register | None = None, earlier: Earlier | None = None
) -> Mapping[str, frozenset[Side]]:
    known = register or demo()
    return sides(event, match_all(event, known, KEY), known, key=KEY, on=NOON.date(), earlier=earlier)


def test_whom_the_number_identifies_is_inside() -> None:
    assert stands(with_gary()) == {BEECH: {Side.INSIDE}}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"given_name": None},
        {"date_of_birth": None},
        {"date_of_birth": date(1986, 1, 31)},
        {"date_of_birth": date(1986, 10, 30)},
        {"date_of_birth": date(1968, 1, 30)},
        {"family_name": "STONE"},
        {"nhs_number": "9990554331"},
    ],
    ids=str,
)
def test_whoever_may_be_him_may_be_inside(said: dict[str, Any]) -> None:
    """A suspect's number is rarely known, and a date of birth is often a guess."""
    assert stands(with_gary(**({"nhs_number": None} | said))) == {BEECH: {Side.ALIKE}}


@pytest.mark.parametrize(
    "said",
    [
        {"family_name": "Stein"},  # sounds like it
        {"family_name": "Stoen"},
        {"family_name": "Hart-Stone"},
        {"family_name": "Gary Stone", "given_name": None},
        {"family_name": "Gary", "given_name": "Stone"},
        {"family_name": None},  # first name and date
        {"family_name": "Miller"},  # he has married, or says so
        {"given_name": "Gaz"},
        {"given_name": "G"},
        {"given_name": "Henry"},  # a brother, or another first name of his
        {"given_name": None, "date_of_birth": None},
        {"date_of_birth": date(1970, 6, 1)},  # nobody asked him
        {"date_of_birth": date(1986, 2, 1), "given_name": "Garry"},
    ],
    ids=str,
)
def test_aliases_slips_and_short_forms_hide_nobody(said: dict[str, Any]) -> None:
    assert stands(with_gary(**({"nhs_number": None} | said))) == {BEECH: {Side.ALIKE}}


@pytest.mark.parametrize(
    "said",
    [
        {"family_name": "Miller", "given_name": "Henry"},
        {"family_name": "Miller", "date_of_birth": date(1970, 6, 1)},
        {"given_name": "Henry", "date_of_birth": date(1970, 6, 1)},
        {"given_name": "Gaz", "date_of_birth": date(1970, 6, 1)},
        {"family_name": None, "given_name": "Gary", "date_of_birth": None},
        {"family_name": None, "given_name": None, "date_of_birth": None},
    ],
    ids=str,
)
def test_whoever_is_not_him_is_on_nobody_s_side(said: dict[str, Any]) -> None:
    assert stands(with_gary(**({"nhs_number": None} | said))) == {}


def test_a_number_that_his_name_contradicts_may_be_his_all_the_same() -> None:
    assert stands(with_gary(given_name="Henry")) == {BEECH: {Side.ALIKE}}


def test_a_tie_counts_in_its_time() -> None:
    register = demo()
    for record_id, (kind, _) in list(register.entries().items()):
        if kind == "affiliation":
            put(register, record_id, "affiliation", None)
    was = {
        "person_id": KEY.token("nhs", "9990475148"),
        "partner": BEECH,
        "relation": "governor",
        "ends_on": "2026-01-01",
    }
    put(register, "affiliation/was", "affiliation", was)

    assert stands(with_gary(), register) == {}


def test_an_agency_that_the_event_names_is_inside_and_one_that_nobody_knows_may_be() -> None:
    nobody: dict[str, Any] = {"nhs_number": None, "family_name": None, "given_name": None, "date_of_birth": None}

    assert stands(with_gary(**nobody, works_for=("haven",))) == {"haven": {Side.INSIDE}}
    assert stands(with_gary(**nobody, works_for=("beech-primry",))) == {BEECH: {Side.UNCLEAR}}
    assert stands(with_gary(**nobody, works_for=("crown-court",))) == {}


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("beech-primary-school", {BEECH}),  # a word of it
        ("beech", {BEECH}),
        ("beach-primary", {BEECH}),  # one letter
        ("primary-school", set()),  # in the names of too many
        ("fordshire-school-of-dance", set()),  # the county: a word that many share means none of them
        ("fordshire-polic", {"fordshire-police"}),
        ("meadow-surgery", {"meadow-practice"}),
        ("b", set()),
        ("brent-council", set()),
    ],
)
def test_an_agency_that_does_not_exist_may_mean_one_that_does(unknown: str, meant: set[str]) -> None:
    assert {partner.partner for partner in resembling(unknown, demo())} == meant


# Before, and whoever the register warns of


def test_who_was_kept_out_of_the_episode_stays_out() -> None:
    quiet = with_gary(nhs_number=None, family_name="Miller", given_name="Ed", date_of_birth=None)
    gary = with_gary().subjects[-1]
    sure = accused(gary.model_copy(update={"works_for": ("haven", "meadow-surgery")}), with_gary(), KEY)
    unsure = accused(gary.model_copy(update={"nhs_number": None}), with_gary(), KEY)
    contradicted = accused(gary.model_copy(update={"given_name": "Henry"}), with_gary(), KEY)

    assert stands(quiet, earlier=Earlier(accused=(sure,))) == {
        BEECH: {Side.BEFORE},
        "haven": {Side.BEFORE},
        "meadow-practice": {Side.PERHAPS_BEFORE},
    }
    for one in (unsure, contradicted):
        assert stands(quiet, earlier=Earlier(accused=(one,))) == {BEECH: {Side.PERHAPS_BEFORE}}


def test_where_he_works_is_looked_up_when_it_counts() -> None:
    """Somebody registers it the day after; or he has left since."""
    quiet, gary = with_gary(nhs_number=None, family_name="Stein", given_name="Ed", date_of_birth=None), with_gary()
    before = Earlier(accused=(accused(gary.subjects[-1], gary, KEY),))
    register = demo()
    works = {"person_id": KEY.token("nhs", "9990475148"), "partner": "haven", "relation": "volunteer"}
    put(register, "affiliation/x", "affiliation", works)

    assert stands(quiet, register, before) == {BEECH: {Side.BEFORE}, "haven": {Side.BEFORE}}
    put(register, "affiliation/x", "affiliation", works | {"ends_on": "2026-01-01"})
    assert stands(quiet, register, before) == {BEECH: {Side.BEFORE}}


def endangered(register: Register, **dates: Any) -> Register:
    """Gary is a danger to Ava."""
    gary, ava = (KEY.token("nhs", number) for number in ("9990475148", "9990079196"))
    return put(
        register, "danger/1", "danger", {"person_id": gary, "to": ava, "source": "an order of the court"} | dates
    )


def without_gary() -> Event:
    told = story.incident()
    return told.model_copy(update={"subjects": tuple(p for p in told.subjects if p.role != "ALLEGED_PERPETRATOR")})


def test_someone_recorded_as_a_danger_keeps_out_where_he_governs_though_nobody_names_him() -> None:
    assert stands(without_gary()) == {}
    assert stands(without_gary(), endangered(demo())) == {BEECH: {Side.STANDING}}


def test_a_parent_who_is_a_danger_to_anyone_counts_like_a_suspect() -> None:
    """Also where only the event says that he works there, and in an event about another child."""
    told = without_gary()
    ben = told.subjects[1]
    parent = with_gary().subjects[-1].model_copy(update={"role": PersonRole.PARENT_CARER, "works_for": ("haven",)})
    about_ben = unchecked(told, {"subjects": (ben, parent)})

    assert stands(about_ben) == {}
    assert stands(about_ben, endangered(demo())) == {BEECH: {Side.STANDING}, "haven": {Side.STANDING}}
    assert stands(about_ben, endangered(demo(), ends_on="2026-01-01")) == {}


def test_a_danger_counts_in_its_time() -> None:
    assert stands(without_gary(), endangered(demo(), ends_on="2026-01-01")) == {}
    assert stands(without_gary(), endangered(demo(), starts_on="2099-01-01")) == {}


def test_a_doubt_whether_it_is_the_child_in_danger_keeps_it_out_too() -> None:
    ava, *others = without_gary().subjects
    doubtful = without_gary().model_copy(
        update={"subjects": (ava.model_copy(update={"date_of_birth": date(2001, 1, 1)}), *others)}
    )

    assert stands(doubtful, endangered(demo())) == {BEECH: {Side.STANDING}}


def test_a_number_that_no_name_confirms_leaves_open_who_he_is() -> None:
    """One digit off, it may be the number of somebody of whom no name is known; then the names still speak."""
    register = put(demo(), "person/x", "person", {"person_id": "x", "tokens": {"nhs": KEY.token("nhs", "9990554331")}})

    assert stands(with_gary(nhs_number="9990554331"), register) == {BEECH: {Side.ALIKE}}


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ({"nhs_number": None, "family_name": "New", "given_name": None}, True),
        ({"nhs_number": None, "family_name": "New", "works_for": ("nobody-knows-it",)}, True),
        ({"nhs_number": None, "family_name": "New", "works_for": ("haven",)}, False),
        ({}, False),
    ],
    ids=str,
)
def test_of_whom_nobody_recorded_anything_it_is_said(said: dict[str, Any], unknown: bool) -> None:
    event = with_gary(**said)

    assert unknown_suspect(event, match_all(event, demo(), KEY), demo()) is unknown
