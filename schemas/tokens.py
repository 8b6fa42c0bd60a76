"""
Which parts of a record stand for a person, and how are they written down and read?

A field that holds a token says so in its type, and what is written down is dressed (`schemas.keys`) wherever such a
field stands, however deep: who adds a field has to say nothing anywhere else.

    subject_token: Token                  the whole text
    ids: tuple[NamedToken, ...]           `name token`, as in `nhs 0f3a...`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Protocol, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from safebus.schemas.errors import BadSchema

M = TypeVar("M", bound=BaseModel)

Change = Callable[[str], str]
_Walk = Callable[[Any, Change], Any]


@dataclass(frozen=True)
class _Stands:
    """Marks a text that holds a token; `named`: after a name and a space."""

    named: bool


Token = Annotated[str, _Stands(named=False)]
NamedToken = Annotated[str, _Stands(named=True)]


class Dresser(Protocol):
    """What of a key is needed here: `schemas.keys` has two that do."""

    @property
    def generation(self) -> int:
        """The one that is written under."""
        ...

    @property
    def newest(self) -> int:
        """The last one that is held."""
        ...

    def dressed(self, token: str) -> str:
        """A token as it is written down."""
        ...

    def plain(self, written: str) -> str:
        """The token that was written down."""
        ...


def dressed(record: M, key: Dresser) -> M:
    """A record as it is written down under the key's generation; errors as `DigestKey.dressed`."""
    return record if key.generation == 1 else _changed(record, key.dressed)


def plain(record: M, key: Dresser) -> M:
    """A record as it is known here, under whichever generation it was written; errors as `DigestKey.plain`."""
    return record if key.newest == 1 else _changed(record, key.plain)


def changed_values(values: dict[str, Any], model: type[BaseModel], change: Change) -> dict[str, Any]:
    """The same for a record as plain values, such as JSON gives."""
    return values | {
        name: walk(values[name], change) for name, walk in walks_of(model).items() if values.get(name) is not None
    }


def _changed(record: M, change: Change) -> M:
    found = {
        name: walk(value, change)
        for name, walk in walks_of(type(record)).items()
        if (value := getattr(record, name)) is not None
    }
    return record.model_copy(update=found) if found else record


@cache
def walks_of(model: type[BaseModel]) -> Mapping[str, _Walk]:
    """
    The fields of a model that hold tokens, and how to change those in their values.

    Raises:
        BadSchema: A token stands in something that is no text, tuple, list, mapping or record.
    """
    found = {name: _walk(each.annotation, each.metadata) for name, each in model.model_fields.items()}
    return {name: walk for name, walk in found.items() if walk is not None}


def _walk(kind: Any, marks: Any = ()) -> _Walk | None:
    """How the tokens in values of this type are changed; None: there are none."""
    mark = next((each for each in marks if isinstance(each, _Stands)), None)
    if mark is not None:
        return _named if mark.named else _whole
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _walk(args[0], args[1:])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _changed if walks_of(kind) else None
    inner = [walk for each in args if (walk := _walk(each)) is not None]
    if not inner:
        return None
    if origin in (Union, UnionType) and len(inner) == 1:
        return inner[0]
    if (origin is tuple and args[1:] == (...,)) or origin is list:
        return lambda value, change: type(value)(inner[0](each, change) for each in value)
    if origin is dict and _walk(args[0]) is None:
        return lambda value, change: {name: inner[0](each, change) for name, each in value.items()}
    raise BadSchema(f"a token stands in `{kind}`, where it is not found again; use a tuple, list, dict or record")


def _whole(value: str, change: Change) -> str:
    return change(value)


def _named(value: str, change: Change) -> str:
    name, _, token = value.rpartition(" ")
    return f"{name} {change(token)}"
