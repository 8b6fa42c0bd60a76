"""
What agencies publish stands on their own topics and, as far as an agreement releases it, with its recipients; and
nowhere else: no other topic, no key or header, log line, terminal, table for a spreadsheet, metric, argument or file.

Every text of an event of each type is a word that stands nowhere else. All processes log all that they can, one
partner's folder is gone, one's database is down, and one delivery is parked.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer
from a_bus import utc_now
from a_canary import NOT_FREE, SWAPPED_UNSEEN, Canaries, stories, swap_in_folder
from a_watched_bus import DOWN, GONE, THERE, WatchedBus, watched_bus

from safebus.deploy.cli import app
from safebus.deploy.local.demo import watch
from safebus.deploy.local.up import DEMO_REGISTER
from safebus.schemas import codec
from safebus.schemas.bus_records import Stage
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event
from safebus.schemas.kafka.reader import read_topic
from safebus.schemas.kafka.topic_list import topics_there
from safebus.schemas.kafka.writer import Message, Writer

pytestmark = pytest.mark.flow

MASH = "fordshire-mash"
REAL = Path(__file__).parents[1] / "data" / "real" / "mns" / "cloudevent-pds-death-2.json"

#: Commands that show something, as they are typed; each in every form that it has.
SHOWS = {
    "consent record": "consent record --state requested --purpose safeguarding --capacity parent --method {method} "
    "--execute --reason {reason}",
    "doctor": "doctor",
    "publish": "publish {event} --case {case}",
    "import": "import mns {mns}",
    "explain": "explain {event_id}",
    "index": "index",
    "reconcile": "reconcile --grace 0",
    "audit report": "audit report",
    "topics plan": "topics plan",
    "register diff": "register diff {register}",
    "register show": "register show",
    "register history": "register history",
    "policy try": "policy try {event} --register {register}",
    "replay verify": "replay verify",
    "deliveries again": "deliveries again haven",
    "deliveries list": "deliveries list ash-primary",
    "deliveries show": "deliveries show {parked}",
    "partners list": "partners list",
    "partners show": "partners show ash-primary",
    "parked list": "parked list ash-primary",
    "parked show": "parked show ash-primary {parked}",
    "quarantine list": "quarantine list",
    "quarantine show": "quarantine show {quarantined}",
    "operations list": "operations list",
}
#: Those that start something, know of no event, or need a broker with rights; what acts is in test_on_record.
NOT_TYPED = {
    "keys show", "schemas list", "schemas show", "schemas check",
    "demo", "up", "worker", "deliver", "bench", "keys init", "keys export", "rights plan", "rights apply",
    "topics apply", "register load", "register end", "register revive", "register lift", "parked redrive",
    "quarantine open", "schemas release", "partners pause", "partners resume", "partners test", "deliveries redrive",
    "parked assign", "parked close", "quarantine assign", "quarantine close",
    "partners rotate-secret",
    "keys backup", "keys restore", "keys drill", "keys rotate", "keys switch",
}  # fmt: skip
FORMS = ("table", "json", "csv")
OTHER_FORMS = {"audit report": ("markdown", "json")}

_PLAN = {"payload.authority_name", "payload.emergency_duty_phone", "payload.office_phone", "publisher.contact"}
_NAME = {"subjects.given_name", "subjects.family_name"}
_INCIDENT_TO_MASH = _NAME | {
    "payload.children.words", "payload.circumstances", "payload.incident_address", "publisher.contact",
    "publisher.org_code", "publisher.org_name", "publisher.org_scheme", "subjects.home_address.lines",
    "subjects.home_address.postcode", "subjects.home_address.uprn", "subjects.nhs_number", "subjects.phone",
    "subjects.school", "subjects.upn",
}  # fmt: skip

#: Of what was planted, what the agreements release to each. Nothing here is the refuge's, of housing or in confidence.
RELEASED = {
    "ash-primary": _NAME | {"payload.children.words", "subjects.upn"},
    "county-hospital": _PLAN | {"subjects.nhs_number"},
    "fordshire-0-19": _PLAN | _NAME | {"subjects.nhs_number"},
    "fordshire-mash": _INCIDENT_TO_MASH | {"payload.diagnosis", "payload.presenting_complaint"},
    "haven": _NAME | {"subjects.phone"},
    "meadow-practice": _NAME,
}
#: As text; on topics a date is a number.
BORN = {"subjects.date_of_birth"}

#: Everywhere else that a word of somebody's is found, and which.
EXPECTED = {
    "files in ash-primary": _NAME | BORN,  # of the incident it has another file, which is why that was parked
    "files in fordshire-mash": RELEASED["fordshire-mash"] | BORN,
    "parked.ash-primary": RELEASED["ash-primary"],
    "terminal: policy try": _INCIDENT_TO_MASH | BORN,
    "operations": {"--reason"},
    "terminal: operations list": {"--reason"},
    "terminal: audit report": {"--reason"},
    "terminal: register history": {"--method", "--reason"},  # it is asked why, and shows entries before and after
    "register": {"--method", "--reason"},
}


@dataclass
class Sinks:
    """Where what was planted has been looked for -> the leaves that were found there."""

    canaries: Canaries
    found: dict[str, set[str]] = field(default_factory=dict)
    looked_at: int = 0

    def look(self, sink: str, data: bytes) -> None:
        self.looked_at += 1
        if words := self.canaries.found_in(data):
            self.found.setdefault(sink, set()).update(self.canaries.leaves_of(words))


@dataclass
class Told:
    """
    A bus on which everything was told.

    Attributes:
        planted: Agency -> the leaves that it told.
    """

    bus: WatchedBus
    canaries: Canaries
    planted: dict[str, set[str]]
    events: list[Event]
    register: Path
    parked: str
    quarantined: str


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedBus]:
    folder = tmp_path_factory.mktemp("canaries")
    shutil.copytree(DEMO_REGISTER, folder / "register")
    swap_in_folder(folder / "register" / "family.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFEBUS_LOG_LEVEL", "debug")
        with watched_bus(folder, THERE, GONE, DOWN, MASH, register=folder / "register", more=[MASH]) as running:
            yield running


async def told(bus: WatchedBus) -> Told:
    """Publish all of it, and wait until it became what it can."""
    canaries = Canaries()
    events = [canaries.event(event) for event in stories()]
    planted = {e.publisher.agency: canaries.leaves_of(canaries.found_in(codec.encode(e))) for e in events}
    planted["fordshire-police"].add("junk")
    assert {leaf for leaves in planted.values() for leaf in leaves} == every_free_text() | {"junk"}
    await bus.ready("worker")
    key = bus.settings.person_key()
    child = next(p for p in events[0].subjects if p.upn == "W31300002601A")
    assert child.nhs_number is not None
    token = key.token("nhs", child.nhs_number)
    decision = key.id("decision", events[0].publisher.agency, events[0].event_id, THERE, token)
    parked = key.id("notification", decision)
    (bus.folder / THERE / f"{parked}.json").write_text("{}", "utf-8")
    await bus.publish(*events, case=canaries.word("--case"))
    junk = Writer(bus.connection, client_id="test")
    await junk.start()
    await junk.send_all([Message("in.fordshire-police", b"k", canaries.word("junk").encode() * 20)])
    await junk.stop()

    def done(seen: watch.BusSoFar) -> bool:
        stages = {(r.partner, r.stage) for r in seen.receipts}
        return (
            {e.event_id for e in events} <= seen.decisions.keys() | {q.detail for q in seen.quarantined.values()}
            and bool(seen.quarantined)
            and {(THERE, Stage.PARKED), (MASH, Stage.HANDED_OVER), (DOWN, Stage.WAITING)} <= stages
        )

    seen = await watch.until(
        bus.connection, done, what="it", clock=utc_now, check=bus.processes.check, patience=timedelta(minutes=4)
    )
    return Told(bus, canaries, planted, events, bus.folder / "register", parked, next(iter(seen.quarantined)))


def every_free_text() -> set[str]:
    """The leaves of all types that hold a word of somebody's choice, and what identifies a person."""
    return (
        {
            leaf.path.replace("[]", "")
            for schema in event_schemas().current.values()
            for leaf in schema.leaves
            if leaf.kind in ("string", "strings")
        }
        - NOT_FREE
        - SWAPPED_UNSEEN
    )


