"""
May this recipient have this event about this person?

    1. any refusal that stands whatever was agreed        -> refuse (adversary, prohibition, suspended ...)
    2. otherwise no flow of an agreement without a fault  -> refuse, with what keeps each flow from it
    3. otherwise anything that asks for a person          -> hold (very restricted, possible adversary, labels)
    4. otherwise                                          -> permit (dates, bases, interest, consent all hold)

So silence refuses, a refusal always wins (rule R28), and a rule that cannot be evaluated counts as a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from safebus.schemas.bus_records import FourAnswers, Outcome, Reason
from safebus.schemas.classes import Category
from safebus.schemas.events import Confidentiality
from safebus.streams.rules import consent_voice
from safebus.streams.rules.adversary import Side
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.basis_check import basis_faults, conditions
from safebus.streams.rules.consent import ASKING, OBJECTS, ConsentStanding, Meaning, State, standing
from safebus.streams.rules.consent_voice import Heard
from safebus.streams.rules.decision_input import DecisionInput
from safebus.streams.rules.parties import Partner
from safebus.streams.rules.plausible import implausible_person
from safebus.streams.rules.reasons import NOT_ACTIVE, NOT_AGREED, Code, Rule, why
from safebus.streams.rules.release import Hidden, Restriction
from safebus.streams.rules.routing import SUBSCRIPTION

Flows = Sequence[tuple[Agreement, Flow]]


@dataclass(frozen=True)
class Verdict:
    """
    What was decided for one recipient and one person.

    Attributes:
        conditions: The categories for which the basis holds what Art 9 or Art 10 asks.
        hides: What must not be seen in this event besides.
        objection: Somebody objected, and it is shared all the same, for the flow's `objection_reason`.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    agreement: Agreement | None = None
    flow: Flow | None = None
    basis: FourAnswers | None = None
    conditions: frozenset[Category] = frozenset()
    consent: ConsentStanding | None = None
    restricted: Restriction = Restriction.NOBODY
    hides: frozenset[Hidden] = frozenset()
    objection: bool = False
    call: str | None = None


def decide(case: DecisionInput) -> Verdict:
    """Decide for one recipient and one person."""
    facts, recipient = case.facts, case.interest.recipient
    register, event = facts.register, facts.event
    partner = register.partner(recipient)
    sender = register.partner(event.publisher.agency)
    if partner is None or sender is None:
        who = recipient if partner is None else event.publisher.agency
        return _refused([why(Code.UNKNOWN_PARTNER, who)], None)
    call = sender.call
    flows = register.flows(event.event_type, sender.partner, recipient, facts.today)
    standing_refusals = [*_whatever_was_agreed(case, partner, sender, flows)]
    if standing_refusals:
        return _refused(standing_refusals, call)
    faults: list[Reason] = []
    for agreement, flow in flows:
        found, consent = flow_faults(case, agreement, flow, sender, partner)
        if not found:
            holds = [*_holds(case)]
            return _held(holds, call) if holds else _permitted(case, agreement, flow, sender, partner, consent)
        faults += [fault for fault in found if fault not in faults]
    return _refused(faults or [why(Code.NO_AGREEMENT, recipient)], call, _consent_of(case, flows))


def _whatever_was_agreed(case: DecisionInput, partner: Partner, sender: Partner, flows: Flows) -> Iterator[Reason]:
    """Refusals that no agreement can lift."""
    for who in (partner, sender):
        if who.suspended:
            yield why(Code.PARTNER_SUSPENDED, who.partner)
    yield from kept_out(case.facts.sides.get(partner.partner, frozenset()), partner.partner)
    for agreement, flow in flows:
        if prohibits(
            agreement,
            flow,
            purpose=case.facts.event.purpose,
            role=case.interest.person.role,
            on=case.facts.today,
        ):
            yield why(Code.PROHIBITED, f"{agreement.agreement}/{flow.flow}")


def kept_out(stands: frozenset[Side], recipient: str) -> Iterator[Reason]:
    """Why nothing goes to whom a person of this event must be protected from, whatever was agreed: the first reason."""
    found = next((code for side, code in _KEPT_OUT.items() if side in stands), None) if stands else None
    if found is not None:
        yield why(found, recipient)


