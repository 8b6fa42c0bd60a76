"""
What was decided before of the same episode, as far as it counts for this event?

A suspect whom the first notification named is still who governs the school when the next one does not name him, and
who was told what turns out to be wrong must hear of it. Both rest on what is on record, never on what the later event
says of the earlier one. What is remembered is whom the earlier events accuse, in tokens, and not what followed from it:
where they work and govern, the register says as of now.

    an event gives              its episode                                 it is known
    --------------------------  ------------------------------------------  -------------------------------
    correlation_id              this publisher's under that reference       if one of it was decided
    supersedes id               those of the event it names                 if that one was decided
    causation id                those of the event it names                 (may be another agency's)
    neither, about a record     that of the person (identity events)        always: nobody has to be found
    neither                     its own: it is the first                    always

Several are joined to one. What takes back or corrects is known only if the very event was decided that it takes back,
and what adds to or corrects a retracted one comes too late: a person looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from safebus.schemas.bus_records import Accused, DecisionRecord, Earlier, Episode, Holder, Outcome
from safebus.schemas.events import TAKES_BACK, Event, IdentityEvent, Lifecycle
from safebus.schemas.keys import PersonKey
from safebus.schemas.names import fold
from safebus.streams.rules.identity import tokens

#: More than any real episode has: people accused, agencies of one of them, references that are joined. What is beyond
#: is not kept, and those who follow are held until a person has looked: a record must stay one that can be written.
MOST_ACCUSED, MOST_AGENCIES, MOST_JOINED = 20, 10, 8
#: Events that are taken back with one. Whoever was told by more must be found by hand.
MOST_CONCERNED = 100

_ADDS: Final = (Lifecycle.UPDATE, Lifecycle.CORRECT)


class DecidedBefore(Protocol):
    """What one agency's events led to, as far back as it is remembered."""

    def tokens(self, event_id: str) -> tuple[str, ...] | None:
        """Of the episodes of this event, see `Episode`; None: it is not remembered."""
        ...

    def episode(self, token: str) -> Episode | None:
        """What the last event of this episode left; None: none is remembered."""
        ...

    def latest(self, token: str) -> str | None:
        """The id of the last event of this episode; None: none is remembered."""
        ...

    def adds_to(self, event_id: str) -> str | None:
        """The id of the event that this one adds to or corrects."""
        ...

    def followers(self, event_id: str) -> Sequence[str]:
        """The ids of those that add to this one or correct it, in order."""
        ...

    def holders(self, event_id: str) -> Sequence[Holder]:
        """Who was sent a notification of this event; only asked of one that is remembered."""
        ...


def token_of(event: Event, key: PersonKey) -> str | None:
    """What stands for the event's episode, if it says which it is. Only letters and digits make another reference."""
    agency = event.publisher.agency
    if event.correlation_id is not None:
        return key.token("episode", f"{agency}|{fold(event.correlation_id) or event.correlation_id}")
    if isinstance(event, IdentityEvent):
        strongest = next(iter(tokens(event.cared_for()[0], agency, key).values()), None)
        return key.token("episode", f"{agency}|{event.payload.change}|{strongest}") if strongest else None
    return None


def taken_back(event: Event, key: PersonKey, decided: DecidedBefore) -> str | None:
    """The id of the event that this one takes back or corrects, where that is remembered."""
    return _original(event, key, decided) if event.lifecycle in TAKES_BACK else None


def concerned(original: str, decided: DecidedBefore) -> list[str]:
    """That event and what adds to it or corrects it, `MOST_CONCERNED` at most: whoever was sent any of these has it."""
    found, there = [original], {original}
    for each in found:  # grows
        new = [follower for follower in decided.followers(each) if follower not in there]
        found += new[: MOST_CONCERNED - len(found)]
        there |= {*new}
    return found


def _original(event: Event, key: PersonKey, decided: DecidedBefore) -> str | None:
    """The id of the event that this one adds to, corrects or takes back."""
    if event.supersedes_event_id is not None:
        return _decided_as(event.supersedes_event_id, decided)
    refers = event.lifecycle is Lifecycle.UPDATE or (event.FOLLOWS_ITS_PERSON and event.lifecycle in TAKES_BACK)
    token = token_of(event, key) if refers else None
    last = _decided_as(decided.latest(token), decided) if token else None
    if event.lifecycle is Lifecycle.RETRACT:
        # No word which: all that was said of this change of the record. The last may have been sent to nobody.
        for _ in range(MOST_CONCERNED):
            before = decided.adds_to(last) if last is not None else None
            last = before if before is not None and decided.tokens(before) is not None else last
    return last


