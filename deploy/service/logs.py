"""
What may stand in a log line?

Only the keys below keep their value; whatever else someone logs becomes a mark. So a person's details cannot reach a
log by a careless line, and a test greps all logs for every value that was published.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

LOGGABLE = frozenset(
    {
        "event", "level", "timestamp",
        "event_id", "event_type", "source", "partner", "transport", "topic", "partition", "offset", "first_partition",
        "first_offset", "register_offset", "notification_id", "reason", "answer", "attempt", "permitted", "refused",
        "waiting",
        "topics", "error", "exit_code", "pid", "count", "decided", "redone", "repeats", "quarantined", "events",
        "port", "right", "owed", "held", "unclear", "days", "percent", "state", "seconds",
        "destination", "left_alone_until",
    }
)  # fmt: skip

HIDDEN = "▮"


def only_loggable(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Hide the value of every key that is not known to be harmless, tracebacks included: they quote values."""
    return {key: value if key in LOGGABLE else HIDDEN for key, value in line.items()}


def set_up(level: str) -> None:
    """JSON lines on stderr. Faust, aiokafka and aiohttp say only what is a warning."""
    number = logging.getLevelNamesMapping()[level.upper()]
    stderr = LenientFile(sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_loggable,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, stderr)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(_Library())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    # These two report every broker that is still starting as an error; what matters raises and is said once by us.
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def for_a_person(level: str) -> str:
    """The level for a command that says each thing itself: a line of JSON about the same would be read twice."""
    return "WARNING" if level.upper() == "INFO" else level


class LenientFile:
    """
    A file for lines of a log: where it takes none, as on a full disk, they are lost and the process goes on.

    Attributes:
        lost: How many writes came to nothing.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self.lost = file, 0

    def write(self, text: str) -> None:
        """Write, if it can be written."""
        try:
            self._file.write(text)
        except OSError:
            self.lost += 1

    def flush(self) -> None:
        """Bring it there, if it can be."""
        with suppress(OSError):
            self._file.flush()


class _Library(logging.Formatter):
    """A library's line: where it comes from and how bad, not what it says, which may quote a message."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"event": "library.said", "level": record.levelname.lower()}
        return json.dumps({**said, "source": f"{record.name}:{record.lineno}"})
