"""
The demonstration's family and register, as sentences: given the register, when an event is decided, then who has what.

Every helper gives a new value; none changes one that another test holds.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safebus.deploy.local.demo import story
from safebus.schemas import codec, gate
from safebus.schemas.bus_records import Answer, DecisionRecord, Notification, Origin, RegisterRecord
from safebus.schemas.events import Event, OperationEncompass, Person
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import consent_record_id
from safebus.streams.register.store import KINDS, Register, body_of
from safebus.streams.register.write import register_of
from safebus.streams.rules import asked_again, sharing
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

KEY = PersonKey(b"a key for examples, 32 bytes long")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORIGIN = Origin(topic="in.fordshire-police", partition=0, offset=7)
FOLDER = Path(__file__).parents[2] / "deploy" / "local" / "demo" / "register"
_ENTRIES = [change.entry for change in changes_of(FOLDER, Register(), KEY)]

AVA, BEN, CORA, MAYA, GARY = story.AVA, story.BEN, story.CORA, story.MAYA, story.GARY


# Given


def the_register() -> Register:
    """The register of the demonstration, as a folder of YAML says it."""
    return register_of(_ENTRIES, at=NOON)


def with_entry(register: Register, record_id: str, kind: str, body: dict[str, Any]) -> Register:
    """The register after one more entry."""
    _write(register, record_id, kind, body_of(KINDS[kind].model_validate_json(json.dumps(body))))
    return register


def with_change(register: Register, record_id: str, change: Callable[[dict[str, Any]], object]) -> Register:
    """The register after one of its entries was changed."""
    kind, entry = register.entries()[record_id]
    body = json.loads(body_of(entry))
    change(body)
    return with_entry(register, record_id, kind, body)


def without(register: Register, record_id: str) -> Register:
    """The register after one of its entries was ended."""
    _write(register, record_id, register.entries()[record_id][0], None)
    return register


def with_agreement(register: Register, agreement: str, **changes: Any) -> Register:
    """The register after an agreement was changed, such as `status="suspended"`."""
    return with_change(register, _standing(register, agreement), lambda body: body.update(changes))


def with_flow(register: Register, agreement: str, name: str, **changes: Any) -> Register:
    """The register after one flow of an agreement was changed."""

    def change(body: dict[str, Any]) -> None:
        next(flow for flow in body["flows"] if flow["flow"] == name).update(changes)

    return with_change(register, _standing(register, agreement), change)


def _standing(register: Register, agreement: str) -> str:
    """The record of the version of an agreement that stands."""
    (record_id,) = register.standing(agreement)
    return record_id


def with_partner(register: Register, partner: str, **changes: Any) -> Register:
    """The register after a partner was changed, such as `suspended=True`."""
    return with_change(register, f"partner/{partner}", lambda body: body.update(changes))


def with_basis(register: Register, code: str, **changes: Any) -> Register:
    """The register after the catalogue of bases was changed."""
    return with_change(register, f"basis/{code}", lambda body: body.update(changes))


def with_prohibition(register: Register, *, sender: str, to: str, event_type: str, **changes: Any) -> Register:
    """The register after an agreement that forbids one kind of notification between two partners."""
    body = {
        "agreement": "a-prohibition",
        "version": 1,
        "title": "What may not be shared",
        "status": "active",
        "effective_from": "2026-01-01",
        "review_by": "2027-12-31",
        "parties": [
            {"partner": sender, "signed_by": "Director", "signed_on": "2025-12-01"},
            {"partner": to, "signed_by": "Director", "signed_on": "2025-12-01"},
        ],
        "flows": [
            {
                "flow": "nothing",
                "effect": "refuse",
                "event_type": event_type,
                "from": [sender],
                "to": [to],
                "purpose": "safeguarding",
            }
        ],
    }
    return with_entry(register, "agreement/a-prohibition", "agreement", body | changes)


def with_consent(register: Register, person: Person, state: State, **changes: Any) -> Register:
    """The register after somebody said yes or no to telling others of the move."""
    body: dict[str, Any] = {
        "person_id": id_of(person),
        "meaning": Meaning.SERVICE_AGREEMENT,
        "purpose": "temporary_accommodation_notice",
        "state": state,
        "decided_at": NOON,
        "expressed_by": "parent",
        "method": "by telephone",
    }
    entry = ConsentEntry(**(body | changes))
    _write(register, consent_record_id(entry), "consent", body_of(entry))
    return register


def with_no_consent_on_record(register: Register) -> Register:
    """The register without any consent decision."""
    for record_id in [r for r, (kind, _) in register.entries().items() if kind == "consent"]:
        without(register, record_id)
    return register


def with_restricted_record(register: Register, person: Person) -> Register:
    """The register after a person's record was restricted, as PDS does it."""
    return with_change(register, f"person/{id_of(person)}", lambda body: body.update(restricted=True))


