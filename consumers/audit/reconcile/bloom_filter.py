"""
Was this event perhaps decided before?

A Bloom filter: 8 MB whatever the span. It never forgets one it was told; it may take a new one for known (1 in 50 000
at a million events, 1 in 400 at five million), and then a second look at the decisions tells.

Source: B. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

_BITS = 2**26
_PROBES = 6


class BloomFilter:
    """Ids, remembered in a fixed space."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def again(self, *id: str) -> bool:
        """Remember an id; was it, perhaps, here before?"""
        known = True
        for bit in _bits_of("\x1f".join(id)):
            mask = 1 << (bit & 7)
            if not self._bits[bit >> 3] & mask:
                known = False
                self._bits[bit >> 3] |= mask
        return known


def _bits_of(text: str) -> Iterator[int]:
    found = hashlib.blake2b(text.encode(), digest_size=4 * _PROBES).digest()
    return (int.from_bytes(found[i : i + 4]) % _BITS for i in range(0, len(found), 4))
