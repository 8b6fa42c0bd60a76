"""
What of the register says nothing about any event, and how the bus is run?

Where each partner's notifications go and whether now, what one person alone may not change, which secret is in use,
and whether people or made-up ones are on it. But for the last, no answer rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import Field

from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Moment, Whole, YesNo


class RegisteredDestination(FrozenModel):
    """
    Where one partner's notifications go. Whoever would send them elsewhere is refused.

    Attributes:
        transport: As in the file of destinations: `webhook`, `postgres`, `folder`.
        place: As `safebus deliver` names it: the address, the folder, or host, database and table; never a secret.
    """

    partner: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    transport: str = Field(min_length=1)
    place: str = Field(min_length=1)


class DeliveriesWord(FrozenModel):
    """
    What an operator last said of the deliveries to one partner.

    A pause is no suspension: the partner may have what is sent to it, only not now.

    Attributes:
        paused: Nothing is handed over; what comes is kept, for as long as its topic keeps it.
        until: From then on it is handed over by itself; None: until somebody resumes it.
        said_at: When. A later word has whatever waits tried at once.
        paused_since: Paused: since when without a break, where an earlier word began that; None: since this one.
    """

    partner: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    paused: YesNo
    until: Moment | None = None
    said_at: Moment
    paused_since: Moment | None = None

    @property
    def began(self) -> datetime:
        """When that which it says began: the second word of two that pause changes how long it is, not since when."""
        return self.paused_since or self.said_at

    def pauses(self, now: datetime) -> bool:
        """Nothing is handed over at this time."""
        return self.paused and (self.until is None or now < self.until)


class TwoPersons(FrozenModel):
    """
    What counts only when a second person asks for the same.

    Attributes:
        kinds: Of register entries, such as `agreement`, `partner`, `destination`. This one is always among them.
    """

    kinds: tuple[str, ...] = Field(min_length=1)


TWO_PERSONS = "two_persons"


class People(FrozenModel):
    """
    Whom this bus is about.

    Attributes:
        are: `real`: identifiers of ranges that were never issued to anybody stand for nobody, neither in the register
            nor in an event. `invented`: they are what one tries with, as on a bus that says nothing.
    """

    are: Literal["real", "invented"]


PEOPLE: Final = "people_here"


class TokenKey(FrozenModel):
    """
    From this record on tokens are written under the next generation of the bus's secret (`schemas.keys`).

    Attributes:
        fingerprint, digest_fingerprint: Of that generation; whoever holds another does not go on.
    """

    generation: Whole = Field(ge=2, le=999)
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")
    digest_fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")


TOKEN_KEY = "token_key"  # noqa: S105  # the kind of an entry

#: An event that was published before the switch, by a publisher whose clock is that much ahead, and comes again after
#: it, has the ids that it had.
IDS_FOLLOW_AFTER: Final = timedelta(days=1)


def needing_two(kinds: Iterable[str], standing: TwoPersons | None) -> list[str]:
    """Those of these kinds that one person alone may not change, as the register stands."""
    asked = set() if standing is None else {*standing.kinds, TWO_PERSONS}
    return sorted(asked & set(kinds))