def id_of(person: Person) -> str:
    """The id of a person in the register."""
    return KEY.token("nhs", person.nhs_number or "")


def _write(register: Register, record_id: str, kind: str, body: str | None) -> None:
    register.apply(
        register.offset + 1,
        RegisterRecord(record_id=record_id, kind=kind, recorded_at=NOON, recorded_by="test", reason="test", body=body),
    )


def incident(*people: Person, **changes: Any) -> OperationEncompass:
    """The incident of the demonstration; `people`: those who are described otherwise."""
    told = story.incident()
    other = {person.ref: person for person in people}
    subjects = tuple(other.pop(person.ref, person) for person in told.subjects)
    return told.model_copy(update={"subjects": (*subjects, *other.values()), **changes})


def described(person: Person, **changes: Any) -> Person:
    """The same person, described otherwise."""
    return person.model_copy(update=changes)


# When


@dataclass(frozen=True)
class Decided:
    """What was decided about one event."""

    record: DecisionRecord
    notifications: tuple[Notification, ...]
    values: tuple[bytes, ...]
    register: Register

    def answer(self, recipient: str, about: Person) -> Answer:
        """The answer for one recipient about one person."""
        return next(a for a in self.record.answers if (a.recipient, a.subject_token) == (recipient, self._token(about)))

    def notification(self, recipient: str, about: Person) -> Notification | None:
        """The message for one recipient about one person; None: nothing goes."""
        mine = [n for n in self.notifications if (n.recipient, n.subject_token) == (recipient, self._token(about))]
        assert len(mine) <= 1, "one message for each recipient and person"
        return mine[0] if mine else None

    @staticmethod
    def _token(about: Person) -> str:
        return id_of(about)


def decide(event: Event, register: Register, *, now: datetime = NOON) -> Decided:
    """What the bus decides about an event that may be acted on."""
    found = sharing.share(received(event), register, origin=ORIGIN, now=now, key=KEY, rules_digest="rules-1")
    assert isinstance(found, sharing.Shared), found
    return Decided(
        found.record, tuple(o.notification for o in found.outputs), tuple(o.value for o in found.outputs), register
    )


def set_aside(event: Event, register: Register) -> sharing.SetAside:
    """Why nobody may act on this event before a person has looked."""
    found = sharing.share(received(event), register, origin=ORIGIN, now=NOON, key=KEY, rules_digest="rules-1")
    assert isinstance(found, sharing.SetAside), "it was decided"
    return found


def to_look_at(decided: Decided) -> list[str]:
    """What a person must look at: who, why, and for whom."""
    return [f"{seen.who} {seen.code} {seen.recipient or 'nobody is told'}" for seen in decided.record.worklist]


def received(event: Event) -> codec.Received:
    """An event, as it comes off its topic."""
    return codec.decode(codec.encode(event))


# Then


def what_they_see(decided: Decided, recipient: str, about: Person) -> dict[str, Any]:
    """What one recipient has of the event, in full."""
    notification = decided.notification(recipient, about)
    assert notification is not None, reasons(decided, recipient, about)
    return gate.read(notification.view, asked_again.view_schema(notification, decided.register))


def it_reaches(decided: Decided, recipient: str, about: Person) -> bool:
    """Does a message about this person go to this recipient?"""
    return decided.notification(recipient, about) is not None


def reasons(decided: Decided, recipient: str, about: Person) -> list[str]:
    """Why, as `CODE rule about`."""
    return [f"{r.code} {r.rule} {r.about}" for r in decided.answer(recipient, about).reasons]


def messages(decided: Decided) -> list[tuple[str, str]]:
    """(recipient, whom it is about) of every message that goes, in order."""
    names = {id_of(person): person.given_name or "" for person in (AVA, BEN, CORA, MAYA)}
    return [(n.recipient, names.get(n.subject_token, n.subject_token)) for n in decided.notifications]
