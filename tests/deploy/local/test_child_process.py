"""A server that we start ends with us, however we end."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from safebus.deploy.local.child_process import (
    PORTS,
    ended_within,
    free_port,
    is_free,
    last_lines,
    start_child,
    stop_child,
)

WITHIN_S = 60.0


def sleeper(tmp_path: Path, script: str = "exec sleep 600") -> subprocess.Popen[bytes]:
    return start_child(["/bin/sh", "-c", script], log=tmp_path / "log", cwd=tmp_path, environ=os.environ)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Also when the thread that asked for it ended long before."""
    code = (
        "import os, pathlib, sys, threading; from safebus.deploy.local.child_process import start_child\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "def start(): global child; child = start_child(\n"
        "    ['/bin/sh', '-c', 'echo up; exec sleep 600'], log=here / 'log', cwd=here, environ=os.environ)\n"
        "thread = threading.Thread(target=start); thread.start(); thread.join()\n"
        "print(child.pid, flush=True); child.wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until(lambda: "up" in last_lines(tmp_path / "log"))
    assert runs(child)

    parent.kill()
    parent.communicate()

    wait_until(lambda: not runs(child))


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = sleeper(tmp_path, "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    wait_until(lambda: "deaf" in last_lines(tmp_path / "log"))

    stop_child(child, ask=signal.SIGTERM, wait_s=0.2)

    assert child.returncode == -signal.SIGKILL


def test_a_child_is_not_reached_by_ctrl_c_in_our_terminal(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        stop_child(child, ask=signal.SIGTERM, wait_s=5)


def test_an_end_is_seen_and_a_life_is_seen(tmp_path: Path) -> None:
    quick, slow = sleeper(tmp_path, "exit 3"), sleeper(tmp_path)
    try:
        assert (ended_within(quick, WITHIN_S), quick.returncode) == (True, 3)
        assert not ended_within(slow, 0.01)
    finally:
        stop_child(slow, ask=signal.SIGTERM, wait_s=5)


def test_who_is_interrupted_while_it_starts_a_child_leaves_none(tmp_path: Path) -> None:
    """Starting waits for the log, a pipe that nobody reads yet; the child's start comes after the interruption."""
    log = tmp_path / "log"
    os.mkfifo(log)
    us, waiting = threading.get_ident(), "start_child"
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def meanwhile() -> None:
        wait_until(lambda: waiting in [f.name for f in traceback.extract_stack(sys._current_frames()[us])])
        signal.pthread_kill(us, signal.SIGUSR1)
        assert interrupted.wait(WITHIN_S)
        with log.open("rb") as reader:
            reader.read()

    before = signal.signal(signal.SIGUSR1, interrupt)
    other = threading.Thread(target=meanwhile)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            sleeper(tmp_path)
    finally:
        signal.signal(signal.SIGUSR1, before)
        other.join(WITHIN_S)

    assert not other.is_alive()  # it reads until all who hold the pipe have ended


def test_a_free_port_is_one_the_kernel_does_not_hand_to_clients() -> None:
    port = free_port()

    assert port in PORTS
    assert is_free(port)


def wait_until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """It is there and is not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
