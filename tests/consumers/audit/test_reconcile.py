"""Counting end to end, with plain facts: what adds up, what is under way, and what each hole is called."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from a_pieces import in_blocks_of
from random_events import an_event

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.audit.reconcile.balance import (
    TO_DO,
    Account,
    AgencyCount,
    Discrepancy,
    Finding,
    Noted,
    PartnerCount,
)
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
    Unreadable,
    WasSetAside,
    fact_of,
    key_of_decision,
)
from safebus.consumers.audit.reconcile.judging import Questions, SecondLook, judge, questions
from safebus.consumers.audit.reconcile.matching import Matching, Terms
from safebus.consumers.audit.reconcile.places import Stood
from safebus.consumers.delivery import stages
from safebus.schemas import codec
from safebus.schemas.bus_records import Notification, Outcome, Quarantined, Receipt, Stage
from safebus.schemas.gate import Damaged, GateReason
from safebus.schemas.keys import PersonKey

HOUR = 3_600_000
NOON = 500_000 * HOUR
EVENT = "00000000-0000-4000-8000-000000000001"
IN = ("in.police", 0)
TERMS = Terms(
    since=NOON,
    until=NOON + HOUR,
    now=NOON + HOUR,
    grace=60_000,
    spans={IN: (10, 20)},
    kept={IN: (1, 25)},
    committed={IN: 20},
    kept_since={},
)


def published(n: int = 0, **changes: Any) -> Published:
    return replace(Published(Place("in.police", 0, 10 + n), NOON + n, (f"input-{n}",), EVENT), **changes)


def decided(n: int = 0, **changes: Any) -> Decided:
    """What was decided about `published(n)`: the school may have a notification, the GP may not."""
    answers = (
        Answered("school", Outcome.PERMIT, f"note-{n}", f"view-{n}"),
        Answered("gp", Outcome.REFUSE, None, None),
    )
    event_id = EVENT if n == 0 else f"event-{n}"
    fact = Decided(
        place=Place("decisions", 0, 100 + n),
        at=NOON + n,
        event_id=event_id,
        agency="police",
        origin=Place("in.police", 0, 10 + n),
        input_digest=f"input-{n}",
        digest=f"record-{n}",
        answers=answers,
    )
    return replace(fact, **changes)


def on_topic(n: int = 0, **changes: Any) -> OnTopic:
    place = Place("out.school", 3, 200 + n)
    return replace(OnTopic(place, NOON + n, "school", f"note-{n}", decided(n).event_id, f"view-{n}"), **changes)


def receipt(stage: Stage = Stage.HANDED_OVER, n: int = 0, **changes: Any) -> Handled:
    place = Place("receipts.school", 1, 300 + n)
    fact = Handled(place, NOON + n, "school", f"note-{n}", decided(n).event_id, stage, f"view-{n}")
    return replace(fact, **changes)


def parked(n: int = 0, **changes: Any) -> IsParked:
    """What is parked, where a person looks."""
    place = Place("parked.school", 1, 500 + n)
    return replace(IsParked(place, NOON + n, "school", f"note-{n}", decided(n).event_id, f"view-{n}"), **changes)


def aside(reason: str = "NOT_CANONICAL", n: int = 0) -> WasSetAside:
    return WasSetAside(Place("quarantine", 2, 400 + n), NOON + n, Place("in.police", 0, 10 + n), reason)


def whole(n: int = 0) -> list[Fact]:
    """One event, from the agency to the school."""
    return [published(n), decided(n), on_topic(n), receipt(n=n)]


def account(
    facts: Iterable[Fact],
    terms: Terms = TERMS,
    *,
    before: Iterable[Decided] = (),
    published_before: Iterable[Published] = (),
) -> Account:
    """
    As `reconcile` does it: everything once, then the decisions that were asked for. `before` is older than that, and so
    is what was published before the span.
    """
    facts = list(facts)
    matched = Matching(terms)
    for fact in facts:
        matched.take(fact)
    asked, found = questions(matched), SecondLook({p.place: p for p in published_before})
    for decision in [f for f in facts if isinstance(f, Decided)] + list(before):
        wanted = asked.ask_for(decision.event_id, decision.agency, decision.input_digest)
        if wanted and not matched.rests_on_nothing(decision):
            found.take(decision)
    return judge(matched, found)


def named(found: Account) -> list[tuple[Discrepancy, str]]:
    return [(f.code, f.id) for f in found.findings]


SCHOOL = PartnerCount(permitted=1, on_topic=1, handed_over=1)
POLICE = AgencyCount(published=1, decided=1, permitted=1, refused=1)


def test_an_event_that_went_all_the_way_adds_up_and_is_forgotten() -> None:
    matched = Matching(TERMS)
    for fact in whole():
        matched.take(fact)
    kept = (matched.open, matched.expected, dict(matched.unmatched), dict(matched.unread), matched.again)
    found = account(whole())

    assert kept == ({}, {}, {}, {}, [])
    assert found == Account({"police": POLICE}, {"school": SCHOOL}, Noted(), [])
    assert found.adds_up()


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_reading_changes_no_count(seed: int) -> None:
    """Topics are read side by side, but never exactly in step."""
    facts = [f for n in range(4) for f in whole(n)] + [
        published(5),
        aside("EMPTY", 5),
        published(6, digests=("input-2",)),
    ]
    shuffled = random.Random(seed).sample(facts, len(facts))
    in_order = iter(f for f in facts if isinstance(f, Published))  # within a partition the broker keeps it
    shuffled = [next(in_order) if isinstance(f, Published) else f for f in shuffled]

    assert account(shuffled) == account(facts)
    assert account(facts).adds_up()


def test_what_was_set_aside_is_counted_by_reason() -> None:
    found = account(
        [published(0), aside("EMPTY", 0), published(1), aside("EMPTY", 1), published(2), aside("BAD_KEY", 2)]
    )

    assert found.agencies == {"police": AgencyCount(published=3, set_aside=Counter(EMPTY=2, BAD_KEY=1))}
    assert found.adds_up()


def test_what_no_worker_came_to_waits() -> None:
    found = account([*whole(), published(1), published(2)], replace(TERMS, committed={IN: 11}))

    assert found.agencies["police"] == replace(POLICE, published=3, waiting=2)
    assert found.noted.oldest_waiting_at == NOON + 1
    assert found.adds_up()


def test_what_a_worker_went_past_without_an_answer_is_lost() -> None:
    found = account([*whole(1), published(0)])

    assert found.findings == [
        Finding(
            Discrepancy.LOST,
            EVENT,
            EVENT,
            "police",
            "in.police/0/10",
            "the worker went past it; not decided, not set aside",
        )
    ]
    assert found.agencies["police"] == replace(POLICE, published=2, lost=1)
    assert found.agencies["police"].adds_up()


def test_lost_without_a_usable_id_is_named_by_its_place() -> None:
    assert named(account([published(0, event_id=None)])) == [(Discrepancy.LOST, "in.police/0/10")]


def test_where_no_commit_is_known_an_old_answer_for_a_later_record_shows_the_loss() -> None:
    facts = [published(0), *whole(1)]
    unknown = replace(TERMS, committed={})
    young = replace(unknown, now=NOON + 30_000)

    assert named(account(facts, unknown)) == [(Discrepancy.LOST, EVENT)]
    assert named(account(facts, young)) == []
    assert account(facts, young).agencies["police"].waiting == 1


def test_a_commit_that_has_not_come_by_is_believed_over_later_answers() -> None:
    """A worker that was killed between decision and quarantine redoes both: nothing is lost yet."""
    found = account([published(0), *whole(1)], replace(TERMS, committed={IN: 10}))

    assert (named(found), found.agencies["police"].waiting) == ([], 1)


def test_the_same_bytes_again_are_a_repeat() -> None:
    found = account([*whole(), published(1, digests=("input-0",)), published(2, digests=("input-0",))])

    assert found.agencies["police"] == replace(POLICE, published=3, repeats=2)
    assert found.adds_up()


def test_a_repeat_of_what_was_decided_before_the_span_is_found() -> None:
    before = decided(origin=Place("in.police", 0, 2))

    assert account([published()], before=[before]).agencies["police"] == AgencyCount(published=1, repeats=1)


def test_the_same_bytes_from_another_agency_are_no_repeat() -> None:
    before = decided(origin=Place("in.housing", 0, 2), agency="housing")
    terms = replace(TERMS, kept={**TERMS.kept, ("in.housing", 0): (0, 5)})

    assert named(account([published()], terms, before=[before])) == [(Discrepancy.LOST, EVENT)]


def test_a_decision_that_was_written_twice_alike_is_only_noted() -> None:
    found = account([*whole(), decided(place=Place("decisions", 0, 150))])

    assert (found.findings, found.noted) == ([], Noted(same_decision_again=1))


def test_two_decisions_about_one_event_are_named() -> None:
    other = decided(place=Place("decisions", 0, 150), digest="record-x", at=NOON + 9)
    found = account([*whole(), other])

    assert found.findings == [
        Finding(
            Discrepancy.TWO_DECISIONS,
            EVENT,
            EVENT,
            "police",
            "decisions/0/150",
            "decided differently at decisions/0/100, decisions/0/150",
        )
    ]
    assert (found.agencies, found.partners) == ({"police": POLICE}, {"school": SCHOOL})


def test_a_repeat_that_was_decided_as_well_is_two_decisions() -> None:
    again = decided(
        place=Place("decisions", 0, 150),
        origin=Place("in.police", 0, 11),
        digest="record-x",
        answers=(Answered("school", Outcome.PERMIT, "note-0", "view-x"),),
    )
    sent = [on_topic(digest="view-x"), parked(digest="view-x"), receipt(Stage.PARKED, digest="view-x")]
    found = account([*whole(), published(1, digests=("input-0",)), again, *sent])

    assert named(found) == [(Discrepancy.TWO_DECISIONS, EVENT)]
    assert found.partners == {"school": PartnerCount(permitted=2, on_topic=2, handed_over=1, parked=1)}


def test_of_two_decisions_either_notification_is_the_one_decided() -> None:
    """Which of them was carried out is not this command's to say; both were decided."""
    again = decided(
        place=Place("decisions", 0, 150),
        origin=Place("in.police", 0, 11),
        digest="record-x",
        answers=(Answered("school", Outcome.PERMIT, "note-0", "view-x"),),
    )
    found = account([published(), decided(), published(1, digests=("input-0",)), again, on_topic(digest="view-x")])

    assert named(found) == [(Discrepancy.TWO_DECISIONS, EVENT)]


