"""
Can a flow release what it names, and blur what it masks?

A class that nobody of the group has, or a mask on what stays behind, is a slip: whoever wrote it believes that
something is shared, or blurred, and it is not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from safebus.schemas.classes import MASKS, NEVER, Category
from safebus.schemas.event_schemas import EventSchema
from safebus.streams.rules.agreements import Flow, Group
from safebus.streams.rules.reasons import Rule
from safebus.streams.rules.release import Restriction, ViewLeaf, rule_for, view_leaves, view_paths

_COUNTED, _COUNT = Group.OTHER_CHILDREN.value, "count"


def release_problems(flow: Flow, schema: EventSchema) -> Iterator[tuple[str, str]]:
    """
    What of a flow's `release` and `mask` cannot be.

    Yields:
        (field of the flow, what was found and what it could be).
    """
    yield from (("release", problem) for problem in _classes(flow, schema))
    paths = view_paths(schema)
    for path, mask in flow.mask.items():
        problem = _blurring(path, mask, paths, flow)
        if problem:
            yield "mask", problem


def _classes(flow: Flow, schema: EventSchema) -> Iterator[str]:
    leaves = view_leaves(schema)
    for group in Group:
        has = {leaf.data_class for leaf in leaves if leaf.group is group} - NEVER
        for named in sorted(flow.release.of(group) - has):
            yield (
                f"`{group}` names {named}, which no field of `{group}` in `{flow.event_type}` is; "
                f"there are {', '.join(sorted(has))}"
            )


def _blurring(path: str, mask: str, paths: dict[str, ViewLeaf], flow: Flow) -> str:
    if (path, mask) == (_COUNTED, _COUNT):
        return ""
    if path == _COUNTED or mask == _COUNT:
        return f"found `{path}: {mask}`; only `{_COUNTED}` is counted, and `{_COUNT}` is all that it takes"
    if path not in paths:
        return f"`{path}` is no field of `{flow.event_type}`{_near(path, paths)}"
    if mask not in MASKS:
        return f"unknown mask `{mask}`{_near(mask, MASKS)}; known are {', '.join(sorted(MASKS))}"
    how, leaf = MASKS[mask], paths[path]
    if how.leaf not in (None, path.rsplit(".", 1)[-1]):
        return f"mask `{mask}` is for a `{how.leaf}` only, and `{path}` is none"
    if how.takes != leaf.kind:
        return f"mask `{mask}` blurs a {how.takes}, and `{path}` is a {leaf.kind}"
    if not (how.always or leaf.nullable):
        return (
            f"mask `{mask}` leaves out what it cannot blur, and `{path}` may not be left out; "
            "release it as it is, or not at all"
        )
    return _staying(leaf, flow)


def _staying(leaf: ViewLeaf, flow: Flow) -> str:
    """Why a masked field stays behind; empty: it is released."""
    # Whether the basis holds the condition that the law asks for (R07) is another question: a field may wait for it.
    rule, is_released = rule_for(leaf, flow, restricted=Restriction.NOBODY, conditions=frozenset(Category))
    if is_released:
        return ""
    why = {
        Rule.NEVER: "may be released by no agreement",
        Rule.SINCE: f"came with version {leaf.since}, and this flow was signed for version {flow.schema_version}",
        Rule.PROSE: "is free text, which only `fields` releases; name it there, or take the mask away",
    }.get(rule, f"is not released; name {leaf.data_class} in `release.{leaf.group}`, or take the mask away")
    return f"a mask releases nothing, and `{leaf.path}` {why}"


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return f"; did you mean `{close[0]}`?" if close else ""
