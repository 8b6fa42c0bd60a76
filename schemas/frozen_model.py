"""What is true of every value that comes in or is written down: nothing changes it, and nothing in it is ignored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A value that cannot be changed, and in which a field that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