def test_two_decisions_before_the_span_are_not_named() -> None:
    first = decided(5, origin=Place("in.police", 0, 2), at=NOON - 2)
    second = replace(first, place=Place("decisions", 0, 160), digest="record-x", at=NOON - 1)

    assert named(account([*whole(), first, second])) == []


def test_one_id_used_by_two_agencies_is_two_events() -> None:
    theirs = decided(1, agency="housing", event_id=EVENT, origin=Place("in.housing", 0, 10))
    both = {IN: (10, 20), ("in.housing", 0): (10, 20)}
    terms = replace(TERMS, spans=both, kept=both)
    mine = [published(), decided(), on_topic(), receipt()]
    other = [published(place=Place("in.housing", 0, 10), digests=("input-1",)), theirs]

    assert named(account([*mine, *other, on_topic(1, event_id=EVENT), receipt(n=1, event_id=EVENT)], terms)) == []


def test_a_decision_from_an_origin_that_has_another_event_is_named() -> None:
    assert named(account([*whole(), decided(event_id="stray", digest="x")])) == [(Discrepancy.TWO_DECISIONS, "stray")]


def test_its_own_copy_does_not_make_a_second_decision_right() -> None:
    stray = decided(event_id="stray", digest="x", place=Place("decisions", 0, 150))
    copy = replace(stray, place=Place("decisions", 0, 151))

    assert set(named(account([*whole(), stray, copy]))) == {(Discrepancy.TWO_DECISIONS, "stray")}


