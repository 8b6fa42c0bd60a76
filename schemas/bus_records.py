"""
What the bus itself writes down: notifications, decisions, register entries, receipts, quarantine.

Each class mirrors `avro/bus/<SCHEMA>.avsc`; a test holds the two together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Moment, Whole, YesNo
from safebus.schemas.tokens import NamedToken, Token


class BusRecord(FrozenModel):
    """A record that only the bus writes."""

    SCHEMA: ClassVar[str]


class Notification(BusRecord):
    """
    What one partner may have of one event about one person; `view` is Avro under `view_schema`.

    Attributes:
        takes_back: The notification that this one takes back or corrects: to be found, and deleted or replaced.
        bare: It says that the other was wrong, and nothing else.
        role: Of the person it is about; only the bus reads it.
        whom_to_ask: Who knows which person is meant, where the view does not tell its recipient.
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
    subject_token: Token
    agreement_id: str
    agreement_version: Whole
    flow: str
    consent_meaning: str | None
    labels: tuple[str, ...]
    restricted: YesNo
    decided_at: Moment
    view_schema: str
    view: bytes
    takes_back: str | None = None
    bare: YesNo = False
    role: str = ""
    whom_to_ask: str | None = None


class Origin(BusRecord):
    """Where an event stands on its topic."""

    topic: str
    partition: Whole
    offset: Whole


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
    """
    The four questions every disclosure must answer.

    Source: UK GDPR Art 6, 9 and 10; DPA 2018 Sch 1; the common-law duty of confidentiality.
    """

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
        consent_meaning, labels, restricted, takes_back, bare: As the notification has them.
        told_apart_by: What of the view tells the recipient which person is meant, as view paths that do so together.
        unclear: Nothing of the view does. It goes all the same, and says whom to ask.
    """

    decision_id: str
    recipient: str
    subject_token: Token
    interest: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    agreement_id: str | None
    agreement_version: Whole | None
    flow: str | None
    basis: FourAnswers | None
    purpose: str
    consent_state: str | None
    consent_offset: Whole | None
    released: tuple[FieldRule, ...]
    withheld: tuple[FieldRule, ...]
    call: str | None
    notification_id: str | None
    output_digest: str | None
    subject_index: Whole = -1
    view_fields: tuple[str, ...] = ()
    consent_meaning: str | None = None
    labels: tuple[str, ...] = ()
    restricted: YesNo = False
    takes_back: str | None = None
    bare: YesNo = False
    told_apart_by: tuple[str, ...] = ()
    unclear: YesNo = False


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
    by: Moment | None


class Holder(BusRecord):
    """Who was sent a notification, under what."""

    recipient: str
    subject_token: Token
    notification_id: str
    agreement_id: str
    agreement_version: Whole
    flow: str
    purpose: str


class Accused(BusRecord):
    """
    An alleged perpetrator, in keyed tokens: enough to be recognised in the register, and useless outside.

    Attributes:
        named_in: The id of the event that named them.
        ids: `scheme token` of each of their identifiers.
        confirm: `name token` of what confirms a number: family name, first name, date of birth.
        family, given, born: What their names may sound like and the date be meant for, see `streams.rules.alike`.
        works_for: Agency ids, as the publisher knows.
        may_be_parent: Of the child; only a relationship that is known rules it out.
        corrected: A correction of that event names somebody else. It may say less of the same one, so a person looks.
    """

    named_in: str
    ids: tuple[NamedToken, ...] = ()
    confirm: tuple[NamedToken, ...] = ()
    family: tuple[Token, ...] = ()
    given: tuple[Token, ...] = ()
    born: tuple[Token, ...] = ()
    works_for: tuple[str, ...] = ()
    may_be_parent: YesNo = True
    corrected: YesNo = False


class Earlier(BusRecord):
    """
    What was on record of an event's episode when it was decided, as far as the decision rests on it.

    Attributes:
        tokens: Of the episodes that are one with this event's, as in `Episode`.
        known: What the event refers to was found, whole; nothing to find is found, too.
        retracted: The last that was heard of them was that it was wrong, and this adds to it or corrects it.
        accused: The alleged perpetrators of those events.
        original: The id of the event that this one adds to, corrects or takes back, where that is on record.
        holders: Who was sent what this one takes back or corrects: that event, and what adds to it or corrects it.
    """

    tokens: tuple[Token, ...] = ()
    known: YesNo = True
    retracted: YesNo = False
    accused: tuple[Accused, ...] = ()
    original: str | None = None
    holders: tuple[Holder, ...] = ()


class Episode(BusRecord):
    """
    What one decision leaves for those of the same episode that come after it.

    Attributes:
        tokens: Keyed; each stands for a reference of the publisher's, or for the event itself.
        accused: As in `Earlier`, with those of this event.
        whole: All of them are here; False: there were too many.
        adds_to: The id of the event that this one adds to or corrects.
        retracted: That was the last that was heard of it, so what adds to it or corrects it comes too late.
    """

    tokens: tuple[Token, ...]
    accused: tuple[Accused, ...] = ()
    whole: YesNo = True
    retracted: YesNo = False
    adds_to: str | None = None


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
    register_offset: Whole
    decided_at: Moment
    earlier: Earlier | None = None
    answers: tuple[Answer, ...]
    worklist: tuple[ToSee, ...] = ()
    episode: Episode | None = None


class RegisterRecord(BusRecord):
    """One entry of the register. `body` is canonical JSON; None ends the entry."""

    SCHEMA: ClassVar[str] = "register"
    record_id: str
    kind: str
    recorded_at: Moment
    recorded_by: str
    reason: str
    body: str | None


#: Of an operation: more ids than these are counted and not listed; what was written of them stands on their own topic.
MOST_ABOUT = 100


class Operation(BusRecord):
    """
    What a person did through a command: looked at, changed, sent. Written before it happens.

    Attributes:
        certificate: The name in the certificate that the command had, which signs the record; empty: it had none.
        system_user: As the machine knows who ran it; what the machine says is not proven.
        about: Ids, partners, topics; never a value of an event.
        number: Of what was shown, changed or sent; 0: a second person must ask for the same first.
        request: Keyed digest of what is to be written to the register; None: nothing is, or recorded before there was
            this of what one person alone may change.
        seconds: The operation that this person asks for, too.
        to: Whom something was assigned to.
    """

    SCHEMA: ClassVar[str] = "operation"
    operation_id: str
    at: Moment
    certificate: str
    system_user: str
    what: str
    about: tuple[str, ...]
    number: Whole
    reason: str
    request: str | None = None
    seconds: str | None = None
    to: str | None = None


class Stage(StrEnum):
    """How far a delivery came."""

    HANDED_OVER = "HANDED_OVER"
    WAITING = "WAITING"
    HELD = "HELD"
    PARKED = "PARKED"
    STOPPED = "STOPPED"
    NOTICE_HANDED_OVER = "NOTICE_HANDED_OVER"


class DestinationStanding(StrEnum):
    """How a destination stands, as far as whoever delivers to it knows."""

    LETS_IN = "LETS_IN"
    DOUBTED = "DOUBTED"
    HELD = "HELD"
    SILENT = "SILENT"


class DestinationState(BusRecord):
    """
    How a destination stands. Doubted: one was refused, and others show whose fault it is. Held: it refuses everything.
    Silent: it takes nothing.

    Attributes:
        since: When it came to stand so; None: it has since the process began.
        asked_at: Held or silent: when it is asked again, with one message.
        left_alone_until: It asked for a pause: nothing is sent to it before.
        flaky_until: One of its servers refuses what another takes: until then nothing is parked for being refused.
    """

    standing: DestinationStanding
    since: Moment | None = None
    asked_at: Moment | None = None
    left_alone_until: Moment | None = None
    flaky_until: Moment | None = None


class Receipt(BusRecord):
    """
    One thing that happened to one delivery.

    Attributes:
        again_at: WAITING: when it is sent again; HELD: when its destination may be asked again. A destination that lets
            in again, or a person, may make it earlier.
        written_by: The certificate of the process that wrote it, or the system user where there is none.
        place: Keyed digest of where it was handed over, or would have been (`consumers.adapters.places`); None: not
            recorded, as before there was this field.
        destination: How its destination stood after it; None: whoever wrote this does not follow that (a person sent
            it by hand, or it was recorded before there was this field).
    """

    SCHEMA: ClassVar[str] = "receipt"
    notification_id: str
    event_id: str
    partner: str
    transport: str
    stage: Stage
    attempt: Whole
    at: Moment
    answer: str
    reason: str
    subject_token: Token
    purpose: str
    consent_meaning: str | None
    output_digest: str
    again_at: Moment | None = None
    destination: DestinationState | None = None
    written_by: str = ""
    place: str | None = None


class Quarantined(BusRecord):
    """What could not be decoded, verified or matched, sealed."""

    SCHEMA: ClassVar[str] = "quarantined"
    quarantine_id: str
    reason: str
    detail: str
    topic: str
    partition: Whole
    offset: Whole
    at: Moment
    size: Whole
    sealed: bytes
