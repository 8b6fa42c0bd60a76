"""A partner's folder holds each parcel once, and whole."""

import asyncio
import glob
import json
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from a_parcel import ALERT, ID, WITHDRAWAL, handed, parcel

from safebus.consumers.adapters.adapter import HELD_BACK, PartnerAnswer, Reply, hand_over
from safebus.consumers.adapters.folder import FolderAdapter, file_name
from safebus.schemas.errors import BadIdentifier

WRITTEN = PartnerAnswer(Reply.ACCEPTED, "written")
ALREADY_THERE = PartnerAnswer(Reply.ACCEPTED, "already_there")
OTHER_CONTENT = PartnerAnswer(Reply.OTHER_CONTENT, "other_content")
PART = f".{ID}.json.00112233aabbccdd.part"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_parcel_becomes_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    assert await handed(FolderAdapter(tmp_path), ALERT) == WRITTEN

    assert names(tmp_path) == [f"{ID}.json"]
    file = tmp_path / f"{ID}.json"
    assert file.read_bytes() == ALERT.json_bytes()
    assert json.loads(file.read_text("utf-8")) == ALERT.body
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_repeat_has_one_effect(tmp_path: Path) -> None:
    adapter = FolderAdapter(tmp_path)

    assert [await handed(adapter, ALERT) for _ in range(3)] == [WRITTEN, ALREADY_THERE, ALREADY_THERE]
    assert names(tmp_path) == [f"{ID}.json"]


async def test_what_the_partner_has_collected_does_not_come_again(tmp_path: Path) -> None:
    adapter = FolderAdapter(tmp_path)
    await handed(adapter, ALERT)
    (tmp_path / "collected").mkdir()
    (tmp_path / f"{ID}.json").rename(tmp_path / "collected" / f"{ID}.json")

    assert await handed(adapter, ALERT) == ALREADY_THERE
    assert await handed(adapter, parcel(body={"other": 1})) == OTHER_CONTENT
    assert names(tmp_path) == ["collected", f"collected/{ID}.json"]


async def test_the_same_id_with_other_content_changes_nothing(tmp_path: Path) -> None:
    adapter = FolderAdapter(tmp_path)
    await handed(adapter, ALERT)

    assert await handed(adapter, parcel(body={"other": 1})) == OTHER_CONTENT
    assert (tmp_path / f"{ID}.json").read_bytes() == ALERT.json_bytes()


async def test_a_withdrawal_is_a_file_of_its_own(tmp_path: Path) -> None:
    adapter = FolderAdapter(tmp_path)

    assert [await handed(adapter, p) for p in (ALERT, WITHDRAWAL, WITHDRAWAL)] == [WRITTEN, WRITTEN, ALREADY_THERE]
    assert names(tmp_path) == [f"{ID}.json", f"{ID}.withdrawn.json"]


async def test_what_may_not_go_yet_is_hidden_from_whoever_collects_all_that_is_there(tmp_path: Path) -> None:
    """NiFi's ListFile takes all but hidden files unless it is told otherwise; a shell's `*` does, too."""

    async def may_go() -> bool:
        [part] = names(tmp_path)
        assert (part.endswith(".part"), glob.glob("*", root_dir=tmp_path)) == (True, [])
        return True

    assert await hand_over(FolderAdapter(tmp_path), ALERT, may_go=may_go) == WRITTEN
    assert glob.glob("*", root_dir=tmp_path) == [f"{ID}.json"]


