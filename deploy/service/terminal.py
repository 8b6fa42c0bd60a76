"""
What do commands and the demonstration share of the terminal and the clock?

Whatever is shown may hold what somebody else typed: an agency, a partner's server, a thief with a right to write. On a
terminal it must not act: colour a line over, move the cursor, turn the reading direction round so that a refusal reads
as a permit. So all text goes through `visible`, and nothing else prints.
"""

from __future__ import annotations

import sys
import unicodedata
from datetime import UTC, datetime
from typing import Final

#: Control, format (also those that turn the direction), lone surrogate, private use, not assigned, line, paragraph.
_ACTS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: With these a spreadsheet begins to calculate. Source: OWASP, CSV Injection.
_CALCULATES: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def clock() -> datetime:
    """The time now, UTC. The one place where a command looks at the clock."""
    return datetime.now(UTC)


def visible(text: str, *, keep: str = "\n") -> str:
    """
    The same text, and what would act on a terminal as its code point: `\\u{1b}`.

    Args:
        keep: Of those, what stays as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or unicodedata.category(c) not in _ACTS else f"\\u{{{ord(c):x}}}" for c in text)


def cell(value: object) -> str:
    """One value in a table or a spreadsheet, on one line."""
    return visible("" if value is None else str(value), keep="")


def for_a_spreadsheet(value: object) -> str:
    """A cell that no spreadsheet takes for a formula; a number stays one."""
    text = cell(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_CALCULATES) else text


def tell(text: str) -> None:
    """Data or an answer, on stdout."""
    print(visible(text), flush=True)  # noqa: T201 - this is where printing is done


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(visible(text), file=sys.stderr, flush=True)  # noqa: T201 - this is where printing is done
