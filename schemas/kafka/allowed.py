"""
What may this process do on the broker's topics, groups and transactional ids?

A broker says so of each topic when it is asked for its metadata, and of a group or a transactional id when it is asked
who coordinates it. What may not even be described is not shown at all, so who asks has to know what should be there.

Source: KIP-430 (authorized operations in Describe responses).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TransactionalIdAuthorizationFailed, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.offsets import Offsets


class Operation(IntEnum):
    """What may be done. Source: Apache Kafka, `org.apache.kafka.common.acl.AclOperation`."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class Of(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional id"


@dataclass(frozen=True, order=True)
class Right:
    """
    One right.

    Attributes:
        principal: The common name in a certificate; Kafka writes `User:` before it.
        operation: As Kafka names it.
        prefixed: For all whose name begins so.
    """

    principal: str
    operation: str
    of: Of
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.of} `{self.name}{'*' if self.prefixed else ''}`"


class _MetadataResponse(Response):
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataStruct(RequestStruct):
    """aiokafka asks by version 5, which says nothing of rights."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataStruct]):
    API_KEY = 3

    def __init__(self, topics: Sequence[str] | None) -> None:
        self._topics = topics  # None: all

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class(self._topics, False, False, True)


class _DescribeGroupsStruct(DescribeGroupsRequest_v3):
    """aiokafka 0.14.0 reads the answer by version 2, which leaves out what is asked for."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _DescribeGroup(Request[_DescribeGroupsStruct]):
    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_DescribeGroupsStruct]) -> _DescribeGroupsStruct:
        return request_struct_class([self._group], True)


_NOT_SAID: Final = -(2**31)
_COORDINATED_WITHIN_S: Final = 15.0
_GROUP, _TRANSACTIONAL_ID = 0, 1


@dataclass(frozen=True)
class Allowed:
    """
    What this process may do.

    Attributes:
        topics: Of each topic that is shown to it.
        groups: Of each that was asked for.
        transactional_ids: Of those that were asked for, which it may use.
    """

    topics: Mapping[str, frozenset[Operation]]
    groups: Mapping[str, frozenset[Operation]] = field(default_factory=dict)
    transactional_ids: frozenset[str] = frozenset()


async def allowed(
    connection: Connection,
    *,
    topics: Sequence[str] | None = None,
    groups: Iterable[str] = (),
    transactional_ids: Iterable[str] = (),
) -> Allowed | None:
    """
    Ask the broker; None: it knows no rights, as the embedded one.

    Args:
        topics: Of which it is asked; None: of all that it shows.

    Raises:
        NotReachable: It does not answer.
    """
    async with Offsets(connection) as asked:
        client = asked._consumer._client
        try:
            said: Any = await client.send(client.get_random_node(), _Metadata(topics))
            shown = [topic for topic in said.topics if not topic[0]]  # of others it says nothing
            if any(topic[4] == _NOT_SAID for topic in shown):
                return None
            if not shown:  # as one that has just come back, for a moment
                raise NotReachable(f"`{connection.bootstrap}` shows this process no topic")
            return Allowed(
                topics={name: _operations(bits) for _, name, _, _, bits in shown},
                groups={group: await _of_group(client, group) for group in groups},
                transactional_ids=frozenset([t for t in transactional_ids if await _may_write_under(client, t)]),
            )
        except KafkaError as exc:
            raise NotReachable(
                f"`{connection.bootstrap}` does not say what this process may do ({type(exc).__name__})"
            ) from exc


def missing(wanted: Iterable[Right], there: Allowed, *, expected: Iterable[str] = ()) -> list[Right]:
    """
    Which of these rights a process lacks, each by the topic that it is about.

    Args:
        expected: The topics that there should be: one that may not be described is not shown.
    """
    names = sorted({*there.topics, *expected})
    found = []
    for right in wanted:
        if right.of is Of.TOPIC:
            about = [n for n in names if n.startswith(right.name)] if right.prefixed else [right.name]
            if right.operation == Operation.DESCRIBE_CONFIGS.name:
                about = [n for n in about if n in there.topics]  # of one that is not shown, what hides it is named
            lacking = [n for n in about if Operation[right.operation] not in there.topics.get(n, ())]
            found += [Right(right.principal, right.operation, Of.TOPIC, name) for name in lacking]
        elif right.of is Of.GROUP:
            found += [right] if Operation[right.operation] not in there.groups.get(right.name, ()) else []
        elif right.name not in there.transactional_ids:
            found.append(right)
    return found


def _operations(bits: int) -> frozenset[Operation]:
    return frozenset(each for each in Operation if bits & (1 << each))


async def _of_group(client: Any, group: str) -> frozenset[Operation]:
    """Whoever coordinates a group says it; who may not even describe it is not told who that is."""
    give_up_at = time.monotonic() + _COORDINATED_WITHIN_S
    while True:
        found = await client.send(client.get_random_node(), FindCoordinatorRequest(group, _GROUP))
        error, bits = found.error_code, 0
        if not error:
            said = await client.send(found.coordinator_id, _DescribeGroup(group))
            error, *_, bits = said.groups[0]
        if error == GroupAuthorizationFailedError.errno:
            return frozenset()
        if not error:
            return _operations(bits)
        # A new broker makes the topic of its groups when it is first asked, and reads it a moment later.
        if time.monotonic() > give_up_at:
            raise for_code(error)()
        await asyncio.sleep(0.1)


async def _may_write_under(client: Any, transactional_id: str) -> bool:
    """Who may not describe it is not told who coordinates it; who may describe and not write is told at its start."""
    said = await client.send(client.get_random_node(), FindCoordinatorRequest(transactional_id, _TRANSACTIONAL_ID))
    return bool(said.error_code != TransactionalIdAuthorizationFailed.errno)
