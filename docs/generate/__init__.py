"""
Which pages of the reference are made from the code?

    python -m docs.generate      # writes them; `make docs` does so first

They are kept in git, so that they can be read without building anything; a test fails when they say something else
than the code.
"""

from __future__ import annotations

from pathlib import Path

from docs.generate import command, delivery_states, destinations, events, metrics_and_reasons, python, register, threats

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


def pages() -> dict[str, str]:
    """File name -> text of every page that is made from the code."""
    return {
        "python.md": python.page(),
        "command.md": command.page(),
        "register.md": register.page(),
        "destinations.md": destinations.page(),
        "events.md": events.page(),
        "delivery-states.md": delivery_states.page(),
        "metrics.md": metrics_and_reasons.metrics_page(),
        "reasons.md": metrics_and_reasons.reasons_page(),
        "threats.md": threats.page(),
    }
