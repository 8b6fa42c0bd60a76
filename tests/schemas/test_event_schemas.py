"""Which schemas load, what their leaves are, and that another Avro library reads them as we do."""

import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import avro.schema
import pytest
from random_events import TYPES, changed

from safebus.schemas.classes import DataClass
from safebus.schemas.errors import BadSchema
from safebus.schemas.event_schemas import (
    EventSchema,
    EventSchemas,
    Leaf,
    build,
    bus_schema,
    check,
    compose,
    event_schemas,
    fingerprint_of,
    load,
)
from safebus.schemas.events import EVENT_CLASSES

BUS = ["decision", "notification", "quarantined", "receipt", "register"]
AVRO = resources.files("safebus.schemas") / "avro"


def raw_of(name: str) -> Any:
    """The schema of an event type, or of a record of the bus, as it stands in its file."""
    return event_schemas().of(name).raw if name in TYPES else json.loads((AVRO / "bus" / f"{name}.avsc").read_text())


def record_with(field: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Notice", "fields": [field]}


def leaf(name: str, type_: Any = "string", **notes: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "dataClass": "ENVELOPE", **notes}


# What there is


def test_there_is_one_schema_for_each_class_of_event() -> None:
    assert sorted(event_schemas().current) == TYPES


def test_a_type_without_a_schema_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(BadSchema, match=r"^no schema for event type `x.v1`; there are care\.protection-plan\.v1, .*$"):
        event_schemas().of("x.v1")


@pytest.mark.parametrize("event_type", TYPES)
def test_the_released_schema_is_the_current_one(event_type: str) -> None:
    """Nobody may write under a schema that is not frozen."""
    schemas = event_schemas()
    newest = schemas.released[event_type][-1]

    assert newest.raw == schemas.of(event_type).raw
    assert newest.version == schemas.of(event_type).version == len(schemas.released[event_type])
    assert schemas.by_fingerprint[newest.fingerprint] is schemas.of(event_type)


@pytest.mark.parametrize("event_type", TYPES)
def test_an_event_is_the_envelope_and_then_its_payload(event_type: str) -> None:
    envelope = json.loads((AVRO / "envelope.avsc").read_text())
    payload = json.loads((AVRO / f"{event_type}.avsc").read_text())

    fields = event_schemas().of(event_type).raw["fields"]

    assert fields[:-1] == envelope["fields"]
    assert fields[-1] == {"name": "payload", "type": payload}


def test_a_composed_schema_is_named_after_its_type() -> None:
    raw = compose({"fields": []}, {"type": "record", "name": "P", "fields": []}, "health.ed-attendance.v1")

    assert (raw["namespace"], raw["name"], raw["doc"]) == ("safebus", "HealthEdAttendanceV1", "")


def test_bytes_of_every_version_are_recognised_and_the_current_one_is_the_newest() -> None:
    first = {"type": "record", "name": "P", "fields": [leaf("a")]}
    second = {"type": "record", "name": "P", "fields": [leaf("a"), leaf("b", default="", since=2)]}
    envelope: dict[str, Any] = {"fields": []}
    frozen = [compose(envelope, first, "t.v1")]

    unreleased = build({"t.v1": second}, {"t.v1": frozen}, envelope)
    released = build({"t.v1": second}, {"t.v1": [*frozen, compose(envelope, second, "t.v1")]}, envelope)
    new = build({"t.v1": first}, {}, envelope)

    assert [s.of("t.v1").version for s in (unreleased, released, new)] == [2, 2, 1]
    assert sorted(s.version for s in unreleased.by_fingerprint.values()) == [1, 2]
    assert released.of("t.v1") is released.released["t.v1"][1]
    assert new.released == {}


def test_a_folder_may_hold_a_type_that_was_never_released(tmp_path: Path) -> None:
    """As it does while somebody writes a new one."""
    payload = {"type": "record", "name": "P", "fields": [leaf("a")]}
    (tmp_path / "envelope.avsc").write_text('{"fields": []}')
    (tmp_path / "draft.v1.avsc").write_text(json.dumps(payload))
    (tmp_path / "known.v1.avsc").write_text(json.dumps(payload))
    (tmp_path / "notes.txt").write_text("not a schema")
    released = tmp_path / "released" / "known.v1"
    released.mkdir(parents=True)
    for version in range(1, 11):
        frozen = payload | {"fields": [leaf("a", doc=str(version))]}
        (released / f"{version}.avsc").write_text(json.dumps(compose({"fields": []}, frozen, "known.v1")))

    found = load(tmp_path)

    assert sorted(found.current) == ["draft.v1", "known.v1"]
    assert [s.raw["fields"][-1]["type"]["fields"][0]["doc"] for s in found.released["known.v1"]] == [
        str(version) for version in range(1, 11)
    ]
    assert "draft.v1" not in found.released


def test_a_schema_that_may_not_load_is_not_built() -> None:
    payload = {"type": "record", "name": "P", "fields": [{"name": "a", "type": "string"}]}

    with pytest.raises(BadSchema, match=r"leaf `payload\.a` has no `dataClass`"):
        build({"t.v1": payload}, {}, {"fields": []})


# Fingerprints


@pytest.mark.parametrize(
    ("schema", "crc"),
    [
        # Source: Avro, share/test/data/schema-tests.txt, cases 001, 005 and 013.
        ("null", 0x63DD24E7CC258F8A),
        ("int", 0x7275D51A3F395C8F),
        ("string", 0x8F014872634503C7),
    ],
)
def test_a_fingerprint_is_crc_64_avro_little_endian(schema: str, crc: int) -> None:
    """Source: Avro 1.11 specification, Schema Fingerprints; Single-object encoding."""
    assert fingerprint_of(schema) == crc.to_bytes(8, "little")


@pytest.mark.parametrize("name", [*TYPES, *BUS])
def test_fingerprints_are_those_of_the_specification(name: str) -> None:
    """A second opinion: canonical form and CRC written here from the specification, sharing nothing with fastavro."""
    raw = raw_of(name)
    found = event_schemas().of(name).fingerprint if name in TYPES else fingerprint_of(bus_schema(name))

    assert found == crc_64_avro(canonical(raw)).to_bytes(8, "little") == fingerprint_of(raw)


def test_no_two_schemas_have_the_same_fingerprint() -> None:
    assert len({fingerprint_of(raw_of(name)) for name in (*TYPES, *BUS)}) == len(TYPES) + len(BUS)


# Second opinion


@pytest.mark.parametrize("name", [*TYPES, *BUS])
def test_another_avro_library_reads_the_schema_with_every_note_on_it(name: str) -> None:
    """Partners load the released files with their own library; the data classes must survive that."""
    raw = raw_of(name)

    parsed = avro.schema.parse(json.dumps(raw))

    assert _as_avro_python3_has_it(parsed, set()) == _without_doc_and_namespace(raw)


# Leaves


def test_leaves_are_named_by_their_path_and_know_whose_they_are() -> None:
    leaves = {found.path: found for found in event_schemas().of("police.encompass.v1").leaves}

    assert [leaves[path] for path in ("event_id", "payload.risk_grade", "handling.confidentiality")] == [
        Leaf("event_id", DataClass.ENVELOPE, "string", 1, about_person=False),
        Leaf("payload.risk_grade", DataClass.RISK_SCORE, "enum", 1, about_person=False, nullable=True),
        Leaf("handling.confidentiality", DataClass.HANDLING, "enum", 1, about_person=False),
    ]
    assert [leaves[path] for path in ("subjects[].date_of_birth", "subjects[].home_address.lines")] == [
        Leaf("subjects[].date_of_birth", DataClass.ID_CORE, "date", 1, about_person=True, nullable=True),
        Leaf("subjects[].home_address.lines", DataClass.LOCATION_HOME, "strings", 1, about_person=True),
    ]
    assert leaves["payload.children[].words"] == Leaf(
        "payload.children[].words", DataClass.VOICE_OF_CHILD, "string", 1, about_person=True, nullable=True
    )


@pytest.mark.parametrize("event_type", TYPES)
def test_every_value_of_an_event_is_a_leaf_of_its_own(event_type: str) -> None:
    schema = event_schemas().of(event_type)
    paths = [found.path for found in schema.leaves]

    assert len(set(paths)) == len(paths)
    assert {found.kind for found in schema.leaves} <= {
        *("string", "strings", "date", "timestamp-millis", "int", "long", "boolean", "enum")
    }
    assert {found.path for found in schema.leaves if found.about_person} == {path for path in paths if "[]" in path}


def test_a_leaf_inside_a_new_record_is_as_new_as_the_record() -> None:
    """Or an agreement signed over version 1 would release what only version 3 brought."""
    inner = {"type": "record", "name": "Inner", "fields": [leaf("a"), leaf("b", since=4), leaf("c", since=1)]}
    schema = EventSchema("t.v1", 4, record_with({"name": "new", "type": inner, "since": 3}))

    assert [(found.path, found.since) for found in schema.leaves] == [("new.a", 3), ("new.b", 4), ("new.c", 3)]


def test_a_named_record_used_again_brings_its_leaves_again() -> None:
    inner = {"type": "record", "name": "Inner", "fields": [leaf("a")]}
    raw = {
        "type": "record",
        "name": "Outer",
        "fields": [
            {"name": "one", "type": inner},
            {"name": "two", "type": ["null", "Inner"], "default": None},
            {"name": "three", "type": {"type": "array", "items": "Inner"}, "personRef": "a"},
        ],
    }

    assert [found.path for found in EventSchema("t.v1", 1, raw).leaves] == ["one.a", "two.a", "three[].a"]


# What does not load


def _every_record(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for branch in node:
            yield from _every_record(branch)
    elif isinstance(node, dict):
        if node["type"] == "record":
            yield node
            for field in node["fields"]:
                yield from _every_record(field["type"])
        elif node["type"] == "array":
            yield from _every_record(node["items"])


UNCLASSIFIED: list[Any] = [
    "string",
    ["null", "string"],
    {"type": "int", "logicalType": "date"},
    {"type": "enum", "name": "NewEnum", "symbols": ["A"]},
    {"type": "array", "items": "string"},
    {"type": "record", "name": "NewRecord", "fields": [{"name": "in_it", "type": "string"}]},
    ["null", {"type": "record", "name": "NewRecord", "fields": [{"name": "in_it", "type": "long"}]}],
]


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("new", UNCLASSIFIED, ids=json.dumps)
def test_a_field_nobody_classified_does_not_load_wherever_it_is_put(event_type: str, new: Any) -> None:
    places = len(list(_every_record(event_schemas().of(event_type).raw)))

    for place in range(places):
        raw = changed(event_schemas().of(event_type).raw)
        list(_every_record(raw))[place]["fields"].append({"name": "new_field", "type": new, "default": None})
        with pytest.raises(BadSchema, match=r"^leaf `.*new_field.*` has no `dataClass`; .* name one$"):
            check(raw)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (leaf("x", dataClass="SECRET"), "leaf `x` has dataClass `SECRET`, which `schemas.classes.DataClass` lacks"),
        (leaf("x", ["null", "string", "int"]), "`x` is a union of 2 types; only [null, one type] is allowed"),
        (leaf("x", ["null"]), "`x` is a union of 0 types; only [null, one type] is allowed"),
        (leaf("x", ["null", "null", "string"]), "`x` is a union of 1 types; only [null, one type] is allowed"),
        (
            leaf("x", {"type": "map", "values": "string"}),
            "`x` has type `map`; use records, arrays, enums and primitives",
        ),
        (
            {
                "name": "x",
                "type": {"type": "array", "items": {"type": "record", "name": "R", "fields": []}},
                "personRef": "r",
            },
            "`x` is a record without fields; it takes no byte, so a list of them has no end",
        ),
        (leaf("x", "double"), "`x` has type `double`, which is not defined before it"),
        (leaf("x", {"type": "fixed", "name": "F", "size": 4}), "`x` has type `fixed`; use records, arrays, enums and"),
        (leaf("x", {"type": "array", "items": "null"}), "`x` is an array of `null`; arrays hold records or strings"),
        (leaf("x", {"type": "array", "items": {"type": "array", "items": "string"}}), "`x` is an array of `{"),
        (leaf("x", "null"), "`x` has type `null`, which is not defined before it"),
        (leaf("x", "Address"), "`x` has type `Address`, which is not defined before it"),
        (leaf("x", {"type": {"type": "string"}}), "`x` has a type within a type; write the inner one in its place"),
        (leaf("x", {"type": ["null", "string"]}), "`x` has a type within a type; write the inner one in its place"),
        (leaf("x", ["null", ["null", "string"]]), "`x` has a type within a type; write the inner one in its place"),
    ],
)
def test_what_could_hide_or_grow_does_not_load_and_says_where(field: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSchema) as refused:
        check(record_with(field))

    assert str(refused.value).startswith(says)


