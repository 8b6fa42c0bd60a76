"""A page that a reader sees, taken apart: what it links to, and what it shows to be copied."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^(?:    .*)?\n)*^    .*\n", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file of this repository."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text("utf-8")

    @cached_property
    def blocks(self) -> list[str]:
        """What is set off to be copied, without its indentation."""
        fenced = [found[2] for found in _FENCED.finditer(self.text)]
        indented = _INDENTED.findall(_FENCED.sub("", self.text))
        return fenced + ["\n".join(line[4:] for line in block.strip("\n").splitlines()) + "\n" for block in indented]

    @cached_property
    def prose(self) -> str:
        """The rest."""
        return _INDENTED.sub("", _FENCED.sub("", self.text))

    @cached_property
    def commands(self) -> list[list[str]]:
        """The words of each `safebus ...` that stands in a block on a line of its own, without that first word."""
        lines = [line.strip() for block in self.blocks for line in block.replace("\\\n", "").splitlines()]
        words = [shlex.split(line, comments=True) for line in lines if re.match(r"(\.venv/bin/)?safebus ", line)]
        return [found[1:] for found in words]

    @cached_property
    def named(self) -> list[str]:
        """What stands in backticks in a sentence."""
        return _INLINE.findall(self.prose)

    @cached_property
    def links(self) -> list[str]:
        """Where it points to."""
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What others can point to, as mkdocs and GitHub name the headings."""
        return {re.sub(r"[^\w\- ]", "", found).lower().replace(" ", "-") for found in _HEADING.findall(self.prose)}


PAGES = [
    Page(path.relative_to(ROOT).as_posix())
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
]
README = Page("README.md")
