"""
What does a message of NHS England's National Events Management Service say?

A message is a FHIR STU3 Bundle in XML: a header that says what happened, and the Patient it happened to.

    pds-change-of-address-1   -> ADDRESS_CHANGED, to the home with the latest start
    pds-death-notification-1  -> DEATH or DEATH_REMOVED, see `nems_changes`
    pds-birth-notification-1  -> BIRTH of the baby (CHILD), with the mother (PARENT_CARER)

    message type new, update, delete -> lifecycle NEW, UPDATE, RETRACT

The header's id is the message's id: "an originator/publisher unique publication reference". The Bundle's is not used:
it names the envelope. Who the message is about, where it says so twice and differently: see `patients`.

Source: nhsconnect/Events-Management, pages/messages/ (generic requirements, and one page for each event).
"""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree.ElementTree import Element  # the type alone: parsing is defusedxml's, in `reading`

from safebus.producers.importers.fhir_times import instant
from safebus.producers.importers.identity_events import FeedMessage, checked_agency, event_of, strictest
from safebus.producers.importers.known_types import checked_type
from safebus.producers.importers.nems_changes import READERS, Context
from safebus.producers.importers.orders import check_told
from safebus.producers.importers.outcome import Imported, ImportReason, Outcome, answer
from safebus.producers.importers.reading import read_xml
from safebus.producers.importers.stated import Stated, Told, of_routing
from safebus.producers.importers.stu3 import Stu3Message, extensions, labels, message, the, value, values
from safebus.schemas.errors import Refused
from safebus.schemas.events import IdentityChangePayload, Lifecycle

_HEADER_EXTENSIONS = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-"
_SEQUENCE = re.compile(r"[0-9]{1,18}")  # what Avro's long holds

LIFECYCLES = {"new": Lifecycle.NEW, "update": Lifecycle.UPDATE, "delete": Lifecycle.RETRACT}


def import_message(data: bytes, *, agency: str, received_at: datetime) -> Outcome:
    """
    Read one message, FHIR STU3 in XML.

    Args:
        agency: Who publishes it on the bus: `in.<agency>` is its topic.
        received_at: Only bounds times that cannot be; no part of the event comes from it.

    Raises:
        BadInput: `agency` or `received_at` cannot be used. Nothing is raised for what the message holds.
    """
    checked_agency(agency, received_at)
    return answer(lambda: _import(data, agency, received_at))


def _import(data: bytes, agency: str, received_at: datetime) -> Imported:
    found = message(read_xml(data))
    header = found.header
    event_type = the(header, "event/code")
    reader = checked_type("nems", event_type)["message"]
    published_at = instant(the(header, "timestamp"), "MessageHeader.timestamp", received_at=received_at)
    changed_at = _changed_at(header, published_at, received_at)
    about = READERS[reader](
        Context(
            found,
            _subject(found),
            _routing(header, optional=reader == "birth"),
            Told(changed_at, published_at),
            received_at,
        )
    )
    check_told(
        changed_at, told_at=published_at, change="MessageHeader.meta.lastUpdated", telling="MessageHeader.timestamp"
    )
    change = FeedMessage(
        feed="nems",
        source_id=the(header, "id"),
        lifecycle=_lifecycle(header),
        occurred_at=min(changed_at, published_at),
        published_at=published_at,
        confidentiality=strictest(labels(found.bundle, header, *found.by_reference.values())),
        subjects=about.subjects,
        sequence=_sequence(header),
        payload=IdentityChangePayload(
            change=about.change,
            source_event_type=event_type,
            source_event_id=the(header, "id"),
            source_system=the(header, "source/endpoint"),
            record_version=about.record_version,
            died_at=about.died_at,
            new_address=about.new_address,
        ),
    )
    return Imported(event_of(change, agency=agency), about.left_out)


def _subject(found: Stu3Message) -> Element:
    communication = found.resolve(the(found.header, "focus/reference"), "Communication", "MessageHeader.focus")
    return found.resolve(the(communication, "subject/reference"), "Patient", "Communication.subject")


def _routing(header: Element, *, optional: bool) -> Stated | None:
    demographics = extensions(header, f"{_HEADER_EXTENSIONS}RoutingDemographics-1")
    # A birth can be registered without details of the mother; every other message is routed by these.
    if len(demographics) > 1 or not (demographics or optional):
        raise Refused(
            ImportReason.AMBIGUOUS if demographics else ImportReason.MISSING_FIELD,
            f"`MessageHeader.routingDemographics`: found {len(demographics)}, expected one",
        )
    stated = of_routing(demographics[0]) if demographics else None
    if stated is not None and not stated.numbers and not optional:
        raise Refused(ImportReason.MISSING_FIELD, "`MessageHeader.routingDemographics` holds no NHS number")
    return stated


def _lifecycle(header: Element) -> Lifecycle:
    codes = [
        code
        for part in extensions(header, f"{_HEADER_EXTENSIONS}MessageEventType-1")
        for code in values(part, "valueCodeableConcept/coding/code")
    ]
    if len(codes) != 1 or codes[0] not in LIFECYCLES:
        raise Refused(
            ImportReason.BAD_VALUE if codes else ImportReason.MISSING_FIELD,
            f"`MessageHeader.messageEventType`: expected one of {', '.join(LIFECYCLES)}",
        )
    return LIFECYCLES[codes[0]]


def _changed_at(header: Element, published_at: datetime, received_at: datetime) -> datetime:
    """When the record changed. Source: generic requirements, `meta.lastUpdated`: "the point in time that ..."."""
    updated = value(header, "meta/lastUpdated")
    if updated is None:
        return published_at
    return instant(updated, "MessageHeader.meta.lastUpdated", received_at=received_at)


def _sequence(header: Element) -> int | None:
    found = value(header, "meta/versionId")
    if found is not None and not _SEQUENCE.fullmatch(found):
        raise Refused(
            ImportReason.BAD_VALUE, "`MessageHeader.meta.versionId` is not an integer; expected a sequence number"
        )
    return None if found is None else int(found)
