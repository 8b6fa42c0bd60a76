"""
How does a parcel reach a table in a partner's PostgreSQL?

As one row, committed by itself. The partner makes the table and a role for the bus (`create_table`, `grant`): the bus
can add rows and read back id, kind and digest, to know its own repeats; it can neither read what was sent nor change
it. The partner writes `taken_at` and `taken_by`, and keeps rows, or at least these three columns, for a week: a repeat
after a crash is recognised by them.

    the row is committed                       ACCEPTED
    the same id and kind, the same digest      ACCEPTED    already_there
    ... another digest                         REFUSED     other_content: one of the two is wrong, a person must look
    no connection; server says: not committed  BUSY
    connection lost before the answer          UNKNOWN     it may be committed: repeat, and the id tells
    role, rights, database, table not as agreed NOT_LET_IN  code is the SQLSTATE
    the table does not take this row           REFUSED     code is the SQLSTATE

Source: PostgreSQL 18 manual, appendix A (SQLSTATE).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from safebus.consumers.adapters.adapter import Parcel, PartnerAnswer, Reply
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
        statement_s: Seconds for a statement, as the server counts them.

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
        self._look = f"SELECT digest FROM {table} WHERE notification_id = $1 AND kind = $2"  # noqa: S608
        self._one_at_a_time = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Nothing: the first `deliver` connects, and says so if it cannot."""

    async def close(self) -> None:
        """End the connection."""
        async with self._one_at_a_time:
            self._hang_up()

    async def deliver(self, parcel: Parcel) -> PartnerAnswer:
        """One attempt; see `interface.Adapter.deliver`."""
        async with self._one_at_a_time:
            try:
                connection = await self._connected()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                return _not_connected(error)
            try:
                return await self._put(connection, parcel)
            except TimeoutError:
                self._hang_up()
                return PartnerAnswer(Reply.UNKNOWN, "timeout")
            except (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, OSError):
                self._hang_up()
                return PartnerAnswer(Reply.UNKNOWN, "connection_lost")
            except asyncpg.PostgresError as error:
                return meaning_of(error.sqlstate or "XX000")
            except BaseException:  # we were told to stop half way: nothing may wait on this connection again
                self._hang_up()
                raise

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            settings = self._settings
            self._connection = await asyncpg.connect(
                settings.dsn,
                timeout=settings.connect_s,
                # The server's limit first: what it cancels was certainly not committed.
                command_timeout=settings.statement_s + 2,
                statement_cache_size=0,  # the partner may alter its table at any time
                server_settings={
                    "application_name": "safebus",
                    "statement_timeout": str(int(settings.statement_s * 1000)),
                },
            )
        return self._connection

    async def _put(self, connection: asyncpg.Connection, parcel: Parcel) -> PartnerAnswer:
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
        if done == "INSERT 0 1":
            return PartnerAnswer(Reply.ACCEPTED, "committed")
        found = await connection.fetchval(self._look, parcel.notification_id, parcel.kind)
        if found is None:  # taken out between the two statements, or swallowed by a trigger of the partner's
            return PartnerAnswer(Reply.BUSY, "row_missing")
        if found == parcel.digest:
            return PartnerAnswer(Reply.ACCEPTED, "already_there")
        return PartnerAnswer(Reply.REFUSED, "other_content")

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _not_connected(error: Exception) -> PartnerAnswer:
    """Nothing of the parcel was sent."""
    match error:
        case asyncpg.ConnectionDoesNotExistError():  # asyncpg's own word for a server that hangs up
            return PartnerAnswer(Reply.BUSY, "connection_failed")
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


def meaning_of(state: str) -> PartnerAnswer:
    """What a SQLSTATE means once the row was sent."""
    if state[:2] == "08" or state in ("40003", "57P01", "57P02"):
        # The server's session ended, and can have ended between the commit and the answer.
        return PartnerAnswer(Reply.UNKNOWN, state)
    if state[:2] in ("42", "28", "3D", "3F", "0A"):
        return PartnerAnswer(Reply.NOT_LET_IN, state)
    if state[:2] in ("22", "23", "44", "P0"):  # the value; a constraint; a view's check; a trigger of the partner's
        return PartnerAnswer(Reply.REFUSED, state)
    return PartnerAnswer(Reply.BUSY, state)


def _check_dsn(dsn: str) -> None:
    try:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
    except ValueError:
        raise BadInput("this DSN cannot be read; expected `postgresql://role:password@host/database`") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise BadInput("a DSN starts with `postgresql://`; found another scheme")
    if not parts.hostname or "," in parts.netloc or "host" in options:
        raise BadInput("a DSN names one host, before its path; give `postgresql://role:password@host/database`")
    if not _is_here(parts.hostname) and options.get("sslmode", [""])[-1] not in _TRUSTED_TLS:
        raise BadInput("this DSN leaves the machine without a checked certificate; add `?sslmode=verify-full`")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
