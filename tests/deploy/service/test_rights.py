"""Who may do what, as one table; and that the broker gives exactly that, seen by each principal itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from a_secured_broker import SecuredBroker, open_secured

from safebus.deploy.service import rights
from safebus.deploy.service.rights import of_bus
from safebus.schemas import topics
from safebus.schemas.errors import NotAllowed, NotReachable
from safebus.schemas.kafka import acls
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.allowed import Allowed, Of, Operation, Right, allowed, missing
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer

PARTNERS = ("police", "mash", "mash-two")
TABLE = topics.table(PARTNERS, PARTNERS)
RIGHTS = of_bus(PARTNERS, PARTNERS, importers=["mash"], operators=["op-anna"])
PRINCIPALS = sorted({right.principal for right in RIGHTS})
GROUPS = ["safebus-worker", *(f"adapter-{p}" for p in PARTNERS)]
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


def test_only_the_worker_writes_notifications_and_only_an_agency_its_events() -> None:
    """The table itself, whatever a broker makes of it."""

    def who(operation: str, topic: str) -> set[str]:
        return {
            r.principal
            for r in RIGHTS
            if r.of is Of.TOPIC
            and r.operation == operation
            and (topic.startswith(r.name) if r.prefixed else topic == r.name)
        }

    assert who("WRITE", "out.mash") == {"worker"}
    assert who("WRITE", "decisions") == {"worker"}
    assert who("WRITE", "register") == {"registrar"}
    assert who("WRITE", "in.police") == {"police"}
    assert who("READ", "in.police") == {"worker", "auditor", "op-anna"}
    assert who("READ", "out.mash") == {"adapter-mash", "auditor", "op-anna"}
    assert who("WRITE", "receipts.mash") == {"adapter-mash", "op-anna"}  # a name that begins so is another's
    assert who("WRITE", "quarantine") == {"worker", "importer-mash"}
    assert {r.operation for r in RIGHTS} <= {"READ", "WRITE", "DESCRIBE"}
    assert {r.principal for r in RIGHTS if r.of is Of.TRANSACTIONAL_ID} == {"worker"}


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
        assert there.groups == {r.name for r in mine if r.of is Of.GROUP}
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


async def test_who_may_write_nothing_or_not_there_is_told(secured: SecuredBroker) -> None:
    nobody = Writer(secured.connection("nobody"), client_id="test")
    police = Writer(secured.connection("police"), client_id="test")
    thief = Writer(secured.connection("police"), client_id="test", transactional_id="safebus-decisions-1")

    with pytest.raises(NotAllowed, match="lets this certificate write to no topic"):
        await nobody.start()
    await police.start()
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


def test_a_right_is_missing_also_where_nothing_is_shown() -> None:
    nothing = Allowed({})

    found = missing(rights.of_adapter("mash"), nothing)

    assert [str(right) for right in found] == [
        "READ on topic `out.mash`",
        "READ on topic `receipts.mash`",
        "READ on topic `register`",
        "WRITE on topic `receipts.mash`",
        "WRITE on topic `parked.mash`",
        "READ on group `adapter-mash`",
    ]


async def test_a_broker_that_does_not_say_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acls, "ANSWER_WITHIN_S", 0.5)
    with pytest.raises(NotReachable, match="no broker answers"):
        await allowed(Connection("127.0.0.1:1"))
    with pytest.raises(NotReachable, match="does not show rights"):
        acls.given({"bootstrap.servers": "127.0.0.1:1", "log_level": "0"})
    with pytest.raises(NotReachable, match="refused to change rights"):
        acls.change({"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}, give=RIGHTS[:1], take=())
