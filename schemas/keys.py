"""
What stands for a person, and what proves bytes, to whoever does not have the key?

One secret for a bus, of which each use has a key of its own that tells nothing of the others (HKDF, RFC 5869):

    PersonKey    tokens, likenesses and ids of persons, decisions, notifications   who decides, registers, replays
    DigestKey    digests of bytes, and the dress of tokens                         who delivers, who counts

Whoever delivers compares bytes and never looks for a person, so it holds nothing under which all NHS numbers could be
tried.

The secret can be followed by another, and that by a third: its *generations*. In memory a person has one token for
ever, made with the first. What is written down under a later one is that token in a dress (`schemas.dress`), which
whoever holds the later secret takes off again; whoever has only the first cannot try numbers against it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from safebus.schemas.dress import Dress, generation_of, is_token, marked, read_mark
from safebus.schemas.errors import BadIdentifier, SecretNotHeld
from safebus.schemas.identifiers import joined

#: Of every secret of the bus, and of what is derived from one.
KEY_BYTES = 32


@dataclass(frozen=True)
class _Secrets:
    """The generations of a secret that are held, and the one that is acted under."""

    NAME: ClassVar[str]
    secret: bytes
    later: tuple[bytes, ...] = ()
    generation: int = 1
    _each: dict[int, Self] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        for secret in (self.secret, *self.later):
            if len(secret) < KEY_BYTES:
                raise BadIdentifier(f"the {self.NAME} has {len(secret)} bytes; at least {KEY_BYTES} are needed")
        if not 1 <= self.generation <= self.newest:
            raise SecretNotHeld(
                f"generation {self.generation} of the bus's secret is not here, only those up to {self.newest}; "
                "`safebus keys export`, where the bus's keys are, gives each process those of its role"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(▮)"

    @property
    def newest(self) -> int:
        """The last generation that is held; it need not be in use yet."""
        return 1 + len(self.later)

    def of(self, generation: int) -> Self:
        """
        The same, acting under this generation.

        Raises:
            SecretNotHeld: It is not held here.
        """
        if generation == self.generation:
            return self
        if generation not in self._each:
            self._each[generation] = replace(self, generation=generation)
        return self._each[generation]

    @cached_property
    def fingerprint(self) -> str:
        """Which key it is, for whoever may know that and nothing else. 16 hex digits."""
        return _derived(self._own, "fingerprint").hex()[:16]

    @cached_property
    def fingerprints(self) -> Mapping[str, int]:
        """Fingerprint -> generation, of all that are held."""
        return {self.of(each).fingerprint: each for each in range(1, self.newest + 1)}

    @property
    def _own(self) -> bytes:
        return (self.secret, *self.later)[self.generation - 1]


@dataclass(frozen=True, repr=False)
class DigestKey(_Secrets):
    """
    The secret under which message bytes become digests, and tokens are dressed.

    Attributes:
        secret: Of the first generation, 32 bytes.
        later: Of those after it, in order.
        generation: The one that it writes under. It reads what was written under any.
    """

    NAME = "digest key"

    def under(self, written: str) -> DigestKey:
        """The same, writing under the generation of this token or digest; errors as `of`."""
        return self.of(generation_of(written))

    def knows(self, written: str) -> bool:
        """Is the generation of this token or digest held here?"""
        return generation_of(written) <= self.newest

    def reads(self, token: str) -> bool:
        """Can its dress be taken off here? Whoever may write somewhere can write there what is no token."""
        generation, text = read_mark(token)
        return generation == 1 or (generation <= self.newest and is_token(text))

    def digest(self, data: bytes) -> str:
        """
        A keyed digest of message bytes: proves sameness, and cannot be used to guess a field. 64 hex digits.

        An unkeyed hash would let anyone who knows all fields but one try every value of that one.
        """
        return marked(hmac.digest(self._own, data, "sha256").hex(), self.generation)

    def agrees(self, digest: str | None, data: bytes) -> bool:
        """Is this the digest of these bytes, under whichever generation it was made?"""
        return digest is not None and self.knows(digest) and self.under(digest).digest(data) == digest

    def digests_of(self, data: bytes) -> tuple[str, ...]:
        """The digests of these bytes under each generation that is held."""
        return tuple(self.of(generation).digest(data) for generation in range(1, self.newest + 1))

    def dressed(self, token: str) -> str:
        """
        A token as it is written down under this generation: under the first as it is.

        Raises:
            BadIdentifier: It is neither 32 hex digits nor a UUID.
        """
        return token if self.generation == 1 else marked(self._dress.on(token), self.generation)

    def plain(self, written: str) -> str:
        """
        The token that was written down, whichever its dress.

        Raises:
            SecretNotHeld: Its generation is not held here.
            BadIdentifier: It is no token.
        """
        generation, text = read_mark(written)
        return written if generation == 1 else self.of(generation)._dress.off(text)

    @cached_property
    def _dress(self) -> Dress:
        return Dress(_derived(self._own, "dress"))


@dataclass(frozen=True, repr=False)
class PersonKey(_Secrets):
    """
    The secret under which identifiers become tokens. It belongs to the bus and never leaves it.

    Attributes:
        secret: Of the first generation, at least 32 bytes; all tokens are made with it.
        later: Of those after it, in order.
        generation: The one under which ids and digests are made, and tokens are dressed.
    """

    NAME = "person key"

    def token(self, scheme: str, value: str) -> str:
        """
        What stands for an identifier: 32 hex digits, useless without the secret, and the same for ever.

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

    def agrees(self, digest: str | None, data: bytes) -> bool:
        """As `digests` says."""
        return self.digests.agrees(digest, data)

    def dressed(self, token: str) -> str:
        """As `digests` gives it."""
        return self.digests.dressed(token)

    def plain(self, written: str) -> str:
        """As `digests` gives it."""
        return self.digests.plain(written)

    @cached_property
    def digests(self) -> DigestKey:
        """The key for those who only compare bytes."""
        first, *later = (_derived(each, "digest") for each in (self.secret, *self.later))
        return DigestKey(first, tuple(later), self.generation)

    @cached_property
    def _for_tokens(self) -> bytes:
        return _derived(self.secret, "token")

    @cached_property
    def _for_likenesses(self) -> bytes:
        return _derived(self.secret, "likeness")

    @cached_property
    def _for_ids(self) -> bytes:
        return _derived(self._own, "id")


def _derived(secret: bytes, use: str) -> bytes:
    """The key of one use. Source: RFC 5869, section 2.3; the secret is uniform, so it is not extracted first."""
    return HKDFExpand(SHA256(), KEY_BYTES, f"safebus {use}".encode()).derive(secret)
