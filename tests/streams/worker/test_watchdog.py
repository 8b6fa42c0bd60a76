"""A worker that no longer gets on with it is noticed and stops."""

from __future__ import annotations

import asyncio
import threading

import pytest

from safebus.schemas.errors import BadRegister, BrokenPromise, NotReachable
from safebus.schemas.kafka.partitions import Partition
from safebus.streams.worker import watchdog as pulses
from safebus.streams.worker.watchdog import Progress, Sources, StuckAlarm

A, B = ("in.ash", 0), ("in.ash", 1)


def test_a_partition_without_anything_to_do_does_not_wait() -> None:
    pulse = Progress()
    pulse.looked({A: 5, B: 0}, {A: 5}, now=0.0)
    pulse.looked({A: 5, B: 0}, {A: 5}, now=1000.0)

    assert pulse.commit_age_s(1000.0) == 0.0
    assert pulse.lag == {A: 0, B: 0}
    assert pulse.longest_waiting() is None


def test_the_wait_begins_when_something_is_there_and_nothing_moves() -> None:
    pulse = Progress()
    pulse.looked({A: 5}, {A: 5}, now=0.0)
    pulse.looked({A: 6}, {A: 5}, now=100.0)
    pulse.looked({A: 9}, {A: 5}, now=130.0)

    assert pulse.commit_age_s(131.0) == 31.0
    assert pulse.longest_waiting() == (A, 4)


def test_a_commit_that_moves_begins_the_wait_again_though_more_waits() -> None:
    pulse = Progress()
    pulse.looked({A: 100}, {A: 0}, now=0.0)
    pulse.looked({A: 200}, {A: 50}, now=40.0)

    assert pulse.commit_age_s(45.0) == 5.0


def test_the_longest_wait_of_all_partitions_counts() -> None:
    pulse = Progress()
    pulse.looked({A: 1, B: 0}, {}, now=0.0)
    pulse.looked({A: 1, B: 1}, {}, now=20.0)

    assert pulse.commit_age_s(30.0) == 30.0
    assert pulse.longest_waiting() == (A, 1)


def test_a_partition_that_went_to_another_worker_is_forgotten() -> None:
    pulse = Progress()
    pulse.looked({A: 1}, {}, now=0.0)
    pulse.looked({B: 0}, {}, now=50.0)

    assert pulse.commit_age_s(60.0) == 0.0


def test_a_worker_whose_partitions_all_stand_still_is_stalled_after_a_minute() -> None:
    pulse = Progress()
    pulse.looked({A: 5, B: 5}, {A: 1, B: 2}, now=0.0)
    pulse.looked({A: 5, B: 5}, {A: 1, B: 2}, now=50.0)

    assert pulse.stalled(59.0) is None
    assert pulse.stalled(61.0) == "`in.ash` partition 0: 4 records wait and nothing was committed for 61 s"


def test_a_partition_behind_the_backlog_of_another_is_no_reason_to_start_again() -> None:
    """Once a healthy worker ended itself because of one: it was getting on with the others."""
    pulse = Progress()
    for second in range(0, 300, 10):
        pulse.looked({A: 1000, B: 1000}, {A: second, B: 0}, now=float(second))

    assert pulse.commit_age_s(290.0) == 290.0
    assert pulse.stalled(290.0) is None


def test_a_partition_that_idles_for_ten_minutes_is() -> None:
    """Faust has been seen to forget one."""
    pulse = Progress()
    for second in range(0, 620, 10):
        pulse.looked({A: 1000, B: 1000}, {A: second, B: 0}, now=float(second))

    assert pulse.stalled(610.0) == "`in.ash` partition 1: 1000 records wait and nothing was committed for 610 s"


class Clock:
    """Each look at it is ten seconds later."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


def sources(*, end: int, committed: int, register_fails: Exception | None = None) -> Sources:
    async def ends(where: list[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(where, end)

    async def register() -> int:
        if register_fails is not None:
            raise register_fails
        return 7

    return Sources(lambda: {A: committed}, ends, register)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulses, "LOOK_EVERY_S", 0.0)


async def test_when_records_wait_too_long_the_worker_is_told_which() -> None:
    with pytest.raises(BrokenPromise, match=r"`in\.ash` partition 0: 3 records wait and nothing was committed for"):
        await pulses.take(Progress(), sources(end=8, committed=5), clock=Clock())


async def test_a_worker_that_has_nothing_to_do_goes_on() -> None:
    pulse = Progress()
    watching = asyncio.create_task(pulses.take(pulse, sources(end=5, committed=5), clock=Clock()))
    async with asyncio.timeout(10):
        while (pulse.looked_at or 0) < 500:
            await asyncio.sleep(0)

    assert not watching.done()
    assert pulse.register_offset == 7
    watching.cancel()


async def test_a_register_that_is_not_understood_ends_it() -> None:
    with pytest.raises(BadRegister):
        await pulses.take(Progress(), sources(end=5, committed=5, register_fails=BadRegister(["x"])), clock=Clock())


async def test_a_broker_that_does_not_answer_makes_what_waits_wait_longer() -> None:
    pulse = Progress()
    pulse.looked({A: 1}, {}, now=0.0)

    with pytest.raises(BrokenPromise):
        await pulses.take(pulse, sources(end=1, committed=0, register_fails=NotReachable("gone")), clock=Clock())
    assert pulse.looked_at == 0.0


async def test_a_loop_that_is_stuck_ends_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[int] = []
    noticed = threading.Event()

    def end(code: int) -> None:
        ended.append(code)
        noticed.set()

    async with StuckAlarm(after_s=1, end=end):
        await asyncio.sleep(0)
        noticed.wait(20)  # the loop does not turn while this waits

    assert ended == [70]
    assert "the loop was stuck" in capfd.readouterr().err


async def test_a_loop_that_turns_is_left_alone() -> None:
    ended: list[int] = []
    alarm = StuckAlarm(after_s=1, end=ended.append)
    async with alarm:
        begin = alarm._turns
        async with asyncio.timeout(20):
            while alarm._turns < begin + 6:  # three seconds of turning
                await asyncio.sleep(0.05)

    assert ended == []
