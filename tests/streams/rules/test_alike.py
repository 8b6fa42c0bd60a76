"""People whom nobody asked for their number are recognised by names and dates, however they are written."""

from datetime import date

import pytest
from a_register import KEY
from hypothesis import given
from hypothesis import strategies as st

from safebus.streams.rules import alike
from safebus.streams.rules.alike import SHORT_FORMS, Alike, described, may_be_one, sound
from safebus.streams.rules.identity import confirm_tokens, near_dates
from safebus.streams.rules.parties import KnownPerson

BORN = date(1986, 3, 5)


def registered(family: str | None, given: str | None, born: date | None) -> Alike:
    families, givens = alike.registered(family, given, KEY)
    return alike.known(
        KnownPerson(
            person_id="x",
            tokens={"nhs": "1"},
            confirm=confirm_tokens(family, born, KEY, given_name=given),
            near=tuple(near_dates(born, KEY)),
            family_alike=families,
            given_alike=givens,
        )
    )


GARY = registered("Stone", "Gary", BORN)


@pytest.mark.parametrize(
    ("family", "given", "born"),
    [
        ("Stone", "Gary", None),
        ("STONE", "gary", BORN),
        ("Stoen", "Garry", None),
        ("Stones", "Gaz", None),
        ("Tone", None, BORN),
        ("Ston", "Garrison", None),
        ("Sotne", "Gary", None),
        ("Stone", "Ga ry", None),
        ("St one", "Gary", None),
        ("Stone", "G", None),
        ("Stone", "G.", None),
        ("Stone", "Mr Gary", None),
        ("Stone-Hart", "Gary", None),
        ("de Stone", "Gary", None),
        ("Stone (senior)", "Gary", None),
        ("Gary", "Stone", None),
        ("Stone, Gary", None, None),
        (None, "Gary Stone", None),
        ("Stone", None, None),
        ("Stone", "Unknown", None),
        ("Unknown", "Male", BORN),
        ("N/K", "Gary", BORN),
        ("Not known", "not known", BORN),
        (None, "GaryStone", None),
        ("stonegary", None, None),
        ("Sto\u200bne", "Ga\u00adry", None),
        ("Stone", None, BORN),
        (None, None, BORN),
        (None, "Gary", BORN),
        ("Smith", "Gary", BORN),
        ("Stone", "Henry", BORN),
        ("Stone", "Gary", date(1986, 5, 3)),
        ("Stone", "Gary", date(1900, 1, 1)),
        ("Stone", "Gary", date(1951, 12, 30)),
        ("Sm\u0142th", "Gary", date(1986, 3, 6)),
    ],
)
def test_this_may_be_him(family: str | None, given: str | None, born: date | None) -> None:
    assert may_be_one(described(family, given, born, KEY), GARY)


