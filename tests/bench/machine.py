"""On what was it measured? A figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("aiokafka", "faust-streaming", "fastavro", "pydantic", "confluent-kafka", "aiohttp", "asyncpg", "uvloop")


def facts() -> dict[str, Any]:
    """Processor, memory, system, Python, versions, and how busy the machine is at this moment."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "memory_gb": round(int((_first("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1024**2, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "load_1_5_15_min": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def load() -> float:
    """How many processes wanted a core, on average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _first(file: str, name: str) -> str | None:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
