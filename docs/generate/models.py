"""What may stand in each field of a model, in words?"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generate.markdown import table

_PLAIN = {
    str: "text",
    int: "whole number",
    bool: "true or false",
    date: "date",
    AwareDatetime: "time, with its zone",
    Path: "path",
}


def about(model: type[BaseModel]) -> str:
    """What its docstring says of it, without the part about its attributes."""
    return inspect.cleandoc(model.__doc__ or "").split("\nAttributes:")[0].strip()


def fields(model: type[BaseModel], *, renamed: Mapping[str, tuple[str, str]] | None = None) -> str:
    """
    A table of a model's fields.

    Args:
        renamed: Field -> (what stands in a file instead, what it holds).
    """
    said = _said(model)
    rows = []
    for name, field in model.model_fields.items():
        shown, what = (renamed or {}).get(name, (field.alias or name, type_in_words(field.annotation)))
        rows.append((f"`{shown}`", what, _default(field), said.get(name, "")))
    return table(("field", "holds", "if left out", "meaning"), rows)


def type_in_words(annotation: Any) -> str:
    """Such as "list of text", or "one of `draft`, `active`"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(type_in_words(one) for one in arguments if one is not type(None))
    if origin in (tuple, list):
        return f"list of {type_in_words(arguments[0])}"
    if origin is dict:
        return f"mapping of {type_in_words(arguments[0])} to {type_in_words(arguments[1])}"
    if origin is Literal:
        return _one_of([str(value) for value in arguments])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        values = [str(one.value) for one in annotation]
        return "[data class](events.md#data-classes)" if annotation.__name__ == "DataClass" else _one_of(values)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _one_of(values: list[str]) -> str:
    quoted = [f"`{value}`" for value in values]
    return quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted)}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    default = field.default if field.default is not PydanticUndefined else None
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, tuple) and default:
        return ", ".join(f"`{one}`" for one in default)
    if default is None or default in ((), {}) or isinstance(default, BaseModel):
        return "nothing"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _said(model: type[BaseModel]) -> dict[str, str]:
    """Field -> what the docstring says of it, or of that of the model it inherits from."""
    found = {name: field.description or "" for name, field in model.model_fields.items()}
    for one in reversed(model.__mro__):
        if not issubclass(one, BaseModel) or "Attributes:" not in (one.__doc__ or ""):
            continue
        name = ""
        for line in inspect.cleandoc(one.__doc__ or "").split("Attributes:")[1].splitlines():
            starts = re.match(r"    (\w+): (.*)", line)
            if starts and not line.startswith("     "):
                name, found[starts[1]] = starts[1], starts[2]
            elif line.strip() and name:
                found[name] += " " + line.strip()
    for name, text in list(found.items()):
        # Some lines say two things: "release: Data classes; `fields`: exact fields".
        mine, other, rest = *text.partition("; `")[:1], *text.partition("; `")[2].partition("`: ")[::2]
        if other in found and rest:
            found[name], found[other] = mine, rest
    return found
