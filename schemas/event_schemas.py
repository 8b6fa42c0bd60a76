"""
Which event schemas are there, and what kind of data is each of their leaves?

Every event schema is the fields of `avro/envelope.avsc` followed by one field `payload`, which is the record in
`avro/<event type>.avsc`. Published versions are frozen whole in `avro/released/<event type>/<n>.avsc`: a partner
takes those, and bytes written under any of them can still be read.

A schema loads only if every leaf names a data class and nothing in it could be made to grow without bound
(no recursion, no maps, no items that take no byte, unions only with null).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import fastavro.schema as _fs

from safebus.schemas import strict_avro
from safebus.schemas.classes import DataClass
from safebus.schemas.codes import codes_of
from safebus.schemas.errors import BadSchema

_PRIMITIVES = frozenset({"string", "boolean", "int", "long", "bytes"})  # a double may be no number, equal to nothing
_MAX_DEPTH = 12

AvroType = Any  # a parsed JSON schema: str, list or dict


@dataclass(frozen=True)
class Leaf:
    """
    One value that can be released or withheld on its own.

    Attributes:
        path: Such as `subjects[].home_address.postcode`; `[]` stands for "each element".
        kind: `string`, `date`, `timestamp-millis`, `int`, `long`, `boolean`, `enum` or `strings`.
        since: The released version of the schema that brought it, from 1.
        about_person: It belongs to a person: to one of `subjects`, or to an element that refers to one.
        nullable: It may be null where the record that holds it is not.
        is_code: Whether a text is a code of this leaf (`schemas.codes`); None: it may hold anything.
    """

    path: str
    data_class: DataClass
    kind: str
    since: int
    about_person: bool
    nullable: bool = False
    is_code: Callable[[str], bool] | None = None


@dataclass(frozen=True, eq=False)  # each is itself only: what follows from one is kept by it
class EventSchema:
    """One event type as it is written now, or as it was written once."""

    event_type: str
    version: int
    raw: dict[str, Any]

    @cached_property
    def parsed(self) -> Any:
        """The form that fastavro reads and writes with."""
        return _fs.parse_schema(json.loads(json.dumps(self.raw)))

    @cached_property
    def fingerprint(self) -> bytes:
        """8 bytes, little-endian. Source: Avro 1.12.0 specification, Schema Fingerprints (CRC-64-AVRO)."""
        return fingerprint_of(self.raw)

    @cached_property
    def read_strictly(self) -> Callable[[bytes], dict[str, Any]]:
        """Reads a record by the letter of the specification: `strict_avro.reader_of`."""
        return strict_avro.reader_of(self.parsed)

    @cached_property
    def coded(self) -> tuple[tuple[str, Callable[[str], bool]], ...]:
        """(path, whether a text is one of its codes) of every leaf that should hold codes."""
        return tuple((leaf.path, leaf.is_code) for leaf in self.leaves if leaf.is_code is not None)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf, in the order of the schema."""
        return tuple(_leaves(self.raw))


def fingerprint_of(raw: AvroType) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema's parsing canonical form: 8 bytes, little-endian."""
    return bytes.fromhex(_fs.fingerprint(_fs.to_parsing_canonical_form(json.loads(json.dumps(raw))), "CRC-64-AVRO"))


def compose(envelope: Mapping[str, Any], payload: Mapping[str, Any], event_type: str) -> dict[str, Any]:
    """The schema as it is written: the envelope's fields, then `payload`."""
    name = "".join(word.capitalize() for word in event_type.replace("-", ".").split("."))
    return {
        "type": "record",
        "name": name,
        "namespace": "safebus",
        "doc": payload.get("doc", ""),
        "fields": [*envelope["fields"], {"name": "payload", "type": payload}],
    }


def check(raw: AvroType) -> None:
    """
    May this event schema be loaded?

    Raises:
        BadSchema: Names the path, what was found and what was expected.
    """
    for _ in _leaves(raw):
        pass


