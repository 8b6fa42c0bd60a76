"""What the broker lets each principal do is what it says, to each of them; and what is taken away is named."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a_secured_broker import SecuredBroker, open_secured
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from safebus.consumers.delivery.source import Source
from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.deploy.service.rights import of_bus
from safebus.schemas import topics
from safebus.schemas.errors import NotAllowed, NotReachable
from safebus.schemas.kafka import acls
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.allowed import Of, Operation, Right, allowed, missing
from safebus.schemas.kafka.connection import Connection, is_about_a_right, may_not_read
from safebus.schemas.kafka.writer import Message, Writer

ALLOW, DENY = AclPermissionType.ALLOW, AclPermissionType.DENY
PARTNERS = ("police", "mash", "mash-two")
TABLE = topics.table(PARTNERS, PARTNERS)
RIGHTS = of_bus(PARTNERS, PARTNERS, importers=["mash"], operators=["op-anna"])
PRINCIPALS = sorted({right.principal for right in RIGHTS})
#: The last stands for all that begin so, as in `rights.lacking`.
GROUPS = ["safebus-worker", *(f"adapter-{p}" for p in PARTNERS), "adapter-"]
IDS = ["safebus-decisions-", "safebus-decisions-3"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("secured")) as found:
        ensure_topics(
            found.admin.admin_client(),
            {t.name: t.partitions for t in TABLE},
            configs={t.name: t.config() for t in TABLE},
        )
        found.give(*RIGHTS)
        yield found


async def test_each_principal_may_do_what_the_table_says_and_nothing_else(secured: SecuredBroker) -> None:
    assert acls.given(secured.admin.admin_client()) == RIGHTS
    for principal in PRINCIPALS:
        mine = [right for right in RIGHTS if right.principal == principal]
        there = await allowed(secured.connection(principal), groups=GROUPS, transactional_ids=IDS)
        assert there is not None
        assert missing(mine, there, expected=[t.name for t in TABLE]) == []
        for topic in TABLE:
            stated = {
                Operation[r.operation]
                for r in mine
                if r.of is Of.TOPIC and (topic.name.startswith(r.name) if r.prefixed else topic.name == r.name)
            }
            implied = {Operation.DESCRIBE} if stated else set()
            assert there.topics.get(topic.name, frozenset()) == stated | implied, (principal, topic.name)
        for group in GROUPS:
            stated = {
                Operation[r.operation]
                for r in mine
                if r.of is Of.GROUP and (group.startswith(r.name) if r.prefixed else group == r.name)
            }
            implied = {Operation.DESCRIBE} if stated else set()
            assert there.groups[group] == stated | implied, (principal, group)
        assert there.transactional_ids == (frozenset(IDS) if principal == "worker" else frozenset())


async def test_each_right_that_is_taken_away_is_named(secured: SecuredBroker) -> None:
    """One after the other, and given back; what is not shown any more is named too."""
    for right in RIGHTS:
        mine = [r for r in RIGHTS if r.principal == right.principal]
        secured.take(right)
        try:
            there = await allowed(secured.connection(right.principal), groups=GROUPS, transactional_ids=IDS)
            assert there is not None
            lacking = missing(mine, there, expected=[t.name for t in TABLE])
        finally:
            secured.give(right)
        assert lacking, right
        named = {(r.operation, r.of) for r in lacking}
        assert named == {(right.operation, right.of)}
        assert all(r.name.startswith(right.name) for r in lacking)


async def test_who_may_describe_a_group_and_not_read_it_is_named(secured: SecuredBroker) -> None:
    """Else it waits in no group for ever and looks like a spare."""
    read, describe = (Right("worker", how, Of.GROUP, "safebus-worker") for how in ("READ", "DESCRIBE"))
    secured.give(describe)
    secured.take(read)
    try:
        there = await allowed(secured.connection("worker"), groups=["safebus-worker"])
    finally:
        secured.give(read)
        secured.take(describe)

    assert there is not None and missing([read], there) == [read]


async def test_a_broker_that_cannot_have_groups_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make the topic of its groups with a copy on a second node, which is not there."""
    monkeypatch.setattr("safebus.schemas.kafka.allowed._COORDINATED_WITHIN_S", 0.3)
    alone = KafkaBroker(tmp_path, settings={"offsets.topic.replication.factor": "2"})
    alone.start()
    try:
        alone.create_topics({"one": 1})
        with pytest.raises(NotReachable, match=r"what this process may do \(GroupCoordinatorNotAvailableError\)"):
            await allowed(Connection(alone.bootstrap), groups=["a-group"])
    finally:
        alone.stop()


