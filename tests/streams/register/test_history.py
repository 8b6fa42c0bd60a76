"""What happened to each entry is told in order, however short it stood."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from safebus.schemas.bus_records import RegisterRecord
from safebus.streams.register.history import Step, What, history, offset_at

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def record(record_id: str, **body: object) -> RegisterRecord:
    return RegisterRecord(
        record_id=record_id,
        kind="partner",
        recorded_at=NOON,
        recorded_by="registrar",
        reason="because",
        body=json.dumps(body) if body else None,
    )


def steps(*records: RegisterRecord) -> list[Step]:
    """A record a minute, at every other offset."""
    log = [(2 * n, r) for n, r in enumerate(records)]
    return list(history(log, [(o, int((NOON + timedelta(minutes=o / 2)).timestamp() * 1000)) for o, _ in log]))


def test_one_entry_from_its_beginning_to_its_end() -> None:
    found = steps(
        record("a", name="Haven", call="1", gone=1),
        record("b", name="Ash"),
        record("a", name="Haven", call="2", new=1),
        record("a", name="Haven", call="2", new=1),
        record("a"),
        record("a"),
        record("a", name="Haven"),
    )

    of_a = [step for step in found if step.record.record_id == "a"]
    assert [(s.offset, s.what, s.fields) for s in of_a] == [
        (0, What.ADDED, ()),
        (4, What.CHANGED, ("call", "gone", "new")),
        (6, What.SAME, ()),
        (8, What.ENDED, ()),
        (10, What.NOTHING, ()),
        (12, What.ADDED, ()),
    ]
    assert [s.stood and s.stood // timedelta(minutes=1) for s in of_a] == [None, 2, 1, 1, None, None]
    assert (of_a[1].before, of_a[1].after) == (
        {"name": "Haven", "call": "1", "gone": 1},
        {"name": "Haven", "call": "2", "new": 1},
    )
    assert [s.at for s in of_a][:2] == [NOON, NOON + timedelta(minutes=2)]


@pytest.mark.parametrize(("minutes", "offset"), [(-1, -1), (0, 3), (0.5, 3), (1, 7), (99, 7)])
def test_a_time_is_the_offset_of_what_had_come_by_then(minutes: float, offset: int) -> None:
    taken_in = [(3, int(NOON.timestamp() * 1000)), (7, int((NOON + timedelta(minutes=1)).timestamp() * 1000))]

    assert offset_at(taken_in, NOON + timedelta(minutes=minutes)) == offset
