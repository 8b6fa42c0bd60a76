"""
How are the keys of a home put into one sealed file, and brought back from it?

Making a backup opens it again, with every share, before anything is written. Bringing it back is one rename: all keys
are there, or none.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from safebus.deploy.service import key_files, key_pack, key_shares
from safebus.deploy.service.key_pack import Header, Pack
from safebus.deploy.service.key_shares import Share
from safebus.schemas.errors import BadInput


@dataclass(frozen=True)
class Backup:
    """
    What was made of the keys of a home.

    Attributes:
        data: The file.
        shares: One for each person.
    """

    header: Header
    data: bytes
    shares: tuple[Share, ...]


def keys_of(home: Path) -> dict[str, bytes]:
    """
    Every key of a home, by file.

    Raises:
        BadInput: There is none, one cannot be used, or two do not belong together.
    """
    keys = {path.name: key_files.read(home, path.name) for path in key_files.held(home)}
    if not keys:
        raise BadInput(f"`{home / 'keys'}` holds no key; SAFEBUS_HOME names the folder whose keys are meant")
    if key_files.SEAL in keys:
        key_files.seal_private(home)
    if key_files.PERSON in keys:
        key_files.digest_key(home)
    return keys


def make(home: Path, *, number: int, needed: int, now: datetime) -> Backup:
    """
    A backup of all keys of a home; nothing is written.

    Raises:
        BadInput: As `keys_of` and `key_shares.check_numbers`.
    """
    keys, secret = keys_of(home), secrets.token_bytes(key_shares.SECRET_BYTES)
    texts = key_shares.split(secret, number=number, needed=needed)
    shares = tuple(key_shares.read(text, named=f"share {at}") for at, text in enumerate(texts, 1))
    named = key_pack.Shares(begin=shares[0].begins, needed=needed, number=number)
    data = key_pack.seal(keys, secret=secret, shares=named, made=now.replace(microsecond=0))
    pack = key_pack.parse(data, named="the new backup")
    for first in range(number):
        some = [shares[(first + more) % number] for more in range(needed)]
        assert opened(pack, some) == keys, "a backup that does not open is none"
    return Backup(pack.header, data, shares)


def opened(pack: Pack, shares: Sequence[Share]) -> dict[str, bytes]:
    """
    The keys in a backup.

    Raises:
        BadInput: As `key_shares.together` and `Pack.open`.
    """
    of = pack.header.shares
    return pack.open(key_shares.together(shares, begin=of.begin, needed=of.needed))


def share_text(header: Header, share: Share) -> str:
    """What one person gets: which backup it belongs to, its number, how many are needed, and the words."""
    return (
        f"# safebus: a share of the backup of keys `{header.shares.begin}` of {header.made:%Y-%m-%d}\n"
        f"# share {share.number}; any {share.needed} open it. Show nobody these {key_shares.WORDS} words.\n"
        f"{key_shares.in_rows(share.words)}\n"
    )


def write_new(path: Path, data: bytes) -> None:
    """
    Write a new file that only its owner can read.

    Raises:
        BadInput: It is there already, or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be written: {exc.strerror}; name a new file") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        path.unlink()  # a part of a backup looks like one
        raise BadInput(f"`{path}` cannot be written: {exc.strerror}; nothing is left of it") from None


def check_new_folder(folder: Path) -> None:
    """
    May the shares be written into this folder?

    Raises:
        BadInput: Something stands in it, or others on this machine can look into it.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise BadInput(f"`{folder}` is there already and not an empty folder; name a new one for the shares")
    if folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"others on this machine can look into `{folder}`; `chmod 700 {folder}`")


def write_shares(folder: Path, backup: Backup) -> list[Path]:
    """Write each share into a file of its own; errors as `check_new_folder` and `write_new`."""
    check_new_folder(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = []
    for share in backup.shares:
        files.append(folder / f"share-{share.number}.txt")
        write_new(files[-1], share_text(backup.header, share).encode())
    return files


def read_share(path: Path) -> Share:
    """
    A share that was written into a file.

    Raises:
        BadInput: It cannot be read, or as `key_shares.read`.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        what = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise BadInput(f"share `{path}` cannot be read: {what}") from None
    return key_shares.read(text, named=f"`{path}`")


def check_restorable(home: Path, header: Header) -> bool:
    """
    May the keys of a backup be brought into this home?

    Returns:
        False: they are all there already.

    Raises:
        BadInput: Other keys stand there, or some of these.
    """
    there = {
        path.name: key_files.fingerprint(path.name, key_files.read(home, path.name)) for path in key_files.held(home)
    }
    if there and there != header.keys:
        others = sorted(name for name, mark in there.items() if header.keys.get(name) != mark)
        lacking = sorted(header.keys.keys() - there.keys())
        what = [f"{', '.join(others)} of another bus"] if others else []
        what += [f"not {', '.join(lacking)}"] if lacking else []
        raise BadInput(
            f"`{home / 'keys'}` has keys already, and {' and '.join(what)}: nothing was written. If the backup is what "
            "is meant, move that folder away and restore again"
        )
    return not there


def restore(home: Path, keys: dict[str, bytes]) -> None:
    """
    Write the keys of a backup into a home that has none: all or none.

    Raises:
        BadInput: The folder cannot be written, or somebody else wrote keys there meanwhile.
    """
    folder = home / "keys"
    draft = home / f".keys-{secrets.token_hex(8)}"
    with key_files.alone(folder):
        for left_over in home.glob(".keys-*"):  # of one that was killed: we hold the lock
            shutil.rmtree(left_over)
        try:
            draft.mkdir(mode=0o700)
            for name, secret in keys.items():
                write_new(draft / name, secret)
            _sync(draft)
            # The lock is held by what is open, not by its name; a folder is put only in the place of an empty one.
            (folder / key_files.LOCK).unlink()
            draft.rename(folder)
            _sync(home)
        except OSError as exc:
            raise BadInput(f"`{folder}` cannot be put in place: {exc.strerror}; nothing was written there") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
