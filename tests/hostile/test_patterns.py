"""Text that is made to be hard to match costs no more than other text of its length."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time

import safebus.consumers
import safebus.deploy
import safebus.producers
import safebus.schemas
import safebus.streams

LENGTH = 5_000
#: What patterns stumble over: long runs of one kind, and two kinds by turns, with an end that fits nothing.
PIECES = ("a", "A", "0", " ", "-", ".", "_", "\n", "\t", "é", "aA", "a ", "a-", "a.", "0 ", "0-", "a0", " \n", "<a",
          "a=", '"a', "a'", "a,", "a@", "a/", ": ", "- ", "ZZ9 ")  # fmt: skip
LIMIT_S = 1.0


def patterns() -> dict[str, re.Pattern[str]]:
    """Every pattern that stands in a module of ours."""
    found: dict[str, re.Pattern[str]] = {}
    for package in (safebus.schemas, safebus.streams, safebus.consumers, safebus.producers, safebus.deploy):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if each.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(each.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    found[f"{each.name}.{name}"] = value
    return found


def test_no_pattern_takes_long_whatever_it_is_given() -> None:
    texts = [piece * (LENGTH // len(piece)) + end for piece in PIECES for end in ("", "!", "\0")]
    slow = {}
    for name, pattern in patterns().items():
        for text in texts:
            began = time.process_time()
            pattern.fullmatch(text), pattern.search(text)
            if (took := time.process_time() - began) > LIMIT_S:
                slow[name] = (text[:10], round(took, 1))

    assert slow == {}


def test_there_are_patterns_to_look_at() -> None:
    assert len(patterns()) > 15
