"""On the alleged perpetrator's side, perhaps, or not: by identifier, by likeness, and by an agency that is misspelt."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from a_register import KEY, NOON, demo, put

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event
from safebus.streams.register.store import Register
from safebus.streams.rules.adversary import Side, resembles, sides, unknown_suspect
from safebus.streams.rules.identity import match_all

BEECH = "beech-primary"


def with_gary(**changes: Any) -> Event:
    """The incident, and this is what is said of Gary, who governs Beech."""
    told = story.incident()
    *others, gary = told.subjects
    return told.model_copy(update={"subjects": (*others, gary.model_copy(update=changes))})


def stands(event: Event, register: Register | None = None) -> Mapping[str, frozenset[Side]]:
    known = register or demo()
    return sides(event, match_all(event, known, KEY), known, KEY, NOON.date())


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

    assert stands(with_gary(), register) == {}


def test_an_agency_that_the_event_names_is_inside_and_one_that_nobody_knows_may_be() -> None:
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("haven",))) == {"haven": {Side.INSIDE}}
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("beech-primry",))) == {BEECH: {Side.UNCLEAR}}
    assert stands(with_gary(nhs_number=None, family_name=None, works_for=("crown-court",))) == {}


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("beech-primary-school", True),  # a word of it
        ("beech", True),
        ("beach-primary", True),  # one letter
        ("primary-school", False),  # in the names of too many
        ("ash-primary", False),
        ("b", False),
        ("brent-council", False),
    ],
)
def test_an_agency_that_does_not_exist_may_mean_one_that_does(unknown: str, meant: bool) -> None:
    assert resembles(unknown, BEECH, "Beech Primary School") is meant


def test_of_whom_nobody_recorded_anything_it_is_said() -> None:
    nobody = with_gary(nhs_number=None, family_name="New", given_name=None)
    named = with_gary(nhs_number=None, family_name="New", works_for=("haven",))

    assert unknown_suspect(nobody, match_all(nobody, demo(), KEY))
    assert not unknown_suspect(named, match_all(named, demo(), KEY))
    assert not unknown_suspect(with_gary(), match_all(with_gary(), demo(), KEY))
