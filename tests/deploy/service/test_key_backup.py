"""All keys of a home come back, or none; nothing that stands there is overwritten."""

from __future__ import annotations

import itertools
import resource
import signal
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safebus.deploy.service import key_backup, key_files, key_pack, key_shares
from safebus.schemas.errors import BadInput

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    key_files.init(tmp_path / "bus", agencies=["a-school"])
    return tmp_path / "bus"


def made(home: Path, number: int = 5, needed: int = 3) -> tuple[key_backup.Backup, key_pack.Pack]:
    backup = key_backup.make(home, number=number, needed=needed, now=NOW)
    return backup, key_pack.parse(backup.data, named="bus.keys")


def content(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in key_files.held(home)}


def test_any_three_of_five_bring_all_keys_back(home: Path, tmp_path: Path) -> None:
    backup, pack = made(home)
    for number, three in enumerate(itertools.combinations(backup.shares, 3)):
        there = tmp_path / str(number)
        assert key_backup.check_restorable(there, pack.header)
        key_backup.restore(there, key_backup.opened(pack, three))

        assert content(there) == content(home) and len(content(home)) == 4
        assert {stat.S_IMODE(path.stat().st_mode) for path in key_files.held(there)} == {0o600}
        assert stat.S_IMODE((there / "keys").stat().st_mode) == 0o700
        assert [path.name for path in there.iterdir()] == ["keys"]  # no draft is left
        assert key_files.person_key(there) == key_files.person_key(home)


def test_two_of_five_bring_nothing(home: Path) -> None:
    backup, pack = made(home)
    for two in itertools.combinations(backup.shares, 2):
        with pytest.raises(BadInput, match="3 shares are needed, and there are 2"):
            key_backup.opened(pack, two)


def test_every_key_file_is_taken_whatever_it_is_called(home: Path) -> None:
    (home / "keys" / "person.2.key").write_bytes(b"2" * 32)
    (home / "keys" / "person.2.key").chmod(0o600)
    backup, pack = made(home)

    assert key_backup.opened(pack, backup.shares) == content(home)
    assert "person.2.key" in content(home)


def test_the_home_of_one_role_is_carried_by_one_share(home: Path, tmp_path: Path) -> None:
    key_files.export(home, "adapter", tmp_path / "adapter")
    backup, pack = made(tmp_path / "adapter", 1, 1)
    key_backup.restore(tmp_path / "there", key_backup.opened(pack, backup.shares))

    assert content(tmp_path / "there") == content(tmp_path / "adapter")


def test_shares_are_written_for_one_person_each(home: Path, tmp_path: Path) -> None:
    backup, _ = made(home)
    files = key_backup.write_shares(tmp_path / "shares", backup)

    assert [file.name for file in files] == [f"share-{number}.txt" for number in range(1, 6)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "shares").stat().st_mode) == 0o700
    read = [key_backup.read_share(file) for file in files]
    assert [share.words for share in read] == [share.words for share in backup.shares]
    for file, share in zip(files, backup.shares, strict=True):
        text = file.read_text()
        for other in backup.shares:
            # All begin with the same two words, and have the same one for a single group.
            assert other is share or not set(other.words.split()[4:]) <= set(text.split())


def test_shares_are_not_mixed_with_other_files(home: Path, tmp_path: Path) -> None:
    backup, _ = made(home)
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "there" / "share-1.txt").write_text("of another backup")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)

    with pytest.raises(BadInput, match="not an empty folder"):
        key_backup.write_shares(tmp_path / "there", backup)
    with pytest.raises(BadInput, match="others on this machine can look into"):
        key_backup.write_shares(tmp_path / "open", backup)


@pytest.mark.parametrize("name", ["nothing", "binary"])
def test_a_share_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    with pytest.raises(BadInput, match=rf"^share `.*{name}` cannot be read: "):
        key_backup.read_share(tmp_path / name)


def test_other_keys_are_not_overwritten(home: Path, tmp_path: Path) -> None:
    _, pack = made(home)
    key_files.init(tmp_path / "other")
    before = content(tmp_path / "other")

    with pytest.raises(BadInput, match=r"seal\.key, seal\.pub of another bus and not case-a-school\.key: "):
        key_backup.check_restorable(tmp_path / "other", pack.header)
    assert content(tmp_path / "other") == before


def test_a_part_of_the_keys_is_not_filled_up(home: Path) -> None:
    _, pack = made(home)
    (home / "keys" / "seal.key").unlink()

    with pytest.raises(BadInput, match=r"has keys already, and not seal\.key: nothing was written"):
        key_backup.check_restorable(home, pack.header)


def test_what_is_there_already_is_said(home: Path) -> None:
    _, pack = made(home)

    assert key_backup.check_restorable(home, pack.header) is False


def test_keys_that_came_there_meanwhile_stay(home: Path, tmp_path: Path) -> None:
    backup, pack = made(home)
    keys = key_backup.opened(pack, backup.shares)
    key_files.init(tmp_path / "other")
    before = content(tmp_path / "other")

    with pytest.raises(BadInput, match=r"cannot be put in place: .*nothing was written there"):
        key_backup.restore(tmp_path / "other", keys)
    assert content(tmp_path / "other") == before
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["keys"]


def test_what_a_killed_restore_left_is_cleared_away(home: Path, tmp_path: Path) -> None:
    """It is keys, as they stand in a home."""
    backup, pack = made(home)
    (tmp_path / "new" / ".keys-half").mkdir(parents=True)
    (tmp_path / "new" / ".keys-half" / "person.key").write_bytes(b"p" * 32)
    key_backup.restore(tmp_path / "new", key_backup.opened(pack, backup.shares))

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["keys"]


def test_a_home_without_keys_or_with_a_wrong_one_is_not_backed_up(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no key; SAFEBUS_HOME names"):
        made(tmp_path / "nothing")
    (home / "keys" / "seal.pub").write_bytes(b"x" * 32)
    with pytest.raises(BadInput, match="are no pair"):
        made(home)


def test_no_part_of_a_backup_is_left(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        with pytest.raises(BadInput, match="cannot be written: File too large; nothing is left of it"):
            key_backup.write_new(tmp_path / "bus.keys", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert [*tmp_path.iterdir()] == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "bus.keys").write_bytes(b"the backup of before")

    with pytest.raises(BadInput, match="File exists; name a new file"):
        key_backup.write_new(tmp_path / "bus.keys", b"new")
    assert (tmp_path / "bus.keys").read_bytes() == b"the backup of before"


def test_shares_of_another_backup_of_the_same_keys_do_not_open_it(home: Path) -> None:
    (_, pack), (other, _) = made(home), made(home)

    with pytest.raises(BadInput, match=r"^share 1 is of another backup"):
        key_backup.opened(pack, other.shares)


def test_a_share_says_what_one_person_must_know(home: Path) -> None:
    backup, _ = made(home)
    text = key_backup.share_text(backup.header, backup.shares[1])

    assert f"backup of keys `{backup.header.shares.begin}` of 2026-11-27" in text
    assert "share 2; any 3 open it" in text
    assert key_shares.read(text, named="paper").words == backup.shares[1].words
