"""
Which known word did someone probably mean?

A misspelt role, purpose, agency or code must never widen a disclosure nor silence a duty, so it is refused, and
whoever wrote it is shown the word they may have meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike, of 1: below it they are two words, not one and its slip.
ALIKE = 0.6


def nearest(word: str, known: Iterable[str], *, alike: float = ALIKE) -> str | None:
    """The known word that is most like this one; None: it resembles none."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=alike)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str], *, alike: float = ALIKE) -> str:
    """The end of a complaint about an unknown word: `; did you mean ...?`, or nothing when it resembles none."""
    found = nearest(word, known, alike=alike)
    return f"; did you mean `{found}`?" if found else ""


def or_the_known(word: str, known: Iterable[str], *, said: str = "known are") -> str:
    """The same, and all the known words when it resembles none."""
    return did_you_mean(word, known) or f"; {said} {', '.join(known)}"
