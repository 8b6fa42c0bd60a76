"""
By which rules was this decided?

A digest over the source of the rules and over every schema, so that a decision record names exactly what decided.
Same digest, same register offset, same event: same bytes (rule R21).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


@cache
def rules_digest() -> str:
    """16 hex digits over `streams/rules/*.py`, `schemas/*.py` and `schemas/avro/**`."""
    digest = hashlib.sha256()
    for package, endings in (("streams.rules", (".py",)), ("schemas", (".py", ".avsc"))):
        for name, data in sorted(_files(resources.files(package), endings, package)):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def _files(folder: Traversable, endings: tuple[str, ...], path: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = f"{path}/{entry.name}"
        if entry.is_dir():
            found += _files(entry, endings, name)
        elif entry.name.endswith(endings):
            found.append((name, entry.read_bytes()))
    return found
