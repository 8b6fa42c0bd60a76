"""
What does a signal of NHS England's Multicast Notification Service say?

A signal is a pointer: something happened to this NHS number, the record is over there. It comes as a FHIR R4 Bundle
or as a CloudEvent; the two "differ in their presentation only", so the same signal gives the same event from either.

    pds-death-notification-2  -> RECORD_CHANGED: a death status changed; it may have been taken back
    nhs-number-change-2       -> NUMBER_CHANGED: it was replaced, or is no longer valid
    pds-record-change-2       -> RECORD_CHANGED

So an event says "this changed, look it up at the source", and no more. What an importer finds that is given the source
to ask is in `mns_records`.

A number change names one number and does not say whether it is the old or the new one. So `superseded_nhs_number`
stays empty: who needs the other number reads the record at `data_reference`.

Some signals carry the record itself after the pointer. It is not read, but for its security labels.

Source: NHSDigital/multicast-notification-service, signal-schemas/ and specification/schemas/cloudevents/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from safebus.producers.importers.fhir_times import instant
from safebus.producers.importers.identity_events import (
    NHS_NUMBER_SYSTEM,
    FeedMessage,
    checked_agency,
    event_of,
    nhs_number,
    strictest,
)
from safebus.producers.importers.known_types import checked_type
from safebus.producers.importers.orders import check_told
from safebus.producers.importers.outcome import Imported, ImportReason, Outcome, answer
from safebus.producers.importers.reading import read_json
from safebus.schemas.errors import Refused
from safebus.schemas.events import (
    Confidentiality,
    IdentityChange,
    IdentityChangePayload,
    IdentityEvent,
    Lifecycle,
    Person,
    PersonRole,
)

_RECORD_OF_A_PATIENT = re.compile(r"(?:.*/)?Patient/([^/?#]+)([/?#].*)?", re.DOTALL)


@dataclass(frozen=True)
class Signal:
    """
    What both forms of a signal say, checked.

    Attributes:
        number: Whom it is about.
        becomes: What the list of types says of its type.
    """

    id: str
    event_type: str
    source: str
    number: str
    occurred_at: datetime
    published_at: datetime
    data_reference: str | None
    record_version: str | None
    confidentiality: Confidentiality
    becomes: Mapping[str, str]


@dataclass(frozen=True)
class _Raw:
    """The same as it stands there."""

    id: str
    event_type: str
    source: str
    subject: str
    occurred_at: str
    published_at: str
    data_reference: str | None
    record_version: str | None
    confidentiality: Confidentiality


def import_signal(data: bytes, *, agency: str, received_at: datetime) -> Outcome:
    """
    Read one signal, as a FHIR R4 Bundle or as a CloudEvent in JSON, and say no more than it does.

    Args:
        agency: Who publishes it on the bus: `in.<agency>` is its topic.
        received_at: Only bounds times that cannot be; no part of the event comes from it.

    Raises:
        BadInput: `agency` or `received_at` cannot be used. Nothing is raised for what the signal holds.
    """
    checked_agency(agency, received_at)
    return answer(lambda: Imported(pointer(read_signal(data, received_at=received_at), agency=agency)))


def read_signal(data: bytes, *, received_at: datetime) -> Signal:
    """
    Read one signal.

    Raises:
        Refused: With an `ImportReason`.
    """
    raw = _signal(read_json(data))
    number = nhs_number(raw.subject, "`subject`")
    pointed_at = _RECORD_OF_A_PATIENT.fullmatch(raw.data_reference or "")
    if pointed_at and pointed_at[1] != number:
        raise Refused(
            ImportReason.IDENTITY_CONFLICT,
            "the subject and the record pointed at are not the same NHS number; expected one person, and chose neither",
        )
    occurred_at = instant(raw.occurred_at, "time of the occurrence", received_at=received_at)
    published_at = instant(raw.published_at, "time of the signal", received_at=received_at)
    check_told(occurred_at, told_at=published_at, change="time of the occurrence", telling="time of the signal")
    return Signal(
        id=raw.id,
        event_type=raw.event_type,
        source=raw.source,
        number=number,
        occurred_at=min(occurred_at, published_at),
        published_at=published_at,
        data_reference=raw.data_reference,
        record_version=raw.record_version,
        confidentiality=raw.confidentiality,
        becomes=checked_type("mns", raw.event_type),
    )


def pointer(signal: Signal, *, agency: str) -> IdentityEvent:
    """
    What the signal says by itself: something changed, look it up at the source.

    Raises:
        Refused: See `event_of`.
    """
    person = Person(ref="person", role=PersonRole.PERSON, nhs_number=signal.number)
    return event_of(told_by(signal, person, IdentityChange(signal.becomes["signal"])), agency=agency)


def told_by(signal: Signal, person: Person, change: IdentityChange) -> FeedMessage:
    """A message about this person, with everything else from the signal."""
    return FeedMessage(
        feed="mns",
        source_id=signal.id,
        lifecycle=Lifecycle.NEW,
        occurred_at=signal.occurred_at,
        published_at=signal.published_at,
        confidentiality=signal.confidentiality,
        subjects=(person,),
        payload=IdentityChangePayload(
            change=change,
            source_event_type=signal.event_type,
            source_event_id=signal.id,
            source_system=signal.source,
            data_reference=signal.data_reference,
            record_version=signal.record_version,
        ),
    )


def _signal(document: Any) -> _Raw:
    if isinstance(document, dict) and "resourceType" in document:
        return _from_bundle(document)
    if isinstance(document, dict) and "specversion" in document:
        return _from_cloudevent(document)
    if isinstance(document, dict) and (inside := {"Body", "body", "Message"} & document.keys()):
        # MNS delivers to queues of SQS, to which a topic of SNS may stand before.
        raise Refused(
            ImportReason.NOT_A_SIGNAL,
            f"this is the envelope of a queue; give what stands in its `{min(inside)}`, as a file of its own",
        )
    raise Refused(
        ImportReason.NOT_A_SIGNAL,
        "expected one JSON object with `resourceType` (a FHIR signal) or `specversion` (a CloudEvent), one in a file",
    )


def _from_cloudevent(document: dict[str, Any]) -> _Raw:
    if document["specversion"] != "1.0":
        raise Refused(ImportReason.NOT_A_SIGNAL, "`specversion` is not `1.0`; expected a CloudEvent 1.0")
    event_type = _type(document.get("type"))
    time = _text(document.get("time"), "time")
    return _Raw(
        id=_text(document.get("id"), "id"),
        event_type=event_type,
        source=_text(document.get("source"), "source"),
        subject=_text(document.get("subject"), "subject"),
        occurred_at=time,
        published_at=time,
        data_reference=_text_if_any(document, "dataref"),
        record_version=_text_if_any(document, "versionid"),
        confidentiality=Confidentiality.N,  # a CloudEvent has no place for a label
    )


def _from_bundle(document: dict[str, Any]) -> _Raw:
    problem = next(_validator().iter_errors(document), None)
    if problem is not None:
        raise Refused(ImportReason.NOT_A_SIGNAL, _without_values(problem))
    parameters = document["entry"][0]["resource"]["parameter"]
    occurrence, context = parameters[3]["part"], parameters[4]["part"]
    focus, subject, version = (
        _one(occurrence[2:], "focus"),
        _one(context[2:], "subject"),
        _one(context[2:], "version-id"),
    )
    if subject is None:
        raise Refused(ImportReason.MISSING_FIELD, "`subject` is missing: the signal does not say whom it is about")
    identifier = subject["valueReference"]["identifier"]
    if identifier.get("system", NHS_NUMBER_SYSTEM) != NHS_NUMBER_SYSTEM:
        raise Refused(ImportReason.BAD_IDENTIFIER, f"`subject` is not of system `{NHS_NUMBER_SYSTEM}`")
    return _Raw(
        id=_text(document["id"], "id"),
        event_type=_type(context[0]["valueString"]),
        source=_text(context[1]["valueUri"], "source"),
        subject=_text(identifier["value"], "subject"),
        occurred_at=occurrence[1]["valueInstant"],
        published_at=document["timestamp"],
        data_reference=_text(focus["valueReference"]["reference"], "focus") if focus else None,
        record_version=_text(version["valueString"], "version-id") if version else None,
        confidentiality=strictest(_labels(document)),
    )


def _type(event_type: object) -> str:
    text = _text(event_type, "event type")
    checked_type("mns", text)
    return text


def _one(parts: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    found = [part for part in parts if part["name"] == name]
    if len(found) > 1:
        reason = ImportReason.IDENTITY_CONFLICT if name == "subject" else ImportReason.AMBIGUOUS
        raise Refused(reason, f"`{name}` stands {len(found)} times; expected once")
    return found[0] if found else None


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Refused(ImportReason.MISSING_FIELD, f"`{where}` is missing or empty; expected text")
    return value


def _text_if_any(document: dict[str, Any], name: str) -> str | None:
    return None if document.get(name) is None else _text(document[name], name)


def _labels(document: dict[str, Any]) -> Iterator[tuple[object, object]]:
    """Of the bundle, the signal and the record it may carry. The schema says nothing of `meta`, so nothing is sure."""
    for resource in (document, *(entry["resource"] for entry in document["entry"])):
        meta = resource.get("meta", {})
        labels = meta.get("security", []) if isinstance(meta, dict) else [None]
        for label in labels if isinstance(labels, list) else [None]:
            yield (label.get("system"), label.get("code")) if isinstance(label, dict) else (None, None)


@cache
def _validator() -> Draft202012Validator:
    schema = resources.files("safebus.producers.importers").joinpath("fhirsignal.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(schema))


def _without_values(problem: ValidationError) -> str:
    """Where and what was expected, in the schema's words: the library's own message repeats the value."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.absolute_path).lstrip(".")
    expected = problem.validator_value if isinstance(problem.validator_value, str | int | list) else "something else"
    if problem.validator == "anyOf":
        expected = "one of the forms that the schema allows here"
    return f"`{where or 'signal'}` fails `{problem.validator}` of fhirsignal.schema.json; expected {expected}"