def _leaves(raw: AvroType) -> Iterator[Leaf]:
    yield from _walk(raw, path="", field={}, named={}, open_names=(), person=False, since=1)


def _walk(
    node: AvroType,
    *,
    path: str,
    field: Mapping[str, Any],
    named: dict[str, AvroType],
    open_names: tuple[str, ...],
    person: bool,
    since: int,
) -> Iterator[Leaf]:
    """Visit every leaf below `node`. `field` is the field definition that carries the annotations."""
    since = max(since, int(field.get("since", 1)))  # a leaf inside a new record is as new as the record
    if len(open_names) > _MAX_DEPTH:
        raise BadSchema(f"`{path}` is nested more than {_MAX_DEPTH} records deep; flatten it")
    nullable = isinstance(node, list)
    if isinstance(node, list):
        others = [branch for branch in node if branch != "null"]
        if len(others) != 1 or len(node) > 2:
            raise BadSchema(f"`{path}` is a union of {len(others)} types; only [null, one type] is allowed")
        node = others[0]
    if isinstance(node, str) and node not in _PRIMITIVES:
        if node in open_names:
            raise BadSchema(f"`{path}` refers to `{node}`, which contains it; recursive schemas are refused")
        if node not in named:
            raise BadSchema(f"`{path}` has type `{node}`, which is not defined before it")
        node = named[node]
    kind = _kind(node, path, named)
    if kind in ("record", "array-of-records"):
        record = node if kind == "record" else _resolve(node["items"], named)
        inner = path if kind == "record" else f"{path}[]"
        if kind == "array-of-records":
            if path != "subjects" and "personRef" not in field:
                raise BadSchema(f"`{path}` is an array of records; say whom each is about with `personRef`")
            person = True
        names = (*open_names, record["name"])
        if record["name"] in open_names:
            raise BadSchema(f"`{path}` refers to `{record['name']}`, which contains it; recursive schemas are refused")
        if not record["fields"]:
            raise BadSchema(f"`{path}` is a record without fields; it takes no byte, so a list of them has no end")
        named[record["name"]] = record
        for sub in record["fields"]:
            step = sub["name"] if not inner else f"{inner}.{sub['name']}"
            yield from _walk(
                sub["type"], path=step, field=sub, named=named, open_names=names, person=person, since=since
            )
        return
    yield Leaf(
        path=path,
        data_class=_class_of(field, path),
        kind=kind,
        since=since,
        about_person=person,
        nullable=nullable,
        is_code=_code_of(field, path, kind),
    )


def _resolve(node: AvroType, named: Mapping[str, AvroType]) -> AvroType:
    return named.get(node, node) if isinstance(node, str) else node


def _kind(node: AvroType, path: str, named: dict[str, AvroType]) -> str:
    if isinstance(node, str):
        return node
    if not isinstance(node, dict) or not isinstance(node.get("type"), str):
        raise BadSchema(f"`{path}` has a type within a type; write the inner one in its place")
    if node["type"] == "record":
        return "record"
    if node["type"] == "enum":
        named[node["name"]] = node
        return "enum"
    if node["type"] == "array":
        items = _resolve(node["items"], named)
        if isinstance(items, dict) and items["type"] == "record":
            return "array-of-records"
        if items == "string":
            return "strings"
        raise BadSchema(f"`{path}` is an array of `{items}`; arrays hold records or strings")
    if node["type"] in _PRIMITIVES:
        return str(node.get("logicalType", node["type"]))
    raise BadSchema(f"`{path}` has type `{node['type']}`; use records, arrays, enums and primitives only")


def _code_of(field: Mapping[str, Any], path: str, kind: str) -> Callable[[str], bool] | None:
    try:
        is_code = codes_of(field)
    except re.error as exc:
        raise BadSchema(f"leaf `{path}` has `pattern`, which is no regular expression: {exc}") from None
    if is_code is not None and kind not in ("string", "strings"):
        raise BadSchema(f"leaf `{path}` is a {kind}; only a string can have `codes` or a `pattern`")
    return is_code


