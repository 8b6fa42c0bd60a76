"""What aiokafka logs shows nothing that is sent, and is bounded."""

from __future__ import annotations

import logging

import pytest
from aiokafka.protocol.produce import ProduceRequest

from safebus.schemas.kafka import their_logs
from safebus.schemas.kafka.their_logs import Unshown, bound_logs


def record(text: str, *args: object, level: int = logging.WARNING, at: float = 0.0) -> logging.LogRecord:
    made = logging.LogRecord("aiokafka.client", level, "x", 1, text, args, None)
    made.created = at
    return made


def test_bytes_are_sent_as_they_are_and_not_shown() -> None:
    value = Unshown(b"CANARY")

    assert value == b"CANARY" == bytes(value)
    assert f"{value} {value!r}" == "<6 bytes, not shown> <6 bytes, not shown>"


def test_a_request_to_write_is_named_and_others_are_as_they_were() -> None:
    request = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[("t", [(0, b"CANARY")])])
    made = record("Request to %s %d: %s", "host", 7, request, level=logging.DEBUG)

    assert their_logs._Bounded().filter(made)
    assert made.getMessage() == "Request to host 7: <ProduceRequest, not shown>"


def test_the_same_line_is_let_through_once_in_ten_seconds() -> None:
    bounded = their_logs._Bounded()
    times = [0.0, 0.1, 9.9, 10.0, 15.0, 20.0, 5.0]  # and a clock that was set back is none to wait for

    assert [bounded.filter(record("Unable connect to %s", 1, at=at)) for at in times] == [
        *(True, False, False, True, False, True, True)
    ]
    assert bounded.filter(record("Unable connect to %s", 2, at=20.0))
    assert all(bounded.filter(record("detail", level=logging.DEBUG)) for _ in range(3))
    assert bounded.filter(record("%(here)s", {"here": 1}, level=logging.DEBUG))


def test_what_is_remembered_is_bounded() -> None:
    bounded = their_logs._Bounded()
    for number in range(1_000):
        assert bounded.filter(record("Unable connect to %s", number))

    assert len(bounded._said_at) <= 200


def test_it_is_one_filter_however_often_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="aiokafka")  # the command, run in this process, shows none of theirs
    for _ in range(3):
        bound_logs()
    logger = logging.getLogger("aiokafka")

    assert logger.filters.count(their_logs._BOUNDED) == 1
    for _ in range(5):
        logger.error("nobody is there, %s", test_it_is_one_filter_however_often_it_is_asked_for.__name__)
    assert len([r for r in caplog.records if "nobody is there" in r.getMessage()]) == 1
