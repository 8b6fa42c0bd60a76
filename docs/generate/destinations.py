"""What may stand in a destinations file?"""

from __future__ import annotations

import inspect
from typing import get_args

from docs.generate.markdown import code
from docs.generate.markdown import page as whole
from docs.generate.models import about, fields
from safebus.consumers.adapters import destinations, postgres


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
        "## A partner's table",
        "The partner makes the table and a role for the bus, which may write it and read back its own ids, and nothing "
        "else. `dsn_file` holds one line: `postgresql://safebus:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full` (a "
        "host that is this machine needs no TLS). A row that a trigger or row level security takes away, or hides from "
        "the role, is never sure to be there: then nothing is written, and the destination is held (`row_not_kept`).",
        code(*(line for line in f"{postgres.CREATE_TABLE};\n{postgres.GRANT};".splitlines()), language="sql"),
        source="`consumers/adapters/destinations.py`",
    )
