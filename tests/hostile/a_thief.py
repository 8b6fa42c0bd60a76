"""
What can somebody do who holds the certificate of one role?

Everything is asked of the broker itself, about everything that is there, by name; nothing is concluded from what a
client library shows. What the broker answers with is either "done" or one of a few refusals: any other answer fails,
because a question that was put wrongly would look like a right that is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from a_batch import batch, record
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteRecordsRequest, DescribeAclsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from safebus.deploy.service.settings import Settings

_WITHIN_S = 30.0


class Deed(StrEnum):
    """What is tried, in words of who would do it."""

    READ = "reads"
    WRITE = "writes"
    EMPTY = "deletes records of"
    DELETE = "deletes topic"
    CHANGE = "changes settings of"
    LOOK = "sees settings of"
    ADD = "adds partitions to"
    COMMIT = "moves the offsets of"
    JOIN = "joins"
    FOLLOW = "sees the offsets of"
    DISBAND = "deletes group"
    FENCE = "takes over"
    CLUSTER = "does to the cluster"


class Cluster(StrEnum):
    """What is about no topic and no group."""

    NEW_TOPIC = "make a topic"
    GIVE_RIGHTS = "give rights"
    TAKE_RIGHTS = "take rights away"
    SEE_RIGHTS = "see rights"
    SET_BROKER = "change the broker"


@dataclass(frozen=True)
class Things:
    """What there is: names of topics (of which each has a partition 0), groups and transactional ids."""

    topics: Sequence[str]
    groups: Sequence[str]
    transactional_ids: Sequence[str]


#: Of an answer by number. NONE; of what may be done though nothing is there: OFFSET_OUT_OF_RANGE, UNKNOWN_MEMBER_ID,
#: GROUP_ID_NOT_FOUND, MEMBER_ID_REQUIRED (it is given one to come again with).
_DONE = {0, 1, 25, 69, 79}
#: TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID_AUTHORIZATION_FAILED; UNKNOWN_TOPIC_OR_PARTITION: it may not know of it.
_REFUSED = {29, 30, 31, 53, 3}
#: COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS
_NOT_YET = {14, 15, 16, 51}


async def everything_that(thief: Settings, things: Things) -> dict[Deed, frozenset[str]]:
    """
    What is done of all that can be tried, by deed; deeds that succeed with nothing are left out.

    Raises:
        AssertionError: The broker gave an answer that says neither yes nor no.
    """
    client = AIOKafkaClient(**thief.connection().settings())
    await client.bootstrap()
    try:
        asked = _Asked(client)
        tried: dict[Deed, tuple[Callable[[str], Awaitable[int]], Sequence[str]]] = {
            Deed.READ: (asked.read, things.topics),
            Deed.WRITE: (asked.write, things.topics),
            Deed.EMPTY: (asked.empty, things.topics),
            Deed.FOLLOW: (asked.follow, things.groups),
            Deed.COMMIT: (asked.commit, things.groups),
            Deed.JOIN: (asked.join, things.groups),
            Deed.FENCE: (asked.fence, things.transactional_ids),
        }
        found = {
            deed: frozenset([n for n in names if _is_done(await try_(n))]) for deed, (try_, names) in tried.items()
        }
        sees_rights = _is_done(await asked.see_rights())
    finally:
        await client.close()
    found |= await asyncio.to_thread(_administered, AdminClient({**thief.admin_client(), "log_level": 0}), things)
    found[Deed.CLUSTER] |= {Cluster.SEE_RIGHTS} if sees_rights else set()
    return {deed: names for deed, names in found.items() if names}


def _is_done(code: int) -> bool:
    assert code in _DONE | _REFUSED, for_code(code)
    return code in _DONE


class _Asked:
    """Each question as bytes of the protocol: a client library would not even ask about what it is not shown."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def _send(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)

    async def read(self, topic: str) -> int:
        answer = await self._send(FetchRequest(0, 0, 1 << 20, 0, [(topic, [(0, 0, 1 << 20)])]))
        return int(answer.topics[0][1][0][1])

    async def write(self, topic: str) -> int:
        raw = batch(record(0, key=b"a thief", value=b"not of the bus"), 1)
        answer = await self._send(ProduceRequest(None, -1, 5000, [(topic, [(0, raw)])]))
        return int(answer.topics[0][1][0][1])

    async def empty(self, topic: str) -> int:
        answer = await self._send(DeleteRecordsRequest([(topic, [(0, -1)])], 5000))
        return int(answer.topics[0][1][0][2])

    async def follow(self, group: str) -> int:
        return await self._of_group(group, OffsetFetchRequest(group, None), lambda answer: answer.error_code)

    async def commit(self, group: str) -> int:
        """About a topic that all may read who read in any group."""
        wanted = OffsetCommitRequest(group, -1, "", -1, [("register", [(0, 1, "")])])
        return await self._of_group(group, wanted, lambda answer: answer.topics[0][1][0][1])

    async def join(self, group: str) -> int:
        wanted = JoinGroupRequest(group, 6000, 6000, "", None, "consumer", [("range", b"")])  # type: ignore[arg-type]
        return await self._of_group(group, wanted, lambda answer: answer.error_code)

    async def _of_group(self, group: str, request: Any, error: Callable[[Any], int]) -> int:
        while (code := int(error(await self._send(request)))) in _NOT_YET:
            await self._send(FindCoordinatorRequest(group, 0))
            await asyncio.sleep(0.05)
        return code

    async def see_rights(self) -> int:
        """confluent-kafka takes a refusal for an empty list."""
        every, any_ = 1, 1
        answer = await self._send(DescribeAclsRequest(every, None, any_, None, None, any_, any_))  # type: ignore[arg-type]
        return int(answer.error_code)

    async def fence(self, transactional_id: str) -> int:
        while (code := (await self._send(InitProducerIdRequest(transactional_id, 5000))).error_code) in _NOT_YET:
            await self._send(FindCoordinatorRequest(transactional_id, 1))
            await asyncio.sleep(0.05)
        return int(code)


