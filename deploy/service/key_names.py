"""
What is the file called that holds a later generation of a key?

    person.key   person.2.key   person.3.key ...
"""

from __future__ import annotations

import re
from pathlib import Path

from safebus.schemas.errors import BadInput

_NUMBERED = re.compile(r"(?P<stem>.+)\.(?P<number>\d+)\.(?P<ending>key|pub)")


def numbered(name: str, generation: int) -> str:
    """The file with this generation of a key: `person.key`, and then `person.2.key`."""
    stem, _, ending = name.rpartition(".")
    return name if generation == 1 else f"{stem}.{generation}.{ending}"


def base_name(name: str) -> str:
    """What the file with the first generation of this key is called."""
    found = _NUMBERED.fullmatch(name)
    return f"{found['stem']}.{found['ending']}" if found else name


def generation(name: str) -> int:
    """Which generation of a key a file holds."""
    found = _NUMBERED.fullmatch(name)
    return int(found["number"]) if found else 1


def generations(folder: Path, name: str) -> list[str]:
    """
    The files of all generations of a key that are there, at least the first; whether that one is there is not asked.

    Raises:
        BadInput: One is missing between two: what was written under it could not be read.
    """
    there = {path.name for path in folder.glob("*")}
    found = [name]
    while (following := numbered(name, len(found) + 1)) in there:
        found.append(following)
    beyond = sorted(each for each in there if base_name(each) == name and each not in found)
    if beyond:
        raise BadInput(f"`{folder}` has {', '.join(beyond)} and not {following}: bring your copy of it back")
    return found