def looked_at(stands: frozenset[Side], recipient: str) -> Iterator[Reason]:
    """Why a person must look whether this recipient is to be kept out."""
    for side, code in _LOOKED_AT.items():
        if side in stands:
            yield why(code, recipient)


_KEPT_OUT = {
    Side.INSIDE: Code.ADVERSARY,
    Side.BEFORE: Code.ADVERSARY_BEFORE,
    Side.STANDING: Code.ADVERSARY_STANDING,
}
_LOOKED_AT = {
    Side.UNCLEAR: Code.ADVERSARY_UNCLEAR,
    Side.ALIKE: Code.ADVERSARY_POSSIBLE,
    Side.PERHAPS_BEFORE: Code.ADVERSARY_PERHAPS_BEFORE,
}


def _holds(case: DecisionInput) -> Iterator[Reason]:
    """What a person must decide before it goes, though an agreement covers it."""
    facts, recipient, person = case.facts, case.interest.recipient, case.interest.person
    yield from facts.holds
    if person.confidentiality is Confidentiality.V and facts.event.handling.confidentiality is not Confidentiality.V:
        yield why(Code.VERY_RESTRICTED, "handling")
    yield from implausible_person(facts.event, person)
    yield from looked_at(facts.sides.get(recipient, frozenset()), recipient)
    if not facts.earlier.known and SUBSCRIPTION not in case.interest.roles:
        # A hub that watches over all of this type is where somebody knows more: it is told, the others wait.
        yield why(Code.EPISODE_UNKNOWN, recipient)
    if facts.earlier.retracted and SUBSCRIPTION not in case.interest.roles:
        yield why(Code.COMES_TOO_LATE, recipient)


def flow_faults(
    case: DecisionInput, agreement: Agreement, flow: Flow, sender: Partner, partner: Partner
) -> tuple[list[Reason], ConsentStanding | None]:
    """Everything that keeps one flow from carrying this event, and where its consent stands."""
    if flow.effect == "refuse":
        return [why(Code.NO_AGREEMENT, partner.partner)], None
    basis = basis_faults(case.facts, agreement, flow, sender, partner)
    faults = [*_agreement_faults(case, agreement, flow, partner), *basis]
    if flow.consent is None:
        return faults, None
    said = _heard(case, flow, flow.consent)
    consent = _standing(case, said)
    if not consent.holds:
        faults.append(not_agreed(consent, said, flow.purpose, Rule.R10))
    return faults, consent


def not_agreed(consent: ConsentStanding, said: Heard, purpose: str, rule: Rule) -> Reason:
    """Why a consent does not hold. If nothing counts of what was said, that it does not count is the reason."""
    if consent.state in ASKING | {State.UNKNOWN}:
        if said.yes_unsure:
            return why(Code.CONSENT_UNSURE, purpose)
        if said.yes_not_theirs:
            return why(Code.CONSENT_NOT_THEIRS, purpose)
    if consent.state in OBJECTS and said.no_unsure:
        return why(Code.REFUSAL_UNSURE, purpose)
    return why(NOT_AGREED[consent.state], purpose, rule=rule)


def _agreement_faults(case: DecisionInput, agreement: Agreement, flow: Flow, partner: Partner) -> Iterator[Reason]:
    name = f"{agreement.agreement} v{agreement.version}"
    if flow.purpose != case.facts.event.purpose:
        yield why(Code.PURPOSE_NOT_COVERED, name)
    if agreement.status is not Status.ACTIVE:
        yield why(NOT_ACTIVE[agreement.status], name)
    today = case.facts.today
    if today < agreement.effective_from:
        yield why(Code.AGREEMENT_NOT_YET, name)
    if today > agreement.last_day():
        yield why(Code.AGREEMENT_EXPIRED, name)
    for party in (case.facts.event.publisher.agency, partner.partner):
        if not agreement.signed_by(party, today):
            yield why(Code.PARTY_NOT_SIGNED, f"{party} ({name})")
    if not set(flow.interest) & set(case.interest.roles):
        yield why(Code.NOT_IN_CARE, name)
    if case.interest.person.role not in flow.about:
        yield why(Code.SUBJECT_NOT_COVERED, name)


