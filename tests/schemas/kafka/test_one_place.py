"""Only `schemas.kafka`, and the lane inside Faust, know what is inside of aiokafka."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
INSIDE = re.compile(r"\b\w+(?:\(\))?\._(?:client|sender|coordinator|fetcher|subscription)\b")
OURS = ("self._client",)  # what a broker of ours calls its own settings


def test_nothing_else_reaches_into_a_kafka_client() -> None:
    """Whoever does breaks with each release of it; there it is pinned, and guarded by tests."""
    found = {
        f"{path.relative_to(ROOT)}: {hit}"
        for folder in ("schemas", "streams", "producers", "consumers", "deploy")
        for path in (ROOT / folder).rglob("*.py")
        if path.parent != ROOT / "schemas" / "kafka" and path != ROOT / "streams" / "worker" / "lane.py"
        for hit in INSIDE.findall(path.read_text("utf-8"))
        if hit not in OURS
    }

    assert found == set()
