"""
Which fields of this event may this recipient have?

A view is built from what the agreement names; nothing is ever removed from a copy. For each flow a plan is made once:
every leaf of the event's schema, for each group of persons, with the rule that releases or withholds it. How the view
follows from that is in `streams.rules.views`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from safebus.schemas.bus_records import FieldRule
from safebus.schemas.classes import MASKS, NEVER, PROSE, RESTRICTED_STRIPS, Category, DataClass, category
from safebus.schemas.event_schemas import EventSchema, Leaf
from safebus.streams.rules.agreements import Flow, Group
from safebus.streams.rules.reasons import Rule
from safebus.streams.rules.views import CODE, COUNT, View, view_of

#: Where an identifier stands that somebody had before, or by which the source finds it (rule R25).
EARLIER_IDENTIFIERS: Final = frozenset(
    {"payload.superseded_nhs_number", "payload.data_reference", "payload.source_event_id"}
)


_PERSONS = "subjects[]."
_PERSON_GROUPS = frozenset(group.value for group in Group if group is not Group.EVENT)
_STRIPPED_GROUPS = frozenset({Group.OTHER_CHILDREN, Group.ADULTS})  # related persons, as PDS leaves them out


class Restriction(Enum):
    """Whose record in an event is restricted, as PDS marks it (rule R16)."""

    NOBODY = "nobody"
    SUSPECT = "suspect"
    HOUSEHOLD = "household"


class Hidden(Enum):
    """
    What must not be seen in one event, whatever was agreed.

    EARLIER_NUMBERS: someone's earlier and present ones would be seen together (rule R25).
    OTHERS: one of them may be somebody adopted under their earlier name (rule R25).
    HOMES, SCENE: a safe address is written there too, and cannot be told from an ordinary one.
    """

    EARLIER_NUMBERS = "earlier numbers"
    OTHERS = "the other persons"
    HOMES = "homes"
    SCENE = "the place of the incident"


_PLACES: Final = {DataClass.LOCATION_HOME: Hidden.HOMES, DataClass.LOCATION_INCIDENT: Hidden.SCENE}


@dataclass(frozen=True)
class ViewLeaf:
    """A leaf as a recipient sees it: `path` is the view path, `source` the path in the event."""

    path: str
    source: str
    group: Group
    data_class: DataClass
    kind: str
    since: int
    nullable: bool = False
    coded: bool = False


class Listing(NamedTuple):
    """Released and withheld fields as a decision record lists them: a part with one answer stands once, as `part.*`."""

    released: tuple[FieldRule, ...]
    withheld: tuple[FieldRule, ...]


@dataclass(frozen=True)
class Plan:
    """
    What one flow releases of one event type.

    Attributes:
        restricted: Whose record it takes for restricted.
        hides: What must not be seen besides.
        released, withheld: (view path, rule) in the order of the schema.
        masks: View path -> name of the mask, or `views.CODE`.
        coded: View path -> path in the event, of what goes only where it is a code.
        sources: Paths in the event of all that is released.
        view: What builds the released ones.
    """

    schema: EventSchema
    restricted: Restriction
    hides: frozenset[Hidden]
    released: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]
    masks: Mapping[str, str]
    coded: Mapping[str, str]
    sources: frozenset[str]
    view: View
    _listings: dict[tuple[frozenset[Group], Any], Listing] = field(default_factory=dict)

    def listing(self, built: Mapping[str, Any], groups: frozenset[Group]) -> Listing:
        """
        What is released and withheld in one message. What may go and is not there stands in neither list.

        Args:
            built: Its view as plain values.
            groups: Those that the event has anyone in, see `views.groups_in`.
        """
        key = (groups, _shape(built))
        if key not in self._listings:
            if len(self._listings) >= _MOST_LISTINGS:
                self._listings.clear()
            present = {Group.EVENT, *groups}
            leaves = {path: (True, rule) for path, rule in self.released if _group_of(path) in present}
            leaves |= {path: (False, rule) for path, rule in self.withheld if _group_of(path) in present}
            leaves |= {path: (True, Rule.ENVELOPE.name) for path in ENVELOPE if not leaves[path][0]}
            empty = frozenset(path for path, _ in self.released if not _holds(built, path.split(".")))
            self._listings[key] = collapse(leaves, empty)
        return self._listings[key]

    def covers(self, other: Plan) -> bool:
        """Does this plan release all that the other does, as clearly or more so?"""
        mine = {path for path, _ in self.released}
        # Who may have the children one by one may have their number.
        mine |= {COUNT} if any(_group_of(path) is Group.OTHER_CHILDREN for path in mine) else set()
        return all(path in mine and self.masks.get(path) in (None, other.masks.get(path)) for path, _ in other.released)


#: What stands around every notification, whatever its view holds (`consumers.delivery.parcels`).
ENVELOPE: Final = ("event_id", "event_type", "lifecycle", "publisher.agency", "purpose", "urgency")

#: What is empty differs from event to event; what follows from it is made again where it is not at hand.
_MOST_LISTINGS = 1024


#: The leaves that say nothing, and the types that have leaves.
_NOTHING: Final = (None, "")
_PARTS: Final = frozenset({dict, list})


def _shape(built: Any) -> Any:
    """Where a view holds something and where nothing: the same for most events, so that a listing is made once."""
    if type(built) is dict:
        return tuple([_shape(inner) if type(inner) in _PARTS else inner in _NOTHING for inner in built.values()])
    if type(built) is list:
        return frozenset([_shape(inner) for inner in built])
    return built in _NOTHING


def _holds(built: Any, steps: list[str]) -> bool:
    """Is there anything at the end of these steps of a view, in any element of a list on the way?"""
    if built is None or not steps:
        return built not in _NOTHING and built != []
    inner = built[steps[0].removesuffix("[]")]
    if steps[0].endswith("[]"):
        return any(_holds(element, steps[1:]) for element in inner)
    return _holds(inner, steps[1:])


def collapse(leaves: Mapping[str, tuple[bool, str]], empty: frozenset[str] = frozenset()) -> Listing:
    """
    Leaves as a person would list them: a part of which every leaf has the same answer stands once, as `part.*`.

    Args:
        leaves: Path -> (released, rule).
        empty: Those that are not listed, nor is a part that has one of them listed as a whole.
    """
    answers: dict[str, set[tuple[bool, str]]] = {}
    for path, answer in leaves.items():
        for prefix in _prefixes(path):
            answers.setdefault(prefix, set()).add((False, "") if path in empty else answer)
    listed: dict[str, tuple[bool, str]] = {}
    for path, answer in leaves.items():
        if path in empty:
            continue
        part = next((p for p in _prefixes(path) if len(answers[p]) == 1), None)
        listed[f"{part}.*" if part else path] = answer
    return Listing(
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
                    found.append(_view_leaf(prefix + rest, leaf, group))
        else:
            found.append(_view_leaf(leaf.path, leaf, Group.EVENT))
    return tuple(found)


def _view_leaf(path: str, leaf: Leaf, group: Group) -> ViewLeaf:
    return ViewLeaf(
        path, leaf.path, group, leaf.data_class, leaf.kind, leaf.since, leaf.nullable, leaf.is_code is not None
    )


def view_paths(schema: EventSchema) -> dict[str, ViewLeaf]:
    """View path -> leaf."""
    return {leaf.path: leaf for leaf in view_leaves(schema)}


def plan(
    schema: EventSchema,
    flow: Flow,
    *,
    restricted: Restriction,
    conditions: frozenset[Category],
    hides: frozenset[Hidden] = frozenset(),
) -> Plan:
    """
    What this flow releases of this type of event.

    Args:
        restricted: Whose record is restricted (rule R16).
        conditions: The categories for which the basis holds a condition (rule R07); ORDINARY needs none.
        hides: What must not be seen in this event besides.
    """
    key = (schema.fingerprint, flow.key, restricted, conditions, hides)
    made = _PLANS.get(key)
    # The fingerprint leaves out data classes and `since`, and a plan rests on both.
    if made is None or (made.schema is not schema and made.schema.raw != schema.raw):
        if len(_PLANS) >= _MOST_PLANS:
            _PLANS.clear()
        made = _PLANS[key] = _plan(schema, flow, restricted=restricted, conditions=conditions, hides=hides)
    return made


# A plan follows from its key alone, so keeping it changes no answer. Bounded: agreements come and go.
_MOST_PLANS = 4096
_PLANS: dict[tuple[bytes, str, Restriction, frozenset[Category], frozenset[Hidden]], Plan] = {}


def _plan(
    schema: EventSchema,
    flow: Flow,
    *,
    restricted: Restriction,
    conditions: frozenset[Category],
    hides: frozenset[Hidden],
) -> Plan:
    released: list[tuple[str, str]] = []
    withheld: list[tuple[str, str]] = []
    masks: dict[str, str] = {}
    coded: dict[str, str] = {}
    sources: set[str] = set()
    for leaf in view_leaves(schema):
        decided_by, is_released = rule_for(leaf, flow, restricted=restricted, conditions=conditions, hides=hides)
        rule = decided_by.name
        if is_released:
            sources.add(leaf.source)
        if is_released and leaf.path in flow.mask:
            masks[leaf.path] = flow.mask[leaf.path]
            rule = f"{rule}, {MASKS[flow.mask[leaf.path]].says}"
        elif is_released and leaf.coded and leaf.path not in flow.fields:
            masks[leaf.path] = CODE
            coded[leaf.path] = leaf.source
        (released if is_released else withheld).append((leaf.path, rule))
    if flow.mask.get("other_children") == "count" and restricted is not Restriction.HOUSEHOLD:
        released.append((COUNT, f"{Rule.AGREEMENT.name}, released: how many"))
    fields = tuple(f"{path}: {masks[path]}" if path in masks else path for path, _ in released)
    return Plan(
        schema=schema,
        restricted=restricted,
        hides=hides,
        released=tuple(released),
        withheld=tuple(withheld),
        masks=masks,
        coded=coded,
        sources=frozenset(sources),
        view=view_of(schema, fields),
    )


def rule_for(
    leaf: ViewLeaf,
    flow: Flow,
    *,
    restricted: Restriction,
    conditions: frozenset[Category],
    hides: frozenset[Hidden] = frozenset(),
) -> tuple[Rule, bool]:
    """
    The rule that decides about one leaf, and whether it releases it.

    Refusals are looked for first, so none can be overridden by naming a field twice.
    """
    if leaf.data_class in NEVER:
        return Rule.NEVER, False
    if leaf.since > flow.schema_version:
        return Rule.SINCE, False
    if _strips(restricted, leaf):
        return Rule.R16, False
    if Hidden.EARLIER_NUMBERS in hides and leaf.source in EARLIER_IDENTIFIERS:
        return Rule.R25, False
    if Hidden.OTHERS in hides and leaf.group not in (Group.EVENT, Group.SUBJECT):
        return Rule.R25, False
    if _PLACES.get(leaf.data_class) in hides:
        return Rule.SAFE_PLACE, False
    named = leaf.path in flow.fields
    if leaf.data_class in PROSE and not named:
        return Rule.PROSE, False
    if not named and leaf.data_class not in flow.release.of(leaf.group):
        return Rule.NOT_NAMED, False
    if category(leaf.data_class) not in conditions | {Category.ORDINARY}:
        return Rule.R07, False
    return Rule.AGREEMENT, True


def _strips(restricted: Restriction, leaf: ViewLeaf) -> bool:
    """Must this go, because of a restricted record?"""
    if restricted is Restriction.HOUSEHOLD:
        return leaf.data_class in RESTRICTED_STRIPS or leaf.group in _STRIPPED_GROUPS
    own = restricted is Restriction.SUSPECT and leaf.group is Group.ALLEGED_PERPETRATORS
    return own and leaf.data_class in RESTRICTED_STRIPS


def _group_of(path: str) -> Group:
    if path == COUNT:
        return Group.OTHER_CHILDREN
    head = path.split(".", 1)[0].removesuffix("[]")
    return Group(head) if head in _PERSON_GROUPS else Group.EVENT
