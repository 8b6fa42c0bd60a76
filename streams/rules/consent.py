"""
Was it agreed to, by whom, for what, and does it still hold?

Three different things are called consent, and one never stands in for another:
    data_protection     consent under UK GDPR Art 6(1)(a); rarely right in child safeguarding
    service_agreement   agreement to a service or to being told about, as Housing Act 1996 s.213AA asks
    treatment           consent to treatment; never a reason to share
The newest decision wins, and of two of the same instant the one that does not hold (rule R28; FHIR leaves this open).
Asking is no decision: it takes back neither a yes nor a no. Unknown is no.
States and their names: W3C DPV 2.3, ConsentStatus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from safebus.schemas.frozen_model import FrozenModel
from safebus.schemas.plain_types import Moment
from safebus.schemas.tokens import Token


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


class Capacity(StrEnum):
    """In which capacity someone agreed, refused or took back; if it was theirs to: `streams.rules.consent_voice`."""

    SUBJECT = "subject"
    PARENT = "parent"
    YOUNG_PERSON = "young_person"
    REPRESENTATIVE = "representative"
    COURT = "court"


HOLDS = frozenset({State.GIVEN, State.RENEWED})
OBJECTS = frozenset({State.REFUSED, State.WITHDRAWN})

#: Someone asked, or put off asking: nothing was decided, and what was decided before stands.
ASKING = frozenset({State.REQUESTED, State.DEFERRED})

_ASKED = ASKING | {State.GIVEN, State.REFUSED}
#: Asked again, someone may say no, and that is as good as a withdrawal.
_AFTER_YES = ASKING | {
    State.RENEWED,
    State.REFUSED,
    State.WITHDRAWN,
    State.REVOKED,
    State.INVALIDATED,
    State.EXPIRED,
}
#: What may follow what stands. A withdrawal takes back something given, so nothing else may precede it.
NEXT: dict[State, frozenset[State]] = {
    State.UNKNOWN: _ASKED,
    State.REQUESTED: _ASKED,
    State.DEFERRED: _ASKED,
    State.GIVEN: _AFTER_YES,
    State.RENEWED: _AFTER_YES,
    State.REFUSED: ASKING | {State.GIVEN},
    State.EXPIRED: _ASKED | {State.RENEWED},
    State.INVALIDATED: _ASKED,
    State.REVOKED: _ASKED,
    State.WITHDRAWN: _ASKED,
}


class ConsentEntry(FrozenModel):
    """
    One decision about sharing, as someone took it down.

    Attributes:
        recipients: Partner ids it covers; empty: every partner with the purpose.
        decided_at: When they said it, UTC; not when it was typed in.
        expressed_by: In which capacity, in words: what older records have, and what the person wrote down.
        capacity: The same as data; older records have it in `expressed_by` only.
        by: The person of the register who said it, where it is known which one.
    """

    person_id: Token
    meaning: Meaning
    purpose: str
    state: State
    decided_at: Moment
    expires_at: Moment | None = None
    recipients: tuple[str, ...] = ()
    expressed_by: str = ""
    method: str
    capacity: Capacity | None = None
    by: Token | None = None

    def spoken_as(self) -> Capacity | None:
        """In which capacity it was said; None: in none that anyone could speak in, or it is not on record."""
        if self.capacity is not None:
            return self.capacity
        word = "_".join(self.expressed_by.casefold().split())
        return Capacity(word) if word in set(Capacity) else None

    def state_at(self, now: datetime) -> State:
        """The state that was recorded, unless it was a yes that has run out."""
        run_out = self.expires_at is not None and self.expires_at <= now
        return State.EXPIRED if self.state in HOLDS and run_out else self.state


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
    said = [(offset, entry) for offset, entry in entries if not entry.recipients or recipient in entry.recipients]
    covering = [
        (entry.decided_at, entry.state_at(now), offset)
        for offset, entry in said
        # A yes that is dated ahead would outlast every withdrawal until its day. A no may come early.
        if not (entry.state in HOLDS and (entry.decided_at > now or _a_court_says_no(entry, said)))
    ]
    decided = [each for each in covering if each[1] not in ASKING]
    if not covering:
        return ConsentStanding(State.UNKNOWN, None)
    _, state, offset = max(decided or covering, key=_counts_before)
    return ConsentStanding(state, offset)


def _a_court_says_no(yes: ConsentEntry, said: Sequence[tuple[int, ConsentEntry]]) -> bool:
    """What a court has refused only a court can permit."""
    if yes.spoken_as() is Capacity.COURT:
        return False
    by_court = [e for _, e in said if e.spoken_as() is Capacity.COURT and e.state not in ASKING]
    last = max(by_court, key=lambda entry: entry.decided_at, default=None)
    return last is not None and last.state not in HOLDS


def _counts_before(said: tuple[datetime, State, int]) -> tuple[datetime, bool, bool, int]:
    # Of the same instant a no counts, whatever was recorded later; among those an objection, which R11 must show.
    decided_at, state, offset = said
    return decided_at, state not in HOLDS, state in OBJECTS, offset


def may_follow(current: State, new: State) -> str | None:
    """Why `new` cannot follow `current`; None when it can."""
    if new in NEXT[current]:
        return None
    allowed = ", ".join(sorted(NEXT[current]))
    return f"a consent that is `{current}` cannot become `{new}`; from here it can become {allowed}"
