"""
Events: the classes say what the schemas say, accept what the world allows, and explain what they do not.

An explanation names the field and what to do, and never holds a value: whoever reads it may have no right to the event.
"""

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import mirror
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_events import TYPES, a_plain_event, an_event, changed, events

from safebus.deploy.local.demo import story
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import (
    ABOUT,
    CARED_FOR,
    EVENT_CLASSES,
    IdentityEvent,
    OperationEncompass,
    PersonRole,
    ProtectionPlan,
    from_json,
)

# The classes and the schemas


def raw_of(event_type: str) -> Any:
    return event_schemas().of(event_type).raw


def of_schema(event_type: str, raw: Any) -> Any:
    """
    What the class should say, in its plain form.

    Classes have three defaults more than the schemas, for whoever writes an event by hand.
    """
    kind, fields = mirror.of_avro(raw)
    ours = {"event_type": event_type, "lifecycle": "NEW", "handling": mirror.ITS_OWN_DEFAULTS}
    return kind, [(name, type_, ["=", ours[name]] if name in ours else default) for name, type_, default in fields]


@pytest.mark.parametrize("event_type", TYPES)
def test_an_event_class_says_what_its_schema_says(event_type: str) -> None:
    """Field names, order, types, nullability, defaults and enum symbols, however deep."""
    assert mirror.of_class(EVENT_CLASSES[event_type]) == of_schema(event_type, raw_of(event_type))


def _rename(raw: Any) -> None:
    raw["fields"][11]["type"]["items"]["fields"][2]["name"] = "first_name"


def _swap(raw: Any) -> None:
    fields = raw["fields"][11]["type"]["items"]["fields"]
    fields[2], fields[3] = fields[3], fields[2]


def _retype(raw: Any) -> None:
    raw["fields"][11]["type"]["items"]["fields"][4]["type"] = ["null", "string"]


def _require(raw: Any) -> None:
    raw["fields"][11]["type"]["items"]["fields"][9]["type"][1]["fields"][1]["type"] = "string"


def _other_default(raw: Any) -> None:
    raw["fields"][11]["type"]["items"]["fields"][16]["default"] = "R"


def _other_symbol(raw: Any) -> None:
    raw["fields"][11]["type"]["items"]["fields"][10]["type"][1]["fields"][2]["type"]["symbols"].append("HOTEL")


def _one_more(raw: Any) -> None:
    raw["fields"][-1]["type"]["fields"].append({"name": "more", "type": ["null", "string"], "default": None})


@pytest.mark.parametrize("change", [_rename, _swap, _retype, _require, _other_default, _other_symbol, _one_more])
def test_the_comparison_sees_every_kind_of_difference(change: Any) -> None:
    """Or the test above would hold nothing together."""
    raw = changed(raw_of("police.encompass.v1"))
    assert mirror.of_class(OperationEncompass) == of_schema(OperationEncompass.TYPE, raw)

    change(raw)

    assert mirror.of_class(OperationEncompass) != of_schema(OperationEncompass.TYPE, raw)


def test_every_class_of_event_stands_under_its_own_type_and_code() -> None:
    assert {(t, cls.TYPE, cls.CODE) for t, cls in EVENT_CLASSES.items()} == {
        ("police.encompass.v1", "police.encompass.v1", "N02"),
        ("care.protection-plan.v1", "care.protection-plan.v1", "N03"),
        ("health.ed-attendance.v1", "health.ed-attendance.v1", "N05"),
        ("housing.temporary-accommodation.v1", "housing.temporary-accommodation.v1", "N14"),
        ("identity.change.v1", "identity.change.v1", "N19"),
    }


# JSON


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_json_in_is_json_out(event_type: str, data: st.DataObject) -> None:
    event = data.draw(events(event_type))
    text = event.model_dump_json()

    assert from_json(text) == event
    assert from_json(text.encode()).model_dump_json() == text