def test_what_no_worker_came_to_for_days_is_overdue() -> None:
    """Whoever holds a partition's offset back hides an event so, while those after it are decided."""
    terms = replace(TERMS, committed={IN: 10}, now=NOON + 73 * HOUR)

    assert named(account([published(), *whole(1)], terms)) == [(Discrepancy.OVERDUE, EVENT)]


@pytest.mark.parametrize("reason", ["", "TESTED", "empty"])
def test_what_was_set_aside_for_no_reason_of_the_bus_is_not(reason: str) -> None:
    found = account([published(), aside(reason)])

    assert [(f.code, f.where) for f in found.findings] == [
        (Discrepancy.LOST, "in.police/0/10"),
        (Discrepancy.UNREADABLE, "quarantine/2/400"),
    ]


def test_a_decision_about_other_bytes_than_stand_there_is_named() -> None:
    facts = [published(), decided(input_digest="x"), on_topic(), receipt()]

    assert named(account(facts)) == [(Discrepancy.OTHER_INPUT, EVENT)]


def test_a_decision_about_nothing_is_named() -> None:
    assert named(account([*whole(), decided(7)])) == [(Discrepancy.OTHER_INPUT, "event-7")]


@pytest.mark.parametrize(
    ("origin", "what"),
    [
        (Place("in.housing", 0, 12), "it is about in.housing/0/12, where `police` publishes nothing"),
        (Place("decisions", 0, 1), "it is about decisions/0/1, where `police` publishes nothing"),
        (Place("in.police", 7, 1), "nothing was published at in.police/7/1"),
        (Place("in.police", 0, 25), "nothing was published at in.police/0/25"),
        (Place("in.police", 0, -1), "nothing was published at in.police/0/-1"),
    ],
)
def test_a_decision_that_rests_on_no_event_is_named_first_and_permits_nothing(origin: Place, what: str) -> None:
    """Whoever can write as a worker does could otherwise have anything delivered, and the count would add up."""
    terms = replace(
        TERMS, spans={**TERMS.spans, ("in.housing", 0): (10, 20)}, kept={**TERMS.kept, ("in.housing", 0): (0, 20)}
    )
    facts = [*whole(), decided(3, origin=origin), on_topic(3), receipt(n=3)]
    for found in (account(facts, terms), account(reversed(facts), terms)):
        assert named(found) == [(Discrepancy.NO_ORIGIN, "event-3"), (Discrepancy.UNEXPECTED, "note-3")]
        assert (found.findings[0].what, found.findings[0].who) == (f"{what}; permits 1 notifications", "police")
        assert (found.agencies, found.partners) == ({"police": POLICE}, {"school": SCHOOL})


def test_one_about_a_topic_that_we_may_not_see_is_not_accused() -> None:
    terms = replace(TERMS, hidden={"housing"})
    theirs, of_none = (
        decided(n, agency=who, origin=Place(f"in.{who}", 0, 3)) for n, who in ((3, "housing"), (4, "none"))
    )

    assert named(account([*whole(), theirs, on_topic(3), receipt(n=3)], terms)) == []
    assert named(account([*whole(), of_none], terms)) == [(Discrepancy.NO_ORIGIN, "event-4")]


def test_one_from_before_the_span_is_another_spans_to_name() -> None:
    assert named(account([*whole(), decided(3, at=NOON - 1, origin=Place("in.police", 0, 99))])) == []


OLD = published(3, place=Place("in.police", 0, 4), at=NOON - HOUR)


def about_old(**changes: Any) -> Decided:
    return decided(3, origin=OLD.place, **changes)


def test_an_event_from_before_the_span_is_decided_once_and_on_its_own_bytes() -> None:
    """A worker that was behind decides later; whoever forges a decision can choose an old event, too."""
    late = [*whole(), about_old(), on_topic(3), receipt(n=3)]
    by_then = [about_old(place=Place("decisions", 0, 9), at=NOON - 9, digest="then")]
    as_another = [replace(by_then[0], event_id="another")]
    other = replace(OLD, digests=("other",))

    assert account(late, published_before=[OLD]) == account(whole())
    assert named(account(late, published_before=[OLD], before=by_then)) == [(Discrepancy.TWO_DECISIONS, "event-3")]
    assert named(account(late, published_before=[OLD], before=as_another)) == [(Discrepancy.TWO_DECISIONS, "event-3")]
    assert named(account(late, published_before=[other])) == [(Discrepancy.OTHER_INPUT, "event-3")]


def test_an_event_that_is_kept_no_longer_cannot_be_looked_at_and_that_is_noted() -> None:
    found = account([*whole(), decided(3, origin=Place("in.police", 0, 0))])

    assert (found.findings, found.noted) == ([], Noted(event_no_longer_kept=1))


@pytest.mark.parametrize("reason", ["NO_RECIPIENT", "FOR_A_PERSON", "REDO_DIFFERS"])
def test_told_of_nobody_goes_with_a_decision(reason: str) -> None:
    for facts in ([*whole(), aside(reason)], [published(), aside(reason), decided(), on_topic(), receipt()]):
        assert account(facts) == Account(
            {"police": POLICE}, {"school": SCHOOL}, Noted(decided_and_told_of_nobody=1), []
        )


