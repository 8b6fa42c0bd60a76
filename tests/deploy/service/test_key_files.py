"""Keys are made once and whole, by one command, and each role has its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from safebus.deploy.service import key_files, settings
from safebus.schemas import sealing
from safebus.schemas.errors import BadIdentifier, BadInput

#: Rounds of four processes that start at once; asked for are 1 000: STARTS=1000.
STARTS = int(os.environ.get("STARTS", "25"))


def at(home: Path) -> settings.Settings:
    return settings.load({"SAFEBUS_HOME": str(home)})


def test_all_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    made = key_files.init(tmp_path, agencies=["a-school", "b-school"])
    first = at(tmp_path)
    secret = first.person_key()

    assert made == ["seal.key", "seal.pub", "person.key", "case-a-school.key", "case-b-school.key"]
    assert key_files.init(tmp_path, agencies=["a-school"]) == []
    assert first.person_key() == secret and first.digest_key() == secret.digests
    assert first.case_secret("a-school") != first.case_secret("b-school")
    assert first.seal_public() == sealing.public_of(first.seal_private())
    assert {stat.S_IMODE(f.stat().st_mode) for f in key_files.held(tmp_path)} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert sorted(f.name for f in (tmp_path / "keys").iterdir()) == sorted([".making", *made])  # no draft is left


@pytest.mark.parametrize("ask", ["person_key", "digest_key", "seal_public", "seal_private"])
def test_nothing_else_makes_one(tmp_path: Path, ask: str) -> None:
    with pytest.raises(BadInput, match=r"^there is no `.*`: `safebus keys init` makes those of a new bus, once; "):
        getattr(at(tmp_path), ask)()

    assert not (tmp_path / "keys").exists()


def test_whoever_has_the_home_of_another_role_is_told_whose_it_takes(tmp_path: Path) -> None:
    """An operator was told to make the keys of a new bus."""
    key_files.init(tmp_path)
    (tmp_path / "keys" / "person.key").unlink()

    with pytest.raises(BadInput, match=r"of another role; .* `safebus keys export registrar`; if it was lost"):
        at(tmp_path).person_key()


def test_a_publisher_is_told_how_to_make_its_own(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="`safebus keys init --agency a-school` makes it once; all who publish for"):
        at(tmp_path).case_secret("a-school")


_START = """
import sys
from pathlib import Path
from safebus.deploy.service import key_files, settings
home = Path(sys.argv[1])
for number, _ in enumerate(sys.stdin):
    one = home / str(number)
    key_files.init(one, agencies=["a-school"])
    found = settings.load({"SAFEBUS_HOME": str(one)})
    four = found.person_key().secret, found.seal_private(), found.seal_public(), found.case_secret("a-school")
    print(*(key.hex() for key in four), flush=True)
"""


def test_four_that_start_at_once_have_the_same_whole_keys(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _START, str(tmp_path)]
    started = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    rounds = []
    for _ in range(STARTS):
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        rounds.append([one.stdout.readline().split() for one in started if one.stdout is not None])
    for one in started:
        one.communicate(timeout=60)

    assert all(one.returncode == 0 for one in started)
    for said in rounds:
        assert len(said[0]) == 4 and said == [said[0]] * 4
        assert sealing.public_of(bytes.fromhex(said[0][1])).hex() == said[0][2]
    assert len({said[0][0] for said in rounds}) == STARTS


@pytest.mark.parametrize("lost", ["person.key", "seal.key", "seal.pub"])
def test_what_was_lost_is_not_made_anew(tmp_path: Path, lost: str) -> None:
    """Under a new one everybody would be a stranger, and quarantine be sealed to nobody's copy."""
    key_files.init(tmp_path)
    (tmp_path / "keys" / lost).unlink()

    with pytest.raises(BadInput, match=rf"and not {lost}: .*bring your copy back"):
        key_files.init(tmp_path)

    assert not (tmp_path / "keys" / lost).exists()


def test_all_there_is_said_only_of_keys_that_are_whole(tmp_path: Path) -> None:
    key_files.init(tmp_path)
    (tmp_path / "keys" / "seal.pub").write_bytes(b"")

    with pytest.raises(BadInput, match="has 0 bytes"):
        key_files.init(tmp_path)


def test_a_role_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    """A folder that is used twice would hand an adapter the key to quarantine."""
    key_files.init(tmp_path / "bus")
    key_files.export(tmp_path / "bus", "adapter", tmp_path / "there")
    for to in ("there", "bus"):
        with pytest.raises(BadInput, match="of another role; give each role a folder of its own"):
            key_files.export(tmp_path / "bus", "importer", tmp_path / to)


@pytest.mark.parametrize(("role", "names"), key_files.ROLES.items())
def test_each_role_gets_its_own_and_nothing_else(tmp_path: Path, role: str, names: tuple[str, ...]) -> None:
    key_files.init(tmp_path / "bus", agencies=["a-school"])
    bus, there = at(tmp_path / "bus"), tmp_path / "there"

    assert key_files.export(tmp_path / "bus", role, there) == list(names)
    assert key_files.export(tmp_path / "bus", role, there) == list(names)
    assert sorted(path.name for path in (there / "keys").iterdir()) == sorted(names)
    if "digest.key" in names or "person.key" in names:
        assert at(there).digest_key() == bus.person_key().digests
    if "person.key" not in names:
        with pytest.raises(BadInput):
            at(there).person_key()


