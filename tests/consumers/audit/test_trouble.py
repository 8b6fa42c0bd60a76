"""What is wrong with a destination is told by what whoever delivers to it says with each receipt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from safebus.consumers.adapters.adapter import ALREADY_THERE
from safebus.consumers.audit.trouble import Trouble, flaky_until, trouble_of
from safebus.schemas.bus_records import DestinationStanding, DestinationState, Receipt, Stage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIN = timedelta(minutes=1)
LATER = NOON + timedelta(hours=1)


def stands(
    standing: str = "LETS_IN",
    *,
    since: datetime | None = None,
    asked_at: datetime | None = None,
    left_alone_until: datetime | None = None,
    flaky_until: datetime | None = None,
) -> DestinationState:
    return DestinationState(
        standing=DestinationStanding(standing),
        since=since,
        asked_at=asked_at,
        left_alone_until=left_alone_until,
        flaky_until=flaky_until,
    )


def told(
    number: int, stage: Stage, reason: str, destination: DestinationState | None = None, answer: str = "-"
) -> Receipt:
    return Receipt(
        notification_id=f"n-{number}",
        event_id="e",
        partner="ash",
        transport="folder",
        stage=stage,
        attempt=1,
        at=NOON + number * MIN,
        answer=answer,
        reason=reason,
        subject_token="t",
        purpose="p",
        consent_meaning=None,
        output_digest="d",
        destination=destination,
    )


IN = stands()
HELD = stands("HELD", since=NOON + 3 * MIN, asked_at=LATER + MIN)
TAKEN = told(1, Stage.HANDED_OVER, "", IN)
REFUSED = told(2, Stage.WAITING, "not_let_in", stands("DOUBTED", since=NOON + 2 * MIN), "403")
IS_HELD = told(3, Stage.HELD, "not_let_in", HELD, "403")


def test_that_a_destination_is_held_is_told_as_its_courier_sees_it() -> None:
    """Also when one that had begun before was taken since; and whatever a person has sent by hand."""
    stopped, redriven = told(4, Stage.STOPPED, "withdrawn", HELD), told(5, Stage.HANDED_OVER, "redriven: mended")
    before, after = told(4, Stage.HANDED_OVER, "", HELD), told(6, Stage.HANDED_OVER, "", IN)
    held = Trouble(NOON + 3 * MIN, "not_let_in", "403", held=True, asked_at=LATER + MIN)

    assert trouble_of([TAKEN, REFUSED, IS_HELD, stopped, redriven], now=LATER) == held
    still = trouble_of([TAKEN, REFUSED, IS_HELD, before], now=LATER)
    assert still is not None and (still.held, still.since) == (True, NOON + 3 * MIN)
    assert trouble_of([TAKEN, REFUSED, IS_HELD, after], now=LATER) is None
    assert trouble_of([TAKEN], now=LATER) is trouble_of([], now=LATER) is None


def test_one_that_is_doubted_or_silent_is_told_so() -> None:
    doubted = trouble_of([TAKEN, REFUSED], now=LATER)
    busy = told(4, Stage.WAITING, "partner_busy", stands("SILENT", since=NOON + MIN, asked_at=NOON + 4 * MIN), "503")
    silent = trouble_of([TAKEN, busy], now=LATER)

    assert doubted == Trouble(REFUSED.at, "not_let_in", "403", doubted=True)
    assert silent == Trouble(NOON + MIN, "partner_busy", "503", silent=True)  # the time that it said is over
    assert [doubted.one_at_a_time, silent.one_at_a_time] == [False, True]


def test_one_that_lets_in_and_has_taken_none_since_says_since_when() -> None:
    busy = [told(n, Stage.WAITING, "partner_busy", IN, "503") for n in (4, 5)]

    assert trouble_of([TAKEN, *busy], now=LATER) == Trouble(NOON + 4 * MIN, "partner_busy", "503")
    assert trouble_of([*busy, told(6, Stage.HANDED_OVER, "", IN)], now=LATER) is None
    assert trouble_of([*busy, told(6, Stage.HANDED_OVER, "", IN, ALREADY_THERE)], now=LATER) is not None


def test_a_pause_that_it_asked_for_is_told_until_it_is_over() -> None:
    slowed = told(4, Stage.WAITING, "partner_busy", stands(left_alone_until=LATER), "429")
    before = trouble_of([TAKEN, slowed], now=LATER - MIN)

    assert before == Trouble(slowed.at, "partner_busy", "429", left_alone_until=LATER)
    after = trouble_of([TAKEN, slowed], now=LATER)
    assert after is not None and after.left_alone_until is None


def test_that_one_of_several_servers_is_wrong_is_told_for_as_long_as_the_courier_thinks_so() -> None:
    flaky = told(4, Stage.HANDED_OVER, "", stands(flaky_until=LATER))
    by_hand = told(5, Stage.HANDED_OVER, "redriven: asked")

    assert flaky_until([TAKEN, flaky, by_hand], LATER - MIN) == LATER
    assert (
        flaky_until([TAKEN, flaky], LATER) is flaky_until([flaky, TAKEN], LATER - MIN) is flaky_until([], LATER) is None
    )


def test_receipts_of_before_there_was_this_say_nothing_of_it() -> None:
    assert trouble_of([told(3, Stage.HELD, "not_let_in")], now=LATER) is None
