"""
What do the rules ask of the register?

A handful of look-ups, each by key, and nothing of how the register is kept: in memory or in an index on disk, as of
now or as of an offset long ago. `streams.register.store` answers them; whatever else does must give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from safebus.streams.rules.agreements import Agreement, Flow
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning
from safebus.streams.rules.parties import Affiliation, Involvement, KnownPerson, Partner, Subscription


class Lookups(Protocol):
    """The register as of one offset, as the rules see it. What comes in a sequence always comes in the same order."""

    @property
    def offset(self) -> int:
        """Of the last record that counts; -1 before the first."""
        ...

    def partner(self, partner: str) -> Partner | None:
        """An organisation by its id."""
        ...

    def basis(self, code: str) -> Basis | None:
        """A basis of the catalogue by its code."""
        ...

    def event_rule(self, event_type: str) -> EventRule | None:
        """What the law asks of a type of event."""
        ...

    def agreement(self, agreement: str) -> Agreement | None:
        """An agreement as it stands."""
        ...

    def agreement_version(self, agreement: str, version: int) -> Agreement | None:
        """One version of an agreement, in force or not: what was sent under it stays readable."""
        ...

    def flows(self, event_type: str, sender: str, recipient: str) -> Sequence[tuple[Agreement, Flow]]:
        """Every flow for this type between these two, by agreement id and name."""
        ...

    def person(self, person_id: str) -> KnownPerson | None:
        """A person by id."""
        ...

    def persons_with(self, scheme: str, token: str) -> frozenset[str]:
        """Ids of the persons known by this token: none, one, or (a mistake in the register) several."""
        ...

    def involvements(self, person_id: str) -> Sequence[Involvement]:
        """Who has this person in its care."""
        ...

    def subscriptions(self, event_type: str) -> Sequence[Subscription]:
        """Who watches over this type of event."""
        ...

    def affiliations(self, person_id: str) -> Sequence[Affiliation]:
        """What this person works for or governs."""
        ...

    def consents(self, person_id: str, meaning: Meaning, purpose: str) -> Sequence[tuple[int, ConsentEntry]]:
        """(offset, entry) of everything that was decided about this person, meaning and purpose."""
        ...
