"""
What came of the story in one tree?

A recording is many lines, each with a kind, a name that is the same in every tree, and bytes. Names hold ids and
numbers, never anything about a person, so that a difference can be named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Every kind, in the order of the story.
KINDS = (
    "register record",
    "event",
    "no event",
    "refused by gate",
    "refused folder",
    "decision",
    "set aside",
    "notification",
    "view",
    "parcel",
    "receipt",
    "parked",
    "file",
)


@dataclass(frozen=True)
class Line:
    """
    One thing that was written.

    Attributes:
        plain: The same content as JSON values, where fields may be added: of decision records only.
    """

    kind: str
    name: str
    value: bytes
    plain: dict[str, Any] | None = None


@dataclass
class Recording:
    """Everything that was written, and how often what happened."""

    lines: list[Line] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, name: str, value: bytes, *, plain: dict[str, Any] | None = None) -> None:
        """Take down one more."""
        assert kind in KINDS, kind
        self.lines.append(Line(kind, name, value, plain))

    def write(self, file: Path) -> None:
        """Keep it."""
        lines = [[line.kind, line.name, line.value.hex(), line.plain] for line in self.lines]
        file.write_text(json.dumps({"lines": lines, "counts": self.counts}), "utf-8")


def read(file: Path) -> Recording:
    """What `Recording.write` kept."""
    found = json.loads(file.read_text("utf-8"))
    lines = [Line(kind, name, bytes.fromhex(value), plain) for kind, name, value, plain in found["lines"]]
    return Recording(lines, Counter(found["counts"]))


def packed(key: bytes | None, headers: Iterable[Sequence[Any]], value: bytes) -> bytes:
    """A record of a topic as bytes that two others never share."""
    parts = [key or b"", value]
    for name, content in headers:
        parts += [name.encode(), content]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
