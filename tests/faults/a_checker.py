"""
Did exactly that happen which had to, and what did not?

Judged from what was published and from `a_world.permitted`, which nobody of the product computes. Each kind of trouble
is one line of plain text, with how many and the first of them:

    undecided     an event without a decision            two truths    decisions of one event that differ
    misjudged     a decision for others than it must be   set aside     in quarantine for another reason
    lost          a permitted delivery without effect     doubled       more than one effect of one delivery
    leaked        an effect, or a notification, where it must not be
    rewritten     one notification with two contents      misordered    a case's later event before an earlier one
    unreceipted   an effect that no receipt tells of      parked        a delivery that waits for a person
    unseen        a decision that a person must look at, and no entry in quarantine says so
    unknown       something about an event that nobody published
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from a_partner import Effect
from a_world import HAVEN, RECIPIENTS, Sent, permitted, refused

from safebus.schemas.bus_records import Stage


@dataclass(frozen=True)
class Decision:
    """
    One decision record.

    Attributes:
        outcomes: (recipient, PERMIT or REFUSE), sorted.
        content: Stands for every byte.
        to_see: Its `topic/partition/offset`, if a person must look at a part of it.
    """

    event_id: str
    outcomes: tuple[tuple[str, str], ...]
    content: str
    to_see: str | None = None

    def alarm(self) -> str | None:
        """What must stand in quarantine beside it."""
        return f"FOR_A_PERSON {self.to_see}" if self.to_see else None


@dataclass(frozen=True)
class Notified:
    """One record of `out.<partner>`."""

    partner: str
    notification_id: str
    event_id: str
    content: str


@dataclass(frozen=True)
class Receipted:
    """One record of `receipts`. `at`: when the broker had it, seconds; not earlier than it was, by its milliseconds."""

    partner: str
    notification_id: str
    event_id: str
    stage: Stage
    at: float


@dataclass
class Observed:
    """Everything that happened, as topics and partners' systems show it."""

    decisions: list[Decision] = field(default_factory=list)
    notified: list[Notified] = field(default_factory=list)
    receipts: list[Receipted] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)  # `reason topic/partition/offset`


def check(published: list[Sent], seen: Observed) -> list[str]:
    """What is wrong; nothing: []."""
    cases = {sent.event_id: sent.case for sent in published}
    seen, strangers = _known(cases, seen)
    due = [(partner, sent.event_id) for sent in published for partner in sorted(permitted(sent.case))]
    wrong: dict[str, list[str]] = defaultdict(list, {"unknown": strangers})
    _decisions(cases, seen, wrong)
    _notifications(cases, seen, wrong)
    _effects(cases, due, seen, wrong)
    _order(published, seen.effects, wrong)
    return [f"{kind}: {len(found)}, first {', '.join(found[:3])}" for kind, found in wrong.items() if found]


def figures(published: list[Sent], seen: Observed) -> dict[str, int]:
    """The table's numbers; `repeats` is what reached a partner more than once and had no second effect."""
    findings: dict[str, int] = {}
    for line in check(published, seen):
        kind, _, rest = line.partition(": ")
        findings[kind] = int(rest.split(",")[0])
    return {
        "events": len(published),
        "decisions": len(seen.decisions),
        "deliveries": sum(len(permitted(sent.case)) for sent in published),
        "lost": findings.get("lost", 0) + findings.get("undecided", 0),
        "doubled": findings.get("doubled", 0) + findings.get("two truths", 0),
        "misordered": findings.get("misordered", 0),
        "leaked": findings.get("leaked", 0),
        "written again": len(seen.notified) - len({(n.partner, n.notification_id) for n in seen.notified}),
    }


def _known(cases: dict[str, int], seen: Observed) -> tuple[Observed, list[str]]:
    """What was seen of these events, and the ids of others."""
    everything = [*seen.decisions, *seen.notified, *seen.receipts, *seen.effects]
    known = Observed(
        [d for d in seen.decisions if d.event_id in cases],
        [n for n in seen.notified if n.event_id in cases],
        [r for r in seen.receipts if r.event_id in cases],
        [e for e in seen.effects if e.event_id in cases],
        seen.set_aside,
    )
    return known, sorted({thing.event_id for thing in everything if thing.event_id not in cases})


