"""What do commands and the demonstration share of the terminal and the clock?"""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def clock() -> datetime:
    """The time now, UTC. The one place where a command looks at the clock."""
    return datetime.now(UTC)


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing is done
