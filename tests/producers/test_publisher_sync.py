"""An application with threads and forks publishes, and each event that was acknowledged is there once."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from safebus.deploy.local.brokers import Broker
from safebus.deploy.local.demo import story
from safebus.producers.publisher_sync import PublisherSync
from safebus.schemas.errors import BadInput, NoTopic, NotReachable, WrongUse
from safebus.schemas.events import OperationEncompass
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.reader import read_topic

SECRET = b"only this agency has it, 32 byte"
POLICE = "in.fordshire-police"


@pytest.fixture
def connection(broker: Broker) -> Connection:
    broker.create_topics({POLICE: 4})
    return Connection(broker.bootstrap)


def incident() -> OperationEncompass:
    return story.incident().with_(event_id=str(uuid.uuid4()))


def publisher_to(connection: Connection, *, timeout_s: float = 5.0) -> PublisherSync:
    return PublisherSync(connection, agency="fordshire-police", case_secret=SECRET, timeout_s=timeout_s)


def there(connection: Connection) -> Counter[str]:
    async def read() -> Counter[str]:
        return Counter([dict(m.headers).get("ce_id", b"").decode() async for m in read_topic(connection, POLICE)])

    return asyncio.run(read())


def test_many_threads_share_one(connection: Connection) -> None:
    with publisher_to(connection) as publisher, ThreadPoolExecutor(20) as threads:
        accepted = list(threads.map(lambda n: publisher.publish(incident(), case=f"case {n % 7}"), range(200)))
        names = [thread.name for thread in threading.enumerate()]

    assert names.count("safebus-publisher") == 1
    found = there(connection)
    assert [found[a.event_id] for a in accepted] == [1] * 200
    assert "safebus-publisher" not in [thread.name for thread in threading.enumerate()]


def test_it_may_be_closed_and_used_again(connection: Connection) -> None:
    publisher = publisher_to(connection)
    first = publisher.publish(incident(), case="c")
    publisher.close()
    publisher.close()
    [second] = publisher.publish_all((event, "c") for event in [incident()])
    publisher.close()

    assert (first.partition, first.offset) < (second.partition, second.offset)


def test_one_that_nobody_holds_any_more_keeps_no_thread_and_no_connection(connection: Connection) -> None:
    """An application that made one for each request had as many threads as it had requests."""
    accepted = []
    for _ in range(3):
        publisher = publisher_to(connection)
        accepted.append(publisher.publish(incident(), case="c"))
        del publisher
        gc.collect()
    deadline = time.monotonic() + 60
    while "safebus-publisher" in [thread.name for thread in threading.enumerate()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert [there(connection)[each.event_id] for each in accepted] == [1, 1, 1]


def test_what_is_wrong_is_said_as_by_the_other(connection: Connection) -> None:
    with pytest.raises(BadInput, match="expected at least 16"):
        PublisherSync(connection, agency="fordshire-police", case_secret=b"short")
    with publisher_to(connection) as publisher:
        with pytest.raises(BadInput, match="`case` is empty"):
            publisher.publish(incident(), case=" ")
        assert publisher.publish(incident(), case="c")
    with PublisherSync(connection, agency="fordshire-fire", case_secret=SECRET) as other, pytest.raises(NoTopic):
        other.publish(incident().with_(publisher=story.incident().publisher.with_(agency="fordshire-fire")), case="c")


async def test_inside_an_event_loop_it_says_what_to_use(connection: Connection) -> None:
    with pytest.raises(WrongUse, match="use `Publisher` there"):
        publisher_to(connection).publish(incident(), case="c")


def test_where_nobody_answers_many_threads_hear_it_together() -> None:
    nobody = publisher_to(Connection("127.0.0.1:1"), timeout_s=0.5)

    def ask(_: int) -> str:
        with pytest.raises(NotReachable) as refused:
            nobody.publish(incident(), case="c")
        return str(refused.value)

    with ThreadPoolExecutor(8) as threads:
        said = set(threads.map(ask, range(8)))

    assert said <= {
        "no broker answers at `127.0.0.1:1`; is it up? `safebus doctor` looks",
        "another thread waits for the broker, and it does not answer; nothing was sent",
    }
    assert nobody._held.running is None


def _in_a_child(publisher: PublisherSync, answers: multiprocessing.SimpleQueue[str]) -> None:
    answers.put(publisher.publish(incident(), case="c").event_id)


def test_forked_processes_have_connections_of_their_own(kafka_broker: Broker) -> None:
    """And the parent keeps its own, which it shares its sockets with."""
    kafka_broker.create_topics({POLICE: 4})
    connection = Connection(kafka_broker.bootstrap)
    forks = multiprocessing.get_context("fork")
    answers = forks.SimpleQueue()
    with publisher_to(connection, timeout_s=20) as publisher:
        ids = [publisher.publish(incident(), case="c").event_id]
        children = [forks.Process(target=_in_a_child, args=(publisher, answers)) for _ in range(4)]
        for child in children:
            child.start()
        ids += [publisher.publish(incident(), case="c").event_id for _ in range(20)]
        ids += [answers.get() for _ in children]
        for child in children:
            child.join(60)
        ids.append(publisher.publish(incident(), case="c").event_id)

    assert [child.exitcode for child in children] == [0] * 4
    found = there(connection)
    assert {found[each] for each in ids} == {1}
    assert len(ids) == 26


SCRIPT = """
import sys, uuid
from safebus import Connection, PublisherSync
from safebus.deploy.local.demo import story
publisher = PublisherSync(Connection(sys.argv[1]), agency="fordshire-police", case_secret=b"s" * 32)
print(publisher.publish(story.incident().with_(event_id=str(uuid.uuid4())), case="c").event_id)
"""


def test_a_script_that_never_closes_it_ends_quietly(connection: Connection) -> None:
    words = [sys.executable, "-W", "always", "-c", SCRIPT, connection.bootstrap]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")
    assert there(connection)[done.stdout.strip()] == 1


BROKER = """
import sys
from pathlib import Path
from safebus.deploy.local.brokers import open_broker

