"""A broker of its own for each test that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from a_demo_bus import demo_bus
from an_attempt import PARTNER, Partner
from many_children import Bus

from safebus.deploy.local.brokers import open_broker
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection


@pytest.fixture
async def partner(tmp_path: Path) -> AsyncIterator[Partner]:
    with open_broker("embedded", data_dir=tmp_path) as broker:
        broker.create_topics({topics.receipts_from(PARTNER): 1, topics.parked_for(PARTNER): 1})
        partner = Partner(Connection(broker.bootstrap))
        await partner.outbound.start()
        yield partner
        await partner.outbound.stop()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with demo_bus(tmp_path) as (connection, register):
        yield Bus(connection, register)
