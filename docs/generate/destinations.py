"""What may stand in a destinations file?"""

from __future__ import annotations

import inspect
from typing import get_args

from docs.generate.markdown import code
from docs.generate.markdown import page as whole
from docs.generate.models import about, fields
from safebus.consumers.adapters import destinations


def page() -> str:
    """The page."""
    _, says, example, rest = inspect.cleandoc(destinations.__doc__ or "").split("\n\n", 3)
    union, _ = get_args(destinations.Destination)
    parts: list[str] = []
    for model in get_args(union):
        parts += [f"## {model.__name__.lower()}", about(model), fields(model)]
    return whole(
        "Destinations",
        says,
        code(*(line.strip() for line in example.splitlines()), language="yaml"),
        rest,
        *parts,
        source="`consumers/adapters/destinations.py`",
    )
