"""
Does a field that should hold a code hold one?

A code may be told as a fact; whatever else is typed there is prose, in which names and places hide: a refuge written
into the kind of incident would reach every school. So an event schema says of such a field what its codes are, as an
annotation beside its class, and what fits none of them is treated as free text is:

    "codes": ["assault", ...]     one of these, or several with a comma, semicolon, slash, plus or `and` between them;
                                  capitals, accents, hyphens and apostrophes make no other code
    "pattern": "[A-Z]{3}[0-9]+"   the whole of it, as a regular expression over ASCII

Nothing is refused for it: a code that nobody listed yet must not keep a danger from a child's school.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

_BETWEEN = re.compile(r"[,;/+&]|\band\b")


def codes_of(field: Mapping[str, Any]) -> Callable[[str], bool] | None:
    """
    Whether a text is a code of this field of a schema; None: the field says nothing of codes.

    Args:
        field: The field's definition in the `.avsc`.
    """
    if "codes" in field:
        return _listed(tuple(field["codes"]))
    return _matching(field["pattern"]) if "pattern" in field else None


# One event asks for the same few texts once for each recipient, so the last answers are kept. No code is long.
_KEPT, _LONGEST = 1024, 200


@cache
def _listed(codes: tuple[str, ...]) -> Callable[[str], bool]:
    known = frozenset(map(fold, codes))
    return _kept(lambda text: _is_typed(text) and all(fold(part) in known for part in _BETWEEN.split(text.casefold())))


def _is_typed(text: str) -> bool:
    """Nothing in it but what a keyboard writes: signs that folding drops would go out unseen with the code."""
    return text.replace("\u2019", "'").isascii() and text.isprintable()


@cache
def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return _kept(lambda text: compiled.fullmatch(text) is not None)


def _kept(is_code: Callable[[str], bool]) -> Callable[[str], bool]:
    kept = lru_cache(_KEPT)(is_code)
    return lambda text: len(text) <= _LONGEST and kept(text)


def not_codes(coded: Iterable[tuple[str, Callable[[str], bool]]], event: Mapping[str, Any]) -> frozenset[str]:
    """
    The paths of an event (plain values) that should hold codes and hold something else.

    Args:
        coded: (path, whether a text is one of its codes).
    """
    return frozenset(path for path, is_code in coded if not all(map(is_code, _texts(event, path))))


def _texts(event: Mapping[str, Any], path: str) -> list[str]:
    """Every text at the end of this path."""
    found: list[Any] = [event]
    for name, many in _steps(path):
        inner = [value[name] for value in found if value is not None]
        found = [each for values in inner for each in values] if many else inner
    texts: list[str] = []
    for value in found:
        if value is not None:
            texts += [value] if isinstance(value, str) else value
    return texts


@cache
def _steps(path: str) -> tuple[tuple[str, bool], ...]:
    """(name, whether each element of it is meant), step by step."""
    return tuple((step.removesuffix("[]"), step.endswith("[]")) for step in path.split("."))


def fold(text: str) -> str:
    """A code without what is only spelling: `Mother's ex-partner` is `mothers ex partner`."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c if c.isalnum() else " " for c in plain if c not in "'\u2019" and not unicodedata.combining(c))
    return " ".join(letters.split())
