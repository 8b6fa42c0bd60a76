"""
Are these the jars that were chosen?

`kafka_jars/sums.sha256` names each jar of Apache Kafka, also those that others bring along, with its SHA-256, as the
program `sha256sum` writes it. They are compared before one is run: at every start, for the folder may have changed
since it was filled.

Maven runs code of its own before that: the plugin that fetches, and what it brings along. `kafka_jars/maven` names all
of those, too. Maven 3.9 and newer compare with it, and run none that is another; older ones cannot. `make lock-jars`
writes both.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safebus.deploy.local.brokers.broker import BrokerError, OtherJars

SUMS: Final = Path(__file__).parent / "kafka_jars" / "sums.sha256"

#: As Maven's resolver reads it: SHA-256 and path in a repository, of everything that it fetches.
OF_MAVEN: Final = SUMS.parent / "maven" / "checksums.sha256"

#: What has Maven compare. Source: Maven Artifact Resolver 1.9, configuration options.
TRUST: Final = (
    "-Daether.artifactResolver.postProcessor.trustedChecksums=true",
    "-Daether.artifactResolver.postProcessor.trustedChecksums.checksumAlgorithms=SHA-256",
    "-Daether.trustedChecksumsSource.summaryFile=true",
    "-Daether.trustedChecksumsSource.summaryFile.originAware=false",
    f"-Daether.trustedChecksumsSource.summaryFile.basedir={OF_MAVEN.parent}",
)
#: What it says of one that is another.
MISMATCH: Final = "trusted checksum mismatch"

TO_DO: Final = (
    "remove Maven's own copies of them (`~/.m2/repository`), and try again. If they are the same again, somebody "
    "between here and Maven Central gives out others: do not use them, look at the mirrors in Maven's `settings.xml`, "
    "and tell the maintainers"
)

_MOST_NAMED: Final = 5


def read_sums(file: Path = SUMS) -> dict[str, str]:
    """
    File name -> SHA-256, 64 hex digits.

    Raises:
        BrokerError: A line is not as `sha256sum` writes it, or there is none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text("ascii").splitlines(), 1):
        row = re.fullmatch(r"([0-9a-f]{64})  ([A-Za-z0-9._-]+\.jar)", line)
        if row is None or row[2] in found:
            what = f"`{file}` line {number}: expected the SHA-256 of one more jar"
            raise BrokerError(f"{what}; `make lock-jars` writes it")
        found[row[2]] = row[1]
    if not found:
        raise BrokerError(f"`{file}` names no jar; `make lock-jars` writes it")
    return found


def sums_of(folder: Path) -> dict[str, str]:
    """As `read_sums`, of every jar in a folder: Java takes what is there."""
    return {file.name: _sum_of(file) for file in sorted(folder.iterdir()) if file.suffix.lower() == ".jar"}


def _sum_of(file: Path) -> str:
    if not file.is_file():
        return "of no file"
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sums_in_repository(repository: Path) -> dict[str, str]:
    """Path in a local repository of Maven -> SHA-256, of every artifact in it."""
    files = sorted(file for file in repository.rglob("*") if file.suffix in (".jar", ".pom"))
    return {file.relative_to(repository).as_posix(): _sum_of(file) for file in files}


def check(folder: Path, sums: Mapping[str, str], *, kept: Path) -> None:
    """
    Compare what is in a folder with what was chosen.

    Args:
        kept: Where the jars are kept from one start to the next.

    Raises:
        OtherJars: A jar is another, is missing, or is one too many; says each, and what to do.
    """
    found = sums_of(folder)
    said = [
        f"`{name}` {f'has SHA-256 {found[name]}' if name in found else 'is missing'}, expected {expected}"
        for name, expected in sorted(sums.items())
        if found.get(name) != expected
    ]
    said += [f"`{name}` is one that nobody chose, SHA-256 {found[name]}" for name in found if name not in sums]
    if said:
        more = [f"and {len(said) - _MOST_NAMED} more"] if len(said) > _MOST_NAMED else []
        lines = "\n    ".join([*said[:_MOST_NAMED], *more])
        raise OtherJars(
            f"Kafka's jars are not those that were chosen ({len(said)} differ), so none was run:\n    {lines}\n"
            f"Remove `{kept}` if it is there; {TO_DO}"
        )