def _class_of(field: Mapping[str, Any], path: str) -> DataClass:
    found = field.get("dataClass")
    if found is None:
        raise BadSchema(f"leaf `{path}` has no `dataClass`; a field nobody classified cannot leave, so name one")
    try:
        return DataClass(found)
    except ValueError as exc:
        raise BadSchema(f"leaf `{path}` has dataClass `{found}`, which `schemas.classes.DataClass` lacks") from exc


@dataclass(frozen=True)
class EventSchemas:
    """All event schemas: the current one of each type, and every one that bytes may still come in."""

    current: Mapping[str, EventSchema]
    by_fingerprint: Mapping[bytes, EventSchema]
    released: Mapping[str, tuple[EventSchema, ...]]

    def of(self, event_type: str) -> EventSchema:
        """
        The current schema of a type.

        Raises:
            BadSchema: There is no such type; the message lists those there are.
        """
        try:
            return self.current[event_type]
        except KeyError:
            raise BadSchema(
                f"no schema for event type `{event_type}`; there are {', '.join(sorted(self.current))}"
            ) from None


def build(sources: Mapping[str, Any], released: Mapping[str, list[dict[str, Any]]], envelope: Any) -> EventSchemas:
    """
    Put event schemas together and check each.

    Args:
        sources: Event type -> payload record.
        released: Event type -> frozen schemas, oldest first.
    """
    frozen = {t: tuple(EventSchema(t, n, raw) for n, raw in enumerate(raws, start=1)) for t, raws in released.items()}
    current: dict[str, EventSchema] = {}
    for event_type, payload in sources.items():
        raw = compose(envelope, payload, event_type)
        past = frozen.get(event_type, ())
        same = next((s for s in past if s.raw == raw), None)
        current[event_type] = same or EventSchema(event_type, len(past) + 1, raw)
        check(raw)
    by_fingerprint = {s.fingerprint: s for past in frozen.values() for s in past}
    by_fingerprint |= {s.fingerprint: s for s in current.values()}
    return EventSchemas(current=current, by_fingerprint=by_fingerprint, released=frozen)


@cache
def event_schemas() -> EventSchemas:
    """The event schemas that ship with this package."""
    return load(resources.files("safebus.schemas") / "avro")


def load(folder: Traversable) -> EventSchemas:
    """The event schemas in a folder: `envelope.avsc`, a payload for each type, and `released/` versions of some."""
    envelope = _json(folder / "envelope.avsc")
    sources = {
        entry.name.removesuffix(".avsc"): _json(entry)
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".avsc") and entry.name != "envelope.avsc"
    }
    released: dict[str, list[dict[str, Any]]] = {}
    for event_type in sources:
        versions = folder / "released" / event_type
        if versions.is_dir():
            files = [e for e in versions.iterdir() if e.name.endswith(".avsc")]
            files.sort(key=lambda e: int(e.name.removesuffix(".avsc")))
            released[event_type] = [_json(e) for e in files]
    return build(sources, released, envelope)


@cache
def bus_schema(name: str) -> Any:
    """A schema of the bus's own records (`avro/bus/<name>.avsc`), parsed."""
    return _fs.parse_schema(_json(resources.files("safebus.schemas") / "avro" / "bus" / f"{name}.avsc"))


@cache
def bus_schemas(name: str) -> Mapping[bytes, Any]:
    """Fingerprint -> parsed schema, of every version that records of the bus itself may be written under."""
    past = resources.files("safebus.schemas") / "avro" / "bus" / "released" / name
    files = [entry for entry in past.iterdir() if entry.name.endswith(".avsc")] if past.is_dir() else []
    found = {fingerprint_of(raw): _fs.parse_schema(raw) for raw in map(_json, files)}
    current = bus_schema(name)
    return found | {fingerprint_of(current): current}


def _json(entry: Traversable) -> Any:
    return json.loads(entry.read_text("utf-8"))
