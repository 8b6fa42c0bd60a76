"""What does a fetched record look like, whichever client fetched it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class FetchedRecord(Protocol):
    """One record at its offset. A header name may be a mark, see `schemas.gate.Damaged`."""

    @property
    def offset(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
