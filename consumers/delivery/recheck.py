"""
What must an adapter ask before it hands anything over?

Consumers never import the rules: whoever starts an adapter (`deploy`) hands it something that answers these questions
from the register as of now.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from safebus.schemas.bus_records import Notification, Reason


class Word(NamedTuple):
    """What an operator last said of the deliveries to a partner. `paused`: nothing is to be handed over now."""

    said_at: datetime
    paused: bool


class Recheck(Protocol):
    """The register, as an adapter needs it."""

    async def refresh(self) -> int:
        """
        Wait until everything acknowledged before this call counts.

        Returns:
            The register offset that counts now.

        Raises:
            NotReachable: The register cannot be read to its end; nothing may be handed over.
        """
        ...

    def why_not(self, notification: Notification, now: datetime) -> Reason | None:
        """Why a notification may no longer be handed over; None: it may."""
        ...

    def view(self, notification: Notification) -> dict[str, Any] | None:
        """The released fields as plain values; None: the agreement it was made under is not known here."""
        ...

    def word(self, partner: str, now: datetime) -> Word | None:
        """What an operator last said of the deliveries to this partner; None: nothing."""
        ...

    def consent_ended(self, *, person: str, meaning: str, purpose: str, partner: str, now: datetime) -> str | None:
        """
        How the consent a delivery stood on ended (`withdrawn`, `revoked`).

        Returns:
            None: it did not, or the partner must not hear of the person any more.
        """
        ...
