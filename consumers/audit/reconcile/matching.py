"""
Which decision belongs to which event, and which notification and receipt to which decision?

Facts are taken in any order; each waits until its other half comes and is then counted and forgotten. Facts that come
about something forgotten (a copy, a second truth, or what nobody decided) are kept, and once all is read a *second
look* at the decisions about just these tells which it is.

    what is kept    events without an answer · events set aside · notifications until they are handed over or stopped
                    facts whose other half was not read yet, or is forgotten · 8 MB that recognise a second decision
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from safebus.consumers.audit.reconcile.balance import Account, Discrepancy, Finding
from safebus.consumers.audit.reconcile.bloom_filter import BloomFilter
from safebus.consumers.audit.reconcile.evidence import (
    Answered,
    Decided,
    Fact,
    Handled,
    IsParked,
    OnTopic,
    Place,
    Published,
    Told,
    WasSetAside,
)
from safebus.consumers.audit.reconcile.places import Stood, places_at
from safebus.consumers.delivery.stages import ENDED
from safebus.schemas import topics
from safebus.schemas.bus_records import Outcome, Stage
from safebus.schemas.kafka.partitions import Partition
from safebus.streams.rules.reasons import SET_ASIDE, Aside

#: Reasons that go with a decision: the event is decided, and a person looks as well.
WITH_DECISION = frozenset({Aside.NO_RECIPIENT, Aside.FOR_A_PERSON, Aside.REDO_DIFFERS})

#: All for which a worker sets aside what was published.
REASONS = frozenset(map(str, SET_ASIDE))

_PUBLISHED = topics.published_by("any").removesuffix("any")


@dataclass(frozen=True)
class Terms:
    """
    What is counted, and how far the bus had come when the ends were fixed. Times in milliseconds since 1970.

    Attributes:
        since, until: When the broker took the record in; `until` is not included.
        now: When the ends were fixed.
        grace: How long what follows a decision may take.
        spans: Partition -> offsets of the first published record that counts and of the first after.
        kept: The same of all that is kept of what was published.
        hidden: Agencies whose topics may be there without being shown to us.
        committed: Partition -> up to which offset a worker has finished; none: it has not said.
        delivered: Partition of a partner's topic -> up to which offset its adapter has; likewise.
        kept_since: Partner -> how far back its topic goes, if it does not go back to its beginning.
        aside_since: The same of quarantine; 0: to its beginning.
        places: Partner -> the places that the register has or had for it, with their times.
    """

    since: int
    until: int
    now: int
    grace: int
    spans: Mapping[Partition, tuple[int, int]]
    kept: Mapping[Partition, tuple[int, int]]
    hidden: Collection[str] = ()
    committed: Mapping[Partition, int] = field(default_factory=dict)
    delivered: Mapping[Partition, int] = field(default_factory=dict)
    kept_since: Mapping[str, int] = field(default_factory=dict)
    aside_since: int = 0
    places: Mapping[str, Sequence[Stood]] = field(default_factory=dict)


@dataclass(slots=True)
class Expected:
    """
    A notification that a decision permits, until it is handed over.

    Attributes:
        counts: Its event was published in the span.
        stage_since: When it came into its stage.
        stands_at: Its first place on the partner's topic.
    """

    partner: str
    notification_id: str
    event_id: str
    digests: set[str | None]
    origin: Place
    decision: Place
    decided_at: int
    counts: bool
    on_topic_at: int | None = None
    stands_at: Place | None = None
    stage: Stage | None = None
    stage_since: int = 0


#: No process that goes on with what a killed one left does so within this.
_TAKES_OVER_MS = 1_000
_Key = tuple[str, str]  # partner, notification id


class Matching:
    """The facts of one span, matched as they come."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.account = Account()
        self.open: dict[Place, Published] = {}
        self.told_of_nobody: dict[Place, WasSetAside] = {}  # WITH_DECISION, and the decision not seen yet
        self.expected: dict[_Key, Expected] = {}
        self.unmatched: dict[_Key, list[OnTopic | Handled]] = defaultdict(list)
        self.sent_again: dict[_Key, Stage] = {}  # by hand, though handed over before: what came of it last
        self.unread: dict[Place, list[Decided | WasSetAside]] = defaultdict(list)  # about a record not read yet
        self.again: list[Decided] = []  # of an origin that has one
        self.elsewhere: list[Decided] = []  # decided in the span, and published outside of it; without answers
        self.maybe_twice: set[str] = set()  # event ids
        self.to_be_seen: dict[Place, Decided] = {}  # by a person, and its entry in quarantine was not read yet
        self.parked: dict[_Key, IsParked] = {}  # the first entry of each
        self.was_parked: dict[_Key, Handled] = {}  # its first receipt, rather one of no person
        self.went_on: set[_Key] = set()  # ended otherwise, so long after its entry that it was tried once more
        self.newest_answered: dict[tuple[str, int], int] = {}  # of answers older than the grace, by origin partition
        self._set_aside: dict[Place, str] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._seen = BloomFilter()

    def take(self, fact: Fact) -> None:
        """One more fact."""
        match fact:
            case Published():
                self._published(fact)
            case Decided():
                self._decided(fact)
            case WasSetAside():
                self._was_set_aside(fact)
            case OnTopic():
                self._on_topic(fact)
            case IsParked():
                self.parked.setdefault((fact.partner, fact.notification_id), fact)
            case Handled():
                self._where_it_went(fact)
                self._handled(fact)
            case Told():
                self._told(fact)
            case _:
                if self.in_span(fact.at):
                    self.find(Discrepancy.UNREADABLE, fact.place, what="this record was not written by the bus")

    def in_span(self, at: int) -> bool:
        """Is this within the times that are judged?"""
        return self.terms.since <= at < self.terms.until

    def find(
        self,
        code: Discrepancy,
        where: Place,
        *,
        what: str,
        id: str | None = None,
        event_id: str | None = None,
        who: str = "",
    ) -> None:
        """Name something that does not add up."""
        finding = Finding(code, id or str(where), event_id or "", who, str(where), what)
        self.account.findings.append(finding)

    def _published(self, published: Published) -> None:
        place = published.place
        self._next[place.topic, place.partition] = place.offset + 1
        self.account.agency(published.agency).published += 1
        self.open[place] = published
        for fact in self.unread.pop(place, ()):
            self.take(fact)

    def _waits_for(self, origin: Place, fact: Decided | WasSetAside) -> bool:
        """Keep a fact about a record of the span that is not read yet."""
        first, end = self.terms.spans.get(origin.stands_on, (0, 0))
        if first <= origin.offset < end and origin.offset >= self._next.get(origin.stands_on, first):
            self.unread[origin].append(fact)
            return True
        if fact.at <= self.terms.now - self.terms.grace:
            self.newest_answered[origin.stands_on] = max(origin.offset, self.newest_answered.get(origin.stands_on, -1))
        return False

    def counts(self, origin: Place) -> bool:
        """Was what stands there published in the span?"""
        first, end = self.terms.spans.get(origin.stands_on, (0, 0))
        return first <= origin.offset < end

    def rests_on_nothing(self, decided: Decided) -> str:
        """Why there is no event that this could be a decision about; empty: there is one, or was one."""
        origin = decided.origin
        if origin.topic != f"{_PUBLISHED}{decided.agency}":
            return f"it is about {origin}, where `{decided.agency}` publishes nothing"
        if decided.agency in self.terms.hidden:  # whoever asks is told of these
            return ""
        _, end = self.terms.kept.get(origin.stands_on, (0, 0))
        return "" if 0 <= origin.offset < end else f"nothing was published at {origin}"

    def _decided(self, decided: Decided) -> None:
        if nothing := self.rests_on_nothing(decided):
            if self.in_span(decided.at):
                permits = [answer.partner for answer in decided.answers if answer.outcome is Outcome.PERMIT]
                what = f"{nothing}; permits {len(permits)} notifications"
                ids = {"id": decided.event_id, "event_id": decided.event_id, "who": decided.agency}
                self.find(Discrepancy.NO_ORIGIN, decided.place, what=what, **ids)
            return
        if self._waits_for(decided.origin, decided):
            return
        if self._seen.again(decided.agency, decided.event_id):
            self.maybe_twice.add(decided.event_id)
        published = self.open.pop(decided.origin, None)
        reason = self._set_aside.pop(decided.origin, None)
        counts = published is not None or reason is not None
        if counts:
            self._count_answers(decided)
        elif self.counts(decided.origin):
            self.again.append(decided)
            return
        elif self.in_span(decided.at) and decided.origin.stands_on in self.terms.kept:
            self.elsewhere.append(replace(decided, answers=()))
        if published is not None and decided.input_digest not in published.digests:
            what = f"was decided on other bytes than stand at {decided.origin}"
            ids = {"id": decided.event_id, "event_id": decided.event_id, "who": decided.agency}
            self.find(Discrepancy.OTHER_INPUT, decided.place, what=what, **ids)
        if reason is not None:
            self._take_back(decided.origin, reason)
        for answer in decided.answers:
            if answer.outcome is Outcome.PERMIT and answer.notification_id is not None:
                self._expect(decided, answer, answer.notification_id, counts=counts)

    def _count_answers(self, decided: Decided) -> None:
        agency = self.account.agency(topics.agency_of(decided.origin.topic))
        agency.decided += 1
        for answer in decided.answers:
            agency.permitted += answer.outcome is Outcome.PERMIT
            agency.refused += answer.outcome is Outcome.REFUSE
            agency.undecided += answer.outcome is Outcome.HOLD
        if self.told_of_nobody.pop(decided.origin, None) is not None:
            self.account.noted.decided_and_told_of_nobody += 1
        elif decided.for_a_person:
            self.to_be_seen[decided.origin] = replace(decided, answers=())

    def _take_back(self, origin: Place, reason: str) -> None:
        """It was counted as set aside, and is decided."""
        aside = self.account.agency(topics.agency_of(origin.topic)).set_aside
        aside[reason] -= 1
        if not aside[reason]:
            del aside[reason]
        self._decided_and_set_aside(origin, reason)

    def _decided_and_set_aside(self, origin: Place, reason: str) -> None:
        what = f"decided, and set aside as {reason} all the same"
        self.find(Discrepancy.DECIDED_AND_SET_ASIDE, origin, what=what, who=topics.agency_of(origin.topic))

    def _expect(self, decided: Decided, answer: Answered, notification_id: str, *, counts: bool) -> None:
        key = (answer.partner, notification_id)
        known = self.expected.get(key)
        if known is not None:
            known.digests.add(answer.digest)
            return
        self.expected[key] = Expected(
            partner=answer.partner,
            notification_id=notification_id,
            event_id=decided.event_id,
            digests={answer.digest},
            origin=decided.origin,
            decision=decided.place,
            decided_at=decided.at,
            counts=counts,
        )
        if counts:
            self.account.partner(answer.partner).permitted += 1
        for fact in self.unmatched.pop(key, ()):
            self.take(fact)

    def _was_set_aside(self, entry: WasSetAside) -> None:
        origin = entry.origin
        if self._waits_for(origin, entry) or not self.counts(origin):
            return
        if entry.reason not in REASONS:
            what = f"it is set aside for `{entry.reason}`, which is no reason of the bus"
            self.find(Discrepancy.UNREADABLE, entry.place, what=what, who=topics.agency_of(origin.topic))
            return
        if entry.reason in WITH_DECISION:
            if origin in self.open:
                self.told_of_nobody[origin] = entry
            else:
                self.account.noted.decided_and_told_of_nobody += 1
                self.to_be_seen.pop(origin, None)
        elif (published := self.open.pop(origin, None)) is not None:
            self.account.agency(published.agency).set_aside[entry.reason] += 1
            self._set_aside[origin] = entry.reason
        elif origin not in self._set_aside:
            self._decided_and_set_aside(origin, entry.reason)

    def _on_topic(self, sent: OnTopic) -> None:
        key = (sent.partner, sent.notification_id)
        expected = self.expected.get(key)
        if expected is None:
            self.unmatched[key].append(sent)
            return
        if sent.digest not in expected.digests:
            if expected.counts or self.in_span(sent.at):
                self.other_bytes(sent)
        elif expected.on_topic_at is not None:
            self.account.noted.same_notification_again += 1
        if expected.on_topic_at is None:
            expected.on_topic_at, expected.stands_at = sent.at, sent.place
        self._forget_if_finished(key, expected)

    def other_bytes(self, sent: OnTopic) -> None:
        """Name a notification that is not the one decided."""
        what = f"the notification on `{sent.place.topic}` has other bytes than were decided"
        self.find(
            Discrepancy.OTHER_BYTES,
            sent.place,
            what=what,
            id=sent.notification_id,
            event_id=sent.event_id,
            who=sent.partner,
        )

    def _handled(self, receipt: Handled) -> None:
        key = (receipt.partner, receipt.notification_id)
        self._is_parked(key, receipt)
        expected = self.expected.get(key)
        if expected is not None and expected.stage is not Stage.HANDED_OVER:
            self.sent_again.pop(key, None)  # it was not known yet that this one had not been handed over before
        elif (receipt.restored or key in self.sent_again) and receipt.by_hand and self.in_span(receipt.at):
            self.sent_again[key] = receipt.stage
        if expected is None:
            self.unmatched[key].append(receipt)
            return
        if receipt.stage is Stage.HANDED_OVER and (expected.counts or self.in_span(receipt.at)):
            self.handed_over(receipt, expected.digests, again=expected.stage is Stage.HANDED_OVER)
        if expected.stage is not Stage.HANDED_OVER and self._counts_after(expected.stage, receipt):
            expected.stage_since = expected.stage_since if expected.stage is receipt.stage else receipt.at
            expected.stage = receipt.stage
        self._forget_if_finished(key, expected)

    def _counts_after(self, stage: Stage | None, receipt: Handled) -> bool:
        """
        Does a receipt say how it stands, after one of this stage?

        What was stopped or parked stays so, unless a person sends it after all: a process that was halted, and had lost
        it to another, may still write how its own attempt went.
        """
        if stage is Stage.PARKED:
            return receipt.by_hand or receipt.stage in ENDED
        return stage is not Stage.STOPPED or receipt.by_hand

    def _is_parked(self, key: _Key, receipt: Handled) -> None:
        if receipt.stage is Stage.PARKED:
            known = self.was_parked.setdefault(key, receipt)
            if known.by_hand and not receipt.by_hand:
                self.was_parked[key] = receipt
        elif receipt.stage in ENDED and (entry := self.parked.get(key)) and receipt.at - entry.at > _TAKES_OVER_MS:
            self.went_on.add(key)

    def _where_it_went(self, receipt: Handled) -> None:
        """Was it handed over where the register sent it at that time?"""
        stood = places_at(self.terms.places.get(receipt.partner, ()), receipt.at)
        if receipt.stage is not Stage.HANDED_OVER or not self.in_span(receipt.at) or not stood:
            return
        if receipt.went_to is None or any(receipt.went_to in place.digests for place in stood):
            return
        by = f", by a process of `{receipt.written_by}`" if receipt.written_by else ""
        what = f"`{receipt.partner}` was handed this at another place than the registered one{by}"
        ids = {"id": receipt.notification_id, "event_id": receipt.event_id, "who": receipt.partner}
        self.find(Discrepancy.WENT_ELSEWHERE, receipt.place, what=what, **ids)

    def _told(self, notice: Told) -> None:
        if not self.in_span(notice.at):
            return
        partner = self.account.partner(notice.partner)
        if notice.took:
            partner.told += 1
            return
        partner.not_told += 1
        what = f"`{notice.partner}` did not take the notice that a consent has ended on which it was sent this"
        ids = {"id": notice.notification_id, "event_id": notice.event_id, "who": notice.partner}
        self.find(Discrepancy.NOT_TOLD, notice.place, what=what, **ids)

    def handed_over(self, receipt: Handled, digests: set[str | None], *, again: bool) -> None:
        """Name what was handed over and not decided; note what was handed over twice."""
        if receipt.digest not in digests:
            what = f"`{receipt.partner}` was given other bytes than were decided"
            ids = {"id": receipt.notification_id, "event_id": receipt.event_id, "who": receipt.partner}
            self.find(Discrepancy.HANDED_OVER_OTHER_BYTES, receipt.place, what=what, **ids)
        elif again and receipt.by_hand:
            self.account.noted.sent_again_by_hand += 1
        elif again:
            self.account.noted.handed_over_again += 1

    def no_longer_kept(self, expected: Expected) -> bool:
        """Can the partner's topic no longer show it?"""
        return expected.decided_at < self.terms.kept_since.get(expected.partner, 0)

    def _forget_if_finished(self, key: _Key, expected: Expected) -> None:
        if expected.stage is not Stage.HANDED_OVER:
            return
        if expected.on_topic_at is None and not self.no_longer_kept(expected):
            return
        del self.expected[key]
        if expected.counts:
            partner = self.account.partner(expected.partner)
            partner.on_topic += 1
            partner.handed_over += 1
