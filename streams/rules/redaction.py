"""
Which fields of this event may this recipient have?

A view is built from what the agreement names; nothing is ever removed from a copy. For each flow a plan is made once:
every leaf of the event's schema, for each group of persons, with the rule that releases or withholds it. From the plan
follows the schema of the view, which holds the released leaves and nothing else, so that not even the absence of a
field, or a later field of the event, shows in it.

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
from dataclasses import dataclass, field
from typing import Any

import fastavro.schema as _fs

from safebus.schemas import gate
from safebus.schemas.bus_records import FieldRule
from safebus.schemas.classes import MASKS, NEVER, PROSE, RESTRICTED_STRIPS, Category, DataClass, category
from safebus.schemas.event_schemas import EventSchema, fingerprint_of
from safebus.schemas.events import CARED_FOR, PersonRole
from safebus.streams.rules.agreements import Flow, Group

_PERSONS = "subjects[]."
_COUNT = "other_children_count"
_PERSON_GROUPS = frozenset(group.value for group in Group if group is not Group.EVENT)
_STRIPPED_GROUPS = frozenset({Group.OTHER_CHILDREN, Group.ADULTS})  # related persons, as PDS leaves them out

Build = Callable[[Any, str], Any]  # (value in the event, ref of the subject) -> value in the view


@dataclass(frozen=True)
class ViewLeaf:
    """A leaf as a recipient sees it: `path` is the view path, `source` the path in the event."""

    path: str
    source: str
    group: Group
    data_class: DataClass
    kind: str
    since: int


@dataclass(frozen=True)
class Plan:
    """
    What one flow releases of one event type.

    Attributes:
        released, withheld: (view path, rule) in the order of the schema.
        masks: View path -> name of the mask.
        raw: The schema of the view, as JSON values.
        fingerprint: 16 hex digits.
    """

    schema: EventSchema
    released: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]
    masks: Mapping[str, str]
    counts_other_children: bool
    raw: Mapping[str, Any]
    parsed: Any
    fingerprint: str
    build_event: Build
    build_person: Mapping[Group, Build]
    listings: dict[frozenset[Group], tuple[tuple[FieldRule, ...], tuple[FieldRule, ...]]] = field(default_factory=dict)

    def listing(self, groups: frozenset[Group]) -> tuple[tuple[FieldRule, ...], tuple[FieldRule, ...]]:
        """(released, withheld) for the groups that an event has anyone in, as the decision record lists them."""
        if groups not in self.listings:
            present = {Group.EVENT, *groups}
            leaves = {path: (True, rule) for path, rule in self.released if _group_of(path) in present}
            leaves |= {path: (False, rule) for path, rule in self.withheld if _group_of(path) in present}
            released, withheld = collapse(leaves)
            self.listings[groups] = (released, withheld)
        return self.listings[groups]

    def covers(self, other: Plan) -> bool:
        """Does this plan release all that the other does, as clearly or more so?"""
        mine = {path for path, _ in self.released}
        # Who may have the children one by one may have their number.
        mine |= {_COUNT} if any(_group_of(path) is Group.OTHER_CHILDREN for path in mine) else set()
        return all(path in mine and self.masks.get(path) in (None, other.masks.get(path)) for path, _ in other.released)


def collapse(leaves: Mapping[str, tuple[bool, str]]) -> tuple[tuple[FieldRule, ...], tuple[FieldRule, ...]]:
    """
    Leaves as a person would list them: a part of which every leaf has the same answer stands once, as `part.*`.

    Args:
        leaves: Path -> (released, rule).
    """
    answers: dict[str, set[tuple[bool, str]]] = {}
    for path, answer in leaves.items():
        for prefix in _prefixes(path):
            answers.setdefault(prefix, set()).add(answer)
    listed: dict[str, tuple[bool, str]] = {}
    for path, answer in leaves.items():
        part = next((p for p in _prefixes(path) if len(answers[p]) == 1), None)
        listed[f"{part}.*" if part else path] = answer
    return (
        tuple(FieldRule(path=path, rule=rule) for path, (is_released, rule) in listed.items() if is_released),
        tuple(FieldRule(path=path, rule=rule) for path, (is_released, rule) in listed.items() if not is_released),
    )


def _prefixes(path: str) -> list[str]:
    """`a.b.c` -> `a`, `a.b`."""
    steps = path.split(".")
    return [".".join(steps[:i]) for i in range(1, len(steps))]


def view_leaves(schema: EventSchema) -> tuple[ViewLeaf, ...]:
    """Every leaf of an event type as it could appear in a view: a person's leaf once for each group."""
    found: list[ViewLeaf] = []
    for leaf in schema.leaves:
        if leaf.path.startswith(_PERSONS):
            rest = leaf.path.removeprefix(_PERSONS)
            for group in Group:
                if group is not Group.EVENT:
                    prefix = "subject." if group is Group.SUBJECT else f"{group.value}[]."
                    found.append(ViewLeaf(prefix + rest, leaf.path, group, leaf.data_class, leaf.kind, leaf.since))
        else:
            found.append(ViewLeaf(leaf.path, leaf.path, Group.EVENT, leaf.data_class, leaf.kind, leaf.since))
    return tuple(found)


