"""What a delivery waits for is told by how its partner stands, before what it was last told itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from safebus.consumers.audit.standing import How, Standing
from safebus.consumers.audit.trouble import Trouble
from safebus.consumers.audit.waits import Delivery, asked_again_at, waits_for
from safebus.schemas.bus_records import Receipt, Stage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEC, MIN = timedelta(seconds=1), timedelta(minutes=1)
RUNS = "does `safebus deliver` run for this partner?"
PAUSED = (
    "waits for an operator: deliveries to ash are paused, since 2026-11-22 11:00 UTC and until somebody resumes them"
)


def receipt(
    stage: Stage, reason: str, *, at: datetime = NOON, again_at: datetime | None = None, key: str = "n"
) -> Receipt:
    return Receipt(
        notification_id=key,
        event_id="e",
        partner="ash",
        transport="folder",
        stage=stage,
        attempt=1,
        at=at,
        answer="503",
        reason=reason,
        subject_token="ava",
        purpose="p",
        consent_meaning=None,
        output_digest="d",
        again_at=again_at,
    )


BUSY = receipt(Stage.WAITING, "partner_busy", again_at=NOON + 5 * MIN)
WAITS = Standing("ash", How.WAITING, undelivered=1)
HELD = Trouble(NOON, "not_let_in", "403", held=True, asked_at=NOON + 2 * MIN)
SILENT = Trouble(NOON, "partner_busy", "503", silent=True)
IS_HELD = Standing("ash", How.HELD, undelivered=2, trouble=HELD)
IS_PAUSED = Standing("ash", How.PAUSED, undelivered=1, paused_since=NOON - 60 * MIN)
KEY_IS_WRONG = (
    "our key, address or table at the partner, or a rule there that dislikes what it was asked: a person must look; "
    "asked again at 2026-11-22 12:02:00 UTC, then at least every 15 minutes, with one message at a time: the "
    "destination is held since 2026-11-22 12:00:00 UTC (not_let_in, answer 403)"
)


def new(since: datetime = NOON) -> Delivery:
    return Delivery("n", "ash", None, since, "ava")


def tried(last: Receipt) -> Delivery:
    return Delivery("n", "ash", last, NOON, "ava")


@pytest.mark.parametrize("one", [new(), tried(BUSY), tried(receipt(Stage.HELD, "not_let_in"))])
def test_while_its_destination_is_held_all_wait_for_that(one: Delivery) -> None:
    """Never tried, waiting since before, or on record as held: who asks is told the same, and no time of its own."""
    assert waits_for(one, IS_HELD, now=NOON + MIN) == f"waits for {KEY_IS_WRONG}"
    assert asked_again_at(one, IS_HELD, now=NOON + MIN) is None


@pytest.mark.parametrize("one", [new(), tried(BUSY)])
def test_while_its_partner_is_paused_it_waits_for_whoever_paused_it(one: Delivery) -> None:
    assert waits_for(one, IS_PAUSED, now=NOON + MIN) == PAUSED
    assert asked_again_at(one, IS_PAUSED, now=NOON + MIN) is None


def test_paused_and_held_are_both_said() -> None:
    both = Standing("ash", How.PAUSED, undelivered=1, paused_since=NOON - 60 * MIN, trouble=HELD)

    assert waits_for(new(), both, now=NOON + MIN) == f"{PAUSED}; besides, for {KEY_IS_WRONG}"


def test_a_suspended_partner_gets_none_of_it_and_no_process_delivers_none_of_it() -> None:
    suspended, nobody = Standing("ash", How.SUSPENDED, undelivered=1), Standing("ash", How.WAITING, delivering=False)

    assert waits_for(new(), suspended, now=NOON) == (
        "waits for the register, which suspends ash: it is stopped when its turn comes, unless that is lifted"
    )
    assert waits_for(tried(BUSY), nobody, now=NOON) == (
        f"waits for a delivery process: none is in the group `adapter-ash`; {RUNS}"
    )


def test_one_that_was_not_tried_yet_accuses_nobody_who_is_known_to_work() -> None:
    """It came a moment ago; others were not taken; one about the same person goes first; the process is there."""
    later = NOON + MIN
    busy = Standing("ash", How.WAITING, undelivered=2, trouble=SILENT._replace(silent=False))
    before = receipt(Stage.WAITING, "refused_by_partner", again_at=later + 5 * SEC, key="m")

    assert (
        waits_for(new(), WAITS, now=NOON + SEC)
        == "waits for its first try, as far as is on record: it came a moment ago"
    )
    assert waits_for(new(), busy, now=later) == (
        "waits for the partner, which has taken nothing since 2026-11-22 12:00:00 UTC (partner_busy, answer 503)"
    )
    assert waits_for(new(), Standing("ash", How.WAITING, undelivered=2, open=(before,)), now=later) == (
        "waits for an earlier one about the same person, m, which waits for what the partner answers to others: it did "
        "not take this one; asked again at 2026-11-22 12:01:05 UTC at the latest"
    )
    assert "does `safebus deliver` run" not in str(
        waits_for(new(), Standing("ash", How.WAITING, undelivered=1, delivering=True), now=later)
    )
    # One that was killed in the first moments of an attempt leaves no word of it.
    assert waits_for(new(), WAITS, now=later) == f"waits for its first try, as far as is on record: {RUNS}"
    assert "lists what is owed" in str(waits_for(new(), Standing("ash", How.IN_ORDER), now=later))


def test_one_that_waits_names_its_time_until_that_has_come() -> None:
    said = "waits for the partner, which could not take it"
    at = NOON + 5 * MIN

    assert waits_for(tried(BUSY), WAITS, now=NOON) == f"{said}; asked again at 2026-11-22 12:05:00 UTC at the latest"
    assert asked_again_at(tried(BUSY), WAITS, now=NOON) == at
    assert waits_for(tried(BUSY), WAITS, now=at) == f"{said}; its time has come"
    assert waits_for(tried(BUSY), WAITS, now=at + MIN) == (
        f"{said}; its time has come, and nothing is known of it since 2026-11-22 12:00:00 UTC: {RUNS}"
    )
    assert asked_again_at(tried(BUSY), WAITS, now=at) is None


def test_what_waits_at_a_silent_destination_names_no_time_of_its_own() -> None:
    silent = Standing("ash", How.WAITING, undelivered=12, trouble=SILENT)

    assert waits_for(tried(BUSY), silent, now=NOON) == (
        "waits for the partner, which has taken nothing since 2026-11-22 12:00:00 UTC (partner_busy, answer 503); "
        "asked again at least every 5 minutes, with one message at a time"
    )
    assert asked_again_at(tried(BUSY), silent, now=NOON) is None


def test_what_waits_while_a_partner_wants_to_be_left_alone_names_that_time_whoever_it_was_said_to() -> None:
    """It was said to one of them; the others were asked whether `safebus deliver` runs."""
    slowed = Trouble(NOON, "partner_busy", "429", left_alone_until=NOON + 20 * MIN)
    alone = Standing("ash", How.WAITING, undelivered=2, trouble=slowed)
    refused = tried(receipt(Stage.WAITING, "refused_by_partner", again_at=NOON + 5 * MIN))
    later = tried(receipt(Stage.WAITING, "partner_busy", again_at=NOON + 30 * MIN))

    for one in (new(), refused, later):
        assert waits_for(one, alone, now=NOON + MIN) == (
            "waits for the partner, which asked to be left alone until 2026-11-22 12:20:00 UTC (answer 429)"
        )
    assert [asked_again_at(one, alone, now=NOON + MIN) for one in (new(), refused, later)] == [
        None,
        NOON + 20 * MIN,
        NOON + 30 * MIN,
    ]


def test_one_that_is_refused_alone_is_not_called_everybodys_trouble() -> None:
    alone = tried(receipt(Stage.WAITING, "not_let_in", again_at=NOON + 5 * MIN))
    doubted = Standing("ash", How.WAITING, undelivered=2, trouble=Trouble(NOON, "not_let_in", "403", doubted=True))

    assert waits_for(alone, WAITS, now=NOON) == (
        "waits for what the partner answers to others: it did not let this one in; asked again at 2026-11-22 12:05:00 "
        "UTC at the latest"
    )
    assert waits_for(new(), doubted, now=NOON + MIN) == (
        "waits for its turn: the destination refused another, and they are tried one at a time, to see whose fault "
        "that is (not_let_in, answer 403)"
    )


def test_what_was_over_is_not_waited_for() -> None:
    held = tried(receipt(Stage.HELD, "not_let_in", again_at=NOON))
    put_off = tried(receipt(Stage.WAITING, "deliveries_paused"))

    assert waits_for(held, WAITS, now=NOON) == "waits for its turn: its destination takes others again"
    assert waits_for(put_off, WAITS, now=NOON) == "waits for its turn, now that the pause is over"
    assert [waits_for(tried(receipt(stage, "")), IS_PAUSED, now=NOON) for stage in (Stage.PARKED, Stage.STOPPED)] == [
        None,
        None,
    ]


def test_whoever_is_not_shown_how_a_partner_stands_is_told_so() -> None:
    assert waits_for(tried(BUSY), None, now=NOON) == (
        "waits for the partner, which could not take it; asked again at 2026-11-22 12:05:00 UTC at the latest; how its "
        "destination stands this certificate is not shown"
    )


def test_no_time_that_has_passed_is_ever_promised() -> None:
    """Whatever the last receipt, the state of the partner and the clock."""
    reasons = ("partner_busy", "answer_unknown", "refused_by_partner", "not_let_in", "deliveries_paused")
    lasts = [receipt(s, r, again_at=NOON + 30 * SEC) for s in (Stage.WAITING, Stage.HELD) for r in reasons]
    stands = [
        Standing("ash", how, undelivered=1, trouble=trouble, delivering=delivering)
        for how, trouble, delivering in product(How, (None, HELD, SILENT), (None, True, False))
    ]
    for last, standing, late in product(lasts, [None, *stands], (30 * SEC, MIN, 60 * MIN)):
        said = waits_for(tried(last), standing, now=NOON + late)

        assert said is not None and "12:00:30" not in said
        assert asked_again_at(tried(last), standing, now=NOON + late) is None
