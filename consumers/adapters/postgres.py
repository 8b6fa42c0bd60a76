"""
How does a parcel reach a table in a partner's PostgreSQL?

As one row in a transaction of its own: it is written, and committed if it may still go. The partner makes the table
and a role for the bus (`create_table`, `grant`): the bus can add rows and read back id, kind and digest, to know its
own repeats; it can neither read what was sent nor change it. The partner writes `taken_at` and `taken_by`, and keeps
rows, or at least these three columns, for a week: a repeat after a crash is recognised by them.

What is new to the partner is what has no `taken_at`. It is not what has a later `received_at` than the last row: that
is when the bus began to write it, and what another process of the bus began later can be there before.

    the row is committed                        ACCEPTED       committed; filed: by a trigger, or by another process
    the same id and kind, the same digest       ACCEPTED       already_there
    ... another digest                          OTHER_CONTENT  one of the two is wrong, a person must look
    no connection, or lost before the commit;
    server says: not committed                  BUSY
    lost while it was being committed, or the
    server says there was nothing to commit     UNKNOWN        it may be: repeat, and the id tells
    role, rights, database, table not as agreed NOT_LET_IN     code is the SQLSTATE
    taken in and not to be seen in the table    NOT_LET_IN     row_not_kept: a trigger or rule of the partner's files it
                                                               elsewhere; it is undone, for no repeat would be known
    the table does not take this row            REFUSED        code is the SQLSTATE

A server that has become read-only, shuts down or no longer knows us gets a new connection next time: behind the same
name there may be another one by then.

Source: PostgreSQL 18 manual, appendix A (SQLSTATE); PgBouncer's source, for what it answers in a server's place.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from safebus.consumers.adapters.adapter import ALREADY_THERE, Effect, Parcel, PartnerAnswer, Reply
from safebus.schemas.errors import BadInput

_WORD: Final = r"[a-z_][a-z0-9_]{0,62}"
_TABLE: Final = re.compile(rf"({_WORD}\.)?{_WORD}")
_TRUSTED_TLS: Final = ("verify-full", "verify-ca")
_WRITTEN: Final = "notification_id, kind, event_id, event_type, case_token, urgency, body, digest"
_READ: Final = "notification_id, kind, digest"


def _quoted(table: str) -> str:
    # In quotes, so that a table may be called `user`.
    if not _TABLE.fullmatch(table):
        raise BadInput("a table is `name` or `schema.name`, each of a-z, 0-9 and `_`; found another name")
    return ".".join(f'"{word}"' for word in table.split("."))


def create_table(table: str = "safebus_inbound") -> str:
    """The SQL with which a partner makes its table."""
    return (
        f"CREATE TABLE {_quoted(table)} (\n"
        "    notification_id text NOT NULL,\n"
        "    kind text NOT NULL CHECK (kind IN ('notification', 'consent.withdrawn')),\n"
        "    event_id text NOT NULL,\n"
        "    event_type text NOT NULL,\n"
        "    case_token text NOT NULL,\n"
        "    urgency text NOT NULL,\n"
        "    body jsonb NOT NULL,\n"
        "    digest text NOT NULL,\n"
        "    received_at timestamptz NOT NULL DEFAULT now(),\n"
        "    taken_at timestamptz,\n"
        "    taken_by text,\n"
        "    PRIMARY KEY (notification_id, kind)\n"
        ")"
    )


def grant(role: str = "safebus", table: str = "safebus_inbound") -> str:
    """The SQL with which a partner gives the bus's role all the rights it needs: no column about a person is read."""
    return f"GRANT INSERT ({_WRITTEN}), SELECT ({_READ}) ON {_quoted(table)} TO {_quoted(role)}"


CREATE_TABLE: Final = create_table()
GRANT: Final = grant()


@dataclass(frozen=True)
class PostgresSettings:
    """
    One partner's table.

    Attributes:
        dsn: `postgresql://role:password@host:port/database`. A host that is not this machine needs
            `?sslmode=verify-full`: otherwise asyncpg would go on without TLS when a server has none.
        connect_s: Seconds for connecting.
        statement_s: Seconds for a statement, as the server counts them; waiting for a lock counts.

    Raises:
        BadInput: `table` or `dsn` cannot be used; the message does not show the DSN.
    """

    dsn: str = field(repr=False)
    table: str = "safebus_inbound"
    connect_s: float = 5
    statement_s: float = 10

    def __post_init__(self) -> None:
        _quoted(self.table)
        _check_dsn(self.dsn)


