"""
What is left when everything is read: still under way, or lost?

First the second look: which decisions must be read again, because something came about them that was forgotten or
that perhaps nobody decided. Then what is still open is judged, by how far the bus had come when the ends were fixed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from safebus.consumers.audit.reconcile.balance import Account, Discrepancy
from safebus.consumers.audit.reconcile.evidence import Decided, Handled, OnTopic, Place, Published
from safebus.consumers.audit.reconcile.matching import Expected, Matching
from safebus.consumers.delivery import retry as delivery
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas.bus_records import Stage

_OVERDUE_MS = int(delivery.GIVE_UP_AFTER.total_seconds() * 1000)


@dataclass(frozen=True)
class Questions:
    """
    Which decisions a second look must find.

    Attributes:
        events: Every decision about these event ids.
        inputs: Any decision of this agency about these bytes: agency, and what their digest may be.
        earlier: Every other decision about an event that was published outside of the span and decided in it, be it
            under another id: agency, event id, digest.
        before: Every decision about these event ids from before the span.
    """

    events: frozenset[str]
    inputs: frozenset[tuple[str, tuple[str, ...]]]
    earlier: frozenset[tuple[str, str, str]] = frozenset()
    before: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.events or self.inputs or self.earlier or self.before)

    def ask_for(self, event_id: str, agency: str, input_digest: str) -> bool:
        """Is this decision one of them?"""
        return event_id in self._events or (agency, input_digest) in self._each

    @cached_property
    def _events(self) -> frozenset[str]:
        return self.events | self.before | {event_id for _, event_id, _ in self.earlier}

    @cached_property
    def _each(self) -> frozenset[tuple[str, str]]:
        wanted = frozenset((agency, digest) for agency, digests in self.inputs for digest in digests)
        return wanted | {(agency, digest) for agency, _, digest in self.earlier}


@dataclass
class SecondLook:
    """
    What it found.

    Attributes:
        origins: What stands where decisions say that their event is, of those that were published outside of the span.
        by_input: The ids under which events with these bytes were decided, by agency and digest.
    """

    origins: Mapping[Place, Published] = field(default_factory=dict)
    by_event: dict[str, list[Decided]] = field(default_factory=lambda: defaultdict(list))
    by_input: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _places: set[Place] = field(default_factory=set)

    def take(self, decided: Decided) -> None:
        """One decision that was asked for; the same one again is none."""
        if decided.place not in self._places:
            self._places.add(decided.place)
            self.by_event[decided.event_id].append(decided)
            self.by_input[decided.agency, decided.input_digest].add(decided.event_id)

    def open(self, asked: Questions) -> Questions:
        """What was asked and not found, but for what may be there without being missed."""
        left = ((agency, digests) for agency, digests in asked.inputs if not self.knows(agency, digests))
        return Questions(asked.events - self.by_event.keys(), frozenset(left))

    def knows(self, agency: str, digests: Iterable[str]) -> bool:
        """Was there a decision of this agency about the bytes with one of these digests?"""
        return any((agency, digest) in self.by_input for digest in digests)


def questions(matched: Matching) -> Questions:
    """What must be looked up before the rest can be judged."""
    strangers = {f.event_id for facts in matched.unmatched.values() for f in facts if matched.in_span(f.at)}
    again = {decided.event_id for decided in matched.again}
    parked = {fact.event_id for fact in matched.parked.values()}
    # What a worker passed without an answer is lost, unless the same bytes were decided from another place.
    passed = {(p.agency, p.digests) for p in matched.open.values() if _passed(matched, p.place)}
    earlier = {(d.agency, d.event_id, d.input_digest) for d in matched.elsewhere}
    silent = {expected.event_id for expected in matched.expected.values() if _is_silent(matched, expected)}
    events = strangers | again | parked | matched.maybe_twice
    return Questions(frozenset(events), frozenset(passed), frozenset(earlier), frozenset(silent))


def judge(matched: Matching, found: SecondLook) -> Account:
    """Name what does not add up, and count the rest as under way."""
    _judge_decisions(matched, found)
    _judge_origins(matched, found)
    for facts in list(matched.unmatched.values()):
        _judge_strangers(matched, facts, found)
    for published in matched.open.values():
        _judge_event(matched, published, found)
    _judge_sent_again(matched)
    _judge_parked(matched, found)
    _judge_to_be_seen(matched)
    for expected in matched.expected.values():
        if expected.counts:
            _judge_delivery(matched, expected)
            _judge_receipts(matched, expected, found)
    matched.account.findings = sorted(set(matched.account.findings))
    return matched.account


def _finished(matched: Matching, place: Place) -> bool:
    """Had a worker said before the ends were fixed that it was done with this record?"""
    return place.offset < matched.terms.committed.get(place.stands_on, -1)


def _passed(matched: Matching, place: Place) -> bool:
    """Must there be an answer to this record?"""
    if place.stands_on in matched.terms.committed:
        return _finished(matched, place)
    # No worker of this group ever said how far it is: then an answer for a later record of its partition says it.
    return place.offset < matched.newest_answered.get(place.stands_on, -1)


def _judge_decisions(matched: Matching, found: SecondLook) -> None:
    suspected = matched.maybe_twice | {decided.event_id for decided in [*matched.again, *matched.elsewhere]}
    for event_id in sorted(suspected):
        by_agency: dict[str, dict[str, Decided]] = defaultdict(dict)
        decisions = found.by_event[event_id]
        if not any(matched.in_span(d.at) or matched.counts(d.origin) for d in decisions):
            continue
        for decided in decisions:
            if by_agency[decided.agency].setdefault(decided.digest, decided) is not decided:
                matched.account.noted.same_decision_again += 1
        for agency, different in by_agency.items():
            if len(different) > 1:
                places = ", ".join(sorted(str(d.place) for d in different.values()))
                last = max(different.values(), key=lambda d: d.at)
                ids = {"id": event_id, "event_id": event_id, "who": agency}
                matched.find(Discrepancy.TWO_DECISIONS, last.place, what=f"decided differently at {places}", **ids)
    strays = {decided.place for decided in matched.again}
    for decided in matched.again:
        # None of its own is the first of its origin: copies of it do not make it right.
        if all(d.place in strays for d in found.by_event[decided.event_id] if d.agency == decided.agency):
            what = f"{decided.origin} was decided before, as another event"
            ids = {"id": decided.event_id, "event_id": decided.event_id, "who": decided.agency}
            matched.find(Discrepancy.TWO_DECISIONS, decided.place, what=what, **ids)
    for origin, facts in matched.unread.items():
        for fact in facts:
            if isinstance(fact, Decided):
                ids = {"id": fact.event_id, "event_id": fact.event_id, "who": fact.agency}
                matched.find(
                    Discrepancy.OTHER_INPUT, fact.place, what=f"was decided, but nothing stands at {origin}", **ids
                )


def _judge_origins(matched: Matching, found: SecondLook) -> None:
    """Decisions of the span about events from outside of it: the event as it stands there, and nothing but once."""
    for decided in matched.elsewhere:
        ids = {"id": decided.event_id, "event_id": decided.event_id, "who": decided.agency}
        origin = found.origins.get(decided.origin)
        if origin is None:
            matched.account.noted.event_no_longer_kept += 1
        elif decided.input_digest not in origin.digests:
            what = f"was decided on other bytes than stand at {decided.origin}"
            matched.find(Discrepancy.OTHER_INPUT, decided.place, what=what, **ids)
        if found.by_input.get((decided.agency, decided.input_digest), set()) - {decided.event_id}:
            what = f"{decided.origin} was decided as another event, too"
            matched.find(Discrepancy.TWO_DECISIONS, decided.place, what=what, **ids)


def _judge_strangers(matched: Matching, facts: list[OnTopic | Handled], found: SecondLook) -> None:
    """Facts about one notification that waits for no delivery: copies, or what nobody decided."""
    on_topic = any(isinstance(fact, OnTopic) for fact in facts)
    for fact in facts:
        if not matched.in_span(fact.at):
            continue
        permits = [d.permits(fact.partner, fact.notification_id) for d in found.by_event[fact.event_id]]
        digests = {answer.digest for answer in permits if answer is not None}
        ids = {"id": fact.notification_id, "event_id": fact.event_id, "who": fact.partner}
        if isinstance(fact, OnTopic):
            if not digests:
                matched.find(
                    Discrepancy.UNEXPECTED, fact.place, what=f"no decision lets `{fact.partner}` have this", **ids
                )
            elif fact.digest in digests:
                matched.account.noted.same_notification_again += 1
            else:
                matched.other_bytes(fact)
        elif digests:
            if fact.stage is Stage.HANDED_OVER:
                # By hand it may have been handed over for the first time: the span began after it was decided.
                matched.handed_over(fact, digests, again=fact.restored or not fact.by_hand)
        elif not on_topic and not _stops_the_original(fact, found):
            what = f"a receipt ({fact.stage}) about a notification that no decision lets `{fact.partner}` have"
            matched.find(Discrepancy.UNKNOWN_RECEIPT, fact.place, what=what, **ids)


def _stops_the_original(receipt: Handled, found: SecondLook) -> bool:
    """What takes an alert back ends that, where it is parked, in its own name."""
    return receipt.stage is Stage.STOPPED and any(
        (answer.partner, answer.takes_back) == (receipt.partner, receipt.notification_id)
        for decided in found.by_event[receipt.event_id]
        for answer in decided.answers
    )


def _judge_sent_again(matched: Matching) -> None:
    """What was handed over, and sent again by hand to a partner that had lost it, which did not take it then."""
    for (partner, notification_id), stage in matched.sent_again.items():
        known = matched.expected.get((partner, notification_id))
        lost_again = stage is Stage.PARKED and (known is None or known.stage is Stage.HANDED_OVER)
        matched.account.noted.sent_again_not_taken += lost_again


def _judge_parked(matched: Matching, found: SecondLook) -> None:
    """What stands where a person looks, and what receipts say of it: each has the other, and a decision permits it."""
    for key, parked in matched.parked.items():
        if not matched.in_span(parked.at):
            continue
        ids = {"id": parked.notification_id, "event_id": parked.event_id, "who": parked.partner}
        permits = [d.permits(parked.partner, parked.notification_id) for d in found.by_event[parked.event_id]]
        digests = {answer.digest for answer in permits if answer is not None}
        receipt = matched.was_parked.get(key)
        if not digests:
            what = f"no decision lets `{parked.partner}` have this, and a redrive would hand it over"
            matched.find(Discrepancy.UNEXPECTED, parked.place, what=what, **ids)
        elif parked.digest not in digests:
            what = "what is parked has other bytes than were decided, and a redrive would hand them over"
            matched.find(Discrepancy.OTHER_BYTES, parked.place, what=what, **ids)
        elif receipt is None and key not in matched.went_on and parked.at <= matched.terms.now - matched.terms.grace:
            what = "it is parked, and no receipt says so"
            matched.find(Discrepancy.PARKED_UNKNOWN, parked.place, what=what, **ids)
    unknown = {f.id for f in matched.account.findings if f.code is Discrepancy.UNKNOWN_RECEIPT}
    for key, receipt in matched.was_parked.items():
        if receipt.notification_id in unknown:
            continue
        # Where a person sent it again, it was parked before, or is then: the first receipt tells of its entry.
        if matched.in_span(receipt.at) and not receipt.by_hand and key not in matched.parked:
            ids = {"id": receipt.notification_id, "event_id": receipt.event_id, "who": receipt.partner}
            what = f"a receipt says that it is parked, and it does not stand on `parked.{receipt.partner}`"
            matched.find(Discrepancy.PARKED_UNKNOWN, receipt.place, what=what, **ids)


def _judge_to_be_seen(matched: Matching) -> None:
    terms = matched.terms
    for decided in matched.to_be_seen.values():
        if terms.aside_since <= decided.at <= terms.now - terms.grace:
            ids = {"id": decided.event_id, "event_id": decided.event_id, "who": decided.agency}
            what = "a person must look at it, and it does not stand in quarantine, where they would find it"
            matched.find(Discrepancy.NOT_SHOWN, decided.place, what=what, **ids)


def _judge_event(matched: Matching, published: Published, found: SecondLook) -> None:
    agency = matched.account.agency(published.agency)
    if not _passed(matched, published.place):
        agency.waiting += 1
        oldest = matched.account.noted.oldest_waiting_at
        matched.account.noted.oldest_waiting_at = published.at if oldest is None else min(oldest, published.at)
        if published.at < matched.terms.now - _OVERDUE_MS:
            matched.find(
                Discrepancy.OVERDUE,
                published.place,
                what="published more than 72 hours ago, and no worker says that it is done with it",
                id=published.event_id,
                event_id=published.event_id,
                who=published.agency,
            )
    elif found.knows(published.agency, published.digests):
        agency.repeats += 1
    else:
        agency.lost += 1
        entry = matched.told_of_nobody.get(published.place)
        aside = f"only set aside as {entry.reason}" if entry else "not set aside"
        matched.find(
            Discrepancy.LOST,
            published.place,
            what=f"the worker went past it; not decided, {aside}",
            id=published.event_id,
            event_id=published.event_id,
            who=published.agency,
        )


def _judge_delivery(matched: Matching, expected: Expected) -> None:
    partner, terms = matched.account.partner(expected.partner), matched.terms
    gone = expected.on_topic_at is None and matched.no_longer_kept(expected)
    # What is parked stands on another topic, for ever.
    if gone and expected.stage not in (Stage.PARKED, Stage.STOPPED):
        partner.expired += 1
        _name(
            matched,
            Discrepancy.EXPIRED,
            expected,
            "never handed over, and its topic does not go back that far any more",
        )
    elif expected.on_topic_at is None and expected.stage is None:
        if expected.decided_at <= terms.now - terms.grace or _finished(matched, expected.origin):
            partner.not_sent += 1
            _name(matched, Discrepancy.NOT_SENT, expected, f"permitted, but not on `out.{expected.partner}`")
        else:
            partner.in_flight += 1
    else:
        _count_stage(matched, expected)


def _is_silent(matched: Matching, expected: Expected) -> bool:
    """Its adapter goes on once it is handed over, parked or stopped, and no receipt says that it was."""
    where = expected.stands_at
    return (
        where is not None
        and expected.stage not in ENDED
        and where.offset < matched.terms.delivered.get(where.stands_on, -1)
    )


def _judge_receipts(matched: Matching, expected: Expected, found: SecondLook) -> None:
    if not _is_silent(matched, expected):
        return
    # Of one that comes again, because its event was decided once more, the receipt is as old as the first.
    for decided in found.by_event[expected.event_id]:
        permitted = decided.permits(expected.partner, expected.notification_id)
        if decided.at < matched.terms.since and permitted is not None:
            return
    last = "no receipt says" if expected.stage is None else f"the last receipt says {expected.stage}, none"
    what = f"its adapter is done with it, and {last} what became of it"
    _name(matched, Discrepancy.NO_RECEIPT, expected, what)


def _count_stage(matched: Matching, expected: Expected) -> None:
    partner, now = matched.account.partner(expected.partner), matched.terms.now
    partner.on_topic += 1
    partner.handed_over += expected.stage is Stage.HANDED_OVER
    partner.waiting += expected.stage is Stage.WAITING
    partner.held += expected.stage is Stage.HELD
    partner.parked += expected.stage is Stage.PARKED
    partner.stopped += expected.stage is Stage.STOPPED
    partner.no_receipt += expected.stage is None
    if expected.stage is None:
        since, what = expected.on_topic_at or now, "on its topic for more than 72 hours, and no attempt is on record"
    elif expected.stage in (Stage.WAITING, Stage.HELD):
        since, what = expected.stage_since, f"{expected.stage} for more than 72 hours, and not parked"
    else:
        return
    if since < now - _OVERDUE_MS:
        _name(matched, Discrepancy.OVERDUE, expected, what)


def _name(matched: Matching, code: Discrepancy, expected: Expected, what: str) -> None:
    ids = {"id": expected.notification_id, "event_id": expected.event_id, "who": expected.partner}
    matched.find(code, expected.decision, what=what, **ids)
