"""
What was decided about this event, why, and what became of it?

Says one event's decision and every receipt about it (`indexing` finds them) in plain words with their sources.
Field names only; values only when asked for with a reason, and then that is on the command's own record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from safebus.consumers.delivery.parcels import plain
from safebus.schemas import topics
from safebus.schemas.bus_records import Answer, DecisionRecord, Notification, Outcome, Reason, Receipt, ToSee
from safebus.schemas.events import Lifecycle
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.own_records import Strange, own_record
from safebus.streams.register.store import Register
from safebus.streams.rules.asked_again import read_view
from safebus.streams.rules.reasons import SET_ASIDE, Aside, Code, say, source_of
from safebus.streams.rules.told_apart import unclear

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


async def views_of(
    connection: Connection, records: list[DecisionRecord], register: Register
) -> dict[str, dict[str, Any] | None]:
    """Notification id -> the released fields, for as long as the partners' topics are kept."""
    wanted = {a.notification_id for r in records for a in r.answers if a.notification_id}
    found: dict[str, dict[str, Any] | None] = {}
    for partner in sorted({a.recipient for r in records for a in r.answers if a.notification_id}):
        async for message in read_topic(connection, topics.notifications_for(partner)):
            notification = own_record(message, Notification)
            if not isinstance(notification, Strange) and notification.notification_id in wanted:
                found[notification.notification_id] = plain(read_view(notification, register))
    return found


def as_dict(
    record: DecisionRecord,
    receipts: list[Receipt],
    register: Register,
    views: Mapping[str, dict[str, Any] | None] | None = None,
    waiting: Mapping[str, str] = _NOTHING,
) -> dict[str, Any]:
    """
    The decision record as JSON values, each answer with its reasons in words and its deliveries.

    Args:
        views: Released fields to show, by notification id; None: none are shown.
        waiting: Notification id -> what it waits for, of those that are open.
    """
    said: dict[str, Any] = record.model_dump(mode="json")
    for answer, out in zip(record.answers, said["answers"], strict=True):
        out["in_words"] = [f"{say(each)} [{each.rule}: {source_of(each.rule)}]" for each in reasons_of(answer)]
        out["basis_in_words"] = basis_in_words(answer, register)
        out["deliveries"] = [
            r.model_dump(mode="json", include={"stage", "attempt", "at", "transport", "answer", "reason"})
            for r in receipts
            if r.notification_id == answer.notification_id
        ]
        out["waits_for"] = waiting.get(answer.notification_id or "", "")
        if views is not None:
            out["view"] = views.get(answer.notification_id or "")
    for seen, out in zip(record.worklist, said["worklist"], strict=True):
        out["in_words"] = to_see_in_words(seen)
    return said


def reasons_of(answer: Answer) -> list[Reason]:
    """Why it was answered so; and that what goes does not say who is meant, which stands in a field of its own."""
    return [*answer.reasons, *([found] if (found := unclear(answer)) is not None else [])]


def basis_in_words(answer: Answer, register: Register) -> list[str]:
    """The four answers, each with its title and source in the catalogue."""
    if answer.basis is None:
        return []
    found = []
    for code in answer.basis.model_dump().values():
        entry = register.bases.get(code) if code else None
        if code:
            found.append(f"{code}: {entry.title} ({entry.source})" if entry else code)
    return found


def as_text(
    record: DecisionRecord, receipts: list[Receipt], register: Register, waiting: Mapping[str, str] = _NOTHING
) -> str:
    """For a person at a terminal; `waiting` as in `as_dict`."""
    lines = [
        f"event {record.event_id}",
        f"  {record.event_type}, {record.lifecycle}, from {record.source}, for {record.purpose}",
        f"  decided {record.decided_at:%Y-%m-%d %H:%M:%S} UTC on register offset {record.register_offset}, "
        f"by rules {record.rules_digest}",
        f"  stands at {record.origin.topic} partition {record.origin.partition} offset {record.origin.offset}",
    ]
    for answer in record.answers:
        lines += ["", *_answer_lines(answer, receipts, register, waiting)]
    if not record.answers:
        nobody = "none of those it is about is in anyone's care, and no hub watches this type"
        if record.lifecycle == Lifecycle.RETRACT:
            nobody = "nobody was sent what it takes back, as far as is known"
        lines += ["", f"  nobody was considered: {nobody}"]
    if record.worklist:
        lines += ["", "a person must look at:"]
        lines += [f"  {seen.who}{_for(seen)}: {to_see_in_words(seen)}  [{seen.code}]" for seen in record.worklist]
    # A name or a partner's answer may hold more than one line: one of its own would read as a verdict.
    return "\n".join(" ".join(line.splitlines()) for line in lines)


def to_see_in_words(seen: ToSee) -> str:
    """What a person must look at, as a sentence: the reason of an answer, or why an event is set aside."""
    if seen.code in Code.__members__:
        return Code[seen.code].value.sentence.format(about=seen.about)
    return f"{SET_ASIDE[Aside(seen.code)]}: {seen.about}"


def _for(seen: ToSee) -> str:
    until = f", until {seen.by:%Y-%m-%d %H:%M} UTC" if seen.by else ""
    return (f", for {seen.recipient}" if seen.recipient else "") + until


def _answer_lines(answer: Answer, receipts: list[Receipt], register: Register, waiting: Mapping[str, str]) -> list[str]:
    partner = register.partners.get(answer.recipient)
    name = partner.name if partner else answer.recipient
    lines = [
        f"{answer.outcome}  {name} ({answer.recipient}), about person {answer.subject_token[:8]}, as {answer.interest}"
    ]
    lines += [f"    because {say(r)}  [{r.rule}: {source_of(r.rule)}]" for r in answer.reasons]
    if (found := unclear(answer)) is not None:
        lines += [f"    WHO IS MEANT IS UNCLEAR: {say(found)}: {answer.call}  [{found.rule}: {source_of(found.rule)}]"]
    if answer.told_apart_by:
        lines.append(f"    who is meant is told by {', '.join(answer.told_apart_by)}")
    if answer.consent_state:
        at = "" if answer.consent_offset is None else f", register offset {answer.consent_offset}"
        lines.append(f"    consent: {answer.consent_state}{at}")
    if answer.outcome is not Outcome.PERMIT and answer.call:
        lines.append(f"    to speak to a person: {answer.call}")
    if answer.outcome is Outcome.PERMIT:
        lines.append(f"    agreement {answer.agreement_id} v{answer.agreement_version}, flow {answer.flow}")
        lines += [f"    basis {text}" for text in basis_in_words(answer, register)]
        lines += _fields("released", answer)
        lines += _fields("withheld", answer)
        mine = [r for r in receipts if r.notification_id == answer.notification_id]
        lines += [
            f"    {r.at:%H:%M:%S} {r.transport}: {r.stage} (attempt {r.attempt}, answer {r.answer}"
            + (f", {r.reason})" if r.reason else ")")
            for r in mine
        ] or ["    not handed over yet"]
        lines += [f"    {text}" for key, text in waiting.items() if key == answer.notification_id]
    return lines


def _fields(which: str, answer: Answer) -> list[str]:
    by_rule: dict[str, list[str]] = {}
    for entry in getattr(answer, which):
        by_rule.setdefault(entry.rule, []).append(entry.path)
    lines = []
    for rule, paths in by_rule.items():
        detail = f" ({rule.split(', ', 1)[1]})" if ", " in rule else ""
        lines.append(f"    {which}, {source_of(rule)}{detail}: {', '.join(paths)}")
    return lines
