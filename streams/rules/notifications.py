"""
What is sent for an answer that is on record?

The first time and after a crash alike, a notification is made from the answer as the decision record holds it and from
the event: recipient, person, fields, labels, time. No rule is asked and no register is looked at, so a redo under a
later release of the rules sends the very bytes that were decided (`output_digest` says whether it did).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from safebus.schemas import codec
from safebus.schemas.bus_records import Answer, DecisionRecord, Notification, Outcome
from safebus.schemas.event_schemas import EventSchema, bus_schemas
from safebus.schemas.keys import PersonKey
from safebus.streams.rules import safe_places
from safebus.streams.rules.views import View, view_of


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
    outputs = [output_of(answer, record, visible, built_for(answer, schema, visible)) for answer in permits]
    as_sent = [_as_on_record(output, answer, key) for output, answer in zip(outputs, permits, strict=True)]
    return None if None in as_sent else tuple(output for output in as_sent if output is not None)


def _as_on_record(output: Output, answer: Answer, key: PersonKey) -> Output | None:
    """The output in the bytes that were decided, be it under the schema of an earlier release; None: in no way."""
    if key.agrees(answer.output_digest, output.value):
        return output
    values = (codec.encode_record(output.notification, under=mark) for mark in bus_schemas(Notification.SCHEMA))
    return next((replace(output, value=v) for v in values if key.agrees(answer.output_digest, v)), None)


def as_sent_then(
    made: DecisionRecord, outputs: Iterable[Output], then: DecisionRecord, key: PersonKey
) -> DecisionRecord:
    """
    A decision that was made again, with the digests on record of those notifications that are the bytes which were sent
    when they are written under the schema of an earlier release.

    Args:
        outputs: Of its permits, in their order.
        then: What is on record, by an earlier release.
    """
    on_record = {answer.decision_id: answer for answer in then.answers}
    permits = (answer for answer in made.answers if answer.outcome is Outcome.PERMIT)
    same = {
        answer.decision_id: on_record[answer.decision_id].output_digest
        for answer, output in zip(permits, outputs, strict=True)
        if answer.decision_id in on_record and _as_on_record(output, on_record[answer.decision_id], key) is not None
    }
    answers = (
        answer.model_copy(update={"output_digest": same.get(answer.decision_id, answer.output_digest)})
        for answer in made.answers
    )
    return made.model_copy(update={"answers": tuple(answers)})


@dataclass(frozen=True)
class Built:
    """
    The view of one permit.

    Attributes:
        values: It as plain values.
        role: Of the person it is about; empty: it shows nobody.
    """

    view: View
    values: dict[str, Any]
    role: str


def built_for(answer: Answer, schema: EventSchema, event: Mapping[str, Any]) -> Built:
    """
    What one permit lets be seen.

    Args:
        event: As plain values, without what shows a safe address (`safe_places.cleared`).
    """
    view = view_of(schema, answer.view_fields)
    # What takes another back is about whoever that was about, and shows nobody.
    person = None if answer.bare else event["subjects"][answer.subject_index]
    values = view.record(event, subject_ref=person["ref"] if person else "")
    return Built(view, values, person["role"] if person else "")


def output_of(answer: Answer, record: DecisionRecord, event: Mapping[str, Any], built: Built) -> Output:
    """The notification for one permit."""
    assert answer.agreement_id is not None and answer.agreement_version is not None and answer.flow is not None
    assert answer.notification_id is not None
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
        view_schema=built.view.fingerprint,
        view=built.view.value(built.values),
        takes_back=answer.takes_back,
        bare=answer.bare,
        role=built.role,
        whom_to_ask=(answer.call or record.source) if answer.unclear else None,
    )
    return Output(notification, codec.encode_record(notification), built.values)