def view_paths(schema: EventSchema) -> dict[str, ViewLeaf]:
    """View path -> leaf."""
    return {leaf.path: leaf for leaf in view_leaves(schema)}


def plan(schema: EventSchema, flow: Flow, *, restricted: bool, conditions: frozenset[Category]) -> Plan:
    """
    What this flow releases of this type of event.

    Args:
        restricted: The person's record is restricted (rule R16).
        conditions: The categories for which the basis holds a condition (rule R07); ORDINARY needs none.
    """
    key = (schema.fingerprint, flow.key, restricted, conditions)
    made = _PLANS.get(key)
    # The fingerprint leaves out data classes and `since`, and a plan rests on both.
    if made is None or (made.schema is not schema and made.schema.raw != schema.raw):
        if len(_PLANS) >= _MOST_PLANS:
            _PLANS.clear()
        made = _PLANS[key] = _plan(schema, flow, restricted=restricted, conditions=conditions)
    return made


# A plan follows from its key alone, so keeping it changes no answer. Bounded: agreements come and go.
_MOST_PLANS = 4096
_PLANS: dict[tuple[bytes, str, bool, frozenset[Category]], Plan] = {}


def _plan(schema: EventSchema, flow: Flow, *, restricted: bool, conditions: frozenset[Category]) -> Plan:
    released: list[tuple[str, str]] = []
    withheld: list[tuple[str, str]] = []
    masks: dict[str, str] = {}
    for leaf in view_leaves(schema):
        rule, is_released = rule_for(leaf, flow, restricted=restricted, conditions=conditions)
        if is_released and leaf.path in flow.mask:
            masks[leaf.path] = flow.mask[leaf.path]
            rule = f"{rule}, {MASKS[flow.mask[leaf.path]].says}"
        (released if is_released else withheld).append((leaf.path, rule))
    counts = flow.mask.get("other_children") == "count" and not restricted
    if counts:
        released.append((_COUNT, "AGREEMENT, how many only"))
    out = {path for path, _ in released}
    raw, build_event, build_person = _view_of(schema, out, masks, counts)
    return Plan(
        schema=schema,
        released=tuple(released),
        withheld=tuple(withheld),
        masks=masks,
        counts_other_children=counts,
        raw=raw,
        parsed=_fs.parse_schema(json.loads(json.dumps(raw))),
        fingerprint=fingerprint_of(raw).hex(),
        build_event=build_event,
        build_person=build_person,
    )


