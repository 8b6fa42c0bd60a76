"""A partner's own PostgreSQL, as its administrator has set it up for the bus."""

from __future__ import annotations

import secrets

import asyncpg

from safebus.consumers.adapters.postgres import CREATE_TABLE, GRANT

PASSWORD = secrets.token_hex(8)


async def as_partner(dsn: str, *statements: str) -> list[asyncpg.Record]:
    """What the partner's administrator does; gives the rows of the last statement."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetch(statements[-1])
    finally:
        await connection.close()


async def set_up(dsn: str) -> str:
    """A new table, and a role that has what GRANT gives, and nothing else; gives the DSN again."""
    await as_partner(
        dsn,
        "DROP TABLE IF EXISTS safebus_inbound CASCADE",
        "DROP TABLE IF EXISTS elsewhere",
        "DO $$ BEGIN CREATE ROLE safebus LOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
        f"ALTER ROLE safebus PASSWORD '{PASSWORD}' CONNECTION LIMIT -1",
        "ALTER ROLE safebus RESET ALL",
        CREATE_TABLE,
        GRANT,
    )
    return dsn
