"""
Everything that an auditor asks of a span, in one document that a person can sign.

What was looked at, whether what was published adds up, whether each decision follows from the topics, what changed in
the register and what people did. It shows ids, names, codes and the reasons that staff gave; no value of an event.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from safebus.consumers.audit.coverage import Covered
from safebus.consumers.audit.operations import OnRecord
from safebus.consumers.audit.reconcile import words
from safebus.consumers.audit.reconcile.balance import Account
from safebus.consumers.audit.replay.findings import Verified
from safebus.consumers.audit.unrecorded import Unrecorded
from safebus.consumers.audit.untold import Untold
from safebus.schemas.own_records import Strange
from safebus.streams.register.history import Step

#: What the topics cannot tell anybody, so that nobody signs for more than was looked at.
NOT_SHOWN: Final = (
    "Whether a partner's staff read what was handed over: the last that is known is what its system answered.",
    "What somebody did who holds the broker's disks or the bus's own keys and certificates: they can write what the "
    "bus would have written.",
    "What was done without the bus: by telephone, on a partner's own system, on a copy of the topics.",
)


@dataclass(frozen=True)
class Report:
    """
    What was found.

    Attributes:
        by: Who made it, as their certificate or the machine names them.
        hidden: Topics of the register that are not there, or not shown to whoever made it.
        steps, operations: Those of the span.
        strange: Records among the operations that the bus did not write, or that nobody signed.
        unrecorded: Changes of the register without a command, and commands without their change.
        untold: As of now: who holds something on a consent that has ended, and was not told.
    """

    since: datetime
    until: datetime
    made_at: datetime
    by: str
    release: str
    register_offset: int
    hidden: Sequence[str]
    covered: Sequence[Covered]
    account: Account
    verified: Verified
    steps: Sequence[Step]
    operations: Sequence[OnRecord]
    strange: Sequence[Strange]
    unrecorded: Sequence[Unrecorded]
    untold: Sequence[Untold]

    def doubts(self) -> list[str]:
        """Everything that speaks against "all is well", the gravest kind first; empty: nothing does."""
        return list(self._doubts())

    def _doubts(self) -> Iterator[str]:
        published = sum(agency.published for agency in self.account.agencies.values())
        if self.account.findings or not self.account.adds_up() or not published:
            yield f"what was published: {words.verdict(self.account)}"
        if self.verified.differences:
            number = len(self.verified.differences) + self.verified.not_listed
            yield f"{number} decisions or notifications are not what follows from the topics"
        if not self.verified.decisions:
            yield "there is no decision in the span, so none was made again"
        if self.unrecorded:
            yield f"{len(self.unrecorded)} changes of the register have no command beside them, or commands no change"
        if self.untold:
            yield f"{len(self.untold)} notices that a consent has ended are owed, and no receipt says that they went"
        for each in self.covered:
            if each.unexplained:
                yield f"`{each.topic}` is kept for ever, and {each.gone} records from its beginning are gone"
        if self.hidden:
            yield f"not there, or not shown to {self.by}, and so not looked at: {', '.join(self.hidden)}"
        if self.strange:
            yield f"{len(self.strange)} records among the operations were not written by the bus, or nobody signed them"


def as_json(report: Report) -> dict[str, Any]:
    """For a program; the same facts."""
    return {
        "from": report.since.isoformat(),
        "to": report.until.isoformat(),
        "made_at": report.made_at.isoformat(timespec="seconds"),
        "by": report.by,
        "release": report.release,
        "register_offset": report.register_offset,
        "sound": not report.doubts(),
        "doubts": report.doubts(),
        "coverage": [
            {
                **vars(each),
                "oldest": each.oldest.isoformat(timespec="seconds") if each.oldest else None,
                "kept_for": int(each.kept_for.total_seconds()) if each.kept_for else None,
                "unexplained": each.unexplained,
            }
            for each in report.covered
        ],
        "reconcile": words.as_json(report.account),
        "verify": {**vars(report.verified), "differences": [vars(each) for each in report.verified.differences]},
        "register": [_step(each) for each in report.steps],
        "operations": [_operation(each) for each in report.operations],
        "strange": [{"where": _place(each), "reason": each.reason} for each in report.strange],
        "unrecorded": [vars(each) for each in report.unrecorded],
        "untold": [vars(each) for each in report.untold],
        "not_shown": [*NOT_SHOWN],
    }


def as_document(report: Report) -> str:
    """For a person: Markdown, with the digest of all above the place where they sign."""
    body = "\n".join(_body(report)) + "\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    signed = (
        "## Signed",
        "",
        f"SHA-256 of everything above this heading: `{digest}`",
        "",
        *_table(("name", "role", "date", "signature"), [("", "", "", "")] * 2),
    )
    return body + "\n".join(signed)


def _body(report: Report) -> Iterator[str]:
    doubts, account, verified = report.doubts(), report.account, report.verified
    yield "# What the bus did: audit report"
    yield ""
    yield from _table(
        ("", ""),
        [
            ("span", f"{report.since:%Y-%m-%d %H:%M:%S} to {report.until:%Y-%m-%d %H:%M:%S} UTC, the end not included"),
            ("made", f"{report.made_at:%Y-%m-%d %H:%M:%S} UTC by {report.by}, with safebus {report.release}"),
            ("register", f"as of offset {report.register_offset}"),
        ],
    )
    yield "## In short"
    yield ""
    yield from (
        f"- {_line(each)}" for each in doubts or ["Nothing was found that speaks against what the bus says it did."]
    )
    yield ""
    yield "## 1. What was looked at"
    yield ""
    yield from _table(
        ("topic", "partitions", "records", "oldest kept", "gone before it", "kept for"),
        (
            (
                each.topic,
                each.partitions or "not there, or not shown",
                each.records,
                f"{each.oldest:%Y-%m-%d %H:%M} UTC" if each.oldest else "-",
                each.gone,
                "ever" if each.kept_for is None else f"{each.kept_for.days} days",
            )
            for each in report.covered
        ),
    )
    yield "Records count marks of transactions, too. What is gone of a topic that keeps its records for some days is"
    yield "older than these, or was deleted: the topic does not tell which."
    yield ""
    yield "## 2. What was published, and what became of it"
    yield ""
    agencies = {n: {**vars(a), "set_aside": a.set_aside.total()} for n, a in sorted(account.agencies.items())}
    yield from _counts("agency", agencies)
    yield from _counts("partner", {name: vars(one) for name, one in sorted(account.partners.items())})
    aside = sum((agency.set_aside for agency in account.agencies.values()), Counter[str]())
    yield from (f"- {number} set aside as {_line(reason)}" for reason, number in sorted(aside.items()))
    yield from (f"- {_line(each)}" for each in words.in_words(account))
    yield ""
    if account.findings:
        yield from _table(
            ("finding", "id", "event", "who", "where", "what", "what to do"),
            ((f.code, f.id, f.event_id, f.who, f.where, f.what, f.to_do) for f in account.findings),
        )
    if report.untold:
        yield "Who holds something on a consent that has ended, and was not told of it until now:"
        yield ""
        owed = ((each.partner, each.notification_id, each.event_id, each.how) for each in report.untold)
        yield from _table(("partner", "id", "event", "the consent is"), owed)
    yield "## 3. Whether each decision follows from the topics"
    yield ""
    yield f"- {verified.identical} of {verified.decisions} decisions are identical, byte for byte, when made again"
    yield f"- {verified.outputs_identical} of {verified.outputs} notifications are"
    yield f"- {verified.other_rules} decisions were made by other rules than today's"
    yield ""
    if verified.differences:
        yield from _table(("event", "what"), ((d.event_id, d.what) for d in verified.differences))
    if verified.not_listed:
        yield f"{verified.not_listed} more differences are counted and not listed; a shorter span lists them."
        yield ""
    yield "## 4. What changed in the register"
    yield ""
    yield from _rows([_step(each) for each in report.steps], "Nothing did in that span.")
    if report.unrecorded:
        yield "Changes without the command that made them, and commands without their change:"
        yield ""
        rows = ((each.where, " ".join(each.about), each.by, each.what) for each in report.unrecorded)
        yield from _table(("where", "about", "by", "what"), rows)
    yield "## 5. What people did through the commands"
    yield ""
    yield from _rows([_operation(each) for each in report.operations], "Nothing in that span.")
    if report.strange:
        yield from _table(("left out", "why"), ((_place(each), each.reason) for each in report.strange))
    yield "## What this does not show"
    yield ""
    yield from (f"- {each}" for each in NOT_SHOWN)
    yield ""


def _step(step: Step) -> dict[str, Any]:
    return {
        "offset": step.offset,
        "at": step.at.isoformat(timespec="seconds"),
        "record": step.record.record_id,
        "what": str(step.what),
        "stood_s": None if step.stood is None else round(step.stood.total_seconds()),
        "fields": ", ".join(step.fields),
        "by": step.record.recorded_by,
        "reason": step.record.reason,
    }


def _operation(one: OnRecord) -> dict[str, Any]:
    return {
        "at": one.at.isoformat(timespec="seconds"),
        "who": one.who,
        "proven": "yes" if one.proven else "no",
        "what": one.operation.what,
        "number": one.operation.number,
        "about": " ".join(one.operation.about),
        "reason": one.operation.reason,
    }


def _place(strange: Strange) -> str:
    return f"{strange.topic}/{strange.partition}/{strange.offset}"


def _counts(kind: str, counts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A row for each, and only the columns that say something: paper is not wide."""
    names = [*next(iter(counts.values()), {})]
    some = [name for name in names if any(one[name] for one in counts.values())]
    yield from _table((kind, *some), ((who, *(one[name] for name in some)) for who, one in counts.items()))


def _rows(rows: Sequence[Mapping[str, Any]], nothing: str) -> Iterator[str]:
    if rows:
        yield from _table(tuple(rows[0]), (tuple(row.values()) for row in rows))
    else:
        yield nothing
        yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_line(each) for each in row)} |"
    yield ""


def _line(value: object) -> str:
    """On one line, and nothing in it makes a table, a heading or a link of its own, or acts on a terminal."""
    text = " ".join(("" if value is None else str(value)).split())
    text = "".join(f"\\{sign}" if sign in "\\|<>[]*_#" else sign for sign in text)
    # Here already: the digest is of what is printed, and what prints would do it after that.
    return "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in text)
