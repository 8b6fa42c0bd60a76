"""
May this schema replace the one that was released?

A later schema must read every older one, and must not change what anybody is given. So:
    - a field that was there stays, with its type, the name of that type, class and `since`
    - an enum keeps its symbols, in order; new ones come last
    - a new field has a default, a class, and `since` = the new version: agreements that name an earlier
      version do not release it until someone decides
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from safebus.schemas.event_schemas import EventSchema, EventSchemas


def problems(schemas: EventSchemas) -> list[str]:
    """
    Everything that speaks against the current schemas, one line each; empty when there is nothing.

    A current schema that differs from the newest released one is a problem too: nobody may write bytes
    under a schema that is not frozen (`safebus schemas release`).
    """
    found: list[str] = []
    for event_type, current in sorted(schemas.current.items()):
        past = schemas.released.get(event_type, ())
        for older in past:
            found += [f"{event_type}: {line}" for line in _against(older, current)]
        if not past or past[-1].raw != current.raw:
            found.append(
                f"{event_type}: version {current.version} is not released; `safebus schemas release` freezes it"
            )
    return found


def against(older: EventSchema, current: EventSchema) -> list[str]:
    """What speaks against `current` taking the place of `older`."""
    return list(_against(older, current))


def _against(older: EventSchema, current: EventSchema) -> Iterator[str]:
    yield from _compare(older.raw, current.raw, "", version=current.version, was_named={}, is_named={})


def _compare(
    was: Any, is_: Any, path: str, *, version: int, was_named: dict[str, Any], is_named: dict[str, Any]
) -> Iterator[str]:
    was, is_ = _known(was, was_named), _known(is_, is_named)
    if isinstance(was, list) or isinstance(is_, list):
        if not (isinstance(was, list) and isinstance(is_, list)):
            yield f"`{path}` changed whether it may be null; add a new field instead"
            return
        was, is_ = _known(_not_null(was), was_named), _known(_not_null(is_), is_named)
    if isinstance(was, str) or isinstance(is_, str):
        if was != is_:
            yield f"`{path}` changed type from `{_name(was)}` to `{_name(is_)}`; add a new field instead"
        return
    if was["type"] != is_["type"] or was.get("logicalType") != is_.get("logicalType"):
        yield f"`{path}` changed type from `{_name(was)}` to `{_name(is_)}`; add a new field instead"
    elif was.get("name") != is_.get("name"):
        yield f"`{path}` changed name from `{_name(was)}` to `{_name(is_)}`; readers match by name, so keep it"
    elif was["type"] == "enum":
        if is_["symbols"][: len(was["symbols"])] != was["symbols"]:
            yield f"enum `{path}` lost or moved a symbol; append new symbols only"
    elif was["type"] == "array":
        yield from _compare(
            was["items"], is_["items"], f"{path}[]", version=version, was_named=was_named, is_named=is_named
        )
    elif was["type"] == "record":
        yield from _fields(was, is_, path, version=version, was_named=was_named, is_named=is_named)


def _fields(
    was: Any, is_: Any, path: str, *, version: int, was_named: dict[str, Any], is_named: dict[str, Any]
) -> Iterator[str]:
    now = {field["name"]: field for field in is_["fields"]}
    for field in was["fields"]:
        step = f"{path}.{field['name']}" if path else field["name"]
        if field["name"] not in now:
            yield f"`{step}` is gone; older events could lose it, so keep it"
            continue
        same = now.pop(field["name"])
        for note in ("dataClass", "since", "personRef"):
            if field.get(note) != same.get(note):
                yield (
                    f"`{step}` changed `{note}` from `{field.get(note)}` to `{same.get(note)}`; agreements were "
                    "signed over the old one, so add a new field or a new event type"
                )
        yield from _compare(field["type"], same["type"], step, version=version, was_named=was_named, is_named=is_named)
    for name, field in now.items():
        step = f"{path}.{name}" if path else name
        if "default" not in field:
            yield f"new field `{step}` has no default, so older events cannot be read"
        if field.get("since") != version:
            yield f"new field `{step}` has since `{field.get('since')}`, expected {version}, the version that brings it"


def _known(node: Any, named: dict[str, Any]) -> Any:
    if isinstance(node, str):
        return named.get(node, node)
    if isinstance(node, Mapping) and "name" in node:
        named[node["name"]] = node
    return node


def _not_null(union: list[Any]) -> Any:
    return next(branch for branch in union if branch != "null")


def _name(node: Any) -> str:
    return node if isinstance(node, str) else str(node.get("logicalType", node.get("name", node["type"])))
