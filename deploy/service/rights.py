"""
Which rights does each process of the bus have, and no more?

One table, of which the broker's ACLs are made (`safebus rights apply`) and by which every process looks at itself.
A principal is the common name in a certificate:

    worker, registrar, auditor     the processes of the bus
    adapter-<partner>              who delivers to one partner
    <agency>                       an agency that publishes
    importer-<agency>              who publishes for one that sends in another form
    any other name                 a person who uses the commands, as operator
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from safebus.schemas import topics
from safebus.schemas.identifiers import is_a_process
from safebus.schemas.kafka.allowed import Of, Operation, Right, allowed, missing
from safebus.schemas.kafka.connection import Connection
from safebus.streams.worker.app import GROUP
from safebus.streams.worker.decision_log import TRANSACTIONAL_ID

READ, WRITE, DESCRIBE = Operation.READ.name, Operation.WRITE.name, Operation.DESCRIBE.name
DESCRIBE_CONFIGS = Operation.DESCRIBE_CONFIGS.name


def _topics(principal: str, operation: str, *names: str, prefixed: bool = False) -> Iterator[Right]:
    for name in names:
        yield Right(principal, operation, Of.TOPIC, name, prefixed)


def of_worker(name: str = "worker") -> list[Right]:
    """
    Decides: reads what agencies publish and the register, writes decisions, notifications, quarantine.

    It sees the settings of these, to say when one is changed under it.
    """
    published, sent = (
        topics.published_by("agency").removesuffix("agency"),
        topics.notifications_for("agency").removesuffix("agency"),
    )
    fixed = (topics.REGISTER, topics.DECISIONS, topics.QUARANTINE)
    return [
        *_topics(name, READ, published, prefixed=True),
        *_topics(name, READ, topics.REGISTER, topics.DECISIONS),
        *_topics(name, WRITE, topics.DECISIONS, topics.QUARANTINE),
        *_topics(name, WRITE, sent, prefixed=True),
        *_topics(name, DESCRIBE_CONFIGS, published, sent, prefixed=True),
        *_topics(name, DESCRIBE_CONFIGS, *fixed),
        Right(name, READ, Of.GROUP, GROUP),
        Right(name, WRITE, Of.TRANSACTIONAL_ID, TRANSACTIONAL_ID, prefixed=True),
    ]


def sees_settings_of(topic: str) -> bool:
    """Is it one whose settings a worker looks at?"""
    return any(
        topic.startswith(right.name) if right.prefixed else topic == right.name
        for right in of_worker()
        if right.operation == DESCRIBE_CONFIGS
    )


def of_adapter(partner: str, name: str = "") -> list[Right]:
    """Delivers to one partner, and knows of no other; `name`: of one that delivers to several."""
    name = name or f"adapter-{partner}"
    return [
        *_topics(name, READ, topics.notifications_for(partner), topics.receipts_from(partner), topics.REGISTER),
        *_topics(name, WRITE, topics.receipts_from(partner), topics.parked_for(partner)),
        Right(name, READ, Of.GROUP, f"adapter-{partner}"),
    ]


def of_reader() -> list[Right]:
    """Whatever decides or delivers reads the register; whose certificate it is does not matter here."""
    return [*_topics("", READ, topics.REGISTER)]


def of_publisher(agency: str) -> list[Right]:
    """Writes its own events; `operations` for whoever uses `safebus publish`."""
    return [*_topics(agency, WRITE, topics.published_by(agency), topics.OPERATIONS)]


def of_importer(agency: str) -> list[Right]:
    """Writes in the name of one agency, and sets aside what it cannot take."""
    name = f"importer-{agency}"
    return [*_topics(name, WRITE, topics.published_by(agency), topics.QUARANTINE, topics.OPERATIONS)]


def of_registrar(name: str = "registrar") -> list[Right]:
    """Writes what decisions rest on."""
    return [
        *_topics(name, READ, topics.REGISTER, topics.OPERATIONS),
        *_topics(name, WRITE, topics.REGISTER, topics.OPERATIONS),
    ]


def of_auditor(name: str = "auditor") -> list[Right]:
    """
    Reads everything, and writes nothing but that it looked.

    It sees how far workers and adapters have got, and how long what waits for a partner is kept.
    """
    every = ("in.", "out.", "receipts.", "parked.")
    return [
        *_topics(name, READ, *every, prefixed=True),
        *_topics(name, DESCRIBE_CONFIGS, "out.", prefixed=True),
        *_topics(name, READ, topics.REGISTER, topics.DECISIONS, topics.QUARANTINE, topics.OPERATIONS),
        *_topics(name, WRITE, topics.OPERATIONS),
        Right(name, DESCRIBE, Of.GROUP, GROUP),
        Right(name, DESCRIBE, Of.GROUP, "adapter-", prefixed=True),  # how far the deliveries to each partner are
    ]


def of_operator(name: str) -> list[Right]:
    """A person: looks as an auditor does, and sends again what is parked."""
    return [*of_auditor(name), *_topics(name, WRITE, "receipts.", "parked.", prefixed=True)]


def of_sending_again(partner: str) -> list[Right]:
    """Whatever sends again what is parked for a partner writes this; whose certificate it is does not matter here."""
    return [*_topics("", WRITE, topics.OPERATIONS, topics.receipts_from(partner), topics.parked_for(partner))]


def of_putting_on_topic(partner: str) -> list[Right]:
    """The same of whatever puts on a partner's topic what it is owed."""
    return [*_topics("", WRITE, topics.OPERATIONS, topics.notifications_for(partner))]