def test_an_array_of_records_says_whom_each_is_about() -> None:
    items = {"type": "record", "name": "Item", "fields": [leaf("a")]}

    with pytest.raises(BadSchema, match=r"^`x` is an array of records; say whom each is about with `personRef`$"):
        check(record_with({"name": "x", "type": {"type": "array", "items": items}}))


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param(lambda name: ["null", name], id="through a union"),
        pytest.param(lambda name: {"type": "array", "items": name}, id="through an array"),
        pytest.param(lambda name: {"type": "record", "name": name, "fields": []}, id="by defining it again"),
    ],
)
def test_a_schema_that_contains_itself_does_not_load(inside: Callable[[str], Any]) -> None:
    """fastavro dies with SIGSEGV on 4.6 kB under one."""
    raw = record_with({"name": "x", "type": inside("Notice"), "personRef": "a"})

    with pytest.raises(BadSchema, match=r"^`x` refers to `Notice`, which contains it; recursive schemas are refused$"):
        check(raw)


def test_nesting_has_an_end() -> None:
    def nested(depth: int) -> Any:
        inner: Any = "string"
        for level in reversed(range(depth)):
            inner = {"type": "record", "name": f"R{level}", "fields": [leaf("x", inner)]}
        return inner

    check(nested(12))
    with pytest.raises(BadSchema, match=r"^`x(\.x){12}` is nested more than 12 records deep; flatten it$"):
        check(nested(13))


