"""
What do the counts say, and what does not add up?

For each agency:   published = decided + set aside + repeats + waiting + lost
For each partner:  permitted = on its topic + in flight + not sent + expired
                   on its topic = handed over + waiting + held + parked + stopped + not yet tried

`lost`, `not sent` and `expired` are the holes: what is counted there is named, one by one, as a `Finding`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Discrepancy(StrEnum):
    """What does not add up, the gravest first. Stable: operators' scripts match on them."""

    NO_ORIGIN = "NO_ORIGIN"
    UNEXPECTED = "UNEXPECTED"
    WENT_ELSEWHERE = "WENT_ELSEWHERE"
    OTHER_BYTES = "OTHER_BYTES"
    HANDED_OVER_OTHER_BYTES = "HANDED_OVER_OTHER_BYTES"
    UNKNOWN_RECEIPT = "UNKNOWN_RECEIPT"
    CUT = "CUT"
    NO_RECEIPT = "NO_RECEIPT"
    NOT_ON_RECORD = "NOT_ON_RECORD"
    LOST = "LOST"
    TWO_DECISIONS = "TWO_DECISIONS"
    DECIDED_AND_SET_ASIDE = "DECIDED_AND_SET_ASIDE"
    OTHER_INPUT = "OTHER_INPUT"
    NOT_SENT = "NOT_SENT"
    EXPIRED = "EXPIRED"
    OVERDUE = "OVERDUE"
    NOT_TOLD = "NOT_TOLD"
    NOT_SHOWN = "NOT_SHOWN"
    PARKED_UNKNOWN = "PARKED_UNKNOWN"
    UNREADABLE = "UNREADABLE"


_GRAVER = {code: rank for rank, code in enumerate(Discrepancy)}

TO_DO = {
    Discrepancy.NO_ORIGIN: "treat what it permits as a disclosure nobody decided: `safebus explain EVENT_ID` shows to "
    "whom; stop their adapters; find who could write `decisions` as a worker does, or made the topic again",
    Discrepancy.CUT: "nothing that this says of the time before is whole: find who deleted records or made the topic "
    "again; `safebus topics plan` shows its settings",
    Discrepancy.NO_RECEIPT: "ask the partner whether it holds this, and take it for not handed over until it says so; "
    "find who could delete from `receipts.*`, make it again, or move the adapter's offsets",
    Discrepancy.NOT_ON_RECORD: "ask the partner whether it was sent this; find who could write `receipts.*` without a "
    "command, or delete from `operations`",
    Discrepancy.LOST: "ask the agency to publish it again (the same id, harmless if it was decided); then find out "
    "who moved the worker's offsets",
    Discrepancy.TWO_DECISIONS: "`safebus explain EVENT_ID` shows both; tell the information-governance lead which one "
    "was carried out",
    Discrepancy.DECIDED_AND_SET_ASIDE: "`safebus explain EVENT_ID` and `safebus quarantine list`; what was sent stands",
    Discrepancy.OTHER_INPUT: "`safebus replay verify` shows what that decision should have been; find who could write "
    "`decisions`",
    Discrepancy.NOT_SENT: "is a worker running? It sends by itself what a killed one left open; if it does not, "
    "`safebus deliveries again PARTNER` puts it on the partner's topic",
    Discrepancy.EXPIRED: "ring the partner: it has not had this alert, and the topic no longer keeps it; `safebus "
    "deliveries again PARTNER` makes it again from decision and event, and it is checked as of now",
    Discrepancy.OVERDUE: "of an event: is a worker running, and who moved its offsets? Of a notification: ring the "
    "partner, then look at its destination: `safebus parked list PARTNER`, `safebus doctor`",
    Discrepancy.UNEXPECTED: "treat as a disclosure nobody decided: stop the partner's adapter; find who could write "
    "its topic",
    Discrepancy.WENT_ELSEWHERE: "treat as a disclosure: who has that place now? Stop the adapter; `safebus register "
    "history destination/PARTNER` shows where it should have gone, `safebus deliveries show ID` who sent it. If the "
    "partner has moved and its adapter was not started again, start it again",
    Discrepancy.OTHER_BYTES: "treat as a disclosure nobody decided: `safebus replay verify` shows what it should have "
    "been",
    Discrepancy.HANDED_OVER_OTHER_BYTES: "ask the partner to show what it holds; `safebus explain EVENT_ID` shows "
    "what was decided",
    Discrepancy.UNKNOWN_RECEIPT: "ask the partner whether it holds this; find who could write its `receipts.*`",
    Discrepancy.NOT_TOLD: "ring the partner: it goes on using what nobody agrees to any more, and is not asked again",
    Discrepancy.NOT_SHOWN: "have somebody look at it now: `safebus explain EVENT_ID` says at what; find who could "
    "delete from `quarantine`",
    Discrepancy.PARKED_UNKNOWN: "`safebus deliveries show ID` and `safebus parked list PARTNER`: is the alert where a "
    "person looks, and did the partner get it? An adapter that was killed just then leaves an entry without a receipt; "
    "else find who could write or delete there",
    Discrepancy.UNREADABLE: "find who could write this topic: the bus did not",
}


