"""
How much processor time did a process use between two moments?

Linux keeps it in `/proc/<pid>/stat`, all threads together, in steps of 10 ms. A thread notes it fifty times a second
with the time of day, which is also the broker's on the same machine, so that what a process used from its first to its
last record can be told afterwards, without its start and its end.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from pathlib import Path
from types import TracebackType

_EVERY_S = 0.02


def used(pid: int) -> float:
    """Seconds of processor time, user and system, since the process began."""
    # The second field, the name, may hold spaces and brackets: what follows its last bracket is regular.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Meter:
    """
    Notes a process's use for as long as the block lasts.

    Attributes:
        noted: (time of day, seconds used until then), in order.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.noted: list[tuple[float, float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _note(self) -> None:
        while not self._done.wait(_EVERY_S):
            try:
                self.noted.append((time.time(), used(self._pid)))
            except OSError:  # it has ended
                return

    def between(self, begin: float, end: float) -> float:
        """Seconds of processor time between two times of day."""
        return self._at(end) - self._at(begin)

    def _at(self, moment: float) -> float:
        i = min(bisect_left(self.noted, (moment, 0.0)), len(self.noted) - 1)
        return self.noted[i][1]
