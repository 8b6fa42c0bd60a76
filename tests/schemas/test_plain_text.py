"""A file that cannot be read is said with its name, its place and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebus.schemas.errors import BadInput
from safebus.schemas.plain_text import bytes_of, decoded, text_of


def test_utf_8_is_read_with_and_without_its_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    for mark in (b"", b"\xef\xbb\xbf"):
        file.write_bytes(mark + "name: Siobh\xe1n\n".encode())
        assert text_of(file) == "name: Siobh\xe1n\n"


def test_what_is_not_utf_8_is_named_by_file_line_column_and_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("a: 1\nname: O\u2019Hara\n".encode("cp1252"))

    with pytest.raises(BadInput) as caught:
        text_of(file)
    assert str(caught.value) == (
        f"`{file}`: line 2, column 8: byte 0x92 is not UTF-8 "
        "(an accent or a curly quote saved as Windows-1252?); save it as UTF-8"
    )


def test_a_column_counts_characters_as_an_editor_does() -> None:
    with pytest.raises(UnicodeError, match="line 1, column 3: byte 0xFF"):
        decoded(b"\xef\xbb\xbf" + "\xe1\xe9".encode() + b"\xff")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file or directory"):
        bytes_of(tmp_path / "none.json")
    with pytest.raises(BadInput, match="is a folder; name the files in it"):
        bytes_of(tmp_path)
    with pytest.raises(BadInput, match=r"'a\\x00b' is no name of a file"):
        bytes_of(Path("a\x00b"))
