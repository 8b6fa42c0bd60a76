"""
How long does a `safebus` command take, and how much memory does it hold?

Each runs as a user runs it: a process of its own, from its start to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safebus.schemas.errors import SafebusError
from tests.bench.bus import Bus

# A small process in between starts the one that is measured: the kernel counts the memory of whoever starts a process
# as that process's own.
_WATCH = """
import json, os, subprocess, sys, time
begin = time.monotonic()
child = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(child.pid, 0)
took = time.monotonic() - begin
with open(sys.argv[1], "w") as file:
    json.dump([took, used.ru_utime + used.ru_stime, used.ru_maxrss], file)
child.returncode = os.waitstatus_to_exitcode(status)
sys.exit(child.returncode)
"""


@dataclass(frozen=True)
class Ran:
    """One run of one command."""

    took_s: float
    processor_s: float
    peak_mb: float
    stdout: str


def environment(bus: Bus) -> Mapping[str, str]:
    """Where a process finds this bus."""
    here = {"SAFEBUS_HOME": str(bus.settings.home.resolve()), "SAFEBUS_BROKER": bus.broker.bootstrap}
    return {**os.environ, **here}


def safebus(bus: Bus, *arguments: str) -> Ran:
    """Run one command of ours to its end."""
    return ran([sys.executable, "-m", "safebus.deploy.cli", *arguments], environment(bus))


def ran(argv: Sequence[str], environ: Mapping[str, str]) -> Ran:
    """
    Run a program to its end.

    Raises:
        SafebusError: It ended with another code than 0; shows its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="safebus-bench-") as folder:
        used = Path(folder, "used")
        watched = [sys.executable, "-I", "-S", "-c", _WATCH, str(used), *argv]
        done = subprocess.run(watched, capture_output=True, env=dict(environ), text=True, errors="replace", check=False)
        if done.returncode != 0:
            last = "\n".join(done.stderr.splitlines()[-5:])
            raise SafebusError(f"`{' '.join(argv[2:])}` ended with exit code {done.returncode}:\n{last}")
        took_s, processor_s, peak = json.loads(used.read_text())
    kilobytes = peak if sys.platform == "linux" else peak / 1024
    return Ran(took_s, processor_s, kilobytes / 1024, done.stdout)
