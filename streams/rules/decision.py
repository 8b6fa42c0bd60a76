"""
May this recipient have this event about this person?

    1. any refusal that stands whatever was agreed        -> refuse (adversary, prohibition, suspended ...)
    2. otherwise no flow of an agreement without a fault  -> refuse, with what keeps each flow from it
    3. otherwise anything that asks for a person          -> hold (very restricted, possible adversary, labels)
    4. otherwise                                          -> permit (dates, bases, interest, consent all hold)

So silence refuses, a refusal always wins (rule R28), and a rule that cannot be evaluated counts as a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from safebus.schemas import labels
from safebus.schemas.bus_records import FourAnswers, Outcome, Reason
from safebus.schemas.classes import Category
from safebus.schemas.events import Confidentiality, Event, Person, PersonRole
from safebus.schemas.uk_day import uk_day
from safebus.streams.rules import consent_voice
from safebus.streams.rules.adversary import Side, unknown_suspect
from safebus.streams.rules.agreements import Agreement, Flow, FlowBasis, Status
from safebus.streams.rules.bases import Basis, BasisKind, OrgType
from safebus.streams.rules.consent import ASKING, OBJECTS, ConsentStanding, Meaning, State, standing
from safebus.streams.rules.consent_voice import Heard
from safebus.streams.rules.identity import Matched
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import Partner
from safebus.streams.rules.plausible import implausible
from safebus.streams.rules.reasons import NOT_ACTIVE, NOT_AGREED, Code, Rule, why
from safebus.streams.rules.release import Restriction
from safebus.streams.rules.routing import Interest

Flows = Sequence[tuple[Agreement, Flow]]


@dataclass(frozen=True)
class DecisionInput:
    """
    Everything one decision looks at.

    Attributes:
        sides: How recipients stand to the alleged perpetrators, see `streams.rules.adversary`.
    """

    event: Event
    matched: Matched
    interest: Interest
    register: Lookups
    now: datetime
    sides: Mapping[str, frozenset[Side]]


@dataclass(frozen=True)
class Verdict:
    """
    What was decided for one recipient and one person.

    Attributes:
        conditions: The categories for which the basis holds what Art 9 or Art 10 asks.
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
    objection: bool = False
    call: str | None = None


def decide(case: DecisionInput) -> Verdict:
    """Decide for one recipient and one person."""
    register, event, recipient = case.register, case.event, case.interest.recipient
    partner = register.partner(recipient)
    sender = register.partner(event.publisher.agency)
    if partner is None or sender is None:
        who = recipient if partner is None else event.publisher.agency
        return _refused([why(Code.UNKNOWN_PARTNER, who)], None)
    call = sender.call
    flows = register.flows(event.event_type, sender.partner, recipient, uk_day(case.now))
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
    if is_adversary(case):
        # Domain notes 1.3 (i): nothing goes to whom the alleged perpetrator works for or governs.
        yield why(Code.ADVERSARY, partner.partner)
    for agreement, flow in flows:
        if prohibits(agreement, flow, purpose=case.event.purpose, on=uk_day(case.now)):
            yield why(Code.PROHIBITED, f"{agreement.agreement}/{flow.flow}")


def is_adversary(case: DecisionInput) -> bool:
    """Does the alleged perpetrator work for, or govern, this recipient, as far as anyone has recorded?"""
    return Side.INSIDE in case.sides.get(case.interest.recipient, ())


def _holds(case: DecisionInput) -> Iterator[Reason]:
    """What a person must decide before it goes, though an agreement covers it."""
    handling, recipient = case.event.handling, case.interest.recipient
    if Confidentiality.V in (handling.confidentiality, case.interest.person.confidentiality):
        yield why(Code.VERY_RESTRICTED, "handling")
    for label in labels.those(handling.refrain, labels.Effect.HOLDS):
        yield why(Code.NOT_AUTHORISED, label)
    for label in labels.those(handling.obligations, labels.Effect.HOLDS):
        yield why(Code.APPROVAL_ASKED, label)
    yield from implausible(case.event, case.interest.person, case.now)
    sides = case.sides.get(recipient, ())
    if Side.UNCLEAR in sides:
        yield why(Code.ADVERSARY_UNCLEAR, recipient)
    if Side.ALIKE in sides:
        yield why(Code.ADVERSARY_POSSIBLE, recipient)


def flow_faults(
    case: DecisionInput, agreement: Agreement, flow: Flow, sender: Partner, partner: Partner
) -> tuple[list[Reason], ConsentStanding | None]:
    """Everything that keeps one flow from carrying this event, and where its consent stands."""
    if flow.effect == "refuse":
        return [why(Code.NO_AGREEMENT, partner.partner)], None
    faults = [*_agreement_faults(case, agreement, flow, partner), *basis_faults(case, agreement, flow, sender, partner)]
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
    return why(NOT_AGREED[consent.state], purpose, rule=rule)