@pytest.mark.parametrize("part", [PART, PART[1:]], ids=["", "by an earlier version"])
@pytest.mark.parametrize("at", ["open", "deliver"])
async def test_what_a_crash_left_half_written_is_removed(tmp_path: Path, at: str, part: str) -> None:
    """It is about a person, and a message that is stopped meanwhile would leave it there for ever."""
    (tmp_path / part).write_bytes(ALERT.json_bytes()[:7])
    for not_ours in ("notes.part", f"{ID}.json.part.txt", "readme"):
        (tmp_path / not_ours).write_text("the partner's")
    adapter = FolderAdapter(tmp_path)

    if at == "open":
        await adapter.open()
        assert names(tmp_path) == sorted(["notes.part", f"{ID}.json.part.txt", "readme"])
    assert await handed(adapter, ALERT) == WRITTEN
    assert names(tmp_path) == sorted([f"{ID}.json", "notes.part", f"{ID}.json.part.txt", "readme"])


async def test_what_another_process_left_is_removed_after_a_minute_and_what_is_under_way_is_not(tmp_path: Path) -> None:
    """The folder is not listed for every delivery: a partner may leave tens of thousands of files there."""
    now = [time.time()]
    adapter = FolderAdapter(tmp_path, seconds=lambda: now[0])
    await adapter.open()
    left, young = tmp_path / PART, tmp_path / PART.replace("0011", "ffff")
    left.write_bytes(b"half")
    await handed(adapter, ALERT)
    at_once = left.exists()
    now[0] += 60.0
    young.write_bytes(b"half")
    os.utime(young, (now[0], now[0]))
    os.utime(left, (now[0] - 60.0, now[0] - 60.0))
    await handed(adapter, WITHDRAWAL)

    assert at_once
    assert (left.exists(), young.exists()) == (False, True)


