"""
How is an application run, with what a publisher has installed, and how is one of its processes killed?

It stands in a folder of its own, with modules that have the names of ours (`schemas`, `producers`, `deploy`), and in an
environment that holds the built wheel. What it does, it notes in a file: `began EVENT_ID PID`, `ended EVENT_ID PID`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
PATIENCE_S = 120.0  # a machine that others use


@dataclass(frozen=True)
class Application:
    process: psutil.Process
    popen: subprocess.Popen[bytes]
    place: Path
    environ: dict[str, str]
    log: Path
    notes_file: Path

    def notes(self, about: str) -> list[list[str]]:
        """The words of each line about this, without its first, in order."""
        return noted(self.notes_file, about)

    def until(self, true: Callable[[], object], what: str, *, lives: bool = True) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not true():
            over = time.monotonic() > give_up_at or (lives and self.popen.poll() is not None)
            assert not over, f"{what}\n{self.log.read_text()[-4000:]}"
            time.sleep(0.02)

    def url(self) -> str:
        """Where it listens, as it says; one of its processes does by then."""
        ports: list[str] = []

        def listens() -> bool:
            ports[:] = re.findall(r"http://127\.0\.0\.1:(\d+)", self.log.read_text())
            with socket.socket() as probe:
                return bool(ports) and probe.connect_ex(("127.0.0.1", int(ports[0]))) == 0

        self.until(listens, "it listens nowhere")
        return f"http://127.0.0.1:{ports[0]}/incidents"

    def kill_one_that_publishes(self) -> set[str]:
        """SIGKILL for a process in the middle of it, which is halted to be looked at; the events that are hit."""
        hit: set[str] = set()

        def kills() -> bool:
            for child in self.process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # it was at its end by itself
                    child.suspend()
                    hit.update(self._under_way(child.pid))
                    if hit:
                        child.kill()
                        return True
                    child.resume()
            return False

        self.until(kills, "no process publishes")
        return hit

    def _under_way(self, pid: int) -> list[str]:
        begun = [event_id for event_id, by in self.notes("began") if int(by) == pid]
        for event_id, by in [*self.notes("ended"), *self.notes("cancelled")]:
            if int(by) == pid:
                begun.remove(event_id)
        return begun

    def end(self) -> float:
        """SIGTERM, to it alone; how long it and all its children then lived, seconds."""
        began, children = time.monotonic(), self.process.children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        self.until(lambda: self.popen.poll() is not None, "it does not end", lives=False)
        self.until(lambda: not [child for child in children if child.is_running()], "its children live", lives=False)
        return time.monotonic() - began


def noted(file: Path, about: str) -> list[list[str]]:
    whole, _, _ = file.read_text().rpartition("\n") if file.exists() else ("", "", "")
    lines = map(str.split, whole.splitlines())
    return [words[1:] for words in lines if words[0] == about]


@contextmanager
def running(python: Path, words: str, *, at: Path, folder: Path, bus: str, agency: str) -> Iterator[Application]:
    """
    Start one, and leave nothing of it.

    Args:
        words: What `python -m` is told.
        at: The folder of its modules, in which it is started.
        folder: Where its files go.
    """
    log, notes_file = folder / "log", folder / "notes"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ = {**kept, "BUS": bus, "AGENCY": agency, "NOTES": str(notes_file), "FIRST": str(uuid.uuid4())}
    with log.open("wb") as out:
        popen = subprocess.Popen(
            [python, "-m", *words.split()], cwd=at, env=environ, stdout=out, stderr=out, start_new_session=True
        )
    application = Application(psutil.Process(popen.pid), popen, at, environ, log, notes_file)
    try:
        yield application
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


@contextmanager
def calling(words: Sequence[str | Path], application: Application) -> Iterator[Path]:
    """Somebody calls it, in a process of their own, until we have seen enough; the file of what they noted."""
    told = application.notes_file.with_name("told")
    with application.log.with_name("caller").open("wb") as out:
        popen = subprocess.Popen([*words, told], cwd=application.place, env=application.environ, stdout=out, stderr=out)
    try:
        yield told
        assert popen.poll() is None, application.log.with_name("caller").read_text()
    finally:
        popen.terminate()
        popen.wait()