def _decisions(cases: dict[str, int], seen: Observed, wrong: dict[str, list[str]]) -> None:
    contents: dict[str, set[str]] = defaultdict(set)
    for decision in seen.decisions:
        contents[decision.event_id].add(decision.content)
        if decision.outcomes != outcomes(cases[decision.event_id]):
            wrong["misjudged"].append(decision.event_id)
    wrong["undecided"] += [e for e in cases if e not in contents]
    wrong["two truths"] += [e for e, found in contents.items() if len(found) > 1]
    alarms = {decision.alarm(): decision.event_id for decision in seen.decisions}
    wrong["set aside"] += [entry for entry in seen.set_aside if entry not in alarms]
    wrong["unseen"] += [event_id for alarm, event_id in alarms.items() if alarm and alarm not in seen.set_aside]


def outcomes(case: int) -> tuple[tuple[str, str], ...]:
    """What a decision about this case must say."""
    answers = {**dict.fromkeys(permitted(case), "PERMIT"), **dict.fromkeys(refused(case), "REFUSE")}
    return tuple(sorted(answers.items()))


def _notifications(cases: dict[str, int], seen: Observed, wrong: dict[str, list[str]]) -> None:
    contents: dict[str, set[str]] = defaultdict(set)
    for n in seen.notified:
        contents[f"{n.event_id} for {n.partner}"].add(f"{n.notification_id} {n.content}")
        if n.partner not in permitted(cases[n.event_id]):
            wrong["leaked"].append(f"{n.event_id} on out.{n.partner}")
    wrong["rewritten"] += [name for name, found in contents.items() if len(found) > 1]


def _effects(
    cases: dict[str, int], due: Iterable[tuple[str, str]], seen: Observed, wrong: dict[str, list[str]]
) -> None:
    effects: dict[tuple[str, str], list[Effect]] = defaultdict(list)
    for effect in seen.effects:
        effects[(effect.partner, effect.event_id)].append(effect)
        if effect.partner not in permitted(cases[effect.event_id]):
            wrong["leaked"].append(f"{effect.event_id} at {effect.partner}")
    receipts: dict[tuple[str, str], list[Receipted]] = defaultdict(list)
    for receipt in seen.receipts:
        receipts[(receipt.partner, receipt.event_id)].append(receipt)
    for partner, event_id in due:
        name, found = f"{event_id} at {partner}", effects[(partner, event_id)]
        said = {receipt.stage for receipt in receipts[(partner, event_id)]}
        handed_over = [r.at for r in receipts[(partner, event_id)] if r.stage is Stage.HANDED_OVER]
        if not found:
            wrong["lost"].append(name)
        elif len(found) > 1 and not _in_flight(partner, found, handed_over):
            wrong["doubled"].append(name)
        if found and not handed_over:
            wrong["unreceipted"].append(name)
        if Stage.PARKED in said or Stage.STOPPED in said:
            wrong["parked"].append(name)


def _in_flight(partner: str, found: list[Effect], handed_over: list[float]) -> bool:
    """
    Is this what at least once allows: handed over, and cut off before its receipt was written?

    Only where the partner does not drop what it has seen. Once a receipt stands, nobody may hand it over again.
    """
    same = len({(effect.notification_id, effect.content) for effect in found}) == 1
    return partner == HAVEN and same and max(e.at for e in found) <= min(handed_over, default=float("-inf"))


def _order(published: list[Sent], effects: list[Effect], wrong: dict[str, list[str]]) -> None:
    first: dict[tuple[str, str], float] = {}
    for effect in effects:
        key = (effect.partner, effect.event_id)
        first[key] = min(effect.at, first.get(key, effect.at))
    for partner in RECIPIENTS:
        latest: dict[int, float] = {}
        for sent in published:
            at = first.get((partner, sent.event_id))
            if at is None:
                continue
            if at < latest.get(sent.case, at):
                wrong["misordered"].append(f"{sent.event_id} at {partner}")
            latest[sent.case] = max(at, latest.get(sent.case, at))
