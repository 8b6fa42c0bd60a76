"""Who did what is believed only of whom it names, whoever else may write there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from a_certificate import Authority

from safebus.consumers.audit import operations
from safebus.deploy.local.brokers import Broker
from safebus.deploy.service.operations import Act, put_on_record
from safebus.deploy.service.settings import Settings, load
from safebus.schemas import codec, headers, signing, topics
from safebus.schemas.bus_records import MOST_ABOUT, Operation
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.schemas.own_records import Strange

OPERATION = Operation(
    operation_id="one",
    at=datetime(2026, 11, 22, tzinfo=UTC),
    certificate="",
    system_user="anna",
    what="quarantine open",
    about=("q-1",),
    number=1,
    reason="the publisher asked",
)


@pytest.mark.parametrize(
    ("command", "done_by", "found"),
    [
        ("partners rotate-secret", "partners rotate-secret", True),
        ("partners rotate-secret", "partners rotate-secret --finish", True),
        ("partners rotate", "partners rotate-secret", False),
        ("partners rotate-secret --finish", "partners rotate-secret", False),
    ],
)
def test_a_command_is_found_with_whatever_options(command: str, done_by: str, found: bool) -> None:
    assert operations.is_of(OPERATION.model_copy(update={"what": done_by}), command) is found


@pytest.mark.parametrize(
    ("what", "about", "found"),
    [
        ("ash-primary", ("ash-primary", "n-1"), True),
        ("ash-primary", ("agreement/x/v3", "partner/ash-primary"), True),
        ("partner/ash-primary", ("partner/ash-primary",), True),
        ("primary", ("partner/ash-primary",), False),
        ("partner/ash-primary", ("ash-primary",), False),
    ],
)
def test_what_was_done_to_a_partners_register_record_is_about_the_partner(
    what: str, about: tuple[str, ...], found: bool
) -> None:
    """Who suspended it was found only by who knew how the register calls it."""
    assert operations.is_about(OPERATION.model_copy(update={"about": about}), what) is found


def clock() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def here(broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setattr(topics, "OPERATIONS", f"operations-{fresh}")
    broker.create_topics({topics.OPERATIONS: 1})
    return load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": broker.bootstrap})


async def write(connection: Connection, *messages: tuple[bytes, dict[str, bytes]]) -> list[int]:
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    try:
        sent = [Message(topics.OPERATIONS, b"k", value, [*about.items()], 0) for value, about in messages]
        return [offset for _, offset in await outbound.send_all(sent)]
    finally:
        await outbound.stop()


async def test_what_is_put_on_record_is_listed_as_it_was_done(here: Settings) -> None:
    done = await put_on_record(here, Act("explain", ("an event",), "a complaint", number=3), clock=clock)
    many = await put_on_record(here, Act("register load", tuple(map(str, range(500))), "v4"), clock=clock)

    first, second = await operations.entries(here.connection(), trusted=[])

    assert (first.operation, first.who, first.proven) == (done, done.system_user, False)
    assert (done.what, done.about, done.number, done.reason) == ("explain", ("an event",), 3, "a complaint")
    assert second.operation == many
    assert (many.number, len(many.about), many.about[-1]) == (500, MOST_ABOUT + 1, "and 400 more")


async def test_junk_a_forgery_and_a_copy_are_left_out_and_named(here: Settings, tmp_path: Path) -> None:
    """Whoever may write there could say that somebody else had looked."""
    authority = Authority(tmp_path / "ca")
    anna, ben = (signing.signer(authority.issue(name)) for name in ("op-anna", "op-ben"))
    trusted = signing.issuers(authority.pem)

    def signed(by: signing.Signer, names: str) -> tuple[bytes, dict[str, bytes]]:
        value = codec.encode_record(OPERATION.model_copy(update={"certificate": names, "operation_id": names}))
        return value, {headers.CERTIFICATE: by.certificate, headers.SIGNATURE: by.sign(value)}

    mine = signed(anna, "op-anna")
    forged = codec.encode_record(OPERATION.model_copy(update={"certificate": "op-ben", "operation_id": "x"}))
    written = await write(
        here.connection(),
        (b"junk", {}),
        mine,
        (forged, {}),  # nobody signed it
        signed(anna, "op-ben"),  # anna, in ben's name
        (forged, mine[1]),  # with a signature of something else
        mine,  # once more
        signed(ben, "op-ben"),
        (codec.encode_record(OPERATION), {}),
    )
    strange: list[Strange] = []

    found = await operations.entries(here.connection(), trusted=trusted, on_strange=strange.append)

    assert [(e.offset, e.who, e.proven) for e in found] == [
        (written[1], "op-anna", True),
        (written[6], "op-ben", True),
    ]
    assert [(s.offset, s.reason) for s in strange] == [
        (written[0], "UNKNOWN_SCHEMA"),
        (written[2], "NOT_SIGNED"),
        (written[3], "NOT_SIGNED"),
        (written[4], "NOT_SIGNED"),
        (written[7], "NOT_SIGNED"),  # on a bus with certificates everybody has one
    ]


async def test_where_it_cannot_be_written_it_is_not_to_be_done(
    kafka_broker: Broker, fresh: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(topics, "OPERATIONS", f"operations-{fresh}")
    found = load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": kafka_broker.bootstrap})
    nobody = load({"SAFEBUS_HOME": str(tmp_path), "SAFEBUS_BROKER": "127.0.0.1:1"})

    for settings, why in ((found, "there is no topic"), (nobody, "no broker answers")):
        with pytest.raises(NotReachable, match=f"explain: nothing was done, .*{why}"):
            await put_on_record(settings, Act("explain", (), "test"), clock=clock)
