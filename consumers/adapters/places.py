"""
How does a receipt say where something went, so that nobody reads the place from it?

Places stand in the register, for those who may read it; a receipt has the keyed digest, which proves sameness alone.
"""

from __future__ import annotations

from safebus.schemas.keys import DigestKey


def place_digests(transport: str, place: str, key: DigestKey) -> tuple[str, ...]:
    """
    The digests of a destination, as the register names it, under each generation of the key that is held.

    The last is the one to write.
    """
    return key.digests_of(f"{transport}\n{place}".encode())
