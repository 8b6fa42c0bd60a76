"""A whole bus on this machine, as real processes, for tests that follow an event from end to end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from safebus.consumers.adapters import destinations as places
from safebus.deploy.local.brokers import Broker, make_topics, open_broker
from safebus.deploy.local.demo import watch
from safebus.deploy.local.demo.demonstrate import RECIPIENTS
from safebus.deploy.local.demo.partners import Partners, open_partners
from safebus.deploy.local.processes import Processes
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.operations import Act, put_on_record
from safebus.deploy.service.settings import Settings
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.producers.publisher import Accepted, Publisher
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.events import Event
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Message, Writer
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import Entry
from safebus.streams.register.follow import current_register
from safebus.streams.register.governance import RegisteredDestination
from safebus.streams.register.store import Register
from safebus.streams.register.write import (
    as_records,
    check_consent,
    consent_record,
    ending_record,
    request_digest,
    write_records,
)
from safebus.streams.rules.consent import ConsentEntry, Meaning, State


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Bus:
    """
    A running bus.

    Attributes:
        partners: The partners' own systems.
    """

    broker: Broker
    settings: Settings
    connection: Connection
    processes: Processes
    partners: Partners
    folder: Path
    _children: dict[str, Any] = field(default_factory=dict)

    async def publish(self, *events: Event, case: str = "case") -> list[Accepted]:
        accepted: list[Accepted] = []
        for event in events:
            agency = event.publisher.agency
            secret = self.settings.case_secret(agency)
            async with Publisher(self.connection, agency=agency, case_secret=secret) as publisher:
                accepted.append(await publisher.publish(event, case=case))
        return accepted

    async def send_raw(self, topic: str, value: bytes, *, key: bytes = b"case", partition: int | None = None) -> None:
        outbound = Writer(self.connection, client_id="test")
        await outbound.start()
        await outbound.send_all([Message(topic, key, value, (), partition)])
        await outbound.stop()

    async def until(self, done: Callable[[watch.BusSoFar], bool], what: str) -> watch.BusSoFar:
        return await watch.until(
            self.connection, done, what=what, clock=utc_now, check=self.processes.check, patience=timedelta(seconds=90)
        )

    async def settled(self, *events: Event) -> watch.BusSoFar:
        ids = {event.event_id for event in events}
        return await self.until(lambda seen: seen.settled(ids), "these events to be decided and delivered")

    async def register(self, *entries: Entry) -> int:
        """Write entries to the register as they stand."""
        return await self._write(as_records(entries, at=utc_now(), by="test", reason="test"))

    async def register_end(self, record_id: str) -> None:
        """End one entry."""
        record = ending_record(record_id, await self.register_now(), at=utc_now(), by="test", reason="test")
        await self._write([record])

    async def register_destination(self, partner: str, destinations: Path) -> None:
        """Where this partner's notifications go, as the file says."""
        there = places.opened(places.read(destinations).of(partner), clock=utc_now)
        body = RegisteredDestination(partner=partner, transport=there.transport, place=there.place)
        await self.register(Entry(f"destination/{partner}", "destination", body, "test"))

    async def register_now(self) -> Register:
        return await current_register(self.connection)

    async def consent(self, number: str, state: State, *, purpose: str, by: str = "parent") -> int:
        now = utc_now()
        entry = ConsentEntry(
            person_id=self.settings.person_key().token("nhs", number),
            meaning=Meaning.SERVICE_AGREEMENT,
            purpose=purpose,
            state=state,
            decided_at=now,
            expressed_by=by,
            method="test",
        )
        check_consent(entry, await self.register_now(), now=now)
        return await self._write([consent_record(entry, at=now, by="test", reason="test")])

    async def _write(self, records: list[RegisterRecord]) -> int:
        """On record first, as every command does it."""
        found = replace(self.settings, broker=self.connection.bootstrap)
        key = found.person_key().of((await self.register_now()).generation)
        act = Act("test", ("test",), "test", len(records), request_digest(records, key))
        await put_on_record(found, act, clock=utc_now)
        return await write_records(self.connection, records, key=key)

    def start_worker(self) -> None:
        self._children["worker"] = self.processes.start("worker", ["worker"])

    def kill_worker(self) -> None:
        """SIGKILL: no time to finish, commit or say anything."""
        child = self._children["worker"]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.processes.forget("worker")


@contextmanager
def open_bus(broker_name: str, folder: Path) -> Iterator[Bus]:
    """Start everything and end everything."""
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    runner = asyncio.Runner()
    with open_broker(broker_name, data_dir=folder / "broker") as broker, runner:
        connection = Connection(broker.bootstrap)
        key_files.init(found.home)
        entries = [change.entry for change in changes_of(DEMO_REGISTER, Register(), found.person_key())]
        key_files.init_cases(found.home, partners_of(entries))
        make_topics(broker, wanted(partners_of(entries)))
        processes = Processes(found, logs=folder / "logs", broker=broker.bootstrap)
        try:
            with _receivers(folder) as partners:
                bus = Bus(broker, found, connection, processes, partners, folder)
                runner.run(bus.register(*entries))
                bus.start_worker()
                processes.start("deliver", ["deliver", "--destinations", str(partners.destinations(RECIPIENTS))])
                yield bus
        finally:
            processes.stop()


@contextmanager
def _receivers(folder: Path) -> Iterator[Partners]:
    """The partners' systems in a thread of their own: they answer while a test waits."""
    ready: list[Partners] = []
    started, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            ready.append(await open_partners(stack, folder))
            started.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    if not started.wait(60):
        done.set()
        raise TimeoutError("the partners' systems did not start within 60 s")
    try:
        yield ready[0]
    finally:
        done.set()
        thread.join()
