"""
What could go wrong with malice, what stands against it, and which test shows it?

`threats.yaml` says it in words. What it names is checked here: a test that is not there, or does not run, is an error,
so the page cannot promise what nobody tries.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from docs.generate.markdown import page as whole_page
from docs.generate.markdown import table

_SOURCE: Final = Path(__file__).with_suffix(".yaml")
TESTS: Final = Path(__file__).resolve().parents[2] / "tests"
ISSUES: Final = ("signatures of publishers", "sealed topics", "shredding", "evidence log")
_FIELDS: Final = {"number", "kind", "threat", "control", "tests"}
_DOES_NOT_RUN: Final = {"skip", "skipif", "xfail"}


class NotShown(Exception):
    """A threat of which the page would say more, or less, than is so."""


@dataclass(frozen=True)
class Threat:
    """
    One threat.

    Attributes:
        tests: `file::name`, below tests/.
        lacks: What the control does not cover.
        not_yet: The issue that will.
    """

    number: int
    kind: str
    threat: str
    control: str
    tests: tuple[str, ...] = ()
    lacks: str = ""
    not_yet: str = ""


def threats(source: Path = _SOURCE) -> list[Threat]:
    """
    All of them.

    Raises:
        NotShown: One names a test that is not there or does not run, or none, or an issue that does not exist.
    """
    found = [_threat(row) for row in yaml.safe_load(source.read_text("utf-8"))]
    if [threat.number for threat in found] != list(range(1, 36)):
        raise NotShown(f"`{source.name}` has {[t.number for t in found]}; expected 1 to 35, in order")
    return found


def _threat(row: dict[str, Any]) -> Threat:
    number = row.get("number")
    if not _FIELDS <= row.keys() <= _FIELDS | {"lacks", "not_yet"}:
        raise NotShown(f"threat {number} has {sorted(row)}; expected {sorted(_FIELDS)}, and lacks, not_yet at most")
    if row.get("not_yet", ISSUES[0]) not in ISSUES:
        raise NotShown(f"threat {number}: `{row['not_yet']}` is none of the issues to come ({', '.join(ISSUES)})")
    if "not_yet" in row and "lacks" not in row:
        raise NotShown(f"threat {number} waits for {row['not_yet']} and does not say what is lacking until then")
    tests = row.pop("tests")
    if not tests:
        raise NotShown(f"threat {number} names no test")
    for test in tests:
        if (why := why_not_run(test)) is not None:
            raise NotShown(f"threat {number}: {why}")
    return Threat(**row, tests=tuple(tests))


def why_not_run(test: str, *, tests: Path = TESTS) -> str | None:
    """What keeps this test from running, if anything does."""
    file, _, name = test.partition("::")
    if not (tests / file).is_file():
        return f"there is no `tests/{file}`"
    functions, of_all = _functions(tests / file)
    if name not in functions:
        return f"`tests/{file}` has no test `{name}`"
    marks = _marks(functions[name]) | of_all
    return f"`{test}` is marked {', '.join(sorted(marks))}" if marks else None


@cache
def _functions(file: Path) -> tuple[dict[str, ast.AST], frozenset[str]]:
    """Every test in a file, and what all of them are marked with."""
    tree = ast.parse(file.read_text("utf-8"))
    of_all: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            of_all |= _marks(node.value)
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return dict(functions), frozenset(of_all)


def _marks(node: ast.AST) -> set[str]:
    """`pytest.mark.skip` above it, `pytest.skip()` in it, and the like; of one parameter alone it counts, too."""
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr in _DOES_NOT_RUN}


def page() -> str:
    """The whole page, as Markdown."""
    rows = [
        (
            str(t.number),
            t.kind,
            t.threat,
            t.control,
            "<br>".join(f"`{test}`" for test in t.tests),
            " ".join(filter(None, (t.lacks, f"Not yet: {t.not_yet}." if t.not_yet else ""))) or "-",
        )
        for t in threats()
    ]
    return whole_page(
        "Threats",
        "What somebody with malice, or a slip, could do to a bus; what stands against it today; the tests that show "
        "it, below `tests/`; and what it does not cover. A test that is not there, or does not run, keeps this page "
        "from being made. What a stolen credential of each role can do: [security](../security.md).",
        table(("no.", "kind", "threat", "what stands against it", "shown by", "what is lacking"), rows),
        source="`docs/generate/threats.yaml`",
    )
