"""
Which topics must there be?

Topics follow from the register: whoever may publish has an `in.*`, whoever may receive has an `out.*` and a `parked.*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from safebus.schemas import topics
from safebus.schemas.topics import Topic
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.rules.parties import Partner


@dataclass(frozen=True)
class Drift:
    """
    One way in which a topic is not as it should be.

    Attributes:
        setting: As Kafka names it, or `partitions`.
        harm: What comes of it.
    """

    topic: str
    setting: str
    found: str
    expected: str
    harm: str

    @property
    def can_be_mended(self) -> bool:
        """Without making the topic anew."""
        return self.setting != PARTITIONS

    def __str__(self) -> str:
        return f"{self.setting} is {self.found}, not {self.expected}: {self.harm}"


PARTITIONS: Final = "partitions"
_HARM: Final = {
    PARTITIONS: "an event and its repeat are decided in two places; make the topic anew, while nothing is published",
    "retention.ms": "what should be kept is gone sooner, or what should be gone is kept",
    "retention.bytes": "what should be kept is gone as soon as there is much of it",
    "unclean.leader.election.enable": "after a failure a copy that lacks records may be taken for the whole",
    "cleanup.policy": "what a record of the past rests on is thrown away",
    "message.timestamp.type": "a publisher's clock dates its records, not the broker's",
}

#: All that is compared.
SETTINGS: Final = tuple(_HARM)


def drifted(
    expected: Iterable[Topic], there: Mapping[str, int], settings: Mapping[str, Mapping[str, str]] | None
) -> list[Drift]:
    """
    How topics that are there are not as they should be.

    Args:
        there: Topic -> number of partitions.
        settings: Topic -> setting -> value; None: the broker has none, as the embedded one, which also gives every
            topic as many partitions.
    """
    found = []
    for topic in expected:
        if topic.name not in there:
            continue
        shown = None if settings is None else settings.get(topic.name, {})
        partitions = there[topic.name]
        if partitions < topic.partitions or (shown is not None and partitions > topic.partitions):
            found.append(_drift(topic, PARTITIONS, str(partitions), str(topic.partitions)))
        if shown is not None:
            are = {name: (shown.get(name, "not shown"), value) for name, value in topic.config().items()}
            found += [_drift(topic, name, is_, value) for name, (is_, value) in are.items() if is_ != value]
    return found


def _drift(topic: Topic, setting: str, found: str, expected: str) -> Drift:
    return Drift(topic.name, setting, found, expected, _HARM[setting])


def wanted(partners: Iterable[str]) -> list[Topic]:
    """Every topic of a bus with these partners; each may publish and receive."""
    names = list(partners)
    return topics.table(names, names)


def also_there(partners: Iterable[str], there: Iterable[str]) -> list[Topic]:
    """
    The topics of partners that the register has no more; `there`: names of topics.

    They keep what was published and handed over in their time, so whoever counts looks at them, too.
    """
    known = {topic.name for topic in wanted(partners)}
    kinds = {topic.name.removesuffix("any"): topic for topic in wanted(["any"]) if topic.name.endswith(".any")}
    return [
        replace(kind, name=name)  # whatever stands behind the dot: who may make topics may name them as they like
        for name in sorted(set(there) - known)
        for begins, kind in kinds.items()
        if name.startswith(begins)
    ]


def partners_of(entries: Iterable[Entry]) -> list[str]:
    """The partners in a list of register entries."""
    return [e.body.partner for e in entries if isinstance(e.body, Partner)]


def wanted_by(register: Register) -> list[Topic]:
    """Every topic that a register asks for."""
    return wanted(register.partners)