def test_told_of_nobody_without_a_decision_is_lost() -> None:
    [finding] = account([published(), aside("NO_RECIPIENT")]).findings

    assert (finding.code, finding.what) == (
        Discrepancy.LOST,
        "the worker went past it; not decided, only set aside as NO_RECIPIENT",
    )


def test_decided_and_set_aside_for_another_reason_is_named() -> None:
    what = "decided, and set aside as ID_REUSED all the same"
    finding = Finding(Discrepancy.DECIDED_AND_SET_ASIDE, "in.police/0/10", "", "police", "in.police/0/10", what)
    last = [published(), aside("ID_REUSED"), decided(), on_topic(), receipt()]
    for facts in ([*whole(), aside("ID_REUSED")], [*whole(), aside("ID_REUSED"), aside("ID_REUSED")], last):
        found = account(facts)

        assert found == Account({"police": POLICE}, {"school": SCHOOL}, Noted(), [finding])
        assert dict(found.agencies["police"].set_aside) == {}


def test_set_aside_again_by_a_redo_is_once() -> None:
    found = account([published(), aside("EMPTY"), aside("EMPTY")])

    assert (found.agencies["police"].set_aside, found.findings) == (Counter(EMPTY=1), [])


def test_permitted_and_not_on_the_topic_is_not_sent_once_the_grace_is_over() -> None:
    facts, under_way = [published(), decided()], replace(TERMS, committed={IN: 10})
    late, young = account(facts, under_way), account(facts, replace(under_way, now=NOON + 59_000))

    assert late.findings == [
        Finding(
            Discrepancy.NOT_SENT, "note-0", EVENT, "school", "decisions/0/100", "permitted, but not on `out.school`"
        )
    ]
    assert late.partners == {"school": PartnerCount(permitted=1, not_sent=1)}
    assert (young.findings, young.partners) == ([], {"school": PartnerCount(permitted=1, in_flight=1)})


def test_no_grace_is_given_to_what_a_worker_says_it_has_finished() -> None:
    found = account([published(), decided()], replace(TERMS, now=NOON + 10))

    assert named(found) == [(Discrepancy.NOT_SENT, "note-0")]


def test_a_notification_that_no_decision_permits_is_unexpected() -> None:
    found = account([*whole(), on_topic(notification_id="stray"), on_topic(3), receipt(n=3)])

    assert named(found) == [(Discrepancy.UNEXPECTED, "note-3"), (Discrepancy.UNEXPECTED, "stray")]
    assert found.partners == {"school": SCHOOL}


def test_a_notification_on_another_partners_topic_is_unexpected() -> None:
    astray = on_topic(place=Place("out.gp", 0, 1), partner="gp")

    assert account([*whole(), astray]).findings == [
        Finding(Discrepancy.UNEXPECTED, "note-0", EVENT, "gp", "out.gp/0/1", "no decision lets `gp` have this")
    ]


def test_what_was_permitted_before_the_span_is_expected() -> None:
    earlier = decided(1, origin=Place("in.police", 0, 2))
    found = account([*whole(), on_topic(1), receipt(n=1)], before=[earlier])

    assert (named(found), found.partners) == ([], {"school": SCHOOL})


@pytest.mark.parametrize("late", [False, True])
def test_a_notification_with_other_bytes_than_decided_is_named(late: bool) -> None:
    """As the only one, and as a second one after the first was handed over and forgotten."""
    changed = on_topic(digest="x", place=Place("out.school", 3, 250))
    facts = [*whole(), changed] if late else [published(), decided(), changed, receipt()]

    assert account(facts).findings == [
        Finding(
            Discrepancy.OTHER_BYTES,
            "note-0",
            EVENT,
            "school",
            "out.school/3/250",
            "the notification on `out.school` has other bytes than were decided",
        )
    ]


def test_the_same_notification_again_is_only_noted() -> None:
    assert account([*whole(), on_topic()]).noted == Noted(same_notification_again=1)
    assert account([published(), decided(), on_topic(), on_topic()]).noted == Noted(same_notification_again=1)


def test_handed_over_twice_alike_is_noted_and_under_other_bytes_named() -> None:
    alike, other = account([*whole(), receipt()]), account([*whole(), receipt(digest="x")])

    assert (alike.findings, alike.noted) == ([], Noted(handed_over_again=1))
    assert named(other) == [(Discrepancy.HANDED_OVER_OTHER_BYTES, "note-0")]


def test_what_a_person_sent_again_to_a_partner_that_had_lost_it_is_no_work_that_was_redone() -> None:
    again = replace(receipt(), by_hand=True, restored=True)

    assert account([*whole(), again, receipt()]).noted == Noted(handed_over_again=1, sent_again_by_hand=1)


MINUTE = 60_000
OLD_PLACE = Stood(0, NOON + 10 * MINUTE, frozenset({"old", "old2"}))
NEW_PLACE = Stood(NOON + 10 * MINUTE, None, frozenset({"new"}))


@pytest.mark.parametrize(
    ("went_to", "at", "named_so"),
    [
        ("old", 0, False),
        ("old2", 0, False),  # under another generation of the key
        ("new", 0, True),  # it was registered ten minutes later
        ("new", 6, False),  # a moment before: clocks differ
        ("old", 14, False),  # a moment after: it had begun
        ("old", 16, True),  # and then whoever delivers had to know
        ("new", 16, False),
        (None, 16, False),  # recorded before receipts said it
    ],
)
def test_what_was_handed_over_elsewhere_than_the_register_said_then_is_named(
    went_to: str | None, at: int, named_so: bool
) -> None:
    terms = replace(TERMS, places={"school": [OLD_PLACE, NEW_PLACE], "other": []})
    handed = receipt(went_to=went_to, at=NOON + at * MINUTE, written_by="mallory")
    found = account([published(), decided(), on_topic(), handed], terms)

    assert named(found) == ([(Discrepancy.WENT_ELSEWHERE, "note-0")] if named_so else [])
    where = "at another place than the registered one, by a process of `mallory`"
    assert all(each.what.endswith(where) for each in found.findings)