class PostgresAdapter:
    """Delivers to one partner's table, over one connection that is made again when it is lost."""

    transport: str = "postgres"

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        table = _quoted(settings.table)
        marks = ", ".join(f"${number}" for number in range(1, 9))
        self._insert = (
            f"INSERT INTO {table} ({_WRITTEN}) VALUES ({marks}) "  # noqa: S608 - `_quoted` has checked the name
            "ON CONFLICT (notification_id, kind) DO NOTHING"
        )
        # Compared by the server: a column of a fixed width gives more blanks than it was given.
        self._look = f"SELECT digest = $3 FROM {table} WHERE notification_id = $1 AND kind = $2"  # noqa: S608
        self._one_at_a_time = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._not_in_a_transaction = False  # says the server of our last commit

    async def open(self) -> None:
        """Nothing: the first attempt connects, and says so if it cannot."""

    async def close(self) -> None:
        """End the connection."""
        async with self._one_at_a_time:
            self._hang_up()

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        """The row is written and not committed; see `adapter.Adapter.prepare`."""
        async with self._one_at_a_time:
            try:
                yield await self._prepared(parcel)
            except BaseException:  # we were told to stop half way: nothing may wait on this connection again
                self._hang_up()
                raise
            await self._undo()

    async def _prepared(self, parcel: Parcel) -> Effect | PartnerAnswer:
        try:
            connection = await self._connected()
        except (asyncpg.PostgresError, *_LOST, ValueError) as error:
            return _not_connected(error)
        try:
            # Not a setting of the session: poolers let none through, and may give each transaction another session.
            limit = int(self._settings.statement_s * 1000)
            await connection.execute(f"BEGIN; SET LOCAL statement_timeout = {limit}")
            return await self._put(connection, parcel)
        except TimeoutError:
            self._hang_up()
            return PartnerAnswer(Reply.BUSY, "timeout")
        except (asyncpg.ConnectionDoesNotExistError, *_LOST):
            self._hang_up()
            return PartnerAnswer(Reply.BUSY, "connection_lost")
        except asyncpg.PostgresError as error:
            return self._refused(error, committing=False)

    async def _put(self, connection: asyncpg.Connection, parcel: Parcel) -> Effect | PartnerAnswer:
        # Looked at first: where a trigger of the partner's files rows, an insert may meet no conflict.
        if (there := await self._there(connection, parcel)) is not None:
            return there
        done = await connection.execute(
            self._insert,
            parcel.notification_id,
            parcel.kind,
            parcel.event_id,
            parcel.event_type,
            parcel.case,
            parcel.urgency,
            parcel.json_bytes().decode(),
            parcel.digest,
        )
        # How many rows that says it made tells nothing: a trigger of the partner's may have taken it away, or put it
        # there; and another process may have just done so.
        there = await self._there(connection, parcel)
        if there is None:
            return PartnerAnswer(Reply.NOT_LET_IN, "row_not_kept")
        code = "committed" if done == "INSERT 0 1" else "filed"
        return partial(self._commit, code) if there.reply is Reply.ACCEPTED else there

    async def _there(self, connection: asyncpg.Connection, parcel: Parcel) -> PartnerAnswer | None:
        """The answer where a row of this id is there; None: there is none."""
        same = await connection.fetchval(self._look, parcel.notification_id, parcel.kind, parcel.digest)
        if same is None:
            return None
        if same:
            return PartnerAnswer(Reply.ACCEPTED, ALREADY_THERE)
        return PartnerAnswer(Reply.OTHER_CONTENT, "other_content")

    async def _commit(self, code: str) -> PartnerAnswer:
        assert self._connection is not None  # it has the row
        self._not_in_a_transaction = False
        try:
            done = await self._connection.execute("COMMIT")
        except TimeoutError:
            self._hang_up()
            return PartnerAnswer(Reply.UNKNOWN, "timeout")
        except (asyncpg.ConnectionDoesNotExistError, *_LOST):
            self._hang_up()
            return PartnerAnswer(Reply.UNKNOWN, "connection_lost")
        except asyncpg.PostgresError as error:
            return self._refused(error, committing=True)
        if done != "COMMIT":
            return PartnerAnswer(Reply.BUSY, "rolled_back")
        if self._not_in_a_transaction:
            self._hang_up()
            return PartnerAnswer(Reply.UNKNOWN, "not_in_a_transaction")
        return PartnerAnswer(Reply.ACCEPTED, code)

    def _heed(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        # A pooler that has lost our server has the next one commit nothing, which that takes, with this warning.
        self._not_in_a_transaction |= message.sqlstate == "25P01"

    async def _undo(self) -> None:
        """Nothing of what was not committed stays."""
        if self._connection is None or not self._connection.is_in_transaction():
            return
        try:
            await self._connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, *_LOST):  # the server undoes it when we are gone
            self._hang_up()

    def _refused(self, error: asyncpg.PostgresError, *, committing: bool) -> PartnerAnswer:
        state = error.sqlstate or "XX000"
        if state[:2] == "08" or state in _ANOTHER_SERVER:
            self._hang_up()
        return meaning_of(state, committing=committing)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            settings = self._settings
            self._connection = await asyncpg.connect(
                settings.dsn,
                timeout=settings.connect_s,
                # The server's limit first: what it cancels was certainly not committed.
                command_timeout=settings.statement_s + 2,
                statement_cache_size=0,  # the partner may alter its table at any time
                server_settings={"application_name": "safebus"},
            )
            self._connection.add_log_listener(self._heed)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


