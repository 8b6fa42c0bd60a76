"""
Does a pydantic class say the same as an Avro schema?

Both are turned into one plain form, so that a difference shows as a difference of two values.
"""

import types
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel
from pydantic_core import PydanticUndefined

ITS_OWN_DEFAULTS = "its own defaults"

_NAMES: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    bytes: "bytes",
    date: "date",
    datetime: "timestamp-millis",
    AwareDatetime: "timestamp-millis",
}


def of_class(found: Any) -> Any:
    """The plain form of a class, or of the annotation of a field."""
    if get_origin(found) in (Union, types.UnionType):
        one, other = get_args(found)
        assert other is type(None)
        return ("or null", of_class(one))
    if get_origin(found) is tuple:
        item, rest = get_args(found)
        assert rest is Ellipsis
        return ("list", of_class(item))
    if hasattr(found, "__metadata__"):
        return of_class(get_args(found)[0])
    if found in _NAMES:
        return _NAMES[found]
    if issubclass(found, StrEnum):
        return ("one of", [symbol.value for symbol in found])
    assert issubclass(found, BaseModel)
    return ("record", [(n, of_class(f.annotation), _default(f)) for n, f in found.model_fields.items()])


def of_avro(node: Any, named: dict[str, Any] | None = None) -> Any:
    """The plain form of an Avro schema."""
    named = {} if named is None else named
    if isinstance(node, list):
        assert node[0] == "null"
        return ("or null", of_avro(node[1], named))
    if isinstance(node, str):
        node = named.get(node, node)
    if isinstance(node, str):
        return {"int": "number", "long": "number"}.get(node, node)
    if "name" in node:
        named[node["name"].rpartition(".")[2]] = node
    if node["type"] == "array":
        return ("list", of_avro(node["items"], named))
    if node["type"] == "enum":
        return ("one of", list(node["symbols"]))
    if node["type"] == "record":
        return (
            "record",
            [
                (f["name"], of_avro(f["type"], named), ["=", f["default"]] if "default" in f else [])
                for f in node["fields"]
            ],
        )
    return node["logicalType"]


def _default(field: Any) -> list[Any]:
    if field.default is PydanticUndefined:
        return []
    value = field.default
    if isinstance(value, BaseModel) and value == type(value)():
        return ["=", ITS_OWN_DEFAULTS]
    return ["=", list(value) if isinstance(value, tuple) else value]
