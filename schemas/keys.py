"""
What stands for a person, and what proves bytes, to whoever does not have the key?

One secret for a bus, of which each use has a key of its own that tells nothing of the others (HKDF, RFC 5869):

    PersonKey    tokens, likenesses and ids of persons, decisions, notifications   who decides, registers, replays
    DigestKey    only digests of bytes                                             who delivers, who counts

Whoever delivers compares bytes and never looks for a person, so it holds nothing under which all NHS numbers could be
tried.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from safebus.schemas.errors import BadIdentifier
from safebus.schemas.identifiers import joined

#: Of every secret of the bus, and of what is derived from one.
KEY_BYTES = 32


@dataclass(frozen=True)
class DigestKey:
    """
    The secret under which message bytes become digests.

    Attributes:
        secret: 32 bytes.
    """

    secret: bytes

    def __post_init__(self) -> None:
        _check(self.secret, "digest key")

    def __repr__(self) -> str:
        return "DigestKey(▮)"

    def digest(self, data: bytes) -> str:
        """
        A keyed digest of message bytes: proves sameness, and cannot be used to guess a field. 64 hex digits.

        An unkeyed hash would let anyone who knows all fields but one try every value of that one.
        """
        return hmac.digest(self.secret, data, "sha256").hex()

    @cached_property
    def fingerprint(self) -> str:
        """Which key it is, for whoever may know that and nothing else. 16 hex digits."""
        return _derived(self.secret, "fingerprint").hex()[:16]


@dataclass(frozen=True)
class PersonKey:
    """
    The secret under which identifiers become tokens. It belongs to the bus and never leaves it.

    Attributes:
        secret: At least 32 bytes.
    """

    secret: bytes

    def __post_init__(self) -> None:
        _check(self.secret, "person key")

    def __repr__(self) -> str:
        return "PersonKey(▮)"

    def token(self, scheme: str, value: str) -> str:
        """
        What stands for an identifier outside: 32 hex digits, useless without the secret.

        Source: HMAC-SHA-256 (RFC 2104), cut to 128 bits.
        """
        return hmac.digest(self._for_tokens, f"{scheme}\x1f{value}".encode(), "sha256").hex()[:32]

    def likeness(self, kind: str, value: str) -> str:
        """
        What stands for something that many people have: a sound, a spelling. Made by the dozen, so it is made quickly.

        Source: BLAKE2b with a key (RFC 7693), 128 bits.
        """
        made = hashlib.blake2b(f"{kind}\x1f{value}".encode(), key=self._for_likenesses, digest_size=16)
        return made.hexdigest()

    def id(self, *parts: str) -> str:
        """
        An id that the same inputs always give, and that nobody else can work out.

        Whoever knew the id of what another partner is sent could write that it was handed over.

        Source: RFC 9562, UUID version 8, of HMAC-SHA-256.
        """
        made = bytearray(hmac.digest(self._for_ids, joined(*parts), "sha256")[:16])
        made[6], made[8] = made[6] & 0x0F | 0x80, made[8] & 0x3F | 0x80
        text = made.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def digest(self, data: bytes) -> str:
        """As `digests` gives it."""
        return self.digests.digest(data)

    @cached_property
    def digests(self) -> DigestKey:
        """The key for those who only compare bytes."""
        return DigestKey(_derived(self.secret, "digest"))

    @cached_property
    def fingerprint(self) -> str:
        """Which key it is, for whoever may know that and nothing else. 16 hex digits."""
        return _derived(self.secret, "fingerprint").hex()[:16]

    @cached_property
    def _for_tokens(self) -> bytes:
        return _derived(self.secret, "token")

    @cached_property
    def _for_likenesses(self) -> bytes:
        return _derived(self.secret, "likeness")

    @cached_property
    def _for_ids(self) -> bytes:
        return _derived(self.secret, "id")


def _check(secret: bytes, name: str) -> None:
    if len(secret) < KEY_BYTES:
        raise BadIdentifier(f"the {name} has {len(secret)} bytes; at least {KEY_BYTES} are needed")


def _derived(secret: bytes, use: str) -> bytes:
    """The key of one use. Source: RFC 5869, section 2.3; the secret is uniform, so it is not extracted first."""
    return HKDFExpand(SHA256(), KEY_BYTES, f"safebus {use}".encode()).derive(secret)
