"""How do headings and tables look in Markdown?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MADE = "<!-- Made by `python -m docs.generate` from {source}; change it there. -->"


def page(title: str, *parts: str, source: str) -> str:
    """A whole page; `source`: what it is made from, for whoever wants to change it."""
    return "\n\n".join((f"# {title}", MADE.format(source=source), *(part.strip("\n") for part in parts if part))) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; without rows, nothing."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(("| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines))


def code(*lines: str, language: str = "") -> str:
    """Lines to be copied."""
    return "\n".join((f"```{language}", *lines, "```"))
