"""
What does `safebus deliver` cost beside the least program that hands over the same parcels?

One worker decides all events first. Then, for each transport, `safebus deliver` and the plain program take turns, each
into an empty folder, table or server. `safebus deliver` is counted from the first receipt to the last by the broker's
clock; the plain program counts itself.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from safebus.consumers.adapters.postgres import create_table
from safebus.deploy.local.child_process import free_port, is_free, start_child, stop_child
from safebus.deploy.local.partner_postgres import open_postgres
from safebus.schemas import topics
from safebus.schemas.errors import SafebusError
from tests.bench import world
from tests.bench.bus import Bus
from tests.bench.commands import environment, ran

#: Transport -> the partner whose notifications are handed over by it.
BY = dict(zip(("folder", "webhook", "postgres"), world.PERMITTED, strict=False))


class Systems:
    """The partners' systems. Each round gets a new place in them."""

    def __init__(self, folder: Path, dsn: str, port: int) -> None:
        self._folder, self._dsn, self._port = folder, dsn, port
        self._rounds = 0

    def destinations(self, transport: str) -> Path:
        """A new empty place for one transport, and the file that names it."""
        self._rounds += 1
        here = self._folder / f"round-{self._rounds}"
        here.mkdir()
        place: dict[str, object] = {"transport": transport}
        if transport == "folder":
            (here / "drop").mkdir()
            place["folder"] = "drop"
        elif transport == "webhook":
            (here / "secrets").write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
            place |= {"url": f"http://127.0.0.1:{self._port}/hook", "secrets_file": "secrets", "allow_private": True}
        else:
            table = f"inbound_{self._rounds}"
            asyncio.run(_make_table(self._dsn, table))
            (here / "dsn").write_text(self._dsn)
            place |= {"dsn_file": "dsn", "table": table}
        file = here / "destinations.yaml"
        file.write_text(json.dumps({BY[transport]: place}))
        return file


async def _make_table(dsn: str, table: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(create_table(table))
    finally:
        await connection.close()


@contextmanager
def open_systems(folder: Path) -> Iterator[Systems]:
    """A PostgreSQL and a web server, each in processes of their own; ended when the block ends."""
    folder.mkdir()
    port = free_port()
    with open_postgres(folder / "postgres") as dsn:
        argv = [sys.executable, "-m", "tests.bench.receiver", str(port)]
        child = start_child(argv, log=folder / "receiver.log", cwd=Path.cwd(), environ=os.environ)
        try:
            while is_free(port):
                if child.poll() is not None:
                    raise SafebusError(f"the web server ended; see {folder / 'receiver.log'}")
            yield Systems(folder, dsn, port)
        finally:
            stop_child(child, ask=signal.SIGTERM, wait_s=10)


def deliver_round(bus: Bus, systems: Systems, transport: str) -> float:
    """Notifications a second through `safebus deliver`."""
    partner = BY[transport]
    bus.start_afresh([f"adapter-{partner}"], written=[topics.receipts_from(partner)])
    file = systems.destinations(transport)
    processes = bus.processes()
    processes.start("deliver", ["deliver", "--destinations", str(file.resolve())])
    try:
        out = topics.notifications_for(partner)
        bus.wait_until_committed(f"adapter-{partner}", alive=processes.check, topic=out)
    finally:
        processes.stop()
    handed = bus.appended(topics.receipts_from(partner))
    if len(handed) != bus.events:
        raise SafebusError(f"{len(handed)} receipts of {bus.events} notifications; nothing was measured")
    return sum(at > handed[0] for at in handed) / (handed[-1] - handed[0])


def plain_round(bus: Bus, systems: Systems, transport: str) -> float:
    """Notifications a second by the plain program."""
    file = systems.destinations(transport)
    argv = [sys.executable, "-m", "tests.bench.plain_delivery", BY[transport], str(file.resolve())]
    return float(ran(argv, environment(bus)).stdout)


def in_turns(
    bus: Bus, folder: Path, rounds: int, progress: Callable[[str], None]
) -> dict[str, tuple[list[float], list[float]]]:
    """Transport -> notifications a second of `safebus deliver`, and of the plain program, one number a round."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    with open_systems(folder) as systems:
        for transport in BY:
            ours, plain = found.setdefault(transport, ([], []))
            for _ in range(rounds):
                ours.append(deliver_round(bus, systems, transport))
                plain.append(plain_round(bus, systems, transport))
                progress(f"{transport}: {ours[-1]:.0f}/s, plain {plain[-1]:.0f}/s")
    return found
