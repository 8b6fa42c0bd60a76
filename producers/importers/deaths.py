"""
Does this record say that somebody is dead?

Values count, not their presence: `deceasedBoolean` may be `false`, and a death notification status may be `U`, removed.

    status 1 informal, 2 formal                 dead
    status U removed                            the death is taken back
    deceasedBoolean true, deceasedDateTime      dead, where there is no status
    deceasedBoolean false                       alive
    two of these that say opposite things       CONTRADICTION

Source: nhsconnect/Events-Management, pds_death_notification_1.md; CodeSystem CareConnect-DeathNotificationStatus-1,
version 1.1.0; Personal Demographics Service FHIR API, DeathNotificationStatus.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from safebus.producers.importers.outcome import ImportReason
from safebus.schemas.errors import Refused
from safebus.schemas.events import IdentityChange

DEATH_STATUSES = {"1": IdentityChange.DEATH, "2": IdentityChange.DEATH, "U": IdentityChange.DEATH_REMOVED}


@dataclass(frozen=True)
class Deceased:
    """
    What a record says of a death.

    Attributes:
        statuses: Codes of the death notification status.
        boolean: `deceasedBoolean`, as written.
        when: `deceasedDateTime`, as written.
    """

    statuses: Collection[str] = ()
    boolean: str | None = None
    when: str | None = None

    def by_status(self) -> IdentityChange | None:
        """
        What the status says, if it is one; None: there is none.

        Raises:
            Refused: BAD_VALUE or CONTRADICTION.
        """
        says_dead, says_alive = self._said()
        codes = set(self.statuses)
        if not codes:
            return None
        if len(codes) != 1 or not codes <= DEATH_STATUSES.keys():
            raise Refused(
                ImportReason.BAD_VALUE,
                f"`Patient.extension(deathNotificationStatus)`: expected one of {', '.join(DEATH_STATUSES)}",
            )
        change = DEATH_STATUSES[codes.pop()]
        if says_dead if change is IdentityChange.DEATH_REMOVED else says_alive:
            raise Refused(
                ImportReason.CONTRADICTION,
                "the death notification status and `Patient.deceased` say opposite things; chose neither",
            )
        return change

    def is_dead(self) -> bool:
        """
        Whether anything says that this person is dead.

        Raises:
            Refused: BAD_VALUE or CONTRADICTION.
        """
        return self.by_status() is IdentityChange.DEATH or self._said()[0]

    def _said(self) -> tuple[bool, bool]:
        if self.boolean not in (None, "true", "false"):
            raise Refused(ImportReason.BAD_VALUE, "`Patient.deceasedBoolean` is neither `true` nor `false`")
        dead, alive = self.boolean == "true" or self.when is not None, self.boolean == "false"
        if dead and alive:
            raise Refused(
                ImportReason.CONTRADICTION,
                "`Patient.deceasedBoolean` and `Patient.deceasedDateTime` say opposite things; chose neither",
            )
        return dead, alive