@pytest.mark.parametrize("event_type", TYPES)
def test_the_smallest_event_of_each_type_is_read(event_type: str) -> None:
    event = from_json(json.dumps(a_plain_event(event_type)))

    assert type(event) is EVENT_CLASSES[event_type]
    assert event == an_event(event_type)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this is not JSON from line 1, column 1 on"),
        ("{'CANARY': 1}", "this is not JSON from line 1, column 2 on"),
        (b"\xff\xfe\xfd", "this is UTF-16; save it as UTF-8"),
        ("[" * 100_000, "the JSON is nested deeper than 64 levels"),
        ('{"a":' * 100_000, "the JSON is nested deeper than 64 levels"),
        ('{"sequence": ' + "9" * 5000 + "}", "a number has too many digits; expected what a program can hold"),
        ("[]", "`event_type` is missing or of another shape, expected one of police.encompass.v1"),
        ("{}", "`event_type` is missing or of another shape, expected one of police.encompass.v1"),
        ('{"event_type": {"given_name": "CANARY"}}', "`event_type` is missing or of another shape"),
        ('{"event_type": "Canary Jane"}', "`event_type` is missing or of another shape"),
        ('{"event_type": "\\ud800"}', "a text has half a character"),
        (
            '{"event_type": "police.encompas.v1"}',
            "`event_type` is `police.encompas.v1`, expected one of police.encompass",
        ),
        (json.dumps(a_plain_event(purpose="\ud800")), "a text has half a character"),
        (json.dumps(a_plain_event() | {"deep": None})[:-5] + "[" * 900 + "]" * 900 + "}", "the JSON is nested deeper"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_event_is_refused_without_repeating_it(text: str | bytes, says: str) -> None:
    """Nesting without end once raised RecursionError, and an `event_type` that held a name was shown."""
    with pytest.raises(BadInput) as refused:
        from_json(text)

    assert str(refused.value).startswith(says)
    assert "canary" not in str(refused.value).lower()
    assert str(refused.value).encode()


# What is wrong, and what to do


def _without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != name}


CHILD = {"ref": "child", "role": "CHILD"}
WRONG = [
    (a_plain_event(event_id="CANARY"), "`event_id`: an event id is a UUID in lower case with hyphens, such as "),
    (a_plain_event(lifecycle="CANARY"), "`lifecycle`: Input should be 'NEW', 'UPDATE', 'CORRECT' or 'RETRACT'"),
    (a_plain_event(occurred_at="CANARY"), "`occurred_at`: write the time as in `2026-11-03T08:00:00Z`"),
    (a_plain_event(occurred_at="CAN-ARY"), "`occurred_at`: write the time as in `2026-11-03T08:00:00Z`"),
    (a_plain_event(occurred_at="2026-01-05T21:00:00"), "`occurred_at`: the time has no zone; write it as in"),
    (a_plain_event(occurred_at="2026-01-05"), "`occurred_at`: write the time as in `2026-11-03T08:00:00Z`"),
    (
        a_plain_event(occurred_at="0001-01-01T00:00:00+01:00"),
        "`occurred_at`: the time lies outside the years 1 to 9999",
    ),
    (
        a_plain_event(occurred_at="9999-12-31T23:59:59-01:00"),
        "`occurred_at`: the time lies outside the years 1 to 9999",
    ),
    (a_plain_event(sequence=-1), "`sequence`: Input should be greater than or equal to 0"),
    (a_plain_event(sequence=2**63), "`sequence`: Input should be less than or equal to 9223372036854775807"),
    (a_plain_event(purpose=""), "`purpose`: must be a code of a-z"),
    (a_plain_event(purpose="CANARY" * 40), "`purpose`: must be a code of a-z"),
    (_without(a_plain_event(), "purpose"), "`purpose`: Field required"),
    (a_plain_event(colour="CANARY"), "`colour`: there is no such field"),
    (a_plain_event(subjects=[]), "`event`: no subject has role CHILD, UNBORN_CHILD or PERSON; say whom this is about"),
    (
        a_plain_event(subjects=[{"ref": "child", "role": "PARENT_CARER"}]),
        "`event`: no subject has role CHILD, UNBORN_CHILD or PERSON; say whom this is about",
    ),
    (a_plain_event(subjects=[CHILD, CHILD]), "`event`: two subjects have the same `ref`; give each person their own"),
    (
        a_plain_event(subjects=[{"ref": "CANARY", "role": "CHILD"}]),
        "`event`: the payload refers to a `subject_ref` that no subject has; use one of the subjects' refs",
    ),
    (
        a_plain_event(subjects=[CHILD | {"nhs_number": "9990079195"}]),
        "`subjects.0.nhs_number`: the check digit of this NHS number does not fit (modulus 11)",
    ),
    (a_plain_event(subjects=[CHILD | {"upn": "CANARY"}]), "`subjects.0.upn`: a UPN is a letter, 11 digits and"),
    (
        a_plain_event(subjects=[CHILD | {"works_for": ["Canary Jane"]}]),
        "`subjects.0.works_for.0`: an agency id has 2-40",
    ),
    (
        a_plain_event(subjects=[CHILD | {"date_of_birth": "CANARY"}]),
        "`subjects.0.date_of_birth`: expected a date as 2026-11-22",
    ),
    (a_plain_event(subjects=[CHILD | {"school": 7}]), "`subjects.0.school`: expected text, in quotes"),
    (a_plain_event(subjects="CANARY"), "`subjects`: Input should be a valid array"),
    (a_plain_event(payload=None), "`payload`: Input should be"),
    (
        a_plain_event("identity.change.v1", payload={"superseded_nhs_number": "CANARY"}),
        "`payload.change`: Field required; `payload.source_event_type`: Field required; ",
    ),
]


