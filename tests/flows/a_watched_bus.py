"""A worker and three partners' adapters on Apache Kafka, asked over HTTP how they are."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from safebus.deploy.local.brokers import make_topics
from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.deploy.local.child_process import free_port
from safebus.deploy.local.demo import story
from safebus.deploy.local.processes import Processes
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.settings import Settings
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.producers.publisher import Publisher
from safebus.schemas.events import Event, OperationEncompass
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, write_records

#: One takes everything, the folder of one is gone, and the database of one does not answer.
THERE, GONE, DOWN = "ash-primary", "haven", "fordshire-0-19"


@dataclass
class Answer:
    """What a health port said."""

    status: int
    content_type: str
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """Label values, in the order of the labels' names -> value."""
        found = (s for f in text_string_to_metric_families(self.text) for s in f.samples if s.name == name)
        return {tuple(value for _, value in sorted(s.labels.items())): s.value for s in found}


@dataclass
class WatchedBus:
    broker: KafkaBroker
    settings: Settings
    connection: Connection
    processes: Processes
    folder: Path

    async def ask(self, process: str, path: str, *, accept: str = "*/*") -> Answer:
        lines = (self.folder / "logs" / f"{process}.log").read_text("utf-8")
        port = re.findall(r'"port": (\d+), "event": "health.started"', lines)[-1]
        url = f"http://127.0.0.1:{port}/{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as answer:
            return Answer(answer.status, answer.headers["Content-Type"], await answer.text())

    async def until(self, process: str, path: str, done: Callable[[Answer], bool]) -> Answer:
        last: Answer | None = None
        try:
            async with asyncio.timeout(90):
                while True:
                    self.processes.check()
                    if self.processes.said(process, "health.started"):
                        last = await self.ask(process, path)
                        if done(last):
                            return last
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise TimeoutError(f"`/{path}` of {process} said last: {last}") from None

    async def ready(self, process: str) -> Answer:
        return await self.until(process, "readyz", lambda answer: answer.status == 200)

    async def publish(self, *events: Event, case: str = "case") -> None:
        for event in events:
            agency = event.publisher.agency
            async with Publisher(
                self.connection, agency=agency, case_secret=self.settings.case_secret(agency)
            ) as publisher:
                await publisher.publish(event, case=case)


def incident() -> OperationEncompass:
    """The incident under an id of its own."""
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4())})


@contextmanager
def watched_bus(
    folder: Path, *partners: str, register: Path = DEMO_REGISTER, more: Sequence[str] = ()
) -> Iterator[WatchedBus]:
    """
    Start everything, with deliveries to these partners, and end everything.

    Args:
        more: Further ones of them, which take everything, too.
    """
    found = settings.load({"SAFEBUS_HOME": str(folder / "home")})
    broker = KafkaBroker(folder / "broker")
    processes = Processes(found, logs=folder / "logs", broker=broker.bootstrap)
    try:
        broker.start()
        key_files.init(found.home)
        entries = [change.entry for change in changes_of(register, Register(), found.person_key())]
        key_files.init_cases(found.home, partners_of(entries))
        make_topics(broker, wanted(partners_of(entries)))
        connection = Connection(broker.bootstrap)
        records = as_records(entries, at=datetime.now(UTC), by="test", reason="test")
        asyncio.run(write_records(connection, records, key=found.person_key()))
        for partner in (THERE, *more):
            (folder / partner).mkdir()
        places = {partner: {"transport": "folder", "folder": str(folder / partner)} for partner in (THERE, GONE, *more)}
        (folder / "down.dsn").write_text(f"postgresql://safebus@127.0.0.1:{free_port()}/none", "utf-8")
        places[DOWN] = {"transport": "postgres", "dsn_file": str(folder / "down.dsn")}
        (folder / "destinations.yaml").write_text(json.dumps(places), "utf-8")
        processes.start("worker", ["worker", "--health-port", "0"])
        to = ["--destinations", str(folder / "destinations.yaml")]
        processes.start("deliver", ["deliver", *partners, *to, "--health-port", "0"])
        yield WatchedBus(broker, found, connection, processes, folder)
    finally:
        processes.stop()
        broker.stop()
