"""What is shipped is the bus and all that it reads, under one name, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as file:
        return {name for name in file.namelist() if ".dist-info/" not in name}


def test_one_name_is_installed(names: set[str]) -> None:
    """`schemas` or `deploy` would clash with a publisher's own."""
    assert {name.split("/")[0] for name in names} == {"safebus"}


def test_no_test_is_shipped(names: set[str]) -> None:
    theirs = {f"safebus/{folder}testing.py" for folder in ("", "deploy/")}  # for a publisher's own tests
    assert [name for name in names - theirs if "test" in Path(name).name or "/tests/" in name] == []


@pytest.mark.parametrize("folder", ["schemas", "streams", "producers", "consumers", "deploy"])
def test_every_module_and_every_file_that_one_reads_is_shipped(names: set[str], folder: str) -> None:
    there = {file.relative_to(ROOT) for file in (ROOT / folder).rglob("*") if file.is_file()}
    read = {
        file for file in there if file.suffix in {".py", ".avsc", ".json", ".yaml", ".xml", ".sha256", ".md", ".typed"}
    }

    assert {f"safebus/{file.as_posix()}" for file in read} - names == set()


def test_its_types_are_shipped(names: set[str]) -> None:
    assert "safebus/py.typed" in names


def test_the_command_works_from_it(python: Path, tmp_path: Path) -> None:
    code = "from safebus.deploy.cli import main; import sys; sys.argv = ['safebus', 'schemas', 'check']; main()"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (
        0,
        "every schema is released, classified, and reads all that came before it\n",
    )
