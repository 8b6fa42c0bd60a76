"""The documentation can be built, and its reference says what the code says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from a_page import ROOT

from docs.generate import REFERENCE, pages
from docs.generate.register import SECTIONS
from safebus.streams.register import entries


@pytest.mark.parametrize("name", pages())
def test_what_is_made_from_the_code_is_what_the_code_makes(name: str) -> None:
    """Otherwise: `python -m docs.generate`, and look at what changed."""
    assert (REFERENCE / name).read_text("utf-8") == pages()[name]


def test_every_section_of_a_register_folder_is_described() -> None:
    assert set(SECTIONS) == set(entries._SECTIONS)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)

    # Not `--quiet`: it drops the warnings before `--strict` counts them.
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert (tmp_path / "site" / "reference" / "register" / "index.html").exists()


def in_navigation(entry: Any) -> Iterator[str]:
    """Every page below an entry."""
    if isinstance(entry, str):
        yield entry
    else:
        for below in entry.values() if isinstance(entry, dict) else entry:
            yield from in_navigation(below)


def test_every_page_is_found_from_the_navigation() -> None:
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = set(in_navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))

    assert listed == there


def test_the_reader_of_a_page_asks_no_other_server() -> None:
    """A public agency reads this on a closed network."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    assert site["theme"]["font"] is False
    assert site["plugins"] == ["search"]


def test_a_commit_is_checked_by_what_make_runs() -> None:
    """Otherwise `pre-commit` and `make static` could say different things of the same commit."""
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    hooks = {hook["entry"].replace(" --force-exclude", "") for hook in local["hooks"]}
    target = (ROOT / "Makefile").read_text("utf-8").split("static: $(READY)\n")[1].split("\n\n")[0]
    made = {line.strip().removeprefix("@$(BIN)/") for line in target.splitlines()}

    assert {entry.removeprefix(".venv/bin/") for entry in hooks} == {
        line.replace(" --quiet", "").removesuffix(" .") for line in made if not line.startswith("safebus ")
    }
