"""
How does a change to someone's NHS record become an event of the bus?

Everything in the event comes from the message, and nothing from the moment of import: importing the same message
again gives the same event id and the same bytes, so the bus knows a repeat when it sees one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from safebus.producers.event_check import checked
from safebus.producers.importers.outcome import ImportReason
from safebus.schemas import codec, gate, identifiers
from safebus.schemas.errors import BadIdentifier, BadInput, Refused
from safebus.schemas.events import (
    ClaimedBasis,
    Confidentiality,
    Handling,
    IdentityChangePayload,
    IdentityEvent,
    Lifecycle,
    Person,
    Sender,
)

# NHS England runs MNS, NEMS and PDS, and answers for what they say. Basis codes: the register's basis catalogue.
NHS_ENGLAND = {"org_scheme": "ODS", "org_code": "X26", "org_name": "NHS England"}
BASIS = ClaimedBasis(art6="A6-1-e", gateway="NHSA06-13")
PURPOSE = "record_accuracy"

NHS_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"

# The same code system in STU3, in R4 and as the NHS writes it.
_CONFIDENTIALITY_SYSTEMS = frozenset(
    {
        "http://hl7.org/fhir/v3/Confidentiality",
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "https://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    }
)
_STRICTER_LAST = list(Confidentiality)


@dataclass(frozen=True)
class FeedMessage:
    """
    What a message says, read and checked.

    Attributes:
        feed: `mns` or `nems`.
        source_id: The message's own id.
        occurred_at: When the record changed.
        published_at: When the feed said so.
        confidentiality: The strictest label on any part of the message. It holds for everyone in it: a mother's
            hidden address is also her baby's.
    """

    feed: str
    source_id: str
    lifecycle: Lifecycle
    occurred_at: datetime
    published_at: datetime
    confidentiality: Confidentiality
    subjects: tuple[Person, ...]
    payload: IdentityChangePayload
    sequence: int | None = None


def event_of(change: FeedMessage, *, agency: str) -> IdentityEvent:
    """
    The event, and only if the gate of the bus would let it in.

    Raises:
        Refused: TOO_LARGE or BAD_VALUE.
        BadInput: A field cannot hold what it was given.
    """
    event = IdentityEvent(
        event_id=_event_id(change, agency),
        lifecycle=change.lifecycle,
        sequence=change.sequence,
        occurred_at=change.occurred_at,
        recorded_at=change.published_at,
        published_at=change.published_at,
        publisher=Sender(agency=agency, **NHS_ENGLAND),
        subjects=tuple(
            person.model_copy(update={"confidentiality": change.confidentiality}) for person in change.subjects
        ),
        handling=Handling(confidentiality=change.confidentiality),
        claimed_basis=BASIS,
        purpose=PURPOSE,
        payload=change.payload,
    )
    try:
        codec.decode(codec.encode(event))
    except Refused as exc:
        too_much = exc.reason in (
            gate.GateReason.TOO_LARGE,
            gate.GateReason.TOO_MANY_ITEMS,
            gate.GateReason.TOO_LONG_STRING,
        )
        raise Refused(ImportReason.TOO_LARGE if too_much else ImportReason.BAD_VALUE, exc.detail) from None
    try:
        checked(event)
    except BadInput as exc:  # one message must not stop all that are published with it
        raise Refused(ImportReason.BAD_VALUE, str(exc)) from None
    return event


def checked_agency(agency: str, received_at: datetime) -> None:
    """
    Refuse what the caller, not the message, got wrong.

    Raises:
        BadInput: `agency` is no agency id, or `received_at` has no offset.
    """
    identifiers.agency_id(agency)
    if received_at.utcoffset() is None:
        raise BadInput("`received_at` has no offset from UTC; give an aware time, such as `datetime.now(UTC)`")


def nhs_number(text: str, where: str) -> str:
    """
    Ten digits that pass their own check. White space of any kind between them is how they are written.

    Raises:
        Refused: BAD_IDENTIFIER.
    """
    try:
        return identifiers.nhs_number("".join(text.split()))
    except BadIdentifier as exc:
        raise Refused(ImportReason.BAD_IDENTIFIER, f"{where}: {exc}") from None


def strictest(labels: Iterable[tuple[object, object]]) -> Confidentiality:
    """
    How confidential, from (system, code) of every security label. Labels only ever raise it above normal.

    PDS marks a restricted record `R`, and writes `U` on every other. A label nobody here understands may be the one
    that keeps a family safe, so it is never skipped.

    Raises:
        Refused: UNKNOWN_LABEL.

    Source: Personal Demographics Service FHIR API, Meta.security; HL7 v3-Confidentiality.
    """
    found = Confidentiality.N
    for system, code in labels:
        if system not in _CONFIDENTIALITY_SYSTEMS or not isinstance(code, str) or code not in _STRICTER_LAST:
            raise Refused(
                ImportReason.UNKNOWN_LABEL,
                "`meta.security` carries a label other than v3-Confidentiality U, L, M, N, R or V; "
                "a person must read what it asks for",
            )
        found = stricter(found, Confidentiality(code))
    return found


def stricter(one: Confidentiality, other: Confidentiality) -> Confidentiality:
    """The one of two labels that asks for more."""
    return max(one, other, key=_STRICTER_LAST.index)


def _event_id(change: FeedMessage, agency: str) -> str:
    # The same UUID in capitals is the same id, and must not become a second event.
    lowered = change.source_id.lower()
    try:
        return identifiers.event_id(lowered)
    except BadIdentifier:
        return identifiers.derived_id(change.feed, agency, change.source_id)
