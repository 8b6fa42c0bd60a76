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


def fetched(name: str, lock: Path, fetch: Callable[[Path], object]) -> Path:
    """A folder with what a lock names, fetched once; it appears by one rename, so it is whole or absent."""
    kept = _CACHE / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not kept.is_dir():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as work:
            at = Path(work, "whole")
            shutil.copytree(lock.parent, at)
            fetch(at)
            with contextlib.suppress(OSError):  # another process was quicker
                at.rename(kept)
    return kept


def java(lines: str, schemas: Path, _begins: Mapping[str, str]) -> str:
    """Java's own encoders: the usual one, direct, in blocks, in blocks and direct."""
    sums = HERE / "java" / "sums.sha256"
    jars = fetched("java", sums, _fetch_jars) / "jars"
    jar_sums.check(jars, jar_sums.read_sums(sums), kept=jars.parent)
    # As a source file: compiled in memory, so that one start does all. The second compiler costs more than it gains.
    command = [kafka_tools.find_java(os.environ), "-XX:TieredStopAtLevel=1", "-cp", jars / "*"]
    return run([*command, HERE / "java" / "Publish.java", schemas], given=lines)


def _fetch_jars(at: Path) -> None:
    mvn = tool("mvn", "Debian: `apt-get install maven`")
    run([mvn, "-q", "-B", kafka_tools.GOAL, f"-DoutputDirectory={at / 'jars'}", *jar_sums.TRUST], at=at)


def go(lines: str, schemas: Path, begins: Mapping[str, str]) -> str:
    """hamba/avro: as it is, in blocks of two, and without the size of blocks."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    # `local`: the Go that is here; another would be fetched from a place that nobody chose.
    build = [tool("go", "install Go 1.24 or newer"), "build", "-mod=readonly", "-o", _CACHE / "go"]
    run(build, at=HERE / "go", GOTOOLCHAIN="local")
    return run([_CACHE / "go", schemas, *_named(begins)], given=lines)


def javascript(lines: str, schemas: Path, begins: Mapping[str, str]) -> str:
    """avsc."""
    npm, node = tool("npm", "install Node.js"), tool("node", "install Node.js")
    ci = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    at = fetched("javascript", HERE / "javascript" / "package-lock.json", lambda at: run(ci, at=at))
    program = [node, HERE / "javascript" / "publish.js", schemas, *_named(begins)]
    return run(program, given=lines, NODE_PATH=str(at / "node_modules"))


def _named(begins: Mapping[str, str]) -> list[str]:
    return [f"{event_type}={head}" for event_type, head in begins.items()]
