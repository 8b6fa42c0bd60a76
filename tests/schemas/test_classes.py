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
    "typed", ["LS17 7DF", "LS177DF", "ls17 7df", "Ls177dF", "  LS17   7DF ", "LS 17 7DF", "LS17\u00a07DF", "LS17\t7DF"]
)
def test_of_a_postcode_however_people_type_it_the_first_half_is_kept(typed: str) -> None:
    assert MASKS["outward_code"].apply(typed) == "LS17"


@pytest.mark.parametrize(
    ("postcode", "outward"),
    [
        ("M1 1AE", "M1"),
        ("M11 1AE", "M11"),
        ("CR2 6XH", "CR2"),
        ("DN55 1PT", "DN55"),
        ("W1A 0AX", "W1A"),
        ("EC1A 1BB", "EC1A"),
        ("ZZ99 3VZ", "ZZ99"),
    ],
)
def test_every_form_of_postcode_has_its_first_half(postcode: str, outward: str) -> None:
    """Source: BS 7666, the six forms that Royal Mail gives out; and the NHS code for no fixed abode."""
    assert MASKS["outward_code"].apply(postcode) == outward


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "7DF",
        "17DF",
        "LS17",
        "LS17 7",
        "LS17 7D",
        "LS17 7DF (refuge)",
        "refuge LS17 7DF",
        "LS17 7DF, LS18 4AB",
        "LS17-7DF",
        "LSI7 7DF",
        "LS17 7DF\u200b",
        "Rowan House",
        "BFPO 12",
        "GIR 0AA",
        "L\u017f17 7DF",
        "LS\u0661\u0667 7DF",
        "\u00df17 7DF",
    ],
)
def test_of_what_is_no_postcode_nothing_is_kept(typed: str) -> None:
    """No remainder, whatever part of it looks like a postcode; letters and digits of other scripts are no postcode."""
    assert MASKS["outward_code"].apply(typed) is None


@given(st.one_of(st.text(max_size=12), st.from_regex(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}.?")))
def test_the_last_three_signs_of_a_postcode_are_never_kept(text: str) -> None:
    """They name a street. What is kept is at most four signs, and the same for every postcode of the district."""
    kept = MASKS["outward_code"].apply(text)
    squeezed = "".join(text.split()).upper()

    assert kept is None or (kept == squeezed[:-3] and 2 <= len(kept) <= 4)
    assert kept is None or MASKS["outward_code"].apply(kept + "0AA") == kept


@pytest.mark.parametrize(
    ("name", "initial"),
    [
        ("Zoë", "Z"),
        (" Ava", "A"),
        ("J.R.", "J"),
        ("Émile", "É"),
        ("d'Arcy", "d"),
        ("Lord", "L"),
        ("Master Lee", None),
        ("Mrs Hart", None),
        ("DR. Okoro", None),
        ("Dr.Okoro", None),
        ("12 Mill Lane", None),
        ("07700 900123", None),
        ("(refuge)", None),
        ("'t Hart", None),
        ("?", None),
        ("李", None),
        ("", None),
        (" ", None),
        (".", None),
    ],
)
def test_an_initial_is_the_first_letter_of_a_name_or_nothing(name: str, initial: str | None) -> None:
    """A house number, a title or a sign is no initial, and in a script without capitals one sign may be the name."""
    assert MASKS["initial"].apply(name) == initial


@given(st.text(max_size=20))
def test_an_initial_is_never_more_than_one_letter(name: str) -> None:
    kept = MASKS["initial"].apply(name)

    assert kept is None or (len(kept) == 1 and kept.isalpha() and kept == name.replace(".", " ").split()[0][0])


@given(st.dates())
def test_a_year_can_be_told_of_every_date(day: date) -> None:
    assert MASKS["year"].apply(day) == day.year


def test_a_mask_that_always_blurs_is_the_only_one_that_may_stand_on_what_is_never_left_out() -> None:
    assert [name for name, mask in MASKS.items() if mask.always] == ["year"]


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
