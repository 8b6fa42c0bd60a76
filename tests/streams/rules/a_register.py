"""A small register in values, and the demonstration's, for the tests of the rules."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safebus.schemas import codec
from safebus.schemas.bus_records import Earlier, Origin, RegisterRecord
from safebus.schemas.events import Event
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register, body_of
from safebus.streams.register.write import register_of
from safebus.streams.rules import sharing
from safebus.streams.rules.agreements import Agreement, Flow

KEY = PersonKey(b"a key for tests, long enough: 32.")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORIGIN = Origin(topic="in.fordshire-police", partition=0, offset=7)
FOLDER = Path(__file__).parents[3] / "deploy" / "local" / "demo" / "register"
ENTRIES = [change.entry for change in changes_of(FOLDER, Register(), KEY)]

FLOW: dict[str, Any] = {
    "flow": "to-school",
    "event_type": "police.encompass.v1",
    "from": ["fordshire-police"],
    "to": ["ash-primary"],
    "purpose": "safeguarding",
    "interest": ["attends_school"],
    "basis": {"art6": "A6-1-c", "power_or_duty": "DAA21-49A", "confidentiality": "CLDC-STATUTE"},
    "objection_reason": "a duty",
    "release": {"event": ["ENVELOPE"], "subject": ["ID_CORE"]},
}
AGREEMENT: dict[str, Any] = {
    "agreement": "small",
    "version": 1,
    "title": "A small agreement",
    "status": "active",
    "effective_from": "2026-01-01",
    "review_by": "2027-01-01",
    "parties": [
        {"partner": "fordshire-police", "signed_by": "Chief Constable", "signed_on": "2025-12-01"},
        {"partner": "ash-primary", "signed_by": "Head teacher", "signed_on": "2025-12-01"},
    ],
    "flows": [FLOW],
}


def flow(**changes: Any) -> Flow:
    """The small flow, changed."""
    return Flow.model_validate(FLOW | changes)


def agreement(**changes: Any) -> Agreement:
    """The small agreement, changed."""
    return Agreement.model_validate(AGREEMENT | changes)


def demo() -> Register:
    """The register of the demonstration, fresh."""
    return register_of(ENTRIES, at=NOON)


def record(record_id: str, kind: str, body: str | None) -> RegisterRecord:
    """One record of the register."""
    return RegisterRecord(
        record_id=record_id, kind=kind, recorded_at=NOON, recorded_by="test", reason="test", body=body
    )


def _standing(register: Register, record_id: str) -> str:
    """The version of an agreement that stands, where the agreement is meant: what follows takes its place."""
    return next((each for each in register.entries() if each.startswith(f"{record_id}/v")), record_id)


def put(register: Register, record_id: str, kind: str, body: Any) -> Register:
    """The register after one more record; `body`: values, or None to end the entry."""
    text = None if body is None else json.dumps(body)
    register.apply(register.offset + 1, record(_standing(register, record_id), kind, text))
    return register


def change(register: Register, record_id: str, how: Callable[[dict[str, Any]], object]) -> Register:
    """The register after one entry was changed."""
    record_id = _standing(register, record_id)
    kind, entry = register.entries()[record_id]
    body = json.loads(body_of(entry))
    how(body)
    return put(register, record_id, kind, body)


def change_flow(register: Register, agreement_id: str, name: str, **changes: Any) -> Register:
    """The register after a flow was changed and the agreement signed again: its version goes up."""

    def how(body: dict[str, Any]) -> None:
        body["version"] += 1
        next(f for f in body["flows"] if f["flow"] == name).update(changes)

    return change(register, f"agreement/{agreement_id}", how)


def share(event: Event, register: Register, *, now: datetime = NOON, earlier: Earlier | None = None) -> sharing.Shared:
    """What is decided about an event that may be acted on."""
    received = codec.decode(codec.encode(event))
    found = sharing.share(received, register, origin=ORIGIN, now=now, key=KEY, rules_digest="rules-1", earlier=earlier)
    assert isinstance(found, sharing.Shared), found
    return found
