"""
Whoever steals the certificate and the keys of one role can do what that role does, and nothing of any other.

Apache Kafka with mutual TLS and the rights that `safebus rights apply` gives. First everything is tried with each
certificate, then each key. What lies are left for each role on a running bus: `test_forgeries`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from a_secured_broker import SecuredBroker, open_secured
from a_thief import Cluster, Deed, Things, everything_that, said_in_words, write_before

from safebus.deploy.service import key_files
from safebus.deploy.service.rights import of_bus
from safebus.deploy.service.settings import load
from safebus.schemas import sealing, topics
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.writer import Message, Writer

pytestmark = pytest.mark.flow

AGENCIES = ("police", "school", "school-two")

#: What each can do of all that there is. `in.*`: all of that name.
CAN = {
    "police": ("writes in.police, operations",),
    "adapter-school": (
        "reads out.school, receipts.school, register",
        "writes receipts.school, parked.school",
        "moves the offsets of adapter-school",
        "sees the offsets of adapter-school",
        "joins adapter-school",
    ),
    "importer-police": ("writes in.police, quarantine, operations",),
    "registrar": ("reads register, operations", "writes register, operations"),
    "worker": (
        "reads in.*, register, decisions",
        "writes decisions, quarantine, out.*",
        "sees settings of in.*, out.*, register, decisions, quarantine",
        "moves the offsets of safebus-worker",
        "sees the offsets of safebus-worker",
        "joins safebus-worker",
        "takes over safebus-decisions-*",
    ),
    "auditor": (
        "reads in.*, out.*, receipts.*, parked.*, register, decisions, quarantine, operations",
        "writes operations",
        "sees settings of out.*",
        "sees the offsets of safebus-worker, adapter-*",
    ),
    "op-anna": (
        "reads in.*, out.*, receipts.*, parked.*, register, decisions, quarantine, operations",
        "writes operations, receipts.*, parked.*",
        "sees settings of out.*",
        "sees the offsets of safebus-worker, adapter-*",
    ),
    "somebody": (),
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("stolen")) as found:
        table = topics.table(AGENCIES, AGENCIES)
        client = found.admin.admin_client()
        ensure_topics(client, {t.name: t.partitions for t in table}, configs={t.name: t.config() for t in table})
        found.give(*of_bus(AGENCIES, AGENCIES, importers=["police"], operators=["op-anna"]))
        yield found


@pytest.fixture(scope="module")
def things() -> Things:
    """Everything that there is on this bus, and what Kafka keeps for itself."""
    return Things(
        topics=[*(t.name for t in topics.table(AGENCIES, AGENCIES)), "__consumer_offsets", "__transaction_state"],
        groups=["safebus-worker", *(f"adapter-{agency}" for agency in AGENCIES), "a-group-of-their-own"],
        transactional_ids=["safebus-decisions-0", "safebus-decisions-3", "police", "importer-police", "anything"],
    )


@pytest.mark.parametrize("role", CAN)
async def test_a_stolen_certificate_does_what_its_role_does_and_nothing_else(
    secured: SecuredBroker, things: Things, role: str
) -> None:
    """Also: nobody deletes, empties or changes a topic, or touches rights or the broker."""
    assert await everything_that(secured.settings(role), things) == said_in_words(CAN[role], things)


async def test_each_deed_can_be_done_so_that_a_refusal_says_something(secured: SecuredBroker) -> None:
    """By who may do everything, on things that nobody else uses."""
    ensure_topics(secured.admin.admin_client(), {"spare": 1}, configs={})
    spare = Things(topics=["spare"], groups=["spare"], transactional_ids=["spare"])

    done = await everything_that(secured.admin, spare)

    assert done == {deed: frozenset({"spare"}) for deed in Deed} | {Deed.CLUSTER: frozenset(Cluster)}


#: What the key files of a role are good for, beside the certificate. An agency has its own secret for case keys alone.
KEYS = {
    "worker": {"make tokens of people", "work out ids", "digest bytes", "seal"},
    "registrar": {"make tokens of people", "work out ids", "digest bytes"},
    "adapter": {"digest bytes"},
    "importer": {"seal"},
    "auditor": {"make tokens of people", "work out ids", "digest bytes"},
    "operator": {"digest bytes", "open originals"},
    "agency": {"make case keys"},
}


def test_stolen_keys_do_what_their_role_needs_and_nothing_else(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    key_files.init(whole)
    for role in key_files.ROLES:
        key_files.export(whole, role, tmp_path / role)
    key_files.init_cases(tmp_path / "agency", ["police"])
    sealed = sealing.seal(b"an original", public_key=key_files.seal_public(whole), context="here")

    def uses(home: Path) -> set[str]:
        found = load({"SAFEBUS_HOME": str(home)})
        tried: dict[str, Callable[[], object]] = {
            "make tokens of people": lambda: found.person_key().token("nhs", "9990079196"),
            "work out ids": lambda: found.person_key().id("notification", "x"),
            "digest bytes": lambda: found.digest_key().digest(b"x"),
            "seal": found.seal_public,
            "open originals": lambda: sealing.unseal(sealed, private_key=found.seal_private(), context="here"),
            "make case keys": lambda: found.case_secret("police"),
        }
        done = set()
        for use, try_ in tried.items():
            with contextlib.suppress(BadInput):
                try_()
                done.add(use)
        return done

    assert {role: uses(tmp_path / role) for role in KEYS} == KEYS
    assert set(KEYS) == {*key_files.ROLES, "agency"}


@pytest.mark.parametrize(
    ("thief", "victim", "topic"),
    [
        ("police", "op-anna", topics.OPERATIONS),
        ("importer-police", "worker", topics.QUARANTINE),
        ("op-anna", "adapter-school", "receipts.school"),
        ("importer-police", "police", "in.police"),
    ],
)
async def test_nobody_can_make_the_broker_acknowledge_what_it_does_not_keep(
    secured: SecuredBroker, thief: str, victim: str, topic: str
) -> None:
    """
    A broker tells repeats by a producer id that it counts up and that nobody has to prove. Whoever writes first under
    the next one makes it take another's first record for a repeat: an operator's look at a child would be on no record.
    """
    await write_before(secured.settings(thief), topic, value=b"written before")
    outbound = Writer(secured.connection(victim), client_id="test")
    await outbound.start()
    [(partition, offset)] = await outbound.send_all([Message(topic, b"k", b"what the victim does", (), 0)])
    await outbound.stop()

    kept = {
        (m.partition, m.offset): m.value
        async for m in read_topic(secured.admin.connection(), topic, partitions=[partition])
    }
    assert kept[partition, offset] == b"what the victim does"
