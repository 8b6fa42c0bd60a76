"""`python -m docs.generate` writes the pages of the reference."""

from __future__ import annotations

from docs.generate import REFERENCE, pages

REFERENCE.mkdir(exist_ok=True)
for name, text in pages().items():
    (REFERENCE / name).write_text(text, "utf-8")
