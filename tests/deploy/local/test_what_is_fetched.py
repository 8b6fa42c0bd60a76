"""Whatever is fetched to run here is named with its hash, and nothing else is fetched."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from safebus.deploy.local.brokers import jar_sums

ROOT = Path(__file__).parents[3]
ENCODERS = ROOT / "tests" / "encoders"
LOCK, MAKEFILE = ROOT / "requirements.lock", ROOT / "Makefile"

#: How a program of ours would fetch something by another, or by itself; Maven is asked in one place, and looked after.
FETCHES = re.compile(r"""["'](?:curl|wget|npm|npx|pip|pipx|uvx|docker)["']|urlretrieve|urlopen""")


def test_every_package_of_the_lock_has_its_hash_and_no_registry_is_named() -> None:
    entries = re.split(r"\n(?=[a-zA-Z])", LOCK.read_text("utf-8"))
    packages = [entry for entry in entries if re.match(r"[A-Za-z0-9._-]+(\[.*\])?==", entry)]

    assert len(packages) > 50
    assert [entry.split()[0] for entry in packages if "--hash=sha256:" not in entry] == []
    assert [entry for entry in entries if "://" in entry or " @ " in entry] == []


def test_pip_installs_the_lock_by_hash_and_this_checkout() -> None:
    installs = [shlex.split(line) for line in MAKEFILE.read_text("utf-8").splitlines() if "pip install" in line]
    from_a_registry = [words for words in installs if "--editable" not in words]

    assert len(installs) == 2
    assert [set(words) >= {"--require-hashes", "--no-deps"} for words in from_a_registry] == [True]
    for words in installs:
        # Building in isolation would fetch the build's own packages by name alone.
        assert "--no-deps" in words and ("--require-hashes" in words or "--no-build-isolation" in words)


def test_what_the_encoders_of_other_languages_need_has_its_hash_and_names_no_registry() -> None:
    """What `tests/encoders/programs.py` has each language's own client fetch."""
    go, java, javascript = (ENCODERS / name for name in ("go", "java", "javascript"))
    packages = json.loads((javascript / "package-lock.json").read_text("utf-8"))["packages"]
    modules = [line.split() for line in (go / "go.sum").read_text("utf-8").splitlines()]
    pom = (java / "pom.xml").read_text("utf-8")

    assert [name for name, package in packages.items() if name and not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert {words[2][:3] for words in modules} == {"h1:"}
    assert len(jar_sums.read_sums(java / "sums.sha256")) > 5
    assert "repositor" not in pom.lower()


def test_nothing_else_of_ours_fetches_anything() -> None:
    parts = ("deploy", "consumers", "producers", "streams", "schemas")
    files = [file for part in parts for file in sorted((ROOT / part).rglob("*.py"))]
    fetching = [str(file.relative_to(ROOT)) for file in files if FETCHES.search(file.read_text("utf-8"))]
    asking_maven = [file.name for file in files if "copy-dependencies" in file.read_text("utf-8")]

    assert fetching == []
    assert asking_maven == ["kafka_tools.py"]
