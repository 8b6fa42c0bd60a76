"""
How far has a group got?

Asked from outside of the group, so nothing moves in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError, KafkaError

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition


async def committed_by(
    connection: Connection, group: str, partitions: Sequence[Partition], *, patience_s: float = 30.0
) -> dict[Partition, int]:
    """
    Offset up to which a group has finished, for each of these partitions on which it committed one.

    Args:
        patience_s: How long the broker may take to know who keeps the group's offsets, seconds.

    Raises:
        NotReachable: The broker does not say, or hides it.
    """
    tps = [TopicPartition(*partition) for partition in partitions]
    admin = AIOKafkaAdminClient(request_timeout_ms=int(patience_s * 1000), **connection.settings())
    try:
        await admin.start()
        found = await _once_there(lambda: _offsets(admin, group, tps), patience_s)
    except GroupAuthorizationFailedError as exc:
        raise NotReachable(
            f"this certificate may not see how far `{group}` is; ask for DESCRIBE on that group"
        ) from exc
    except KafkaError as exc:
        raise NotReachable(
            f"`{connection.bootstrap}` does not say how far `{group}` is ({type(exc).__name__})"
        ) from exc
    finally:
        await admin.close()
    return {Partition(*tp): at.offset for tp, at in found.items() if at.offset >= 0}


async def _offsets(admin: Any, group: str, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Any]:
    """
    Of every partition; -1: nothing was committed.

    aiokafka 0.14 passes over the error of an answer as a whole, and gives none of them: taken as it is, a group whose
    coordinator wakes up would seem to have done nothing.
    """
    found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(group, partitions=tps)
    if not found.keys() >= set(tps):
        raise GroupCoordinatorNotAvailableError()
    return found


async def _once_there(ask: Callable[[], Awaitable[Any]], patience_s: float) -> Any:
    """A broker that has just started does not know yet which of its nodes keeps the offsets of groups."""
    give_up = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            return await ask()
        except KafkaError as exc:
            if not exc.retriable or asyncio.get_running_loop().time() > give_up:
                raise
        await asyncio.sleep(0.1)
