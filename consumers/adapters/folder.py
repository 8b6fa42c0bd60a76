"""
How does a parcel reach a folder that a partner empties?

As one file, `<notification id>.json`, which is whole or not there: it is written as `.part`, brought to the disk,
and only then given its name. What the partner should know:

    - whoever the folder lets read does: its group where it is setgid, those that its default ACL names; else only us
    - `.*.part` is not for it; most collectors pass over a name with a full stop in front as they are
    - a file appears by a rename and has the time of that; the safe way to know what is new is by name
    - a file it has dealt with goes to `collected/` in the same folder, so that a repeat after a crash is recognised;
      where it is deleted instead, the same name can come a second time
    - a withdrawal of consent is `<notification id>.withdrawn.json`
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from safebus.consumers.adapters.adapter import ALREADY_THERE, Effect, Parcel, PartnerAnswer, Reply
from safebus.consumers.adapters.own_threads import NoAnswer, OwnThreads, Place

# Until 0.2.0 a part had no full stop in front.
_PART: Final = re.compile(r"\.?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.withdrawn)?\.json\.[0-9a-f]{16}\.part")
#: How long a part may lie there before another process takes it away; no write takes so long.
SWEEP_EVERY_S: Final = 60.0
#: Seconds for one step at the folder: one that is on a server that is gone answers nothing, for ever.
WITHIN_S: Final = 20.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_CLOSED_TO_US: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)
#: A rename that says so has not been done.
_NOT_NAMED: Final = (*_FULL, *_CLOSED_TO_US, errno.EXDEV, errno.EISDIR, errno.EINVAL, errno.ENAMETOOLONG)
#: It cannot be brought to the disk by us: the file system does not know how (SMB, FUSE), or we may not list the folder.
_CANNOT_SYNC: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)
# A link or a device where our file should be was put there by someone; O_NONBLOCK, so that a pipe does not hold us.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_OURS: Final = 0o600
_DEFAULT_ACL: Final = "system.posix_acl_default"
_WRITTEN: Final = PartnerAnswer(Reply.ACCEPTED, "written")


class FolderAdapter:
    """
    Delivers to one partner's folder. The folder is the partner's: it is never made here.

    Args:
        within_s: Seconds for one step at the folder.
    """

    transport: str = "folder"

    def __init__(self, folder: Path, *, seconds: Callable[[], float] = time.time, within_s: float = WITHIN_S) -> None:
        self._folder, self._seconds = folder, seconds
        self._threads = OwnThreads(within_s=within_s)
        self._swept_at: float | None = None

    async def open(self) -> None:
        """Remove what a crash left half written: it is about a person, and nobody may come back for it."""
        with suppress(NoAnswer):  # the first attempt says so
            await self._threads.run(_remove_parts, self._folder, _PART)
            self._swept_at = self._seconds()

    async def close(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[Effect | PartnerAnswer]:
        """The file is there under a name that is not for the partner; see `adapter.Adapter.prepare`."""
        async with AsyncExitStack() as stack:
            try:
                # Kept until the end: the effect must not have to wait for a thread.
                place = await stack.enter_async_context(self._threads.place())
                ready = await place.run(self._written_or_answered, file_name(parcel), parcel.json_bytes())
            except NoAnswer:
                ready = PartnerAnswer(Reply.BUSY, "folder_does_not_answer")
            if isinstance(ready, PartnerAnswer):
                yield ready
                return
            part = _Part(self._folder, ready, file_name(parcel), parcel.json_bytes(), place)
            stack.push_async_callback(part.remove)
            yield part.name_it

    def _written_or_answered(self, name: str, content: bytes) -> Path | PartnerAnswer:
        self._sweep(name)
        try:
            there = _there(self._folder, name, content)
            return _write_part(self._folder, name, content) if there is None else there
        except OSError as error:
            return _failed(error, self._folder)

    def _sweep(self, name: str) -> None:
        """
        Remove what another process left when it was killed while we went on.

        Not every time: it lists the folder, and a partner may leave tens of thousands of files there.
        """
        now = self._seconds()
        if self._swept_at is None:
            _remove_parts(self._folder, re.compile(r"\.?" + re.escape(name) + r"\.[0-9a-f]{16}\.part"))
        elif now - self._swept_at >= SWEEP_EVERY_S:
            _remove_parts(self._folder, _PART, not_after=now - SWEEP_EVERY_S)
        else:
            return
        self._swept_at = now


class _Part:
    """A file that has no name yet."""

    def __init__(self, folder: Path, part: Path, name: str, content: bytes, place: Place) -> None:
        self._folder, self._part, self._name, self._content, self._place = folder, part, name, content, place
        self._named = False

    async def name_it(self) -> PartnerAnswer:
        """Give it its name."""
        self._named = True
        try:
            return await self._place.run(_named, self._folder, self._part, self._name, self._content)
        except NoAnswer:
            return PartnerAnswer(Reply.UNKNOWN, "folder_does_not_answer")

    async def remove(self) -> None:
        """Take it away, if it was given no name."""
        if not self._named:
            with suppress(NoAnswer):
                await self._place.run(_remove, self._part)


def file_name(parcel: Parcel) -> str:
    """What the file is called. A Parcel's id is a UUID, so no path can be built from it."""
    return parcel.notification_id + (".json" if parcel.kind == "notification" else ".withdrawn.json")


