"""How is a whole bus started on one machine, to try things out, and how does it end?"""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import sys
import threading
from pathlib import Path

from safebus.deploy.local.brokers import make_topics, open_broker
from safebus.deploy.local.processes import Processes
from safebus.deploy.service import key_files, settings
from safebus.deploy.service.operations import Act, put_on_record
from safebus.deploy.service.settings import BROKER_FILE
from safebus.deploy.service.terminal import clock, say
from safebus.deploy.service.topic_plan import partners_of, wanted
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.changes import changes_of
from safebus.streams.register.follow import current_register
from safebus.streams.register.store import Register
from safebus.streams.register.to_confirm import to_confirm
from safebus.streams.register.write import as_records, request_digest, write_records

DEMO_REGISTER = Path(__file__).parent / "demo" / "register"


def stay_up(broker_name: str, *, register: Path | None, broker_only: bool) -> None:
    """Start a bus and keep it until Ctrl-C or SIGTERM."""
    found = settings.load()
    found.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = register or DEMO_REGISTER
    address = found.home / BROKER_FILE
    lock = (found.home / "up.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(
            f"a bus is running in `{found.home}` already; end it, or set SAFEBUS_HOME to another folder"
        ) from None
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with open_broker(broker_name, data_dir=found.home / "data" / broker_name) as broker:
        address.write_text(json.dumps({"name": broker_name, "bootstrap": broker.bootstrap}), "utf-8")
        processes = Processes(found, logs=found.home / "logs", broker=broker.bootstrap)
        try:
            say(f"broker `{broker_name}` at {broker.bootstrap}")
            key_files.init(found.home)  # also for a publisher's or an operator's commands against the broker alone
            if not broker_only:
                changes = changes_of(folder, Register(), found.person_key())
                entries = [change.entry for change in changes]
                key_files.init_cases(found.home, partners_of(entries))
                make_topics(broker, wanted(partners_of(entries)))
                asyncio.run(_load(Connection(broker.bootstrap), folder, found))
                where = _start(processes, found.home, partners_of(entries))
                say(f"logs in {found.home / 'logs'}; each partner's notifications {where}")
                say("worker and adapters are starting ...")
                while not done.wait(0.1) and not processes.said("worker", "worker.started"):
                    processes.check()
            say("ready; Ctrl-C ends it all")
            while not done.wait(0.5):
                broker.check()
                processes.check()
        finally:
            processes.stop()
            address.unlink(missing_ok=True)
    say("ended; nothing is left running")
    sys.stderr.flush()


async def _load(connection: Connection, folder: Path, found: settings.Settings) -> None:
    key = found.person_key()
    register = await current_register(connection, key=key)
    changes = [c for c in changes_of(folder, register, key, now=clock()) if c.what != "same"]
    asked = to_confirm((c.entry for c in changes), register, event_schemas())
    if asked:
        names = "".join(f"\n  {one.name}" for one in asked)
        raise BadInput(f"`{folder}` is loaded only when this is confirmed, by `safebus register load`:{names}")
    if changes:
        records = as_records((c.entry for c in changes), at=clock(), by="safebus up", reason="started on this machine")
        key = key.of(register.generation)
        request = request_digest(records, key)
        act = Act("up", (folder.name,), "started on this machine", len(records), request)
        await put_on_record(found, act, clock=clock)
        offset = await write_records(connection, records, key=key)
        say(f"register loaded from {folder.name}: {len(changes)} entries, counts from offset {offset}")


def _start(processes: Processes, home: Path, partners: list[str]) -> str:
    """Start worker and adapters; says where notifications go."""
    places = {}
    for partner in partners:
        inbox = home.resolve() / "inbox" / partner
        inbox.mkdir(parents=True, exist_ok=True)
        places[partner] = {"transport": "folder", "folder": str(inbox)}
    file = home / "destinations.yaml"
    ours = json.dumps(places, indent=1)  # JSON is YAML, and needs no library to write
    if not file.exists():
        file.write_text(ours, "utf-8")
    processes.start("worker", ["worker"])
    processes.start("deliver", ["deliver", "--destinations", str(file.resolve())])
    return f"in {home / 'inbox'}/<partner>/" if file.read_text("utf-8") == ours else f"where {file} says"
