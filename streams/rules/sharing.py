"""
Who may have which fields of this event, and what exactly do they get?

The whole decision, composed: who is interested -> may each have it -> which fields. The worker, replay, `policy try`,
`explain` and the tests call this one function; `now` and the register are arguments, so a decision can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from safebus.schemas import labels
from safebus.schemas.bus_records import Answer, DecisionRecord, Origin, Outcome
from safebus.schemas.codec import Received
from safebus.schemas.identifiers import PersonKey, derived_id
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import adversary, decision, release, worklist
from safebus.streams.rules.decision import DecisionInput, Verdict
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.notifications import Output, notification_id_of, output_of
from safebus.streams.rules.release import Restriction
from safebus.streams.rules.routing import Interest, interested


@dataclass(frozen=True)
class Shared:
    """A decided event: the record, and what it lets out."""

    record: DecisionRecord
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class SetAside:
    """An event that nobody may decide about before a person has looked (rule R24)."""

    reason: str
    detail: str


def share(
    received: Received, register: Lookups, *, origin: Origin, now: datetime, key: PersonKey, rules_digest: str
) -> Shared | SetAside:
    """
    Decide about one event.

    Args:
        now: UTC; cut to milliseconds, which is what the record keeps, so that it can be made again from there.
    """
    now = now.astimezone(UTC).replace(microsecond=now.microsecond // 1000 * 1000)
    event = received.event
    matched = match_all(event, register, key)
    if all(person.ref in matched.doubts for person in event.cared_for()):
        doubt = next(iter(matched.doubts.values()))
        return SetAside(doubt.reason, doubt.detail)
    on = uk_day(now)
    stands = adversary.sides(event, matched, register, key, on)
    decided = [
        (interest, decision.decide(DecisionInput(event, matched, interest, register, now, stands)))
        for interest in interested(event, matched, register, on)
    ]
    record = DecisionRecord(
        event_id=event.event_id,
        event_type=event.event_type,
        lifecycle=event.lifecycle,
        source=event.publisher.agency,
        purpose=event.purpose,
        origin=origin,
        input_digest=received.digest(key),
        rules_digest=rules_digest,
        register_offset=register.offset,
        decided_at=now,
        answers=tuple(_answer(received, interest, verdict) for interest, verdict in decided),
        worklist=tuple(worklist.of(event, matched, decided, register, on)),
    )
    return _with_outputs(record, received, key)


def _answer(received: Received, interest: Interest, verdict: Verdict) -> Answer:
    """What the record says of one recipient and one person; the digest of what is sent comes with the output."""
    event, agreement, flow = received.event, verdict.agreement, verdict.flow
    plan, listing = None, release.NOTHING
    if flow is not None:
        plan = release.plan(received.schema, flow, restricted=verdict.restricted, conditions=verdict.conditions)
        listing = plan.of(received.record, subject_ref=interest.person.ref)
    return Answer(
        decision_id=derived_id(
            "decision", event.publisher.agency, event.event_id, interest.recipient, interest.match.token
        ),
        recipient=interest.recipient,
        subject_token=interest.match.token,
        interest=" ".join(interest.roles),
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        agreement_id=agreement.agreement if agreement else None,
        agreement_version=agreement.version if agreement else None,
        flow=flow.flow if flow else None,
        basis=verdict.basis,
        purpose=event.purpose,
        consent_state=verdict.consent.state if verdict.consent else None,
        consent_offset=verdict.consent.offset if verdict.consent else None,
        released=listing.released,
        withheld=listing.withheld,
        call=verdict.call,
        notification_id=None,
        output_digest=None,
        subject_index=next(i for i, p in enumerate(event.subjects) if p.ref == interest.person.ref),
        view_fields=plan.view.fields if plan else (),
        consent_meaning=flow.consent if flow else None,
        labels=_labels(received, verdict) if plan else (),
        restricted=verdict.restricted is Restriction.HOUSEHOLD,
    )


def _labels(received: Received, verdict: Verdict) -> tuple[str, ...]:
    """What travels beside the view."""
    handling = received.event.handling
    confidentiality = "R" if verdict.restricted is Restriction.HOUSEHOLD else handling.confidentiality
    carried = labels.those((*handling.refrain, *handling.obligations), labels.Effect.TRAVELS)
    return (f"confidentiality:{confidentiality}", *(["objection_recorded"] if verdict.objection else []), *carried)


def _with_outputs(record: DecisionRecord, received: Received, key: PersonKey) -> Shared:
    """Make what the permits let out, and note its digests in them."""
    outputs: list[Output] = []
    answers: list[Answer] = []
    for answer in record.answers:
        if answer.outcome is Outcome.PERMIT:
            output = output_of(answer, record, received.schema, received.record)
            outputs.append(output)
            proof = {"notification_id": notification_id_of(answer), "output_digest": key.digest(output.value)}
            answer = answer.model_copy(update=proof)
        answers.append(answer)
    return Shared(record.model_copy(update={"answers": tuple(answers)}), tuple(outputs))
