"""
How is each of the programs here run, with the packages that were chosen and no others?

Packages come by each language's own client, the first time; what they must be stands beside each program as hashes:
`java/sums.sha256`, `go/go.sum`, `javascript/package-lock.json`. Nothing names where they come from.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from safebus.deploy.local.brokers import jar_sums, kafka_tools

HERE = Path(__file__).parent
_CACHE = kafka_tools.cache_folder(os.environ) / "encoders"


def run(command: Sequence[str | Path], *, given: str = "", at: Path = HERE, **environ: str) -> str:
    """What a program says; if it fails, with what it said of that."""
    done = subprocess.run(
        [str(each) for each in command],
        input=given,
        cwd=at,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"`{command[0]}` failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def tool(name: str, package: str) -> str:
    """A program that this machine must have; the test fails where it is missing, for it would show nothing."""
    found = shutil.which(name)
    assert found, f"`{name}` is not on `PATH`, and without it nothing shows that its events are taken; {package}"
    return found


def made(folder: Path, make: Callable[[Path], object]) -> Path:
    """A copy of a folder with what its program needs, made once; by one rename, so it is whole or absent."""
    parts = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
    kept = _CACHE / f"{folder.name}-{hashlib.sha256(parts).hexdigest()[:12]}"
    if not kept.is_dir():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as work:
            at = Path(work, "whole")
            shutil.copytree(folder, at)
            make(at)
            with contextlib.suppress(OSError):  # another process was quicker
                at.rename(kept)
    return kept


def java(lines: str, schemas: Path, _begins: Mapping[str, str]) -> str:
    """Java's own encoders: the usual one, direct, in blocks, in blocks and direct."""
    at = made(HERE / "java", _fetch_jars)
    jar_sums.check(at / "jars", jar_sums.read_sums(at / "sums.sha256"), kept=at)
    # As a source file: compiled in memory, so that one start does all. The second compiler costs more than it gains.
    command = [kafka_tools.find_java(os.environ), "-XX:TieredStopAtLevel=1", "-cp", at / "jars" / "*"]
    return run([*command, at / "Publish.java", schemas], given=lines)


def _fetch_jars(at: Path) -> None:
    mvn = tool("mvn", "Debian: `apt-get install maven`")
    run([mvn, "-q", "-B", kafka_tools.GOAL, f"-DoutputDirectory={at / 'jars'}", *jar_sums.TRUST], at=at)


def go(lines: str, schemas: Path, begins: Mapping[str, str]) -> str:
    """hamba/avro: as it is, in blocks of two, and without the size of blocks."""
    # `local`: the Go that is here; another would be fetched from a place that nobody chose.
    build = [tool("go", "install Go 1.24 or newer"), "build", "-mod=readonly", "-o", "program"]
    at = made(HERE / "go", lambda at: run(build, at=at, GOTOOLCHAIN="local"))
    return run([at / "program", schemas, *_named(begins)], given=lines)


def javascript(lines: str, schemas: Path, begins: Mapping[str, str]) -> str:
    """avsc."""
    npm, node = tool("npm", "install Node.js"), tool("node", "install Node.js")
    ci = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    at = made(HERE / "javascript", lambda at: run(ci, at=at))
    return run([node, at / "publish.js", schemas, *_named(begins)], given=lines)


def _named(begins: Mapping[str, str]) -> list[str]:
    return [f"{event_type}={head}" for event_type, head in begins.items()]
