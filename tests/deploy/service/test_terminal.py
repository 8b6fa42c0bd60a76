"""Nothing that somebody typed acts on a terminal or in a spreadsheet, whatever command shows it."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebus.consumers.audit.reconcile.balance import Account, Discrepancy, Finding
from safebus.deploy import cli
from safebus.deploy.cli.options import Form
from safebus.deploy.cli.output import say_strange, show
from safebus.deploy.cli.reconcile import _tables
from safebus.deploy.service.terminal import cell, for_a_spreadsheet, say, tell, visible
from safebus.schemas.own_records import Strange

ACTS = ["\x1b[2J\x1b[1;31m", "\x1b]0;title\x07", "\r", "\b\b", "\u202eTIMREP", "\u2066x\u2069", "\x9b31m", "\u2028"]


@pytest.mark.parametrize("text", ACTS, ids=ascii)
def test_what_would_act_is_shown_by_its_code_point(text: str) -> None:
    found = visible(f"REFUSE{text}")

    assert found.startswith(r"REFUSE\u{")
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp") for c in found)


@pytest.mark.parametrize(
    "text", ["Zo\u00eb O\u2019Neill", "\u674e\u5c0f\u9f99", "Sm\u0142th \u00a31", "two\nlines", ""]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_no_text_acts_and_none_is_lost(text: str) -> None:
    found = visible(text)

    assert all(c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in found)
    assert "\n" not in cell(text)
    if "\\u{" not in text:  # then it can be read back
        assert re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), found) == text


@pytest.mark.parametrize("text", ["=1+1", "+44 1632 960000", "-2", "@SUM(A1)", "\t=1", "\uff1dHYPERLINK(A1)"])
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    assert for_a_spreadsheet(text).startswith(("'", "\\u{"))
    assert (for_a_spreadsheet(-2), for_a_spreadsheet(None), for_a_spreadsheet("a=b")) == ("-2", "", "a=b")


def test_in_csv_nothing_that_stands_between_two_separators_of_another_kind_begins_a_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A spreadsheet may be set to `;`: quoted, it stays one cell."""
    show([{"who": "a;=1+1"}], Form.CSV, columns=["who"])

    assert capsys.readouterr().out == '"who"\n"a;=1+1"\n'


ROWS = [{"who": "=cmd|'/c calc'!A0", "why": "[red]PERMIT[/red] [link=https://example.com]x[/link]\x1b[2J\n\u202e"}]


def test_a_table_takes_nothing_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Form.TABLE, columns=["who", "why"])

    out = capsys.readouterr().out
    assert "[red]PERMIT[/red] [link=https://example.com]x[/link]\\u{1b}[2J\\u{a}\\u{202e}" in out


def test_csv_is_whole_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Form.CSV, columns=["who", "why"])

    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["who"] == "'=cmd|'/c calc'!A0"
    assert row["why"].endswith("\\u{1b}[2J\\u{a}\\u{202e}")


def test_an_operator_is_told_once_of_all_that_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    say_strange([])
    say_strange([Strange("quarantine", 0, n, "TRUNCATED") for n in range(7)])

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("left out, because the bus did not write it: quarantine/0/0 (TRUNCATED), ")
    assert line.endswith("quarantine/0/4 (TRUNCATED) and 2 more; find who could write there")


def test_a_name_with_a_new_line_begins_no_finding_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt's id is whatever somebody wrote there."""
    forged = Finding(Discrepancy.UNKNOWN_RECEIPT, "n-1\nLOST  e-9", "e-1", "x", "receipts.ash/0/1", "forged")
    _tables(Account(findings=[forged]))

    out = capsys.readouterr().out
    assert "n-1\\u{a}LOST  e-9" in out
    assert [line for line in out.splitlines() if line.startswith("LOST")] == []


def test_json_is_what_it_was_and_acts_on_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Form.JSON, columns=["who", "why"])

    out = capsys.readouterr().out
    assert json.loads(out) == ROWS
    assert out.isascii() and "\x1b" not in out


def test_what_is_said_goes_where_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    tell("data\x1b")
    say("to a person\x1b")

    assert capsys.readouterr() == ("data\\u{1b}\n", "to a person\\u{1b}\n")


def test_no_command_prints_in_another_way() -> None:
    """`print`, `typer.echo` and `rich` know nothing of it; `output.py` makes tables and a bar of its own words."""
    found = []
    for path in sorted(Path(cli.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write"):
                    found.append((path.name, name))
                if name.endswith("Console") and path.name != "output.py":
                    found.append((path.name, name))

    assert found == []