async def test_what_is_published_is_nowhere_but_where_it_may_be(bus: WatchedBus) -> None:
    it = await told(bus)
    sinks = Sinks(it.canaries)

    for sink, data in await on_terminals(it):
        sinks.look(sink, data)
    async for sink, data in on_topics(bus):
        sinks.look(sink, data)
    for process in ("worker", "deliver"):
        for page in ("livez", "readyz", "metrics"):
            sinks.look(f"/{page}", (await bus.ask(process, page)).text.encode())
    for sink, data in of_processes():
        sinks.look(sink, data)
    for sink, data in in_files(bus):
        sinks.look(sink, data)

    told_by_agencies = {f"in.{agency}": leaves for agency, leaves in it.planted.items()}
    assert sinks.found == EXPECTED | told_by_agencies | {f"out.{partner}": may for partner, may in RELEASED.items()}
    assert sinks.looked_at > 300
    print(f"{len(it.canaries.where)} words looked for in {sinks.looked_at} places")


async def on_terminals(it: Told) -> list[tuple[str, bytes]]:
    """What commands print, in each form that they have."""
    event, mns = it.bus.folder / "event.json", it.bus.folder / "mns.json"
    event.write_text(it.events[0].model_dump_json(), "utf-8")
    mns.write_bytes(REAL.read_bytes())
    means = {
        "event": event,
        "mns": mns,
        "event_id": it.events[0].event_id,
        "register": it.register,
        "parked": it.parked,
        "quarantined": it.quarantined,
        **{name: it.canaries.word(f"--{name}") for name in ("case", "method", "reason")},
    }
    root: Any = typer.main.get_command(app)
    named = {
        f"{name} {sub}".strip(): one
        for name, group in root.commands.items()
        for sub, one in getattr(group, "commands", {"": group}).items()
    }
    assert set(SHOWS) | NOT_TYPED == set(named)
    found = []
    for name, typed in SHOWS.items():
        words = typed.format(**means).split()
        has_forms = any("-o" in param.opts for param in named[name].params)
        forms = OTHER_FORMS.get(name, FORMS) if has_forms else ()
        typed_in = [[*words, "-o", form] for form in forms] or [words]
        for done in await asyncio.gather(*(asyncio.to_thread(run, it.bus, each) for each in typed_in)):
            assert done.returncode in (0, 3), (words, done.stderr)
            found.append((f"terminal: {name}", f"{done.stdout}\n{done.stderr}".encode()))
    return found


