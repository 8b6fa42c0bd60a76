"""
What is sent for an answer that is on record?

The first time and after a crash alike, a notification is made from the answer as the decision record holds it and from
the event: recipient, person, fields, labels, time. No rule is asked and no register is looked at, so a redo under a
later release of the rules sends the very bytes that were decided (`output_digest` says whether it did).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from safebus.schemas import codec
from safebus.schemas.bus_records import Answer, DecisionRecord, Notification, Outcome
from safebus.schemas.event_schemas import EventSchema, bus_schemas
from safebus.schemas.keys import PersonKey
from safebus.streams.rules import safe_places
from safebus.streams.rules.views import view_of


@dataclass(frozen=True)
class Output:
    """
    One notification, and its bytes as they go to `out.<recipient>`.

    Attributes:
        built: Its view as plain values.
    """

    notification: Notification
    value: bytes
    built: Mapping[str, Any]


def outputs_of(
    record: DecisionRecord, schema: EventSchema, event: Mapping[str, Any], *, key: PersonKey
) -> tuple[Output, ...] | None:
    """
    Everything that a decision on record lets out.

    Args:
        event: The event as plain values, under `schema`.

    Returns:
        None: What can be made today is not, byte for byte, what was decided; nothing of it may be sent.
    """
    permits = [answer for answer in record.answers if answer.outcome is Outcome.PERMIT]
    visible, _ = safe_places.cleared(event, schema)
    outputs = [output_of(answer, record, schema, visible) for answer in permits]
    as_sent = [_as_on_record(output, answer, key) for output, answer in zip(outputs, permits, strict=True)]
    return None if None in as_sent else tuple(output for output in as_sent if output is not None)


def _as_on_record(output: Output, answer: Answer, key: PersonKey) -> Output | None:
    """The output in the bytes that were decided, be it under the schema of an earlier release; None: in no way."""
    if key.agrees(answer.output_digest, output.value):
        return output
    values = (codec.encode_record(output.notification, under=mark) for mark in bus_schemas(Notification.SCHEMA))
    return next((replace(output, value=v) for v in values if key.agrees(answer.output_digest, v)), None)


def output_of(answer: Answer, record: DecisionRecord, schema: EventSchema, event: Mapping[str, Any]) -> Output:
    """
    The notification for one permit.

    Args:
        event: As plain values, without what shows a safe address (`safe_places.cleared`).
    """
    assert answer.agreement_id is not None and answer.agreement_version is not None and answer.flow is not None
    assert answer.notification_id is not None
    view = view_of(schema, answer.view_fields)
    # What takes another back is about whoever that was about, and shows nobody.
    person = None if answer.bare else event["subjects"][answer.subject_index]
    built = view.record(event, subject_ref=person["ref"] if person else "")
    notification = Notification(
        notification_id=answer.notification_id,
        decision_id=answer.decision_id,
        event_id=record.event_id,
        event_type=record.event_type,
        lifecycle=record.lifecycle,
        recipient=answer.recipient,
        publisher=record.source,
        purpose=answer.purpose,
        urgency=event["urgency"],
        subject_token=answer.subject_token,
        agreement_id=answer.agreement_id,
        agreement_version=answer.agreement_version,
        flow=answer.flow,
        consent_meaning=answer.consent_meaning,
        labels=answer.labels,
        restricted=answer.restricted,
        decided_at=record.decided_at,
        view_schema=view.fingerprint,
        view=view.value(built),
        takes_back=answer.takes_back,
        bare=answer.bare,
        role=person["role"] if person else "",
    )
    return Output(notification, codec.encode_record(notification), built)