def _there(folder: Path, name: str, content: bytes) -> PartnerAnswer | None:
    """The answer where a file of this name is there already; None: it is not."""
    # In this order: a file that is moved between the two looks is then seen in the second.
    for place in (folder, folder / "collected"):
        try:
            same = _holds(place / name, content)
        except PermissionError:
            if place is folder:
                raise
            same = None  # a repeat is not recognised then, as where it is deleted; a new one need not wait for that
        if same:
            _to_disk(folder)  # we may have crashed between giving the name and this
            return PartnerAnswer(Reply.ACCEPTED, ALREADY_THERE)
        if same is False:
            return PartnerAnswer(Reply.OTHER_CONTENT, "other_content")
    return None


def _named(folder: Path, part: Path, name: str, content: bytes) -> PartnerAnswer:
    """Give a part its name; from then on it is the partner's."""
    with suppress(OSError):  # it may have waited: whoever lists by time passes over what is older than the last it saw
        os.utime(part)
    try:
        part.rename(folder / name)
    except OSError as error:
        # A share asks again by itself when its answer was lost, and then says that there is no such part any more. Or
        # it gives up, whether its server has done it or not.
        with suppress(OSError):
            if _holds(folder / name, content):
                return _WRITTEN
        _remove(part)
        return _failed(error, folder) if error.errno in _NOT_NAMED else PartnerAnswer(Reply.UNKNOWN, _code(error))
    try:
        _to_disk(folder)
    except OSError as error:  # it has its name, and may lose it again when the machine is cut off now
        return PartnerAnswer(Reply.UNKNOWN, _code(error))
    return _WRITTEN


def _holds(place: Path, content: bytes) -> bool | None:
    """Whether this file is there with exactly this content; None if it is not there."""
    try:
        handle = os.open(place, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            return False
        raise
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size != len(content):
            return False
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read() == content
    finally:
        os.close(handle)


def _write_part(folder: Path, name: str, content: bytes) -> Path:
    # Its own name each time: two writers of one `.part` could give a file its name while the other is half way.
    part = folder / f".{name}.{secrets.token_hex(8)}.part"
    mode = _mode(folder)
    try:
        with os.fdopen(os.open(part, _WRITE, mode), "wb") as file:
            if mode != _OURS:
                with suppress(OSError):  # a file system without modes: it is as it was opened
                    os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            _sync(file.fileno())
    except BaseException:
        _remove(part)
        raise
    return part


def _mode(folder: Path) -> int:
    """Nobody else reads it, unless the folder says who does: by its group (setgid) or by a default ACL."""
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_ISGID or os.getxattr(folder, _DEFAULT_ACL):
            return 0o640
    return _OURS


def _to_disk(folder: Path) -> None:
    """A name is on the disk only when its folder is; where that cannot be asked for, it comes there in time."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _CANNOT_SYNC:
            return
        raise
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink()


def _remove_parts(folder: Path, ours: re.Pattern[str], *, not_after: float = float("inf")) -> None:
    """Remove those that were last written to before a time; a younger one may be another process's, under way."""
    with suppress(OSError):  # an attempt finds the same trouble, and has an answer to give
        for entry in list(os.scandir(folder)):
            if ours.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime <= not_after:
                os.unlink(entry.path)


def _failed(error: OSError, folder: Path) -> PartnerAnswer:
    if error.errno in _FULL:
        return PartnerAnswer(Reply.BUSY, "disk_full")
    if error.errno == errno.ENOENT and folder.is_dir():  # the folder is there: our `.part` was taken away
        return PartnerAnswer(Reply.BUSY, "part_taken_away")
    return PartnerAnswer(Reply.NOT_LET_IN if error.errno in _CLOSED_TO_US else Reply.BUSY, _code(error))


def _code(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown_error").lower()
