"""
Which small worlds are told first?

Those of `tests/oracle/worlds.py`: a register folder, one event and a moment each, near every edge the rules have. They
are drawn once, by the tree that asks, and handed to both as text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.oracle.worlds import World, worlds


def draw(count: int, *, among: int) -> list[dict[str, Any]]:
    """At most so many worlds, each once, always the same for a seed (`among`)."""
    found: dict[str, dict[str, Any]] = {}

    @seed(among)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def keep(world: World) -> None:
        plain = {"files": world.files, "event": world.event, "now": world.now.isoformat()}
        found[json.dumps(plain)] = plain

    keep()
    return [*found.values()]


def write(count: int, *, among: int, file: Path) -> int:
    """Draw worlds into a file for both trees; returns how many."""
    drawn = draw(count, among=among)
    file.write_text(json.dumps(drawn), "utf-8")
    return len(drawn)
