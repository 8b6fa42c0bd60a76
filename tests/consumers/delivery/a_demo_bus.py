"""A broker on which the demo's register stands, and the topics of its partners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from safebus.deploy.local.brokers import make_topics, open_broker
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, register_of, write_records

KEY = PersonKey(b"k" * 32)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@asynccontextmanager
async def demo_bus(tmp_path: Path, *, broker: str = "embedded") -> AsyncIterator[tuple[Connection, Register]]:
    with open_broker(broker, data_dir=tmp_path / "broker") as opened:
        entries = [c.entry for c in changes_of(DEMO_REGISTER, Register(), KEY)]
        make_topics(opened, wanted(partners_of(entries)))
        connection = Connection(opened.bootstrap)
        await write_records(connection, as_records(entries, at=NOON, by="test", reason="test"), key=KEY)
        yield connection, register_of(entries, at=NOON)
