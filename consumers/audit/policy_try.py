"""
What would be decided about this event, without a broker?

The same function as the worker's, over a folder of YAML and one event as JSON; what came before it can be given, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from safebus.consumers.delivery.parcels import plain
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import DecisionRecord, Episode, Holder, Origin
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event, from_json
from safebus.schemas.keys import PersonKey
from safebus.schemas.plain_text import bytes_of
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.to_confirm import to_confirm
from safebus.streams.register.write import register_of
from safebus.streams.rules import episode, sharing
from safebus.streams.rules.asked_again import read_view
from safebus.streams.rules.sharing import SetAside, Shared


def policy_try(
    event_file: Path,
    folder: Path,
    *,
    now: datetime,
    key: PersonKey,
    rules_digest: str,
    after: Sequence[Path] = (),
) -> dict[str, Any]:
    """
    The decision record that would be written, each answer with `view`, the fields its recipient would get.

    `warnings` is what of the folder would have to be confirmed by name if it were loaded.

    Args:
        after: Events that were decided before it, in this order: its episode, or what it takes back.

    Raises:
        BadInput: An event or the folder does not fit; says what to mend.
        BadRegister: The folder's problems, with file and line.
    """
    events = [_event(file) for file in (*after, event_file)]
    bus = Rehearsal(folder, now=now, key=key, rules_digest=rules_digest)
    for event in events:
        outcome = bus.decide(codec.decode(codec.encode(event)), now=now)
    if isinstance(outcome, SetAside):
        aside = {"reason": outcome.reason, "detail": outcome.detail}
        return {"event_id": event.event_id, "quarantine": aside, "warnings": bus.warnings}
    found: dict[str, Any] = json.loads(outcome.record.model_dump_json())
    views = {o.notification.notification_id: read_view(o.notification, bus.register) for o in outcome.outputs}
    for answer in found["answers"]:
        answer["view"] = plain(views[answer["notification_id"]]) if answer["notification_id"] else None
    return found | {"roles": [person.role for person in event.subjects], "warnings": bus.warnings}


class Rehearsal:
    """
    What a worker would decide, one event after another, by a folder alone.

    Raises:
        BadRegister: The folder's problems, with file and line.
    """

    def __init__(self, folder: Path, *, now: datetime, key: PersonKey, rules_digest: str) -> None:
        entries = [change.entry for change in changes_of(folder, Register(), key)]
        self.warnings = [
            {"name": one.name, "says": one.says} for one in to_confirm(entries, Register(), event_schemas())
        ]
        self.register = register_of(entries, at=now)
        self._key, self._rules_digest = key, rules_digest
        self._decided: list[DecisionRecord] = []
        self._events = 0

    def decide(self, received: codec.Received, *, now: datetime) -> Shared | SetAside:
        """What would be decided about the next event."""
        event = received.event
        outcome = sharing.share(
            received,
            self.register,
            origin=Origin(topic=topics.published_by(event.publisher.agency), partition=0, offset=self._events),
            now=now,
            key=self._key,
            rules_digest=self._rules_digest,
            earlier=episode.earlier(event, self._key, _Before(event.publisher.agency, self._decided)),
        )
        self._events += 1
        if isinstance(outcome, Shared):
            self._decided.append(outcome.record)
        return outcome


def _event(file: Path) -> Event:
    data = bytes_of(file)
    try:
        return from_json(data)
    except BadInput as exc:
        raise BadInput(f"`{file}`: {exc}") from None


@dataclass(frozen=True)
class _Before:
    """What one agency's events led to: `streams.rules.episode.DecidedBefore`."""

    agency: str
    decided: list[DecisionRecord]

    def _last(self, wanted: Callable[[DecisionRecord], bool]) -> DecisionRecord | None:
        return next((each for each in reversed(self.decided) if each.source == self.agency and wanted(each)), None)

    def tokens(self, event_id: str) -> tuple[str, ...] | None:
        found = self._last(lambda record: record.event_id == event_id)
        return found.episode.tokens if found and found.episode else None

    def episode(self, token: str) -> Episode | None:
        found = self._last_of(token)
        return found.episode if found else None

    def latest(self, token: str) -> str | None:
        found = self._last_of(token)
        return found.event_id if found else None

    def _last_of(self, token: str) -> DecisionRecord | None:
        return self._last(lambda record: record.episode is not None and token in record.episode.tokens)

    def adds_to(self, event_id: str) -> str | None:
        found = self._last(lambda record: record.event_id == event_id)
        return found.episode.adds_to if found and found.episode else None

    def followers(self, event_id: str) -> Sequence[str]:
        ours = (each for each in self.decided if each.source == self.agency and each.episode is not None)
        return [each.event_id for each in ours if each.episode is not None and each.episode.adds_to == event_id]

    def holders(self, event_id: str) -> Sequence[Holder]:
        found = self._last(lambda record: record.event_id == event_id)
        return episode.holders_of(found) if found else ()
