"""What a publisher imports from `safebus` is typed, complete, and loads no more than it is."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import safebus

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import asyncio
import uuid
from datetime import UTC, datetime

from safebus import (
    Accepted, BadInput, ChildAtIncident, ClaimedBasis, Connection, EncompassPayload, NotReachable,
    OperationEncompass, Person, PersonRole, Publisher, Sender,
)


def told(number: str) -> OperationEncompass:
    now = datetime.now(UTC)
    return OperationEncompass(
        event_id=str(uuid.uuid4()), occurred_at=now, recorded_at=now, published_at=now,
        publisher=Sender(agency="fordshire-police", org_scheme="CJS-OU", org_code="99", org_name="Fordshire Police"),
        subjects=(Person(ref="child", role=PersonRole.CHILD, nhs_number=number),),
        claimed_basis=ClaimedBasis(art6="A6-1-c"), purpose="safeguarding",
        payload=EncompassPayload(
            police_reference="1", incident_type="domestic abuse",
            children=(ChildAtIncident(subject_ref="child", present=True, spoken_to=False),),
        ),
    )


async def send(broker: str, secret: bytes, number: str) -> Accepted | None:
    async with Publisher(Connection(broker), agency="fordshire-police", case_secret=secret) as publisher:
        try:
            return await publisher.publish(told(number), case="4711")
        except (BadInput, NotReachable):
            return None


def main() -> int:
    accepted = asyncio.run(send("127.0.0.1:9092", b"s" * 16, "9990079196"))
    return accepted.offset if accepted else -1
"""


def checked(python: Path, folder: Path, script: str) -> list[str]:
    """What mypy says of it, as a user calls it: no settings of ours, from a folder of their own."""
    file = folder / f"{folder.name}.py"  # mypy would take another script of this name, size and second for the same
    file.write_text(script, "utf-8")
    words = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "--no-error-summary"]
    words += ["--cache-dir", str(python.parent / "mypy"), file.name]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_users_script_is_type_checked(python: Path, tmp_path: Path) -> None:
    assert checked(python, tmp_path, SCRIPT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('case="4711"', "case=4711", 'Argument "case" to "publish" of "Publisher" has incompatible type "int"'),
        ("present=True, ", "", 'Missing named argument "present" for "ChildAtIncident"'),
        ("accepted.offset", "accepted.ofset", '"Accepted" has no attribute "ofset"'),
        ("OperationEncompass, Person, ", "OperationEncompas, Person, ", 'has no attribute "OperationEncompas"'),
    ],
)
def test_what_is_wrong_in_it_is_seen(python: Path, tmp_path: Path, right: str, wrong: str, said: str) -> None:
    """Otherwise the types could be `Any` and the check above say nothing."""
    found = checked(python, tmp_path, SCRIPT.replace(right, wrong, 1))

    assert any(said in line for line in found), found


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
