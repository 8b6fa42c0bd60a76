"""What in a view tells its recipient which person is meant, and what does not."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from a_register import NOON, change_flow, demo, put, share
from hypothesis import given, settings
from hypothesis import strategies as st
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Outcome
from safebus.schemas.classes import MASKS
from safebus.schemas.events import Event, Lifecycle, PersonRole
from safebus.streams.rules.bases import OrgType
from safebus.streams.rules.matrix import KINDS
from safebus.streams.rules.parties import Number, Partner
from safebus.streams.rules.told_apart import numbers_of, told_apart_by, unclear, unclear_to_all

ALL = frozenset(Number)
NONE: frozenset[Number] = frozenset()
BORN = date(2015, 3, 2)
HOME = {"lines": ["12 Mill Lane", "Fordham"], "postcode": "LS17 7DF"}
MOTHER = {"given_name": "Maya", "family_name": "Hart", "date_of_birth": date(1990, 1, 30), "relationship": "mother"}
NAME_AND_DATE = "given_name family_name date_of_birth"


def of_subject(numbers: frozenset[Number] = NONE, **fields: Any) -> tuple[str, ...]:
    return told_apart_by({"subject": fields}, numbers)


def tells(view: Mapping[str, Any], numbers: frozenset[Number] = NONE) -> bool:
    return bool(told_apart_by(view, numbers))


# One by one


def test_a_number_by_which_the_partner_finds_people_is_enough() -> None:
    assert of_subject(frozenset({Number.NHS_NUMBER}), nhs_number="9990079196") == ("subject.nhs_number",)
    assert of_subject(frozenset({Number.UPN}), upn="X313000026001", nhs_number="9990079196") == ("subject.upn",)


def test_a_number_that_the_partner_has_no_list_of_says_nothing() -> None:
    assert of_subject(frozenset({Number.UPN}), nhs_number="9990079196", given_name="Ava") == ()
    assert of_subject(NONE, nhs_number="9990079196", upn="X313000026001") == ()


def test_a_number_that_was_blurred_says_nothing() -> None:
    assert of_subject(ALL, upn=MASKS["initial"].apply("X313000026001"), nhs_number="") == ()


def test_the_publishers_own_number_says_nothing_to_others() -> None:
    assert of_subject(ALL, local_id="FP-4711", given_name="Ava", family_name="Hart") == ()


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({"given_name": "Ava", "family_name": "Hart", "date_of_birth": BORN}, NAME_AND_DATE),
        ({"given_name": "Ava", "family_name": "Hart", "home_address": HOME}, "given_name family_name home_address"),
        ({"given_name": "Ava", "date_of_birth": BORN, "home_address": HOME}, "given_name date_of_birth home_address"),
        ({"given_name": "Ava Rose", "family_name": "O'Hart-Li", "date_of_birth": BORN}, NAME_AND_DATE),
        ({"given_name": "Baby Ava", "family_name": "Hart", "date_of_birth": BORN}, NAME_AND_DATE),
        ({"given_name": "思", "family_name": "李", "date_of_birth": BORN}, NAME_AND_DATE),
    ],
)
def test_a_first_name_and_two_of_the_others_are_enough(fields: dict[str, Any], by: str) -> None:
    assert of_subject(**fields) == tuple(f"subject.{name}" for name in by.split())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"given_name": "Ava"},
        {"given_name": "Ava", "family_name": "Hart"},
        {"given_name": "Ava", "date_of_birth": BORN},
        {"given_name": "Ava", "home_address": HOME},
        # Twins
        {"family_name": "Hart", "date_of_birth": BORN, "home_address": HOME},
        {"given_name": None, "family_name": "Hart", "date_of_birth": BORN, "home_address": HOME},
        {"given_name": "A", "family_name": "Hart", "date_of_birth": BORN, "home_address": HOME},
        {"given_name": "Baby", "family_name": "Hart", "date_of_birth": BORN, "home_address": HOME},
        {"given_name": "Unknown", "family_name": "Hart", "date_of_birth": BORN, "home_address": HOME},
    ],
)
def test_less_is_not(fields: dict[str, Any]) -> None:
    assert of_subject(ALL, **fields) == ()


@pytest.mark.parametrize("name", ["", "n/k", "unknown", "H", "H.", None])
def test_what_stands_where_nobody_knows_the_family_name_does_not_count(name: str | None) -> None:
    assert of_subject(given_name="Ava", family_name=name, date_of_birth=BORN) == ()


@pytest.mark.parametrize("born", [None, 2015, date(1900, 1, 1), date(2000, 1, 1)])
def test_a_year_and_a_date_that_systems_fill_in_do_not_count(born: Any) -> None:
    assert of_subject(given_name="Ava", family_name="Hart", date_of_birth=born) == ()


@pytest.mark.parametrize(
    "home",
    [
        {"postcode": "LS17 7DF"},
        {"postcode": "ls177df"},
        {"uprn": "999999999001"},
        {"lines": ["Rose Cottage", "3 The Green"]},
    ],
)
def test_a_postcode_a_uprn_or_a_number_in_a_street_is_a_home(home: dict[str, Any]) -> None:
    assert of_subject(given_name="Ava", family_name="Hart", home_address=home) != ()


@pytest.mark.parametrize(
    "home",
    [
        None,
        {},
        {"lines": [], "postcode": None, "uprn": None},
        {"postcode": "LS17"},
        {"postcode": "ZZ99 3VZ"},
        {"postcode": "AA1 1AA"},
        {"postcode": "XX9 9XX"},
        {"lines": ["Fordham", "4711"]},
        {"local_authority": "E99999999"},
    ],
)
def test_a_town_half_a_postcode_or_no_fixed_abode_is_none(home: Any) -> None:
    """Source: NHS Data Dictionary, the postcodes from ZZ99."""
    assert of_subject(given_name="Ava", family_name="Hart", home_address=home) == ()


# By a parent


def test_a_child_is_told_apart_by_its_first_name_and_a_parent_who_is() -> None:
    named = tuple(f"adults[].{name}" for name in NAME_AND_DATE.split())

    assert told_apart_by({"subject": {"given_name": "Ava"}, "adults": [MOTHER]}, NONE) == ("subject.given_name", *named)


def test_one_who_is_not_born_yet_is_told_apart_by_the_mother() -> None:
    unborn = {"role": PersonRole.UNBORN_CHILD.value}
    mother = {"role": "PARENT_CARER", "nhs_number": "9990395950"}

    found = told_apart_by({"subject": unborn, "adults": [mother]}, frozenset({Number.NHS_NUMBER}))
    assert found == ("subject.role", "adults[].nhs_number")
    assert not tells({"subject": unborn, "adults": [mother]}, frozenset({Number.UPN}))
    assert not tells({"subject": {}, "adults": [mother]}, ALL), "who cannot see that it is unborn thinks of a child"


def test_a_birth_mother_is_a_parent_too() -> None:
    assert tells({"subject": {"given_name": "Ava"}, "adults": [MOTHER | {"relationship": "birth mother"}]})


def test_an_accused_father_tells_whose_child_it_is_too() -> None:
    father = MOTHER | {"relationship": "Father"}

    assert tells({"subject": {"given_name": "Ava"}, "adults": [], "alleged_perpetrators": [father]})


@pytest.mark.parametrize("other", [{"relationship": "neighbour"}, {"relationship": None}, {"date_of_birth": None}])
def test_nobody_else_does_and_no_parent_who_is_not_told_apart(other: dict[str, Any]) -> None:
    assert not tells({"subject": {"given_name": "Ava"}, "adults": [MOTHER | other]})


def test_a_parent_alone_does_not_say_which_of_the_children() -> None:
    assert not tells({"subject": {"family_name": "Hart"}, "adults": [MOTHER]})
    assert not tells({"adults": [MOTHER]})


# Who finds people by what


@pytest.mark.parametrize(
    ("sector", "numbers"),
    [
        ("mash", ALL),
        ("school", {Number.UPN}),
        ("health", {Number.NHS_NUMBER}),
        ("community_health", {Number.NHS_NUMBER}),
        ("emergency_department", {Number.NHS_NUMBER}),
        ("adult_care", {Number.NHS_NUMBER}),
        ("police", NONE),
        ("probation", NONE),
        ("housing", NONE),
        ("da_charity", NONE),
        ("of another kind", NONE),
    ],
)
def test_each_sector_finds_people_by_what_is_usual_there(sector: str, numbers: frozenset[Number]) -> None:
    assert numbers_of(partner(sector)) == numbers


def test_every_sector_of_the_matrix_is_known_here() -> None:
    assert all(isinstance(numbers_of(partner(sector)), frozenset) for sector in KINDS)


def test_a_partner_may_say_what_it_finds_people_by() -> None:
    """A school that takes part in a trial of the NHS number has it; another says that it has none."""
    assert numbers_of(partner("school", numbers=["nhs_number", "upn"])) == ALL
    assert numbers_of(partner("mash", numbers=[])) == NONE


def partner(sector: str, **changes: Any) -> Partner:
    body = {"partner": "somebody", "name": "S", "sector": sector, "org_type": OrgType.CHARITY, "call": "the desk"}
    return Partner.model_validate(body | changes)


# Whatever it is

PERSONS = st.fixed_dictionaries(
    {},
    optional={
        "given_name": st.sampled_from([None, "Ava", "A", "unknown", "Baby"]),
        "family_name": st.sampled_from([None, "Hart", "H", "n/k"]),
        "date_of_birth": st.sampled_from([None, BORN, 2015, date(1900, 1, 1)]),
        "home_address": st.sampled_from([None, HOME, {"postcode": "LS17"}, {"lines": ["1 High St"]}]),
        "nhs_number": st.sampled_from([None, "9990079196"]),
        "upn": st.sampled_from([None, "X313000026001", "X"]),
        "role": st.sampled_from(list(PersonRole)),
        "relationship": st.sampled_from([None, "mother", "neighbour"]),
    },
)
VIEWS = st.fixed_dictionaries({}, optional={"subject": PERSONS, "adults": st.lists(PERSONS, max_size=2)})
NUMBERS = st.frozensets(st.sampled_from(Number))


@given(VIEWS, NUMBERS, NUMBERS)
def test_who_knows_more_numbers_can_tell_at_least_as_often(
    view: dict[str, Any], some: frozenset[Number], more: frozenset[Number]
) -> None:
    assert tells(view, some | more) or not tells(view, some)


@given(VIEWS, NUMBERS, st.data())
def test_taking_a_field_away_never_tells_more(view: dict[str, Any], numbers: frozenset[Number], data: Any) -> None:
    subject = view.get("subject", {})
    gone = data.draw(st.sampled_from([*sorted(subject), "nothing"]))

    less = view | {"subject": {name: value for name, value in subject.items() if name != gone}}
    assert tells(view, numbers) or not tells(less, numbers)


@given(VIEWS, NUMBERS)
def test_what_is_named_stands_in_the_view_and_is_enough_by_itself(
    view: dict[str, Any], numbers: frozenset[Number]
) -> None:
    found = told_apart_by(view, numbers)
    kept = {path.split(".")[1] for path in found if path.startswith("subject.")}
    only = view | {"subject": {name: value for name, value in view.get("subject", {}).items() if name in kept}}

    assert told_apart_by(only, numbers) == found
    assert all(only["subject"][name] for name in kept)


@given(PERSONS, NUMBERS, st.sampled_from(["year", "initial", "initial of the family name"]))
def test_what_is_blurred_tells_no_more_than_what_is_left_out(
    person: dict[str, Any], numbers: frozenset[Number], mask: str
) -> None:
    name = {"year": "date_of_birth", "initial": "given_name"}.get(mask, "family_name")
    clear = person.get(name)
    left_out = {key: value for key, value in person.items() if key != name}
    blurred = left_out | {name: _blurred(clear, mask.split()[0])}

    assert of_subject(numbers, **blurred) == of_subject(numbers, **left_out)


def _blurred(value: Any, mask: str) -> Any:
    fits = isinstance(value, date) if mask == "year" else isinstance(value, str)
    return MASKS[mask].apply(value) if fits else None


# In a decision

BARELY_KNOWN = {"family_name": None, "date_of_birth": None, "upn": None}


def of_ava(**changes: Any) -> Event:
    ava, *others = story.incident().subjects
    return story.incident().model_copy(update={"subjects": (ava.model_copy(update=changes), *others)})


def test_it_is_on_record_for_each_recipient_and_goes_all_the_same() -> None:
    found = share(of_ava(**BARELY_KNOWN), demo())
    about_ava = {a.recipient: a for a in found.record.answers if a.subject_index == 0}

    school, nurse = about_ava["ash-primary"], about_ava["fordshire-0-19"]
    assert (school.outcome, school.unclear, school.told_apart_by) == (Outcome.PERMIT, True, ())
    assert (nurse.outcome, nurse.unclear, nurse.told_apart_by) == (Outcome.PERMIT, False, ("subject.nhs_number",))
    asked = {o.notification.recipient: o.notification.whom_to_ask for o in found.outputs}
    assert asked["ash-primary"] == "Fordshire Police public protection desk, 01632 960101"
    assert asked["fordshire-0-19"] is None


def test_where_the_publisher_has_no_number_in_the_register_it_is_named() -> None:
    police = demo().partners["fordshire-police"].model_dump(mode="json") | {"call": ""}
    found = share(of_ava(**BARELY_KNOWN), put(demo(), "partner/fordshire-police", "partner", police))

    [asked] = [o.notification.whom_to_ask for o in found.outputs if o.notification.recipient == "ash-primary"]
    assert asked == "fordshire-police"


def test_what_an_agreement_leaves_out_makes_it_unclear_however_much_was_published() -> None:
    register = change_flow(
        demo(), "fordshire-encompass", "to-schools", release={"subject": ["ROLE"]}, fields=[], mask={}
    )

    found = share(story.incident(), register)
    assert [a.recipient for a in found.record.answers if a.unclear] == ["ash-primary"]


def test_a_school_that_finds_children_by_nhs_number_is_asked_nothing() -> None:
    school = demo().partners["ash-primary"].model_dump(mode="json") | {"numbers": ["nhs_number"]}
    release = {"subject": ["ROLE", "NHS_NUMBER"]}
    register = change_flow(demo(), "fordshire-encompass", "to-schools", release=release, fields=[], mask={})

    unclear_at = [a.recipient for a in share(story.incident(), register).record.answers if a.unclear]
    put(register, "partner/ash-primary", "partner", school)
    assert unclear_at == ["ash-primary"]
    assert not any(a.unclear for a in share(story.incident(), register).record.answers)


def test_nothing_is_unclear_of_what_nobody_gets() -> None:
    answers = share(of_ava(**BARELY_KNOWN), demo()).record.answers

    assert not any(a.unclear or a.told_apart_by for a in answers if a.outcome is not Outcome.PERMIT)
    assert {unclear(a) is not None for a in answers} == {True, False}


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(sorted(BARELY_KNOWN))))
def test_whom_to_ask_stands_in_the_message_exactly_where_the_record_says_so(left_out: set[str]) -> None:
    found = share(of_ava(**dict.fromkeys(left_out)), demo())
    by_id = {o.notification.decision_id: o.notification for o in found.outputs}

    for answer in found.record.answers:
        if answer.outcome is Outcome.PERMIT:
            assert answer.unclear == (by_id[answer.decision_id].whom_to_ask is not None) == (not answer.told_apart_by)


# Before anything is decided


def test_an_event_is_unclear_to_all_where_no_partner_could_tell() -> None:
    unknown = BARELY_KNOWN | {"nhs_number": None, "local_id": "FP-4711", "home_address": None}
    ava, *others = of_ava(**unknown).subjects

    assert unclear_to_all(of_ava(**unknown)) == (), "her mother is known"
    alone = story.incident().with_(subjects=(ava, *(p for p in others if p.role is PersonRole.CHILD)))
    assert unclear_to_all(alone) == ("subjects.0 (CHILD)",)
    assert unclear_to_all(unchecked(alone, {"lifecycle": Lifecycle.RETRACT})) == ()


def test_nobody_is_warned_of_those_whom_no_message_is_about_by_itself() -> None:
    """A victim or a suspect of whom little is known is usual; the children are who must be found."""
    *children, maya, gary = story.incident().subjects
    nobody = dict.fromkeys(("given_name", "family_name", "date_of_birth", "nhs_number", "home_address"))
    others = (maya.model_copy(update=nobody), gary.model_copy(update=nobody))

    assert unclear_to_all(story.incident().model_copy(update={"subjects": (*children, *others)})) == ()


@pytest.mark.parametrize("field", ["nhs_number", "upn"])
def test_a_number_that_some_partner_has_is_clear_to_somebody(field: str) -> None:
    others = {"given_name": None, "family_name": None, "date_of_birth": None, "nhs_number": None, "upn": None}
    known = {field: getattr(story.incident().subjects[0], field)}

    assert unclear_to_all(of_ava(**(others | known))) == ()


def test_all_that_the_demonstration_tells_is_clear_to_whom_it_is_told() -> None:
    for event, _ in story.first_chapter():
        assert unclear_to_all(event) == ()
    assert not any(a.unclear for a in share(story.incident(), demo(), now=NOON).record.answers)