def test_what_was_not_handed_over_went_nowhere_and_an_unregistered_place_is_no_other_place() -> None:
    """Nor is one that was registered once, and is not any more."""
    elsewhere = receipt(went_to="x", at=NOON + 16 * MINUTE)
    waits = replace(elsewhere, stage=Stage.WAITING)
    facts = [published(), decided(), on_topic()]

    assert named(account([*facts, waits], replace(TERMS, places={"school": [OLD_PLACE, NEW_PLACE]}))) == []
    for places in ({}, {"school": [OLD_PLACE]}, {"other": [OLD_PLACE, NEW_PLACE]}):
        assert named(account([*facts, elsewhere], replace(TERMS, places=places))) == []


def test_what_a_receipt_of_nobody_was_handed_over_elsewhere_is_named_for_both() -> None:
    found = account([*whole(), receipt(n=2, went_to="x")], replace(TERMS, places={"school": [OLD_PLACE]}))

    assert named(found) == [(Discrepancy.WENT_ELSEWHERE, "note-2"), (Discrepancy.UNKNOWN_RECEIPT, "note-2")]


def test_a_receipt_about_an_unknown_notification_is_named() -> None:
    found = account([*whole(), receipt(Stage.PARKED, n=2)])

    assert named(found) == [(Discrepancy.UNKNOWN_RECEIPT, "note-2")]


def test_each_delivery_is_counted_where_it_stands() -> None:
    stages = (Stage.HANDED_OVER, Stage.WAITING, Stage.HELD, Stage.PARKED, Stage.STOPPED)
    facts = [f for n, stage in enumerate(stages) for f in (published(n), decided(n), on_topic(n), receipt(stage, n))]
    found = account([*facts, parked(3), published(6), decided(6), on_topic(6)])

    assert found.partners == {
        "school": PartnerCount(
            permitted=6, on_topic=6, handed_over=1, waiting=1, held=1, parked=1, stopped=1, no_receipt=1
        )
    }
    assert found.adds_up()


def test_the_last_stage_counts() -> None:
    facts = [published(), decided(), on_topic(), receipt(Stage.WAITING), receipt(Stage.PARKED), receipt()]

    assert account(facts).partners == {"school": SCHOOL}


def test_what_was_stopped_stays_so_unless_a_person_sends_it_after_all() -> None:
    stopped = [published(), decided(), on_topic(), receipt(Stage.STOPPED)]
    late = account([*stopped, receipt(Stage.WAITING)])
    sent = account([*stopped, receipt(by_hand=True)])
    parked = account([*stopped, receipt(Stage.PARKED, by_hand=True)])
    no_longer_kept = replace(TERMS, kept_since={"school": NOON + HOUR})
    gone = account([published(), decided(), receipt(Stage.STOPPED)], no_longer_kept)

    assert [(a.partners["school"].stopped, a.partners["school"].handed_over) for a in (late, sent, parked, gone)] == [
        (1, 0),
        (0, 1),
        (0, 0),
        (1, 0),
    ]
    assert parked.partners["school"].parked == 1
    assert [named(each) for each in (late, sent, parked, gone)] == [[]] * 4


def test_what_a_person_sent_again_and_was_not_taken_is_said_beside_what_was_handed_over() -> None:
    """Lists say that three are parked, and the sum that all were handed over: both are true."""
    lost, mine = receipt(Stage.PARKED, by_hand=True, restored=True), [published(), decided(), on_topic()]
    first_parked = [receipt(Stage.PARKED), lost, receipt(by_hand=True)]
    facts = {
        "not taken": [*whole(), lost],
        "receipts first": [receipt(), lost, *mine],
        "topic last": [published(), decided(), receipt(), lost, on_topic()],
        "taken at last": [*whole(), lost, receipt(by_hand=True)],
        "parked, then taken": [*mine, *first_parked],
        "parked, then taken, receipts first": [*first_parked, *mine],
        "by itself": [*whole(), receipt(Stage.PARKED)],
        "not because it had lost it": [*whole(), receipt(Stage.PARKED, by_hand=True)],
        "of another day": [*whole(), replace(lost, at=NOON + 2 * HOUR)],
    }

    assert {how: account(each).noted.sent_again_not_taken for how, each in facts.items()} == dict.fromkeys(facts, 0) | {
        "not taken": 1,
        "receipts first": 1,
        "topic last": 1,
    }


def test_what_a_person_sent_is_no_repeat_where_its_first_attempts_lie_before_the_span() -> None:
    """Yesterday's alerts that a suspension had stopped were handed over today, for the first time."""
    before, hour = decided(at=NOON - HOUR), NOON + 60_000
    of_today = [receipt(by_hand=True, at=hour), receipt(by_hand=True, restored=True, at=hour)]
    sent, restored = (account([fact], before=[before]).noted for fact in of_today)

    assert (sent.sent_again_by_hand, sent.handed_over_again) == (0, 0)
    assert (restored.sent_again_by_hand, restored.handed_over_again) == (1, 0)