@pytest.mark.parametrize(("event", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_is_wrong_names_the_field_and_what_to_do(event: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        from_json(json.dumps(event))

    assert str(refused.value).startswith(says)
    assert "canary" not in str(refused.value).lower()
    assert "9990079195" not in str(refused.value)


@pytest.mark.parametrize(("event", "says"), WRONG, ids=[says for _, says in WRONG])
def test_its_class_says_the_same(event: dict[str, Any], says: str) -> None:
    """A publisher's code may log the error as it is, with what led to it."""
    with pytest.raises(BadInput) as refused:
        EVENT_CLASSES[event["event_type"]].model_validate_json(json.dumps(event))

    assert str(refused.value).startswith(says)
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_only_the_first_five_problems_are_told_and_the_rest_counted() -> None:
    event = a_plain_event("care.protection-plan.v1", payload={"CANARY": 1} | {"plan_type": "X"})
    with pytest.raises(BadInput) as refused:
        from_json(json.dumps(event))

    told, _, rest = str(refused.value).rpartition("; ")
    assert len(told.split("; ")) == 5
    assert rest == "and 2 more"


def test_an_event_of_another_type_is_refused_by_its_class() -> None:
    with pytest.raises(BadInput, match=r"event_type must be `care\.protection-plan\.v1` in this class of event"):
        ProtectionPlan.model_validate(a_plain_event("care.protection-plan.v1") | {"event_type": "police.encompass.v1"})


# Times


@pytest.mark.parametrize("number", [0, 20260101, 1767643200, 1767643200000, 1.5, "20260101", "1767643200", "-1", ""])
def test_a_number_is_no_time(number: object) -> None:
    """20260101 was once read as 20 260 101 seconds: a day in August 1970."""
    with pytest.raises(BadInput, match=r"^`occurred_at`: write the time as in `2026-11-03T08:00:00Z`$"):
        from_json(json.dumps(a_plain_event(occurred_at=number)))


def test_a_naive_time_is_refused() -> None:
    """Nobody knows when it was: British clocks change."""
    with pytest.raises(BadInput, match="the time has no zone"):
        an_event(occurred_at=datetime(2026, 1, 5, 21, 0))  # noqa: DTZ001


def test_times_are_kept_in_utc_to_the_millisecond() -> None:
    """As Avro carries them: so an event equals itself after the journey."""
    summer = timezone(timedelta(hours=1))

    event = an_event(occurred_at=datetime(2026, 7, 1, 0, 30, 0, 123_999, tzinfo=summer))

    assert event.occurred_at == datetime(2026, 6, 30, 23, 30, 0, 123_000, tzinfo=UTC)
    assert event.occurred_at.utcoffset() == timedelta(0)


# People


def test_an_nhs_number_written_in_groups_is_kept_as_ten_digits() -> None:
    event = an_event(subjects=[CHILD | {"nhs_number": "999 007 9196"}])

    assert event.subjects[0].nhs_number == "9990079196"


def test_a_notification_can_be_about_those_someone_has_in_their_care() -> None:
    """Rule R17: one message for each; a victim has an advocate, an alleged perpetrator has none here."""
    people = [{"ref": f"p{n}", "role": role.value} for n, role in enumerate(PersonRole)]

    event = an_event("housing.temporary-accommodation.v1", subjects=people)

    assert [person.role for person in event.cared_for()] == [
        PersonRole.CHILD,
        PersonRole.UNBORN_CHILD,
        PersonRole.PERSON,
        PersonRole.ADULT_VICTIM,
    ]
    assert ABOUT < CARED_FOR


@pytest.mark.parametrize("event_type", ["care.protection-plan.v1", "health.ed-attendance.v1", "identity.change.v1"])
def test_a_payload_that_does_not_say_whom_it_is_about_is_about_one(event_type: str) -> None:
    """Otherwise one child's diagnosis would reach the other child's school."""
    people = [{"ref": "one", "role": "CHILD"}, {"ref": "two", "role": "CHILD"}]

    with pytest.raises(BadInput, match="publish one event for each child or person"):
        an_event(event_type, subjects=people)


def test_a_crowd_is_not_one_event() -> None:
    """Each of them may lead to a message for each recipient: a small event must not become a flood."""
    people = [{"ref": f"p{n}", "role": "CHILD"} for n in range(31)]

    with pytest.raises(BadInput, match="at most 30 persons"):
        an_event("housing.temporary-accommodation.v1", subjects=people)


@pytest.mark.parametrize("role", sorted(ABOUT))
def test_one_person_it_is_about_is_enough(role: str) -> None:
    assert IdentityEvent.model_validate(a_plain_event("identity.change.v1", subjects=[{"ref": "x", "role": role}]))


def test_an_event_cannot_be_changed_once_made() -> None:
    event = an_event()

    with pytest.raises(BadInput, match=r"^an event is not changed in place; `OperationEncompass\.with_\(purpose="):
        event.purpose = "other"
    with pytest.raises(BadInput, match="an event is not changed in place"):
        del event.purpose


def test_every_child_at_the_incident_may_be_someone_in_the_event() -> None:
    two = [CHILD, {"ref": "sister", "role": "CHILD", "date_of_birth": "2015-02-03"}]
    at = [{"subject_ref": ref, "present": True, "spoken_to": True} for ref in ("sister", "child")]
    payload = a_plain_event()["payload"] | {"children": at}

    event = an_event(subjects=two, payload=payload)

    assert isinstance(event, OperationEncompass)
    assert [child.subject_ref for child in event.payload.children] == ["sister", "child"]
    assert event.subjects[1].date_of_birth == date(2015, 2, 3)


def test_a_reference_to_nobody_is_refused_even_among_good_ones() -> None:
    at = [{"subject_ref": ref, "present": True, "spoken_to": True} for ref in ("child", "stranger")]

    with pytest.raises(BadInput, match=re.escape("`subject_ref` that no subject has")):
        an_event(payload=a_plain_event()["payload"] | {"children": at})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"lifecycle": "RETRACT"}, "RETRACT of which event? give `supersedes_event_id`"),
        ({"lifecycle": "CORRECT", "correlation_id": "TEST-1"}, "CORRECT of which event? give `supersedes_event_id`"),
        ({"lifecycle": "UPDATE", "correlation_id": None}, "UPDATE of what? give `supersedes_event_id`, or the"),
        ({"supersedes_event_id": "itself"}, "an event cannot supersede itself"),
        ({"supersedes_event_id": "TEST-4711"}, "an event id is a UUID in lower case with hyphens"),
        ({"children": ["ava", "ava"]}, "two elements of the payload have one `subject_ref`"),
        ({"children": ["maya"]}, "the payload tells of someone as a child whose role is another"),
    ],
    ids=str,
)
def test_what_does_not_hold_together_is_told(changes: dict[str, Any], complaint: str) -> None:
    told = story.incident().model_dump()
    if changes.get("supersedes_event_id") == "itself":
        changes = {"supersedes_event_id": told["event_id"]}
    if refs := changes.pop("children", None):
        told["payload"]["children"] = [{"subject_ref": ref, "present": True, "spoken_to": False} for ref in refs]

    with pytest.raises(BadInput, match=re.escape(complaint)):
        OperationEncompass.model_validate(told | changes)
