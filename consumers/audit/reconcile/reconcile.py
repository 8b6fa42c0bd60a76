"""
Was anything lost or doubled between these two times?

Counts every record that agencies published in a span of time, and follows each to its end: decided or set aside, what
was permitted on its partner's topic, what was on the topic handed over, waiting, held, parked or stopped. Names every
id that does not add up. Reads only; moves no offset of anyone; decodes no event and no notification.

It runs while the bus runs, so the ends of all topics are fixed first, in this order:

    1. how far workers and adapters have committed     2. receipts     3. parked.*
    4. out.*     5. quarantine     6. decisions     7. in.*

- From 2 to 7 an effect's topic is fixed before its cause's. So whatever we see has its cause among what we see: a
  notification without a decision, or a receipt without a notification, is none that we are merely too early for.
  (What is acknowledged in a transaction is seen a moment later: that moment is waited for, `settled_ends`.)
- The other way round, an effect may come after its topic was fixed: what has none *yet* would look lost. So nothing is
  called lost for being absent, but only for being absent although the bus says that it is done: the commit comes
  first of all, and a worker commits an offset only when the answer to it is acknowledged (`streams.worker.router`).
  A record before a committed offset has its answer among what we see, or it has none; one after it is waiting.
- So too for what is sent: the notifications of a record before a committed offset are on their topics, or were never
  sent. Those of one after it are in flight; when their decision is older than `grace`, they are named all the same,
  for then a worker stopped between the two and none has taken over.

The span is chosen by the time at which the broker took the published record in; what follows may lie after it. All
topics are read once, side by side in time; `matching` says what is kept meanwhile: it grows with
what is open, not with the span. Then decisions alone are read again (and, if that is not enough, those before the
span), if there is anything that one must be asked about: repeats, redone work, strangers, and whether an event that was
published outside of the span was decided before.

Every decision rests on an event: a record that stands, or stood, on the topic of the agency that it names. One that
rests on nothing permits nothing: what follows from it counts as decided by nobody.

What it cannot see: two decisions before `since`; of an event that was published again, a first decision from before
`since`, or from before the other record was published; published records that their topic no longer keeps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from safebus.consumers.audit.reconcile.balance import Account, Discrepancy
from safebus.consumers.audit.reconcile.by_hand import ByHand
from safebus.consumers.audit.reconcile.evidence import Decided, Handled, Place, Published, fact_of, key_of_decision
from safebus.consumers.audit.reconcile.judging import Questions, SecondLook, judge, questions
from safebus.consumers.audit.reconcile.matching import Matching, Terms
from safebus.consumers.audit.reconcile.places import Stood
from safebus.consumers.audit.reconcile.side_by_side import CLOCKS_APART, Ends, ends, side_by_side
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition
from safebus.schemas.kafka.reader import Reader, read_topic
from safebus.schemas.keys import DigestKey


@dataclass(frozen=True)
class Asked:
    """
    What to count.

    Attributes:
        since, until: When the broker took the published record in, UTC; `until` is not included.
        grace: How long a notification may take after its decision.
        group: The workers' consumer group.
        places: Partner -> where the register sends or sent its notifications, with the times.
        by_hand: What persons put on record before they sent it again; None: that is not compared.
        registered: Whoever is in the register: a topic of theirs that is not seen may be hidden from us.
    """

    since: datetime
    until: datetime
    grace: timedelta
    group: str
    registered: frozenset[str] = frozenset()
    places: Mapping[str, Sequence[Stood]] = field(default_factory=dict)
    by_hand: ByHand | None = None


async def reconcile(
    connection: Connection,
    asked: Asked,
    *,
    key: DigestKey,
    clock: Callable[[], datetime],
    progress: Callable[[int], None],
) -> Account:
    """
    Count, and name what does not add up.

    Args:
        key: Only to digest bytes as decisions do.
        progress: Called with how many records were read since the last call.

    Raises:
        NotReachable: The broker does not answer, or a topic cannot be read.
    """
    fixed = await ends(connection, group=asked.group, since=asked.since, until=asked.until, clock=clock)
    matched = Matching(_terms(asked, fixed))
    _say_what_is_gone(matched, fixed)
    read = 0
    async for record in side_by_side(connection, fixed.spans | fixed.others):
        ours = not record.topic.startswith("in.")
        if not (ours and record.timestamp < fixed.from_time):
            place = Place(record.topic, record.partition, record.offset)
            fact = fact_of(place, record.timestamp, record.value, record.headers, key=key)
            matched.take(fact)
            if asked.by_hand is not None and isinstance(fact, Handled):
                _compare(matched, fact, asked.by_hand)
        read += 1
        if read % 1000 == 0:
            progress(1000)
    return judge(matched, await _second_look(connection, fixed, matched, key))


def _terms(asked: Asked, fixed: Ends) -> Terms:
    return Terms(
        since=int(asked.since.timestamp() * 1000),
        until=int(asked.until.timestamp() * 1000),
        now=fixed.now,
        grace=int(asked.grace.total_seconds() * 1000),
        spans=fixed.spans,
        kept=fixed.kept,
        hidden=asked.registered - {topics.agency_of(partition.topic) for partition in fixed.kept},
        committed=fixed.committed,
        delivered=fixed.delivered,
        kept_since=fixed.kept_since,
        aside_since=fixed.aside_since,
        places=asked.places,
    )


def _say_what_is_gone(matched: Matching, fixed: Ends) -> None:
    for (topic, number), begin in sorted(fixed.cut.items()):
        what = f"`{topic}` is kept for ever, and partition {number} begins at offset {begin}: what was before is gone"
        matched.find(Discrepancy.CUT, Place(topic, number, begin), what=what)
    for (topic, number), end in sorted(fixed.taken_back.items()):
        what = f"more of `{topic}`/{number} was dealt with than is there: the newest are gone, or it was made again"
        matched.find(Discrepancy.CUT, Place(topic, number, end), what=what)
    for (topic, number), since in sorted(fixed.events_kept_since.items()):
        if since > matched.terms.since:
            matched.account.noted.events_kept_since[f"{topic}/{number}"] = since


def _compare(matched: Matching, receipt: Handled, by_hand: ByHand) -> None:
    """What a person sent is on record as that."""
    if receipt.by_hand and matched.in_span(receipt.at) and not by_hand.tells_of(receipt):
        by = f" by a process of `{receipt.written_by}`" if receipt.written_by else ""
        what = f"sent to `{receipt.partner}` by hand{by}, and no operation says so"
        ids = {"id": receipt.notification_id, "event_id": receipt.event_id, "who": receipt.partner}
        matched.find(Discrepancy.NOT_ON_RECORD, receipt.place, what=what, **ids)


async def _second_look(connection: Connection, fixed: Ends, matched: Matching, key: DigestKey) -> SecondLook:
    asked, found = questions(matched), SecondLook()
    if not asked:
        return found
    found.origins = await _published_at(connection, [decided.origin for decided in matched.elsewhere], key)

    async def look(wanted: Questions, *, before: bool, since: datetime | None = None) -> None:
        starts, stops = fixed.decisions(before=before)
        read = read_topic(connection, topics.DECISIONS, partitions=stops, since=since, starts=starts, ends=stops)
        async for record in read:
            try:
                if not wanted.ask_for(*key_of_decision(record.value or b"")):
                    continue
            except ValueError:
                continue
            place = Place(record.topic, record.partition, record.offset)
            fact = fact_of(place, record.timestamp, record.value, record.headers, key=key)
            if isinstance(fact, Decided) and not matched.rests_on_nothing(fact):
                found.take(fact)

    await look(asked, before=False)
    if asked.before:
        await look(asked, before=True)
    elif asked.earlier:
        await look(asked, before=True, since=_since_published(matched, found))
    if left := found.open(asked):
        await look(left, before=True)
    return found


async def _published_at(connection: Connection, origins: Iterable[Place], key: DigestKey) -> dict[Place, Published]:
    """What stands there; what is kept no longer is left out."""
    wanted: dict[Partition, set[int]] = defaultdict(set)
    for origin in origins:
        wanted[origin.stands_on].add(origin.offset)
    found: dict[Place, Published] = {}
    if wanted:
        async with Reader(connection, partitions=wanted, committed=False) as reader:
            for partition, offsets in wanted.items():
                for offset, record in (await reader.at(partition, offsets)).items():
                    place = Place(*partition, offset)
                    fact = fact_of(place, record.timestamp, record.value, record.headers, key=key)
                    assert isinstance(fact, Published)  # as everything on a topic of an agency is
                    found[place] = fact
    return found


def _since_published(matched: Matching, found: SecondLook) -> datetime | None:
    """No decision about these was made before; None: the time of one is not known any more."""
    if any(decided.origin not in found.origins for decided in matched.elsewhere):
        return None
    first = min(origin.at for origin in found.origins.values())
    return datetime.fromtimestamp(first / 1000, UTC) - CLOCKS_APART
