"""
What the bus itself writes down: notifications, decisions, register entries, receipts, quarantine.

Each class mirrors `avro/bus/<SCHEMA>.avsc`; a test holds the two together.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from safebus.schemas.frozen_model import FrozenModel


class BusRecord(FrozenModel):
    """A record that only the bus writes."""

    SCHEMA: ClassVar[str]


class Notification(BusRecord):
    """
    What one partner may have of one event about one person; `view` is Avro under `view_schema`.

    Attributes:
        takes_back: The notification that this one takes back: it is to be found and deleted.
    """

    SCHEMA: ClassVar[str] = "notification"
    notification_id: str
    decision_id: str
    event_id: str
    event_type: str
    lifecycle: str
    recipient: str
    publisher: str
    purpose: str
    urgency: str
    subject_token: str
    agreement_id: str
    agreement_version: int
    flow: str
    consent_meaning: str | None
    labels: tuple[str, ...]
    restricted: bool
    decided_at: datetime
    view_schema: str
    view: bytes
    takes_back: str | None = None


class Origin(BusRecord):
    """Where an event stands on its topic."""

    topic: str
    partition: int
    offset: int


class Outcome(StrEnum):
    """HOLD waits for a person."""

    PERMIT = "PERMIT"
    REFUSE = "REFUSE"
    HOLD = "HOLD"


class Reason(BusRecord):
    """Why: a code, the rule it comes from, and which basis, agreement or party is meant."""

    code: str
    rule: str
    about: str


class FourAnswers(BusRecord):
    """The four questions every disclosure must answer. Source: domain notes 2.1."""

    art6: str
    art9_or_10: str | None
    sch1: str | None
    power_or_duty: str | None
    confidentiality: str


class FieldRule(BusRecord):
    """A field path, and the rule that released or withheld it."""

    path: str
    rule: str


class Answer(BusRecord):
    """
    What was decided for one recipient and one person; with the event it is all that a notification is made from.

    Attributes:
        released, withheld: For people: a part of which every field has one answer stands once, as `part.*`.
        subject_index: Which of the event's subjects it is about, from 0; -1: recorded before there was this field.
        view_fields: Every field of the view, as `path` or `path: mask`.
        consent_meaning, labels, restricted, takes_back: As the notification has them.
    """

    decision_id: str
    recipient: str
    subject_token: str
    interest: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    agreement_id: str | None
    agreement_version: int | None
    flow: str | None
    basis: FourAnswers | None
    purpose: str
    consent_state: str | None
    consent_offset: int | None
    released: tuple[FieldRule, ...]
    withheld: tuple[FieldRule, ...]
    call: str | None
    notification_id: str | None
    output_digest: str | None
    subject_index: int = -1
    view_fields: tuple[str, ...] = ()
    consent_meaning: str | None = None
    labels: tuple[str, ...] = ()
    restricted: bool = False
    takes_back: str | None = None


class ToSee(BusRecord):
    """
    Something about a decision that a person must look at. Places and codes, never a value.

    Attributes:
        who: Place and role in the event, as `subjects.0 (CHILD)`.
        about: The fields, the agreement or the party meant.
        recipient: Who is not told; None: it is about the person, whoever would be told.
        by: Until when; None: the event says nothing.
    """

    who: str
    code: str
    about: str
    recipient: str | None
    by: datetime | None


class Holder(BusRecord):
    """Who was sent a notification, under what."""

    recipient: str
    subject_token: str
    notification_id: str
    agreement_id: str
    agreement_version: int
    flow: str
    purpose: str


class Earlier(BusRecord):
    """
    What was on record of an event's episode when it was decided, as far as the decision rests on it.

    Attributes:
        token: Of the episode, as in `Episode`; None: it is not known and the event starts one.
        known: What the event refers to was found; nothing to find is found, too.
        kept_out: Partners where an alleged perpetrator of it works or governs.
        perhaps_kept_out: Partners of which that is likely enough that a person must look.
        holders: Who was sent the event that this one takes back or corrects.
    """

    token: str | None = None
    known: bool = True
    kept_out: tuple[str, ...] = ()
    perhaps_kept_out: tuple[str, ...] = ()
    holders: tuple[Holder, ...] = ()


class Episode(BusRecord):
    """
    What one decision leaves for those of the same episode that come after it.

    Attributes:
        token: Keyed; stands for the publisher's own reference.
        kept_out, perhaps_kept_out: As in `Earlier`, with what this event added.
    """

    token: str
    kept_out: tuple[str, ...] = ()
    perhaps_kept_out: tuple[str, ...] = ()


class DecisionRecord(BusRecord):
    """
    What was decided about one event, for every recipient considered.

    Attributes:
        earlier: What it rests on besides the event and the register; None: recorded before there was this field.
        worklist: What a person must look at; where there is anything, the event is also in quarantine.
        episode: What it leaves; None as above.
    """

    SCHEMA: ClassVar[str] = "decision"
    event_id: str
    event_type: str
    lifecycle: str
    source: str
    purpose: str
    origin: Origin
    input_digest: str
    rules_digest: str
    register_offset: int
    decided_at: datetime
    earlier: Earlier | None = None
    answers: tuple[Answer, ...]
    worklist: tuple[ToSee, ...] = ()
    episode: Episode | None = None


class RegisterRecord(BusRecord):
    """One entry of the register. `body` is canonical JSON; None ends the entry."""

    SCHEMA: ClassVar[str] = "register"
    record_id: str
    kind: str
    recorded_at: datetime
    recorded_by: str
    reason: str
    body: str | None


class Stage(StrEnum):
    """How far a delivery came."""

    HANDED_OVER = "HANDED_OVER"
    WAITING = "WAITING"
    HELD = "HELD"
    PARKED = "PARKED"
    STOPPED = "STOPPED"
    NOTICE_HANDED_OVER = "NOTICE_HANDED_OVER"


class Receipt(BusRecord):
    """One thing that happened to one delivery."""

    SCHEMA: ClassVar[str] = "receipt"
    notification_id: str
    event_id: str
    partner: str
    transport: str
    stage: Stage
    attempt: int
    at: datetime
    answer: str
    reason: str
    subject_token: str
    purpose: str
    consent_meaning: str | None
    output_digest: str


class Quarantined(BusRecord):
    """What could not be decoded, verified or matched, sealed."""

    SCHEMA: ClassVar[str] = "quarantined"
    quarantine_id: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    at: datetime
    size: int
    sealed: bytes
