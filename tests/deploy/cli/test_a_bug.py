"""A bug of ours is said in one line that names our own code and quotes nothing."""

import sys

import pytest

from safebus.deploy import cli
from safebus.streams.register import entries


def test_the_line_names_the_last_of_our_own_frames_and_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        entries.read_folder({"x.yaml": 4}, None, None)  # type: ignore[arg-type, dict-item]

    monkeypatch.setattr(cli, "app", app)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    said = capsys.readouterr().err
    assert ended.value.code == cli.FAILED
    assert said.startswith("safebus: a bug: ")
    assert "/streams/register/" in said, "not the library that it was handed on to, and not the command"
    assert sys.executable not in said
