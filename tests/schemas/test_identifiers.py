"""Identifiers: the vectors that published systems use, and what stands for a person outside."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.errors import BadIdentifier
from safebus.schemas.identifiers import (
    agency_id,
    derived_id,
    event_id,
    for_trying_only,
    local_id,
    nhs_number,
    of_scheme,
    upn,
)

LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"


@pytest.mark.parametrize(
    "number",
    [
        *("9990079196", "9990237573", "9990316767", "9990395950", "9990475148", "9990554331", "9990633525"),
        *("9990712719", "9912003888", "9730676240", "9000000009", "9000000017", "9000000025"),
    ],
)
def test_nhs_numbers_that_nhs_specifications_use_are_valid(number: str) -> None:
    assert nhs_number(number) == number


@pytest.mark.parametrize("number", ["9999999991", "9100000009", "9111111124", "9222222228", "9990079195"])
def test_nhs_numbers_whose_check_digit_does_not_fit_are_refused(number: str) -> None:
    """The first four were published as good ones."""
    with pytest.raises(BadIdentifier, match=r"check digit .* \(modulus 11\); check the source record$") as refused:
        nhs_number(number)

    assert number not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "999007919",
        "99900791966",
        "999-007-9196",
        "9990079196\n",
        "999007919X",
    ],
)
def test_an_nhs_number_is_ten_ascii_digits(text: str) -> None:
    with pytest.raises(BadIdentifier, match=r"^an NHS number has 10 digits, .*; found \d+ characters") as refused:
        nhs_number(text)

    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("９９９００７９１９６", "fullwidth"),
        ("٩٩٩٠٠٧٩١٩٦", "arabic-indic"),
        ("99900791９6", "fullwidth"),
        ("999007919²", "superscript"),
    ],
)
def test_digits_of_another_script_are_named_as_what_they_are(text: str, script: str) -> None:
    for check in (nhs_number, upn):
        with pytest.raises(BadIdentifier, match=f"^found {script} digits; expected 0-9: type the number again$"):
            check(text)


@pytest.mark.parametrize("number", [*(str(digit) * 10 for digit in range(10)), "999 999 9999"])
def test_digits_that_are_all_alike_are_nobodys_number(number: str) -> None:
    """Their check digit fits, so all who typed them would be one child."""
    with pytest.raises(BadIdentifier, match=r"^all digits are alike: that is nobody's NHS"):
        nhs_number(number)


@pytest.mark.parametrize("number", ["5000000008", "0000000051", "3113000009", "8700000004"])
def test_a_number_of_a_range_that_was_never_issued_is_refused(number: str) -> None:
    with pytest.raises(BadIdentifier, match="lies in a range that was never issued"):
        nhs_number(number)


def test_numbers_that_are_for_trying_only_are_known() -> None:
    assert for_trying_only("9990079196") and for_trying_only("9000000009")
    assert not for_trying_only("4010232137")


@pytest.mark.parametrize(
    "text",
    ["N/A", "n.k.", "Unknown", "not known", "-", "", "0", "0000", "xxx", "999999", "TBC", "Not on system"],
)
def test_what_is_typed_where_a_reference_is_not_known_is_none(text: str) -> None:
    """All who have it would be one child."""
    with pytest.raises(BadIdentifier, match="this stands for nobody"):
        local_id(text)


def test_blanks_around_a_reference_are_said() -> None:
    """With them it would match nobody, and no one would be told."""
    with pytest.raises(BadIdentifier, match="there are blanks around this reference"):
        local_id("MX-1 ")


@pytest.mark.parametrize("text", ["1", "9", "9999", "99999", "X0", "NA-7", "NK2", "100", "MX-1", "N-7", "x1", "\u4e00"])
def test_an_agencys_own_reference_has_the_shape_it_likes(text: str) -> None:
    assert local_id(text) == of_scheme("local:fordshire-mash", text) == text


def test_an_identifier_is_checked_by_its_kind() -> None:
    assert of_scheme("nhs", "999 007 9196") == "9990079196"
    with pytest.raises(BadIdentifier, match="UPN"):
        of_scheme("upn", "A000000000000")


def test_an_nhs_number_written_in_groups_is_the_same_number() -> None:
    assert nhs_number("999 007 9196") == "9990079196"


@given(st.integers(320_000_000, 10**9 - 1))
def test_each_nine_digits_have_at_most_one_check_digit(stem: int) -> None:
    """Source: NHS Data Dictionary, NHS NUMBER: weights 10 to 2, 11 minus the rest; 11 is 0, 10 is never issued."""
    digits = f"{stem:09}"
    weighted = sum(w * int(d) for w, d in zip(range(10, 1, -1), digits, strict=True))
    check = (11 - weighted % 11) % 11
    issued = not 500_000_000 <= stem <= 599_999_999 and not 860_000_000 <= stem <= 899_999_999
    alike = len({*digits, str(check)}) == 1
    expected = [] if check == 10 or alike or not issued else [digits + str(check)]

    assert [digits + str(last) for last in range(10) if _accepts(nhs_number, digits + str(last))] == expected


@pytest.mark.parametrize(("number", "is_one"), [("0101010141", True), ("3201010146", True), ("0156269058", False)])
def test_a_scottish_number_also_begins_with_a_date(number: str, is_one: bool) -> None:
    """CHI numbers share the ten digits and the check; there is no month 56."""
    assert _accepts(nhs_number, number) == is_one


@pytest.mark.parametrize("text", ["X313000026001", "L313000026002", "W31300002601A"])
def test_upns_with_their_check_letter_are_valid(text: str) -> None:
    assert upn(text) == text


@given(st.text("0123456789", min_size=11, max_size=11), st.sampled_from("0123456789" + LETTERS))
def test_each_twelve_signs_have_exactly_one_check_letter(digits: str, last: str) -> None:
    """Source: Department for Education, Unique pupil numbers guide."""
    values = [int(d) for d in digits] + [int(last) if last.isdigit() else LETTERS.index(last)]
    letter = LETTERS[sum(weight * value for weight, value in zip(range(2, 14), values, strict=True)) % 23]

    alike = len({*digits, *filter(str.isdigit, last)}) == 1  # typed where none is known
    expected = [] if alike else [letter]
    assert [a for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if _accepts(upn, a + digits + last)] == expected


@pytest.mark.parametrize("text", ["A313000026001", "X313000026002", "W31300002601B", "A31300002601I", "W31300002601O"])
def test_upns_whose_check_letter_does_not_fit_are_refused(text: str) -> None:
    with pytest.raises(BadIdentifier, match=r"check letter .* \(modulus 23\)") as refused:
        upn(text)

    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "x313000026001", "X31300002600", "X3130000260011", "X313000026001\n", "X3130000260a1"]
)
def test_a_upn_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(
        BadIdentifier, match=r"^a UPN is a letter, 11 digits and a digit or letter; found another shape$"
    ):
        upn(text)


@pytest.mark.parametrize("text", ["aa", "htest-police", "a1", "a-", "a" * 40])
def test_an_agency_id_is_lower_case_letters_digits_and_hyphens(text: str) -> None:
    assert agency_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "a", "1a", "-a", "Aa", "a" * 41, "a.b", "a_b", "aa\n", "aa ", "../a", "añ", "Canary Jane"]
)
def test_anything_else_is_no_agency_id_and_is_not_repeated(text: str) -> None:
    """`works_for` is an agency id too, and a publisher's mistake there may be a name."""
    with pytest.raises(
        BadIdentifier, match=rf"2-40 characters of a-z, 0-9 and `-`.*; found {len(text)} others$"
    ) as refused:
        agency_id(text)

    assert len(text) < 3 or text not in str(refused.value)


