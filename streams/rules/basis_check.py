"""
Does the basis that an agreement names carry this disclosure?

The four answers (rule: domain 2.1) are each looked up in the catalogue: in force on the day it happened, law in that
territory, open to this kind of body, and reaching this recipient; for whom discloses and for whom receives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from safebus.schemas.bus_records import Reason
from safebus.schemas.classes import Category
from safebus.streams.rules.agreements import Agreement, Flow, FlowBasis
from safebus.streams.rules.bases import Basis, BasisKind, OrgType
from safebus.streams.rules.decision_input import EventFacts
from safebus.streams.rules.lookups import Lookups
from safebus.streams.rules.parties import Partner
from safebus.streams.rules.reasons import Code, Rule, why


def basis_faults(
    facts: EventFacts, agreement: Agreement, flow: Flow, sender: Partner, partner: Partner
) -> Iterator[Reason]:
    """
    What keeps the basis from carrying the disclosure.

    A missing Art 9, Art 10 or Schedule 1 condition is no fault here: it costs fields, not the event (rule R07).
    """
    basis, register = flow.basis, facts.register
    assert basis is not None  # a permit flow without basis does not load
    rule = register.event_rule(flow.event_type)
    if rule is not None and rule.consent is not None and flow.consent != rule.consent:
        yield why(Code.CONSENT_NOT_ASKED_FOR, rule.code)
    claimed = claims_consent(register, flow)
    if claimed is not None:
        yield why(Code.BASIS_CLAIMS_CONSENT, claimed)
    for question, code in basis.codes():
        if question in ("art9_or_10", "sch1"):
            continue
        entry = register.basis(code)
        if entry is None or entry.kind != question:
            yield why(Code.BASIS_UNKNOWN, code)
            continue
        if not entry.in_force(facts.law_day, agreement.territory):
            yield why(Code.BASIS_NOT_IN_FORCE, code)
        if not entry.open_to(sender.org_type):
            yield why(Code.BASIS_NOT_AVAILABLE, code, rule=_availability_rule(sender))
        if not entry.reaches(partner.flags):
            yield why(Code.GATEWAY_RECIPIENT, code)
    if basis.power_or_duty is None and sender.org_type is OrgType.PUBLIC_AUTHORITY:
        yield why(Code.NO_POWER_OR_DUTY, sender.partner)
    if basis.receiving_art6 is not None:
        yield from _receiving_faults(facts, agreement, basis.receiving_art6, partner)


def claims_consent(register: Lookups, flow: Flow) -> str | None:
    """The basis that holds only if someone agreed, of a flow that waits for nobody to agree."""
    if flow.consent is not None or flow.basis is None:
        return None
    entries = (register.basis(code) for _, code in flow.basis.codes())
    return next((entry.code for entry in entries if entry is not None and entry.waits_for_consent()), None)


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


def _receiving_faults(
    facts: EventFacts, agreement: Agreement, receiving: Mapping[OrgType, str], partner: Partner
) -> Iterator[Reason]:
    code = receiving.get(partner.org_type)
    entry = facts.register.basis(code) if code else None
    if entry is None or entry.kind != BasisKind.ART6:
        yield why(Code.BASIS_UNKNOWN, code or str(partner.org_type))
    elif not entry.in_force(facts.law_day, agreement.territory):
        yield why(Code.BASIS_NOT_IN_FORCE, entry.code)
    elif not entry.open_to(partner.org_type):
        yield why(Code.BASIS_NOT_AVAILABLE, entry.code, rule=_availability_rule(partner))
    elif not entry.reaches(partner.flags):
        yield why(Code.GATEWAY_RECIPIENT, entry.code)


def _availability_rule(party: Partner) -> Rule:
    # R03: a public authority may not use what is only for others; R04: others may not use what is only for it.
    return Rule.R03 if party.org_type is OrgType.PUBLIC_AUTHORITY else Rule.R04
