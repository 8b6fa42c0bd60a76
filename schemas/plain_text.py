"""
What does this file say, and if it cannot be read, where and why?

People save files from programs that do not say in what encoding. Guessing it would change a name (`Siobhán`), so
anything but UTF-8 is named with its place and what to do. The byte order mark that some programs put before UTF-8 is
left out.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from safebus.schemas.errors import BadInput

_OTHERS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark begins it
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def bytes_of(path: Path) -> bytes:
    """
    All of a file.

    Raises:
        BadInput: It cannot be read; names the file and why.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise BadInput(f"`{path}` is a folder; name the files in it") from None
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None
    except ValueError:  # a NUL in its name
        raise BadInput(f"{str(path)!r} is no name of a file") from None


def text_of(path: Path) -> str:
    """
    The text of a file.

    Raises:
        BadInput: It cannot be read, or is not UTF-8; names the file and the place.
    """
    try:
        return decoded(bytes_of(path))
    except UnicodeError as exc:
        raise BadInput(f"`{path}`: {exc}") from None


def decoded(data: bytes) -> str:
    """
    Text as people saved it.

    Raises:
        UnicodeError: It is not UTF-8: line, column, the byte, and what to do; nothing else of the text.
    """
    for mark, name in _OTHERS:
        if data.startswith(mark):
            raise UnicodeError(f"this is {name}; save it as UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as exc:
        # `exc.object` has lost the mark, so lines and columns are an editor's.
        before = exc.object[: exc.start].decode("utf-8")
        line, column = place(before, len(before))
        raise UnicodeError(
            f"line {line}, column {column}: byte 0x{exc.object[exc.start]:02X} is not UTF-8 "
            "(an accent or a curly quote saved as Windows-1252?); save it as UTF-8"
        ) from None


def place(text: str, position: int) -> tuple[int, int]:
    """Line and column of a position in a text, both counted from 1."""
    begins = text.rfind("\n", 0, position) + 1
    return text.count("\n", 0, position) + 1, position - begins + 1
