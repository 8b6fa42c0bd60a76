"""A later schema reads every older one, and gives nobody anything that was not agreed."""

from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_events import TYPES, as_plain_avro, changed, event_records

from safebus.schemas import evolution, gate
from safebus.schemas.errors import BadSchema
from safebus.schemas.event_schemas import EventSchema, EventSchemas, build, compose, event_schemas

ENVELOPE: dict[str, Any] = {"fields": [{"name": "event_id", "type": "string", "dataClass": "ENVELOPE"}]}
PAYLOAD: dict[str, Any] = {
    "type": "record",
    "name": "P",
    "fields": [
        {"name": "text", "type": "string", "dataClass": "FREE_TEXT"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}, "dataClass": "INCIDENT_FACT"},
        {"name": "maybe", "type": ["null", "string"], "default": None, "dataClass": "FREE_TEXT"},
        {"name": "grade", "type": {"type": "enum", "name": "G", "symbols": ["A", "B"]}, "dataClass": "RISK_SCORE"},
        {"name": "again", "type": "G", "dataClass": "RISK_SCORE"},
        {"name": "words", "type": {"type": "array", "items": "string"}, "dataClass": "FREE_TEXT"},
        {
            "name": "children",
            "personRef": "ref",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Child",
                    "fields": [{"name": "ref", "type": "string", "dataClass": "LINKAGE"}],
                },
            },
        },
    ],
}
OLD = EventSchema("t.v1", 1, compose(ENVELOPE, PAYLOAD, "t.v1"))


def later(change: Callable[[list[dict[str, Any]]], object]) -> EventSchema:
    """Version 2, with this done to the fields of the payload."""
    payload = changed(PAYLOAD)
    change(payload["fields"])
    return EventSchema("t.v1", 2, compose(ENVELOPE, payload, "t.v1"))


def new_field(**notes: Any) -> dict[str, Any]:
    return {"name": "new", "type": ["null", "string"], "default": None, "dataClass": "FREE_TEXT", "since": 2} | notes


def test_the_schemas_that_ship_have_nothing_against_them() -> None:
    assert evolution.problems(event_schemas()) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda fields: None, id="nothing"),
        pytest.param(lambda fields: fields.append(new_field()), id="a field with default, class and since"),
        pytest.param(lambda fields: fields.insert(0, new_field()), id="the same, in front"),
        pytest.param(lambda fields: fields[3]["type"]["symbols"].append("C"), id="a symbol at the end of an enum"),
        pytest.param(lambda fields: fields[0].update(doc="what was said"), id="a note for readers"),
        pytest.param(
            lambda fields: fields[6]["type"]["items"]["fields"].append(new_field()), id="a field in an array of records"
        ),
    ],
)
def test_a_change_that_older_bytes_and_agreements_survive_is_allowed(change: Callable[[Any], object]) -> None:
    assert evolution.against(OLD, later(change)) == []


