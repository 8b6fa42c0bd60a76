"""What servers, databases and file systems have done to others who deliver, as they reported it in public."""

import asyncio
import errno
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from a_certificate import Authority
from a_database import PASSWORD, as_partner, set_up
from a_listener import hang_up, listening
from a_parcel import ALERT, ID, WITHDRAWAL, handed, parcel

from safebus.consumers.adapters.adapter import PartnerAnswer, Reply, hand_over
from safebus.consumers.adapters.folder import FolderAdapter
from safebus.consumers.adapters.postgres import CREATE_TABLE, GRANT, PostgresAdapter, PostgresSettings
from safebus.consumers.adapters.webhook import WebhookAdapter, WebhookSettings
from safebus.deploy.local.partner_postgres import open_postgres

SECRET = "whsec_" + "bmV3" * 8
DEADLINE_S = 90.0
TAKEN = PartnerAnswer(Reply.ACCEPTED, "202")
COMMITTED = PartnerAnswer(Reply.ACCEPTED, "committed")
ALREADY_THERE = PartnerAnswer(Reply.ACCEPTED, "already_there")
WRITTEN = PartnerAnswer(Reply.ACCEPTED, "written")


# Web servers


@asynccontextmanager
async def webhook(port: int, path: str = "/hook", **more: Any) -> AsyncIterator[WebhookAdapter]:
    url = more.pop("url", f"http://127.0.0.1:{port}{path}")
    given = {name: more.pop(name) for name in ("tls", "names") if name in more}
    settings = WebhookSettings(url, (SECRET,), allow_private=True, **more)
    yield WebhookAdapter(settings, clock=lambda: datetime.now(UTC), **given)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """The head of a request, once its body is read too."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    await reader.readexactly(int(length.split()[1]))
    return head


async def answered(answer: bytes) -> PartnerAnswer:
    """What we make of this answer."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)

    async with listening(say) as port, webhook(port) as adapter:
        return await handed(adapter, ALERT)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202\r\n\r\n",
        b"HTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 202 Accepted\r\n\r\n",
        b"HTTP/2.0 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\nContent-Length: 0\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    ],
    ids=["no reason", "an empty reason", "1.0", "2.0", "LF alone", "100 that nobody asked for", "no gzip"],
)
async def test_an_answer_that_others_stumbled_over_is_an_answer(answer: bytes) -> None:
    assert await answered(answer) == TAKEN


async def test_a_name_that_stands_for_an_address_where_nobody_listens_too_is_reached() -> None:
    """`localhost` is ::1 first, and the server has the other one."""

    async def both(_: str, port: int) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n")

    async with listening(say) as port, webhook(port, url=f"http://localhost:{port}/", names=both) as adapter:
        assert await handed(adapter, ALERT) == TAKEN


@pytest.mark.parametrize("stays", [False, True], ids=["hangs up", "stays"])
async def test_a_server_that_says_it_is_too_large_before_it_has_read_it_is_heard(stays: bool) -> None:
    """It looks at the length alone; a line over which little is under way leaves most of a large one with us."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        if stays:
            await asyncio.Event().wait()

    async with listening(refuse) as port, webhook(port) as adapter:
        answers = [await handed(adapter, parcel(body={"text": "x" * size})) for size in (10, 60_000, 900_000)]

    assert answers == [PartnerAnswer(Reply.REFUSED, "413")] * 3


# PostgreSQL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of the partner's own administrator."""
    with open_postgres(tmp_path_factory.mktemp("partner")) as dsn:
        yield dsn


@pytest.fixture
async def admin(server: str) -> str:
    """The partner with a new table, and a role that has what GRANT gives."""
    return await set_up(server)


@asynccontextmanager
async def table(
    dsn: str, *, port: int | None = None, database: str = "postgres", **more: Any
) -> AsyncIterator[PostgresAdapter]:
    found = PostgresSettings(
        f"postgresql://safebus:{PASSWORD}@127.0.0.1:{port or urlsplit(dsn).port}/{database}", **more
    )
    opened = PostgresAdapter(found)
    try:
        yield opened
    finally:
        await opened.close()