def test_what_was_handed_over_stays_so() -> None:
    """An adapter parks a second notification of the same id with other bytes; the first is at the partner."""
    second = [parked(digest="x"), receipt(Stage.PARKED, digest="x")]
    early = [published(), decided(), receipt(), *second, on_topic()]

    for facts in (early, [*whole(), *second]):
        found = account(facts)
        assert (found.agencies, found.partners) == ({"police": POLICE}, {"school": SCHOOL})
        # Nobody decided these bytes, and a redrive would hand them over.
        assert named(found) == [(Discrepancy.OTHER_BYTES, "note-0")]


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.HELD, None])
def test_what_is_neither_handed_over_nor_parked_after_72_hours_is_overdue(stage: Stage | None) -> None:
    tries = [receipt(stage, at=NOON + 5), receipt(stage, at=NOON + HOUR)] if stage else []
    facts = [published(), decided(), on_topic(at=NOON + 5), *tries]
    at_72 = NOON + 5 + int(timedelta(hours=72).total_seconds() * 1000)

    assert named(account(facts, replace(TERMS, now=at_72))) == []
    assert named(account(facts, replace(TERMS, now=at_72 + 1))) == [(Discrepancy.OVERDUE, "note-0")]


def test_the_72_hours_begin_again_when_a_hold_ends() -> None:
    later = NOON + 100 * HOUR
    facts = [published(), decided(), on_topic(), receipt(Stage.HELD), receipt(Stage.WAITING, at=later)]

    assert named(account(facts, replace(TERMS, now=later + HOUR))) == []


def test_what_the_topic_no_longer_keeps_counts_if_a_receipt_shows_it() -> None:
    gone = replace(TERMS, kept_since={"school": NOON + 10})
    found = account([published(), decided(), receipt()], gone)

    assert (found.partners, found.findings) == ({"school": SCHOOL}, [])


def test_what_is_parked_is_not_gone_with_its_topic() -> None:
    gone = replace(TERMS, kept_since={"school": NOON + 10})
    found = account([published(), decided(), parked(), receipt(Stage.PARKED)], gone)

    assert (found.partners, found.findings) == ({"school": PartnerCount(permitted=1, on_topic=1, parked=1)}, [])


@pytest.mark.parametrize("tried", [[], [receipt(Stage.WAITING)]])
def test_what_the_topic_no_longer_keeps_and_nobody_got_is_named(tried: list[Fact]) -> None:
    gone = replace(TERMS, kept_since={"school": NOON + 10})
    found = account([published(), decided(), *tried], gone)

    assert (named(found), found.partners) == (
        [(Discrepancy.EXPIRED, "note-0")],
        {"school": PartnerCount(permitted=1, expired=1)},
    )


def test_what_lies_outside_the_span_is_not_counted_and_not_named() -> None:
    earlier, later = decided(1, origin=Place("in.police", 0, 3)), decided(2, origin=Place("in.police", 0, 22))
    around = [published(n, place=each.origin) for n, each in ((1, earlier), (2, later))]
    stray = on_topic(7, at=NOON + 2 * HOUR)
    facts = [*whole(), earlier, on_topic(1), receipt(n=1), later, stray, Unreadable(stray.place, stray.at)]
    found = account(facts, published_before=around)

    assert found == Account({"police": POLICE}, {"school": SCHOOL}, Noted(), [])


def test_notices_that_a_consent_has_ended_are_counted_and_one_that_was_refused_is_named() -> None:
    told = Told(Place("receipts.school", 0, 1), NOON, "school", "note-0", EVENT, took=True)
    refused = replace(told, place=Place("receipts.school", 0, 2), took=False)
    before = replace(refused, at=NOON - 1)
    found = account([*whole(), told, told, refused, before])

    assert found.partners == {"school": replace(SCHOOL, told=2, not_told=1)}
    assert [(f.code, f.id, f.who, f.where) for f in found.findings] == [
        (Discrepancy.NOT_TOLD, "note-0", "school", "receipts.school/0/2")
    ]


def test_a_record_that_the_bus_did_not_write_is_named() -> None:
    place = Place("out.school", 0, 1)

    assert named(account([*whole(), Unreadable(place, NOON)])) == [(Discrepancy.UNREADABLE, "out.school/0/1")]


def test_every_code_says_what_to_do() -> None:
    assert set(TO_DO) == set(Discrepancy)


def test_a_sum_that_is_off_does_not_add_up() -> None:
    assert Account(agencies={"police": replace(POLICE, published=2)}).adds_up() is False
    assert Account(partners={"school": replace(SCHOOL, permitted=2)}).adds_up() is False
    assert Account(partners={"school": replace(SCHOOL, handed_over=0)}).adds_up() is False


def test_an_id_seen_before_is_never_taken_for_new() -> None:
    seen = BloomFilter()
    first = [seen.again("police", str(n)) for n in range(5000)]

    assert [seen.again("police", str(n)) for n in range(5000)] == [True] * 5000
    assert sum(first) == 0  # at this filling the chance of one is 10**-17
    assert seen.again("polic", "e0") is False


KEY = PersonKey(b"k" * 32).digests


def test_what_an_agency_published_has_one_digest_whatever_its_encoder() -> None:
    event, place = an_event(), Place("in.police", 0, 1)
    plain, cut = codec.encode(event), in_blocks_of(event, 1)

    facts = [fact_of(place, NOON, value, [], key=KEY) for value in (plain, cut, b"no event", None)]

    assert cut != plain
    assert [each.digests for each in facts if isinstance(each, Published)] == [
        (KEY.digest(content),) for content in (plain, plain, b"no event", b"")
    ]


@pytest.mark.parametrize("value", [None, b"", b"x" * 50, b"\xc3\x01" + b"\0" * 40])
@pytest.mark.parametrize("topic", ["decisions", "quarantine", "receipts.school", "out.school"])
def test_bytes_that_are_not_ours_are_unreadable(topic: str, value: bytes | None) -> None:
    place = Place(topic, 0, 1)

    assert fact_of(place, NOON, value, [], key=KEY) == Unreadable(place, NOON)