@pytest.mark.parametrize("role", key_files.ROLES)
def test_where_a_role_works_no_other_bus_is_begun(tmp_path: Path, role: str) -> None:
    key_files.init(tmp_path / "bus")
    key_files.export(tmp_path / "bus", role, tmp_path / "there")

    with pytest.raises(BadInput, match="either it belongs to a role of a bus whose keys are elsewhere"):
        key_files.init(tmp_path / "there")

    assert len([*key_files.held(tmp_path / "there")]) == len(key_files.ROLES[role])


def test_a_public_half_of_another_pair_is_not_given_on(tmp_path: Path) -> None:
    key_files.init(tmp_path / "bus")
    (tmp_path / "bus" / "keys" / "seal.pub").write_bytes(b"x" * 32)

    with pytest.raises(BadInput, match="are no pair"):
        key_files.export(tmp_path / "bus", "worker", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_another_key_is_not_overwritten(tmp_path: Path) -> None:
    for name in ("one", "other"):
        key_files.init(tmp_path / name)
    key_files.export(tmp_path / "one", "adapter", tmp_path / "there")

    with pytest.raises(BadInput, match="is another key; nothing there was changed"):
        key_files.export(tmp_path / "other", "adapter", tmp_path / "there")

    assert at(tmp_path / "there").digest_key() == at(tmp_path / "one").digest_key()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    key_files.init(tmp_path)
    (tmp_path / "keys" / "person.key").chmod(mode)

    with pytest.raises(BadInput, match=rf"others on this machine can read .* \(mode {mode:o}\); `chmod 600"):
        at(tmp_path).person_key()


def test_whoever_could_change_what_quarantine_is_sealed_to_could_read_it(tmp_path: Path) -> None:
    key_files.init(tmp_path)
    (tmp_path / "keys" / "seal.pub").chmod(0o644)
    before = at(tmp_path).seal_public()
    (tmp_path / "keys" / "seal.pub").chmod(0o666)

    assert len(before) == 32
    with pytest.raises(BadInput, match=r"others on this machine can change .*seal\.pub"):
        at(tmp_path).seal_public()


def test_where_no_key_can_be_kept_none_is_written(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"in its place")

    with pytest.raises(BadInput, match=r"keys` cannot be written: "):
        key_files.init(tmp_path)
    with pytest.raises(BadInput, match=r"cannot be written: .*; a key needs a folder on a file system of this machine"):
        key_files.init_cases(tmp_path, ["a-school"])


def test_a_key_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could put another in its place at any time."""
    key_files.init(tmp_path)
    if os.geteuid() == 0:  # what belongs to root is nobody else's
        os.chown(tmp_path / "keys" / "person.key", 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)

    with pytest.raises(BadInput, match=r"belongs to somebody else on this machine"):
        at(tmp_path).person_key()


def test_of_several_agencies_none_is_begun_if_one_is_no_id(tmp_path: Path) -> None:
    with pytest.raises(BadIdentifier):
        key_files.init_cases(tmp_path, ["a-school", "BAD"])

    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("folder", ["keys", "."])
def test_a_folder_in_which_others_can_write_is_not_used(tmp_path: Path, folder: str) -> None:
    key_files.init(tmp_path)
    (tmp_path / folder).chmod(0o770)

    with pytest.raises(BadInput, match=r"others on this machine can replace what is in .*`chmod 700"):
        at(tmp_path).person_key()


@pytest.mark.parametrize(("length", "said"), [(0, "has 0 bytes"), (31, "has 31 bytes"), (64, "has more bytes")])
def test_what_is_cut_short_or_is_no_key_is_not_used(tmp_path: Path, length: int, said: str) -> None:
    key_files.init(tmp_path)
    (tmp_path / "keys" / "person.key").write_bytes(b"k" * length)

    with pytest.raises(BadInput, match=f"{said}, a key has 32$"):
        at(tmp_path).person_key()


def test_a_folder_in_the_place_of_a_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "keys" / "person.key").mkdir(parents=True)

    with pytest.raises(BadInput, match=r"person.key` cannot be read: Is a directory$"):
        at(tmp_path).person_key()


@pytest.mark.parametrize(("name", "ask"), [("seal.pub", "seal_private"), ("digest.key", "digest_key")])
def test_two_that_do_not_belong_together_are_not_used(tmp_path: Path, name: str, ask: str) -> None:
    key_files.init(tmp_path)
    (tmp_path / "keys" / name).write_bytes(b"x" * 32)
    (tmp_path / "keys" / name).chmod(0o600)

    with pytest.raises(BadInput, match=r"are no pair|are of two buses"):
        getattr(at(tmp_path), ask)()


_LOOK = """
import ctypes, resource, sys
from safebus.deploy import cli
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
sys.argv = ["safebus", "--version"]
try:
    cli.main()
except SystemExit:
    print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_no_command_leaves_its_memory_in_a_core_file() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines()[-1] == "(0, 0) 0", done.stderr
