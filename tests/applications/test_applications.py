"""
Applications as agencies have them publish under load, and what their callers were told is what is on the topic.

Requests are dropped in the middle and processes are killed while they publish; in the end the application is told to
end while it is still called. Each stands in its own folder, beside a `schemas.py`, a `producers.py` and a `deploy.py`
of its own.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a_judge import Found, Told, Verdict, judged
from an_application import HERE, Application, calling, noted, running

from safebus.deploy.local.brokers import Broker
from safebus.schemas import topics
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

RIGHT = Verdict([], [], [], [], [], [])
CALLER = [sys.executable, str(HERE / "a_caller.py")]
CASES, EVENTS = 12, 30
NHS_NUMBER, SECRET = "9990079196", "s" * 32  # as they stand in the applications

#: What a log says when something failed, was forgotten or left open.
UNTIDY = re.compile("Error|Exception|never retrieved|never awaited|still pending|nclosed|was destroyed|ResourceWarning")
#: Celery says of a process that we killed that it is lost.
OUR_KILLS = re.compile("WorkerLostError|billiard.einfo")


@dataclass(frozen=True)
class Kind:
    """An application: where it stands, how it is started, and how many of its processes are killed."""

    folder: str
    words: str
    kills: int


UVICORN = Kind("under_uvicorn", "uvicorn app:app --port 0 --workers 2 --timeout-worker-healthcheck 15", kills=1)
GUNICORN = Kind(
    "under_gunicorn",
    "gunicorn app:app --bind 127.0.0.1:0 --preload --workers 3 --threads 4 --max-requests 100",
    kills=2,
)
CELERY = Kind("under_celery", "celery --app tasks worker --concurrency 3 --max-tasks-per-child 50", kills=2)


@dataclass(frozen=True)
class Seen:
    """What came of it, in events, and how many seconds it took to end."""

    events: int
    told: int
    dropped: int  # by callers
    cancelled: int  # of these, while the application waited for the broker
    broken: int  # requests, before it was told to end
    killed: int
    on_topic: int
    repeats: int
    ended_in: float
    took: float


def on_topic(broker: Broker, topic: str) -> list[Found]:
    async def read() -> list[Found]:
        records = read_topic(Connection(broker.bootstrap), topic)
        return [Found(dict(m.headers)["ce_id"].decode(), m.partition, m.offset, m.value) async for m in records]

    return asyncio.run(read())


def told_by(notes: Sequence[Sequence[str]]) -> list[Told]:
    return [Told(event_id, case, int(partition), int(offset)) for event_id, case, partition, offset in notes]


def answered(file: Path) -> set[str]:
    """Events for which no caller waits."""
    return {event_id for about in ("told", "cancelled") for event_id, *_ in noted(file, about)}


def told_first(application: Application) -> list[Told]:
    """What the application published before it was forked, if it did."""
    return told_by([[event_id, "the application", *place] for event_id, *place, _ in application.notes("told")])


def through(kind: Kind, *, python: Path, broker: Broker, agency: str, tmp_path: Path) -> Seen:
    """Call it, kill of it, call it again, and end it while it is called; says what came of it, once that is judged."""
    broker.create_topics({topics.published_by(agency): 4})
    began = time.monotonic()
    with running(
        python, kind.words, at=HERE / kind.folder, folder=tmp_path, bus=broker.bootstrap, agency=agency
    ) as application:
        caller = [str(python), "caller.py"] if kind is CELERY else [*CALLER, application.url()]
        every = [] if kind is CELERY else ["8"]
        with calling([*caller, str(CASES), str(EVENTS), *every], application) as file:

            def more_told(than: int) -> None:
                application.until(lambda: len(noted(file, "told")) > than, "nobody is told anything")

            for nth in range(kind.kills):
                more_told(CASES * (nth + 1))
                hit = application.kill_one_that_publishes()
                application.until(lambda hit=hit: hit <= answered(file), "what a kill hit is not told in the end")
            application.until(lambda: len(noted(file, "enough")) == CASES, "not all are told")
            more_told(len(noted(file, "told")) + CASES)
            broken = len(noted(file, "broken"))
            ended_in = application.end()
        assert application.popen.returncode == 0
        check_that_it_stands_alone(application)
        check_the_log(application.log.read_text())

        told = told_first(application) + told_by(noted(file, "told"))
        asked = Counter(event_id for event_id, _ in noted(file, "asked"))
        runs = Counter(event_id for event_id, _ in application.notes("began"))
        found = on_topic(broker, topics.published_by(agency))
        first = {each.event_id: 1 for each in told_first(application)}
        verdict = judged(told, published=(runs if kind is CELERY else asked) | first, found=found)
        assert verdict == RIGHT, verdict
        return Seen(
            events=len(asked),
            told=len(told),
            dropped=len(noted(file, "cancelled")),
            cancelled=len(application.notes("cancelled")),
            broken=broken,
            killed=kind.kills,
            on_topic=len(found),
            repeats=len(found) - len({each.event_id for each in found}),
            ended_in=round(ended_in, 1),
            took=round(time.monotonic() - began, 1),
        )


def check_that_it_stands_alone(application: Application) -> None:
    """Its own modules, and safebus as it was built."""
    own = [str(application.place / f"{name}.py") for name in ("schemas", "deploy", "producers")]
    for *modules, safebus, _ in application.notes("stands"):
        assert modules == own
        assert "site-packages" in safebus and not safebus.startswith(str(HERE.parents[1]))
    assert application.notes("stands") != []


def check_the_log(log: str) -> None:
    assert [line for line in log.splitlines() if UNTIDY.search(line) and not OUR_KILLS.search(line)] == []
    assert [value for value in (NHS_NUMBER, "case-1", SECRET) if value in log] == []


def test_fastapi_under_uvicorn(python: Path, broker: Broker, fresh: str, tmp_path: Path) -> None:
    seen = through(UVICORN, python=python, broker=broker, agency=f"{fresh}-police", tmp_path=tmp_path)
    print(f"\nFastAPI, uvicorn, {broker.name}: {seen}")

    assert seen.dropped >= CASES * (EVENTS // 8)
    assert seen.cancelled > 0


def test_flask_under_gunicorn(python: Path, broker: Broker, fresh: str, tmp_path: Path) -> None:
    seen = through(GUNICORN, python=python, broker=broker, agency=f"{fresh}-police", tmp_path=tmp_path)
    print(f"\nFlask, gunicorn, {broker.name}: {seen}")

    assert seen.dropped >= CASES * (EVENTS // 8)


def test_celery(python: Path, broker: Broker, fresh: str, tmp_path: Path) -> None:
    """A task whose process was killed is begun again, with the same event."""
    seen = through(CELERY, python=python, broker=broker, agency=f"{fresh}-police", tmp_path=tmp_path)
    print(f"\nCelery, {broker.name}: {seen}")


def test_what_is_told_before_it_is_published_is_found_lost(
    python: Path, embedded_broker: Broker, fresh: str, tmp_path: Path
) -> None:
    """An application that answers too early, and is killed: without this the others would show nothing."""
    agency = f"{fresh}-police"
    topic = topics.published_by(agency)
    embedded_broker.create_topics({topic: 4})
    words, place, bus = "uvicorn hasty:app --port 0", HERE / "under_uvicorn", embedded_broker.bootstrap
    with running(python, words, at=place, folder=tmp_path, bus=bus, agency=agency) as application:
        with calling([*CALLER, application.url(), "1", "15", "100"], application) as file:
            application.until(lambda: len(noted(file, "told")) >= 15, "nobody is told anything")
            application.popen.send_signal(signal.SIGSTOP)
        application.popen.kill()
        told = told_by(noted(file, "told"))
        published = Counter(event_id for event_id, _ in noted(file, "asked"))
        verdict = judged(told, published=published, found=on_topic(embedded_broker, topic))

    assert verdict.lost == [each.event_id for each in told[10:]] != []
