"""Data classes: what the law asks for each, and how a value may be blurred."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.classes import MASKS, NEVER, PROSE, RESTRICTED_STRIPS, Category, DataClass, category
from safebus.schemas.event_schemas import event_schemas


def test_health_and_sexual_life_are_special_and_offences_are_criminal() -> None:
    """Source: UK GDPR Art 9 and Art 10."""
    by_category = {c: {d.value for d in DataClass if category(d) is c} for c in Category}

    assert by_category[Category.SPECIAL] == {"HEALTH_CHILD", "HEALTH_ADULT", "SEXUAL_REPRODUCTIVE"}
    assert by_category[Category.CRIMINAL] == {"CRIMINAL"}
    assert by_category[Category.ORDINARY] == {d.value for d in DataClass} - {
        "HEALTH_CHILD",
        "HEALTH_ADULT",
        "SEXUAL_REPRODUCTIVE",
        "CRIMINAL",
    }


def test_all_that_could_tell_where_a_restricted_person_is_goes() -> None:
    """Whatever is added later and called a location goes too, or this fails. Source: PDS FHIR API; rule R16."""
    says_where = {d for d in DataClass if d.value.startswith("LOCATION_")} | {
        DataClass.CONTACT_SAFE,
        DataClass.GP_REGISTRATION,
        DataClass.SCHOOL_PLACE,
        DataClass.AFFILIATION,
        DataClass.HOUSING_REASON,
    }

    assert says_where | PROSE == RESTRICTED_STRIPS


def test_prose_is_every_class_that_people_write_sentences_in() -> None:
    assert {DataClass.FREE_TEXT, DataClass.INCIDENT_NARRATIVE, DataClass.VOICE_OF_CHILD} == PROSE


def test_who_spoke_up_is_never_released() -> None:
    assert {DataClass.REFERRER} == NEVER


def test_a_class_is_written_as_it_is_named() -> None:
    """Agreements and schemas are written by people, by these names."""
    assert [d.value for d in DataClass] == [d.name for d in DataClass]


@pytest.mark.parametrize(
    ("mask", "value", "blurred"),
    [
        ("year", date(2015, 9, 1), 2015),
        ("outward_code", "LS17 7DF", "LS17"),
        ("outward_code", "LS177DF", "LS17"),
        ("outward_code", "M1 1AE", "M1"),
        ("outward_code", " m1 1ae ", "m1"),
        ("outward_code", "7DF", ""),
        ("outward_code", "17DF", ""),
        ("outward_code", "", ""),
        ("initial", "Zoë", "Z"),
        ("initial", "", ""),
    ],
)
def test_a_mask_keeps_only_what_it_says(mask: str, value: object, blurred: object) -> None:
    assert MASKS[mask].apply(value) == blurred


@given(st.text(max_size=12))
def test_the_last_three_signs_of_a_postcode_are_never_kept(text: str) -> None:
    """They name a street; so do the first three of something that is no postcode."""
    kept = MASKS["outward_code"].apply(text)

    assert kept == "" or kept + text.replace(" ", "")[-3:] == text.replace(" ", "")


def test_a_mask_is_found_by_its_name_and_blurs_types_that_leaves_have() -> None:
    kinds = {leaf.kind for schema in event_schemas().current.values() for leaf in schema.leaves}

    assert [(name, m.takes, m.gives) for name, m in MASKS.items() if name == m.name] == [
        ("year", "date", "int"),
        ("outward_code", "string", "string"),
        ("initial", "string", "string"),
    ]
    assert {m.takes for m in MASKS.values()} <= kinds


def test_half_a_postcode_is_only_taken_of_a_postcode() -> None:
    """Of a name, it would keep all but three letters."""
    assert {name: m.leaf for name, m in MASKS.items()} == {"year": None, "outward_code": "postcode", "initial": None}