CLASS_MOVED = "; agreements were signed over the old one, so add a new field or a new event type"
ADD = "; add a new field instead"
FORBIDDEN: list[tuple[str, Callable[[Any], object], list[str]]] = [
    ("gone", lambda f: f.pop(0), ["`payload.text` is gone; older events could lose it, so keep it"]),
    (
        "renamed",
        lambda f: f[0].update(name="prose"),
        [
            "`payload.text` is gone; older events could lose it, so keep it",
            "new field `payload.prose` has no default, so older events cannot be read",
            "new field `payload.prose` has since `None`, expected 2, the version that brings it",
        ],
    ),
    (
        "class",
        lambda f: f[0].update(dataClass="ENVELOPE"),
        ["`payload.text` changed `dataClass` from `FREE_TEXT` to `ENVELOPE`" + CLASS_MOVED],
    ),
    ("since", lambda f: f[0].update(since=1), ["`payload.text` changed `since` from `None` to `1`" + CLASS_MOVED]),
    (
        "whom it is about",
        lambda f: f[6].update(personRef="other"),
        ["`payload.children` changed `personRef` from `ref` to `other`" + CLASS_MOVED],
    ),
    ("type", lambda f: f[0].update(type="long"), ["`payload.text` changed type from `string` to `long`" + ADD]),
    (
        "logical type gone",
        lambda f: f[1].update(type={"type": "int"}),
        ["`payload.day` changed type from `date` to `int`" + ADD],
    ),
    (
        "logical type unwrapped",
        lambda f: f[1].update(type="int"),
        ["`payload.day` changed type from `date` to `int`" + ADD],
    ),
    (
        "may now be null",
        lambda f: f[0].update(type=["null", "string"]),
        ["`payload.text` changed whether it may be null" + ADD],
    ),
    (
        "may no longer be null",
        lambda f: f[2].update(type="string"),
        ["`payload.maybe` changed whether it may be null" + ADD],
    ),
    (
        "type inside null",
        lambda f: f[2].update(type=["null", "long"]),
        ["`payload.maybe` changed type from `string` to `long`" + ADD],
    ),
    (
        "symbol gone",
        lambda f: f[3]["type"]["symbols"].pop(),
        [
            "enum `payload.grade` lost or moved a symbol; append new symbols only",
            "enum `payload.again` lost or moved a symbol; append new symbols only",
        ],
    ),
    (
        "symbols moved",
        lambda f: f[3]["type"]["symbols"].reverse(),
        [
            "enum `payload.grade` lost or moved a symbol; append new symbols only",
            "enum `payload.again` lost or moved a symbol; append new symbols only",
        ],
    ),
    (
        "items of an array",
        lambda f: f[5]["type"].update(items="long"),
        ["`payload.words[]` changed type from `string` to `long`" + ADD],
    ),
    (
        "an array of something else",
        lambda f: f[6].update(type={"type": "array", "items": "string"}),
        ["`payload.children[]` changed type from `Child` to `string`" + ADD],
    ),
    (
        "gone inside an array",
        lambda f: f[6]["type"]["items"].update(fields=[]),
        ["`payload.children[].ref` is gone; older events could lose it, so keep it"],
    ),
    (
        "name of a record",
        lambda f: f[6]["type"]["items"].update(name="Pupil"),
        ["`payload.children[]` changed name from `Child` to `Pupil`; readers match by name, so keep it"],
    ),
    (
        "name of an enum",
        lambda f: (f[3]["type"].update(name="H"), f[4].update(type="H")),
        [
            "`payload.grade` changed name from `G` to `H`; readers match by name, so keep it",
            "`payload.again` changed name from `G` to `H`; readers match by name, so keep it",
        ],
    ),
    (
        "new without default",
        lambda f: f.append({k: v for k, v in new_field().items() if k != "default"}),
        ["new field `payload.new` has no default, so older events cannot be read"],
    ),
    (
        "new without since",
        lambda f: f.append(new_field(since=None)),
        ["new field `payload.new` has since `None`, expected 2, the version that brings it"],
    ),
    (
        "new, dated back",
        lambda f: f.append(new_field(since=1)),
        ["new field `payload.new` has since `1`, expected 2, the version that brings it"],
    ),
    (
        "new inside an array, dated back",
        lambda f: f[6]["type"]["items"]["fields"].append(new_field(since=1)),
        ["new field `payload.children[].new` has since `1`, expected 2, the version that brings it"],
    ),
]


@pytest.mark.parametrize(("change", "lines"), [c[1:] for c in FORBIDDEN], ids=[c[0] for c in FORBIDDEN])
def test_each_forbidden_change_is_told_in_its_own_line(change: Callable[[Any], object], lines: list[str]) -> None:
    assert evolution.against(OLD, later(change)) == lines


def test_every_version_is_compared_and_one_that_is_not_frozen_is_a_problem() -> None:
    second = later(lambda fields: fields.append(new_field()))
    third = later(lambda fields: fields.pop(0)).raw["fields"][-1]["type"]

    schemas = build({"t.v1": third}, {"t.v1": [OLD.raw, second.raw]}, ENVELOPE)

    assert evolution.problems(schemas) == [
        "t.v1: `payload.text` is gone; older events could lose it, so keep it",
        "t.v1: `payload.text` is gone; older events could lose it, so keep it",
        "t.v1: `payload.new` is gone; older events could lose it, so keep it",
        "t.v1: version 3 is not released; `safebus schemas release` freezes it",
    ]


def test_a_type_that_was_never_released_is_a_problem() -> None:
    assert evolution.problems(build({"t.v1": PAYLOAD}, {}, ENVELOPE)) == [
        "t.v1: version 1 is not released; `safebus schemas release` freezes it"
    ]


def test_going_back_to_an_older_version_is_a_problem() -> None:
    second = later(lambda fields: fields.append(new_field()))

    schemas = build({"t.v1": PAYLOAD}, {"t.v1": [OLD.raw, second.raw]}, ENVELOPE)

    assert evolution.problems(schemas) == [
        "t.v1: `payload.new` is gone; older events could lose it, so keep it",
        "t.v1: version 1 is not released; `safebus schemas release` freezes it",
    ]


