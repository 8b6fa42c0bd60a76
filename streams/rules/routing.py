"""
Who is interested in this event?

Interest comes before permission: whoever has one of the persons in its care, and every hub that watches over this type
of event, is considered, so that a refusal is on record too (rule R27). Each is considered once for each person in its
care (rule R17): the school of one child learns nothing of the sibling at another school.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from safebus.schemas.events import ABOUT, Event, Person
from safebus.streams.rules.identity import Match, Matched
from safebus.streams.rules.lookups import Lookups

SUBSCRIPTION = "subscription"


@dataclass(frozen=True)
class Interest:
    """
    One recipient to decide about, for one person.

    Attributes:
        roles: Why: involvement roles, or `subscription`.
    """

    recipient: str
    person: Person
    match: Match
    roles: tuple[str, ...]


def interested(event: Event, matched: Matched, register: Lookups, on: date) -> Iterator[Interest]:
    """
    Everyone to consider, by subject in the order of the event and then by recipient.

    The publisher is not told what it said itself, and nobody is told of a person who is doubtful.
    """
    hubs = {s.partner for s in register.subscriptions(event.event_type) if s.holds(on)}
    for person in event.cared_for():
        match = matched.matches.get(person.ref)
        if match is None:
            continue  # doubtful: a person must look first
        roles: dict[str, set[str]] = {}
        if match.person_id:
            for involvement in register.involvements(match.person_id):
                if involvement.holds(on):
                    roles.setdefault(involvement.partner, set()).add(involvement.role)
        if person.role in ABOUT:
            for hub in hubs:
                roles.setdefault(hub, set()).add(SUBSCRIPTION)
        roles.pop(event.publisher.agency, None)
        for recipient in sorted(roles):
            yield Interest(recipient, person, match, tuple(sorted(roles[recipient])))