def of_person_who_registers(name: str) -> list[Right]:
    """A person: as an operator, and writes what decisions rest on. With a name of their own they can be one of two."""
    return sorted({*of_operator(name), *of_registrar(name)})


def of_sender(name: str) -> list[Right]:
    """A person: as an operator, and puts on partners' topics what they are owed."""
    return [
        *of_operator(name),
        *_topics(name, WRITE, topics.notifications_for("agency").removesuffix("agency"), prefixed=True),
    ]


def of_bus(
    publishers: Iterable[str],
    partners: Iterable[str],
    *,
    importers: Iterable[str] = (),
    operators: Iterable[str] = (),
    registrars: Iterable[str] = (),
    senders: Iterable[str] = (),
    adapters: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> list[Right]:
    """
    Every right on a bus with these publishers and partners, sorted.

    Args:
        adapters: Name of a delivery process -> the several partners that it serves.
    """
    found = {*of_worker(), *of_registrar(), *of_auditor()}
    for rights in (
        *map(of_publisher, publishers),
        *map(of_adapter, partners),
        *map(of_importer, importers),
        *map(of_operator, operators),
        *map(of_person_who_registers, registrars),
        *map(of_sender, senders),
        *(of_adapter(partner, name) for name, served in adapters.items() for partner in served),
    ):
        found.update(rights)
    return sorted(found)


def is_a_person(name: str, partners: Collection[str]) -> bool:
    """Is it nobody's name but a person's? The processes of the bus and agencies have theirs, which several may use."""
    return bool(name) and name not in partners and not is_a_process(name)


def of_principal(name: str, partners: Iterable[str]) -> list[Right]:
    """What this principal should have; a name that is nobody else's is a person."""
    fixed = {"worker": of_worker, "registrar": of_registrar, "auditor": of_auditor}
    if name in fixed:
        return fixed[name]()
    known = list(partners)
    if name in known:
        return of_publisher(name)
    for prefix, of in (("adapter-", of_adapter), ("importer-", of_importer)):
        if name.startswith(prefix) and name.removeprefix(prefix) in known:
            return of(name.removeprefix(prefix))
    return of_operator(name)


async def lacking(connection: Connection, wanted: Sequence[Right], *, expected: Iterable[str] = ()) -> list[Right]:
    """
    Which of these this process has not; a topic that is not there is among them.

    Args:
        expected: The topics that there should be, for rights to all whose name begins in some way.

    Raises:
        NotReachable: The broker does not answer.
    """
    groups = [right.name for right in wanted if right.of is Of.GROUP]
    ids = [right.name for right in wanted if right.of is Of.TRANSACTIONAL_ID]
    about = {right.name for right in wanted if right.of is Of.TOPIC}
    named = None if any(right.prefixed for right in wanted if right.of is Of.TOPIC) else sorted(about)
    there = await allowed(connection, topics=named, groups=groups, transactional_ids=ids)
    return [] if there is None else missing(wanted, there, expected=expected)
