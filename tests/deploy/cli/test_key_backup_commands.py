"""A backup of keys as people type it, where there is no broker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from safebus.deploy.service import key_backup, key_files, late_record

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def safebus(tmp_path: Path) -> Run:
    env = {**os.environ, "SAFEBUS_HOME": str(tmp_path / "home")}
    env.pop("SAFEBUS_BROKER", None)

    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "safebus.deploy.cli", "keys", *words, "--reason", "test"]
        return subprocess.run(command, env=env, cwd=tmp_path, input=given, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def home(tmp_path: Path, safebus: Run) -> Path:
    """With a backup in `bus.keys`, of which any two of three shares in `shares` are needed."""
    key_files.init(tmp_path / "home", agencies=["a-school"])
    split = ["--shares", "3", "--needed", "2", "--shares-to", "shares"]
    done = safebus("backup", "--to", "bus.keys", *split, "--no-broker")
    assert done.returncode == 0, done.stderr
    return tmp_path / "home"


def content(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in key_files.held(home)}


def shares(*numbers: int) -> list[str]:
    return [word for number in numbers for word in ("--share", f"shares/share-{number}.txt")]


def test_lost_keys_come_back_from_shares_in_any_order(home: Path, safebus: Run) -> None:
    before = content(home)
    shutil.rmtree(home / "keys")
    done = safebus("restore", "bus.keys", *shares(3, 1), "--no-broker")

    assert done.returncode == 0, done.stderr
    assert content(home) == before
    assert "wrote case-a-school.key, person.key, seal.key, seal.pub in" in done.stderr


def test_what_was_done_without_a_broker_is_noted_before_it_is_done(home: Path, safebus: Run) -> None:
    shutil.rmtree(home / "keys")
    safebus("restore", "bus.keys", *shares(1), "--no-broker")
    noted = [act.what for act in late_record.waiting(home).values()]

    assert noted == ["keys backup", "keys restore"]
    assert content(home) == {}


def test_doctor_says_what_is_not_on_record_yet(home: Path) -> None:
    env = {**os.environ, "SAFEBUS_HOME": str(home)}
    env.pop("SAFEBUS_BROKER", None)
    command = [sys.executable, "-m", "safebus.deploy.cli", "doctor"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    assert "keys backup: done without a broker" in done.stdout
    assert "puts them there first" in done.stdout


def test_without_a_broker_nothing_is_done_unless_that_is_said(home: Path, safebus: Run, tmp_path: Path) -> None:
    shutil.rmtree(home / "keys")
    for words in (["restore", "bus.keys", *shares(1, 2)], ["drill", "bus.keys", *shares(1, 2)]):
        done = safebus(*words)

        assert done.returncode == 4
        assert "nothing was done, because it could not be put on record" in done.stderr
        assert "--no-broker notes it and goes on" in done.stderr
    assert content(home) == {}
    key_files.init(home)
    made = safebus("backup", "--to", "other.keys", "--shares-to", "others")
    assert (made.returncode, (tmp_path / "other.keys").exists(), (tmp_path / "others").exists()) == (4, False, False)


def test_each_share_is_shown_to_its_person_and_the_file_comes_last(home: Path, safebus: Run, tmp_path: Path) -> None:
    done = safebus("backup", "--to", "shown.keys", "--shares", "2", "--needed", "2", "--no-broker", given="\n" * 4)
    broken_off = safebus(
        "backup", "--to", "broken.keys", "--shares", "2", "--needed", "2", "--no-broker", given="\n" * 2
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Show nobody these 33 words") == 2
    assert (broken_off.returncode != 0, (tmp_path / "broken.keys").exists()) == (True, False)


def test_shares_are_typed_where_no_file_is_named(home: Path, safebus: Run) -> None:
    one, _, three = (key_backup.read_share(home.parent / "shares" / f"share-{n}.txt").words for n in (1, 2, 3))
    words = one.split()
    slip = " ".join([*words[:9], "academic" if words[9] != "academic" else "acid", *words[10:]])
    before = content(home)
    shutil.rmtree(home / "keys")
    done = safebus("restore", "bus.keys", "--no-broker", given=f"{slip}\n{one}\n{one}\n{three}\n")

    assert done.returncode == 0, done.stderr
    assert content(home) == before
    assert "the share that was typed: word 10 is another than was written down; type it again" in done.stderr
    assert "(1 of 2 are there)" in done.stderr
    assert [two for two in map(" ".join, pairwise(words)) if two in done.stderr] == []


@pytest.mark.parametrize(
    ("do", "words", "said"),
    [
        ("", shares(1), "2 shares are needed, and there are 1 (given: 1)"),
        ("", shares(1, 1), "2 shares are needed, and there are 1 (given: 1)"),
        ("damage", shares(1, 2), "is damaged or not whole"),
        ("init", shares(1, 2), "of another bus"),
        ("", ["--share", "no-file", *shares(1)], "share `no-file` cannot be read"),
    ],
)
def test_what_cannot_be_restored_is_said_and_nothing_written(
    home: Path, safebus: Run, do: str, words: list[str], said: str
) -> None:
    shutil.rmtree(home / "keys")
    if do == "init":
        key_files.init(home)
    if do == "damage":
        data = (home.parent / "bus.keys").read_bytes()
        (home.parent / "bus.keys").write_bytes(data[:300] + data[301:])
    before = content(home)
    done = safebus("restore", "bus.keys", *words, "--no-broker")

    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert content(home) == before


def test_a_backup_is_never_written_over(home: Path, safebus: Run) -> None:
    before = (home.parent / "bus.keys").read_bytes()
    done = safebus("backup", "--to", "bus.keys", "--shares-to", "new", "--no-broker")

    nowhere = safebus("backup", "--to", "no-folder/bus.keys", "--shares-to", "new", "--no-broker")

    assert (done.returncode, "exists already; name a new file" in done.stderr) == (1, True)
    assert (nowhere.returncode, "there is no folder `no-folder`" in nowhere.stderr) == (1, True)
    assert (home.parent / "bus.keys").read_bytes() == before
    assert not (home.parent / "new").exists()


def test_a_drill_finds_what_was_made_since_and_changes_nothing(home: Path, safebus: Run) -> None:
    same = safebus("drill", "bus.keys", *shares(1, 2), "--no-broker")
    key_files.init_cases(home, ["b-school"])
    before = content(home)
    since = safebus("drill", "bus.keys", *shares(1, 2), "--no-broker")

    assert same.returncode == 0, same.stderr
    assert "with what the bus uses it was not compared" in same.stderr
    assert (since.returncode, "case-b-school.key" in since.stdout) == (3, True)
    assert "this is no good backup of the bus as it is" in since.stderr
    assert content(home) == before
    assert "keys drill passed" not in [act.what for act in late_record.waiting(home).values()]


def test_each_needs_a_reason(tmp_path: Path) -> None:
    for words in (["backup", "--to", "x"], ["restore", "x"], ["drill", "x"]):
        command = [sys.executable, "-m", "safebus.deploy.cli", "keys", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, "needs --reason" in done.stderr) == (2, True)
