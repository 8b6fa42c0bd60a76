"""
What changes in the town's register while events come in?

Consents are given and withdrawn, partners suspended, records restricted, agreements signed again with less in them or
a prohibition added, affiliations found out. What would silence the town for good is taken back some events later.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

#: Record id, kind, body as JSON; None ends the entry.
Change = tuple[str, str, str | None]

_MEANINGS = (("service_agreement", "temporary_accommodation_notice"),) * 3 + (
    ("data_protection", "safeguarding"),
    ("service_agreement", "safeguarding"),
)
_STATES = (
    ("given",) * 9 + ("withdrawn",) * 3 + ("renewed", "refused", "requested", "deferred", "revoked", "invalidated")
)
_MASKS: tuple[dict[str, str], ...] = (
    {},
    {"other_children": "count"},
    {"subject.date_of_birth": "year"},
    {"subject.family_name": "initial"},
)


class Changes:
    """The register's entries as JSON, and what may become of them."""

    def __init__(self, chance: random.Random, entries: list[tuple[str, str, str]]) -> None:
        self._chance = chance
        self._bodies = {record_id: (kind, body) for record_id, kind, body in entries}
        self._given = {record_id: json.loads(body) for record_id, kind, body in entries if kind == "consent"}
        self._take_back: list[tuple[int, Change]] = []
        self._numbers = iter(range(1_000_000))

    def some(self, number: int, now: datetime) -> list[Change]:
        """One change, at this event."""
        kinds: list[Callable[[int, datetime], list[Change]]] = [
            self._consent,
            self._consent,
            self._consent,
            self._consent,
            self._suspended,
            self._restricted,
            self._affiliation,
            self._agreement,
            self._agreement,
            self._ended,
        ]
        return self._chance.choice(kinds)(number, now)

    def taken_back(self, number: int | None) -> list[Change]:
        """What was changed for a while only, and is due at this event; None: all of it."""
        due = [change for at, change in self._take_back if number is None or at <= number]
        self._take_back = [] if number is None else [each for each in self._take_back if each[0] > number]
        return [self._signed_again(change) for change in due]

    def withdrawals(self, now: datetime) -> list[Change]:
        """Everyone who agreed to something withdraws it."""
        return self._withdrawn(now, "late", recipients=[])

    def _withdrawn(self, now: datetime, name: str, *, recipients: list[str]) -> list[Change]:
        said = {"state": "withdrawn", "decided_at": now.isoformat(), "expires_at": None, "recipients": recipients}
        return [
            (f"consent/{name}-withdrawal-{number}", "consent", json.dumps({**body, **said}))
            for number, body in enumerate(self._given.values())
        ]

    def hard_times(self, now: datetime) -> list[Change]:
        """What stops deliveries that were permitted: records restricted, agreed no more, narrowed, suspended."""
        people = sorted(record_id for record_id, (kind, _) in self._bodies.items() if kind == "person")
        found: list[Change] = [self._with(record_id, restricted=True) for record_id in people[::7]]
        found += self._withdrawn(now, "early", recipients=["fordshire-0-19"])
        found.append(self._with("partner/haven", suspended=True))
        _, body = self._bodies["agreement/fordshire-encompass/v3"]
        flows = json.loads(body)["flows"]
        flows[2]["release"]["event"] = ["ENVELOPE"]
        found.append(self._signed_again(self._with("agreement/fordshire-encompass/v3", flows=flows)))
        return found

    def _with(self, record_id: str, **changes: Any) -> Change:
        kind, body = self._bodies[record_id]
        return record_id, kind, json.dumps({**json.loads(body), **changes})

    def _one_of(self, kind: str) -> tuple[str, dict[str, Any]]:
        record_id = self._chance.choice(sorted(r for r, (k, _) in self._bodies.items() if k == kind))
        return record_id, json.loads(self._bodies[record_id][1])

    def _for_a_while(self, number: int, record_id: str, kind: str, body: str | None) -> list[Change]:
        if any(change[0] == record_id for _, change in self._take_back):
            return []
        before = self._bodies.get(record_id)
        self._take_back.append((number + self._chance.randint(3, 12), (record_id, kind, before[1] if before else None)))
        return [self._signed_again((record_id, kind, body))]

    def _signed_again(self, change: Change) -> Change:
        """What was signed under one version does not change: an agreement gets the next one each time."""
        record_id, kind, body = change
        if kind == "agreement" and body is not None:
            values = json.loads(body)
            values["version"] = self._versions(record_id) + 1
            body = json.dumps(values)
            self._bodies[record_id] = (kind, body)
        return record_id, kind, body

    def _versions(self, record_id: str) -> int:
        return int(json.loads(self._bodies[record_id][1])["version"])

    def _consent(self, number: int, now: datetime) -> list[Change]:
        # Often of someone who said something before, so that one decision follows another.
        before = self._chance.choice([*self._given.values()])
        person = before if self._chance.random() < 0.3 else self._one_of("person")[1]
        meaning, purpose = self._chance.choice(_MEANINGS)
        body = {
            "person_id": person["person_id"],
            "meaning": meaning,
            "purpose": purpose,
            "state": self._chance.choice(_STATES),
            "decided_at": (now - timedelta(minutes=self._chance.randint(1, 900))).isoformat(),
            "expires_at": None,
            "recipients": self._chance.choice(([], [], ["ash-primary"], ["fordshire-0-19", "meadow-practice"])),
            "expressed_by": "parent",
            "method": "story",
        }
        record_id = f"consent/story-{next(self._numbers)}"
        if self._chance.random() < 0.1:
            # Taken back in the end: no delivery may rest on one that runs out while the clock jumps.
            body["expires_at"] = (now + timedelta(hours=20)).isoformat()
            self._take_back.append((number + 20, (record_id, "consent", None)))
        elif body["state"] in ("given", "renewed"):
            self._given[record_id] = body
        return [(record_id, "consent", json.dumps(body))]

    def _suspended(self, number: int, now: datetime) -> list[Change]:
        record_id, body = self._one_of("partner")
        return self._for_a_while(number, record_id, "partner", json.dumps({**body, "suspended": True}))

    def _restricted(self, number: int, now: datetime) -> list[Change]:
        record_id, body = self._one_of("person")
        return self._for_a_while(number, record_id, "person", json.dumps({**body, "restricted": True}))

    def _affiliation(self, number: int, now: datetime) -> list[Change]:
        _, person = self._one_of("person")
        partner = self._chance.choice(("ash-primary", "fordshire-0-19", "haven"))
        body = {"person_id": person["person_id"], "partner": partner, "relation": "works there"}
        record_id = f"affiliation/story-{next(self._numbers)}"
        return self._for_a_while(number, record_id, "affiliation", json.dumps(body))

    def _agreement(self, number: int, now: datetime) -> list[Change]:
        record_id, body = self._one_of("agreement")
        what = self._chance.randrange(5)
        flow = self._chance.choice(body["flows"])
        if what == 0:
            body["status"] = self._chance.choice(("draft", "suspended", "terminated"))
        elif what == 1:
            flow["mask"] = self._chance.choice(_MASKS)
        elif what == 2:
            flow["fields"] = []
            flow["release"]["event"] = ["ENVELOPE"]
        elif what == 3:
            flow["basis"]["art9_or_10"] = None
        else:
            forbids = {"flow": "no", "effect": "refuse", "purpose": flow["purpose"], "event_type": flow["event_type"]}
            body["flows"].append({**forbids, "from": flow["from"], "to": flow["to"][:1]})
        return self._for_a_while(number, record_id, "agreement", json.dumps(body))

    def _ended(self, number: int, now: datetime) -> list[Change]:
        kind = self._chance.choice(("subscription", "involvement", "basis"))
        record_id, _ = self._one_of(kind)
        return self._for_a_while(number, record_id, kind, None)
