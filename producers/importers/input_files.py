"""
Which messages was the importer given?

A message is known by its path and its content, never by the name of its file alone: feeds write `signal.json` into one
folder a day. A file that cannot be read stops itself and none of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from safebus.schemas.strict_json import MAX_BYTES


@dataclass(frozen=True)
class InputFile:
    """
    A file with one message.

    Attributes:
        path: As it was given.
        place: The same from the root: two paths to one file have one.
        data: Its content; no more than one byte more than any message has.
        size: Of the file, bytes.
    """

    path: str
    place: str
    data: bytes
    size: int

    def digest(self) -> bytes:
        """Of the content. Never shown: numbers could be tried against it."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True)
class NotRead:
    """A file that could not be read, with what to do about it."""

    path: str
    problem: str


def read_files(paths: Iterable[Path]) -> tuple[list[InputFile], list[NotRead]]:
    """The files that can be read, in their order, and those that cannot."""
    read: list[InputFile] = []
    not_read: list[NotRead] = []
    for path in paths:
        found = _read(path)
        if isinstance(found, InputFile):
            read.append(found)
        else:
            not_read.append(found)
    return read, not_read


def _read(path: Path) -> InputFile | NotRead:
    try:
        if path.is_dir():
            return NotRead(str(path), "it is a folder; name the files in it")
        if path.exists() and not path.is_file():
            return NotRead(str(path), "it is no regular file, so it may have no end; copy what it holds into one")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        size = max(path.stat().st_size, len(data))
        return InputFile(str(path), str(path.resolve()), data, size)
    except FileNotFoundError:
        return NotRead(str(path), "there is no such file; look at the path")
    except PermissionError:
        return NotRead(str(path), "this user may not read it; change its rights, or run as another user")
    except (OSError, ValueError) as exc:
        return NotRead(str(path), f"it cannot be read: {getattr(exc, 'strerror', None) or 'no such path can be'}")