async def ids(dsn: str, name: str = "safebus_inbound") -> list[str]:
    return [str(row[0]) for row in await as_partner(dsn, f"SELECT notification_id FROM {name}")]


def trigger(body: str, when: str = "BEFORE") -> tuple[str, ...]:
    """What makes a trigger of the partner's with this body."""
    return (
        "CREATE OR REPLACE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        f" $$ BEGIN {body} END $$",
        f"CREATE TRIGGER theirs {when} INSERT ON safebus_inbound FOR EACH ROW EXECUTE FUNCTION theirs()",
    )


async def test_a_rule_that_is_looked_at_only_at_the_commit_refuses_this_one(admin: str) -> None:
    """A constraint that is deferred: the row is taken, and COMMIT says no."""
    await as_partner(
        admin,
        "CREATE TABLE elsewhere (token text PRIMARY KEY)",
        "ALTER TABLE safebus_inbound ADD FOREIGN KEY (case_token) REFERENCES elsewhere DEFERRABLE INITIALLY DEFERRED",
    )
    async with table(admin) as adapter:
        first = await handed(adapter, ALERT)
        there = await ids(admin)
        await as_partner(admin, f"INSERT INTO elsewhere VALUES ('{ALERT.case}')")

        assert (first, there) == (PartnerAnswer(Reply.REFUSED, "23503"), [])
        assert await handed(adapter, ALERT) == COMMITTED


