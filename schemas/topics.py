"""
Which topics are there, who writes them, who reads them, and how long are they kept?

`safebus topics plan|apply` and the tests read this table; nobody else names a topic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from safebus.schemas.identifiers import agency_id

#: All `in.*` topics and `decisions` have equally many, so one source partition has one decisions partition.
PARTITIONS = 4

REGISTER = "register"
DECISIONS = "decisions"
QUARANTINE = "quarantine"
OPERATIONS = "operations"

_IN, _OUT, _RECEIPTS, _PARKED = "in.", "out.", "receipts.", "parked."
#: So long events can be decided, or made again, from what agencies published.
EVENTS_KEPT_DAYS: Final = 30
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """
    One topic.

    Attributes:
        kept_ms: Milliseconds; -1 is for ever.
    """

    name: str
    partitions: int
    kept_ms: int
    written_by: str
    read_by: str

    def config(self) -> dict[str, str]:
        """Broker settings. LogAppendTime: the broker's clock, so no publisher can date a record."""
        return {
            "retention.ms": str(self.kept_ms),
            "retention.bytes": "-1",
            "unclean.leader.election.enable": "false",
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
        }


def is_transactional(topic: str) -> bool:
    """
    Does the bus write this topic in transactions?

    What stands in one anywhere else may yet be undone, and nobody of the bus wrote it: there it is read as it stands,
    so that one that is left open keeps nothing waiting.
    """
    return topic == DECISIONS


def is_kept_for_ever(topic: str) -> bool:
    """Must everything that was ever written to it still be there?"""
    return topic in (REGISTER, DECISIONS, OPERATIONS) or topic.startswith((_RECEIPTS, _PARKED))


def is_published(topic: str) -> bool:
    """Is it one that an agency publishes to?"""
    return topic.startswith(_IN)


def published_by(agency: str) -> str:
    """The topic that one agency publishes to."""
    return f"{_IN}{agency_id(agency)}"


def notifications_for(partner: str) -> str:
    """The topic that holds what one partner may have."""
    return f"{_OUT}{agency_id(partner)}"


def partner_of_notifications(topic: str) -> str | None:
    """Who may have what stands on this topic; None: it holds no notifications."""
    return topic.removeprefix(_OUT) if topic.startswith(_OUT) else None


def receipts_from(partner: str) -> str:
    """The topic that says what became of each delivery to one partner. Nobody else's adapter may write it."""
    return f"{_RECEIPTS}{agency_id(partner)}"


def partner_of_receipts(topic: str) -> str | None:
    """Whose deliveries this topic tells of; None: it tells of none."""
    return topic.removeprefix(_RECEIPTS) if topic.startswith(_RECEIPTS) else None


def parked_for(partner: str) -> str:
    """The topic that holds what a person must look at before one partner can have it."""
    return f"{_PARKED}{agency_id(partner)}"


def partner_of_parked(topic: str) -> str | None:
    """For whom what stands on this topic was not taken; None: it is no such topic."""
    return topic.removeprefix(_PARKED) if topic.startswith(_PARKED) else None


def agency_of(topic: str) -> str:
    """The agency that alone may write this `in.*` topic."""
    if not topic.startswith(_IN):
        raise ValueError(f"topic `{topic}` is not one that an agency publishes to (`in.<agency>`)")
    return topic.removeprefix(_IN)


def table(publishers: Iterable[str], partners: Iterable[str]) -> list[Topic]:
    """Every topic of a bus with these publishers and partners."""
    fixed = [
        # One partition: one offset names one state. Never compacted: the past must be reconstructible.
        Topic(REGISTER, 1, -1, "register load, consent record", "worker, adapters, replay"),
        Topic(DECISIONS, PARTITIONS, -1, "worker", "audit, explain, replay"),
        Topic(QUARANTINE, PARTITIONS, 90 * _DAY_MS, "worker, importers", "operators"),
        # One partition: who did what in which order.
        Topic(OPERATIONS, 1, -1, "whoever uses the commands", "audit"),
    ]
    ins = [
        Topic(published_by(a), PARTITIONS, EVENTS_KEPT_DAYS * _DAY_MS, a, "worker, replay")
        for a in sorted(set(publishers))
    ]
    outs = [
        Topic(notifications_for(p), PARTITIONS, 7 * _DAY_MS, "worker", f"adapter of {p}") for p in sorted(set(partners))
    ]
    receipts = [
        Topic(receipts_from(p), PARTITIONS, -1, f"adapter of {p}", "adapter, audit, explain")
        for p in sorted(set(partners))
    ]
    parked = [Topic(parked_for(p), PARTITIONS, -1, f"adapter of {p}", "operators") for p in sorted(set(partners))]
    return [*fixed, *ins, *outs, *receipts, *parked]
