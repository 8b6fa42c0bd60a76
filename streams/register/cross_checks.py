"""
Do new register entries hold together, with each other and with the register they are to be added to?

Looked at before anything is written: parties and bases that exist, one flow for one thing, what the law asks of a type
of event, and protections that a folder must not lift by leaving a line out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from safebus.schemas.nearest import did_you_mean, nearest
from safebus.schemas.uk_day import uk_day
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.register.words import misspelt
from safebus.streams.rules.agreements import Agreement, Flow, Status
from safebus.streams.rules.bases import Basis, BasisKind, EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning
from safebus.streams.rules.identity import AS_ONE_WORD
from safebus.streams.rules.parties import KnownPerson, Partner


@dataclass
class _Whole:
    """The register as it would be with the new entries."""

    partners: dict[str, Partner]
    bases: dict[str, Basis]
    event_rules: dict[str, EventRule]
    agreements: dict[tuple[str, int], Agreement]
    new_bases: set[str] = field(default_factory=set)  # codes that these entries bring


def cross_check(entries: list[Entry], register: Register) -> list[str]:
    """
    What does not fit between the entries, and with the register they are to be added to; empty when all does.

    A basis that is not in force yet is no problem here: an agreement may be signed before the day. The decision asks.
    """
    standing = [body for _, body in register.entries().values() if isinstance(body, Agreement)]
    whole = _Whole(
        dict(register.partners),
        dict(register.bases),
        dict(register.event_rules),
        {(each.agreement, each.version): each for each in standing},
    )
    for entry in entries:
        body: Any = entry.body
        match entry.kind:
            case "partner":
                whole.partners[body.partner] = body
            case "basis":
                whole.bases[body.code] = body
                whole.new_bases |= {body.code} - register.bases.keys()
            case "event_rule":
                whole.event_rules[body.event_type] = body
            case "agreement":
                whole.agreements[body.agreement, body.version] = body
    problems: list[str] = []
    unknown_words = misspelt(entries, register.entries())
    known_purposes = purposes(register, whole.agreements.values())
    for i, entry in enumerate(entries):
        body = entry.body
        problems += [f"{entry.where}: {line}" for line in unknown_words.get(i, ())]
        problems += [f"{entry.where}: {line}" for line in (*_weaker(entry, register), *_ended(entry, register))]
        if (
            entry.kind in ("involvement", "affiliation", "subscription", "destination")
            and body.partner not in whole.partners
        ):
            hint = did_you_mean(body.partner, whole.partners, alike=0.8)
            problems.append(
                f"{entry.where}: {entry.kind} names partner `{body.partner}`, who is not in the register{hint}"
            )
        if isinstance(body, ConsentEntry):
            problems += [f"{entry.where}: {line}" for line in names_nobody(body, whole.partners, known_purposes)]
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


def _ended(entry: Entry, register: Register) -> Iterator[str]:
    """An old folder must not bring back what someone ended on purpose."""
    ending = register.ended.get(entry.record_id)
    if isinstance(entry.body, Agreement):
        # What was ended is no better for being loaded as an earlier version of itself.
        later = [v for v in register.ended_versions(entry.body.agreement) if v > entry.body.version]
        if later and ending is None and entry.record_id not in register.entries():
            yield (
                f"version {max(later)} of `{entry.body.agreement}` was ended, and this earlier one would take its "
                "place; give what is meant the next version"
            )
    if ending is not None and entry.kind in ("agreement", "partner", "involvement", "subscription"):
        yield (
            f"`{entry.record_id}` was ended by {ending.by} on {uk_day(ending.at)} ({ending.reason}); if it is to come "
            f"back, `safebus register revive {entry.record_id} --execute --reason ...` does it"
        )


def purposes(register: Register, agreements: Iterable[Agreement] = ()) -> frozenset[str]:
    """Every purpose that a flow has or had: what was agreed to under an agreement that ended stays on record."""
    return frozenset(flow.purpose for each in (*register.versions.values(), *agreements) for flow in each.flows)


def names_nobody(entry: ConsentEntry, partners: Iterable[str], known_purposes: Iterable[str]) -> Iterator[str]:
    """What a consent names that does not exist: it would change nothing, and a withdrawal must be effective."""
    if entry.purpose not in known_purposes:
        yield f"consent: no flow has the purpose `{entry.purpose}`{_nearest(entry.purpose, known_purposes)}"
    for recipient in entry.recipients:
        if recipient not in partners:
            hint = _nearest(recipient, partners)
            yield f"consent names partner `{recipient}`, who is not in the register{hint}"


def _nearest(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known, alike=0.6) or f"; there are {', '.join(sorted(known)) or 'none'}"


def _weaker(entry: Entry, register: Register) -> Iterator[str]:
    """Protections that a folder would lift by not mentioning them. They are ended on purpose or not at all."""
    how = f"; if that is meant, `safebus register end {entry.record_id}` first"
    body = entry.body
    if isinstance(body, Partner):
        before = register.partners.get(body.partner)
        if before is not None and before.suspended and not body.suspended:
            yield (
                f"partner `{body.partner}` is suspended, and this would lift it; if that is meant, "
                f"`safebus register lift {entry.record_id} --execute --reason ...` first"
            )
    if isinstance(body, KnownPerson):
        known = register.persons.get(body.person_id)
        if known is not None and known.restricted and not body.restricted:
            yield f"this person's record is restricted, and this would lift it{how}"
        if known is not None and known.adopted and not body.adopted:
            yield f"this person was adopted, and this would let both identities be seen together{how}"
        if known is not None and known.lives_independently and not body.lives_independently:
            yield f"this young person lives independently and decides, and this would give it to a parent{how}"
        if known is not None and known.competent_since is not None and body.competent_since != known.competent_since:
            yield f"this person was found competent to decide, and this would change it{how}"
        if known is not None and set(known.confirm) - set(body.confirm) - {AS_ONE_WORD}:
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
            hint = did_you_mean(party.partner, whole.partners, alike=0.8) or "; add it to `partners`"
            yield f"is signed by `{party.partner}`, who is not in the register{hint}"
    if agreement.review_by < agreement.effective_from:
        yield f"is to be reviewed by {agreement.review_by}, before it begins on {agreement.effective_from}"
    yield from _gap(agreement, whole)
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
            yield f"`{question}: {code}` is not in the catalogue of bases{_meant(code, question, whole)}"
        elif entry.kind != question:
            yield f"`{question}: {code}` answers `{entry.kind}` in the catalogue, not `{question}`"
        elif flow.consent is None and entry.waits_for_consent():
            meaning = Meaning.DATA_PROTECTION if entry.kind is BasisKind.ART6 else Meaning.SERVICE_AGREEMENT
            yield (
                f"`{question}: {code}` claims consent, and the flow waits for none; "
                f"add `consent: {meaning}`, or name the basis it rests on"
            )
        elif entry.kind is BasisKind.ART6:
            for sender in flow.sender:
                party = whole.partners.get(sender)
                if party is not None and not entry.open_to(party.org_type):
                    yield f"`{code}` is not open to `{sender}`, a {party.org_type} ({entry.source})"
    for org_type, code in (flow.basis.receiving_art6 or {}).items():
        entry = whole.bases.get(code)
        if entry is None or entry.kind is not BasisKind.ART6:
            hint = _meant(code, BasisKind.ART6, whole)
            yield f"`receiving_art6: {code}` is no Art 6 basis in the catalogue{hint}"
        elif not entry.open_to(org_type):
            yield f"`{code}` is not open to a {org_type} ({entry.source})"


def _meant(code: str, question: str, whole: _Whole) -> str:
    """
    The code that answers this question and is most like this one, as the end of a complaint.

    The slip may stand in the catalogue: then its code is a new one that nothing names.
    """
    codes = {basis.code for basis in whole.bases.values() if basis.kind == question}
    meant = did_you_mean(code, codes, alike=0.85)
    flows = (flow for agreement in whole.agreements.values() for flow in agreement.flows)
    named = {each for flow in flows if flow.basis is not None for _, each in flow.basis.codes()}
    slips = [
        each for each in sorted(codes & whole.new_bases - named) if nearest(code, [each]) and f"`{each}`" not in meant
    ]
    return f"{meant}; nothing names `{'`, `'.join(slips)}`, which the catalogue has" if slips else meant


def _overlaps(agreement: Agreement, flow: Flow, whole: _Whole) -> Iterator[str]:
    # Two flows for the same thing would make the answer hang on which is looked at first.
    for other in whole.agreements.values():
        another_version = other.agreement == agreement.agreement and other.version != agreement.version
        if another_version or not _at_the_same_time(agreement, other, whole):
            continue
        for rival in other.flows:
            if (other.agreement, rival.flow) == (agreement.agreement, flow.flow) or rival.effect == "refuse":
                continue
            same = (rival.event_type, rival.purpose) == (flow.event_type, flow.purpose)
            both = sorted(set(rival.to) & set(flow.to))
            # Other involvements make no difference: a partner may have a child in its care in two ways.
            if same and both and set(rival.sender) & set(flow.sender) and set(rival.about) & set(flow.about):
                yield f"covers `{both[0]}` as flow `{rival.flow}` of `{other.agreement}` does; end one of them"


def _at_the_same_time(one: Agreement, other: Agreement, whole: _Whole) -> bool:
    """Is there a day on which both hold? One that has ended may be followed by another."""
    return (
        one.status is other.status is Status.ACTIVE
        and one.effective_from <= _last_day(other, whole)
        and other.effective_from <= _last_day(one, whole)
    )


def _last_day(agreement: Agreement, whole: _Whole) -> date:
    """The last day on which this version governs and holds: the next one takes its place."""
    taken = [later.effective_from - timedelta(days=1) for later in _later(agreement, whole)]
    return min([agreement.last_day(), *taken])


def _later(agreement: Agreement, whole: _Whole) -> list[Agreement]:
    return [
        other
        for other in whole.agreements.values()
        if (other.agreement, other.status is Status.DRAFT) == (agreement.agreement, False)
        and other.version > agreement.version
    ]


def _gap(agreement: Agreement, whole: _Whole) -> Iterator[str]:
    """Days between the end of one version and the beginning of the next, on which everything would be refused."""
    if agreement.status is Status.DRAFT:
        return
    earlier = [each for each in whole.agreements.values() if agreement in _later(each, whole)]
    before = max(earlier, key=lambda each: each.version, default=None)
    if before is None or before.status is not Status.ACTIVE:
        return
    if agreement.effective_from > before.last_day() + timedelta(days=1):
        yield (
            f"leaves a gap: version {before.version} holds until {before.last_day()} and version {agreement.version} "
            f"begins on {agreement.effective_from}; begin earlier, or end version {before.version} first if the gap is "
            "meant"
        )
