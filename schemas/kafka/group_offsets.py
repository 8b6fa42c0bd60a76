"""
How far has a group got, or each of many, and is anybody in it?

A group that deals with records out of order commits up to the first that is open, and says beside that how many behind
it are done (the metadata of a commit).

Asked from outside of the groups, so nothing moves in them; by one client, however many they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    KafkaError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.partitions import Partition

#: Groups that are asked for at the same time; each is two small questions on one connection.
_AT_ONCE = 100


class Done(NamedTuple):
    """Up to which offset a group has dealt with a partition, and with how many records behind that."""

    up_to: int = 0
    beyond: int = 0


_BEYOND: Final = "beyond: "


def beyond_as_metadata(count: int) -> str:
    """What a commit says of this many records, behind the offset that it commits, that are dealt with."""
    return f"{_BEYOND}{count}" if count else ""


def _beyond(metadata: str) -> int:
    """0 where whoever committed says nothing of it."""
    count = metadata.removeprefix(_BEYOND)
    return int(count) if count.isascii() and count.isdigit() and metadata.startswith(_BEYOND) and len(count) < 16 else 0


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
    found = await done_by_each(connection, {group: partitions}, patience_s=patience_s)
    return {partition: done.up_to for partition, done in found[group].items()}


async def done_by_each(
    connection: Connection, groups: Mapping[str, Sequence[Partition]], *, patience_s: float = 30.0
) -> dict[str, dict[Partition, Done]]:
    """
    As `committed_by`, of many groups at once, and what else each has dealt with.

    Raises:
        NotReachable: The broker does not say of one of them, or hides it.
    """
    admin = AIOKafkaAdminClient(request_timeout_ms=int(patience_s * 1000), **connection.settings())
    places = asyncio.Semaphore(_AT_ONCE)

    async def of(group: str) -> dict[Partition, Done]:
        tps = [TopicPartition(*partition) for partition in groups[group]]
        async with places, _said_plainly(connection, group):
            found = await _once_there(lambda: _offsets(admin, group, tps), patience_s)
        return {Partition(*tp): Done(at.offset, _beyond(at.metadata)) for tp, at in found.items() if at.offset >= 0}

    try:
        async with _said_plainly(connection, next(iter(groups), "")):
            await admin.start()
        async with asyncio.TaskGroup() as asking:
            found = {group: asking.create_task(of(group)) for group in groups}
    except* NotReachable as several:
        raise several.exceptions[0] from several.exceptions[0].__cause__
    finally:
        await admin.close()
    return {group: asked.result() for group, asked in found.items()}


async def have_members(
    connection: Connection, groups: Collection[str], *, patience_s: float = 30.0
) -> dict[str, bool | None]:
    """
    Whether a process is in each of these groups; None: this broker does not tell, as the embedded one.

    Raises:
        NotReachable: The broker does not say, or hides it.
    """
    found: dict[str, bool | None] = dict.fromkeys(groups)
    if not found:
        return found
    admin = AIOKafkaAdminClient(request_timeout_ms=int(patience_s * 1000), **connection.settings())
    try:
        async with _said_plainly(connection, next(iter(found))):
            await admin.start()
        for group in found:
            async with _said_plainly(connection, group):
                found[group] = bool(await _once_there(partial(_members, admin, group), patience_s))
    except IncompatibleBrokerVersion:
        return found
    finally:
        await admin.close()
    return found


class _WhoIsIn(Request[DescribeGroupsRequest_v2]):  # type: ignore[misc]  # aiokafka says nothing of its types
    """As aiokafka 0.14 asks it, but for its version 3, whose answer it reads as one of version 2, and stumbles."""

    API_KEY = DescribeGroupsRequest_v2.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[DescribeGroupsRequest_v2]) -> DescribeGroupsRequest_v2:
        return request_struct_class([self._group])


async def _members(admin: Any, group: str) -> Sequence[Any]:
    answer = await admin._send_request(_WhoIsIn(group), await admin.find_coordinator(group))
    [(code, _group, _state, _type, _protocol, members)] = answer.groups
    if code:
        raise for_code(code)()
    return list(members)


@asynccontextmanager
async def _said_plainly(connection: Connection, group: str) -> AsyncIterator[None]:
    try:
        yield
    except IncompatibleBrokerVersion:
        raise
    except GroupAuthorizationFailedError as exc:
        raise NotReachable(
            f"this certificate may not see how far `{group}` is; ask for DESCRIBE on that group"
        ) from exc
    except KafkaError as exc:
        raise NotReachable(
            f"`{connection.bootstrap}` does not say how far `{group}` is ({type(exc).__name__})"
        ) from exc


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
