"""
What do the rules ask of the register?

A handful of look-ups, each by key, and nothing of how the register is kept: in memory or in an index on disk, as of
now or as of an offset long ago. `streams.register.store` answers them; whatever else does must give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from safebus.streams.rules.agreements import Agreement, Flow
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning
from safebus.streams.rules.parties import (
    Affiliation,
    Danger,
    Involvement,
    KnownPerson,
    MaySpeakFor,
    Partner,
    Subscription,
)


class Lookups(Protocol):
    """The register as of one offset, as the rules see it. What comes in a sequence always comes in the same order."""

    @property
    def offset(self) -> int:
        """Of the last record that counts; -1 before the first."""
        ...

    @property
    def generation(self) -> int:
        """The generation of the bus's secret under which is decided (`schemas.keys`)."""
        ...

    @property
    def real_people(self) -> bool:
        """This bus is about real people: what stands for nobody is no identifier (`identifiers.for_trying_only`)."""
        ...

    def generation_for_ids(self, published_at: datetime) -> int:
        """The generation that gives the decisions about an event of that time, and their notifications, their ids."""
        ...

    def partner(self, partner: str) -> Partner | None:
        """An organisation by its id."""
        ...

    def all_partners(self) -> Iterable[Partner]:
        """Every organisation there is. Only for what is rare: the others are found by key."""
        ...

    def basis(self, code: str) -> Basis | None:
        """A basis of the catalogue by its code."""
        ...

    def event_rule(self, event_type: str) -> EventRule | None:
        """What the law asks of a type of event."""
        ...

    def agreement(self, agreement: str, on: date) -> Agreement | None:
        """The version of an agreement that answers for it on that day (`agreements.speaking`)."""
        ...

    def agreement_version(self, agreement: str, version: int) -> Agreement | None:
        """One version of an agreement, in force or not: what was sent under it stays readable."""
        ...

    def flows(self, event_type: str, sender: str, recipient: str, on: date) -> Sequence[tuple[Agreement, Flow]]:
        """Every flow for this type between these two in what governs on that day, by agreement id and name."""
        ...

    def duties(self, event_type: str, sender: str, on: date) -> Sequence[Flow]:
        """The flows of agreements in force by which this sender must tell somebody of this type."""
        ...

    def person(self, person_id: str) -> KnownPerson | None:
        """A person by id."""
        ...

    def persons_with(self, scheme: str, token: str) -> frozenset[str]:
        """Ids of the persons known by this token: none, one, or (a mistake in the register) several."""
        ...

    def persons_born_as(self, confirm: Mapping[str, str]) -> frozenset[str]:
        """Ids of all persons with the same tokens of family name and date of birth; nobody, if either is missing."""
        ...

    def affiliated_alike(self, tokens: Iterable[str]) -> Sequence[KnownPerson]:
        """Persons who work for or govern somebody and have one of these tokens of a name or a date, by id."""
        ...

    def noted_alike(self, tokens: Iterable[str]) -> Sequence[KnownPerson]:
        """The same of persons who are restricted, adopted, a danger or in danger, or may speak for somebody."""
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

    def dangers(self, person_id: str) -> Sequence[Danger]:
        """Who is a danger to this person."""
        ...

    def endangers(self, person_id: str) -> Sequence[Danger]:
        """To whom this person is a danger."""
        ...

    def may_speak_for(self, person_id: str) -> Sequence[MaySpeakFor]:
        """Who may agree, refuse and take back for this person."""
        ...

    def consents(self, person_id: str, meaning: Meaning, purpose: str) -> Sequence[tuple[int, ConsentEntry]]:
        """(offset, entry) of everything that was decided about this person, meaning and purpose."""
        ...