async def test_a_crash_at_any_moment_leaves_nothing_or_the_whole_file(tmp_path: Path) -> None:
    """Killed again and again while it writes; the file is never there in part, and at the end it is there."""
    big = parcel(body={"text": "x" * 2_000_000})
    code = (
        "import asyncio, pathlib, sys; sys.path.insert(0, sys.argv[2]); from a_parcel import handed, parcel\n"
        "from safebus.consumers.adapters.folder import FolderAdapter\n"
        "adapter = FolderAdapter(pathlib.Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "print(asyncio.run(handed(adapter, parcel(body={'text': 'x' * 2_000_000}))).code, flush=True)"
    )
    file = tmp_path / f"{ID}.json"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parents[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdout.readline()
            child.stdin.write(b"\n")
            before = names(tmp_path)
            child.stdin.flush()
            while child.poll() is None and set(names(tmp_path)) <= set(before):  # the first sign of a new file
                pass
            child.kill()
        assert not file.exists() or file.read_bytes() == big.json_bytes()
        file.unlink(missing_ok=True)

    assert (await handed(FolderAdapter(tmp_path), big)).reply is Reply.ACCEPTED
    assert names(tmp_path) == [f"{ID}.json"]


async def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    """A process that was thought dead, and its successor."""
    answers = await asyncio.gather(*(handed(FolderAdapter(tmp_path), ALERT) for _ in range(20)))

    assert {a.code for a in answers} <= {"written", "already_there", "part_taken_away"}
    assert names(tmp_path) == [f"{ID}.json"]
    assert (tmp_path / f"{ID}.json").read_bytes() == ALERT.json_bytes()


async def test_a_folder_that_is_not_there_holds_the_destination(tmp_path: Path) -> None:
    """It is not made: a share that is not mounted would be filled beside the partner's back."""
    adapter = FolderAdapter(tmp_path / "not-mounted")
    await adapter.open()

    assert await handed(adapter, ALERT) == PartnerAnswer(Reply.NOT_LET_IN, "enoent")
    (tmp_path / "file").touch()
    assert await handed(FolderAdapter(tmp_path / "file"), ALERT) == PartnerAnswer(Reply.NOT_LET_IN, "enotdir")
    assert names(tmp_path) == ["file"]


def deliver_in_child(folder: Path, *, before: str = "", wrap: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Deliver in a process of its own, which may first give up rights or room."""
    code = (
        "import asyncio, os, pathlib, resource, subprocess, sys; sys.path.insert(0, sys.argv[2])\n"
        "from a_parcel import handed, parcel; from safebus.consumers.adapters.folder import FolderAdapter\n"
        f"folder = pathlib.Path(sys.argv[1])\n{before}\n"
        "print(asyncio.run(handed(FolderAdapter(folder), parcel(body={'text': 'x' * 100_000}))))\n"
        "print(sorted(os.listdir(folder)) if os.access(folder, os.R_OK) else 'closed')"
    )
    return subprocess.run(
        [*wrap, sys.executable, "-c", code, str(folder), str(Path(__file__).parents[1])],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def in_mode(folder: Path, mode: int) -> str:
    """
    The folder has this mode for the child.

    Root may go anywhere, so as root the child becomes somebody else, who finds the folder from where it stands.
    """
    become = f"os.chmod(folder, {mode})"
    if os.geteuid() != 0:
        return become
    folder.parent.chmod(0o711)
    return (
        "asyncio.run(asyncio.to_thread(int))\n"  # while it may still import what a thread needs
        f"os.chown(folder, 65534, 65534); {become}\n"
        "os.chdir(folder.parent); folder = pathlib.Path(folder.name); os.seteuid(65534)"
    )


@pytest.mark.parametrize("mode", [0o000, 0o500], ids=["closed", "read only"])
def test_a_folder_that_is_closed_to_us_holds_the_destination(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    done = deliver_in_child(folder, before=in_mode(folder, mode))
    folder.chmod(0o700)

    assert done.stdout.startswith("PartnerAnswer(reply=<Reply.NOT_LET_IN: 'NOT_LET_IN'>, code='eacces'"), done.stderr
    assert names(folder) == []


ONCE = "PartnerAnswer(reply=<Reply.ACCEPTED: 'ACCEPTED'>, code='written', retry_after_s=None)"


def test_a_drop_box_that_we_may_fill_and_not_list_has_it_once(tmp_path: Path) -> None:
    """The file has its name, so the partner has it; that the folder cannot be opened after that changes nothing."""
    folder = tmp_path / "drop"
    folder.mkdir()
    done = deliver_in_child(folder, before=in_mode(folder, 0o300))
    folder.chmod(0o700)

    assert done.stdout.splitlines()[0] == ONCE, done.stderr
    assert names(folder) == [f"{ID}.json"]


def test_a_file_system_that_knows_no_fsync_has_it_once(tmp_path: Path) -> None:
    """EINVAL is its answer for ever: whoever took it for a failure would repeat what has arrived."""
    done = deliver_in_child(tmp_path, before="import a_kernel; a_kernel.refuse_fsync()")

    assert done.stdout.splitlines() == [ONCE, f"['{ID}.json']"], done.stderr


def test_a_disk_that_fails_says_that_nothing_arrived(tmp_path: Path) -> None:
    done = deliver_in_child(tmp_path, before="import a_kernel, errno; a_kernel.refuse_fsync(errno.EIO)")

    answer = "PartnerAnswer(reply=<Reply.BUSY: 'BUSY'>, code='eio', retry_after_s=None)"
    assert done.stdout.splitlines() == [answer, "[]"], done.stderr


async def test_what_is_held_back_leaves_no_part(tmp_path: Path) -> None:
    async def may_go() -> bool:
        assert len(names(tmp_path)) == 1
        return False

    assert await hand_over(FolderAdapter(tmp_path), ALERT, may_go=may_go) == HELD_BACK
    assert names(tmp_path) == []


async def test_a_file_that_waited_for_its_name_is_no_older_than_one_that_did_not(tmp_path: Path) -> None:
    """A partner that asks for what is newer than the last it saw would pass over it, for ever."""
    other = parcel(notification_id="6f1c0f9e-0000-4000-8000-000000000002")

    async def may_go() -> bool:  # the register takes an hour to answer, and another file has its name meanwhile
        [part] = tmp_path.iterdir()
        os.utime(part, (time.time() - 3600,) * 2)
        return await handed(FolderAdapter(tmp_path), other) == WRITTEN

    assert await hand_over(FolderAdapter(tmp_path), ALERT, may_go=may_go) == WRITTEN
    waited, seen = (tmp_path / file_name(each) for each in (ALERT, other))
    assert waited.stat().st_mtime_ns >= seen.stat().st_mtime_ns


async def test_a_part_that_is_taken_away_is_tried_again(tmp_path: Path) -> None:
    """A partner's own housekeeping."""

    async def may_go() -> bool:
        for path in tmp_path.iterdir():
            path.unlink()
        return True

    answer = await hand_over(FolderAdapter(tmp_path), ALERT, may_go=may_go)

    assert answer == PartnerAnswer(Reply.BUSY, "part_taken_away")


async def test_a_rename_that_a_share_has_done_and_then_says_it_could_not_has_been_done(tmp_path: Path) -> None:
    """Its answer was lost, so the client of the share asked again, and there was no such part any more."""

    async def may_go() -> bool:
        [part] = tmp_path.iterdir()
        part.rename(tmp_path / f"{ID}.json")
        return True

    assert await hand_over(FolderAdapter(tmp_path), ALERT, may_go=may_go) == WRITTEN


def test_a_full_disk_is_tried_again_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """A real file system of 64 kB, which ends with the child's own mount namespace."""
    wrap = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path))
    try:
        subprocess.run([*wrap, *mount], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.fail(f"this test mounts a small disk: it needs `unshare --mount` (util-linux) and the right to: {error}")
    done = deliver_in_child(tmp_path, before=f"subprocess.run({mount!r}, check=True)", wrap=wrap)

    answer = "PartnerAnswer(reply=<Reply.BUSY: 'BUSY'>, code='disk_full', retry_after_s=None)"
    assert done.stdout.splitlines() == [answer, "[]"], done.stderr


def test_a_write_that_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    """Where nothing may be mounted: the kernel ends the write at 64 kB."""
    room = f"resource.setrlimit(resource.RLIMIT_FSIZE, (65536, {resource.RLIM_INFINITY}))"
    done = deliver_in_child(tmp_path, before=room)

    answer = "PartnerAnswer(reply=<Reply.BUSY: 'BUSY'>, code='efbig', retry_after_s=None)"
    assert done.stdout.splitlines() == [answer, "[]"], done.stderr


@pytest.mark.parametrize("trap", ["link", "pipe", "folder"])
async def test_what_someone_put_where_our_file_should_be_is_neither_followed_nor_waited_for(
    tmp_path: Path, trap: str
) -> None:
    (tmp_path / "drop").mkdir()
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "drop" / f"{ID}.json"
    elsewhere.write_bytes(ALERT.json_bytes())
    {"link": lambda: place.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[trap]()

    assert await handed(FolderAdapter(tmp_path / "drop"), ALERT) == OTHER_CONTENT
    assert elsewhere.read_bytes() == ALERT.json_bytes()


@pytest.mark.parametrize(
    "hostile", ["", "..", "../../etc/cron.d/x", "/etc/passwd", f"{ID}/../x", f"{ID}\n", f"{ID}\0", ID.upper(), "n-1"]
)
def test_no_path_can_be_built_from_an_id(hostile: str) -> None:
    with pytest.raises(BadIdentifier):
        parcel(notification_id=hostile)


def test_a_file_name_says_nothing_about_a_person() -> None:
    assert (file_name(ALERT), file_name(WITHDRAWAL)) == (f"{ID}.json", f"{ID}.withdrawn.json")


def test_a_parcel_in_a_log_line_does_not_show_the_person() -> None:
    assert "Zoë" not in repr(ALERT)


def test_equal_bodies_give_equal_bytes() -> None:
    assert parcel(body={"b": [1, "é"], "a": None}).json_bytes() == '{"a":null,"b":[1,"é"]}'.encode()