def _permitted(
    case: DecisionInput,
    agreement: Agreement,
    flow: Flow,
    sender: Partner,
    partner: Partner,
    consent: ConsentStanding | None,
) -> Verdict:
    basis = flow.basis
    facts = case.facts
    assert basis is not None  # a permit flow without basis does not load
    reasons = [why(Code.PERMITTED, f"{agreement.agreement} v{agreement.version} {flow.flow}")]
    if facts.today > agreement.review_by:
        reasons.append(why(Code.AGREEMENT_REVIEW_OVERDUE, agreement.agreement))
    shown = [place.value for place in (Hidden.HOMES, Hidden.SCENE) if place in facts.hides]
    if shown:
        reasons.append(why(Code.SAFE_ADDRESS_SHOWN, f"{' and '.join(shown)} withheld"))
    if facts.restriction is Restriction.HOUSEHOLD:
        reasons.append(why(Code.RESTRICTED_PERSON, "locations, contacts and related persons withheld"))
    reasons += [why(Code.CLAIM_UNKNOWN, claim) for claim in facts.claims]
    if facts.suspect_unknown:
        reasons.append(why(Code.SUSPECT_NOT_MATCHED, "the alleged perpetrator"))
    said = [_heard(case, flow, meaning) for meaning in (_TOLD if flow.consent is None else (flow.consent,))]
    if any(each.no_not_theirs for each in said):
        reasons.append(why(Code.NO_NOT_THEIRS, flow.purpose))
    objected = flow.consent is None and any(_standing(case, each).state in OBJECTS for each in said)
    if objected:
        reasons.append(why(Code.OBJECTION_RECORDED, flow.objection_reason or ""))
    return Verdict(
        outcome=Outcome.PERMIT,
        reasons=tuple(reasons),
        agreement=agreement,
        flow=flow,
        basis=FourAnswers(
            art6=basis.art6,
            art9_or_10=basis.art9_or_10,
            sch1=basis.sch1,
            power_or_duty=basis.power_or_duty,
            confidentiality=basis.confidentiality,
        ),
        conditions=conditions(
            facts.register,
            basis,
            sender=sender,
            recipient=partner,
            territory=agreement.territory,
            on=facts.law_day,
        ),
        consent=consent,
        restricted=facts.restriction,
        hides=facts.hides,
        objection=objected,
        call=sender.call,
    )


_TOLD = (Meaning.DATA_PROTECTION, Meaning.SERVICE_AGREEMENT)
_SILENCE = Heard(())


def _heard(case: DecisionInput, flow: Flow, meaning: Meaning) -> Heard:
    """What counts of what was said for or against telling this recipient for the purpose of this flow."""
    person_id = case.interest.match.person_id
    facts = case.facts
    said = facts.register.consents(person_id, meaning, flow.purpose) if person_id else ()
    if person_id is None or not said:
        return _SILENCE
    person = case.interest.person
    who = consent_voice.around(
        facts.event,
        person,
        person_id,
        facts.matched,
        facts.register,
        on=facts.today,
        before=facts.earlier.accused,
    )
    return consent_voice.heard(said, who, recipient=case.interest.recipient)


def _standing(case: DecisionInput, said: Heard) -> ConsentStanding:
    return standing(said.entries, recipient=case.interest.recipient, now=case.facts.now)


def _consent_of(case: DecisionInput, flows: Flows) -> ConsentStanding | None:
    for _, flow in flows:
        if flow.effect == "permit" and flow.consent is not None:
            return _standing(case, _heard(case, flow, flow.consent))
    return None


def prohibits(agreement: Agreement, flow: Flow, *, purpose: str, role: str, on: date) -> bool:
    """Is this flow a prohibition for this purpose and a person in this role, and in force on that day?"""
    # A prohibition does not lapse for want of a review: it ends when it is ended.
    ended = agreement.expires_on is not None and on > agreement.expires_on
    in_date = agreement.status is Status.ACTIVE and on >= agreement.effective_from and not ended
    about = role in flow.about or not role  # a notification of an earlier release does not say
    return flow.effect == "refuse" and flow.purpose == purpose and about and in_date


def _held(reasons: list[Reason], call: str | None) -> Verdict:
    return Verdict(outcome=Outcome.HOLD, reasons=tuple(reasons), call=call)


def _refused(reasons: list[Reason], call: str | None, consent: ConsentStanding | None = None) -> Verdict:
    return Verdict(outcome=Outcome.REFUSE, reasons=tuple(reasons), consent=consent, call=call)
