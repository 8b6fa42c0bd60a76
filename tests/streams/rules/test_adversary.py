"""On the alleged perpetrator's side, perhaps, or not: by identifier, by likeness, and by an agency that is misspelt."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from a_register import KEY, NOON, demo, put

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Earlier
from safebus.schemas.events import Event
from safebus.streams.register.store import Register
from safebus.streams.rules.adversary import Side, resembling, sides, unknown_suspect
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
        {"family_name": "Stein"},
        {"family_name": None},
        {"given_name": "Henry"},
        {"date_of_birth": date(1970, 6, 1)},
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
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("haven",))) == {"haven": {Side.INSIDE}}
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("beech-primry",))) == {BEECH: {Side.UNCLEAR}}
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("crown-court",))) == {}


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
    quiet = with_gary(nhs_number=None, family_name="Stein")
    before = Earlier(kept_out=(BEECH,), perhaps_kept_out=("haven",))

    assert stands(quiet, earlier=before) == {BEECH: {Side.BEFORE}, "haven": {Side.PERHAPS_BEFORE}}


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


def test_of_whom_nobody_recorded_anything_it_is_said() -> None:
    nobody = with_gary(nhs_number=None, family_name="New", given_name=None)
    named = with_gary(nhs_number=None, family_name="New", works_for=("haven",))

    assert unknown_suspect(nobody, match_all(nobody, demo(), KEY))
    assert not unknown_suspect(named, match_all(named, demo(), KEY))
    assert not unknown_suspect(with_gary(), match_all(with_gary(), demo(), KEY))
