"""
Was it agreed to, by whom, for what, and does it still hold?

Three different things are called consent, and one never stands in for another:
    data_protection     consent under UK GDPR Art 6(1)(a); rarely right in child safeguarding
    service_agreement   agreement to a service or to being told about, as Housing Act 1996 s.213AA asks
    treatment           consent to treatment; never a reason to share
The newest decision wins (rule R28; FHIR leaves this open). Unknown is no.
States and their names: W3C DPV 2.3, ConsentStatus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime

from safebus.schemas.frozen_model import FrozenModel


class Meaning(StrEnum):
    """What was agreed to."""

    DATA_PROTECTION = "data_protection"
    SERVICE_AGREEMENT = "service_agreement"
    TREATMENT = "treatment"


class State(StrEnum):
    """Where a consent stands. WITHDRAWN: by the person; REVOKED: by someone else."""

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    DEFERRED = "deferred"
    GIVEN = "given"
    RENEWED = "renewed"
    REFUSED = "refused"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"


HOLDS = frozenset({State.GIVEN, State.RENEWED})
OBJECTS = frozenset({State.REFUSED, State.WITHDRAWN})

_ASKED = frozenset({State.REQUESTED, State.DEFERRED, State.GIVEN, State.REFUSED})
#: What may follow what. A withdrawal takes back something given, so nothing else may precede it.
NEXT: dict[State, frozenset[State]] = {
    State.UNKNOWN: _ASKED,
    State.REQUESTED: _ASKED,
    State.DEFERRED: _ASKED,
    State.GIVEN: frozenset({State.RENEWED, State.WITHDRAWN, State.REVOKED, State.INVALIDATED, State.EXPIRED}),
    State.RENEWED: frozenset({State.RENEWED, State.WITHDRAWN, State.REVOKED, State.INVALIDATED, State.EXPIRED}),
    State.REFUSED: frozenset({State.REQUESTED, State.GIVEN}),
    State.EXPIRED: frozenset({State.REQUESTED, State.RENEWED, State.GIVEN, State.REFUSED}),
    State.INVALIDATED: _ASKED,
    State.REVOKED: _ASKED,
    State.WITHDRAWN: frozenset({State.REQUESTED, State.GIVEN, State.REFUSED}),
}


class ConsentEntry(FrozenModel):
    """
    One decision about sharing, as someone took it down.

    Attributes:
        recipients: Partner ids it covers; empty: every partner with the purpose.
        decided_at: When they said it, UTC; not when it was typed in.
        expressed_by: In which capacity: `subject`, `parent`, `young_person` ...; never a name.
    """

    person_id: str
    meaning: Meaning
    purpose: str
    state: State
    decided_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    recipients: tuple[str, ...] = ()
    expressed_by: str
    method: str


@dataclass(frozen=True)
class ConsentStanding:
    """
    Where a consent stands for one recipient.

    Attributes:
        offset: Register offset of the entry that decided; None when there is none.
    """

    state: State
    offset: int | None

    @property
    def holds(self) -> bool:
        """May a consent-gated event go?"""
        return self.state in HOLDS


def standing(entries: Sequence[tuple[int, ConsentEntry]], *, recipient: str, now: datetime) -> ConsentStanding:
    """
    Where does consent stand for this recipient at this time?

    Args:
        entries: (register offset, entry) of one person, meaning and purpose, in any order.
    """
    covering = [
        (offset, entry)
        for offset, entry in entries
        if (not entry.recipients or recipient in entry.recipients)
        # A yes that is dated ahead would outlast every withdrawal until its day. A no may come early.
        and not (entry.state in HOLDS and entry.decided_at > now)
    ]
    if not covering:
        return ConsentStanding(State.UNKNOWN, None)
    # Two decisions of the same instant: the one recorded later wins, as for any two others.
    offset, newest = max(covering, key=lambda pair: (pair[1].decided_at, pair[0]))
    if newest.state in HOLDS and newest.expires_at is not None and newest.expires_at <= now:
        return ConsentStanding(State.EXPIRED, offset)
    return ConsentStanding(newest.state, offset)


def may_follow(current: State, new: State) -> str | None:
    """Why `new` cannot follow `current`; None when it can."""
    if new in NEXT[current]:
        return None
    allowed = ", ".join(sorted(NEXT[current]))
    return f"a consent that is `{current}` cannot become `{new}`; from here it can become {allowed}"
