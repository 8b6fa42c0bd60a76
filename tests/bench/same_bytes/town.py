"""
What happens in the town, in which order, and what changes in its register meanwhile?

The demonstration's register with families of `producers.samples` added. Its events are those of the samples and of the
demonstration, changed in ways that a publisher can think of; every few events something in the register changes, and
most of it is taken back some events later. It takes three quarters of a year, in which agreements run out.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from .changes import Changes
from .decide import Decider
from .mutations import damaged, mutated

SINCE = datetime(2026, 11, 22, 8, tzinfo=UTC)
FAMILIES = 25
LONGEST = timedelta(days=270)
_CARE = (("fordshire-0-19", "health_visiting"), ("meadow-practice", "registered_patient"))


class Town:
    """One tree's town. Chance is seeded, and asked in the same order in every tree."""

    def __init__(self, decider: Decider, *, seed: int, events: int) -> None:
        self._decider, self._tree = decider, decider.tree
        self._chance = random.Random(seed)
        self._step_s = LONGEST.total_seconds() / max(events, 1)
        self.now = SINCE
        families = self._tree.samples.families(seed, FAMILIES)
        self._templates = [*self._of_families(seed, families), *self._of_the_demonstration()]
        self._children = [_plain(child) for family in families for child in family.children]
        self._ids: list[str] = []
        self._numbers = count()
        self.register = self._tree.Register()
        self.log: list[Any] = []
        for record in self._first_records(families):
            self._apply(record)
        self.changes = Changes(self._chance, [(r.record_id, r.kind, r.body) for r in self.log])

    def _first_records(self, families: Any) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(self._tree.DEMO_REGISTER, folder, dirs_exist_ok=True)
            text = self._tree.samples.register_text(families, school="ash-primary", hub_roles=_CARE)
            (Path(folder) / "families.yaml").write_text(text, "utf-8")
            entries = [c.entry for c in self._tree.plan(Path(folder), self._tree.Register(), self._decider.key)]
        return list(self._tree.register_records(entries, at=SINCE, by="story", reason="story"))

    def _apply(self, record: Any) -> None:
        offset = len(self.log)
        self.register.apply(offset, record)
        self.log.append(record)
        self._decider.recording.add("register record", f"town {offset}", self._tree.codec.encode_record(record))

    def _of_families(self, seed: int, families: Any) -> Iterator[dict[str, Any]]:
        for family in families:
            for event in self._tree.samples.incidents(seed, family, 2, agency="fordshire-police", since=SINCE):
                yield _plain(event)

    def _of_the_demonstration(self) -> Iterator[dict[str, Any]]:
        chapter = [_plain(event) for event, _ in self._tree.story.first_chapter()]
        for event in (*chapter, _identity_change(chapter[1])):
            # As often as those of the families, together.
            yield from [event] * 12

    def until(self, events: int) -> list[Any]:
        """Go on until so many events were decided in all; returns the notifications, each with its bytes."""
        found = []
        while self._decider.recording.counts["events"] < events:
            number = next(self._numbers)
            if self._chance.random() < 0.15:
                self._change(self.changes.some(number, self.now))
            self._change(self.changes.taken_back(number))
            self.now += timedelta(seconds=self._chance.uniform(0, 2 * self._step_s))
            found += self._event(number)
        return found

    def calm(self) -> None:
        """Take back every change that still stands."""
        self._change(self.changes.taken_back(None))

    def for_deliveries(self) -> tuple[Any, list[Any]]:
        """
        How the register stands while this is delivered.

        Returns:
            A register of its own, in which some of what was permitted is not any more, and the records with which
            everyone then withdraws what they agreed to.
        """
        hard_times = [self._record(*change) for change in self.changes.hard_times(self.now)]
        register = self._tree.Register()
        for offset, record in enumerate([*self.log, *hard_times]):
            register.apply(offset, record)
        return register, [self._record(*change) for change in self.changes.withdrawals(self.now)]

    def _change(self, changed: list[tuple[str, str, str | None]]) -> None:
        for change in changed:
            self._apply(self._record(*change))

    def _record(self, record_id: str, kind: str, body: str | None) -> Any:
        return self._tree.records.RegisterRecord(
            record_id=record_id, kind=kind, recorded_at=self.now, recorded_by="story", reason="story", body=body
        )

    def _event(self, number: int) -> list[Any]:
        chance, name = self._chance, f"town {number}"
        event = json.loads(json.dumps(chance.choice(self._templates)))
        mutated(event, chance, now=self.now, children=self._children, earlier=self._ids)
        self._ids.append(event["event_id"])
        value = self._decider.from_values(name, event)
        if value is None:
            return []
        if chance.random() < 0.03:
            value = damaged(value, chance)
        return self._decider.decide(name, value, self.register, offset=number, now=self.now)


def _plain(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(model.model_dump_json())
    return found


def _identity_change(like: dict[str, Any]) -> dict[str, Any]:
    """The same person's record changes; the demonstration takes these from files of NHS England."""
    sender = {"agency": "nhs-england", "org_scheme": "ODS", "org_code": "X26", "org_name": "NHS England"}
    payload = {
        "change": "ADDRESS_CHANGED",
        "source_event_type": "pds-record-change-2",
        "source_event_id": "236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
        "source_system": "TEST",
        "new_address": {"lines": ["1 New Road", "Fordham"], "postcode": "ZZ99 1AB", "from_date": "2026-11-01"},
    }
    change = {"event_type": "identity.change.v1", "publisher": sender, "purpose": "record_accuracy", "payload": payload}
    return {**like, **change}
