"""One notion of the same name: what is spelling, what is a part left out, and what is another person."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.names import Name, agree, family_name, first_name, first_names, fold, named

# Given and family name of one side, of the other, and why they are one.
THE_SAME = [
    ("Ava", "Hart", "AVA", "HART", "case"),
    ("Ava", "O'Brien", "Ava", "O’Brien", "a curly apostrophe"),
    ("Ava", "O'Brien", "Ava", "Oʼ Brien", "a modifier letter for an apostrophe, and a space"),
    ("Ava", "O'Brien", "Ava", "OBRIEN", "no apostrophe"),
    ("Ava", "Smith-Jones", "Ava", "Smith Jones", "a hyphen or a space in a family name"),
    ("Ava", "Smith-Jones", "Ava", "Smith–Jones", "a dash that a word processor made"),
    ("Anne-Marie", "Hart", "Anne Marie", "Hart", "a hyphen or a space in a first name"),
    ("Anne-Marie", "Hart", "Annemarie", "Hart", "nothing between the two words of a first name"),
    ("Anne Marie Rose", "Hart", "ANNEMARIE", "Hart", "nothing between them, and a middle name left out"),
    ("Anne-Marie", "Hart", "Anne", "Hart", "the second word of a first name left out"),
    ("Ava Rose", "Hart", "Ava", "Hart", "a middle name left out"),
    ("Ava Rose", "Hart", "Ava R.", "Hart", "a middle name as an initial"),
    ("Mrs Ava", "Hart", "Ava", "Hart", "a title"),
    ("Zoë", "Hart", "Zoe", "Hart", "an accent"),
    ("Zoë", "Müller", unicodedata.normalize("NFD", "Zoë"), unicodedata.normalize("NFD", "Müller"), "NFC and NFD"),
    ("Søren", "Łęcki", "SOREN", "LECKI", "letters that English keyboards do not have"),
    ("Işık", "Hart", "IŞIK", "HART", "a dotless i in capitals"),
    ("Ava", "Groß", "AVA", "GROSS", "a sharp s in capitals"),
    ("Ava", "de la Cruz", "Ava", "DELACRUZ", "spaces"),
    ("Ava", "St. John", "Ava", "St John", "a full stop"),
    ("Ａｖａ", "Hart", "Ava", "Hart", "full width"),
    ("Ava", "Hart", None, "Hart", "no given name"),
    ("Ava", "Hart", "Ava", "", "an empty family name"),
    ("Ava", "Hart", "Ava", "Unknown", "what is typed where a name is not known"),
]
ANOTHER = [
    ("Ava", "Hart", "Eva", "Hart", "another first name"),
    ("Ava", "Hart", "Ava", "Hurst", "another family name"),
    ("Ava", "Smith-Jones", "Ava", "Jones", "half of a double name: it tells people apart"),
    ("Ava", "Hart", "Rose Ava", "Hart", "another first name, and hers as a middle name"),
    ("A", "Hart", "Ava", "Hart", "an initial"),
    ("Anne", "Hart", "Annemarie", "Hart", "one word and another that begins with it"),
    ("Ava", None, "Eva", "Hart", "another first name, where one family name is not known"),
]
NOTHING_TO_COMPARE = [
    (None, None, "Ava", "Hart", "no name"),
    ("Ava", None, None, "Hart", "no part that both give"),
    ("Unknown", "N/K", "Ava", "Hart", "not known, in words"),
]
texts = st.text(max_size=12) | st.sampled_from([n for row in (*THE_SAME, *ANOTHER) for n in row[:4]])
names = st.builds(Name, st.none() | texts, st.none() | texts)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        *((row, True) for row in THE_SAME),
        *((row, False) for row in ANOTHER),
        *((row, None) for row in NOTHING_TO_COMPARE),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else str(value),
)
def test_spelling_makes_no_other_name_and_absent_is_not_different(
    row: tuple[str | None, str | None, str | None, str | None, str], expected: bool | None
) -> None:
    assert agree(Name(row[0], row[1]), Name(row[2], row[3])) is expected


@given(names)
def test_every_name_is_the_same_as_itself(name: Name) -> None:
    assert agree(name, name) is not False


@given(names, names)
def test_it_does_not_matter_which_is_asked_first(one: Name, other: Name) -> None:
    assert agree(one, other) is agree(other, one)


@given(names, names, names)
def test_whole_names_that_agree_with_one_agree_with_each_other(one: Name, other: Name, third: Name) -> None:
    """Only of those that give both parts, in one word: what one leaves out may tell the others apart."""
    whole = all(len(first_names(each.given)) == 1 and family_name(each.family) for each in (one, other, third))
    if whole and agree(one, other) and agree(other, third):
        assert agree(one, third)


@given(names, st.sampled_from([str.upper, str.lower, str.title, lambda text: f"  {text}\u00a0"]), st.booleans())
def test_case_composition_and_spaces_around_it_make_no_other_name(name: Name, change: object, composed: bool) -> None:
    latin = all(ord(c) < 0x250 for part in name if part for c in part)
    if latin and callable(change):
        form = "NFC" if composed else "NFD"
        other = Name(*(part and unicodedata.normalize(form, change(part)) for part in name))

        assert agree(name, other) is agree(name, name)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [("Ava Rose", "ava"), ("- Ben", "ben"), ("\u200b Ben", "ben"), ("Miss Eva", "eva"), ("Miss", ""), (None, "")],
)
def test_the_first_word_that_is_a_name_is_the_first_name(given_name: str | None, expected: str) -> None:
    assert first_name(given_name) == expected


@pytest.mark.parametrize(
    "filler", ["Unknown", "UNKNOWN", "n/k", "Not known", "N/A", "TBC", "", "-", None, "Mr Unknown"]
)
def test_what_is_filled_in_is_no_name(filler: str | None) -> None:
    assert named(filler) is None


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
