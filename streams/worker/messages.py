"""
What is written for an event: its decision, its notifications, its entry in quarantine?

Keys and headers say nothing about a person. What goes to quarantine is sealed: the worker can write it and not read it.
"""

from __future__ import annotations

from datetime import datetime

from safebus.schemas import codec, headers, sealing, topics
from safebus.schemas.bus_records import DecisionRecord, Origin, Quarantined
from safebus.schemas.identifiers import derived_id
from safebus.schemas.kafka.writer import Message, partition_of
from safebus.schemas.keys import PersonKey
from safebus.streams.rules.notifications import Output
from safebus.streams.worker.remembered import KnownDecision


def decision(record: DecisionRecord, value: bytes, known: KnownDecision) -> Message:
    """A decision record (`value`: its bytes), to the partition number of its source."""
    about = headers.cloud_event(id=record.event_id, source=record.source, type=record.event_type)
    key = record.event_id.encode()
    return Message(topics.DECISIONS, key, value, [*about, known.header()], record.origin.partition)


def notification(output: Output, key: PersonKey) -> Message:
    """A notification, to the partition of its person, whatever their token's dress: one child's stay in order."""
    n = output.notification
    about = headers.cloud_event(id=n.notification_id, source="safebus", type=n.event_type)
    partition = partition_of(key.plain(n.subject_token).encode())
    return Message(topics.notifications_for(n.recipient), n.subject_token.encode(), output.value, about, partition)


def quarantined(
    reason: str,
    detail: str,
    value: bytes | None,
    origin: Origin,
    *,
    event_id: str | None,
    seal_to: bytes,
    most: int,
    now: datetime,
) -> Message:
    """
    An entry in quarantine.

    Args:
        event_id: None: it could not be read, or is not known to be of whoever claims to have sent it.
        seal_to: The operators' public key.
        most: An original of more bytes would be too large to be sealed and sent: it stays at its origin.
    """
    where = f"{origin.topic}/{origin.partition}/{origin.offset}"
    entry = Quarantined(
        quarantine_id=derived_id("quarantine", where, reason),
        reason=reason,
        detail=detail,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        at=now,
        size=-1 if value is None else len(value),
        sealed=sealing.seal(value if value and len(value) <= most else b"", public_key=seal_to, context=where),
    )
    about = headers.cloud_event(id=entry.quarantine_id, source=origin.topic, type="safebus.quarantined")
    about += [] if event_id is None else [(headers.EVENT, event_id.encode())]
    return Message(topics.QUARANTINE, where.encode(), codec.encode_record(entry), about)
