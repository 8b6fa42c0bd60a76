"""Every complaint about a file names the file and the line."""

import pytest
from a_register import FOLDER

from safebus.schemas.errors import BadRegister
from safebus.streams.register.yaml_text import names_near, parse, read
from safebus.streams.rules.agreements import Agreement
from safebus.streams.rules.parties import Partner


def complaints(text: str) -> list[str]:
    with pytest.raises(BadRegister) as caught:
        parse("x.yaml", text)
    return caught.value.problems


def test_values_are_plain_and_every_one_has_its_line() -> None:
    text = parse("x.yaml", "a: 1\nb:\n  - c: true\n  - d: 2026-01-02\n")

    assert text.data["b"][0] == {"c": True}
    assert text.where(("a",)) == "`x.yaml` line 1"
    assert text.where(("b", 1, "d")) == "`x.yaml` line 4"
    assert text.where(("b", 1, "unknown", 7)) == "`x.yaml` line 4"
    assert text.where(("nowhere",)) == "`x.yaml` line 1"


def test_an_empty_file_holds_nothing() -> None:
    assert parse("x.yaml", "# a comment\n").data is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\na: 2\n", "`x.yaml` line 2: `a` stands twice; keep one"),
        ("b:\n  - c: 1\n    c: 2\n", "`x.yaml` line 3: `c` stands twice; keep one"),
        ("a: [1\nb: 2\n", "`x.yaml` line 2: this is not YAML: expected ',' or ']', but got ':'"),
        ("a: 1\nb: 2026-02-30\n", "`x.yaml` line 2: a value cannot be read: day is out of range for month"),
        ("a: 1\nb: \x07\n", "`x.yaml` line 2: a control character stands here; type the line again"),
        (
            'a: 1\nb: "Ash\\aPrimary"\n',
            "`x.yaml` line 2: U+0007 stands in this text; nobody sees it, and it changes what is shown: take it out",
        ),
        (
            "a:\n  b\u202ec: 1\n",
            "`x.yaml` line 2: U+202E stands in this text; nobody sees it, and it changes what is shown: take it out",
        ),
        ("a: &a [*a]\n", "`x.yaml`: it is nested too deep, or a part of it contains itself"),
        (
            "a: yes\n",
            "`x.yaml` line 1: found `yes`, which some programs read as yes or no; write true or false, "
            "or put text in quotes",
        ),
        ("a: !!timestamp x\n", "`x.yaml` line 1: a value is not of the type it names"),
        ("a: 1\nb: !!int ''\n", "`x.yaml` line 2: a value is not of the type it names"),
        ("[a]: 1\n", "`x.yaml` line 1: a name is expected before `:`"),
        ("--- 1\n--- 2\n", "`x.yaml` line 2: this is not YAML: but found another document"),
    ],
)
def test_what_cannot_be_read_is_said_with_file_and_line(text: str, complaint: str) -> None:
    assert complaints(text) == [complaint]


def test_a_tag_that_would_make_an_object_is_refused() -> None:
    (complaint,) = complaints("a: 1\nb: !!python/name:os.system run\n")

    assert complaint.startswith("`x.yaml` line 2: this is not YAML: could not determine a constructor")


@pytest.mark.parametrize("number", ["0123", "-07", "12:30", "1_000", "0x1F", "0b11", "1:30.5", "1_0.5"])
def test_a_number_that_two_versions_of_yaml_read_as_two_is_refused_and_not_repeated(number: str) -> None:
    said = "programs read this number in more than one way; write 83, not 0123 or 8_3; put an identifier in quotes"

    assert complaints(f"a: 1\nb: {number}\n") == [f"`x.yaml` line 2: {said}"]


@pytest.mark.parametrize(
    ("word", "value"), [("83", 83), ("-7", -7), ("1.5", 1.5), ("0", 0), ("'0123'", "0123"), ("1e3", "1e3")]
)
def test_a_number_that_all_read_alike_is_one(word: str, value: object) -> None:
    assert parse("x.yaml", f"a: {word}\n").data == {"a": value}


def test_a_name_is_what_is_written() -> None:
    """`no` was once `False`, and `010` was 8."""
    assert parse("x.yaml", "no: 1\n010: 2\n").data == {"no": 1, "010": 2}


def test_aliases_may_repeat_a_little_and_not_fill_the_machine() -> None:
    assert parse("x.yaml", "a: &a {b: 1}\nc: *a\n").data == {"a": {"b": 1}, "c": {"b": 1}}

    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert complaints(laughs) == ["`x.yaml`: aliases (`*name`) repeat more than 1000 values; write them out"]


PARTNER = "partner: haven\nname: Haven\nsector: da_charity\norg_type: charity\n"


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ("", "`x.yaml` line 1: partner: `call` is missing"),
        ("call: H\ncal: H\n", "`x.yaml` line 6: partner: unknown field `cal`; did you mean `call`?"),
        (
            "call: H\nzzzzzzz: H\n",
            "`x.yaml` line 6: partner: unknown field `zzzzzzz`; known are call, case_secret, flags, name, numbers, "
            "org_type, partner, sector, suspended, territory",
        ),
        (
            "call: 5\n",
            "`x.yaml` line 5: partner: `call`: expected text, and this is read as a number, a date, or yes or no; "
            "put it in quotes",
        ),
        ("call: [5]\n", "`x.yaml` line 5: partner: `call`: Input should be a valid string"),
    ],
)
def test_what_does_not_fit_a_model_is_said_with_what_was_expected(rest: str, complaint: str) -> None:
    text = parse("x.yaml", PARTNER + rest)

    with pytest.raises(BadRegister) as caught:
        read(text, text.data, (), Partner, "partner")
    assert caught.value.problems == [complaint]


def test_what_fits_is_read() -> None:
    text = parse("x.yaml", PARTNER + "call: H\n")

    assert read(text, text.data, (), Partner, "partner").partner == "haven"


def test_a_misspelt_key_is_told_the_spelling_of_the_file_not_of_the_code() -> None:
    """`from` is a word of Python, so the model calls it `sender`; whoever writes YAML need not know."""
    lines = (FOLDER / "agreements" / "encompass.yaml").read_text("utf-8").replace("from: [", "form: [", 1)
    text = parse("x.yaml", lines)

    with pytest.raises(BadRegister) as caught:
        read(text, text.data, (), Agreement, "agreement")
    assert caught.value.problems == [
        "`x.yaml` line 17: agreement: `flows.0.from` is missing",
        "`x.yaml` line 19: agreement: unknown field `form`; did you mean `from`?",
    ]


def test_names_are_those_of_the_nearest_model() -> None:
    assert names_near(Agreement, ("flows", 0, "release", "x")) == [
        "adults",
        "alleged_perpetrators",
        "event",
        "other_children",
        "subject",
    ]
    assert names_near(Agreement, ("unheard", "of", "x")) == names_near(Agreement, ("x",))


def test_a_rule_over_the_whole_entry_is_told_without_a_field() -> None:
    text = parse("x.yaml", (FOLDER / "agreements" / "encompass.yaml").read_text("utf-8"))
    stranger = text.data | {"parties": text.data["parties"][:5]}

    with pytest.raises(BadRegister) as caught:
        read(text, stranger, (), Agreement, "agreement")
    assert caught.value.problems == [
        "`x.yaml` line 1: agreement: flow `to-haven` names haven, who did not sign; add them to `parties`"
    ]
