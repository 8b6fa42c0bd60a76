"""One case's notifications are tried in order, and a case that waits does not hold up another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from safebus.consumers.delivery.cases import Cases, Item
from safebus.consumers.delivery.measures import OpenState, Pile
from safebus.consumers.delivery.source import Waiting
from safebus.schemas.bus_records import Notification

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def item(offset: int, case: str, *, partition: int = 0, not_before: datetime | None = None) -> Item:
    notification = Notification(
        notification_id=f"n-{offset}",
        decision_id="d",
        event_id="e",
        event_type="police.encompass.v1",
        lifecycle="NEW",
        recipient="ash-primary",
        publisher="fordshire-police",
        purpose="safeguarding",
        urgency="ROUTINE",
        subject_token=case,
        agreement_id="a",
        agreement_version=1,
        flow="f",
        consent_meaning=None,
        labels=(),
        restricted=False,
        decided_at=NOON + timedelta(seconds=offset),
        view_schema="0" * 16,
        view=b"",
    )
    return Item(notification, b"", "digest", case, waiting=Waiting(partition, offset, b""), not_before=not_before)


def cases(*items: Item) -> Cases:
    found = Cases()
    for each in items:
        found.add(each)
    return found


def firsts(found: Cases, now: datetime = NOON) -> list[int]:
    return [case.queue[0].waiting.offset for case in found.free() if case.queue[0].due(now)]


def test_only_the_oldest_of_each_case_is_tried_and_the_longest_decided_first() -> None:
    found = cases(item(3, "b"), item(1, "a"), item(2, "a"))

    assert firsts(found) == [1, 3]
    assert len(found) == 3


def test_a_case_that_waits_holds_up_its_own_and_no_other() -> None:
    found = cases(item(1, "a", not_before=NOON + timedelta(seconds=5)), item(2, "a"), item(3, "b"))

    assert firsts(found) == [3]
    assert firsts(found, NOON + timedelta(seconds=5)) == [1, 3]


def test_a_case_that_is_being_tried_is_not_tried_twice() -> None:
    found = cases(item(1, "a"), item(2, "a"))
    [case] = found.free()
    case.busy = True

    assert firsts(found) == []


def test_what_came_from_a_partition_that_another_has_now_is_forgotten() -> None:
    found = cases(item(1, "a", partition=0), item(2, "b", partition=1))
    found.let_go({0})

    assert firsts(found) == [2]
    assert len(found) == 1


def test_they_stand_as_pending_or_waiting_and_all_as_held_while_their_destination_is() -> None:
    found = cases(item(1, "a", not_before=NOON), item(2, "a"), item(3, "b"))
    at = {n: NOON + timedelta(seconds=n) for n in (1, 2, 3)}

    assert found.piles(held=False) == {
        OpenState.PENDING: Pile(2, at[2]),
        OpenState.WAITING: Pile(1, at[1]),
        OpenState.HELD: Pile(),
    }
    assert found.piles(held=True) == {
        OpenState.PENDING: Pile(),
        OpenState.WAITING: Pile(),
        OpenState.HELD: Pile(3, at[1]),
    }


def test_what_is_taken_back_is_due_at_once_so_that_it_ends_and_nothing_else_is_touched() -> None:
    waiting = item(1, "a", not_before=NOON + timedelta(hours=1))
    other, takes_back = item(2, "a"), item(3, "a")
    takes_back.notification = takes_back.notification.model_copy(update={"takes_back": "n-1"})

    found = cases(waiting, other, takes_back)

    assert [(i.taken_back, i.not_before) for i in (waiting, other, takes_back)] == [
        (True, None),
        (False, None),
        (False, None),
    ]
    assert firsts(found) == [1]


def test_what_was_tried_before_its_destination_let_in_again_need_not_wait_any_more() -> None:
    waiting = item(1, "a", not_before=NOON + timedelta(hours=10))
    waiting.tried_at = NOON

    assert not waiting.due(NOON + timedelta(hours=1))
    assert waiting.due(NOON + timedelta(hours=1), opened_at=NOON + timedelta(minutes=59))
    assert not waiting.due(NOON + timedelta(hours=1), opened_at=NOON)
