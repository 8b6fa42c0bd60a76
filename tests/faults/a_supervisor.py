"""
Who keeps the processes of a bus running, and knows by whose hand each of them ended?

As systemd would: what ends is started again, without the fault that ended it. Every end is remembered with its hand:
ours (a signal that we sent), a place (`a_place.CRASHED`), another process that has its partitions, or its own, which no
test expects while a broker is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from a_place import CRASHED

from safebus.deploy.local.child_process import ended_within, last_lines, start_child

LAUNCHER = Path(__file__).with_name("a_process.py")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class End:
    """
    How a process ended: `place`, `signal` (ours), `overtaken`, or `itself`.

    Sessions are short here, so a machine that stands still for some seconds costs a worker its partitions. That it
    sees this and stops is what it promises, and no failure; what it left behind is the checker's to judge.
    """

    name: str
    hand: str
    code: int


@dataclass
class _Kept:
    faults: list[Sequence[str]]  # still to come, one after another; the process that runs has the first of them
    always: Sequence[str]
    log_from: int  # bytes that processes of this name said in tests before
    child: subprocess.Popen[bytes]
    child_from: int  # the same, of all before the one that runs
    ours: set[int] = field(default_factory=set)  # pids that we sent a deadly signal


class Supervisor:
    """
    Processes by name.

    Attributes:
        ends: Every end, in order.
    """

    def __init__(self, *, home: Path, broker: str, logs: Path) -> None:
        self._env = {**os.environ, "SAFEBUS_HOME": str(home.resolve()), "SAFEBUS_BROKER": broker}
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()
        self._done = threading.Event()
        self.ends: list[End] = []
        self._thread = threading.Thread(target=self._watch, name="supervisor")
        self._thread.start()

    def start(
        self, name: str, command: Sequence[str], *, faults: Sequence[Sequence[str]] = (), always: Sequence[str] = ()
    ) -> None:
        """
        Start a process and keep it running.

        Args:
            faults: Launcher options such as `--crash`, of the first process, of the one after it, and so on. One that
                ends before it crashed at its place is followed by one with the same fault.
            always: Launcher options of all of them.
        """
        always = [*always, "--", *command]
        with self._lock:
            assert name not in self._kept, f"`{name}` runs already"
            log_from = self._said_so_far(name)
            child = self._start(name, [*(faults[0] if faults else ()), *always])
            self._kept[name] = _Kept(list(faults), always, log_from, child, log_from)

    def kill(self, name: str) -> None:
        """SIGKILL: no time to finish, commit or say anything."""
        self._signal(name, signal.SIGKILL)

    def terminate(self, name: str) -> None:
        """SIGTERM: it stops in order, and is started again."""
        self._signal(name, signal.SIGTERM)

    def pause(self, name: str) -> None:
        """SIGSTOP: as a virtual machine that is halted."""
        os.kill(self._kept[name].child.pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.kill(self._kept[name].child.pid, signal.SIGCONT)

    def paused(self, name: str) -> bool:
        return psutil.Process(self.pid(name)).status() == psutil.STATUS_STOPPED

    def pid(self, name: str) -> int:
        return self._kept[name].child.pid

    def said(self, name: str, words: str) -> int:
        """How often these words stand in the log of this name, since it was first started in this test."""
        return self._words(name, self._kept[name].log_from).count(words.encode())

    def end(self, name: str) -> None:
        """Stop it in order, and let it be."""
        self.end_all([name])

    def end_all(self, names: Sequence[str] | None = None) -> None:
        """The same for several at once; None: all."""
        with self._lock:
            gone = [self._kept.pop(name) for name in (list(self._kept) if names is None else names)]
        for kept in gone:
            kept.child.send_signal(signal.SIGCONT)
            kept.child.send_signal(signal.SIGTERM)
        for kept in gone:
            if not ended_within(kept.child, 30):
                kept.child.kill()
                kept.child.wait()

    def by(self, hand: str) -> list[End]:
        """The ends by one hand."""
        return [end for end in self.ends if end.hand == hand]

    def last_words(self) -> str:
        """How processes ended, and the ends of all logs, for a failure."""
        logs = (f"\n{name}:{last_lines(self._log(name))}" for name in sorted(self._kept))
        return f"\nended: {self.ends}{''.join(logs)}"

    def close(self) -> None:
        """End all of them."""
        self._done.set()
        self._thread.join()
        self.end_all()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _said_so_far(self, name: str) -> int:
        return self._log(name).stat().st_size if self._log(name).exists() else 0

    def _words(self, name: str, since: int) -> bytes:
        return self._log(name).read_bytes()[since:]

    def _start(self, name: str, options: Sequence[str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(LAUNCHER), *options]
        return start_child(command, log=self._log(name), cwd=ROOT, environ=self._env)

    def _signal(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            kept = self._kept[name]
            kept.ours.add(kept.child.pid)
            kept.child.send_signal(number)

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            with self._lock:
                for name, kept in self._kept.items():
                    code = kept.child.poll()
                    if code is not None:
                        self.ends.append(End(name, self._hand(name, kept, code), code))
                        if kept.faults and (code == CRASHED or "--crash" not in kept.faults[0]):
                            kept.faults.pop(0)
                        kept.child_from = self._said_so_far(name)
                        kept.child = self._start(name, [*(kept.faults[0] if kept.faults else ()), *kept.always])

    def _hand(self, name: str, kept: _Kept, code: int) -> str:
        if code == CRASHED:
            return "place"
        if kept.child.pid in kept.ours:
            return "signal"
        return "overtaken" if _OVERTAKEN in self._words(name, kept.child_from) else "itself"


_OVERTAKEN = b"another process has started in our place"  # how schemas/kafka/writer.py says so


def wait_until(fact: object, what: str, *, within_s: float = 240.0) -> None:
    """
    Look again until it is so.

    Raises:
        TimeoutError: It was not in time; names `what`.
    """
    assert callable(fact)
    give_up = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > give_up:
            raise TimeoutError(f"after {within_s:.0f} s still waiting for: {what}")
        time.sleep(0.05)