async def test_who_may_write_nothing_or_not_there_is_told(secured: SecuredBroker) -> None:
    nobody = Writer(secured.connection("nobody"), client_id="test")
    police = Writer(secured.connection("police"), client_id="test")
    thief = Writer(secured.connection("police"), client_id="test", transactional_id="safebus-decisions-1")

    await nobody.start()
    await police.start()
    with pytest.raises(NotAllowed, match=r"may not write to `in\.mash`; ask the operator for WRITE on it"):
        await nobody.send_all([Message("in.mash", b"k", b"v")])
    with pytest.raises(NotAllowed, match=r"may not write to `in\.mash`; ask the operator for WRITE on it"):
        await police.send_all([Message("in.mash", b"k", b"v")])
    with pytest.raises(NotAllowed, match="may not write under its transactional id"):
        await thief.start()
    for each in (nobody, police, thief):
        await each.stop()


async def test_what_one_topic_refuses_keeps_no_other_from_being_written(secured: SecuredBroker) -> None:
    """Also what may be described and not written, and what is too large for one topic alone."""
    shown = Right("worker", "DESCRIBE", Of.TOPIC, "out.mash-two")
    every = Right("worker", "WRITE", Of.TOPIC, "out.", prefixed=True)
    secured.give(shown, Right("worker", "WRITE", Of.TOPIC, "out.police"))
    secured.take(every)
    outbound = Writer(secured.connection("worker"), client_id="test")
    await outbound.start()
    try:
        sent = [Message(f"out.{p}", b"k", str(n).encode()) for n in range(3) for p in ("mash", "police", "mash-two")]
        refused = await outbound.send_each(sent)
        again = await outbound.send_each(sent)
        await outbound.renew()
        secured.give(every)
        async with asyncio.timeout(30):
            while left := await outbound.send_each(sent):
                assert {r.message.topic for r in left} <= {"out.mash", "out.mash-two"}
                await asyncio.sleep(0.1)
    finally:
        await outbound.stop()
        secured.give(every)
        secured.take(shown, Right("worker", "WRITE", Of.TOPIC, "out.police"))

    for found in (refused, again):
        assert sorted(r.message.topic for r in found) == ["out.mash"] * 3 + ["out.mash-two"] * 3
        assert {type(r.why) for r in found} == {NotAllowed}
    assert left == []


async def test_who_may_not_read_a_topic_or_its_group_is_told(secured: SecuredBroker) -> None:
    for right in (
        Right("adapter-mash", "READ", Of.GROUP, "adapter-mash"),
        Right("adapter-mash", "READ", Of.TOPIC, "out.mash"),
    ):
        source = Source(secured.connection("adapter-mash"), partner="mash", revoked=_nothing, assigned=_nothing)
        await source.start()
        outbound = Writer(secured.connection("worker"), client_id="test")
        await outbound.start()
        await outbound.send_all([Message("out.mash", b"k", b"v")])
        await outbound.stop()
        async with asyncio.timeout(60):
            while not await source.fetch(0.1):  # in its group, with something to commit
                pass
        secured.take(right)
        try:
            with pytest.raises(NotAllowed, match=r"may not read .*`out\.mash`"):
                async with asyncio.timeout(60):
                    while True:
                        if right.of is Of.GROUP:
                            await source.confirm()  # at once False where it has been put out: then fetching says it
                        await source.fetch(0.1)
        finally:
            secured.give(right)
            with contextlib.suppress(NotReachable):  # it may not commit either
                await source.stop()


async def _nothing(*_: object) -> None:
    """Nobody is told."""


def test_what_the_client_keeps_of_an_error_about_a_right_is_recognised() -> None:
    """Of some it keeps only how they print, of some only the cause."""
    printed = KafkaError("GroupAuthorizationFailedError('adapter-mash')")
    caused = NotReachable("out.mash could not be read")
    caused.__cause__ = TopicAuthorizationFailedError("out.mash")

    assert is_about_a_right(printed) and is_about_a_right(caused) and is_about_a_right(NotAllowed(""))
    assert not is_about_a_right(KafkaError("no leader")) and not is_about_a_right(None)
    assert str(may_not_read("out.mash", printed)).startswith("this certificate may not read the group that reads")


