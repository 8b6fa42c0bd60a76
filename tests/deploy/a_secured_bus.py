"""A whole bus on a broker that lets in by certificate and asks for rights, for tests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from a_secured_broker import SecuredBroker, open_secured
from prometheus_client.parser import text_string_to_metric_families

from safebus.deploy.local.child_process import ended_within, start_child
from safebus.deploy.local.demo import story
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.deploy.service import key_files, rights
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.producers.publisher import Publisher
from safebus.schemas.events import Event
from safebus.schemas.kafka.admin import ensure_topics
from safebus.schemas.kafka.allowed import Right
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.write import as_records, write_records

SCHOOL, HAVEN = "ash-primary", "haven"
PATIENCE_S = 90.0


@dataclass
class SecuredBus:
    """A worker, and one delivery process for a school and a charity, each with a certificate of its own."""

    secured: SecuredBroker
    folder: Path
    partners: list[str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self, name: str) -> dict[str, str]:
        found = self.secured.settings(name, home=self.home)
        mine = {
            "SAFEBUS_HOME": str(self.home),
            "SAFEBUS_BROKER": str(found.broker),
            "SAFEBUS_TLS_CA": str(found.tls_ca),
            "SAFEBUS_TLS_CERT": str(found.tls_cert),
        }
        return {name: value for name, value in os.environ.items() if name != "SAFEBUS_HEALTH_PORT"} | mine

    def start(self, process: str, *words: str, name: str) -> None:
        argv = [sys.executable, "-m", "safebus.deploy.cli", *words]
        log = self.folder / f"{process}.log"
        self.children[process] = start_child(argv, log=log, cwd=Path.cwd(), environ=self.environment(name))

    def start_worker(self) -> None:
        self.start("worker", "worker", "--health-port", "0", name="worker")

    def start_delivery(self, *partners: str) -> None:
        to = ["--destinations", str(self.folder / "destinations.yaml"), "--health-port", "0"]
        self.start("deliver", "deliver", *partners, *to, name="adapter-both")

    def end(self, process: str) -> None:
        child = self.children.pop(process)
        child.send_signal(signal.SIGTERM)
        assert ended_within(child, 30)

    def run(self, *words: str, name: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "safebus.deploy.cli", *words]
        return subprocess.run(argv, env=self.environment(name), capture_output=True, text=True, timeout=120)

    def log(self, process: str) -> str:
        return (self.folder / f"{process}.log").read_text("utf-8")

    async def publish(self, event: Event) -> str:
        agency = event.publisher.agency
        found = self.secured.settings(agency, home=self.home)
        async with Publisher(found.connection(), agency=agency, case_secret=found.case_secret(agency)) as publisher:
            await publisher.publish(event, case="case")
        return event.event_id

    def delivered(self, partner: str, event_id: str) -> bool:
        return any(event_id in file.read_text("utf-8") for file in (self.folder / partner).glob("*.json"))

    async def ask(self, path: str, process: str = "worker") -> Any:
        def ports() -> list[str]:
            return re.findall(r'"port": (\d+), "event": "health.started"', self.log(process))

        await self.until(lambda: bool(ports()), f"{process} to answer for its health")
        port = ports()[-1]
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
            return await answer.text()

    async def until(self, done: Callable[[], Awaitable[bool]] | Callable[[], bool], what: str) -> float:
        """Wait for it; returns how long it took, seconds."""
        began = time.monotonic()
        while True:
            found = done()
            if found if isinstance(found, bool) else await found:
                return time.monotonic() - began
            for process, child in self.children.items():
                if child.poll() is not None:
                    raise AssertionError(f"{process} ended with {child.returncode}: {self.log(process)[-3000:]}")
            if time.monotonic() - began > PATIENCE_S:
                raise TimeoutError(f"{what}: {self.log('worker')[-2000:]} {self.log('deliver')[-2000:]}")
            await asyncio.sleep(0.1)

    def until_delivered(self, partner: str, event_id: str) -> Awaitable[float]:
        return self.until(lambda: self.delivered(partner, event_id), f"{partner} to have {event_id}")

    async def named(self, what: str) -> float:
        async def is_named() -> bool:
            health = json.loads(await self.ask("readyz"))
            return health["status"] == "warn" and what in " ".join(health["causes"])

        return await self.until(is_named, f"health to name {what}")

    async def metric(self, name: str, process: str = "worker") -> dict[tuple[str, ...], float]:
        text = await self.ask("metrics", process)
        samples = (s for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)
        return {tuple(value for _, value in sorted(s.labels.items())): s.value for s in samples}

    @asynccontextmanager
    async def without(self, taken: Right, *, instead: list[Right] = []) -> AsyncIterator[None]:  # noqa: B006
        """While this right is away; `instead`: the parts of it that stay."""
        self.secured.give(*instead)
        self.secured.take(taken)
        try:
            yield
        finally:
            self.secured.give(taken)
            self.secured.take(*instead)


def incident() -> Event:
    return story.incident().model_copy(update={"event_id": str(uuid.uuid4())})


@contextmanager
def open_secured_bus(folder: Path, *, importers: Sequence[str] = ()) -> Iterator[SecuredBus]:
    """Start everything and end everything."""
    with open_secured(folder) as secured:
        found = secured.settings("registrar", home=folder / "home")
        key_files.init(found.home)
        entries = [change.entry for change in changes_of(DEMO_REGISTER, Register(), found.person_key())]
        partners = partners_of(entries)
        key_files.init_cases(found.home, partners)
        table = wanted(partners)
        client = secured.admin.admin_client()
        ensure_topics(client, {t.name: t.partitions for t in table}, configs={t.name: t.config() for t in table})
        both = [*rights.of_adapter(SCHOOL, "adapter-both"), *rights.of_adapter(HAVEN, "adapter-both")]
        secured.give(*rights.of_bus(partners, partners, importers=importers, operators=["op-anna"]), *set(both))
        records = as_records(entries, at=datetime.now(UTC), by="test", reason="test")
        asyncio.run(write_records(found.connection(), records, key=found.person_key()))
        bus = SecuredBus(secured, folder, partners)
        places = {p: {"transport": "folder", "folder": str(folder / p)} for p in (SCHOOL, HAVEN)}
        for partner in places:
            (folder / partner).mkdir()
        (folder / "destinations.yaml").write_text(json.dumps(places), "utf-8")
        try:
            bus.start_worker()
            bus.start_delivery(SCHOOL, HAVEN)
            yield bus
        finally:
            for child in bus.children.values():
                child.send_signal(signal.SIGTERM)
            for child in bus.children.values():
                if not ended_within(child, 30):
                    child.kill()
                    child.wait()
