"""
What does aiokafka log of what we do, where the logs may be somebody else's?

It writes keys, values and whole requests to its loggers at DEBUG. An application that embeds a publisher sets its own
levels, and a log of its own is read by many: nothing that is sent is shown there. And while no broker answers it says
so thousands of times: the same line is let through once in ten seconds.
"""

from __future__ import annotations

import logging
from typing import Final

#: For so long the same line is not repeated, seconds.
ONCE_IN_S: Final = 10.0
_MOST_LINES: Final = 200


class Unshown(bytes):
    """Bytes that are sent as they are and printed as their number."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, not shown>"

    __str__ = __repr__


class _Bounded(logging.Filter):
    """Shows of a request to write that it was made, and nothing of what it holds; and a warning once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return self._is_news(record)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_of_request, record.args))
        return True

    def _is_news(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        last = self._said_at.get(line)
        if last is not None and 0 <= record.created - last < ONCE_IN_S:
            return False
        if len(self._said_at) >= _MOST_LINES:
            self._said_at.clear()
        self._said_at[line] = record.created
        return True


def _of_request(value: object) -> object:
    kind = type(value).__name__
    return f"<{kind}, not shown>" if kind.startswith("ProduceRequest") else value


_BOUNDED: Final = _Bounded()
_THEIRS: Final = ("aiokafka", "aiokafka.cluster", "aiokafka.conn", "aiokafka.producer.sender")


def bound_logs() -> None:
    """From now on, in this process. Levels and handlers stay as they are; the same one again is not added."""
    for name in _THEIRS:
        logging.getLogger(name).addFilter(_BOUNDED)
