"""
What was decided before of the same episode, as far as it counts for this event?

A suspect whom the first notification named is still who governs the school when the next one does not name him, and
who was told what turns out to be wrong must hear of it. Both rest on what is on record, never on what the later event
says of the earlier one.

    an event gives            its episode                                 it is known
    ------------------------  ------------------------------------------  -------------------------------
    correlation_id            this publisher's under that reference       if one of it was decided
    supersedes_event_id       that of the event it names                  if that one was decided
    neither, about a record   that of the person (identity events)        always: nobody has to be found
    neither                   its own: it is the first                    always

What takes back or corrects is known only if the very event was decided that it takes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from safebus.schemas.bus_records import DecisionRecord, Earlier, Episode, Holder, Outcome
from safebus.schemas.events import TAKES_BACK, Event, IdentityEvent, Lifecycle
from safebus.schemas.identifiers import PersonKey
from safebus.streams.rules.adversary import LOOKED_AT, Side
from safebus.streams.rules.identity import tokens


class DecidedBefore(Protocol):
    """What one agency's events led to, as far back as it is remembered."""

    def episode(self, event_id: str) -> Episode | None:
        """What the decision about this event left; None: it is not remembered."""
        ...

    def latest(self, token: str) -> str | None:
        """The id of the last event of this episode; None: none is remembered."""
        ...

    def holders(self, event_id: str) -> Sequence[Holder]:
        """Who was sent a notification of this event; only asked of one that is remembered."""
        ...


def token_of(event: Event, key: PersonKey) -> str | None:
    """What stands for the event's episode, if it says which it is."""
    agency = event.publisher.agency
    if event.correlation_id is not None:
        return key.token("episode", f"{agency}|{event.correlation_id}")
    if isinstance(event, IdentityEvent):
        strongest = next(iter(tokens(event.cared_for()[0], agency, key).values()), None)
        return key.token("episode", f"{agency}|{event.payload.change}|{strongest}") if strongest else None
    return None


def taken_back(event: Event, key: PersonKey, decided: DecidedBefore) -> str | None:
    """The id of the event that this one takes back or corrects, where that is remembered."""
    if event.lifecycle not in TAKES_BACK:
        return None
    token = token_of(event, key)
    named = event.supersedes_event_id or (decided.latest(token) if token else None)
    return named if named is not None and decided.episode(named) is not None else None


def earlier(event: Event, key: PersonKey, decided: DecidedBefore) -> Earlier:
    """What is on record, as far as this event's decision rests on it."""
    found = _episodes(event, key, decided)
    kept_out = {partner for each in found for partner in each.kept_out}
    perhaps = {partner for each in found for partner in each.perhaps_kept_out} - kept_out
    original = taken_back(event, key, decided)
    if event.lifecycle in TAKES_BACK:
        known = original is not None
    else:
        refers = event.lifecycle is not Lifecycle.NEW or event.supersedes_event_id is not None
        its_person = event.FOLLOWS_ITS_PERSON and event.supersedes_event_id is None
        known = bool(found) or not refers or its_person
    superseded = decided.episode(event.supersedes_event_id) if event.supersedes_event_id else None
    return Earlier(
        token=token_of(event, key) or (superseded.token if superseded else None),
        known=known,
        kept_out=tuple(sorted(kept_out)),
        perhaps_kept_out=tuple(sorted(perhaps)),
        holders=tuple(decided.holders(original)) if original is not None else (),
    )


def leaves(event: Event, key: PersonKey, earlier: Earlier, sides: Mapping[str, frozenset[Side]]) -> Episode:
    """What this event leaves for those that follow it; what the register itself says is not in it."""
    own = key.token("episode", f"{event.publisher.agency}|event|{event.event_id}")
    kept_out = {*earlier.kept_out, *(who for who, stands in sides.items() if Side.INSIDE in stands)}
    perhaps = {*earlier.perhaps_kept_out, *(who for who, stands in sides.items() if stands & LOOKED_AT)} - kept_out
    return Episode(
        token=token_of(event, key) or earlier.token or own,
        kept_out=tuple(sorted(kept_out)),
        perhaps_kept_out=tuple(sorted(perhaps)),
    )


def holders_of(record: DecisionRecord) -> tuple[Holder, ...]:
    """Who was sent a notification of a decided event; what only took another back is nothing to take back."""
    return tuple(
        Holder(
            recipient=answer.recipient,
            subject_token=answer.subject_token,
            notification_id=answer.notification_id,
            agreement_id=answer.agreement_id,
            agreement_version=answer.agreement_version,
            flow=answer.flow,
            purpose=answer.purpose,
        )
        for answer in record.answers
        if answer.outcome is Outcome.PERMIT
        and answer.takes_back is None
        and answer.notification_id is not None
        and answer.agreement_id is not None
        and answer.agreement_version is not None
        and answer.flow is not None
    )


def _episodes(event: Event, key: PersonKey, decided: DecidedBefore) -> list[Episode]:
    token = token_of(event, key)
    ids: Iterable[str | None] = (event.supersedes_event_id, decided.latest(token) if token else None)
    return [found for each in ids if each is not None and (found := decided.episode(each)) is not None]
