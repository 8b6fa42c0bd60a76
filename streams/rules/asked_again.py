"""
May what was permitted still be handed over, and can its view still be read?

Hours may lie between a decision and a partner that answers again, so an adapter asks before every attempt. What is
asked is what the decision asked (`streams.rules.decision`), as far as a notification tells of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from itertools import combinations
from typing import Any

from safebus.schemas import gate
from safebus.schemas.bus_records import Notification, Reason
from safebus.schemas.classes import Category
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import basis_check, consent_voice, decision, release
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.consent import Meaning, standing
from safebus.streams.rules.consent_voice import Heard
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.reasons import Code, Rule, why
from safebus.streams.rules.release import Hidden, Plan, Restriction
from safebus.streams.rules.routing import SUBSCRIPTION
from safebus.streams.rules.take_back import FINDS_IT
from safebus.streams.rules.views import view_of


def still_permitted(notification: Notification, register: Lookups, now: datetime) -> Reason | None:
    """
    May a notification that was permitted still be handed over?

    Asked before every attempt, because hours may lie between the decision and a partner that answers again.

    Returns:
        None: it may. Otherwise why not; a newer agreement that releases the same fields is no reason.
    """
    on = uk_day(now)
    bare = notification.bare
    # What only takes back goes to whoever had the original, whatever has ended since (rule R23).
    for who in (notification.publisher,) if bare else (notification.recipient, notification.publisher):
        partner = register.partner(who)
        if partner is None or partner.suspended:
            return why(Code.PARTNER_SUSPENDED, who)
    if is_kept_out(notification.subject_token, notification.recipient, register, on):
        return why(Code.ADVERSARY_STANDING, notification.recipient)
    if bare:
        return None
    agreement = register.agreement(notification.agreement_id, on)
    found = register.flows(notification.event_type, notification.publisher, notification.recipient, on)
    flow = next((f for a, f in found if (a.agreement, f.flow) == (notification.agreement_id, notification.flow)), None)
    if agreement is None or flow is None or agreement.status is not Status.ACTIVE or not agreement.governs(on):
        return why(Code.AGREEMENT_ENDED, notification.agreement_id)
    if flow.purpose != notification.purpose:
        return why(Code.AGREEMENT_ENDED, notification.agreement_id)
    if on > agreement.last_day():
        return why(Code.AGREEMENT_EXPIRED, notification.agreement_id)
    for party in (notification.publisher, notification.recipient):
        if not agreement.signed_by(party, on):
            return why(Code.PARTY_NOT_SIGNED, f"{party} ({agreement.agreement} v{agreement.version})")
    if any(decision.prohibits(a, f, purpose=notification.purpose, role=notification.role, on=on) for a, f in found):
        return why(Code.PROHIBITED, notification.recipient)
    if not _still_interested(notification, flow, register, now):
        return why(Code.NOT_IN_CARE, f"{agreement.agreement} v{agreement.version}")
    known = register.person(notification.subject_token)
    if known is not None and known.restricted and not notification.restricted:
        return why(Code.RESTRICTED_SINCE, "decided before the record was restricted")
    if agreement.version != notification.agreement_version and not _still_releases(
        notification, agreement, flow, register
    ):
        return why(Code.AGREEMENT_NARROWED, notification.agreement_id)
    # The flow as it stands may wait for an agreement that it did not wait for when this was decided.
    meaning = flow.consent or notification.consent_meaning
    if meaning is None:
        claimed = basis_check.claims_consent(register, flow)
        if claimed is not None:
            return why(Code.BASIS_CLAIMS_CONSENT, claimed)
    else:
        said = _heard(notification, Meaning(meaning), register, on)
        consent = standing(said.entries, recipient=notification.recipient, now=now)
        if not consent.holds:
            # Who is accused is not known here, so that every no might be theirs; it counts as it always did.
            return decision.not_agreed(consent, replace(said, no_unsure=False), notification.purpose, Rule.R12)
    return None


def is_kept_out(person: str, recipient: str, register: Lookups, on: date) -> bool:
    """Does somebody who is on record as a danger to this person work for, or govern, this recipient?"""
    return any(
        tie.partner == recipient and danger.holds(on) and tie.holds(on)
        for danger in register.dangers(person)
        for tie in register.affiliations(danger.person_id)
    )


def _heard(notification: Notification, meaning: Meaning, register: Lookups, on: date) -> Heard:
    """What counts of what was said. The event is not at hand, so what came after the decision is heard with care."""
    who = consent_voice.around_without_event(notification.subject_token, register, suspects=None, on=on)
    said = register.consents(notification.subject_token, meaning, notification.purpose)
    judged_at = notification.decided_at if notification.consent_meaning == meaning else None
    return consent_voice.heard(said, who, recipient=notification.recipient, judged_at=judged_at)


def _still_interested(notification: Notification, flow: Flow, register: Lookups, now: datetime) -> bool:
    """Has the recipient this person in its care, or watches over this type, as the flow asks?"""
    on = uk_day(now)
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
    sender, recipient = register.partner(notification.publisher), register.partner(notification.recipient)
    assert sender is not None and recipient is not None  # looked at first
    on = uk_day(notification.decided_at)
    held = basis_check.conditions(
        register, flow.basis, sender=sender, recipient=recipient, territory=agreement.territory, on=on
    )
    now = release.plan(then.schema, flow, restricted=then.restricted, conditions=held, hides=then.hides)
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
    if notification.bare:
        return view_of(event_schemas().of(notification.event_type), FINDS_IT).parsed
    made = _plan_of(notification, register)
    return made.view.parsed if made else None


_HIDES = tuple(frozenset(found) for n in range(len(Hidden) + 1) for found in combinations(Hidden, n))
_ALL = frozenset({Category.SPECIAL, Category.CRIMINAL})
_CONDITIONS = (_ALL, frozenset({Category.SPECIAL}), frozenset({Category.CRIMINAL}), frozenset[Category]())


def _plan_of(notification: Notification, register: Lookups) -> Plan | None:
    agreement = register.agreement_version(notification.agreement_id, notification.agreement_version)
    flow = next((f for f in agreement.flows if f.flow == notification.flow), None) if agreement else None
    if flow is None:
        return None
    schema = event_schemas().of(notification.event_type)
    # Which conditions the basis held, whether a suspect's record was restricted and what was hidden besides is not
    # in the notification; the fingerprint says which plan it was.
    whose = (Restriction.HOUSEHOLD,) if notification.restricted else (Restriction.NOBODY, Restriction.SUSPECT)
    made = (
        release.plan(schema, flow, restricted=r, conditions=c, hides=h)
        for r in whose
        for c in _CONDITIONS
        for h in _HIDES
    )
    return next((plan for plan in made if plan.view.fingerprint == notification.view_schema), None)
