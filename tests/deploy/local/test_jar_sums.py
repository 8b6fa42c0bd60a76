"""What is run of Apache Kafka is what was chosen, jar for jar."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from safebus.deploy.local.brokers import BrokerError, OtherJars, jar_sums
from safebus.deploy.local.brokers.kafka_tools import KAFKA_VERSION, POM


def sums(**content: bytes) -> dict[str, str]:
    return {f"{name}.jar": hashlib.sha256(data).hexdigest() for name, data in content.items()}


def folder(path: Path, **content: bytes) -> Path:
    for name, data in content.items():
        (path / f"{name}.jar").write_bytes(data)
    return path


CHOSEN = sums(a=b"a", b=b"b")


def test_the_very_jars_pass(tmp_path: Path) -> None:
    (folder(tmp_path, a=b"a", b=b"b") / ".DS_Store").write_bytes(b"what no Java takes")

    jar_sums.check(tmp_path, CHOSEN, kept=tmp_path)


def test_each_that_is_another_missing_or_too_much_is_named(tmp_path: Path) -> None:
    folder(tmp_path, a=b"changed", c=b"c")
    (tmp_path / "D.JAR").mkdir()
    changed = hashlib.sha256(b"changed").hexdigest()

    with pytest.raises(OtherJars) as refused:
        jar_sums.check(tmp_path, CHOSEN, kept=tmp_path / "kept")

    said = str(refused.value)
    assert said.startswith("Kafka's jars are not those that were chosen (4 differ), so none was run:\n")
    assert f"`a.jar` has SHA-256 {changed}, expected {CHOSEN['a.jar']}" in said
    assert f"`b.jar` is missing, expected {CHOSEN['b.jar']}" in said
    assert "`c.jar` is one that nobody chose" in said and "`D.JAR` is one that nobody chose" in said
    assert f"Remove `{tmp_path / 'kept'}` if it is there; remove Maven's own copies" in said


def test_of_many_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(OtherJars, match="and 3 more\n"):
        jar_sums.check(tmp_path, sums(**{f"x{number}": b"" for number in range(8)}), kept=tmp_path)


@pytest.mark.parametrize("text", ["", "no sum\n", f"{'0' * 64}  ../a.jar\n", f"{'0' * 64}  a.jar\n" * 2])
def test_a_file_of_sums_that_would_let_something_through_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sums").write_text(text)

    with pytest.raises(BrokerError, match="`make lock-jars` writes it"):
        jar_sums.read_sums(tmp_path / "sums")


def test_the_sums_are_of_the_versions_that_the_pom_names() -> None:
    names = jar_sums.read_sums()
    named = re.findall(
        r"<artifactId>(kafka_2.13|log4j-slf4j-impl)</artifactId>\s*<version>(.*)</version>", POM.read_text()
    )

    assert {f"{artifact}-{version}.jar" for artifact, version in named} <= names.keys()
    assert len(named) == 2 and f"kafka-clients-{KAFKA_VERSION}.jar" in names


def test_what_maven_runs_itself_and_what_it_brings_are_named_alike() -> None:
    lines = [line.split("  ") for line in jar_sums.OF_MAVEN.read_text().splitlines()]
    by_path = {path: digest for digest, path in lines}
    by_name = {path.rpartition("/")[2]: digest for path, digest in by_path.items()}

    assert len(by_path) == len(lines)
    assert any(path.startswith("org/apache/maven/plugins/maven-dependency-plugin/2.8/") for path in by_path)
    assert {name: by_name.get(name) for name in jar_sums.read_sums()} == jar_sums.read_sums()
    assert f"basedir={jar_sums.OF_MAVEN.parent}" in jar_sums.TRUST[-1]


def test_another_program_reads_the_same_file(tmp_path: Path) -> None:
    """Whoever does not trust this one compares with `sha256sum`."""
    folder(tmp_path, a=b"a", b=b"b")
    (tmp_path / "sums").write_text("".join(f"{digest}  {name}\n" for name, digest in CHOSEN.items()))
    done = subprocess.run(["sha256sum", "-c", "sums"], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert jar_sums.read_sums(tmp_path / "sums") == CHOSEN
    assert (done.returncode, done.stdout) == (0, "a.jar: OK\nb.jar: OK\n")


def test_whoever_writes_them_anew_is_told_what_is_missing(tmp_path: Path) -> None:
    before = jar_sums.SUMS.read_bytes()
    command = [sys.executable, "-m", "safebus.deploy.local.brokers.lock_jars"]
    environ = {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr.startswith("safebus: ")) == (1, True)
    assert jar_sums.SUMS.read_bytes() == before