def _administered(admin: Any, things: Things) -> dict[Deed, frozenset[str]]:
    """What an admin client does, on all topics or groups at once; what cannot be undone comes last."""
    change = [ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)]
    kind, of_broker = ConfigResource.Type.TOPIC, ConfigResource.Type.BROKER
    right = ("a-thief", ResourcePatternType.LITERAL, "User:a-thief", "*", AclOperation.ALL, AclPermissionType.ALLOW)
    within: dict[str, Any] = {"request_timeout": _WITHIN_S}

    def by_name(futures: Mapping[Any, Future[Any]]) -> dict[str, Future[Any]]:
        return {getattr(at, "name", at): future for at, future in futures.items()}

    looked = admin.describe_configs([ConfigResource(kind, t) for t in things.topics], **within)
    changed = admin.incremental_alter_configs(
        [ConfigResource(kind, t, incremental_configs=change) for t in things.topics], **within
    )
    added = admin.create_partitions([NewPartitions(t, 9) for t in things.topics], **within)
    broker = ConfigResource(of_broker, "1", incremental_configs=[_setting("log.cleaner.threads", "2")])
    cluster: dict[str, Future[Any]] = {
        Cluster.NEW_TOPIC: next(iter(admin.create_topics([NewTopic("in.a-thief", 1, 1)], **within).values())),
        Cluster.GIVE_RIGHTS: next(iter(admin.create_acls([AclBinding(ResourceType.TOPIC, *right)], **within).values())),
        Cluster.TAKE_RIGHTS: next(
            iter(admin.delete_acls([AclBindingFilter(ResourceType.TOPIC, *right)], **within).values())
        ),
        Cluster.SET_BROKER: next(iter(admin.incremental_alter_configs([broker], **within).values())),
    }
    found = {
        Deed.LOOK: _done(by_name(looked)),
        Deed.CHANGE: _done(by_name(changed)),
        Deed.ADD: _done(added),
        Deed.CLUSTER: _done(cluster),
    }
    found[Deed.DISBAND] = _done(admin.delete_consumer_groups(list(things.groups), **within))
    found[Deed.DELETE] = _done(admin.delete_topics(list(things.topics), **within))
    return found


def _setting(name: str, value: str) -> ConfigEntry:
    return ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)


_ANSWERED_NO = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # it may not even be known that this one is there
}


def _done(futures: Mapping[str, Future[Any]]) -> frozenset[str]:
    return frozenset(name for name, future in futures.items() if _is_let(future))


def _is_let(future: Future[Any]) -> bool:
    try:
        future.result(2 * _WITHIN_S)
    except KafkaException as exc:
        code = exc.args[0].code()
        if code == KafkaError.GROUP_ID_NOT_FOUND or code == KafkaError.NON_EMPTY_GROUP:
            return True
        assert code in _ANSWERED_NO, exc
        return False
    return True


async def write_before(thief: Settings, victims_topic: str, *, value: bytes, many: int = 50) -> None:
    """
    Write under the producer ids that the broker will give to whoever comes next: they are counted up.

    Args:
        many: How many of them.
    """
    client = AIOKafkaClient(**thief.connection().settings())
    await client.bootstrap()
    try:
        mine = (await client.send(client.get_random_node(), InitProducerIdRequest(None, 5000))).producer_id  # type: ignore[arg-type]
        for ahead in range(1, many + 1):
            raw = batch(record(0, value=value), 1, producer_id=mine + ahead)
            answer = await client.send(
                client.get_random_node(), ProduceRequest(None, -1, 5000, [(victims_topic, [(0, raw)])])
            )
            assert answer.topics[0][1][0][1] == 0
    finally:
        await client.close()


def said_in_words(rows: Iterable[str], things: Things) -> dict[Deed, frozenset[str]]:
    """`reads in.*, register` -> the deed and every topic, group or id of that name that there is."""
    every = (*things.topics, *things.groups, *things.transactional_ids)
    found: dict[Deed, frozenset[str]] = {}
    for row in rows:
        deed = next(d for d in Deed if row.startswith(f"{d} "))
        names = row.removeprefix(f"{deed} ").split(", ")
        found[deed] = frozenset(
            n for name in names for n in every if n == name or (name.endswith("*") and n.startswith(name[:-1]))
        ) or frozenset(names)
    return found
