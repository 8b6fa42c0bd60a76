"""
Who may have which fields of this event, and what exactly do they get?

The whole decision, composed: who is interested -> may each have it -> which fields. The worker, replay, `policy try`,
`explain` and the tests call this one function; `now` and the register are arguments, so a decision can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from safebus.schemas import codec, gate
from safebus.schemas.bus_records import Answer, DecisionRecord, FieldRule, Notification, Origin, Outcome, Reason
from safebus.schemas.classes import Category
from safebus.schemas.codec import Received
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import ABOUT
from safebus.schemas.identifiers import PersonKey, derived_id
from safebus.streams.rules import decision, redaction
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.consent import Meaning, standing
from safebus.streams.rules.decision import DecisionInput, Verdict
from safebus.streams.rules.identity import Doubt, match_all
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.redaction import Plan
from safebus.streams.rules.routing import SUBSCRIPTION, Interest, interested


@dataclass(frozen=True)
class Output:
    """One notification, and its bytes as they go to `out.<recipient>`."""

    notification: Notification
    value: bytes


@dataclass(frozen=True)
class Shared:
    """
    A decided event.

    Attributes:
        unheard: Persons the event is about of whom nobody is told, because nobody has them in care or because the
            alleged perpetrator is on the inside; the event also goes to quarantine.
    """

    record: DecisionRecord
    outputs: tuple[Output, ...]
    unheard: int


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
        now: UTC; cut to milliseconds, which is what the record keeps, so that a redo has the same time.
    """
    now = now.astimezone(UTC).replace(microsecond=now.microsecond // 1000 * 1000)
    event = received.event
    matches = match_all(event, register, key)
    if isinstance(matches, Doubt):
        return SetAside(matches.reason, matches.detail)
    answers: list[Answer] = []
    outputs: list[Output] = []
    considered: set[str] = set()
    told: set[str] = set()
    inside: set[str] = set()
    for interest in interested(event, matches, register, now.date()):
        considered.add(interest.person.ref)
        verdict = decision.decide(DecisionInput(event, matches, interest, register, now))
        answer, output = _answer(received, interest, verdict, now, key)
        answers.append(answer)
        if any(reason.code == "ADVERSARY" for reason in verdict.reasons):
            inside.add(interest.person.ref)
        if output is not None:
            outputs.append(output)
            told.add(interest.person.ref)
    record = DecisionRecord(
        event_id=event.event_id,
        event_type=event.event_type,
        lifecycle=event.lifecycle,
        source=event.publisher.agency,
        purpose=event.purpose,
        origin=origin,
        input_digest=key.digest(received.value),
        rules_digest=rules_digest,
        register_offset=register.offset,
        decided_at=now,
        answers=tuple(answers),
    )
    # Nobody considered, or nobody told because the suspect is on the inside: either way a person must look.
    left_out = {p.ref for p in event.subjects if p.role in ABOUT} - told
    unheard = len({ref for ref in left_out if ref not in considered or ref in inside})
    return Shared(record=record, outputs=tuple(outputs), unheard=unheard)


def _answer(
    received: Received, interest: Interest, verdict: Verdict, now: datetime, key: PersonKey
) -> tuple[Answer, Output | None]:
    event = received.event
    decision_id = derived_id(
        "decision", event.publisher.agency, event.event_id, interest.recipient, interest.match.token
    )
    output: Output | None = None
    released: tuple[FieldRule, ...] = ()
    withheld: tuple[FieldRule, ...] = ()
    if verdict.outcome is Outcome.PERMIT:
        assert verdict.flow is not None  # a permit rests on a flow
        made = redaction.plan(
            received.schema, verdict.flow, restricted=verdict.restricted, conditions=verdict.conditions
        )
        ref = interest.person.ref
        released, withheld = made.listing(redaction.groups_in(received.record, subject_ref=ref))
        notification = _notification(
            received,
            interest,
            verdict,
            now,
            decision_id,
            made.fingerprint,
            redaction.view(made, received.record, subject_ref=ref),
        )
        output = Output(notification, codec.encode_record(notification))
    answer = Answer(
        decision_id=decision_id,
        recipient=interest.recipient,
        subject_token=interest.match.token,
        interest=" ".join(interest.roles),
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        agreement_id=verdict.agreement.agreement if verdict.agreement else None,
        agreement_version=verdict.agreement.version if verdict.agreement else None,
        flow=verdict.flow.flow if verdict.flow else None,
        basis=verdict.basis,
        purpose=event.purpose,
        consent_state=verdict.consent.state if verdict.consent else None,
        consent_offset=verdict.consent.offset if verdict.consent else None,
        released=released,
        withheld=withheld,
        call=verdict.call,
        notification_id=output.notification.notification_id if output else None,
        output_digest=key.digest(output.value) if output else None,
    )
    return answer, output


def _notification(
    received: Received,
    interest: Interest,
    verdict: Verdict,
    now: datetime,
    decision_id: str,
    fingerprint: str,
    view: bytes,
) -> Notification:
    event, agreement, flow = received.event, verdict.agreement, verdict.flow
    assert agreement is not None and flow is not None  # a permit rests on both
    labels = [f"confidentiality:{'R' if verdict.restricted else event.handling.confidentiality}"]
    if verdict.objection:
        labels.append("objection_recorded")
    return Notification(
        notification_id=derived_id("notification", decision_id),
        decision_id=decision_id,
        event_id=event.event_id,
        event_type=event.event_type,
        lifecycle=event.lifecycle,
        recipient=interest.recipient,
        publisher=event.publisher.agency,
        purpose=event.purpose,
        urgency=event.urgency,
        subject_token=interest.match.token,
        agreement_id=agreement.agreement,
        agreement_version=agreement.version,
        flow=flow.flow,
        consent_meaning=flow.consent,
        labels=tuple(labels),
        restricted=verdict.restricted,
        decided_at=now,
        view_schema=fingerprint,
        view=view,
    )


def still_permitted(notification: Notification, register: Lookups, now: datetime) -> Reason | None:
    """
    May a notification that was permitted still be handed over?

    Asked before every attempt, because hours may lie between the decision and a partner that answers again.

    Returns:
        None: it may. Otherwise why not; a newer agreement that releases the same fields is no reason.
    """
    for who in (notification.recipient, notification.publisher):
        partner = register.partner(who)
        if partner is None or partner.suspended:
            return Reason(code="PARTNER_SUSPENDED", rule="R01", about=who)
    agreement = register.agreement(notification.agreement_id)
    found = register.flows(notification.event_type, notification.publisher, notification.recipient)
    flow = next((f for a, f in found if (a.agreement, f.flow) == (notification.agreement_id, notification.flow)), None)
    if agreement is None or flow is None or agreement.status is not Status.ACTIVE:
        return Reason(code="AGREEMENT_ENDED", rule="R01", about=notification.agreement_id)
    if flow.purpose != notification.purpose:
        return Reason(code="AGREEMENT_ENDED", rule="R01", about=notification.agreement_id)
    if now.date() > agreement.last_day():
        return Reason(code="AGREEMENT_EXPIRED", rule="R02", about=notification.agreement_id)
    if any(decision.prohibits(a, f, purpose=notification.purpose, on=now.date()) for a, f in found):
        return Reason(code="PROHIBITED", rule="R28", about=notification.recipient)
    if not _still_interested(notification, flow, register, now):
        return Reason(code="NOT_IN_CARE", rule="R01", about=f"{agreement.agreement} v{agreement.version}")
    known = register.person(notification.subject_token)
    if known is not None and known.restricted and not notification.restricted:
        return Reason(code="RESTRICTED_SINCE", rule="R16", about="decided before the record was restricted")
    if agreement.version != notification.agreement_version and not _still_releases(
        notification, agreement, flow, register
    ):
        return Reason(code="AGREEMENT_NARROWED", rule="R21", about=notification.agreement_id)
    # The flow as it stands may wait for an agreement that it did not wait for when this was decided.
    meaning = flow.consent or notification.consent_meaning
    if meaning is not None:
        consent = standing(
            register.consents(notification.subject_token, Meaning(meaning), notification.purpose),
            recipient=notification.recipient,
            now=now,
        )
        if not consent.holds:
            return Reason(code=f"CONSENT_{consent.state.upper()}", rule="R12", about=notification.purpose)
    return None


def _still_interested(notification: Notification, flow: Flow, register: Lookups, now: datetime) -> bool:
    """Has the recipient this person in its care, or watches over this type, as the flow asks?"""
    on = now.date()
    roles = {
        i.role
        for i in register.involvements(notification.subject_token)
        if i.partner == notification.recipient and i.holds(on)
    }
    if any(
        s.partner == notification.recipient and s.holds(on) for s in register.subscriptions(notification.event_type)
    ):
        roles.add(SUBSCRIPTION)
    # A twin has a token of its own, so its involvements are its mother's and cannot be looked up by it.
    return bool(roles & set(flow.interest)) or register.person(notification.subject_token) is None


def _still_releases(notification: Notification, agreement: Agreement, flow: Flow, register: Lookups) -> bool:
    """Does the flow as it stands release all that the view holds? A wider one is no reason to stop."""
    then = _plan_of(notification, register)
    if then is None or flow.basis is None:
        return False
    # A basis that lost its Art 9 condition no longer carries what it carried then (rule R07).
    held = decision.conditions(register, flow.basis, territory=agreement.territory, on=notification.decided_at.date())
    now = redaction.plan(then.schema, flow, restricted=notification.restricted, conditions=held)
    return now.covers(then)


def read_view(notification: Notification, register: Lookups) -> dict[str, Any] | None:
    """The released fields of a notification as plain values; None: its agreement is not in this register."""
    schema = view_schema(notification, register)
    return None if schema is None else gate.read(notification.view, schema)


def view_schema(notification: Notification, register: Lookups) -> Any | None:
    """
    The parsed schema of a notification's view, from the version of the agreement it was made under.

    Returns:
        None: this register does not hold that version, so nobody here can read the view.
    """
    made = _plan_of(notification, register)
    return made.parsed if made else None


_ALL = frozenset({Category.SPECIAL, Category.CRIMINAL})
_CONDITIONS = (_ALL, frozenset({Category.SPECIAL}), frozenset({Category.CRIMINAL}), frozenset[Category]())


def _plan_of(notification: Notification, register: Lookups) -> Plan | None:
    agreement = register.agreement_version(notification.agreement_id, notification.agreement_version)
    flow = next((f for f in agreement.flows if f.flow == notification.flow), None) if agreement else None
    if flow is None:
        return None
    schema = event_schemas().of(notification.event_type)
    # Which conditions the basis held is not in the notification; the fingerprint says which plan it was.
    made = (redaction.plan(schema, flow, restricted=notification.restricted, conditions=c) for c in _CONDITIONS)
    return next((plan for plan in made if plan.fingerprint == notification.view_schema), None)