#: What asyncpg raises when it cannot go on with a connection; the second is none of its other errors.
_LOST: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
#: Read-only, shut down, crashed, starting: the name may lead to another server by now.
_ANOTHER_SERVER: Final = ("25006", "57P01", "57P02", "57P03", "57P04", "57P05")
#: PgBouncer has one code for everything; by these words it is full, and any other is a setting that a person must mend.
_POOLER_IS_FULL: Final = ("query_wait_timeout", "max_client_conn", "no more connections allowed", "server_login_retry")


def _not_connected(error: Exception) -> PartnerAnswer:
    """Nothing of the parcel was sent."""
    match error:
        case asyncpg.ConnectionDoesNotExistError():  # asyncpg's own word for a server that hangs up
            return PartnerAnswer(Reply.BUSY, "connection_failed")
        case asyncpg.TargetServerAttributeNotMatched():  # `target_session_attrs`: a standby, as in a switch-over
            return PartnerAnswer(Reply.BUSY, "not_the_server_asked_for")
        case ValueError():  # asyncpg's word for a DSN that cannot be used: a file of it has gone since it was checked
            return PartnerAnswer(Reply.NOT_LET_IN, "dsn_not_usable")
        case asyncpg.ProtocolViolationError():  # a pooler's answer in the server's place
            full = any(word in str(error) for word in _POOLER_IS_FULL)
            return PartnerAnswer(Reply.BUSY if full else Reply.NOT_LET_IN, "08P01")
        case asyncpg.PostgresError():
            state = error.sqlstate or "XX000"
            # 28: who are you; 3D: no such database; 42501: you may not connect to it
            return PartnerAnswer(Reply.NOT_LET_IN if state[:2] in ("28", "3D", "42") else Reply.BUSY, state)
        case ssl.SSLCertVerificationError():
            return PartnerAnswer(Reply.NOT_LET_IN, "certificate_not_trusted")
        case TimeoutError():
            return PartnerAnswer(Reply.BUSY, "connect_timeout")
        case ConnectionRefusedError():
            return PartnerAnswer(Reply.BUSY, "connection_refused")
        case socket.gaierror():
            return PartnerAnswer(Reply.BUSY, "name_not_found")
        case _:
            return PartnerAnswer(Reply.BUSY, "connection_failed")


#: What is so now and may be otherwise the next time: connection, transaction, statement that a pooler has forgotten,
#: serialization, resources, an operator, the system, its settings, another server, the server's own fault. All else is
#: about what was sent: the value, a constraint, a limit, or a trigger of the partner's that fails at it.
_PASSES: Final = ("08", "25", "26", "40", "53", "57", "58", "72", "F0", "HV", "XX")


def meaning_of(state: str, *, committing: bool) -> PartnerAnswer:
    """
    What a SQLSTATE means once we are connected.

    Args:
        committing: It is the answer to our commit. A session that ended before has committed nothing for certain.
    """
    if committing and (state[:2] == "08" or state in ("40003", "57P01", "57P02")):
        # The server's session ended, and can have ended between the commit and the answer.
        return PartnerAnswer(Reply.UNKNOWN, state)
    if state[:2] in ("42", "28", "3D", "3F", "0A"):
        return PartnerAnswer(Reply.NOT_LET_IN, state)
    if state[:2] in _PASSES or state in ("55006", "55P03"):
        return PartnerAnswer(Reply.BUSY, state)
    return PartnerAnswer(Reply.REFUSED, state)


def _check_dsn(dsn: str) -> None:
    try:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
        _ = parts.port, (parts.hostname or "").encode("idna")  # of what is none, they say so when they are asked
    except ValueError:
        raise BadInput("this DSN cannot be read; expected `postgresql://role:password@host:port/database`") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise BadInput("a DSN starts with `postgresql://`; found another scheme")
    if not parts.hostname or "," in parts.netloc or "host" in options:
        raise BadInput("a DSN names one host, before its path; give `postgresql://role:password@host/database`")
    if not _is_here(parts.hostname) and options.get("sslmode", [""])[-1] not in _TRUSTED_TLS:
        raise BadInput("this DSN leaves the machine without a checked certificate; add `?sslmode=verify-full`")
    if options.get("sslmode", [""])[-1] in _TRUSTED_TLS:
        _check_root(options.get("sslrootcert", [os.environ.get("PGSSLROOTCERT", "")])[-1])


def _check_root(named: str) -> None:
    """What a certificate is checked against must be there, or every connection would fail for ever."""
    root = Path(named or "~/.postgresql/root.crt").expanduser()
    try:
        ssl.create_default_context(cafile=root)
    except OSError as exc:  # ssl.SSLError is one
        why = "it holds no certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise BadInput(
            f"this DSN checks the server's certificate against `{root}`, which cannot be used: {why}; name the file of "
            "the partner's CA by `sslrootcert=`"
        ) from None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
