"""A field that should hold a code holds one, or it holds prose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.codes import codes_of, fold, not_codes
from safebus.schemas.event_schemas import event_schemas

ENCOMPASS = event_schemas().of("police.encompass.v1")
IS_CODE = dict(ENCOMPASS.coded)
KIND, REFERENCE = IS_CODE["payload.incident_type"], IS_CODE["payload.police_reference"]
RELATIONSHIP = IS_CODE["subjects[].relationship"]


def test_each_text_at_the_end_of_a_path_is_looked_at() -> None:
    of = {"reports[].words[].said": KIND, "reports[].kind": KIND}
    event = {"reports": [{"kind": "rape", "words": [{"said": "rape"}, {"said": "at Rowan House"}]}]}

    assert not_codes(of.items(), event) == {"reports[].words[].said"}


@pytest.mark.parametrize(
    "text",
    ["domestic abuse", "Domestic Abuse", "domestic abuse, assault", "domestic abuse/assault", "Threats to kill; rape"],
)
def test_kinds_of_incident_are_codes_however_they_are_written_and_joined(text: str) -> None:
    assert KIND(text)


@pytest.mark.parametrize(
    "text",
    [
        "moved to Rowan House, 7 Hidden Close",
        "domestic abuse, now at Rowan House",
        "domestic abuse Rowan House",
        "domestic abuze",
        "assault \U0001f181\U0001f17e\U0001f186",
        "assault\U000e0052",
        "\u0430ssault",
        "assault\n",
        "",
        ",",
    ],
)
def test_what_else_is_typed_there_is_prose(text: str) -> None:
    assert not KIND(text)


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        ("TEST-4711", True),
        ("42/0012345/26", True),
        ("4711", True),
        ("Rowan House 7", False),
        ("Rowan-House", False),
        ("Rowan-House-7-Hidden-Close-ZZ999RF", False),
        ("7-Hidden-Close", False),
        ("FORD/CSC/2026-17", True),
        ("36ed9b87-fb06-564d-bd52-06c0eb337c39", True),
        ("7 Hidden Close", False),
        ("a" * 70 + "1", False),
        ("\u0967\u0968", False),
    ],
)
def test_a_reference_has_a_digit_and_no_spaces(text: str, is_code: bool) -> None:
    assert REFERENCE(text) is is_code


@pytest.mark.parametrize(
    ("text", "is_code"),
    [
        ("mother's partner", True),
        ("Mother\u2019s ex-partner", True),
        ("uncle", True),
        ("mother's partner Gary Stone", False),
        ("the man at number 7", False),
    ],
)
def test_a_relationship_names_nobody(text: str, is_code: bool) -> None:
    assert RELATIONSHIP(text) is is_code


@given(st.text(max_size=20))
def test_spelling_makes_no_other_code(text: str) -> None:
    assert fold(fold(text)) == fold(text) == fold(text.upper().lower()) or not text.isascii()


def test_a_field_that_says_nothing_of_codes_may_hold_anything() -> None:
    assert codes_of({"name": "x", "type": "string"}) is None


def test_the_fields_with_prose_in_them_are_named() -> None:
    event = {
        "payload": {
            "police_reference": "TEST-1",
            "incident_type": "at Rowan House",
            "children": [{"subject_ref": "a"}],
        },
        "subjects": [{"ref": "a", "relationship": None, "local_id": "L-1"}, {"ref": "b c", "local_id": None}],
        "correlation_id": None,
        "handling": {"sensitivity": ["SEX", "at Rowan House"]},
    }
    asked = {
        "payload.police_reference",
        "payload.incident_type",
        "subjects[].ref",
        "subjects[].local_id",
        "correlation_id",
        "handling.sensitivity",
    }

    assert not_codes([(path, IS_CODE[path]) for path in asked], event) == {
        "payload.incident_type",
        "subjects[].ref",
        "handling.sensitivity",
    }


def test_every_word_of_every_list_is_a_code_itself() -> None:
    """One with `and` or a comma in it would be taken apart and never fit."""
    lists = [field["codes"] for schema in event_schemas().current.values() for field in fields_of(schema.raw)]

    assert len(lists) >= 3
    for words in lists:
        is_code = codes_of({"codes": words})
        assert is_code is not None
        assert [word for word in words if not is_code(word)] == []


def fields_of(node: object) -> list[dict[str, list[str]]]:
    """Every field with a list of codes below a node of a schema."""
    if isinstance(node, list):
        return [found for each in node for found in fields_of(each)]
    if not isinstance(node, dict):
        return []
    return [*([node] if "codes" in node else []), *(found for each in node.values() for found in fields_of(each))]


def test_what_is_longer_than_any_code_is_not_looked_at_and_not_kept() -> None:
    assert REFERENCE("1" * 64)
    assert not RELATIONSHIP(",".join(["uncle"] * 100))
