"""
With which secrets does a webhook sign, and how is one followed by another?

They stand in a file of their own, one a line, the newest first, and all of them sign. So nothing is refused while a
partner changes, which it does at its own time:

    begin     a new one stands before the one there was: both sign
    finish    only the new one stays
    undo      the new one is taken out again

A file is replaced whole, in one step: who reads it meanwhile has all of the one or all of the other.

Source: Standard Webhooks 1.0.0, "Signature scheme" (several signatures, zero downtime rotation).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from safebus.schemas.errors import BadInput
from safebus.schemas.plain_text import text_of

#: Bytes of a new one. Standard Webhooks asks for 24 to 64.
NEW_BYTES: Final = 32


def check(secret: str, *, number: int = 1) -> None:
    """
    Can it sign?

    Raises:
        BadInput: It cannot; says which line it is, and never what stands there.
    """
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise BadInput(f"webhook secret {number} is not `whsec_` and 24 to 64 bytes in base64; ask the partner again")


def new(chance: Callable[[int], bytes]) -> str:
    """
    One that nobody has.

    Args:
        chance: So many bytes that nobody can guess, such as `secrets.token_bytes`.
    """
    return "whsec_" + base64.b64encode(chance(NEW_BYTES)).decode()


def mark(secret: str) -> str:
    """
    Which secret it is, to whoever has it, and nothing else about it: 12 hex digits.

    A partner has the same by `printf %s "$SECRET" | sha256sum | cut -c1-12`.
    """
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def read(path: Path) -> tuple[str, ...]:
    """
    Those that sign, the newest first.

    Raises:
        BadInput: The file cannot be read, or one of them cannot sign.
    """
    found = tuple(text_of(path).split())
    if not found:
        raise BadInput(f"`{path}` has no secret; expected `whsec_...`, one a line, the newest first")
    for number, secret in enumerate(found, start=1):
        check(secret, number=number)
    return found


@contextmanager
def replacing(path: Path, held: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[Path, Callable[[], None]]]:
    """
    A draft of the file beside it, and what puts it in its place; where that is not called nothing has changed.

    Args:
        held: What was read; where something else stands there by then, it stays.

    Raises:
        BadInput: It cannot be written so that whoever reads the file now can read it then.
    """
    real = path.resolve()  # where it is a link, the link stays
    draft = real.with_name(f".{real.name}.{secrets.token_hex(8)}")
    try:
        _write(draft, wanted, like=os.stat(real))
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be replaced: {exc.strerror}; do it as who owns it, where it stands") from None

    def put() -> None:
        if tuple(text_of(path).split()) != tuple(held):
            raise BadInput(f"`{path}` has changed since it was read; look at it, and run this again")
        try:
            os.replace(draft, real)
            _bring_to_disk(real.parent)
        except OSError as exc:  # as where a container has the one file and not its folder
            raise BadInput(f"`{path}` cannot be replaced: {exc.strerror}; do it where it is made") from None

    try:
        yield draft, put
    finally:
        draft.unlink(missing_ok=True)


def _write(draft: Path, wanted: Sequence[str], *, like: os.stat_result) -> None:
    """As its owner has it and as its owner lets others read it: the process that delivers may be another's."""
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(f"{secret}\n" for secret in wanted)
            file.flush()
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.fstat(handle).st_gid):
                os.fchown(handle, like.st_uid, like.st_gid)
            os.fchmod(handle, stat.S_IMODE(like.st_mode))
            os.fsync(handle)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _bring_to_disk(folder: Path) -> None:
    with suppress(OSError):  # not every file system can, nor may we everywhere; it is in its place all the same
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
