"""Where does this application stand, and what has it done?"""

from __future__ import annotations

import os
from typing import Final

BUS: Final = os.environ["BUS"]
AGENCY: Final = os.environ["AGENCY"]
NOTES: Final = os.environ["NOTES"]


def note(*words: object) -> None:
    """A line of what was done, and by which process; it outlives a process that is killed."""
    with open(NOTES, "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, [*words, os.getpid()])) + "\n")