async def test_a_session_that_is_ended_while_the_register_is_asked_has_left_nothing(admin: str) -> None:
    """`idle_in_transaction_session_timeout`, which many set for every role."""
    await as_partner(admin, "ALTER ROLE safebus SET idle_in_transaction_session_timeout = '100ms'")

    async def may_go() -> bool:
        give_up_at = time.monotonic() + DEADLINE_S
        while await as_partner(admin, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'safebus'"):
            assert time.monotonic() < give_up_at
        return True

    async with table(admin) as adapter:
        answer = await hand_over(adapter, ALERT, may_go=may_go)
        there = await ids(admin)

        assert (answer.reply in (Reply.BUSY, Reply.UNKNOWN), there) == (True, [])
        await as_partner(admin, "ALTER ROLE safebus RESET ALL")
        async with table(admin) as again:
            assert await handed(again, ALERT) == COMMITTED


async def test_two_processes_at_a_stricter_isolation_leave_one_row(admin: str) -> None:
    """40001 is theirs to ask again, and none of them is a refusal."""
    await as_partner(admin, "ALTER ROLE safebus SET default_transaction_isolation = 'serializable'")

    async with table(admin) as one, table(admin) as other:

        async def may_go() -> bool:
            others.append(asyncio.create_task(handed(other, ALERT)))
            give_up_at = time.monotonic() + DEADLINE_S
            while not await as_partner(
                admin, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'safebus' AND wait_event_type = 'Lock'"
            ):
                assert time.monotonic() < give_up_at
            return True

        others: list[asyncio.Task[PartnerAnswer]] = []
        first = await hand_over(one, ALERT, may_go=may_go)
        second = await others[0]
        third = await handed(other, ALERT)

    assert (first, second.reply, third) == (COMMITTED, Reply.BUSY, ALREADY_THERE), second
    assert await ids(admin) == [ID]


async def test_a_table_whose_part_for_this_row_is_missing_takes_it_once_it_is_there(admin: str) -> None:
    await as_partner(
        admin,
        "DROP TABLE safebus_inbound",
        f"{CREATE_TABLE} PARTITION BY LIST (kind)",
        "CREATE TABLE a_part PARTITION OF safebus_inbound FOR VALUES IN ('consent.withdrawn')",
        GRANT,
    )
    async with table(admin) as adapter:
        answers = [await handed(adapter, each) for each in (ALERT, WITHDRAWAL)]
        await as_partner(admin, "CREATE TABLE another PARTITION OF safebus_inbound FOR VALUES IN ('notification')")

        assert answers == [PartnerAnswer(Reply.REFUSED, "23514"), COMMITTED]
        assert [await handed(adapter, ALERT) for _ in range(2)] == [COMMITTED, ALREADY_THERE]


async def test_a_database_without_the_letters_of_a_name_refuses_this_one(admin: str) -> None:
    """LATIN1 has no Ł; what it has goes on."""
    at = f"{admin.rpartition('/')[0]}/latin"
    await as_partner(
        admin,
        "DROP DATABASE IF EXISTS latin",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    await as_partner(at, CREATE_TABLE, GRANT)
    other = parcel(notification_id="6f1c0f9e-0000-4000-8000-000000000002", body={"name": "Łucja"})

    async with table(admin, database="latin") as adapter:
        assert await handed(adapter, other) == PartnerAnswer(Reply.REFUSED, "22P05")
        assert await handed(adapter, ALERT) == COMMITTED


@pytest.mark.parametrize("of", ["uuid", "varchar(36)", "an_enum", "a_domain"])
async def test_columns_of_a_type_that_holds_the_same_know_a_repeat(admin: str, of: str) -> None:
    """Changed while we are connected; an enum that is made anew has another number in the server."""
    column = "kind" if of in ("an_enum", "a_domain") else "notification_id"
    async with table(admin) as adapter:
        await handed(adapter, WITHDRAWAL)
        await as_partner(
            admin,
            "DELETE FROM safebus_inbound",
            "ALTER TABLE safebus_inbound DROP CONSTRAINT safebus_inbound_kind_check",
            "DROP TYPE IF EXISTS an_enum, a_domain",
            "CREATE TYPE an_enum AS ENUM ('notification', 'consent.withdrawn')",
            "CREATE DOMAIN a_domain AS text",
            f"ALTER TABLE safebus_inbound ALTER {column} TYPE {of} USING {column}::{of}",
        )

        assert [await handed(adapter, ALERT) for _ in range(2)] == [COMMITTED, ALREADY_THERE]


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n", b"N" + b"\0" * 64, b""]
)
async def test_a_port_where_something_else_answers_is_tried_again(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(said)
        await writer.drain()
        await hang_up(writer)

    async with listening(answer) as port, table("", port=port, connect_s=2) as adapter:
        assert (await handed(adapter, ALERT)).reply is Reply.BUSY


async def test_a_line_that_swallows_what_is_sent_costs_one_attempt(admin: str) -> None:
    """A firewall forgets an idle connection and tells neither side."""
    swallows = asyncio.Event()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, back = await asyncio.open_connection("127.0.0.1", urlsplit(admin).port)

        async def one_way(of: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
            while data := await of.read(65536):
                if not swallows.is_set():
                    into.write(data)

        ways = [asyncio.create_task(one_way(reader, back)), asyncio.create_task(one_way(to, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        back.close()

    async with listening(carry) as port, table(admin, port=port, statement_s=0.2) as adapter:
        assert await handed(adapter, WITHDRAWAL) == COMMITTED
        swallows.set()
        assert await handed(adapter, ALERT) == PartnerAnswer(Reply.BUSY, "timeout")
        swallows.clear()

        assert await handed(adapter, ALERT) == COMMITTED


@pytest.mark.parametrize(
    ("column", "of"), [("event_id", "bytea"), ("urgency", "smallint"), ("body", "bytea"), ("event_type", "text[]")]
)
async def test_a_column_that_is_of_another_type_now_takes_none_of_them(admin: str, column: str, of: str) -> None:
    """It is our side that finds it, before anything is sent, and it is no lost connection all the same."""
    async with table(admin) as adapter:
        await handed(adapter, WITHDRAWAL)
        await as_partner(
            admin,
            "TRUNCATE safebus_inbound",
            f"ALTER TABLE safebus_inbound DROP {column}",
            f"ALTER TABLE safebus_inbound ADD {column} {of}",
            GRANT,
        )

        assert await handed(adapter, ALERT) == PartnerAnswer(Reply.REFUSED, "22000")


async def test_a_commit_that_waits_for_a_standby_is_not_known_until_the_standby_has_it(tmp_path: Path) -> None:
    """The row is nobody's meanwhile: neither the partner sees it, nor a repeat makes another one."""
    with open_postgres(tmp_path) as dsn:
        await as_partner(dsn, f"CREATE ROLE safebus LOGIN PASSWORD '{PASSWORD}'", CREATE_TABLE, GRANT)
        await as_partner(dsn, "ALTER SYSTEM SET synchronous_standby_names = 'gone'", "SELECT pg_reload_conf()")
        async with table(dsn, statement_s=0.5) as adapter:
            first = [await handed(adapter, ALERT) for _ in range(2)]
            before = await ids(dsn)
            await as_partner(dsn, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
            give_up_at = time.monotonic() + DEADLINE_S
            while not await ids(dsn):
                assert time.monotonic() < give_up_at
            after = await handed(adapter, ALERT)

            assert first == [PartnerAnswer(Reply.UNKNOWN, "timeout"), PartnerAnswer(Reply.BUSY, "57014")]
            assert (before, after, await ids(dsn)) == ([], ALREADY_THERE, [ID])


# Folders


def in_child(folder: Path, code: str, *mounts: tuple[str, ...]) -> list[str]:
    """What a process says that has a mount namespace of its own, in which this is mounted."""
    before = "\n".join(f"subprocess.run({mount!r}, check=True)" for mount in mounts)
    whole = (
        "import asyncio, os, pathlib, subprocess, sys; sys.path.insert(0, sys.argv[2])\n"
        "from a_parcel import ALERT, WITHDRAWAL, always, handed, hand_over\n"
        "from safebus.consumers.adapters.folder import FolderAdapter\n"
        f"folder = pathlib.Path(sys.argv[1])\n{before}\n{code}"
    )
    wrap = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    done = subprocess.run(
        [*wrap, sys.executable, "-c", whole, str(folder), str(Path(__file__).parents[1])],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_disk_without_room_for_another_name_is_tried_again(tmp_path: Path) -> None:
    """Bytes are free and inodes are not."""
    said = in_child(
        tmp_path,
        "for each in (ALERT, WITHDRAWAL): print(asyncio.run(handed(FolderAdapter(folder), each)).code)\n"
        "print(len(os.listdir(folder)))",
        ("mount", "-t", "tmpfs", "-o", "nr_inodes=2", "none", str(tmp_path)),
    )

    assert said == ["written", "disk_full", "1"]


def test_a_disk_that_becomes_read_only_before_the_name_is_given_holds_the_destination(tmp_path: Path) -> None:
    """What was written by then cannot be taken away; it is as soon as the disk can be written again."""
    said = in_child(
        tmp_path,
        "def mode(which): subprocess.run(('mount', '-o', f'remount,{which}', str(folder)), check=True)\n"
        "async def may_go():\n    mode('ro'); return True\n"
        "print(asyncio.run(hand_over(FolderAdapter(folder), ALERT, may_go=may_go)).code)\n"
        "print([name.endswith('.part') for name in os.listdir(folder)])\n"
        "mode('rw')\n"
        "print(asyncio.run(handed(FolderAdapter(folder), ALERT)).code, os.listdir(folder))",
        ("mount", "-t", "tmpfs", "none", str(tmp_path)),
    )

    assert said == ["erofs", "[True]", f"written ['{ID}.json']"]


async def test_a_folder_that_is_not_brought_to_the_disk_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error is told once; the file is there, so it is not written twice."""
    real, said = os.fsync, [None, errno.EIO, None]

    def fsync(handle: int) -> None:
        if code := said.pop(0):
            raise OSError(code, "as said")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    answers = [await handed(FolderAdapter(tmp_path), ALERT) for _ in range(2)]

    assert answers == [PartnerAnswer(Reply.UNKNOWN, "eio"), ALREADY_THERE]
    assert [path.name for path in tmp_path.iterdir()] == [f"{ID}.json"]


async def test_a_handle_that_has_become_stale_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of a share was started again; the next look finds the folder."""
    real, stale = os.open, [True]

    def opened(path: Any, *args: Any, **more: Any) -> int:
        if stale and str(path).startswith(str(tmp_path)):
            stale.clear()
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", opened)

    assert [await handed(FolderAdapter(tmp_path), ALERT) for _ in range(2)] == [
        PartnerAnswer(Reply.BUSY, "estale"),
        WRITTEN,
    ]


@pytest.mark.parametrize("status", [500, 502, 504, 524])
async def test_a_server_that_fails_once_it_has_it_leaves_it_unknown(status: int) -> None:
    """A gateway that waited too long, or a server that stored it and then broke: whoever takes it back must say so."""
    stored: list[bytes] = []

    async def store(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stored.append(await request_of(reader))
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    async with listening(store) as port, webhook(port) as adapter:
        assert await handed(adapter, ALERT) == PartnerAnswer(Reply.UNKNOWN, str(status))
    assert len(stored) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/run?sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc%2Fd%3D%3D",
        "/hooks/catch%28test%29/it%27s",
        "/a//b/../c",
        "/%7Epartner/hook?when=10%3A30",
    ],
)
async def test_a_url_is_asked_for_as_the_partner_gave_it(path: str) -> None:
    """A partner may sign its address, letter for letter; nobody but the partner knows what means the same there."""
    asked: list[bytes] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await request_of(reader)).split(b" ")[1])
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n")

    async with listening(say) as port, webhook(port, path) as adapter:
        await handed(adapter, ALERT)

    assert asked == [path.encode()]


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 100_000 + b"\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\na line that is no header\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n",
    ],
    ids=["an empty line first", "a long hint", "a hint that is no HTTP"],
)
async def test_what_stands_before_a_status_does_not_hide_it(answer: bytes) -> None:
    assert await answered(answer) == TAKEN


async def test_hints_without_end_keep_nobody_else_waiting() -> None:
    """A server that the client's own reader refuses, and then goes on: its partner's trouble, and no other's."""

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 100 -\r\na line that is no header\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b"HTTP/1.1 100 -\r\n\r\n" * 1000)
                await writer.drain()

    async with listening(flood) as port, webhook(port) as adapter:
        answer = await handed(adapter, ALERT)

    assert answer == PartnerAnswer(Reply.UNKNOWN, "answer_not_http")  # and not after the time that an answer may take


async def test_an_authority_that_is_added_to_the_machine_is_known_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner's new certificate is by an authority that this machine learned of yesterday; we run for months."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(old.pem.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(new.issue("partner"))

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(say, "127.0.0.1", 0, ssl=theirs)
    port = server.sockets[0].getsockname()[1]
    async with webhook(port, url=f"https://127.0.0.1:{port}/") as adapter:
        before = await handed(adapter, ALERT)
        bundle.write_bytes(old.pem.read_bytes() + new.pem.read_bytes())
        after = await handed(adapter, ALERT)
        async with webhook(port, url=f"https://127.0.0.1:{port}/") as restarted:
            anew = await handed(restarted, ALERT)
    server.close()

    assert before == PartnerAnswer(Reply.NOT_LET_IN, "certificate_not_trusted")
    assert anew == TAKEN
    assert after == TAKEN


LONG = parcel(notification_id="6f1c0f9e-0000-4000-8000-000000000009", body={"fields": {"note": os.urandom(6000).hex()}})


async def test_one_that_is_too_long_for_an_index_of_the_partner_s_is_refused(admin: str) -> None:
    """54000: it will never fit, and the next one does; waiting for three days helps nobody."""
    await as_partner(admin, "CREATE INDEX ON safebus_inbound ((body #>> '{fields,note}'))")

    async with table(admin) as adapter:
        assert await handed(adapter, LONG) == PartnerAnswer(Reply.REFUSED, "54000")
        assert await handed(adapter, ALERT) == COMMITTED


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("CASE NEW.urgency WHEN 'ROUTINE' THEN RETURN NEW; END CASE;", "20000"),
        ("NEW.case_token := (SELECT x FROM (VALUES ('a'), ('b')) AS found (x)); RETURN NEW;", "21000"),
        ("NEW.taken_by := NULL;", "2F005"),
        ("RAISE EXCEPTION USING ERRCODE = 'X0001'; RETURN NEW;", "X0001"),
        ("RAISE SQLSTATE '55000'; RETURN NEW;", "55000"),
    ],
    ids=[
        "a case that was not thought of",
        "two where one was meant",
        "no return",
        "a code of its own",
        "another state",
    ],
)
async def test_a_trigger_of_the_partner_s_that_fails_at_this_one_refuses_it(admin: str, body: str, state: str) -> None:
    await as_partner(admin, *trigger(body))

    async with table(admin) as adapter:
        assert await handed(adapter, ALERT) == PartnerAnswer(Reply.REFUSED, state)


