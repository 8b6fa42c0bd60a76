"""
How do the results look on one page?

An SVG without any library: for each figure a bar, and below it in grey the bar of what it is compared with. Figures of
one unit in one part have one scale; the longest fills the width. Text is text: it can be searched and read aloud.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 960
_LEFT: Final = 300  # labels end here
_BAR: Final = 360  # the longest bar
_ROW: Final = 44
_HEAD: Final = 40
_TOP: Final = 64
_STYLE: Final = (
    "text{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:13px;fill:#1a1a1a}"
    ".title{font-size:18px;font-weight:600}.part{font-size:14px;font-weight:600}"
    ".small{font-size:11px;fill:#555}.ours{fill:#1f5fa8}.beside{fill:#b8b8b8}.missed{fill:#b3261e;font-weight:600}"
)


def svg(parts: Mapping[str, Sequence[Mapping[str, Any]]], *, machine: str) -> str:
    """
    Draw the rows of each part.

    Args:
        parts: Part -> rows, as `Row.as_dict` gives them.
        machine: One line that says on what it was measured.
    """
    drawn: list[str] = []
    y = _TOP
    for part, rows in parts.items():
        drawn.append(_text(16, y + 22, part, "part"))
        y += _HEAD
        for row in rows:
            drawn += _row(row, y, max(_longest(other) for other in rows if other["unit"] == row["unit"]) or 1)
            y += _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 16}" width="{_WIDTH}" '
        f'height="{y + 16}" role="img" aria-label="What safebus costs, and beside what">'
    )
    return "\n".join(
        [
            head,
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{y + 16}" fill="#fff"/>',
            _text(16, 28, "What safebus costs, and beside what", "title"),
            _text(16, 48, machine, "small"),
            *drawn,
            "</svg>\n",
        ]
    )


def _longest(row: Mapping[str, Any]) -> float:
    found: float = max(row["value"], row["beside_value"] or 0)
    return found


def _row(row: Mapping[str, Any], y: int, longest: float) -> list[str]:
    beside = row["beside_value"]
    found = [_text(_LEFT - 12, y + 12, row["what"], anchor="end"), *_bar(row["value"], longest, y, 16, "ours")]
    found.append(_text(_LEFT + _width(row["value"], longest) + 8, y + 12, f"{_figure(row['value'])} {row['unit']}"))
    if beside is not None:
        found.append(_text(_LEFT - 12, y + 29, row["beside"], "small", anchor="end"))
        found += _bar(beside, longest, y + 19, 11, "beside")
        found.append(_text(_LEFT + _width(beside, longest) + 8, y + 29, _figure(beside), "small"))
    if row["ratio"] is not None:
        asked = f", asked: {row['target']}" if row["target"] else ""
        kind = "missed" if row["met"] is False else ""
        found.append(_text(_WIDTH - 16, y + 12, f"× {row['ratio']:.2f}", kind, anchor="end"))
        found.append(_text(_WIDTH - 16, y + 29, f"{row['low']:.2f} to {row['high']:.2f}{asked}", "small", anchor="end"))
    return found


def _bar(value: float, longest: float, y: int, height: int, kind: str) -> list[str]:
    return [f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{_width(value, longest)}" height="{height}"/>']


def _width(value: float, longest: float) -> int:
    return max(1, round(value / longest * _BAR))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _text(x: int, y: int, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{named}>{escape(text)}</text>'