@pytest.mark.parametrize(
    ("family", "given", "born"),
    [
        ("Smith", "Gary", None),
        ("Stone", "Henry", None),
        ("Stoen", "Gary", date(1951, 12, 30)),
        ("Stone", "Henry", date(1951, 12, 30)),
        ("Smith", "Henry", BORN),
        ("Smith", None, BORN),
        (None, "Gary", None),
        (None, None, None),
        ("Stone", None, date(1951, 12, 30)),
    ],
)
def test_nobody_would_think_that_this_is_him(family: str | None, given: str | None, born: date | None) -> None:
    assert not may_be_one(described(family, given, born, KEY), GARY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("M\u00fcller", "Jon"), ("Mueller", "John")),
        (("MacDonald", "Mohammed"), ("McDonald", "Mohamed")),
        (("\u0141uczak", "Bill"), ("Luczak", "William")),
        (("O\u2019Neill", "Kate"), ("ONeil", "Catherine")),
        (("\u674e", "\u5c0f\u9f99"), ("\u674e", "\u5c0f\u9f99")),
    ],
)
def test_however_it_is_spelt(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert may_be_one(described(*one, None, KEY), registered(*other, None))


@pytest.mark.parametrize(
    ("family", "given", "born", "may_be"),
    [
        ("Stone", "Babs", None, True),
        (" STONE ", "Henry", None, True),
        ("Stoen", "Henry", None, False),
        ("Stone", "Henry", date(1951, 12, 30), False),
        ("Smith", "Henry", None, False),
        (None, "Henry", None, False),
    ],
)
def test_who_is_to_be_kept_out_may_go_by_a_first_name_that_no_list_has(
    family: str | None, given: str | None, born: date | None, may_be: bool
) -> None:
    said = described(family, given, born, KEY)

    assert may_be_one(said, GARY, keeps_out=True) is may_be
    assert not may_be_one(said, GARY)


names = st.none() | st.sampled_from(
    ("Stone", "Stoen", "Gary", "Garry", "Gaz", "G", "Hart", "Gary Stone", "Unknown", "")
)
days = st.none() | st.sampled_from((BORN, date(1986, 5, 3), date(1986, 3, 6), date(1951, 12, 30), date(1900, 1, 1)))


@given(names, names, days, names, names, days)
def test_whoever_may_be_one_is_found_by_a_family_name_or_a_date(
    family: str | None, given_: str | None, born: date | None, other: str | None, first: str | None, day: date | None
) -> None:
    """So nobody is looked for by a first name, which hundreds of a register have."""
    said, known = described(family, given_, born, KEY), registered(other, first, day)

    if may_be_one(said, known, keeps_out=True) or may_be_one(said, known):
        assert said.tokens() & known.tokens()
    assert not said.tokens() & known.given


def test_the_twelfth_may_be_a_month_and_the_thirteenth_is_none() -> None:
    known = registered("Stone", None, date(1986, 12, 3))

    assert may_be_one(described("Stone", None, date(1986, 3, 12), KEY), known)
    assert not may_be_one(described("Stone", None, date(1986, 3, 13), KEY), known)


def test_a_date_that_systems_fill_in_says_nothing() -> None:
    for filled_in in alike.PLACEHOLDERS:
        assert described("Stone", None, filled_in, KEY) == described("Stone", None, None, KEY)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("robert", "R163"),
        ("rupert", "R163"),
        ("ashcraft", "A261"),
        ("ashcroft", "A261"),
        ("tymczak", "T522"),
        ("pfister", "P236"),
        ("honeyman", "H555"),
        ("lee", "L000"),
        ("\u674e", "\u674e"),
    ],
)
def test_it_sounds_as_the_national_archives_say(word: str, code: str) -> None:
    """Their own examples. Source: National Archives (US), "Soundex System"."""
    assert sound(word) == code


def test_short_forms_are_of_full_names_and_fit_both_sides() -> None:
    assert SHORT_FORMS["sam"] == {"samuel", "samantha"}
    assert may_be_one(described("Stone", "Sam", None, KEY), registered("Stone", "Samantha", None))
    assert may_be_one(described("Stone", "Samantha", None, KEY), registered("Stone", "Sam", None))


@given(st.text(max_size=10) | st.none(), st.text(max_size=10) | st.none(), st.dates() | st.none())
def test_whoever_is_written_the_same_twice_is_the_same(
    family: str | None, first: str | None, born: date | None
) -> None:
    """Whatever is typed; unless there is too little to say so."""
    said = described(family, first, born, KEY)
    enough = {"family_name", "date_of_birth"} & said.stated.keys()

    assert may_be_one(said, registered(family, first, born)) or not enough


def test_however_long_a_name_is_it_leaves_few_tokens() -> None:
    """Each goes into the decision record, and one that cannot be written would stop the worker."""
    long = described("x" * 20_000, " ".join("abcdefghijklmnopqrstuvwxyz" * 500 for _ in range(200)), BORN, KEY)

    assert len(long.tokens()) < 300
