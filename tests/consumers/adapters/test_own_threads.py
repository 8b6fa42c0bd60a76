"""A folder that answers nothing stops its own partner, and nobody else."""

import asyncio
import subprocess
import sys
import threading

import pytest

from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads


async def test_what_is_done_in_time_comes_back() -> None:
    threads = OwnThreads(within_s=60)

    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


async def test_what_hangs_is_given_up_and_keeps_its_place_until_it_comes_back() -> None:
    """Else each attempt would add a thread, for as long as the server is gone."""
    back = threading.Event()
    threads, others = OwnThreads(within_s=0.1, most=2), OwnThreads(within_s=60)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            await threads.run(back.wait)
    before = threading.active_count()
    with pytest.raises(NoAnswer):  # there is no thread for it
        await threads.run(int)

    assert threading.active_count() == before
    assert await others.run(int) == 0
    back.set()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await threads.run(int) == 0
                break
            except NoAnswer:
                continue


def test_what_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    code = (
        "import asyncio, threading\n"
        "from safebus.consumers.adapters.own_threads import *\n"
        "asyncio.run(OwnThreads(within_s=0.1).run(threading.Event().wait))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert "NoAnswer" in done.stderr


async def test_who_has_a_place_waits_for_none_again() -> None:
    """Between two steps of one delivery the register is asked; after that nothing may have to wait."""
    threads = OwnThreads(within_s=60, most=1)
    async with threads.place() as place:
        waiting = asyncio.create_task(threads.run(int))
        await asyncio.sleep(0)

        assert await place.run(int) == 0
        assert not waiting.done()
    assert await waiting == 0