@pytest.mark.parametrize("reason", [GateReason.IN_TRANSACTION, GateReason.UNREADABLE_BATCH])
def test_what_nobody_else_believes_makes_nothing_add_up(reason: GateReason) -> None:
    """The ledger leaves such a receipt out: counted here, an alert that waits would look handed over."""
    receipt = Receipt(
        notification_id="n",
        event_id="e",
        partner="school",
        transport="folder",
        stage=Stage.HANDED_OVER,
        attempt=1,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        answer="ok",
        reason="",
        subject_token="t",
        purpose="p",
        consent_meaning=None,
        output_digest="d",
    )
    value, place = codec.encode_record(receipt), Place("receipts.school", 0, 1)
    marked: Any = [(Damaged("", reason, "-"), None)]

    assert isinstance(fact_of(place, NOON, value, [], key=KEY), Handled)
    assert fact_of(place, NOON, value, marked, key=KEY) == Unreadable(place, NOON)
    elsewhere = Place("receipts.haven", 0, 1)
    assert fact_of(elsewhere, NOON, value, [], key=KEY) == Unreadable(elsewhere, NOON)
    for notice, took in ((stages.ended_how("withdrawn"), True), (stages.reason_of(Reply.REFUSED), False)):
        written = receipt.model_copy(update={"stage": Stage.NOTICE_HANDED_OVER, "reason": notice})
        fact = fact_of(place, NOON, codec.encode_record(written), [], key=KEY)
        assert fact == Told(place, NOON, "school", "n", "e", took)


def test_a_record_that_is_cut_off_is_unreadable() -> None:
    entry = Quarantined(
        quarantine_id="q",
        reason="EMPTY",
        detail="",
        topic="in.police",
        partition=0,
        offset=10,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        size=0,
        sealed=b"",
    )
    value, place = codec.encode_record(entry), Place("quarantine", 0, 1)

    assert fact_of(place, NOON, value, [], key=KEY) == WasSetAside(place, NOON, Place("in.police", 0, 10), "EMPTY")
    assert fact_of(place, NOON, value[:20], [], key=KEY) == Unreadable(place, NOON)
    with pytest.raises(ValueError, match="expected a `decision` record"):
        key_of_decision(value)


@pytest.mark.parametrize(
    ("header", "shown"),
    [(EVENT.encode(), EVENT), (b"Ava Hart", None), (b"9990079196", None), (b"\xff\xfe", None), (None, None)],
)
def test_a_publishers_header_is_shown_only_if_it_is_an_id(header: bytes | None, shown: str | None) -> None:
    headers: Any = [("ce_id", header)]
    fact = fact_of(Place("in.police", 0, 1), NOON, b"value", headers, key=KEY)

    assert fact == Published(Place("in.police", 0, 1), NOON, (KEY.digest(b"value"),), shown)


BOTH = PersonKey(b"k" * 32, (b"l" * 32,)).digests
NOTIFICATION = Notification(
    notification_id="n",
    decision_id="d",
    event_id=EVENT,
    event_type="police.encompass.v1",
    lifecycle="NEW",
    recipient="school",
    publisher="police",
    purpose="safeguarding",
    urgency="ROUTINE",
    subject_token="f" * 32,
    agreement_id="a",
    agreement_version=1,
    flow="f",
    consent_meaning=None,
    labels=(),
    restricted=False,
    decided_at=datetime(2026, 11, 22, tzinfo=UTC),
    view_schema="0" * 16,
    view=b"",
)


DELIVERED = replace(TERMS, delivered={("out.school", 3): 201})


@pytest.mark.parametrize(
    ("last", "said"), [(None, "no receipt says"), (Stage.WAITING, "the last receipt says WAITING")]
)
def test_what_an_adapter_is_done_with_has_a_receipt_of_its_end(last: Stage | None, said: str) -> None:
    """Its offsets say that it went on, so a receipt was taken away, or somebody moved the offsets."""
    open_ = [published(), decided(), on_topic(), *([receipt(last)] if last else [])]
    [finding] = account(open_, DELIVERED).findings

    assert (finding.code, finding.id) == (Discrepancy.NO_RECEIPT, "note-0")
    assert finding.what == f"its adapter is done with it, and {said}{', none' if last else ''} what became of it"
    assert named(account(open_, replace(DELIVERED, delivered={("out.school", 3): 200}))) == []
    for stage in (Stage.HANDED_OVER, Stage.STOPPED):
        assert named(account([*open_, receipt(stage)], DELIVERED)) == []


def test_what_is_parked_stands_where_a_person_looks_and_a_receipt_says_so() -> None:
    one = [published(), decided(), on_topic()]
    late = replace(TERMS, now=NOON + 60_000)
    found = {
        "both": account([*one, parked(), receipt(Stage.PARKED)]),
        "then redriven": account([*one, parked(), receipt(Stage.PARKED), receipt(by_hand=True)]),
        "no entry": account([*one, receipt(Stage.PARKED)]),
        "no receipt": account([*one, parked()]),
        "another receipt": account([*one, parked(), receipt()]),
        "just now": account([*one, parked(at=NOON + 1)], late),
        "by hand, and parked before the span": account([*one, receipt(Stage.PARKED, by_hand=True)]),
        "other bytes": account([*one, parked(digest="x"), receipt(Stage.PARKED)]),
        "nobody's": account([*whole(), parked(7)]),
        "refused": account([*whole(), parked(notification_id="note-x")]),
    }

    assert {which: [code for code, _ in named(each)] for which, each in found.items()} == {
        "both": [],
        "then redriven": [],
        "no entry": [Discrepancy.PARKED_UNKNOWN],
        "no receipt": [Discrepancy.PARKED_UNKNOWN],
        "another receipt": [Discrepancy.PARKED_UNKNOWN],
        "just now": [],
        "by hand, and parked before the span": [],
        "other bytes": [Discrepancy.OTHER_BYTES],
        "nobody's": [Discrepancy.UNEXPECTED],
        "refused": [Discrepancy.UNEXPECTED],
    }


