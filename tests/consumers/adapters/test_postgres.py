"""A partner's table holds each parcel once; all on a real PostgreSQL, with no more rights than the GRANT gives."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from a_certificate import Authority
from a_database import PASSWORD, as_partner, set_up
from a_listener import hang_up, listening
from a_parcel import ALERT, ID, WITHDRAWAL, handed, parcel

from safebus.consumers.adapters.adapter import HELD_BACK, PartnerAnswer, Reply, hand_over
from safebus.consumers.adapters.postgres import (
    CREATE_TABLE,
    GRANT,
    PostgresAdapter,
    PostgresSettings,
    create_table,
    grant,
    meaning_of,
)
from safebus.deploy.local.partner_postgres import open_postgres
from safebus.schemas.errors import BadInput

COMMITTED = PartnerAnswer(Reply.ACCEPTED, "committed")
ALREADY_THERE = PartnerAnswer(Reply.ACCEPTED, "already_there")
OTHER_CONTENT = PartnerAnswer(Reply.OTHER_CONTENT, "other_content")
DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of the partner's own administrator."""
    with open_postgres(tmp_path_factory.mktemp("partner")) as dsn:
        yield dsn


@pytest.fixture
async def admin(server: str) -> str:
    """The partner with a new table and a role that has what GRANT gives, and nothing else."""
    return await set_up(server)


def as_bus(dsn: str, *, port: int | None = None, password: str = PASSWORD, database: str = "postgres") -> str:
    return f"postgresql://safebus:{password}@127.0.0.1:{port or urlsplit(dsn).port}/{database}"


@asynccontextmanager
async def adapter(dsn: str, **more: Any) -> AsyncIterator[PostgresAdapter]:
    opened = PostgresAdapter(PostgresSettings(dsn, **more))
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def once(dsn: str, **more: Any) -> PartnerAnswer:
    async with adapter(dsn, **more) as opened:
        return await handed(opened, ALERT)


async def rows(admin: str) -> list[tuple[str, str, str]]:
    found = await as_partner(admin, "SELECT notification_id, kind, digest FROM safebus_inbound ORDER BY kind")
    return [tuple(row) for row in found]


# What the partner gets


async def test_a_parcel_becomes_one_row(admin: str) -> None:
    assert await once(as_bus(admin)) == COMMITTED

    found = await as_partner(
        admin,
        "SELECT notification_id, kind, event_id, event_type, case_token, urgency, digest, taken_at, taken_by,"
        " body #>> '{fields,name}' AS name, now() - received_at < '1 minute' AS fresh FROM safebus_inbound",
    )
    assert [dict(row) for row in found] == [
        {
            "notification_id": ALERT.notification_id,
            "kind": "notification",
            "event_id": ALERT.event_id,
            "event_type": ALERT.event_type,
            "case_token": ALERT.case,
            "urgency": ALERT.urgency,
            "digest": ALERT.digest,
            "taken_at": None,
            "taken_by": None,
            "name": "Zoë Ó Briain",
            "fresh": True,
        }
    ]


async def test_a_repeat_has_one_effect(admin: str) -> None:
    """The same adapter, and another after a crash; also when the partner has taken the row meanwhile."""
    async with adapter(as_bus(admin)) as opened:
        assert [await handed(opened, ALERT) for _ in range(2)] == [COMMITTED, ALREADY_THERE]
    await as_partner(admin, "UPDATE safebus_inbound SET taken_at = now(), taken_by = 'duty desk'")

    assert await once(as_bus(admin)) == ALREADY_THERE
    assert await rows(admin) == [(ID, "notification", "d1")]


async def test_many_at_once_have_one_effect(admin: str) -> None:
    """Several tasks of one adapter, and a second adapter that took over too early."""
    async with adapter(as_bus(admin)) as one, adapter(as_bus(admin)) as other:
        answers = await asyncio.gather(*(handed(a, ALERT) for a in (one, other) for _ in range(10)))

    codes = Counter(a.code for a in answers)
    assert codes["committed"] == 1
    assert codes["committed"] + codes["already_there"] + codes["filed"] == 20  # filed: by the other, just then
    assert await rows(admin) == [(ID, "notification", "d1")]