def _agreement_faults(case: DecisionInput, agreement: Agreement, flow: Flow, partner: Partner) -> Iterator[Reason]:
    name = f"{agreement.agreement} v{agreement.version}"
    if flow.purpose != case.event.purpose:
        yield why(Code.PURPOSE_NOT_COVERED, name)
    if agreement.status is not Status.ACTIVE:
        yield why(NOT_ACTIVE[agreement.status], name)
    today = uk_day(case.now)
    if today < agreement.effective_from:
        yield why(Code.AGREEMENT_NOT_YET, name)
    if today > agreement.last_day():
        yield why(Code.AGREEMENT_EXPIRED, name)
    for party in (case.event.publisher.agency, partner.partner):
        if not agreement.signed_by(party, today):
            yield why(Code.PARTY_NOT_SIGNED, f"{party} ({name})")
    if not set(flow.interest) & set(case.interest.roles):
        yield why(Code.NOT_IN_CARE, name)
    if case.interest.person.role not in flow.about:
        yield why(Code.SUBJECT_NOT_COVERED, name)


def basis_faults(
    case: DecisionInput, agreement: Agreement, flow: Flow, sender: Partner, partner: Partner
) -> Iterator[Reason]:
    """
    What keeps the basis from carrying the disclosure.

    A missing Art 9, Art 10 or Schedule 1 condition is no fault here: it costs fields, not the event (rule R07).
    """
    basis = flow.basis
    assert basis is not None  # a permit flow without basis does not load
    rule = case.register.event_rule(flow.event_type)
    if rule is not None and rule.consent is not None and flow.consent != rule.consent:
        yield why(Code.CONSENT_NOT_ASKED_FOR, rule.code)
    claimed = claims_consent(case.register, flow)
    if claimed is not None:
        yield why(Code.BASIS_CLAIMS_CONSENT, claimed)
    for question, code in basis.codes():
        if question in ("art9_or_10", "sch1"):
            continue
        entry = case.register.basis(code)
        if entry is None or entry.kind != question:
            yield why(Code.BASIS_UNKNOWN, code)
            continue
        if not entry.in_force(_basis_day(case), agreement.territory):
            yield why(Code.BASIS_NOT_IN_FORCE, code)
        if not entry.open_to(sender.org_type):
            yield why(Code.BASIS_NOT_AVAILABLE, code, rule=_availability_rule(sender))
        if not entry.reaches(partner.flags):
            yield why(Code.GATEWAY_RECIPIENT, code)
    if basis.power_or_duty is None and sender.org_type is OrgType.PUBLIC_AUTHORITY:
        yield why(Code.NO_POWER_OR_DUTY, sender.partner)
    if basis.receiving_art6 is not None:
        yield from _receiving_faults(case, agreement, basis.receiving_art6, partner)


def claims_consent(register: Lookups, flow: Flow) -> str | None:
    """The basis that holds only if someone agreed, of a flow that waits for nobody to agree."""
    if flow.consent is not None or flow.basis is None:
        return None
    entries = (register.basis(code) for _, code in flow.basis.codes())
    return next((entry.code for entry in entries if entry is not None and entry.waits_for_consent()), None)


def _receiving_faults(
    case: DecisionInput, agreement: Agreement, receiving: Mapping[OrgType, str], partner: Partner
) -> Iterator[Reason]:
    code = receiving.get(partner.org_type)
    entry = case.register.basis(code) if code else None
    if entry is None or entry.kind != BasisKind.ART6:
        yield why(Code.BASIS_UNKNOWN, code or str(partner.org_type))
    elif not entry.in_force(_basis_day(case), agreement.territory):
        yield why(Code.BASIS_NOT_IN_FORCE, entry.code)
    elif not entry.open_to(partner.org_type):
        yield why(Code.BASIS_NOT_AVAILABLE, entry.code, rule=_availability_rule(partner))
    elif not entry.reaches(partner.flags):
        yield why(Code.GATEWAY_RECIPIENT, entry.code)


def _availability_rule(party: Partner) -> Rule:
    # R03: a public authority may not use what is only for others; R04: others may not use what is only for it.
    return Rule.R03 if party.org_type is OrgType.PUBLIC_AUTHORITY else Rule.R04


def _basis_day(case: DecisionInput) -> date:
    """The day whose law counts: when it happened, and never a day to come, whatever the publisher's clock says."""
    return uk_day(min(case.event.occurred_at, case.now))


def conditions(
    register: Lookups, basis: FlowBasis, *, sender: Partner, recipient: Partner, territory: str, on: date
) -> frozenset[Category]:
    """
    The categories of data that the basis carries beyond ordinary ones, between these two, there and on that day.

    Source: UK GDPR Art 9(2) with DPA 2018 s.10 and Schedule 1; Art 10 with s.10(5).
    """

    def holds(code: str | None, kind: BasisKind) -> Basis | None:
        entry = register.basis(code) if code else None
        if entry is None or entry.kind != kind or not entry.in_force(on, territory):
            return None
        return entry if entry.open_to(sender.org_type) and entry.reaches(recipient.flags) else None

    sch1 = holds(basis.sch1, BasisKind.SCH1)
    art9 = holds(basis.art9_or_10, BasisKind.ART9_OR_10)
    found = set()
    if art9 is not None and (sch1 is not None or not art9.needs_sch1):
        found.add(Category.SPECIAL)
    if art9 is not None and sch1 is not None:
        found.add(Category.CRIMINAL)
    return frozenset(found)


