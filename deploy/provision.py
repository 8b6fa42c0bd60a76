"""
Which topics must there be, and which are there?

Topics follow from the register: whoever may publish has an `in.*`, whoever may receive has an `out.*` and a `parked.*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.brokers.port import Broker
from schemas import topics
from schemas.topics import Topic
from streams.rules.entries import Entry
from streams.rules.parties import Partner
from streams.rules.register import Register


@dataclass(frozen=True)
class Line:
    """One topic of the plan. `state`: `create`, `same`, or what is wrong with it."""

    topic: Topic
    state: str


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


def apply(broker: Broker, table: list[Topic]) -> None:
    """Create what is missing."""
    broker.create_topics({t.name: t.partitions for t in table}, configs={t.name: t.config() for t in table})
