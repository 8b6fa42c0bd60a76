"""What a courier may not do is said when it is taken and when it is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from a_secured_broker import SecuredBroker, open_secured
from structlog.testing import capture_logs

from safebus.deploy.service import rights
from safebus.deploy.service.adapter_rights import AdapterRights
from safebus.schemas import topics
from safebus.schemas.errors import NotReachable
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.connection import Connection

PARTNERS = ("police", "mash")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with open_secured(tmp_path_factory.mktemp("secured")) as found:
        table = topics.table(PARTNERS, PARTNERS)
        ensure_topics(found.admin.admin_client(), {t.name: t.partitions for t in table}, configs={})
        found.give(*rights.of_bus(PARTNERS, PARTNERS))
        yield found


async def test_what_a_courier_lacks_is_said_when_it_is_taken_and_when_it_is_given_back(secured: SecuredBroker) -> None:
    """Also where nothing else is shown of the topic; asked by name, as a process with many couriers does."""
    seen = AdapterRights(secured.connection("adapter-mash"), ["mash"])
    for right in rights.of_adapter("mash"):
        with capture_logs() as said:
            assert await seen.look() == []
            secured.take(right)
            try:
                lacking = await seen.of("mash")
            finally:
                secured.give(right)
            await seen.look()
        assert [(r.operation, r.of, r.name) for r in lacking] == [(right.operation, right.of, right.name)]
        assert [(line["event"], line["right"], line["topic"]) for line in said] == [
            ("right.missing", right.operation, right.name),
            ("right.given", right.operation, right.name),
        ]


async def test_it_is_looked_for_again_and_again(secured: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safebus.deploy.service.adapter_rights._EVERY_S", 0.01)
    seen = AdapterRights(secured.connection("adapter-mash"), ["mash"])
    watching = asyncio.create_task(seen.watch())
    right = rights.of_adapter("mash")[0]
    secured.take(right)
    try:
        async with asyncio.timeout(30):
            while not seen.lacking:
                await asyncio.sleep(0.01)
    finally:
        secured.give(right)
        watching.cancel()


async def test_without_a_broker_nothing_is_known() -> None:
    with pytest.raises(NotReachable, match="no broker answers"):
        await AdapterRights(Connection("127.0.0.1:1"), ["mash"]).look()
