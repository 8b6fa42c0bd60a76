"""An event that its class does not allow, to see what becomes of one: pydantic's own copy asks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def unchecked(model: M, changes: Mapping[str, Any]) -> M:
    return BaseModel.model_copy(model, update=changes)
