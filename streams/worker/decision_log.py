"""
Who may write decisions of a partition, and how do they become true?

A worker that is paused (a stopped virtual machine, a long swap) does not know that its partitions went to another.
When it wakes up in the middle of a batch, it must not put a second truth beside the first. So each partition of
`decisions` is written under one transactional id: starting under it takes the partition over, undoes what the one
before left open, and makes every later write of that one fail.

    own    start under the partition's id, then (and only then) read its tail
    write  all decisions of a batch in one transaction: when it is committed they are true, and nobody else wrote since

Only the decisions need this. Notifications follow from a decision that is on record, byte for byte, so one that is
sent late, or twice, changes nothing. Whoever reads decisions reads committed ones only.

Source: KIP-98 (transactional ids fence), docs/decisions/0007.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer

#: Never changes: under another id an old worker would not be fenced.
TRANSACTIONAL_ID = "safebus-decisions-"


class DecisionLog:
    """
    The decisions partitions that this worker writes.

    Args:
        timeout_s: Until a write that is not acknowledged stops the worker, seconds.
    """

    def __init__(self, connection: Connection, *, timeout_s: float = 20.0) -> None:
        self._open: Callable[[int], Writer] = lambda partition: Writer(
            connection,
            client_id=f"safebus-worker-{partition}",
            timeout_s=timeout_s,
            compression="zstd",  # the same names again and again: 10 kB become 700 bytes in 13 microseconds
            transactional_id=f"{TRANSACTIONAL_ID}{partition}",
        )
        self._writers: dict[int, Writer] = {}
        self._owned_in: dict[int, int] = {}

    async def own(self, partitions: Iterable[int], generation: int) -> set[int]:
        """
        Take over those partitions that were (again) given to this worker since it last did.

        Returns:
            Them. What another worker decided about them can be read now, and cannot grow any more.

        Raises:
            NotReachable: The broker did not say that they are ours.
        """
        new = {p for p in partitions if self._owned_in.get(p) != generation}
        await asyncio.gather(*(self._take_over(p) for p in sorted(new)))
        self._owned_in |= dict.fromkeys(new, generation)
        return new

    async def write(self, messages: Mapping[int, Sequence[Message]]) -> None:
        """
        Make decisions true, by partition; partitions do not wait for each other.

        Raises:
            Overtaken: Another worker has a partition now.
            NotReachable: It is not known whether they are written. Some partitions may be; a redo finds out.
        """
        await asyncio.gather(*(self._writers[p].send_as_one(found) for p, found in messages.items() if found))

    async def stop(self) -> None:
        """Disconnect. What is open is undone by whoever owns the partition next."""
        await asyncio.gather(*(writer.stop() for writer in self._writers.values()))
        self._writers.clear()

    async def _take_over(self, partition: int) -> None:
        # A new one each time: an epoch that somebody else may have ended meanwhile cannot be trusted.
        old = self._writers.pop(partition, None)
        if old is not None:
            await old.stop()
        writer = self._writers[partition] = self._open(partition)
        await writer.start()
