"""safebus as a publisher has it: built, and installed where none of this repository is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKED = ["safebus", "schemas", "streams", "producers", "consumers", "deploy"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools would leave `build/` here, and take up what an earlier one left."""
    copy, to = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in PACKED:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    words = ["pip", "wheel", ".", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(to)]
    done = subprocess.run([sys.executable, "-m", *words], cwd=copy, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    [built] = to.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel, and of this one only what safebus stands on."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
    [packages] = place.glob("lib/python3*/site-packages")
    with ZipFile(wheel) as file:
        file.extractall(packages)
    # Only the folder is added: what stands in it as .pth (this checkout among others) is not followed from there.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return place / "bin" / "python"
