"""When is a process alive and ready, in which words does it say why not, and who can ask?"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import aiohttp
import pytest
from a_courier import ACourier

from safebus.consumers.delivery.measures import CourierFacts
from safebus.deploy.local.brokers import open_broker
from safebus.deploy.service import settings
from safebus.deploy.service.health import DeliverHealth, HealthCheck, WorkerHealth, keep_fresh, serving
from safebus.schemas.errors import BadInput, NotReachable
from safebus.schemas.kafka.connection import Connection
from safebus.streams.register.follow import RegisterReader
from safebus.streams.register.store import Register
from safebus.streams.worker.watchdog import Progress

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
IN = ("in.fordshire-police", 0)


def causes(checks: Sequence[HealthCheck]) -> list[str]:
    return [check.found for check in checks if not check.fine]


def worker(pulse: Progress, *, now: float, stop: bool = False) -> WorkerHealth:
    """A worker that began at second 0."""
    asked = asyncio.Event()
    if stop:
        asked.set()
    return WorkerHealth(pulse, asked, clock=lambda: now, since=0.0)


def pulse_at(now: float, *, waiting: int = 0) -> Progress:
    """One that was just taken, with one partition."""
    pulse = Progress(register_at=now, register_offset=7)
    pulse.looked({IN: waiting}, {}, now=now)
    return pulse


def test_a_worker_that_lacks_a_right_is_ready_and_warns() -> None:
    """Starting it again would not help, and all others are served."""
    state = WorkerHealth(
        pulse_at(100.0), asyncio.Event(), lacking=lambda: ["WRITE on topic `out.b`"], clock=lambda: 101.0, since=0.0
    )

    [rights] = [check for check in state.ready() if check.about == "rights"]

    assert causes(state.ready()) == []
    assert (rights.status, rights.found) == ("warn", "it lacks WRITE on topic `out.b`, or that is not there")


def test_a_worker_with_a_partition_and_a_fresh_register_is_ready() -> None:
    assert causes(worker(pulse_at(100.0), now=110.0).ready()) == []


def test_a_worker_that_has_learnt_nothing_yet_is_alive_and_names_all_it_waits_for() -> None:
    beginning = worker(Progress(), now=2.0)

    assert causes(beginning.alive()) == []
    assert causes(beginning.ready()) == [
        "no partitions 2 s after the start; joining its group",
        "not yet: the register was read to its end",
        "not yet: the broker said where our partitions end",
    ]


def test_a_register_and_a_broker_not_heard_of_for_ten_seconds_are_named() -> None:
    assert causes(worker(pulse_at(100.0), now=110.1).ready()) == [
        "the register was read to its end 10.1 s ago; the limit is 10 s",
        "the broker said where our partitions end 10.1 s ago; the limit is 10 s",
    ]


@pytest.mark.parametrize(("now", "ready"), [(59.0, False), (60.0, True)])
def test_a_worker_without_partitions_is_a_spare_only_when_joining_is_over(now: float, ready: bool) -> None:
    spare = Progress(register_at=now, looked_at=now)

    assert (causes(worker(spare, now=now).ready()) == []) is ready


def test_a_worker_that_was_asked_to_stop_is_alive_and_not_ready() -> None:
    stopping = worker(pulse_at(100.0), now=100.0, stop=True)

    assert (causes(stopping.alive()), causes(stopping.ready())) == ([], ["asked to stop, and finishing"])


@pytest.mark.parametrize(("waited", "alive"), [(60.0, True), (60.5, False)])
def test_a_worker_that_commits_nothing_is_not_alive(waited: float, alive: bool) -> None:
    pulse = pulse_at(0.0, waiting=3)

    assert (causes(worker(pulse, now=waited).alive()) == []) is alive


@dataclass
class Deliveries:
    """A delivery process with one courier; its facts are the test's."""

    courier: ACourier = field(default_factory=lambda: ACourier("ash-primary"))
    pulse: Progress = field(default_factory=lambda: Progress(register_at=0.0))
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def health(self, *, now: datetime = NOON, ticks: float = 0.0) -> DeliverHealth:
        return DeliverHealth([self.courier], self.pulse, self.stop, clock=lambda: now, ticks=lambda: ticks)


def test_couriers_are_ready_when_they_have_joined() -> None:
    deliveries = Deliveries()
    before = causes(deliveries.health().ready())
    deliveries.courier.facts.joined = True

    assert before == ["the courier of `ash-primary` has not yet started"]
    assert causes(deliveries.health().ready()) == []


def test_couriers_with_an_old_register_are_not_ready() -> None:
    deliveries = Deliveries()
    deliveries.courier.facts.joined = True

    assert causes(deliveries.health(ticks=11.0).ready()) == [
        "the register was read to its end 11.0 s ago; the limit is 10 s"
    ]


def test_a_courier_whose_round_does_not_end_is_not_alive() -> None:
    deliveries = Deliveries()
    deliveries.courier.facts.turned_at = NOON
    alive, stuck = (deliveries.health(now=NOON + timedelta(seconds=s)).alive() for s in (180, 181))

    assert causes(alive) == []
    assert causes(stuck) == ["the courier of `ash-primary` began its round 181.0 s ago; the limit is 180 s"]