def test_a_change_that_is_not_shown_is_not_taken_for_done(
    secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acls, "ANSWER_WITHIN_S", 1.0)
    stray = Right("nobody", "READ", Of.TOPIC, "nothing")

    with pytest.raises(NotReachable, match="took a change of rights and did not show it within 1 s"):
        acls.change(secured.admin.admin_client(), give=[stray], take=[stray])
    monkeypatch.undo()
    secured.take(stray)


async def test_the_embedded_broker_knows_no_rights(embedded_broker: Broker, fresh: str) -> None:
    embedded_broker.create_topics({fresh: 4})

    assert await allowed(Connection(embedded_broker.bootstrap)) is None


def test_a_right_reads_as_one_would_say_it() -> None:
    assert str(Right("worker", "WRITE", Of.TOPIC, "out.", prefixed=True)) == "WRITE on topic `out.*`"
    assert str(Right("worker", "READ", Of.GROUP, "safebus-worker")) == "READ on group `safebus-worker`"


def test_a_rule_of_another_kind_than_the_bus_makes_is_named(secured: SecuredBroker) -> None:
    """One that denies, is for everybody or about the cluster: it lets in, or keeps out, beside the table."""
    one, all_ = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    rules: list[Any] = [
        (ResourceType.TOPIC, "in.", all_, "User:worker", "*", AclOperation.READ, DENY),
        (ResourceType.TOPIC, "in.x", one, "User:*", "*", AclOperation.READ, ALLOW),
        (ResourceType.TOPIC, "in.x", one, "User:y", "10.0.0.1", AclOperation.READ, ALLOW),
        (ResourceType.BROKER, "kafka-cluster", one, "User:y", "*", AclOperation.ALTER, ALLOW),
    ]
    admin = AdminClient(secured.admin.admin_client())
    before = acls.given(secured.admin.admin_client())
    for future in admin.create_acls([AclBinding(*rule) for rule in rules]).values():
        future.result(30)
    try:
        give_up_at = time.monotonic() + 30
        while len(found := acls.odd(secured.admin.admin_client())) < 4 and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert acls.given(secured.admin.admin_client()) == before
    finally:
        for future in admin.delete_acls([AclBindingFilter(*rule) for rule in rules]).values():
            future.result(30)

    assert found == [
        "ALLOW User:* READ on TOPIC `in.x` from host *",
        "ALLOW User:y ALTER on BROKER `kafka-cluster` from host *",
        "ALLOW User:y READ on TOPIC `in.x` from host 10.0.0.1",
        "DENY User:worker READ on TOPIC `in.` from host *",
    ]


def test_who_may_not_see_rights_is_not_told_that_there_are_none(secured: SecuredBroker, tmp_path: Path) -> None:
    """Else `safebus rights plan` says of a bus that is in order that every right is missing."""
    with pytest.raises(NotReachable, match="does not show rights to this certificate: it needs DESCRIBE on the"):
        acls.given(secured.settings("op-anna").admin_client())
    with open_secured(tmp_path) as empty:
        assert acls.given(empty.admin.admin_client()) == []


async def test_who_is_shown_nothing_is_told(secured: SecuredBroker) -> None:
    """Also of a broker that has just come back, for a moment: what is taken away then is nobody's right."""
    with pytest.raises(NotReachable, match="shows this process no topic"):
        await allowed(secured.connection("nobody"))


async def test_a_broker_that_goes_away_before_it_says_is_not_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def as_if_it_had_been_there(_self: AIOKafkaConsumer) -> None:
        return None

    monkeypatch.setattr(AIOKafkaConsumer, "start", as_if_it_had_been_there)
    with pytest.raises(NotReachable, match="does not say what this process may do"):
        await allowed(Connection("127.0.0.1:1"))


async def test_a_broker_that_does_not_say_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acls, "ANSWER_WITHIN_S", 0.5)
    with pytest.raises(NotReachable, match="no broker answers"):
        await allowed(Connection("127.0.0.1:1"))
    with pytest.raises(NotReachable, match="does not show rights"):
        acls.given({"bootstrap.servers": "127.0.0.1:1", "log_level": "0"})
    with pytest.raises(NotReachable, match="refused to change rights"):
        acls.change({"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}, give=RIGHTS[:1], take=())