def _decided_as(named: str | None, decided: DecidedBefore) -> str | None:
    """The id under which an event was decided, if it was. UUIDs are the same in capitals (RFC 9562, 4)."""
    ids = () if named is None else (named, named.strip().lower())
    return next((each for each in ids if decided.tokens(each) is not None), None)


def earlier(event: Event, key: PersonKey, decided: DecidedBefore) -> Earlier:
    """What is on record, as far as this event's decision rests on it."""
    joined = [*_tokens(event, key, decided)]
    found = [each for token in joined if (each := decided.episode(token)) is not None]
    original = _original(event, key, decided)
    if event.lifecycle in TAKES_BACK:
        known = original is not None
    else:
        refers = event.lifecycle is not Lifecycle.NEW or event.supersedes_event_id is not None
        its_person = event.FOLLOWS_ITS_PERSON and event.supersedes_event_id is None
        known = bool(found) or not refers or its_person
        if event.supersedes_event_id is not None:
            known = known and _decided_as(event.supersedes_event_id, decided) is not None
    with_it = concerned(original, decided) if original is not None and event.lifecycle in TAKES_BACK else []
    return Earlier(
        tokens=tuple(joined),
        known=known and len(with_it) < MOST_CONCERNED and all(each.whole for each in found),
        retracted=event.lifecycle in _ADDS and any(each.retracted for each in found),
        accused=tuple(dict.fromkeys(one for each in found for one in each.accused)),
        original=original,
        holders=_holders(with_it, decided),
    )


def _holders(events: Sequence[str], decided: DecidedBefore) -> tuple[Holder, ...]:
    """Of each recipient and person what was sent first: the rest says what it adds to."""
    found: dict[tuple[str, str], Holder] = {}
    for each in events:
        for holder in decided.holders(each):
            found.setdefault((holder.recipient, holder.subject_token), holder)
    return tuple(found.values())


def leaves(event: Event, key: PersonKey, earlier: Earlier, mine: Sequence[Accused]) -> Episode:
    """
    What this event leaves for those that follow it.

    A correction that names somebody may mean that it was somebody else, or say less of the same one ("a man"): whom the
    corrected event accused is looked at by a person from then on, and no longer refused.

    Args:
        mine: Those whom it accuses itself.
    """
    corrects = earlier.original if event.lifecycle is Lifecycle.CORRECT and mine else None
    others = [
        one.model_copy(update={"corrected": True}) if one.named_in == corrects else one for one in earlier.accused
    ]
    said: dict[Accused, Accused] = {}
    # Whoever is named twice stays so where one of the two is corrected.
    in_order = (*(o for o in others if not o.corrected), *mine, *(o for o in others if o.corrected))
    for one in map(_in_short, in_order):
        said.setdefault(one.model_copy(update={"named_in": "", "corrected": False}), one)
    own = key.token("episode", f"{event.publisher.agency}|event|{event.event_id}")
    tokens = earlier.tokens or (token_of(event, key) or own,)
    too_many = len(said) > MOST_ACCUSED or len(tokens) > MOST_JOINED
    return Episode(
        tokens=tokens[:MOST_JOINED],
        accused=tuple(said.values())[:MOST_ACCUSED],
        whole=earlier.known and not too_many and all(len(one.works_for) <= MOST_AGENCIES for one in mine),
        retracted=event.lifecycle is Lifecycle.RETRACT or earlier.retracted,
        adds_to=None if event.lifecycle is Lifecycle.RETRACT else earlier.original,
    )


def _in_short(one: Accused) -> Accused:
    many = len(one.works_for) > MOST_AGENCIES
    return one.model_copy(update={"works_for": one.works_for[:MOST_AGENCIES]}) if many else one


def _tokens(event: Event, key: PersonKey, decided: DecidedBefore) -> Iterator[str]:
    """Of every episode that this event belongs to, each once."""
    own = token_of(event, key)
    found = [own] if own is not None else []
    for named in (event.supersedes_event_id, event.causation_id):
        at = _decided_as(named, decided)
        found += decided.tokens(at) or () if at is not None else ()
    yield from dict.fromkeys(found)


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
        and not answer.bare
        and answer.notification_id is not None
        and answer.agreement_id is not None
        and answer.agreement_version is not None
        and answer.flow is not None
    )
