"""What a person sent stands on `operations` before it was sent: to whom, which, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_reconcile import receipt
from test_unrecorded import act

from safebus.consumers.audit.reconcile.by_hand import ByHand

LATER = datetime(2100, 1, 1, tzinfo=UTC)
SENT = receipt(by_hand=True, because="they lost it")


def on_record(**changes: Any) -> ByHand:
    about = {"what": "deliveries again", "about": ("school", "note-0"), "reason": "they lost it", **changes}
    return ByHand([act(at=timedelta(milliseconds=SENT.at), **about)], until=LATER)


def test_what_a_command_put_on_record_was_sent_by_it() -> None:
    assert on_record().tells_of(SENT)
    assert on_record(what="parked redrive").tells_of(SENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"about": ("gp", "note-0")},
        {"about": ("school", "note-1")},
        {"about": ()},
        {"reason": "another reason"},
        {"what": "deliveries list"},
    ],
)
def test_what_is_said_of_another_is_not_said_of_this_one(changes: dict[str, Any]) -> None:
    assert not on_record(**changes).tells_of(SENT)


def test_it_is_on_record_before() -> None:
    def of(minutes: int) -> ByHand:
        at = timedelta(milliseconds=SENT.at, minutes=minutes)
        return ByHand(
            [act(at=at, what="deliveries again", about=("school", "note-0"), reason="they lost it")], until=LATER
        )

    assert not of(2).tells_of(SENT)
    assert of(-60).tells_of(SENT)
    assert not of(-25 * 60).tells_of(SENT)


def test_of_what_was_sent_since_it_was_read_nothing_is_said() -> None:
    assert ByHand([], until=datetime.fromtimestamp(SENT.at / 1000, UTC)).tells_of(SENT)
    assert not ByHand([], until=LATER).tells_of(SENT)


def test_a_reason_may_begin_as_the_bus_marks_what_was_lost() -> None:
    assert on_record(reason="restored: they lost it").tells_of(SENT)


def test_of_more_than_are_listed_any_may_be_meant() -> None:
    many = ("school", *(f"other-{n}" for n in range(99)), "and 400 more")

    assert on_record(about=many).tells_of(SENT)
    assert not on_record(about=many[:-1]).tells_of(SENT)
