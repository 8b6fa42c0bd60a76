"""
Do new register entries hold together, with each other and with the register they are to be added to?

Looked at before anything is written: parties and bases that exist, one flow for one thing, what the law asks of a type
of event, and protections that a folder must not lift by leaving a line out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.bases import Basis, BasisKind, EventRule
from safebus.streams.rules.parties import KnownPerson, Partner


@dataclass
class _Whole:
    """The register as it would be with the new entries."""

    partners: dict[str, Partner]
    bases: dict[str, Basis]
    event_rules: dict[str, EventRule]
    agreements: dict[str, Agreement]


def cross_check(entries: list[Entry], register: Register) -> list[str]:
    """
    What does not fit between the entries, and with the register they are to be added to; empty when all does.

    A basis that is not in force yet is no problem here: an agreement may be signed before the day. The decision asks.
    """
    whole = _Whole(dict(register.partners), dict(register.bases), dict(register.event_rules), dict(register.agreements))
    for entry in entries:
        body: Any = entry.body
        match entry.kind:
            case "partner":
                whole.partners[body.partner] = body
            case "basis":
                whole.bases[body.code] = body
            case "event_rule":
                whole.event_rules[body.event_type] = body
            case "agreement":
                whole.agreements[body.agreement] = body
    problems: list[str] = []
    for entry in entries:
        body = entry.body
        problems += [f"{entry.where}: {line}" for line in _weaker(entry, register)]
        if entry.kind in ("involvement", "affiliation", "subscription") and body.partner not in whole.partners:
            problems.append(f"{entry.where}: {entry.kind} names partner `{body.partner}`, who is not in the register")
        if entry.kind == "agreement":
            before = register.versions.get((body.agreement, body.version))
            if before is not None and before != body:
                problems.append(
                    f"{entry.where}: version {body.version} of `{body.agreement}` is registered with other content; "
                    "what was signed does not change, so give it the next version"
                )
            problems += [
                f"{entry.where}: agreement `{body.agreement}` {line}" for line in _check_agreement(body, whole)
            ]
    return problems


def _weaker(entry: Entry, register: Register) -> Iterator[str]:
    """Protections that a folder would lift by not mentioning them. They are ended on purpose or not at all."""
    how = f"; if that is meant, `safebus register end {entry.record_id}` first"
    body = entry.body
    if isinstance(body, Partner):
        before = register.partners.get(body.partner)
        if before is not None and before.suspended and not body.suspended:
            yield f"partner `{body.partner}` is suspended, and this would lift it{how}"
    if isinstance(body, KnownPerson):
        known = register.persons.get(body.person_id)
        if known is not None and known.restricted and not body.restricted:
            yield f"this person's record is restricted, and this would lift it{how}"
        if known is not None and set(known.confirm) - set(body.confirm):
            yield f"this person is confirmed by name or birth date, and this would end it{how}"
        others = {p for token in body.tokens.items() for p in register.persons_with(*token)} - {body.person_id}
        if others:
            yield (
                "this person stands in the register under another identifier; give the same strongest identifier as "
                "before, or every event about them would be set aside as ambiguous"
            )


def _check_agreement(agreement: Agreement, whole: _Whole) -> Iterator[str]:
    for party in agreement.parties:
        if party.partner not in whole.partners:
            yield f"is signed by `{party.partner}`, who is not in the register; add it to `partners`"
    for flow in agreement.flows:
        if flow.effect == "permit":
            yield from (f"flow `{flow.flow}`: {line}" for line in _check_flow(flow, whole))
            yield from (f"flow `{flow.flow}`: {line}" for line in _overlaps(agreement, flow, whole))


def _check_flow(flow: Flow, whole: _Whole) -> Iterator[str]:
    rule = whole.event_rules.get(flow.event_type)
    if rule is not None and rule.consent is not None and flow.consent != rule.consent:
        yield f"{rule.code} waits for `{rule.consent}` ({rule.source}), found `consent: {flow.consent or 'none'}`"
    assert flow.basis is not None  # a permit without basis does not load
    for question, code in flow.basis.codes():
        entry = whole.bases.get(code)
        if entry is None:
            yield f"`{question}: {code}` is not in the catalogue of bases"
        elif entry.kind != question:
            yield f"`{question}: {code}` answers `{entry.kind}` in the catalogue, not `{question}`"
        elif entry.kind is BasisKind.ART6:
            for sender in flow.sender:
                party = whole.partners.get(sender)
                if party is not None and not entry.open_to(party.org_type):
                    yield f"`{code}` is not open to `{sender}`, a {party.org_type} ({entry.source})"
    for org_type, code in (flow.basis.receiving_art6 or {}).items():
        entry = whole.bases.get(code)
        if entry is None or entry.kind is not BasisKind.ART6:
            yield f"`receiving_art6: {code}` is no Art 6 basis in the catalogue"
        elif not entry.open_to(org_type):
            yield f"`{code}` is not open to a {org_type} ({entry.source})"


def _overlaps(agreement: Agreement, flow: Flow, whole: _Whole) -> Iterator[str]:
    # Two flows for the same thing would make the answer hang on which is looked at first.
    for other in whole.agreements.values():
        if not _at_the_same_time(agreement, other):
            continue
        for rival in other.flows:
            if (other.agreement, rival.flow) == (agreement.agreement, flow.flow) or rival.effect == "refuse":
                continue
            same = (rival.event_type, rival.purpose) == (flow.event_type, flow.purpose)
            both = sorted(set(rival.to) & set(flow.to))
            # Other involvements make no difference: a partner may have a child in its care in two ways.
            if same and both and set(rival.sender) & set(flow.sender) and set(rival.about) & set(flow.about):
                yield f"covers `{both[0]}` as flow `{rival.flow}` of `{other.agreement}` does; end one of them"


def _at_the_same_time(one: Agreement, other: Agreement) -> bool:
    """Is there a day on which both hold? One that has ended may be followed by another."""
    return (
        one.status is other.status is Status.ACTIVE
        and one.effective_from <= other.last_day()
        and other.effective_from <= one.last_day()
    )