async def test_the_same_id_with_other_content_changes_nothing(admin: str) -> None:
    async with adapter(as_bus(admin)) as opened:
        await handed(opened, ALERT)

        assert await handed(opened, parcel(body={"other": 1}, digest="d2")) == OTHER_CONTENT
    assert await rows(admin) == [(ID, "notification", "d1")]


async def test_a_withdrawal_is_a_row_of_its_own(admin: str) -> None:
    """It has the alert's id and digest, and must not be taken for a repeat of it."""
    async with adapter(as_bus(admin)) as opened:
        answers = [await handed(opened, p) for p in (ALERT, WITHDRAWAL, WITHDRAWAL)]

    assert answers == [COMMITTED, COMMITTED, ALREADY_THERE]
    assert await rows(admin) == [(ID, "consent.withdrawn", "d1"), (ID, "notification", "d1")]


async def test_a_table_may_have_any_name_in_any_schema(server: str) -> None:
    """`order` is a word of SQL."""
    await as_partner(
        server,
        "DROP SCHEMA IF EXISTS care CASCADE",
        "DROP ROLE IF EXISTS mover",
        f"CREATE ROLE mover LOGIN PASSWORD '{PASSWORD}'",
        "CREATE SCHEMA care",
        create_table("care.order"),
        grant("mover", "care.order"),
        "GRANT USAGE ON SCHEMA care TO mover",
    )
    dsn = f"postgresql://mover:{PASSWORD}@127.0.0.1:{urlsplit(server).port}/postgres"

    assert await once(dsn, table="care.order") == COMMITTED


# What the bus may do there


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT body FROM safebus_inbound",
        "SELECT case_token FROM safebus_inbound",
        "SELECT * FROM safebus_inbound",
        "UPDATE safebus_inbound SET digest = 'x'",
        "DELETE FROM safebus_inbound",
        "TRUNCATE safebus_inbound",
        "INSERT INTO safebus_inbound (notification_id, taken_by) VALUES ('x', 'us')",
        "INSERT INTO safebus_inbound (notification_id, received_at) VALUES ('x', now())",
    ],
)
async def test_the_grant_lets_the_bus_neither_read_nor_change_what_was_sent(admin: str, sql: str) -> None:
    await once(as_bus(admin))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_partner(as_bus(admin), sql)


# What is not as agreed: hold, and a person


async def test_a_wrong_password_holds_the_destination(admin: str) -> None:
    assert await once(as_bus(admin, password="wrong")) == PartnerAnswer(Reply.NOT_LET_IN, "28P01")


async def test_a_database_that_is_not_there_holds_the_destination(admin: str) -> None:
    assert await once(as_bus(admin, database="other")) == PartnerAnswer(Reply.NOT_LET_IN, "3D000")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("DROP TABLE safebus_inbound", "42P01"),
        ("REVOKE ALL ON safebus_inbound FROM safebus; REVOKE INSERT (body) ON safebus_inbound FROM safebus", "42501"),
        ("ALTER TABLE safebus_inbound RENAME urgency TO priority", "42703"),
        ("ALTER TABLE safebus_inbound DROP CONSTRAINT safebus_inbound_pkey", "42P10"),
    ],
    ids=["no table", "no right", "another column", "no key"],
)
async def test_a_table_that_is_not_as_agreed_holds_the_destination_until_it_is_mended(
    admin: str, change: str, state: str
) -> None:
    async with adapter(as_bus(admin)) as opened:
        await handed(opened, WITHDRAWAL)
        await as_partner(admin, *change.split("; "))
        assert await handed(opened, ALERT) == PartnerAnswer(Reply.NOT_LET_IN, state)
        await as_partner(admin, "DROP TABLE IF EXISTS safebus_inbound", CREATE_TABLE, GRANT)

        assert await handed(opened, ALERT) == COMMITTED


# What the table does not take: park this one


async def test_a_row_that_the_partners_own_rule_refuses_is_refused(admin: str) -> None:
    await as_partner(admin, "ALTER TABLE safebus_inbound ADD CHECK (urgency <> 'URGENT')")

    assert await once(as_bus(admin)) == PartnerAnswer(Reply.REFUSED, "23514")


