"""Each time that a decision contradicts is said; what a busy worker does is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safebus.consumers.audit.replay.decision_heads import Head
from safebus.consumers.audit.replay.times import Times
from safebus.schemas.bus_records import Origin

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORIGIN = Origin(topic="in.x", partition=0, offset=1)


def ms(minutes: float) -> int:
    """So many minutes after noon."""
    return int((NOON + minutes * MINUTE).timestamp() * 1000)


#: Offset 2 was never there; 3 came a quarter of an hour before noon, 4 a minute before.
REGISTER = [(0, ms(-60)), (1, ms(-60)), (3, ms(-15)), (4, ms(-1))]


def oddities(
    *, register_offset: int = 4, decided: float = 0, written: float = 0, published: float | None = -1, **changes: Any
) -> list[str]:
    head = Head("e", ORIGIN, "d", "r", register_offset, NOON + decided * MINUTE, None)
    times = Times(changes.get("register", REGISTER))
    at = None if published is None else ms(published)
    return list(times.oddities(head, written_at=ms(written), published_at=at))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"register_offset": 3},  # the last entry came while it was being decided
        {"decided": -4.9, "published": -5},
        {"decided": 0.9},  # clocks
        {"published": None},
        {"published": 0.9},
        {"register_offset": -1, "register": []},
        {"register_offset": 4, "written": 60, "decided": 59},
    ],
    ids=str,
)
def test_what_a_busy_worker_does_is_not_odd(how: dict[str, Any]) -> None:
    assert oddities(**how) == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            {"decided": -6},
            "it says that it was decided at 2026-11-22T11:54:00+00:00, and the broker took it in at "
            "2026-11-22T12:00:00+00:00",
        ),
        (
            {"decided": 2},
            "it says that it was decided at 2026-11-22T12:02:00+00:00, and the broker took it in at "
            "2026-11-22T12:00:00+00:00",
        ),
        (
            {"published": 2},
            "it was written at 2026-11-22T12:00:00+00:00, and its event was published at 2026-11-22T12:02:00+00:00",
        ),
        (
            {"register_offset": 1},
            "it rests on the register as of offset 1; 1 later entries were there for more than 5 minutes when it was "
            "written, the first at offset 3",
        ),
        (
            {"register_offset": -1},
            "it rests on the register as of offset -1; 3 later entries were there for more than 5 minutes when it was "
            "written, the first at offset 0",
        ),
        ({"register_offset": 5}, "the register has no record at offset 5, on which it rests"),
        (
            {"written": -10, "decided": -10, "published": -11},
            "it rests on the register as of offset 4, which was written at 2026-11-22T11:59:00+00:00, and it was "
            "itself written at 2026-11-22T11:50:00+00:00",
        ),
    ],
    ids=str,
)
def test_what_contradicts_the_brokers_times_is_said(how: dict[str, Any], said: str) -> None:
    assert oddities(**how) == [said]


@pytest.mark.parametrize("offset", [-7, 2])
def test_an_offset_at_which_nothing_stands_is_said(offset: int) -> None:
    assert f"the register has no record at offset {offset}, on which it rests" in oddities(register_offset=offset)
