"""What a publisher imports from `safebus` is complete, and loads no more than it is."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import safebus

ROOT = Path(__file__).resolve().parents[2]


def test_type_checkers_and_the_interpreter_see_the_same() -> None:
    seen: dict[str, str] = {}
    for node in ast.walk(ast.parse((ROOT / "safebus" / "__init__.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("safebus."):
            seen |= {name.name: str(node.module) for name in node.names}

    def home(name: str) -> str:
        found = getattr(safebus, name)
        # A class says where it is from; a module, which folder it stands in.
        return str(found.__module__ if isinstance(found, type) else found.__package__)

    assert {name: home(name) for name in safebus.__all__} == seen
    assert set(safebus.__all__) <= set(dir(safebus))


def test_every_event_class_is_there() -> None:
    from safebus.schemas.events import EVENT_CLASSES

    assert {cls.__name__ for cls in EVENT_CLASSES.values()} <= set(safebus.__all__)


def test_a_name_that_is_not_there_says_which_are() -> None:
    with pytest.raises(AttributeError, match=r"module `safebus` has no `Publicher`; it has .*, Publisher, "):
        _ = safebus.Publicher  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "loaded"),
    [
        ("import safebus", []),
        ("from safebus import BadInput", ["safebus.schemas", "safebus.schemas.errors"]),
    ],
)
def test_asking_for_one_part_loads_no_other(asked: str, loaded: list[str]) -> None:
    code = f"{asked}\nimport json, sys; print(json.dumps(sorted(m for m in sys.modules if m.startswith('safebus.'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(done.stdout) == loaded


def test_a_publisher_loads_neither_worker_nor_adapters() -> None:
    """Nor what only they need, which a publisher has not installed."""
    code = "from safebus import *\nimport json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    others = ("safebus.streams", "safebus.consumers", "faust", "aiohttp", "asyncpg", "confluent_kafka", "typer")
    assert [m for m in json.loads(done.stdout) if m.startswith(others)] == []