def _permitted(
    case: DecisionInput,
    agreement: Agreement,
    flow: Flow,
    sender: Partner,
    partner: Partner,
    consent: ConsentStanding | None,
) -> Verdict:
    basis = flow.basis
    assert basis is not None  # as above
    reasons = [why(Code.PERMITTED, f"{agreement.agreement} v{agreement.version} {flow.flow}")]
    if uk_day(case.now) > agreement.review_by:
        reasons.append(why(Code.AGREEMENT_REVIEW_OVERDUE, agreement.agreement))
    restricted = restriction(case)
    if restricted is Restriction.HOUSEHOLD:
        reasons.append(why(Code.RESTRICTED_PERSON, "locations, contacts and related persons withheld"))
    if unknown_suspect(case.event, case.matched):
        reasons.append(why(Code.SUSPECT_NOT_MATCHED, "the alleged perpetrator"))
    meanings = _TOLD if flow.consent is None else (flow.consent,)
    if any(_heard(case, flow, meaning).no_not_theirs for meaning in meanings):
        reasons.append(why(Code.NO_NOT_THEIRS, flow.purpose))
    objected = flow.consent is None and _objected(case, flow)
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
            case.register,
            basis,
            sender=sender,
            recipient=partner,
            territory=agreement.territory,
            on=_basis_day(case),
        ),
        consent=consent,
        restricted=restricted,
        objection=objected,
        call=sender.call,
    )


def restriction(case: DecisionInput) -> Restriction:
    """
    Whose record in this event is restricted?

    One of the household is enough: its members share an address, so a sibling's would give away the restricted one's.
    A suspect's own record strips his own data, not the child's.
    """
    if case.event.handling.confidentiality is Confidentiality.R:
        return Restriction.HOUSEHOLD
    restricted = [person.role for person in case.event.subjects if _is_restricted(case, person)]
    if any(role is not PersonRole.ALLEGED_PERPETRATOR for role in restricted):
        return Restriction.HOUSEHOLD
    return Restriction.SUSPECT if restricted else Restriction.NOBODY


def _is_restricted(case: DecisionInput, person: Person) -> bool:
    if person.confidentiality in (Confidentiality.R, Confidentiality.V):
        return True
    known = (case.register.person(person_id) for person_id in case.matched.may_be(person.ref))
    return any(each is not None and each.restricted for each in known)


def _objected(case: DecisionInput, flow: Flow) -> bool:
    found = (_standing(case, _heard(case, flow, meaning)) for meaning in _TOLD)
    return any(each.state in OBJECTS for each in found)


_TOLD = (Meaning.DATA_PROTECTION, Meaning.SERVICE_AGREEMENT)
_SILENCE = Heard(())


def _heard(case: DecisionInput, flow: Flow, meaning: Meaning) -> Heard:
    """What counts of what was said for or against telling this recipient for the purpose of this flow."""
    person_id = case.interest.match.person_id
    said = case.register.consents(person_id, meaning, flow.purpose) if person_id else ()
    if person_id is None or not said:
        return _SILENCE
    who = consent_voice.around(case.event, case.interest.person, person_id, case.matched, case.register)
    return consent_voice.heard(said, who, recipient=case.interest.recipient)


def _standing(case: DecisionInput, said: Heard) -> ConsentStanding:
    return standing(said.entries, recipient=case.interest.recipient, now=case.now)


def _consent_of(case: DecisionInput, flows: Flows) -> ConsentStanding | None:
    for _, flow in flows:
        if flow.effect == "permit" and flow.consent is not None:
            return _standing(case, _heard(case, flow, flow.consent))
    return None


def prohibits(agreement: Agreement, flow: Flow, *, purpose: str, on: date) -> bool:
    """Is this flow a prohibition for this purpose, and in force on that day?"""
    # A prohibition does not lapse for want of a review: it ends when it is ended.
    ended = agreement.expires_on is not None and on > agreement.expires_on
    in_date = agreement.status is Status.ACTIVE and on >= agreement.effective_from and not ended
    return flow.effect == "refuse" and flow.purpose == purpose and in_date


def _held(reasons: list[Reason], call: str | None) -> Verdict:
    return Verdict(outcome=Outcome.HOLD, reasons=tuple(reasons), call=call)


def _refused(reasons: list[Reason], call: str | None, consent: ConsentStanding | None = None) -> Verdict:
    return Verdict(outcome=Outcome.REFUSE, reasons=tuple(reasons), consent=consent, call=call)