@dataclass(frozen=True)
class Finding:
    """
    One thing that does not add up. Ids and places only, never a value.

    Attributes:
        id: Of the event or notification; the place when it has none.
        event_id: Empty when it is not known.
        who: The agency or partner.
        where: The record that shows it, `topic/partition/offset`.
    """

    code: Discrepancy
    id: str
    event_id: str
    who: str
    where: str
    what: str

    @property
    def to_do(self) -> str:
        return TO_DO[self.code]

    def __lt__(self, other: Finding) -> bool:
        """The gravest come first."""
        return self._rank < other._rank

    @property
    def _rank(self) -> tuple[int, str, str, str, str, str]:
        return _GRAVER[self.code], self.id, self.event_id, self.who, self.where, self.what


@dataclass
class AgencyCount:
    """
    What became of the events of one agency.

    Attributes:
        permitted, refused, undecided: Answers; one event has one for each recipient and person considered. An undecided
            one waits for a person.
        set_aside: By reason.
    """

    published: int = 0
    decided: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    waiting: int = 0
    lost: int = 0
    permitted: int = 0
    refused: int = 0
    undecided: int = 0

    def adds_up(self) -> bool:
        """Is every event somewhere, and only there?"""
        return self.published == self.decided + self.set_aside.total() + self.repeats + self.waiting + self.lost


@dataclass
class PartnerCount:
    """
    What became of the notifications for one partner.

    Attributes:
        told, not_told: Notices of the span that a consent has ended, which it took or refused.
    """

    permitted: int = 0
    on_topic: int = 0
    in_flight: int = 0
    not_sent: int = 0
    expired: int = 0
    handed_over: int = 0
    waiting: int = 0
    held: int = 0
    parked: int = 0
    stopped: int = 0
    no_receipt: int = 0
    told: int = 0
    not_told: int = 0

    def adds_up(self) -> bool:
        """Is every notification somewhere, and only there?"""
        became = self.handed_over + self.waiting + self.held + self.parked + self.stopped + self.no_receipt
        return (
            self.permitted == self.on_topic + self.in_flight + self.not_sent + self.expired and self.on_topic == became
        )


@dataclass
class Noted:
    """What is as it may be, and worth knowing."""

    same_decision_again: int = 0
    same_notification_again: int = 0
    handed_over_again: int = 0
    sent_again_by_hand: int = 0  # to a partner that had lost what it was handed
    sent_again_not_taken: int = 0  # to such a one, which did not take it then: it is parked, and handed over before
    decided_and_told_of_nobody: int = 0  # NO_RECIPIENT, REDO_DIFFERS: decided, and a person looks as well
    event_no_longer_kept: int = 0  # decided in the span, and its event cannot be looked at any more
    oldest_waiting_at: int | None = None  # milliseconds since 1970
    #: `topic/partition` -> time of the oldest record that is kept, of those of agencies that begin within the span.
    events_kept_since: dict[str, int] = field(default_factory=dict)


@dataclass
class Account:
    """The whole count."""

    agencies: dict[str, AgencyCount] = field(default_factory=dict)
    partners: dict[str, PartnerCount] = field(default_factory=dict)
    noted: Noted = field(default_factory=Noted)
    findings: list[Finding] = field(default_factory=list)

    def agency(self, name: str) -> AgencyCount:
        return self.agencies.setdefault(name, AgencyCount())

    def partner(self, name: str) -> PartnerCount:
        return self.partners.setdefault(name, PartnerCount())

    def adds_up(self) -> bool:
        """Nothing was lost, doubled or sent that nobody decided."""
        sums = [a.adds_up() for a in self.agencies.values()] + [p.adds_up() for p in self.partners.values()]
        return all(sums) and not self.findings
