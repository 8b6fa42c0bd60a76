"""
Which places did the register have for a partner, and when?

Whoever can change what a delivery process reads, or runs one of their own, has a child's data sent to a place of their
choice. The receipt says where it went, as a digest; the register's history says where it should have gone then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from safebus.consumers.adapters.places import place_digests
from safebus.schemas.keys import DigestKey
from safebus.streams.register.history import Step

#: A courier asks the register when it starts and before each attempt; what was begun then may end a little later.
_CHANGING: Final = timedelta(minutes=5)
_KIND: Final = "destination"


@dataclass(frozen=True)
class Stood:
    """A place that the register had for a partner. Times in milliseconds since 1970, by the broker."""

    since: int
    until: int | None
    digests: frozenset[str]


def places_of(steps: Iterable[Step], key: DigestKey) -> Mapping[str, Sequence[Stood]]:
    """Partner -> its places, in order, from every record of the register."""
    found: dict[str, list[Stood]] = defaultdict(list)
    for step in steps:
        entry = step.after or step.before
        if step.record.kind != _KIND or entry is None:
            continue
        at, mine = int(step.at.timestamp() * 1000), found[str(entry["partner"])]
        if mine and mine[-1].until is None:
            mine[-1] = Stood(mine[-1].since, at, mine[-1].digests)
        if step.after is not None:
            digests = place_digests(str(step.after["transport"]), str(step.after["place"]), key)
            mine.append(Stood(at, None, frozenset(digests)))
    return found


def places_at(places: Sequence[Stood], at: int) -> list[Stood]:
    """
    Those that stood at a time, or a moment before or after it.

    Nothing: none did by then, so there is nothing to compare with; a destination need not be registered.
    """
    apart = int(_CHANGING.total_seconds() * 1000)
    if not any(stood.since <= at and (stood.until is None or at < stood.until) for stood in places):
        return []
    return [s for s in places if s.since - apart <= at and (s.until is None or at < s.until + apart)]