def test_an_event_id_has_one_spelling() -> None:
    """In any other it would be another event, and a repeat would not be seen."""
    assert event_id("0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001") == "0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001"


@pytest.mark.parametrize(
    "text",
    [
        "0B0F6AD4-6F0B-4A9C-8D2E-5AFE00000001",
        "0b0f6ad46f0b4a9c8d2e5afe00000001",
        "{0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001}",
        "0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001\n",
        "urn:uuid:0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001",
        "",
    ],
)
def test_another_spelling_of_an_event_id_is_refused(text: str) -> None:
    with pytest.raises(BadIdentifier, match=r"^an event id is a UUID in lower case with hyphens"):
        event_id(text)


def test_derived_ids_do_not_run_into_each_other() -> None:
    """Joined plainly, ("a", "bc") and ("ab", "c") would be the same."""
    ids = [
        derived_id("a", "bc"),
        derived_id("ab", "c"),
        derived_id("abc"),
        derived_id("abc", ""),
        derived_id("", "abc"),
        derived_id("1:a", "bc"),
        derived_id("a2:bc"),
        derived_id(),
        derived_id(""),
    ]

    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(i).version == 5 and event_id(i) == i for i in ids)


@given(st.lists(st.text(max_size=6), max_size=4), st.lists(st.text(max_size=6), max_size=4))
def test_derived_ids_are_equal_exactly_when_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


@given(st.lists(st.text(max_size=6), max_size=4))
def test_a_derived_id_is_the_standard_library_s_version_5(parts: list[str]) -> None:
    namespace = uuid.UUID("9d5f2c1e-7a54-5b53-9d0c-5afeb0500001")

    assert derived_id(*parts) == str(uuid.uuid5(namespace, "".join(f"{len(part)}:{part}" for part in parts)))


def test_a_derived_id_stays_what_it_was() -> None:
    """Ids on the topics of years ago must be recognised: the namespace and the joining may never change."""
    assert derived_id("event", "htest-school", "child") == "2ec49ec4-3b7b-518d-9526-84492059b511"


def _accepts(check: object, text: str) -> bool:
    assert callable(check)
    try:
        check(text)
    except BadIdentifier:
        return False
    return True
