"""
Who may have which fields of this event, and what exactly do they get?

The whole decision, composed: who is interested -> may each have it -> which fields. The worker, replay, `policy try`,
`explain` and the tests call this one function; `now`, the register and what was decided before of the same episode are
arguments, so a decision can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from safebus.schemas import labels, tokens
from safebus.schemas.bus_records import Answer, DecisionRecord, Earlier, Origin, Outcome, Reason
from safebus.schemas.codec import Received
from safebus.schemas.events import Lifecycle
from safebus.schemas.keys import PersonKey
from safebus.streams.rules import decision, episode, release, resembling, take_back, worklist
from safebus.streams.rules.agreements import Flow
from safebus.streams.rules.decision import Verdict
from safebus.streams.rules.decision_input import DecisionInput, EventFacts, facts_of
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.notifications import Built, Output, built_for, output_of
from safebus.streams.rules.reasons import Code, why
from safebus.streams.rules.release import Plan, Restriction
from safebus.streams.rules.routing import Interest, interested
from safebus.streams.rules.told_apart import numbers_of, told_apart_by
from safebus.streams.rules.views import groups_in


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
    received: Received,
    register: Lookups,
    *,
    origin: Origin,
    now: datetime,
    key: PersonKey,
    rules_digest: str,
    earlier: Earlier | None = None,
) -> Shared | SetAside:
    """
    Decide about one event.

    Args:
        earlier: What is on record of its episode (`streams.rules.episode.earlier`); None: it is the first.
        now: UTC; cut to milliseconds, which is what the record keeps, so that it can be made again from there.
        key: It must hold the generation that the register says.

    Returns:
        The record as it is written down: its tokens are dressed (`schemas.tokens`). Those of `earlier` are not.
    """
    key = key.of(register.generation)
    now = now.astimezone(UTC).replace(microsecond=now.microsecond // 1000 * 1000)
    event = received.event
    matched = resembling.with_likenesses(match_all(event, register, key), event, register, key)
    retracts = event.lifecycle is Lifecycle.RETRACT
    if not retracts and all(person.ref in matched.doubts for person in event.cared_for()):
        doubt = next(iter(matched.doubts.values()))
        return SetAside(doubt.reason, doubt.detail)
    facts = facts_of(received, matched, register, now=now, key=key, earlier=earlier or Earlier())
    decided = [
        (interest, decision.decide(DecisionInput(facts, interest)))
        # What is retracted is told to nobody again, so nobody is looked for: it goes to whoever had it.
        for interest in (() if retracts else interested(event, matched, register, facts.today))
    ]
    told = {(interest.recipient, interest.match.token): verdict for interest, verdict in decided}
    plans = {who: _plan(received, verdict.flow, verdict) for who, verdict in told.items() if verdict.flow is not None}
    had = {(h.recipient, h.subject_token): h.notification_id for h in facts.earlier.holders}
    # Of an event that comes again after the secret has changed: its deliveries must have the ids they had.
    ids = key.of(register.generation_for_ids(event.published_at))
    taken_back = {(a.recipient, a.subject_token): a for a in take_back.answers(facts, received.schema, told, ids=ids)}
    answers = [
        _answer(
            received,
            interest,
            verdict,
            plans.get((interest.recipient, interest.match.token)),
            facts,
            had,
            ids,
        )
        for interest, verdict in decided
        if (interest.recipient, interest.match.token) not in taken_back
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
        earlier=earlier,
        answers=(*answers, *taken_back.values()),
        worklist=worklist.of(facts, decided, [*taken_back.values()]),
        episode=episode.leaves(event, key, facts.earlier, facts.accused),
    )
    return _with_outputs(record, received, facts, plans, key)


def _plan(received: Received, flow: Flow, verdict: Verdict) -> Plan:
    return release.plan(
        received.schema,
        flow,
        restricted=verdict.restricted,
        conditions=verdict.conditions,
        hides=verdict.hides,
    )


def _answer(
    received: Received,
    interest: Interest,
    verdict: Verdict,
    plan: Plan | None,
    facts: EventFacts,
    had: Mapping[tuple[str, str], str],
    ids: PersonKey,
) -> Answer:
    """What the record says of one recipient and one person; what is in the message comes with the output."""
    event, agreement, flow = received.event, verdict.agreement, verdict.flow
    notes = [*_left_out(facts, plan)] if plan else []
    decision_id = ids.id("decision", event.publisher.agency, event.event_id, interest.recipient, interest.match.token)
    return Answer(
        decision_id=decision_id,
        recipient=interest.recipient,
        subject_token=interest.match.token,
        interest=" ".join(interest.roles),
        outcome=verdict.outcome,
        reasons=(*verdict.reasons, *notes),
        agreement_id=agreement.agreement if agreement else None,
        agreement_version=agreement.version if agreement else None,
        flow=flow.flow if flow else None,
        basis=verdict.basis,
        purpose=event.purpose,
        consent_state=verdict.consent.state if verdict.consent else None,
        consent_offset=verdict.consent.offset if verdict.consent else None,
        released=(),
        withheld=(),
        call=verdict.call,
        notification_id=ids.id("notification", decision_id) if plan else None,
        output_digest=None,
        subject_index=next(i for i, p in enumerate(event.subjects) if p.ref == interest.person.ref),
        view_fields=plan.view.fields if plan else (),
        consent_meaning=flow.consent if flow else None,
        labels=_labels(received, verdict, plan) if plan else (),
        restricted=verdict.restricted is Restriction.HOUSEHOLD,
        takes_back=had.get((interest.recipient, interest.match.token)) if plan else None,
    )


def _left_out(facts: EventFacts, plan: Plan) -> Iterator[Reason]:
    """What this plan releases, and what stands there does not go."""
    prose = sorted(facts.not_codes.intersection(plan.coded.values())) if facts.not_codes else ()
    if prose:
        yield why(Code.NOT_A_CODE, ", ".join(prose))
    shown = [path for path in facts.shown if path in plan.sources]
    if shown:
        yield why(Code.SAFE_ADDRESS_SHOWN, f"{', '.join(shown)} withheld")


def _labels(received: Received, verdict: Verdict, plan: Plan) -> tuple[str, ...]:
    """What travels beside the view. How confidential it is says something of someone: only where that is released."""
    handling = received.event.handling
    told = "handling.confidentiality" in plan.view.fields
    carried = labels.those((*handling.refrain, *handling.obligations), labels.Effect.TRAVELS)
    return (
        *([f"confidentiality:{handling.confidentiality}"] if told else []),
        *(["objection_recorded"] if verdict.objection else []),
        *dict.fromkeys(carried),
    )


def _with_outputs(
    record: DecisionRecord,
    received: Received,
    facts: EventFacts,
    plans: Mapping[tuple[str, str], Plan],
    key: PersonKey,
) -> Shared:
    """Make what the permits let out, and note in them what is in it and its digests; tokens are dressed from here."""
    outputs: list[Output] = []
    answers: list[Answer] = []
    known = [answer.subject_token for answer in record.answers]
    record = tokens.dressed(record, key)
    for token, answer in zip(known, record.answers, strict=True):
        if answer.outcome is Outcome.PERMIT:
            built = built_for(answer, received.schema, facts.visible)
            plan = plans.get((answer.recipient, token))
            if plan is not None and not answer.bare:
                answer = answer.model_copy(update=_seen(answer, plan, built, received, facts))
            output = output_of(answer, record, facts.visible, built)
            outputs.append(output)
            answer = answer.model_copy(update={"output_digest": key.digest(output.value)})
        answers.append(answer)
    return Shared(record.model_copy(update={"answers": tuple(answers)}), tuple(outputs))


def _seen(answer: Answer, plan: Plan, built: Built, received: Received, facts: EventFacts) -> dict[str, Any]:
    """What its recipient sees, as the record says it: which fields, and what in them tells who is meant."""
    ref = received.event.subjects[answer.subject_index].ref
    recipient = facts.register.partner(answer.recipient)
    assert recipient is not None  # nobody else is permitted anything
    found = told_apart_by(built.values, numbers_of(recipient))
    listing = plan.listing(built.values, groups_in(received.record, subject_ref=ref))
    return listing._asdict() | {"told_apart_by": found, "unclear": not found}