def run(bus: WatchedBus, words: list[str]) -> subprocess.CompletedProcess[str]:
    """As an operator types it; whoever records a consent is asked for a number, which is one of the children's."""
    env = {**os.environ, "SAFEBUS_HOME": str(bus.settings.home), "SAFEBUS_BROKER": bus.connection.bootstrap}
    argv = [sys.executable, "-m", "safebus.deploy.cli", *words]
    return subprocess.run(argv, env=env, input="9990712824\n", capture_output=True, text=True, timeout=120)


def of_processes() -> Iterator[tuple[str, bytes]]:
    """
    What the system shows of every process that these tests have started.

    Those of the bus leave no core file, and listen for nobody but at a health port on this machine. There may be two of
    a kind: the flows' own bus, whose workers have no health port, may have been started in this process before.
    """
    limits: dict[bytes, set[tuple[str, str]]] = {}
    listening: dict[bytes, set[str]] = {}
    for child in psutil.Process().children(recursive=True):
        files = Path("/proc") / str(child.pid)
        shown = (files / "cmdline").read_bytes()
        yield "ps", shown + (files / "comm").read_bytes()
        if shown.startswith(b"safebus "):
            name = shown.split(b"\0")[0]
            core = re.findall(r"^Max core file size +(\S+) +(\S+)", (files / "limits").read_text(), re.MULTILINE)
            limits.setdefault(name, set()).update(core)
            open_at = {c.laddr.ip for c in child.net_connections("inet") if c.status == psutil.CONN_LISTEN}
            listening.setdefault(name, set()).update(open_at)
    assert limits == {b"safebus worker": {("0", "0")}, b"safebus deliver": {("0", "0")}}
    assert listening == {b"safebus worker": {"127.0.0.1"}, b"safebus deliver": {"127.0.0.1"}}


def in_files(bus: WatchedBus) -> Iterator[tuple[str, bytes]]:
    """Every file, but those that the test wrote itself and the broker's own of the topics, which are read as such."""
    for file in bus.folder.rglob("*"):
        part = file.relative_to(bus.folder).parts[0]
        if not file.is_file() or part in ("register", "event.json", "mns.json"):
            continue
        if part == "broker" and re.match(r"(in|out|parked|register|operations)[.-].*", file.parent.name):
            continue
        yield f"files in {part}", file.read_bytes() + str(file).encode()


async def on_topics(bus: WatchedBus) -> AsyncIterator[tuple[str, bytes]]:
    for topic in await topics_there(bus.connection):
        async for m in read_topic(bus.connection, topic):
            marks = b"\n".join(name.encode() + b"=" + (content or b"") for name, content in m.headers)
            yield f"{topic}, keys and headers", (m.key or b"") + b"\n" + marks
            yield topic, m.value or b""
