"""What a publisher's `pip install safebus` brings: enough to publish, and nothing of the command line or of the bus."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

NOT_THERE = {
    "fastapi",
    "flask",
    "celery",
    "typer",
    "rich",
    "structlog",
    "yaml",
    "avro",
    "setproctitle",
    "shamir_mnemonic",
    "faust",
    "aiohttp",
}


def brought_by(requirements: list[str]) -> set[str]:
    """The names of these distributions and of all that they stand on, without extras."""
    found: set[str] = set()
    for line in requirements:
        if "extra ==" in line or re.search(r"python_(full_)?version *<|platform_system|sys_platform", line):
            continue
        name = re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0]
        if name and name not in found:
            found |= {name, *brought_by(metadata.requires(name) or [])}
    return found


@pytest.fixture(scope="module")
def slim(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it asks for, and nothing else."""
    place = tmp_path_factory.mktemp("slim")
    subprocess.run(["python3", "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
    [packages] = place.glob("lib/python3*/site-packages")
    with ZipFile(wheel) as file:
        file.extractall(packages)
        asked = file.read(next(n for n in file.namelist() if n.endswith("METADATA"))).decode()
    for name in brought_by(re.findall(r"^Requires-Dist: (.*)$", asked, re.MULTILINE)):
        one = metadata.distribution(name)
        for top in {file.parts[0] for file in one.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(one.locate_file(top))))
    return place / "bin" / "python"


def ran(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(python), *words], capture_output=True, text=True, timeout=120, cwd=python.parent)


def test_it_brings_nothing_of_the_command_line_or_the_bus(slim: Path) -> None:
    code = "import importlib.util as u, sys; print(sorted(n for n in sys.argv[1:] if u.find_spec(n)))"

    assert ran(slim, "-c", code, *NOT_THERE).stdout.strip() == "[]"


def test_it_is_enough_to_make_and_publish_an_event(slim: Path) -> None:
    code = """
from safebus import *
import safebus
for name in safebus.__all__: getattr(safebus, name)
from safebus.deploy.local.demo import story
try:
    PublisherSync(Connection("127.0.0.1:1"), agency="fordshire-police", case_secret=b"s" * 16, timeout_s=0.5).publish(
        story.incident(), case="c")
except NotReachable as exc:
    print(exc)
"""
    done = ran(slim, "-c", code)

    assert done.stdout == "no broker answers at `127.0.0.1:1`; is it up? `safebus doctor` looks\n", done.stderr


def test_the_command_says_what_it_needs(slim: Path) -> None:
    done = ran(slim, "-c", "from safebus.deploy.command import main; main()", "--help")

    assert done.returncode == 1
    assert done.stderr == "the command line needs `typer`, which is not installed here: pip install 'safebus[cli]'\n"
