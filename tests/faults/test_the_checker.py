"""Each kind of trouble, planted into a day on which all went well, is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from a_checker import Decision, Notified, Observed, Receipted, check, figures, outcomes
from a_partner import Effect
from a_world import ASH, BEECH, HAVEN, HUB, PRACTICE, Sent, permitted

from safebus.schemas.bus_records import Stage

DAY = [Sent("e0", 0), Sent("e1", 1), Sent("e2", 0)]


def a_good_day() -> Observed:
    """Three events, two of them of one case, decided and delivered as they must be."""
    seen = Observed()
    for at, sent in enumerate(DAY):
        seen.decisions.append(Decision(sent.event_id, outcomes(sent.case), f"record of {sent.event_id}"))
        for partner in sorted(permitted(sent.case)):
            name = f"{sent.event_id}-{partner}"
            seen.notified.append(Notified(partner, name, sent.event_id, f"bytes of {name}"))
            seen.effects.append(Effect(partner, name, sent.event_id, float(at), f"body of {name}"))
            seen.receipts.append(Receipted(partner, name, sent.event_id, Stage.HANDED_OVER, at + 0.5))
    return seen


def effect_of(seen: Observed, partner: str, event_id: str) -> Effect:
    return next(e for e in seen.effects if (e.partner, e.event_id) == (partner, event_id))


def test_a_good_day_has_no_findings() -> None:
    assert check(DAY, a_good_day()) == []


def test_copies_of_one_decision_and_one_notification_are_no_harm() -> None:
    """A redo may write the same bytes again."""
    seen = a_good_day()
    seen.decisions.append(seen.decisions[0])
    seen.notified.append(seen.notified[0])

    assert check(DAY, seen) == []


def test_an_event_that_nobody_decided_is_found() -> None:
    seen = a_good_day()
    del seen.decisions[1]

    assert check(DAY, seen) == ["undecided: 1, first e1"]


def test_two_decisions_that_differ_are_found() -> None:
    seen = a_good_day()
    seen.decisions.append(replace(seen.decisions[0], content="another record"))

    assert check(DAY, seen) == ["two truths: 1, first e0"]


def test_a_decision_for_others_than_it_must_be_is_found() -> None:
    seen = a_good_day()
    seen.decisions[0] = replace(seen.decisions[0], outcomes=outcomes(1))

    assert check(DAY, seen) == ["misjudged: 1, first e0"]


def test_a_loss_is_found() -> None:
    seen = a_good_day()
    seen.effects.remove(effect_of(seen, ASH, "e2"))

    assert check(DAY, seen) == [f"lost: 1, first e2 at {ASH}"]


def test_a_second_effect_is_found() -> None:
    seen = a_good_day()
    seen.effects.append(replace(effect_of(seen, HUB, "e1"), notification_id="another id"))

    assert check(DAY, seen) == [f"doubled: 1, first e1 at {HUB}"]


def test_a_repeat_of_what_was_under_way_is_no_harm_where_repeats_are_kept() -> None:
    """At least once: its process ended before the receipt was written, or was halted and wrote one when it woke up."""
    seen = a_good_day()
    first = effect_of(seen, HAVEN, "e1")
    seen.effects.append(replace(first, at=first.at + 0.4))
    receipt = next(r for r in seen.receipts if (r.partner, r.event_id) == (HAVEN, "e1"))
    seen.receipts.append(replace(receipt, at=9.0))

    assert check(DAY, seen) == []


def test_a_repeat_after_the_receipt_is_found() -> None:
    seen = a_good_day()
    first = effect_of(seen, HAVEN, "e1")
    seen.effects.append(replace(first, at=first.at + 0.6))

    assert check(DAY, seen) == [f"doubled: 1, first e1 at {HAVEN}"]


def test_a_repeat_with_other_content_is_found() -> None:
    seen = a_good_day()
    seen.effects.append(replace(effect_of(seen, HAVEN, "e1"), content="another body"))

    assert check(DAY, seen) == [f"doubled: 1, first e1 at {HAVEN}"]


def test_a_later_event_of_a_case_before_an_earlier_one_is_found() -> None:
    seen = a_good_day()
    early = effect_of(seen, ASH, "e2")
    seen.effects[seen.effects.index(early)] = replace(early, at=-1.0)

    assert check(DAY, seen) == [f"misordered: 1, first e2 at {ASH}"]


def test_cases_do_not_wait_for_each_other() -> None:
    seen = a_good_day()
    early = effect_of(seen, HUB, "e1")
    seen.effects[seen.effects.index(early)] = replace(early, at=-1.0)

    assert check(DAY, seen) == []


@pytest.mark.parametrize("partner", [PRACTICE, BEECH])
def test_an_effect_where_it_must_not_be_is_found(partner: str) -> None:
    seen = a_good_day()
    seen.effects.append(Effect(partner, "leaked", "e0", 0.0, "body"))

    assert check(DAY, seen) == [f"leaked: 1, first e0 at {partner}"]


def test_a_notification_where_it_must_not_be_is_found() -> None:
    seen = a_good_day()
    seen.notified.append(Notified(PRACTICE, "leaked", "e0", "bytes"))

    assert check(DAY, seen) == [f"leaked: 1, first e0 on out.{PRACTICE}"]


def test_one_notification_with_two_contents_is_found() -> None:
    seen = a_good_day()
    seen.notified.append(replace(seen.notified[0], content="other bytes"))

    assert check(DAY, seen) == [f"rewritten: 1, first e0 for {seen.notified[0].partner}"]


def test_an_effect_without_a_receipt_is_found() -> None:
    seen = a_good_day()
    gone = seen.receipts.pop()

    assert check(DAY, seen) == [f"unreceipted: 1, first {gone.event_id} at {gone.partner}"]


def test_what_waits_for_a_person_is_found() -> None:
    seen = a_good_day()
    seen.receipts.append(replace(seen.receipts[0], stage=Stage.PARKED))
    seen.set_aside.append("ID_REUSED in.north-police/0/3")

    assert check(DAY, seen) == [
        "set aside: 1, first ID_REUSED in.north-police/0/3",
        f"parked: 1, first e0 at {seen.receipts[0].partner}",
    ]


def test_a_person_who_was_not_called_is_found() -> None:
    seen = a_good_day()
    first = replace(seen.decisions[0], to_see="in.north-police/0/0")
    seen.decisions[0] = first

    assert check(DAY, seen) == [f"unseen: 1, first {first.event_id}"]

    seen.set_aside.append("FOR_A_PERSON in.north-police/0/0")
    assert check(DAY, seen) == []


def test_what_nobody_published_is_found() -> None:
    seen = a_good_day()
    seen.effects.append(Effect(HUB, "stranger", "e9", 0.0, "body"))

    assert check(DAY, seen) == ["unknown: 1, first e9"]


def test_the_figures_add_up() -> None:
    seen = a_good_day()
    seen.effects.remove(effect_of(seen, ASH, "e2"))
    seen.notified.append(seen.notified[0])

    assert figures(DAY, seen) == {
        "events": 3,
        "decisions": 3,
        "deliveries": 12,
        "lost": 1,
        "doubled": 0,
        "misordered": 0,
        "leaked": 0,
        "written again": 1,
    }
