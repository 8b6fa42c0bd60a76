"""
How does a receipt say where something went, so that nobody reads the place from it?

Places stand in the register, for those who may read it; a receipt has the keyed digest, which proves sameness alone.
"""

from __future__ import annotations

from safebus.schemas.keys import DigestKey


def place_digest(transport: str, place: str, key: DigestKey) -> str:
    """
    The digest of a destination, as the register names it, under the generation that this key acts under.

    That has to be the one in use: whoever looks holds it, and need not hold the next.
    """
    return key.digest(_named(transport, place))


def place_digests(transport: str, place: str, key: DigestKey) -> tuple[str, ...]:
    """The same under each generation that is held, to compare with."""
    return key.digests_of(_named(transport, place))


def _named(transport: str, place: str) -> bytes:
    return f"{transport}\n{place}".encode()
