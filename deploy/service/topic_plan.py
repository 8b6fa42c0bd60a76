"""
Which topics must there be?

Topics follow from the register: whoever may publish has an `in.*`, whoever may receive has an `out.*` and a `parked.*`.
"""

from __future__ import annotations

from collections.abc import Iterable

from safebus.schemas import topics
from safebus.schemas.topics import Topic
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.rules.parties import Partner


def wanted(partners: Iterable[str]) -> list[Topic]:
    """Every topic of a bus with these partners; each may publish and receive."""
    names = list(partners)
    return topics.table(names, names)


def partners_of(entries: Iterable[Entry]) -> list[str]:
    """The partners in a list of register entries."""
    return [e.body.partner for e in entries if isinstance(e.body, Partner)]


def wanted_by(register: Register) -> list[Topic]:
    """Every topic that a register asks for."""
    return wanted(register.partners)
