"""What a table looks like to whoever copies from it, searches it or keeps it."""

from __future__ import annotations

import pytest

from safebus.deploy.cli.options import Form
from safebus.deploy.cli.output import show

ID = "6f1c0f9e-0000-4000-8000-000000000001"
ROW = {"notification_id": ID, "event_id": ID[::-1], "why": "it asked to be left alone " * 12}


def test_in_a_pipe_each_row_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    show([ROW, ROW], Form.TABLE, columns=list(ROW))
    head, *rows = capsys.readouterr().out.splitlines()

    assert head.split() == list(ROW)
    assert [row.split(maxsplit=2) for row in rows] == [[ID, ID[::-1], ROW["why"].strip()]] * 2


def test_on_a_terminal_no_id_is_in_two_pieces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    show([ROW], Form.TABLE, columns=list(ROW))
    said = capsys.readouterr().out

    assert ID in said and ID[::-1] in said
    assert max(map(len, said.splitlines()[1:])) <= 100


def test_nothing_to_show_is_the_head_alone(capsys: pytest.CaptureFixture[str]) -> None:
    show([], Form.TABLE, columns=["notification_id", "why"])

    assert capsys.readouterr().out.split() == ["notification_id", "why"]