def test_a_span_that_begins_between_an_entry_and_its_receipt_accuses_nobody() -> None:
    before = parked(at=NOON - 1)

    assert named(account([*whole(), before, receipt(Stage.PARKED, at=NOON + 1, notification_id="note-0")])) == []
    assert named(account([published(), decided(), on_topic(), before, receipt(Stage.PARKED)])) == []


@pytest.mark.parametrize("ended", [Stage.HANDED_OVER, Stage.STOPPED])
def test_what_a_killed_process_parked_and_the_next_one_tried_again_is_no_finding(ended: Stage) -> None:
    one = [published(), decided(), on_topic(), parked(at=NOON + 10)]

    assert named(account([*one, receipt(ended, at=NOON + 5_000)])) == []
    assert named(account([*one, receipt(ended, at=NOON + 20)])) == [(Discrepancy.PARKED_UNKNOWN, "note-0")]


@pytest.mark.parametrize("late", [Stage.WAITING, Stage.HELD])
def test_a_halted_process_that_writes_last_takes_nothing_back(late: Stage) -> None:
    """Another one had parked it meanwhile, and went on."""
    one = [published(), decided(), on_topic(), parked(), receipt(Stage.PARKED), receipt(late, at=NOON + 9)]
    found = account(one, DELIVERED)

    assert (named(found), found.partners["school"].parked) == ([], 1)


def test_the_receipt_of_one_that_came_again_may_be_older_than_the_span() -> None:
    """Its event was published once more, and decided once more: the adapter had dealt with it, and wrote nothing."""
    first = decided(place=Place("decisions", 0, 3), origin=Place("in.police", 0, 2), at=NOON - 2 * HOUR)
    again = [published(), decided(), on_topic()]

    assert named(account(again, DELIVERED)) == [(Discrepancy.NO_RECEIPT, "note-0")]
    assert Discrepancy.NO_RECEIPT not in [code for code, _ in named(account(again, DELIVERED, before=[first]))]


def test_what_takes_a_parked_alert_back_ends_it_in_its_own_name() -> None:
    """The alert was decided before the span."""
    takes_back = decided(answers=(Answered("school", Outcome.PERMIT, "note-0", "view-0", takes_back="note-old"),))
    ends = receipt(Stage.STOPPED, notification_id="note-old")
    one = [published(), takes_back, on_topic(), receipt()]

    assert named(account([*one, ends])) == []
    assert named(account([*one, replace(ends, notification_id="note-x")])) == [(Discrepancy.UNKNOWN_RECEIPT, "note-x")]


def test_what_a_person_must_look_at_stands_where_they_look() -> None:
    one = [published(), decided(for_a_person=True), on_topic(), receipt()]
    stands = aside("FOR_A_PERSON")
    none, before, after = account(one), account([one[0], stands, *one[1:]]), account([*one, stands])
    just_now = account(one, replace(TERMS, now=NOON + 59_999))
    no_longer_kept = account(one, replace(TERMS, aside_since=NOON + 1))

    assert named(none) == [(Discrepancy.NOT_SHOWN, EVENT)]
    assert [named(each) for each in (before, after, just_now, no_longer_kept)] == [[]] * 4


def test_a_parked_notification_and_what_is_for_a_person_are_read_from_the_records() -> None:
    fact = fact_of(Place("parked.gp", 0, 1), NOON, codec.encode_record(NOTIFICATION), [], key=BOTH)

    assert isinstance(fact, IsParked) and (fact.partner, fact.notification_id) == ("gp", NOTIFICATION.notification_id)


def test_what_was_published_is_known_by_its_digest_under_each_secret() -> None:
    """It is not yet decided when it is read, so nobody knows under which it will be."""
    fact = fact_of(Place("in.police", 0, 1), NOON, b"value", [], key=BOTH)

    assert isinstance(fact, Published) and fact.digests == (BOTH.digest(b"value"), BOTH.of(2).digest(b"value"))


@pytest.mark.parametrize("generation", [1, 2])
def test_a_decision_of_either_secret_is_of_the_bytes_it_was_made_from(generation: int) -> None:
    digests = BOTH.digests_of(b"value")
    one = published(digests=digests), decided(input_digest=digests[generation - 1]), on_topic(), receipt()
    again = published(1, digests=digests)

    assert account([*one]).adds_up()
    assert account([*one, again]).agencies["police"].repeats == 1


def test_a_second_look_asks_for_no_more_when_one_of_the_digests_was_found() -> None:
    asked, found = Questions(frozenset(), frozenset({("police", ("one", "two"))})), SecondLook()
    before = found.open(asked)
    found.take(decided(input_digest="two"))

    assert before and asked.ask_for("x", "police", "two") and not asked.ask_for("x", "school", "two")
    assert not found.open(asked)


@pytest.mark.parametrize("generation", [1, 2])
def test_a_notification_is_proved_by_the_secret_its_token_was_written_under(generation: int) -> None:
    key = BOTH.of(generation)
    value = codec.encode_record(NOTIFICATION.model_copy(update={"subject_token": key.dressed("f" * 32)}))
    fact = fact_of(Place("out.school", 0, 1), NOON, value, [], key=BOTH)

    assert isinstance(fact, OnTopic) and fact.digest == key.digest(value)


def test_a_notification_under_a_secret_that_there_is_not_was_not_written_by_the_bus() -> None:
    value = codec.encode_record(NOTIFICATION.model_copy(update={"subject_token": "7." + "f" * 32}))
    place = Place("out.school", 0, 1)

    assert fact_of(place, NOON, value, [], key=BOTH) == Unreadable(place, NOON)
