"""A publisher's script is clean to two type checkers when it is right, and each mistake is seen on its line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.encoders.programs import made, run, tool

SCRIPT = """
import asyncio
import uuid
from datetime import UTC, datetime

from safebus import Accepted, BadInput, ChildAtIncident, ClaimedBasis, Connection, EncompassPayload, NotReachable
from safebus import OperationEncompass, Person, PersonRole, Publisher, Sender


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
#: What is right, and what somebody writes in its place.
MISTAKES = {
    "a case that is a number": ('case="4711"', "case=4711"),
    "no case": (', case="4711"', ""),
    "a case by its place": ('case="4711"', '"4711"'),
    "a field left out": ("present=True, ", ""),
    "a misspelt field": ("art6=", "art_6="),
    "a misspelt name": ("OperationEncompass, Person, ", "OperationEncompas, Person, "),
    "a misspelt attribute": ("accepted.offset", "accepted.ofset"),
    "not awaited": ("return await publisher", "return publisher"),
    "a role as text": ("role=PersonRole.CHILD", 'role="CHILD"'),
    "a time as text": ("recorded_at=now", 'recorded_at="2026-01-05"'),
    "a secret as text": ("case_secret=secret)", "case_secret=str(secret))"),
    "the payload of another": ("payload=EncompassPayload(", "payload=dict("),
}


def scripts(folder: Path) -> dict[str, int]:
    """Write the right one and each wrong one; file -> the line of its mistake, counted from 1."""
    (folder / "right.py").write_text(SCRIPT, "utf-8")
    lines = {}
    for number, (right, wrong) in enumerate(MISTAKES.values()):
        assert SCRIPT.count(right) == 1, right
        lines[f"wrong_{number}.py"] = SCRIPT[: SCRIPT.index(right)].count("\n") + 1
        (folder / f"wrong_{number}.py").write_text(SCRIPT.replace(right, wrong), "utf-8")
    return lines


def mypy(python: Path, folder: Path) -> set[tuple[str, int]]:
    """(file, line) of what it finds, as a user calls it: no settings of ours, from a folder of their own."""
    words = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "--no-error-summary"]
    words += ["--cache-dir", str(python.parent / "mypy"), "--hide-error-context", "--no-pretty"]
    words += [file.name for file in sorted(folder.glob("*.py"))]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.stderr == ""
    found = [line.split(":") for line in done.stdout.splitlines() if " error: " in line]
    return {(file, int(number)) for file, number, *_ in found}


def pyright(python: Path, folder: Path) -> set[tuple[str, int]]:
    """The same of pyright, in its strict mode."""
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', "utf-8")
    npm, node = tool("npm", "install Node.js"), tool("node", "install Node.js")
    at = made(
        Path(__file__).parent / "pyright",
        lambda at: run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], at=at),
    )
    words = [node, at / "node_modules/pyright/index.js", "--pythonpath", python, "--outputjson", "--project", folder]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.stderr == ""
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in found}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_the_right_script_is_clean_and_each_mistake_is_seen_on_its_line(
    python: Path, tmp_path: Path, checker: Callable[[Path, Path], set[tuple[str, int]]]
) -> None:
    expected = scripts(tmp_path)
    found = checker(python, tmp_path)

    assert {file for file, _ in found} == set(expected)  # and nothing about `right.py`
    assert {(file, line) for file, line in expected.items() if (file, line) not in found} == set()
