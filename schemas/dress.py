"""
How is a token written down under a secret that followed another, and how is it known again?

    2.38908d9eb56a0bd648c9bae793e04284      the generation of the secret, and the token in a dress

The dress is a permutation of all tokens, so two are one exactly where they were; whoever has the secret takes it off.
"""

from __future__ import annotations

import re
from functools import cached_property

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from safebus.schemas.errors import BadIdentifier

_MARKED = re.compile(r"([2-9]|[1-9][0-9]{1,2})\.(.+)", re.DOTALL)
_TOKEN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def marked(text: str, generation: int) -> str:
    """A token or a digest with the generation of the secret it was made under; the first says nothing."""
    return text if generation == 1 else f"{generation}.{text}"


def read_mark(written: str) -> tuple[int, str]:
    """(generation, what stands after it) of a token or a digest."""
    found = _MARKED.fullmatch(written)
    return (int(found[1]), found[2]) if found else (1, written)


def generation_of(written: str) -> int:
    """Under which generation of the bus's secret a token or a digest was written, as it says itself."""
    return read_mark(written)[0]


def is_token(text: str) -> bool:
    """Has it the form of a token, or of a UUID?"""
    return _TOKEN.fullmatch(text) is not None


class Dress:
    """
    One dress for all tokens.

    Args:
        key: 32 bytes.

    Source: one block of AES-256 (FIPS 197).
    """

    def __init__(self, key: bytes) -> None:
        # One block is all there ever is, so no mode joins several: two equal tokens are to be equal.
        self._cipher = Cipher(AES256(key), ECB())  # noqa: S305

    def on(self, token: str) -> str:
        """
        Put it on; 32 hex digits stay that, and a UUID stays one.

        Raises:
            BadIdentifier: It is neither.
        """
        return _through(self._putting_on, token)

    def off(self, dressed: str) -> str:
        """Take it off; raises as `on`."""
        return _through(self._taking_off, dressed)

    @cached_property
    def _putting_on(self) -> CipherContext:
        return self._cipher.encryptor()

    @cached_property
    def _taking_off(self) -> CipherContext:
        return self._cipher.decryptor()


def _through(cipher: CipherContext, token: str) -> str:
    if not is_token(token):
        raise BadIdentifier("what stands for a person has 32 hex digits, or is a UUID; this is neither")
    made = cipher.update(bytes.fromhex(token.replace("-", ""))).hex()
    return "-".join((made[:8], made[8:12], made[12:16], made[16:20], made[20:])) if "-" in token else made