async def test_a_trigger_that_takes_a_row_away_once_it_is_there_is_undone_and_said(admin: str) -> None:
    """A staging table that is emptied at once: whoever repeats makes a copy each time."""
    moves = (
        "INSERT INTO elsewhere SELECT NEW.*; DELETE FROM safebus_inbound WHERE notification_id = NEW.notification_id;"
    )
    await as_partner(admin, "CREATE TABLE elsewhere (LIKE safebus_inbound)", *trigger(f"{moves} RETURN NULL;", "AFTER"))
    async with table(admin) as adapter:
        answers = [await handed(adapter, ALERT) for _ in range(3)]

    assert (answers, await ids(admin, "elsewhere")) == ([PartnerAnswer(Reply.NOT_LET_IN, "row_not_kept")] * 3, [])


@pytest.mark.parametrize("code", [errno.EIO, errno.ETIMEDOUT, errno.ESTALE])
async def test_a_rename_of_which_nobody_knows_is_not_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A share whose server answered too late: it has renamed, and the client gives up. The partner has the file."""
    real = os.rename

    def rename(*args: Any, **more: Any) -> None:
        real(*args, **more)
        raise OSError(code, "the share gave up")

    monkeypatch.setattr(os, "rename", rename)
    answer = await handed(FolderAdapter(tmp_path), ALERT)

    assert [path.name for path in tmp_path.iterdir()] == [f"{ID}.json"]
    assert answer.reply in (Reply.UNKNOWN, Reply.ACCEPTED), answer


async def test_whom_a_folder_lets_read_its_files_can_read_them(tmp_path: Path) -> None:
    """A partner's collector is another user, whom the folder's default ACL names."""
    named, rwx = 65534, 7
    entries = [(1, rwx, -1), (2, rwx, named), (4, rwx, -1), (16, rwx, -1), (32, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(tmp_path, "system.posix_acl_default", acl)

    assert await handed(FolderAdapter(tmp_path), ALERT) == WRITTEN
    [mask] = [
        rights
        for tag, rights, _ in struct.iter_unpack(
            "<HHi", os.getxattr(tmp_path / f"{ID}.json", "system.posix_acl_access")[4:]
        )
        if tag == 16
    ]
    assert mask & 4, "the one who is named may read nothing"


async def test_a_folder_of_what_was_collected_that_is_closed_to_us_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "collected").mkdir()
    code = (
        "import pathlib; root = folder\n"
        "asyncio.run(asyncio.to_thread(int))\n"
        "os.chown(root, 65534, 65534); os.chmod(root, 0o700); os.chmod(root / 'collected', 0o700)\n"
        "os.chdir(root.parent); root = pathlib.Path(root.name); os.seteuid(65534)\n"
        "print(asyncio.run(handed(FolderAdapter(root), ALERT)))"
    )
    tmp_path.parent.chmod(0o711)
    said = in_child(tmp_path, code)

    assert said[0].startswith("PartnerAnswer(reply=<Reply.ACCEPTED"), said


async def test_a_digest_that_comes_back_with_blanks_behind_it_is_the_same_digest(admin: str) -> None:
    """`char(n)`, which a partner's own rules may ask for where a length is known."""
    await as_partner(admin, "ALTER TABLE safebus_inbound ALTER digest TYPE char(80)")

    async with table(admin) as adapter:
        assert [await handed(adapter, ALERT) for _ in range(2)] == [COMMITTED, ALREADY_THERE]
