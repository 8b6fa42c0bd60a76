"""
What does this JSON say, if it says one thing only?

Two programs may read one text as two things: the last of two equal names or the first, NaN or nothing, 1e400 or
infinity. One of the two readings sends a child's event to another child's school, so such a text is refused, with its
place. Source: RFC 8259, and the stricter RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from safebus.schemas.errors import BadInput
from safebus.schemas.plain_text import decoded, place

MAX_BYTES: Final = 1024 * 1024  # the largest real message has 20 kB
MAX_DEPTH: Final = 64  # the deepest real message has 12 levels


#: What Python's reader says (3.11 and later), and what it mostly comes from.
_MOSTLY: Final = {
    "Expecting property name": "a name in double quotes should stand there; is there a comma after the last entry?",
    "Illegal trailing comma": "there is a comma after the last entry; remove it",
    "Expecting ',' delimiter": "a comma or the end should stand there; is a comma missing before it?",
    "Expecting ':' delimiter": "a colon should stand there",
    "Expecting value": "a value should stand there; texts need double quotes, and nothing is written `null`",
    "Invalid control character": "a text has a control character; a line break is written `\\n`, a tab `\\t`",
    "Invalid \\escape": "a backslash is written `\\\\`",
    "Unterminated string": "a text begins there and has no end; is a double quote missing?",
    "Extra data": "it was complete before; is it two in one file?",
}


class NotTaken(StrEnum):
    """Why a text was refused."""

    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    NOT_JSON = "NOT_JSON"


class BadJson(BadInput):
    """A text that is no JSON, or could be read as two things. The message has the place and no value."""

    def __init__(self, why: NotTaken, message: str) -> None:
        super().__init__(message)
        self.why = why


def parse(data: bytes | str) -> Any:
    """
    Read JSON that anyone may have written.

    Raises:
        BadJson: More than 1 MiB, more than 64 levels, or not JSON that every program reads alike.
    """
    if len(data) > MAX_BYTES:
        raise BadJson(NotTaken.TOO_LARGE, f"found {len(data)} bytes, expected at most {MAX_BYTES}")
    text = data.removeprefix("\ufeff") if isinstance(data, str) else _decoded(data)
    try:
        document = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_such_number, parse_float=_a_number)
    except RecursionError:
        raise _too_deep() from None
    except _Twice:
        raise BadJson(NotTaken.NOT_JSON, _where_twice(text)) from None
    except json.JSONDecodeError as exc:
        why = next((f": {why}" for said, why in _MOSTLY.items() if exc.msg.startswith(said)), "")
        raise BadJson(
            NotTaken.NOT_JSON, f"this is not JSON from line {exc.lineno}, column {exc.colno} on{why}"
        ) from None
    except ValueError:  # an integer of more digits than Python reads
        raise BadJson(NotTaken.NOT_JSON, "a number has too many digits; expected what a program can hold") from None
    _shallow(document)
    try:
        # A lone surrogate is a string to Python and to nobody else: it could not be written down again.
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise BadJson(
            NotTaken.NOT_JSON, "a text has half a character (`\\ud800` to `\\udfff` by itself); write it anew"
        ) from None
    return document


def _decoded(data: bytes) -> str:
    try:
        return decoded(data)
    except UnicodeError as exc:
        raise BadJson(NotTaken.NOT_JSON, str(exc)) from None


class _Twice(Exception):
    pass


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _no_such_number(_: str) -> Any:
    raise BadJson(NotTaken.NOT_JSON, "found NaN or Infinity; JSON has no such number")


def _a_number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise BadJson(NotTaken.NOT_JSON, "a number is larger than programs hold")
    return found


def _shallow(document: Any) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [
            below
            for value in level
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]


def _too_deep() -> BadJson:
    return BadJson(NotTaken.TOO_DEEP, f"the JSON is nested deeper than {MAX_DEPTH} levels")


_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')
#: Names of fields are shown; whatever else somebody wrote in that place may be a person's.
_OF_A_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")


def _where_twice(text: str) -> str:
    """Where the second of two equal names of one object stands, in a text that is JSON up to there."""
    name, position = next((name, position) for name, position, again in _names(text) if again)
    shown = f"`{name}`" if _OF_A_FIELD.fullmatch(name) else "a name"
    line, column = place(text, position)
    return f"{shown} stands twice in one object, again at line {line}, column {column}; keep one"


def _names(text: str) -> Iterator[tuple[str, int, bool]]:
    """Every name of every object, its position, and whether it stood there before."""
    around: list[set[str] | None] = []  # the names so far of each object that is open; None: a list
    expected = False
    for piece in _PIECE.finditer(text):  # pragma: no branch  # whoever asks has found what is asked for before its end
        sign = piece.group()
        if sign == "{":
            around.append(set())
        elif sign == "[":
            around.append(None)
        elif sign in "}]":
            around.pop()
        elif sign != "," and expected and (names := around[-1]) is not None:
            name = json.loads(sign)
            yield name, piece.start(), name in names
            names.add(name)
        expected = sign == "{" or (sign == "," and around[-1] is not None)
