"""
How is a view built from what may go?

A view holds the fields that were released and nothing else: its schema is made from them, so that not even the absence
of a field, or a later field of the event, shows in it. What may go is decided elsewhere (`streams.rules.release`) and
comes in as a list; the same list gives the same bytes, also when it is read from a decision record years later (rule
R21).

    event leaves          as they are named in the event       occurred_at, payload.police_reference
    subject               the one person the message is about  subject.given_name
    other_children        the rest of the children             other_children[].relationship, or their count
    adults                parents, victims, others             adults[].phone
    alleged_perpetrators  as the role says                     alleged_perpetrators[].relationship

Lists in the payload that are about persons (`personRef`) keep only the elements about the subject.
This is the reference: decode, build, encode. A faster path must give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro.schema as _fs

from safebus.schemas import gate
from safebus.schemas.classes import MASKS
from safebus.schemas.codes import codes_of
from safebus.schemas.event_schemas import EventSchema, fingerprint_of
from safebus.schemas.events import CARED_FOR, PersonRole
from safebus.streams.rules.agreements import Group

#: The one field of a view that is no leaf of the event: how many other children there are.
COUNT = "other_children_count"

#: Stands where a mask does: only what is a code goes (`schemas.codes`).
CODE = "code"

Build = Callable[[Any, str], Any]  # (value in the event, ref of the subject) -> value in the view


@dataclass(frozen=True)
class View:
    """
    How one list of fields is built.

    Attributes:
        schema: Of the events that it can be built from.
        fields: What it holds, as `path` or `path: mask`; what a decision record keeps.
        raw: Its Avro schema, as JSON values; `parsed`: as fastavro takes it.
        fingerprint: 16 hex digits.
    """

    schema: EventSchema
    fields: tuple[str, ...]
    raw: Mapping[str, Any]
    parsed: Any
    fingerprint: str
    build_event: Build
    build_person: Mapping[Group, Build]
    counts_other_children: bool

    def record(self, event: Mapping[str, Any], *, subject_ref: str) -> dict[str, Any]:
        """The view of an event (plain values, under the schema it was made for) as plain values."""
        built: dict[str, Any] = self.build_event(event, subject_ref)
        grouped = [(_group(person, subject_ref), person) for person in event["subjects"]]
        for group, build in self.build_person.items():
            persons = [build(person, subject_ref) for its, person in grouped if its is group]
            built[group.value] = persons[0] if group is Group.SUBJECT else persons
        if self.counts_other_children:
            built[COUNT] = sum(group is Group.OTHER_CHILDREN for group, _ in grouped)
        return built

    def value(self, built: dict[str, Any]) -> bytes:
        """A built view as Avro under its own schema. The same input gives the same bytes (rule R21)."""
        return gate.write(built, self.parsed)


def view_of(schema: EventSchema, fields: tuple[str, ...]) -> View:
    """
    What builds these fields of this type of event.

    Args:
        fields: View paths, each with its mask after a colon where it has one: `subject.date_of_birth: year`.
    """
    key = (schema.fingerprint, fields)
    made = _VIEWS.get(key)
    # The fingerprint leaves out `personRef`, and a view rests on it.
    if made is None or (made.schema is not schema and made.schema.raw != schema.raw):
        if len(_VIEWS) >= _MOST_VIEWS:
            _VIEWS.clear()
        made = _VIEWS[key] = _view_of(schema, fields)
    return made


# A view follows from its key alone, so keeping it changes no answer. Bounded: agreements come and go.
_MOST_VIEWS = 4096
_VIEWS: dict[tuple[bytes, tuple[str, ...]], View] = {}


def group_of(role: PersonRole) -> Group:
    """The group of a person whom a message is not about."""
    if role is PersonRole.ALLEGED_PERPETRATOR:
        return Group.ALLEGED_PERPETRATORS
    if role in CARED_FOR and role is not PersonRole.ADULT_VICTIM:
        return Group.OTHER_CHILDREN
    return Group.ADULTS


_GROUPS = {role.value: group_of(role) for role in PersonRole}


def groups_in(event: Mapping[str, Any], *, subject_ref: str) -> frozenset[Group]:
    """The groups that this event has anyone in, for a message about this person."""
    return frozenset(_group(person, subject_ref) for person in event["subjects"])


def _group(person: Mapping[str, Any], subject_ref: str) -> Group:
    return Group.SUBJECT if person["ref"] == subject_ref else _GROUPS[person["role"]]


def _view_of(schema: EventSchema, listed: tuple[str, ...]) -> View:
    masks = dict(field.split(": ", 1) for field in listed if ": " in field)
    out = {field.split(": ", 1)[0] for field in listed}
    named: dict[str, Any] = {}
    fields: list[dict[str, Any]] = []
    builders: list[tuple[str, Build]] = []
    person_node: Any = None
    for top in schema.raw["fields"]:
        if top["name"] == "subjects":
            person_node = top["type"]["items"]
            _learn(person_node, named)
            continue
        projected = _project(top["type"], top["name"], top["name"], top, out, masks, named)
        if projected is not None:
            fields.append({"name": top["name"], "type": projected[0]})
            builders.append((top["name"], projected[1]))
    build_person: dict[Group, Build] = {}
    for group in Group:
        if group is Group.EVENT:
            continue
        prefix = "subject" if group is Group.SUBJECT else f"{group.value}[]"
        projected = _project(person_node, prefix, group.value, {}, out, masks, dict(named))
        if projected is not None:
            many = group is not Group.SUBJECT
            fields.append(
                {"name": group.value, "type": {"type": "array", "items": projected[0]} if many else projected[0]}
            )
            build_person[group] = projected[1]
    if COUNT in out:
        fields.append({"name": COUNT, "type": "int"})
    raw = {"type": "record", "name": "View", "namespace": "safebus.view", "fields": fields}
    return View(
        schema=schema,
        fields=listed,
        raw=raw,
        parsed=_fs.parse_schema(json.loads(json.dumps(raw))),
        fingerprint=fingerprint_of(raw).hex(),
        build_event=_record_builder(builders),
        build_person=build_person,
        counts_other_children=COUNT in out,
    )


def _project(
    node: Any,
    path: str,
    name: str,
    notes: Mapping[str, Any],
    out: set[str],
    masks: Mapping[str, str],
    named: dict[str, Any],
) -> tuple[Any, Build] | None:
    """The schema of what is released at and below `path`, and what builds it; None when nothing is."""
    if isinstance(node, list):
        inner = _project(next(b for b in node if b != "null"), path, name, notes, out, masks, named)
        if inner is None:
            return None
        made, build = inner
        if build is _same:
            return ["null", made], _same
        return ["null", made], lambda value, ref: None if value is None else _something(build(value, ref))
    node = named.get(node, node) if isinstance(node, str) else node
    if isinstance(node, dict):
        _learn(node, named)
        if node["type"] == "record":
            return _project_record(node, path, name, out, masks, named)
        if node["type"] == "array":
            items = named.get(node["items"], node["items"]) if isinstance(node["items"], str) else node["items"]
            if isinstance(items, dict):
                inner = _project_record(items, f"{path}[]", name, out, masks, named)
                return (
                    None
                    if inner is None
                    else (
                        {"type": "array", "items": inner[0]},
                        _about_builder(notes["personRef"], inner[1]),
                    )
                )
    if path not in out:
        return None
    if masks.get(path) == CODE:
        return _only_codes(node, notes)
    if path in masks:
        mask = MASKS[masks[path]]
        # Loading a mask on what cannot be null is an error; one that was loaded before it was gives nothing as well.
        nothing = None if isinstance(notes["type"], list) else ""
        return mask.gives, lambda value, _ref: nothing if (blurred := mask.apply(value)) is None else blurred
    # Enums leave as their symbol: a symbol that is added later must not change the schema of a view.
    return ("string" if isinstance(node, dict) and node["type"] == "enum" else node), _same


def _only_codes(node: Any, field: Mapping[str, Any]) -> tuple[Any, Build]:
    """The leaf as it is where it holds a code; what else is typed there is prose, and stays."""
    is_code = codes_of(field)
    assert is_code is not None  # only such leaves are marked so
    if isinstance(node, dict):
        return node, lambda value, _ref: [each for each in value if is_code(each)]
    nothing = None if isinstance(field["type"], list) else ""
    return node, lambda value, _ref: value if is_code(value) else nothing


def _project_record(
    node: Mapping[str, Any], path: str, name: str, out: set[str], masks: Mapping[str, str], named: dict[str, Any]
) -> tuple[Any, Build] | None:
    fields: list[dict[str, Any]] = []
    builders: list[tuple[str, Build]] = []
    for sub in node["fields"]:
        inner = _project(sub["type"], f"{path}.{sub['name']}", f"{name}_{sub['name']}", sub, out, masks, named)
        if inner is not None:
            fields.append({"name": sub["name"], "type": inner[0]})
            builders.append((sub["name"], inner[1]))
    if not fields:
        return None
    return {"type": "record", "name": f"{name}_view", "fields": fields}, _record_builder(builders)


def _record_builder(builders: list[tuple[str, Build]]) -> Build:
    same = [name for name, build in builders if build is _same]
    others = [(name, build) for name, build in builders if build is not _same]

    def record(value: Any, ref: str) -> dict[str, Any]:
        built = {name: value[name] for name in same}
        for name, build in others:
            built[name] = build(value[name], ref)
        return built

    return record


def _about_builder(person_ref: str, build: Build) -> Build:
    """Only the elements about the person the message is about (rule R17)."""
    return lambda value, ref: [build(item, ref) for item in value if item[person_ref] == ref]


#: A leaf that goes as it is. The record around it copies those by their names, which is quicker than calling this.
_same: Build = lambda value, _ref: value  # noqa: E731  # a mark, told apart by identity


def _something(built: Any) -> Any:
    """A part of which nothing is left is as if it had not been there: else it would tell of what is withheld."""
    return None if _is_nothing(built) else built


def _is_nothing(built: Any) -> bool:
    return all(map(_is_nothing, built.values())) if isinstance(built, dict) else built is None


def _learn(node: Any, named: dict[str, Any]) -> None:
    """Remember named types, also those defined in parts that are not released."""
    if isinstance(node, list):
        for branch in node:
            _learn(branch, named)
    elif isinstance(node, dict):
        if "name" in node and node["type"] in ("record", "enum"):
            named[node["name"]] = node
        for sub in node.get("fields", ()):
            _learn(sub["type"], named)
        if node["type"] == "array":
            _learn(node["items"], named)