def test_a_partner_that_lets_nothing_in_makes_nothing_unready() -> None:
    """What waits for it is held; starting again, or asking another process, would not help."""
    deliveries = Deliveries(ACourier(facts=CourierFacts(joined=True), held=True))

    assert (causes(deliveries.health().alive()), causes(deliveries.health().ready())) == ([], [])


async def test_a_register_that_cannot_be_read_any_more_is_not_said_to_be_fresh(tmp_path: Path) -> None:
    pulse, ticks = Progress(), count(1)
    with open_broker("embedded", data_dir=tmp_path) as broker:
        reader = RegisterReader(Connection(broker.bootstrap), key=None, patience_s=1.0)
        await reader.start()
        fresh = asyncio.create_task(keep_fresh(reader, pulse, clock=lambda: float(next(ticks)), every_s=0.01))
        async with asyncio.timeout(10):
            while pulse.register_at is None or pulse.register_at < 3:
                await asyncio.sleep(0.01)
    for _ in range(2):  # what one of them was told, the other was told before
        with pytest.raises(NotReachable):
            await reader.catch_up()
    last = pulse.register_at
    with pytest.raises(NotReachable):
        await reader.catch_up()
    still_trying = not fresh.done()
    fresh.cancel()
    # aiokafka cancels tasks of its own when its broker is gone, and lets that through: so a task apart.
    await asyncio.wait({fresh, asyncio.ensure_future(reader.stop())})

    assert (pulse.register_at, still_trying) == (last, True)


async def test_a_fault_of_ours_does_not_end_the_look_at_the_register_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ended by it, it would look no more, and nobody would see."""
    pulse, faults = Progress(), [KeyError("Ava")]
    with open_broker("embedded", data_dir=tmp_path) as broker:
        reader = RegisterReader(Connection(broker.bootstrap), key=None, patience_s=1.0)
        await reader.start()
        look = reader.catch_up

        async def broken_once() -> Register:
            if faults:
                raise faults.pop()
            return await look()

        monkeypatch.setattr(reader, "catch_up", broken_once)
        fresh = asyncio.create_task(keep_fresh(reader, pulse, every_s=0.01))
        async with asyncio.timeout(10):
            while pulse.register_at is None:
                await asyncio.sleep(0.01)
        fresh.cancel()
        await reader.stop()

    said = capsys.readouterr()
    assert "register.not_read" in said.out + said.err and "KeyError" in said.out + said.err
    assert "Ava" not in said.out + said.err


def numbers(accept: str) -> tuple[bytes, str]:
    return f"asked for {accept}\n".encode(), "text/plain"


async def get(port: int, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_a_failing_check_is_503_with_its_cause_and_the_others_beside_it() -> None:
    async with serving(0, worker(pulse_at(0.0), now=5.0, stop=True), numbers) as port:
        status, content_type, text = await get(port, "readyz")
        alive, _, _ = await get(port, "livez")

    assert (alive, status, content_type) == (200, 503, "application/health+json")
    assert text == READY


READY = """\
{
 "status": "fail",
 "causes": [
  "asked to stop, and finishing"
 ],
 "checks": {
  "group": [
   {
    "status": "pass",
    "output": "in its group with 1 partitions"
   }
  ],
  "register": [
   {
    "status": "pass",
    "output": "the register was read to its end 5.0 s ago; the limit is 10 s"
   }
  ],
  "broker": [
   {
    "status": "pass",
    "output": "the broker said where our partitions end 5.0 s ago; the limit is 10 s"
   }
  ],
  "rights": [
   {
    "status": "pass",
    "output": "it may read and write what it should"
   }
  ],
  "topics": [
   {
    "status": "pass",
    "output": "nothing is known of its topics that is not as it should be"
   }
  ],
  "stop": [
   {
    "status": "fail",
    "output": "asked to stop, and finishing"
   }
  ]
 }
}
"""


async def test_the_numbers_are_given_in_the_form_that_is_asked_for() -> None:
    async with serving(0, worker(Progress(), now=0.0), numbers) as port:
        assert await get(port, "metrics") == (200, "text/plain", "asked for */*\n")


async def test_only_this_address_of_this_machine_is_answered_on() -> None:
    """127.0.0.2 is this machine too; a server on every interface would answer there."""
    async with serving(0, worker(Progress(), now=0.0), numbers) as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


async def test_a_port_that_is_taken_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"health port `{port}` cannot be opened on 127.0.0.1: .*choose another"):
            async with serving(port, worker(Progress(), now=0.0), numbers):
                pass


@pytest.mark.parametrize(("text", "port"), [("", None), ("0", 0), ("9400", 9400), ("65535", 65_535)])
def test_the_port_is_off_unless_it_is_set(text: str, port: int | None) -> None:
    assert settings.load({"SAFEBUS_HEALTH_PORT": text}).health_port == port


@pytest.mark.parametrize("text", ["65536", "-1", "on", "٣"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected a port from 1 to 65535, or 0"):
        settings.load({"SAFEBUS_HEALTH_PORT": text})


def test_whoever_only_works_or_asks_for_help_does_not_load_the_server() -> None:
    code = (
        "import sys, safebus.deploy.cli, safebus.streams.worker.process\n"
        "import safebus.consumers.delivery.courier; print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "False\n"
