"""
What stands in a backup of keys, and is it whole and unchanged?

A file of four lines, that only the secret opens which its shares give (`key_shares`):

    safebus keys backup 1                    what it is; another version has another number
    {"made": ..., "keys": ..., "shares": ...}   when, which keys by fingerprint, and of which shares how many are needed
    ...                                      nonce and sealed keys, base64
    sha256:...                               of the lines above: damage is known before anybody brings a share

Source: AES-256-GCM (NIST SP 800-38D) under a secret of its own, with the first two lines as associated data.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, ValidationError

from safebus.deploy.service import key_files
from safebus.schemas.errors import BadInput
from safebus.schemas.plain_types import Moment, Whole

_FIRST: Final = "safebus keys backup"
_VERSION: Final = 1
_NONCE_BYTES: Final = 12
_MOST_BYTES: Final = 1_000_000

#: A name that a folder of keys may have in it, and that leads to no other folder.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}\.(key|pub)")


class Shares(BaseModel):
    """
    Attributes:
        begin: The two words with which each of them begins.
        needed, number: How many open it, and how many were made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    begin: str
    needed: Whole
    number: Whole


class Header(BaseModel):
    """
    What a backup says of itself to whoever has it.

    Attributes:
        keys: Each file and its fingerprint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    made: Moment
    keys: dict[str, str]
    shares: Shares

    @property
    def about(self) -> tuple[str, ...]:
        """How it is named on record: which backup, and which keys, by fingerprint."""
        return (f"backup {self.shares.begin}", *(f"{name} {mark}" for name, mark in self.keys.items()))


@dataclass(frozen=True)
class Pack:
    """
    A backup that has not been opened.

    Attributes:
        named: The file.
        head: Its first two lines, which the seal binds.
    """

    named: str
    header: Header
    head: bytes
    sealed: bytes

    def open(self, secret: bytes) -> dict[str, bytes]:
        """
        The keys, by file.

        Raises:
            BadInput: The secret is of another backup, or somebody changed the file.
        """
        try:
            plain = AESGCM(secret).decrypt(self.sealed[:_NONCE_BYTES], self.sealed[_NONCE_BYTES:], self.head)
        except InvalidTag:
            raise BadInput(
                f"`{self.named}` does not open with these shares: somebody changed it, or they are of another backup; "
                "take another copy of the file, and if that does not open either, other shares"
            ) from None
        keys = {name: bytes.fromhex(secret) for name, secret in json.loads(plain).items()}
        if {name: key_files.fingerprint(name, secret) for name, secret in keys.items()} != self.header.keys:
            raise BadInput(f"`{self.named}` holds other keys than it says; whoever made it did so with other software")
        return keys


def fingerprints(keys: Mapping[str, bytes]) -> dict[str, str]:
    """Each file and the fingerprint of its key."""
    return {name: key_files.fingerprint(name, secret) for name, secret in sorted(keys.items())}


def seal(keys: Mapping[str, bytes], *, secret: bytes, shares: Shares, made: datetime) -> bytes:
    """The file that holds these keys."""
    header = Header(made=made, keys=fingerprints(keys), shares=shares)
    head = f"{_FIRST} {_VERSION}\n{header.model_dump_json()}\n".encode()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = json.dumps({name: secret.hex() for name, secret in sorted(keys.items())}).encode()
    above = head + base64.b64encode(nonce + AESGCM(secret).encrypt(nonce, plain, head)) + b"\n"
    return above + _checksum(above) + b"\n"


def _checksum(above: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(above).hexdigest()}".encode()


def read(path: Path) -> Pack:
    """
    Read a backup; no share is needed to know that it is whole.

    Raises:
        BadInput: It cannot be read, is none, is of another version, or is damaged.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError as exc:
        raise BadInput(f"`{path}` cannot be read: {exc.strerror}") from None
    return parse(data, named=str(path))


def parse(data: bytes, *, named: str) -> Pack:
    """A backup of its bytes; errors as `read`."""
    first = data.split(b"\n", 1)[0].decode("ascii", "replace")
    if not first.startswith(_FIRST):
        raise BadInput(f"`{named}` is no backup of keys, or its beginning is damaged; one begins with `{_FIRST}`")
    above, _, last = data.removesuffix(b"\n").rpartition(b"\n")
    if last != _checksum(above + b"\n"):
        raise BadInput(f"`{named}` is damaged or not whole: its checksum does not hold; take another copy of it")
    if first != f"{_FIRST} {_VERSION}":
        raise BadInput(f"`{named}` is of another version, `{first[:40]}`; this safebus reads `{_FIRST} {_VERSION}`")
    try:
        line, packed = above.split(b"\n")[1:]
        header = Header.model_validate_json(line)
        sealed = base64.b64decode(packed, validate=True)
        if base64.b64encode(sealed) != packed:  # the last sign may say more than it needs to
            raise ValueError
    except (ValueError, ValidationError, binascii.Error):
        raise BadInput(f"`{named}` is not as `safebus keys backup` writes it; take another copy of it") from None
    odd = [name for name in header.keys if not _NAME.fullmatch(name)]
    if odd:
        raise BadInput(f"`{named}` names a file that is no key, `{odd[0][:40]}`; `safebus keys backup` writes none so")
    return Pack(named, header, b"\n".join((first.encode(), line, b"")), sealed)
