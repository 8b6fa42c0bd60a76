"""A text that two programs could read as two things is refused, with its place and without its values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.strict_json import MAX_DEPTH, BadJson, NotTaken, parse

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda below: st.lists(below) | st.dictionaries(TEXTS, below),
    max_leaves=20,
)


def refused(data: bytes | str) -> BadJson:
    with pytest.raises(BadJson) as caught:
        parse(data)
    return caught.value


@given(PLAIN, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_a_program_writes_is_read_as_it_was(value: Any, escaped: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)

    assert parse(text) == value
    assert parse(b"\xef\xbb\xbf" + text.encode()) == value
    assert parse("\ufeff" + text) == value


@given(PLAIN, PLAIN, TEXTS, st.dictionaries(TEXTS, PLAIN))
def test_a_name_that_stands_twice_is_refused_wherever(one: Any, two: Any, name: str, around: dict[str, Any]) -> None:
    twice = f"{{{json.dumps(name)}: {json.dumps(one)}, {json.dumps(name)}: {json.dumps(two)}}}"
    outer = json.dumps({**around, "the object": "HERE"}).replace('"HERE"', f"[{twice}]")

    assert "stands twice in one object, again at line 1, column " in str(refused(outer))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "a": 2}', "`a` stands twice in one object, again at line 2, column 2; keep one"),
        (
            '{"x": {"b": 1}, "y": ["b", {"b": 1, "\\u0062": 2}]}',
            "`b` stands twice in one object, again at line 1, column 37",
        ),
        ('{"Ava Hart": 1, "Ava Hart": 2}', "a name stands twice in one object, again at line 1, column 17; keep one"),
        ('{"a": "a", "b": "a", "c": ["a", "a"]', "this is not JSON from line 1, column 37 on"),
        ("{a: 1}", "this is not JSON from line 1, column 2 on"),
        ('{"a": 1}\n{"a": 2}', "this is not JSON from line 2, column 1 on"),
        ("", "this is not JSON from line 1, column 1 on"),
        ('{"a": NaN}', "found NaN or Infinity; JSON has no such number"),
        ("[-Infinity]", "found NaN or Infinity; JSON has no such number"),
        ("[1e400]", "a number is larger than programs hold"),
        ("[" + "9" * 5000 + "]", "a number has too many digits"),
        ('["\\ud800"]', "a text has half a character"),
    ],
)
def test_what_is_not_json_or_not_one_thing_is_said_with_its_place(text: str, said: str) -> None:
    problem = refused(text)

    assert str(problem).startswith(said)
    assert problem.why is NotTaken.NOT_JSON
    assert "Ava" not in str(problem)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"n": "Siobh\xe1n"}'.encode("cp1252"), "line 1, column 13: byte 0xE1 is not UTF-8"),
        ('{"n":\n "Siobh\xe1n"}'.encode("utf-16"), "this is UTF-16; save it as UTF-8"),
        ('{"n": 1}'.encode("utf-32"), "this is UTF-32; save it as UTF-8"),
        (b"\xef\xbb\xbf{\n\n \xff}", "line 3, column 2: byte 0xFF is not UTF-8"),
    ],
)
def test_another_encoding_is_named_with_the_place_and_what_to_do(data: bytes, said: str) -> None:
    assert str(refused(data)).startswith(said)


@pytest.mark.parametrize("levels", [MAX_DEPTH, 100_000])
def test_what_is_nested_too_deep_or_too_large_is_refused(levels: int) -> None:
    assert refused("[" * levels + "1" + "]" * levels).why is NotTaken.TOO_DEEP
    assert refused(b" " * (1024 * 1024 + 1)).why is NotTaken.TOO_LARGE
    assert parse("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"a": 1,\n}',
            "line 2, column 1 on: a name in double quotes should stand there; is there a comma ",
        ),
        (
            '{"a": 1 "b": 2}',
            "line 1, column 9 on: a comma or the end should stand there; is a comma missing before it?",
        ),
        ('{"a" 1}', "line 1, column 6 on: a colon should stand there"),
        ('{"a": Ava}', "line 1, column 7 on: a value should stand there; texts need double quotes"),
        ('{"a": "x\ny"}', "line 1, column 9 on: a text has a control character"),
        ('{"a": "C:\\x"}', "line 1, column 10 on: a backslash is written"),
        ('{"a": "Ava}', "line 1, column 7 on: a text begins there and has no end"),
        ("{} {}", "line 1, column 4 on: it was complete before; is it two in one file?"),
    ],
)
def test_it_is_said_what_the_mistake_mostly_is(text: str, says: str) -> None:
    with pytest.raises(BadJson) as refused:
        parse(text)

    assert str(refused.value).startswith(f"this is not JSON from {says}")
