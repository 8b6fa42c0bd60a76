"""
Was it decided when it says, and on the register as it stood then?

A decision that can be made again follows from its event and from the register as of the offset that it names. That
alone does not make it lawful: whoever can write as a worker does may name an offset from before a consent was
withdrawn, and a time to go with it. So both are compared with what nobody but the broker writes: when it took in the
event, the decision and each entry of the register.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from safebus.consumers.audit.replay.decision_heads import Head
from safebus.consumers.audit.replay.time_span import ms

#: A worker asks the register for everything that is acknowledged, decides, and has it written; it gives up well within
#: this. One whose machine stood still for longer rests on an old register, too, and that is to be said.
BEHIND: Final = timedelta(minutes=5)
#: What clocks of machines that are kept in time differ by.
AHEAD: Final = timedelta(minutes=1)


class Times:
    """
    The broker's times of the register.

    Args:
        register: Offset and time, in milliseconds since 1970, of each of its records, in order.
    """

    def __init__(self, register: Sequence[tuple[int, int]]) -> None:
        self._offsets = [offset for offset, _ in register]
        self._taken = [taken for _, taken in register]

    def oddities(self, head: Head, *, written_at: int, published_at: int | None) -> Iterator[str]:
        """
        What the times of a decision contradict, in words.

        Args:
            written_at: When the broker took it in, milliseconds since 1970.
            published_at: The same of its event; None: it is not kept.
        """
        said, ahead, behind = ms(head.decided_at), AHEAD // _MS, BEHIND // _MS
        if not written_at - behind <= said <= written_at + ahead:
            yield f"it says that it was decided at {_time(said)}, and the broker took it in at {_time(written_at)}"
        if published_at is not None and published_at > written_at + ahead:
            yield f"it was written at {_time(written_at)}, and its event was published at {_time(published_at)}"
        after = bisect_right(self._offsets, head.register_offset)
        if (self._offsets[after - 1] if after else -1) != head.register_offset:
            yield f"the register has no record at offset {head.register_offset}, on which it rests"
        elif after and self._taken[after - 1] > written_at + ahead:
            yield (
                f"it rests on the register as of offset {head.register_offset}, which was written at "
                f"{_time(self._taken[after - 1])}, and it was itself written at {_time(written_at)}"
            )
        since = bisect_right(self._taken, written_at - behind, lo=after)
        if since > after:
            yield (
                f"it rests on the register as of offset {head.register_offset}; {since - after} later entries were "
                f"there for more than {BEHIND // timedelta(minutes=1)} minutes when it was written, the first at "
                f"offset {self._offsets[after]}"
            )


_MS = timedelta(milliseconds=1)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
