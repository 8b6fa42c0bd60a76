"""
How are the bus's own processes started beside each other on one machine?

For `safebus up` and the demonstration. In service an init system or a cluster does this.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from safebus.deploy.local.child_process import ended_within, last_lines, start_child
from safebus.deploy.service.settings import Settings
from safebus.schemas.errors import SafebusError


class Processes:
    """A set of `safebus` processes that end when this one ends."""

    def __init__(self, settings: Settings, *, logs: Path, broker: str) -> None:
        self._settings, self._logs, self._broker = settings, logs, broker
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._began: dict[str, int] = {}

    def start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start `safebus ARGUMENTS`, logging to `<name>.log`."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        self._began[name] = len(log.read_text("utf-8")) if log.exists() else 0
        # Each would take the same port: whoever starts several says each its own.
        env = {name: value for name, value in os.environ.items() if name != "SAFEBUS_HEALTH_PORT"}
        env |= {"SAFEBUS_HOME": str(self._settings.home.resolve()), "SAFEBUS_BROKER": self._broker}
        child = start_child(
            [sys.executable, "-m", "safebus.deploy.cli", *arguments],
            log=log,
            cwd=Path.cwd(),
            environ=env,
        )
        self._running[name] = child
        return child

    def check(self) -> None:
        """
        All of them still run.

        Raises:
            SafebusError: One has ended; shows its last lines.
        """
        for name, child in self._running.items():
            if child.poll() is not None:
                lines = last_lines(self._logs / f"{name}.log")
                raise SafebusError(f"`{name}` ended with exit code {child.returncode}; its last lines:\n{lines}")

    def forget(self, name: str) -> None:
        """Its end is known and meant."""
        del self._running[name]

    def said(self, name: str, event: str) -> bool:
        """Does this event stand in the log of this process, since it was started?"""
        return event in (self._logs / f"{name}.log").read_text("utf-8")[self._began.get(name, 0) :]

    def logs(self) -> list[Path]:
        """The log files."""
        return sorted(self._logs.glob("*.log"))

    def stop(self) -> dict[str, int]:
        """Ask all of them to stop, and wait. Returns name -> exit code."""
        for child in self._running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        # Asked once: a second SIGTERM could reach one that has put its handler away and is about to end in order.
        for child in self._running.values():
            if not ended_within(child, 30):
                child.kill()
                child.wait()
        return {name: child.returncode for name, child in self._running.items()}