def rule_for(leaf: ViewLeaf, flow: Flow, *, restricted: bool, conditions: frozenset[Category]) -> tuple[str, bool]:
    """
    The rule that decides about one leaf, and whether it releases it.

    Refusals are looked for first, so none can be overridden by naming a field twice.
    """
    if leaf.data_class in NEVER:
        return "NEVER", False
    if leaf.since > flow.schema_version:
        return "SINCE", False
    if restricted and (leaf.data_class in RESTRICTED_STRIPS or leaf.group in _STRIPPED_GROUPS):
        return "R16", False
    named = leaf.path in flow.fields
    if leaf.data_class in PROSE and not named:
        return "PROSE", False
    if not named and leaf.data_class not in flow.release.of(leaf.group):
        return "NOT_NAMED", False
    if category(leaf.data_class) not in conditions | {Category.ORDINARY}:
        return "R07", False
    return "AGREEMENT", True


def group_of(role: PersonRole) -> Group:
    """The group of a person whom a message is not about."""
    if role is PersonRole.ALLEGED_PERPETRATOR:
        return Group.ALLEGED_PERPETRATORS
    if role in CARED_FOR and role is not PersonRole.ADULT_VICTIM:
        return Group.OTHER_CHILDREN
    return Group.ADULTS


def view(made: Plan, record: Mapping[str, Any], *, subject_ref: str) -> bytes:
    """
    What a recipient may have of one event about one person.

    Args:
        record: The event as plain values, under the plan's schema.
        subject_ref: The `ref` of the person the message is about.

    Returns:
        Avro under the plan's view schema. The same input gives the same bytes (rule R21).
    """
    return gate.write(view_record(made, record, subject_ref=subject_ref), made.parsed)


def view_record(made: Plan, record: Mapping[str, Any], *, subject_ref: str) -> dict[str, Any]:
    """The view as plain values."""
    built: dict[str, Any] = made.build_event(record, subject_ref)
    for group, build in made.build_person.items():
        persons = [p for p in record["subjects"] if _in_group(p, group, subject_ref)]
        built[group.value] = (
            build(persons[0], subject_ref) if group is Group.SUBJECT else [build(p, subject_ref) for p in persons]
        )
    if made.counts_other_children:
        built[_COUNT] = sum(_in_group(p, Group.OTHER_CHILDREN, subject_ref) for p in record["subjects"])
    return built


def groups_in(record: Mapping[str, Any], *, subject_ref: str) -> frozenset[Group]:
    """The groups that this event has anyone in, for a message about this person."""
    return frozenset(
        Group.SUBJECT if p["ref"] == subject_ref else group_of(PersonRole(p["role"])) for p in record["subjects"]
    )


def _in_group(person: Mapping[str, Any], group: Group, subject_ref: str) -> bool:
    if person["ref"] == subject_ref:
        return group is Group.SUBJECT
    return group is not Group.SUBJECT and group_of(PersonRole(person["role"])) is group


def _group_of(path: str) -> Group:
    if path == _COUNT:
        return Group.OTHER_CHILDREN
    head = path.split(".", 1)[0].removesuffix("[]")
    return Group(head) if head in _PERSON_GROUPS else Group.EVENT


def _view_of(
    schema: EventSchema, out: set[str], masks: Mapping[str, str], counts: bool
) -> tuple[dict[str, Any], Build, dict[Group, Build]]:
    """The schema of the view, and what builds its parts."""
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
    if counts:
        fields.append({"name": _COUNT, "type": "int"})
    raw = {"type": "record", "name": "View", "namespace": "safebus.view", "fields": fields}
    return raw, _record_builder(builders), build_person


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
    if path in masks:
        mask = MASKS[masks[path]]
        return mask.gives, lambda value, _ref: mask.apply(value)
    # Enums leave as their symbol: a symbol that is added later must not change the schema of a view.
    return ("string" if isinstance(node, dict) and node["type"] == "enum" else node), _same


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
    return lambda value, ref: {name: build(value[name], ref) for name, build in builders}


def _about_builder(person_ref: str, build: Build) -> Build:
    """Only the elements about the person the message is about (rule R17)."""
    return lambda value, ref: [build(item, ref) for item in value if item[person_ref] == ref]


def _same(value: Any, _ref: str) -> Any:
    return value


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