def test_all_schemas_load_and_are_built_once() -> None:
    schemas = event_schemas()

    for schema in schemas.by_fingerprint.values():
        check(schema.raw)
    assert isinstance(schemas, EventSchemas)
    assert event_schemas() is schemas
    assert set(EVENT_CLASSES) == set(schemas.current)


# Written from the specification, for comparison only


def canonical(node: Any, namespace: str = "") -> str:
    """Source: Avro 1.11 specification, Transforming into Parsing Canonical Form."""
    if isinstance(node, str):
        primitive = node in {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
        return json.dumps(node if primitive or "." in node or not namespace else f"{namespace}.{node}")
    if isinstance(node, list):
        return "[" + ",".join(canonical(branch, namespace) for branch in node) + "]"
    if node["type"] == "array":
        return '{"type":"array","items":' + canonical(node["items"], namespace) + "}"
    if node["type"] not in ("record", "enum"):
        return canonical(node["type"], namespace)
    space = node.get("namespace", namespace)
    head = f'{{"name":"{space}.{node["name"]}","type":"{node["type"]}",'
    if node["type"] == "enum":
        return head + '"symbols":' + json.dumps(node["symbols"], separators=(",", ":")) + "}"
    fields = ",".join(f'{{"name":"{f["name"]}","type":{canonical(f["type"], space)}}}' for f in node["fields"])
    return head + f'"fields":[{fields}]}}'


def crc_64_avro(text: str) -> int:
    """Source: Avro 1.11 specification, Schema Fingerprints."""
    empty = 0xC15D213AA4D7A795
    fingerprint = empty
    for byte in text.encode():
        low = (fingerprint ^ byte) & 0xFF
        for _ in range(8):
            low = (low >> 1) ^ (empty if low & 1 else 0)
        fingerprint = (fingerprint >> 8) ^ low
    return fingerprint


def _as_avro_python3_has_it(node: Any, met: set[str]) -> Any:
    if node.type == "union":
        return [_as_avro_python3_has_it(branch, met) for branch in node.schemas]
    if node.type == "array":
        return {"type": "array", "items": _as_avro_python3_has_it(node.items, met), **dict(node.other_props)}
    if node.type not in ("record", "enum"):
        notes = dict(node.other_props)
        return {"type": node.type, **notes} if notes else node.type
    if node.name in met:
        return node.name
    met.add(node.name)
    notes = dict(node.other_props)
    if node.type == "enum":
        return {"type": "enum", "name": node.name, "symbols": list(node.symbols), **notes}
    return {
        "type": "record",
        "name": node.name,
        "fields": [
            {
                "name": field.name,
                "type": _as_avro_python3_has_it(field.type, met),
                **({"default": field.default} if field.has_default else {}),
                **dict(field.other_props),
            }
            for field in node.fields
        ],
        **notes,
    }


def _without_doc_and_namespace(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_doc_and_namespace(inner) for inner in node]
    if isinstance(node, dict):
        return {k: _without_doc_and_namespace(v) for k, v in node.items() if k not in ("doc", "namespace")}
    return node


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ({"type": "int", "codes": ["a"]}, "leaf `x` is a int; only a string can have `codes` or a `pattern`"),
        ({"type": "string", "pattern": "["}, "leaf `x` has `pattern`, which is no regular expression"),
    ],
)
def test_codes_that_cannot_be_are_told(field: dict[str, Any], complaint: str) -> None:
    raw = {"type": "record", "name": "R", "fields": [{"name": "x", "dataClass": "ENVELOPE", **field}]}

    with pytest.raises(BadSchema, match=re.escape(complaint)):
        check(raw)