def test_a_new_field_needs_a_class_before_it_loads() -> None:
    new = later(lambda fields: fields.append(new_field(dataClass=None)))

    with pytest.raises(BadSchema, match=r"leaf `payload\.new` has no `dataClass`"):
        build({"t.v1": new.raw["fields"][-1]["type"]}, {"t.v1": [OLD.raw]}, ENVELOPE)


def test_a_leaf_in_a_new_record_counts_from_the_version_that_brings_the_record() -> None:
    inner = {"type": "record", "name": "N", "fields": [{"name": "a", "type": "string", "dataClass": "ENVELOPE"}]}
    new = later(lambda fields: fields.append(new_field(type=["null", inner])))

    assert evolution.against(OLD, new) == []
    assert {leaf.path: leaf.since for leaf in new.leaves}["payload.new.a"] == 2


# Real bytes


def _everything_new(event_type: str) -> EventSchema:
    """Version 2, with every change that is allowed, at every place where it is."""
    old = event_schemas().of(event_type)
    raw = changed(old.raw)

    def grow(node: Any) -> None:
        if isinstance(node, list):
            for branch in node:
                grow(branch)
        elif isinstance(node, dict) and node["type"] == "record":
            for field in node["fields"]:
                grow(field["type"])
            node["fields"].insert(0, new_field(name="new_first", type="string", default="-"))
            node["fields"].append(new_field(name="new_last"))
        elif isinstance(node, dict) and node["type"] == "array":
            grow(node["items"])
        elif isinstance(node, dict) and node["type"] == "enum":
            node["symbols"].append("NEW_SYMBOL")

    grow(raw)
    return EventSchema(event_type, 2, raw)


def _without_new(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_new(v) for k, v in value.items() if k not in ("new_first", "new_last")}
    return [_without_new(item) for item in value] if isinstance(value, list) else value


def _new_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        own = [(value["new_first"], value["new_last"])]
        return own + [found for inner in value.values() for found in _new_in(inner)]
    return [found for item in value for found in _new_in(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_old_bytes_are_read_under_every_allowed_change(event_type: str, data: st.DataObject) -> None:
    """Real bytes, so that what `evolution` allows is what the reader can do; new fields come with their default."""
    old, new = event_schemas().of(event_type), _everything_new(event_type)
    both = EventSchemas(
        current={event_type: new},
        by_fingerprint={old.fingerprint: old, new.fingerprint: new},
        released={event_type: (old, new)},
    )
    record = data.draw(event_records(event_type))

    schema, read, _ = gate.decode(gate.MARKER + old.fingerprint + gate.write(record, old.parsed), both)

    assert evolution.problems(both) == []
    assert schema is new
    assert as_plain_avro(old.raw, _without_new(read)) == as_plain_avro(old.raw, record)
    assert set(_new_in(read)) == {("-", None)}


@pytest.mark.parametrize("name", ["name of a record", "name of an enum", "new without default", "type"])
def test_what_is_forbidden_for_the_bytes_sake_could_indeed_not_be_read(name: str) -> None:
    """A renamed record was once allowed, and then every older event was an error that stopped the worker."""
    new = later(next(change for id_, change, _ in FORBIDDEN if id_ == name))
    record = {
        "event_id": "e",
        "payload": {
            "text": "x",
            "day": 1,
            "maybe": None,
            "grade": "A",
            "again": "B",
            "words": [],
            "children": [{"ref": "r"}],
        },
    }
    both = EventSchemas({"t.v1": new}, {OLD.fingerprint: OLD}, {"t.v1": (OLD,)})

    with pytest.raises(fastavro.read.SchemaResolutionError):
        gate.decode(gate.MARKER + OLD.fingerprint + gate.write(record, OLD.parsed), both)


def test_an_alias_does_not_carry_a_value_into_another_class() -> None:
    """The reader must take `text` for `text` while it is there."""
    new = later(
        lambda f: f.insert(0, new_field(name="new", aliases=["text"], dataClass="ENVELOPE", default="-", type="string"))
    )
    both = EventSchemas({"t.v1": new}, {OLD.fingerprint: OLD}, {"t.v1": (OLD,)})
    record = {
        "event_id": "e",
        "payload": {"text": "CANARY", "day": 1, "maybe": None, "grade": "A", "again": "B", "words": [], "children": []},
    }

    _, read, _ = gate.decode(gate.MARKER + OLD.fingerprint + gate.write(record, OLD.parsed), both)

    assert (read["payload"]["text"], read["payload"]["new"]) == ("CANARY", "-")