async def test_a_sign_that_postgres_cannot_hold_is_refused(admin: str) -> None:
    """jsonb has no U+0000. Source: PostgreSQL manual, 8.14."""
    async with adapter(as_bus(admin)) as opened:
        assert await handed(opened, parcel(body={"x": "\0"})) == PartnerAnswer(Reply.REFUSED, "22P05")
        assert await handed(opened, ALERT) == COMMITTED


# What passes: try again


async def test_a_server_that_has_no_room_for_us_is_tried_again(admin: str) -> None:
    await as_partner(admin, "ALTER ROLE safebus CONNECTION LIMIT 0")

    assert await once(as_bus(admin)) == PartnerAnswer(Reply.BUSY, "53300")


@asynccontextmanager
async def locked(admin: str) -> AsyncIterator[None]:
    """The partner rebuilds its table, and holds it meanwhile."""
    connection = await asyncpg.connect(admin, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE safebus_inbound IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def waiting_pid(admin: str) -> int:
    """The session of ours that waits for the lock."""
    give_up_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up_at:
        found = await as_partner(
            admin, "SELECT pid FROM pg_stat_activity WHERE application_name = 'safebus' AND wait_event_type = 'Lock'"
        )
        if found:
            return int(found[0]["pid"])
    raise AssertionError("our statement never came to wait for the lock")


async def test_a_table_that_is_locked_is_tried_again(admin: str) -> None:
    """The server cancels our statement, so it is certain that nothing was committed."""
    async with adapter(as_bus(admin), statement_s=0.2) as opened:
        async with locked(admin):
            assert await handed(opened, ALERT) == PartnerAnswer(Reply.BUSY, "57014")

        assert await handed(opened, ALERT) == COMMITTED


async def test_what_was_withdrawn_while_it_queued_or_waited_for_a_lock_is_never_there(admin: str) -> None:
    """The partner holds its table, and twenty wait; then none of them may go any more."""
    withdrawn = False

    async def may_go() -> bool:
        return not withdrawn

    async with adapter(as_bus(admin)) as opened:
        async with locked(admin):
            handing = [asyncio.create_task(hand_over(opened, ALERT, may_go=may_go)) for _ in range(20)]
            await waiting_pid(admin)
            withdrawn = True
        answers = await asyncio.gather(*handing)

    assert set(answers) == {HELD_BACK}
    assert await rows(admin) == []


# What took effect is told from what did not


async def test_a_trigger_that_files_rows_elsewhere_is_undone_and_said(admin: str) -> None:
    """Whoever repeated it would make a copy each time, for the row is never where it is looked for."""
    await as_partner(
        admin,
        "DROP TABLE IF EXISTS elsewhere",
        "CREATE TABLE elsewhere (LIKE safebus_inbound)",
        "CREATE OR REPLACE FUNCTION move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " INSERT INTO elsewhere SELECT NEW.*; RETURN NULL; END $$",
        "CREATE TRIGGER move BEFORE INSERT ON safebus_inbound FOR EACH ROW EXECUTE FUNCTION move()",
    )
    async with adapter(as_bus(admin)) as opened:
        answers = [await handed(opened, ALERT) for _ in range(5)]

    assert answers == [PartnerAnswer(Reply.NOT_LET_IN, "row_not_kept")] * 5
    assert await as_partner(admin, "SELECT * FROM elsewhere") == []


async def test_a_table_that_a_trigger_shares_out_has_each_row_once(admin: str) -> None:
    """The old way to part a table: the parent shows what its children hold. Source: PostgreSQL manual, 5.12.3."""
    await as_partner(
        admin,
        "CREATE TABLE a_child () INHERITS (safebus_inbound)",
        "CREATE OR REPLACE FUNCTION share_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " INSERT INTO a_child SELECT NEW.*; RETURN NULL; END $$",
        "CREATE TRIGGER share_out BEFORE INSERT ON safebus_inbound FOR EACH ROW EXECUTE FUNCTION share_out()",
    )
    async with adapter(as_bus(admin)) as opened:
        answers = [await handed(opened, ALERT) for _ in range(3)]
    found = await rows(admin)
    await as_partner(admin, "DROP TABLE safebus_inbound CASCADE")

    assert answers == [PartnerAnswer(Reply.ACCEPTED, "filed"), ALREADY_THERE, ALREADY_THERE]
    assert found == [(ID, "notification", "d1")]


async def test_a_server_that_has_become_a_standby_is_left_for_the_one_that_its_name_leads_to(admin: str) -> None:
    """A switch-over: the connection goes on to a server that takes nothing, and the new primary stands elsewhere."""
    async with adapter(as_bus(admin)) as opened:
        await as_partner(admin, "ALTER ROLE safebus SET default_transaction_read_only = on")
        first = await handed(opened, ALERT)
        await as_partner(admin, "ALTER ROLE safebus RESET default_transaction_read_only")

        assert first == PartnerAnswer(Reply.BUSY, "25006")
        assert await handed(opened, ALERT) == COMMITTED


async def test_a_server_that_is_not_the_one_a_dsn_asks_for_is_waited_for(admin: str) -> None:
    """`target_session_attrs`, while the name still leads to a standby: the partner is tried again, and says so."""
    asked_for = f"{as_bus(admin)}?target_session_attrs=standby"

    assert await once(asked_for) == PartnerAnswer(Reply.BUSY, "not_the_server_asked_for")
    assert await once(f"{as_bus(admin)}?target_session_attrs=primary") == COMMITTED


async def test_after_a_switch_over_the_new_primary_is_asked_and_not_the_old_one(tmp_path: Path) -> None:
    """Two real servers: the old primary is a standby now and answers still, and the name leads to the new one."""
    made = (f"CREATE ROLE safebus LOGIN PASSWORD '{PASSWORD}'", CREATE_TABLE, GRANT)
    with open_postgres(tmp_path / "old") as dsn:
        await as_partner(dsn, *made, "SELECT 1")
    (tmp_path / "old" / "cluster" / "standby.signal").touch()
    with open_postgres(tmp_path / "old") as old, open_postgres(tmp_path / "new") as new:
        await as_partner(new, *made, "SELECT 1")
        async with line(old) as name, adapter(as_bus(new, port=name.port)) as opened:
            before = await handed(opened, ALERT)
            name.to_port = urlsplit(new).port or 0
            after = await handed(opened, ALERT)
        found = await rows(new)

    assert before == PartnerAnswer(Reply.BUSY, "25006")
    assert after == COMMITTED
    assert found == [(ID, "notification", "d1")]


@pytest.mark.parametrize(
    ("says", "reply"),
    [
        ("no such database: trust", Reply.NOT_LET_IN),
        ("unsupported startup parameter: statement_timeout", Reply.NOT_LET_IN),
        ("query_wait_timeout", Reply.BUSY),
        ("no more connections allowed (max_client_conn)", Reply.BUSY),
    ],
)
async def test_a_pooler_that_answers_in_the_server_s_place_is_understood(says: str, reply: Reply) -> None:
    """PgBouncer has one SQLSTATE for all: only where it is full does waiting help. Its words are in its source."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4))
        startup = await reader.readexactly(size - 4)
        if startup == (80877103).to_bytes(4):  # do you speak TLS?
            writer.write(b"N")
            startup = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        assert b"statement_timeout" not in startup  # or it would refuse every one
        fields = f"SFATAL\0C08P01\0M{says}\0\0".encode()
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        await writer.drain()
        await hang_up(writer)

    async with listening(answer) as port:
        assert await once(as_bus("", port=port)) == PartnerAnswer(reply, "08P01")


async def test_a_session_that_is_ended_before_the_commit_has_left_nothing(admin: str) -> None:
    async with adapter(as_bus(admin)) as opened:
        async with locked(admin):
            sending = asyncio.create_task(handed(opened, ALERT))
            pid = await waiting_pid(admin)
            await as_partner(admin, f"SELECT pg_terminate_backend({pid})")
            answer = await sending

        assert answer.reply is Reply.BUSY
        assert answer.code in ("57P01", "connection_lost")  # whichever asyncpg sees first
        assert await handed(opened, ALERT) == COMMITTED


async def test_a_session_that_was_ended_while_nothing_was_sent_costs_no_attempt(admin: str) -> None:
    """A partner that restarts its server at night is no trouble in the morning."""
    ours = "FROM pg_stat_activity WHERE application_name = 'safebus'"
    async with adapter(as_bus(admin)) as opened:
        await handed(opened, ALERT)
        await as_partner(admin, f"SELECT pg_terminate_backend(pid, 10000) {ours}")

        assert await handed(opened, WITHDRAWAL) == COMMITTED


_PASSES = ("25006", "26000", "40001", "40P01", "53100", "55006", "55P03", "57014", "57P03", "58030", "F0001", "XX000")
_REFUSES = (
    "22P05", "23502", "23505", "23514", "44000", "P0001", "20000", "21000", "2F005", "54000", "55000", "X0001",
)  # fmt: skip


@pytest.mark.parametrize(
    ("state", "before", "committing"),
    [
        *((s, Reply.BUSY, Reply.UNKNOWN) for s in ("08006", "08P01", "40003", "57P01", "57P02")),
        *((s, *[Reply.BUSY] * 2) for s in _PASSES),
        *((s, *[Reply.NOT_LET_IN] * 2) for s in ("42501", "42P01", "42703", "42P10", "3F000", "0A000")),
        *((s, *[Reply.REFUSED] * 2) for s in _REFUSES),
    ],
)
def test_a_server_s_word_for_its_trouble_is_understood(state: str, before: Reply, committing: Reply) -> None:
    """Committed for certain, not committed for certain, or nobody knows. Source: PostgreSQL manual, appendix A."""
    assert meaning_of(state, committing=False) == PartnerAnswer(before, state)
    assert meaning_of(state, committing=True) == PartnerAnswer(committing, state)


async def test_a_task_that_is_stopped_half_way_leaves_the_adapter_usable(admin: str) -> None:
    async with adapter(as_bus(admin)) as opened:
        async with locked(admin):
            sending = asyncio.create_task(handed(opened, ALERT))
            await waiting_pid(admin)
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

        # The server may or may not have committed what we no longer waited for; either way there is one row.
        assert (await handed(opened, ALERT)).reply is Reply.ACCEPTED
    assert await rows(admin) == [(ID, "notification", "d1")]


# The network between


@dataclass
class Line:
    """A network line on loopback, which can be laid to another server and can lose what comes back."""

    to_port: int
    port: int = 0
    lose_answers: bool = False
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    to_server: asyncio.StreamWriter | None = None
    slipped_in: asyncio.Event | None = None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            return
        self.to_server = back
        ways = [asyncio.create_task(self._there(reader, back)), asyncio.create_task(self._back(to, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)  # one end hung up: so does the other
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await hang_up(back)

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    async def slip_in(self, statement: bytes) -> None:
        """A statement that the client knows nothing of, as by a pooler that has lost a transaction."""
        assert self.to_server is not None
        self.slipped_in = asyncio.Event()
        self.to_server.write(b"Q" + (len(statement) + 5).to_bytes(4) + statement + b"\0")
        await asyncio.wait_for(self.slipped_in.wait(), DEADLINE_S)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.slipped_in is not None and not self.slipped_in.is_set():
                if b"Z\0\0\0\5" in data:  # the end of its answer
                    self.slipped_in.set()
                continue
            if self.lose_answers and b"COMMIT" in data:
                self.lost.set()
                return
            writer.write(data)


@asynccontextmanager
async def line(dsn: str) -> AsyncIterator[Line]:
    found = Line(to_port=urlsplit(dsn).port or 0)
    async with listening(found.carry) as found.port:
        yield found


async def test_a_commit_whose_answer_is_lost_is_unknown_and_its_repeat_is_known(admin: str) -> None:
    """The case that a delivery repeated after a crash comes to: one row, and a plain answer."""
    async with line(admin) as between, adapter(as_bus(admin, port=between.port)) as opened:
        between.lose_answers = True
        assert await handed(opened, ALERT) == PartnerAnswer(Reply.UNKNOWN, "connection_lost")
        assert between.lost.is_set()
        assert await rows(admin) == [(ID, "notification", "d1")]
        between.lose_answers = False

        assert await handed(opened, ALERT) == ALREADY_THERE
    assert await rows(admin) == [(ID, "notification", "d1")]


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        (b"ROLLBACK", PartnerAnswer(Reply.UNKNOWN, "not_in_a_transaction")),
        (b"SELECT 1/0", PartnerAnswer(Reply.BUSY, "rolled_back")),
    ],
)
async def test_a_commit_that_commits_nothing_is_no_success(admin: str, statement: bytes, answer: PartnerAnswer) -> None:
    """PostgreSQL takes it: with a warning where there is no transaction, and as a rollback where it has failed."""
    async with line(admin) as between, adapter(as_bus(admin, port=between.port)) as opened:

        async def may_go() -> bool:
            await between.slip_in(statement)
            return True

        assert await hand_over(opened, ALERT, may_go=may_go) == answer
        assert await rows(admin) == []
        assert await handed(opened, ALERT) == COMMITTED


async def test_a_connection_refused_is_tried_again(admin: str) -> None:
    async with line(admin) as between:
        port = between.port  # nobody listens there when the line is gone

    assert await once(as_bus(admin, port=port)) == PartnerAnswer(Reply.BUSY, "connection_refused")


async def test_a_server_that_does_not_answer_is_tried_again() -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(say_nothing) as port:
        assert await once(as_bus("", port=port), connect_s=0.2) == PartnerAnswer(Reply.BUSY, "connect_timeout")


async def test_a_server_that_is_stopped_and_started_again_gets_everything_once(tmp_path: Path) -> None:
    """One adapter, and nobody who tells it to connect again."""
    async with AsyncExitStack() as stack:
        with open_postgres(tmp_path) as dsn:
            await as_partner(dsn, f"CREATE ROLE safebus LOGIN PASSWORD '{PASSWORD}'", CREATE_TABLE, GRANT)
            between = await stack.enter_async_context(line(dsn))
            opened = await stack.enter_async_context(adapter(as_bus(dsn, port=between.port)))
            assert await handed(opened, ALERT) == COMMITTED
        down = [await handed(opened, p) for p in (ALERT, WITHDRAWAL, WITHDRAWAL)]
        with open_postgres(tmp_path) as dsn:
            between.to_port = urlsplit(dsn).port or 0
            again = [await handed(opened, p) for p in (ALERT, WITHDRAWAL)]
            found = await rows(dsn)

    assert {answer.reply for answer in down} <= {Reply.BUSY, Reply.UNKNOWN}
    assert again == [ALREADY_THERE, COMMITTED]
    assert found == [(ID, "consent.withdrawn", "d1"), (ID, "notification", "d1")]


# Settings


@pytest.mark.parametrize("table", ["", "a b", "a;drop table x", 'a"b', "A", "1a", "a.b.c", "a" * 64, "a.", "á"])
def test_a_table_name_that_could_be_more_than_a_name_is_refused(table: str) -> None:
    with pytest.raises(BadInput, match="a table is `name` or"):
        PostgresSettings("postgresql://safebus@127.0.0.1/x", table)


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "mysql://safebus@127.0.0.1/x",
        "postgresql:///x",
        "postgresql://safebus:hunter2@db.partner.example/x",
        "postgresql://safebus:hunter2@db.partner.example/x?sslmode=require",
        "postgresql://safebus:hunter2@10.0.0.5/x?sslmode=prefer",
        "postgresql://safebus:hunter2@127.0.0.1,db.partner.example/x",
        "postgresql://safebus:hunter2@127.0.0.1/x?host=db.partner.example",
        "postgresql://safebus:hunter2@[::1/x",
    ],
)
def test_a_dsn_that_could_leave_the_machine_in_the_clear_is_refused(dsn: str) -> None:
    """asyncpg's own default goes on without TLS when the server has none."""
    with pytest.raises(BadInput) as found:
        PostgresSettings(dsn)

    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:5432/x", "localhost/x", "[::1]/x", "db.partner.example/x?sslmode=verify-full"]
)
def test_a_dsn_may_name_this_machine_or_one_with_a_checked_certificate(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(Authority(tmp_path).pem))
    found = PostgresSettings(f"postgresql://safebus:hunter2@{host}")

    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_dsn_that_checks_a_certificate_against_nothing_is_refused_when_it_is_configured(
    tmp_path: Path, content: str | None
) -> None:
    """Every connection would fail, and the partner wait for ever for what is no trouble of its own."""
    root = tmp_path / "ca.pem"
    if content is not None:
        root.write_text(content)
    dsn = f"postgresql://safebus:hunter2@db.partner.example/x?sslmode=verify-full&sslrootcert={root}"

    with pytest.raises(BadInput, match=r"ca\.pem.*sslrootcert") as found:
        PostgresSettings(dsn)
    assert "hunter2" not in str(found.value)