with open_broker("embedded", data_dir=Path()) as broker:
    broker.create_topics({"in.fordshire-police": 4})
    print(broker.bootstrap, flush=True)
    sys.stdin.read()
"""

#: It publishes one event; then, when it hears that the broker is halted, four more, and ends meanwhile.
INTERRUPTED = """
import logging, os, sys, threading, uuid
from safebus import Connection, NotReachable, PublisherSync
from safebus.deploy.local.demo import story
from safebus.producers import publisher_sync

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
publisher_sync._AT_EXIT_S = 0.5
publisher = PublisherSync(
    Connection(sys.argv[1]), agency="fordshire-police", case_secret=b"s" * 32, timeout_s=float(sys.argv[2])
)

def publish(begun):
    event = story.incident().with_(event_id=str(uuid.uuid4()))
    begun.set()
    try:
        publisher.publish(event, case="case 4711")
    except NotReachable:
        os.write(1, b"not reachable\\n")  # whole, and without the lock of a file that is closed at the end

publish(threading.Event())
print("published", flush=True)
sys.stdin.readline()
for _ in range(4):
    begun = threading.Event()
    threading.Thread(target=publish, args=(begun,), daemon=sys.argv[3] == "daemons").start()
    begun.wait()
"""


@pytest.mark.parametrize(
    ("timeout_s", "threads", "told"),
    [("1", "waited for", 4), ("30", "daemons", 0)],  # daemons may be gone before they can say so
    ids=["calls give up", "the end gives them up"],
)
def test_a_process_ends_quietly_while_its_broker_does_not_answer(timeout_s: str, threads: str, told: int) -> None:
    """Within seconds, and nothing is said of what was left in its event loop."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    broker = subprocess.Popen([sys.executable, "-c", BROKER], **pipes)  # type: ignore[call-overload]
    try:
        words = [sys.executable, "-c", INTERRUPTED, broker.stdout.readline().strip(), timeout_s, threads]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, **pipes)  # type: ignore[call-overload]
        assert process.stdout.readline() == "published\n"
        broker.send_signal(signal.SIGSTOP)
        said, complained = process.communicate("now\n", timeout=120)
    finally:
        broker.kill()
        broker.communicate()

    assert (process.returncode, complained) == (0, "")
    assert set(said.splitlines()) <= {"not reachable"}
    assert said.count("\n") >= told
