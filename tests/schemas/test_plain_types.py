"""Nothing is taken for what it is not, wherever people or their programs fill a value in."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import safebus
from safebus.schemas.plain_types import Day, Moment, Whole, YesNo

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", [date(2015, 3, 2), "2015-03-02"])
def test_a_day_is_a_date_or_is_written_as_one(value: object) -> None:
    assert TypeAdapter(Day).validate_python(value) == date(2015, 3, 2)


@pytest.mark.parametrize(
    "value",
    [
        "00000000",
        "20150302",
        "2015-3-2",
        "02/03/2015",
        "0",
        "1425254400",
        "2015-02-30",
        "\uff12\uff10\uff11\uff15-03-02",
    ],
)
def test_text_that_only_might_be_a_day_is_none(value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(value)


@pytest.mark.parametrize("value", [0, 20150302, 1425254400.0, True, NOON, None, b"2015-03-02"])
def test_nothing_else_is_a_day(value: object) -> None:
    with pytest.raises(ValidationError, match="expected a date as 2026-11-22"):
        TypeAdapter(Day).validate_python(value)


@pytest.mark.parametrize("value", [NOON, "2026-11-22T12:00:00Z", "2026-11-22 12:00+00:00", "2026-11-22T12:00:00.000z"])
def test_a_moment_has_its_zone(value: object) -> None:
    assert TypeAdapter(Moment).validate_python(value) == NOON


@pytest.mark.parametrize("value", ["2026-11-22T12:00:00", "2026-11-22 12:00", NOON.replace(tzinfo=None)])
def test_a_time_without_a_zone_is_said_to_be_one(value: object) -> None:
    with pytest.raises(ValidationError, match="the time has no zone"):
        TypeAdapter(Moment).validate_python(value)


@pytest.mark.parametrize(
    "value", [0, 1.5, True, "0", "00000000", "2026-11-22", "2026-11-22T12:00:00 BST", date(2026, 1, 1)]
)
def test_nothing_else_is_a_moment(value: object) -> None:
    with pytest.raises(ValidationError, match="write the time as in"):
        TypeAdapter(Moment).validate_python(value)


@pytest.mark.parametrize("value", [True, 3.0, "3", None])
def test_only_a_whole_number_is_one(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Whole).validate_python(value)


@pytest.mark.parametrize("value", [1, 0, "yes", "true", "off", None])
def test_only_true_and_false_are_yes_and_no(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(YesNo).validate_python(value)


def test_no_model_has_a_field_that_is_read_loosely() -> None:
    """A new field gets one of the types above, or this fails and names it."""
    models = {model for model in _below(BaseModel) if model.__module__.startswith("safebus.")}
    loose = sorted(
        f"{model.__module__}.{model.__qualname__}: {kind}"
        for model in models
        for kind in _loose(model.__pydantic_core_schema__)
    )

    assert len(models) > 50
    assert loose == []


def _below(cls: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for package in ("schemas", "streams.register", "streams.rules", "consumers", "producers", "deploy.service"):
        found = importlib.import_module(f"{safebus.__name__}.{package}")
        for module in pkgutil.walk_packages(found.__path__, f"{found.__name__}."):
            importlib.import_module(module.name)
    todo = [cls]
    while todo:
        for sub in todo.pop().__subclasses__():
            todo.append(sub)
            yield sub


_NOT_ALIKE = {"int", "float", "bool", "date", "datetime", "decimal"}


def _loose(schema: Any) -> Iterator[str]:
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _loose(each)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")  # a field that is called `type` is a schema itself
    if isinstance(kind, str) and kind in _NOT_ALIKE and not schema.get("strict"):
        yield kind
    if kind == "function-before":
        name = getattr(schema["function"]["function"], "__module__", "")
        if name == "safebus.schemas.plain_types":
            return
    for key, each in schema.items():
        if key not in ("serialization", "metadata"):
            yield from _loose(each)
