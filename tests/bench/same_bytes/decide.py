"""
What does one tree make of one event under one register?

In process and without a broker: the bytes in, a fixed key, the moment and the register; everything that comes out is
taken down, also that and why nothing came out.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .recording import Recording

SECRET = b"the key of a bus that does not exist"
RULES_DIGEST = "0" * 16


@dataclass(frozen=True)
class Decider:
    """One tree, and what it has said so far."""

    tree: Any
    recording: Recording

    @property
    def key(self) -> Any:
        """The key of the bus, as this tree holds it."""
        return self.tree.PersonKey(SECRET)

    def from_values(self, name: str, event: dict[str, Any]) -> bytes | None:
        """An event as it stands on the topic; None: no event is made of these values."""
        try:
            value: bytes = self.tree.codec.encode(self.tree.event_from_json(json.dumps(event)))
        except self.tree.errors.SafebusError as exc:
            self.recording.counts["no event: values that do not fit"] += 1
            self.recording.add("no event", name, _said(exc))
            return None
        self.recording.add("event", name, value)
        return value

    def decide(self, name: str, value: bytes, register: Any, *, offset: int, now: datetime) -> list[Any]:
        """Decide about one record; returns its notifications, each with its bytes."""
        tree, counts = self.tree, self.recording.counts
        counts["events"] += 1
        try:
            received = tree.codec.decode(value)
        except tree.errors.Refused as exc:
            counts[f"refused by gate: {exc.reason}"] += 1
            self.recording.add("refused by gate", name, _said(exc))
            return []
        origin = tree.records.Origin(topic=f"in.{received.event.publisher.agency}", partition=offset % 4, offset=offset)
        found = tree.sharing.share(received, register, origin=origin, now=now, key=self.key, rules_digest=RULES_DIGEST)
        if isinstance(found, tree.sharing.SetAside):
            counts[f"set aside: {found.reason}"] += 1
            self.recording.add("set aside", name, f"{found.reason}\n{found.detail}".encode())
            return []
        self._decision(name, found)
        for number, output in enumerate(found.outputs):
            self._notification(f"{name} #{number}", output, register)
        return [*found.outputs]

    def _decision(self, name: str, found: Any) -> None:
        tree, counts = self.tree, self.recording.counts
        value = tree.codec.encode_record(found.record)
        plain = json.loads(tree.codec.decode_record(value, tree.records.DecisionRecord).model_dump_json())
        self.recording.add("decision", name, value, plain=plain)
        to_see = getattr(found.record, "worklist", ())
        unheard = any(seen.code == "NO_RECIPIENT" for seen in to_see) or getattr(found, "unheard", 0) > 0
        counts["events with somebody unheard"] += unheard
        counts[f"event type: {found.record.event_type}"] += 1
        counts[f"lifecycle: {found.record.lifecycle}"] += 1
        for answer in found.record.answers:
            counts[f"answer: {answer.outcome}"] += 1
            for code in {reason.code for reason in answer.reasons}:
                counts[f"reason: {answer.outcome} {code}"] += 1

    def _notification(self, name: str, output: Any, register: Any) -> None:
        tree, n = self.tree, output.notification
        self.recording.add("notification", name, output.value)
        self.recording.add("view", name, n.view_schema.encode() + b"\n" + n.view)
        fields = tree.read_view(n, register)
        parcel = tree.parcel_of(n, fields, self.key.digest(output.value))
        about = [parcel.event_type, parcel.case, parcel.urgency, parcel.digest, parcel.kind, str(parcel.made_at)]
        self.recording.add("parcel", name, "\n".join(about).encode() + b"\n" + parcel.json_bytes())

    def world(self, number: int, world: dict[str, Any]) -> None:
        """Decide about the one event of a small world."""
        name, now = f"world {number}", datetime.fromisoformat(world["now"])
        value = self.from_values(name, world["event"])
        if value is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            for file, text in world["files"].items():
                (Path(folder) / file).write_text(text, "utf-8")
            try:
                entries = [change.entry for change in self.tree.plan(Path(folder), self.tree.Register(), self.key)]
            except self.tree.errors.BadInput as exc:
                self.recording.counts["refused folders"] += 1
                self.recording.add("refused folder", name, _said(exc))
                return
        register = self.tree.Register()
        records = self.tree.register_records(entries, at=now, by="story", reason="story")
        for offset, record in enumerate(records):
            register.apply(offset, record)
            self.recording.add("register record", f"{name} {offset}", self.tree.codec.encode_record(record))
        self.decide(name, value, register, offset=number, now=now)


def _said(exc: Exception) -> bytes:
    return f"{type(exc).__name__} {getattr(exc, 'reason', '')}\n{exc}".encode()
