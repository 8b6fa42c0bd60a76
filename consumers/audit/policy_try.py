"""
What would be decided about this event, without a broker?

The same function as the worker's, over a folder of YAML and one event as JSON.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from safebus.consumers.delivery.parcels import plain
from safebus.schemas import codec
from safebus.schemas.bus_records import Origin
from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import from_json
from safebus.schemas.identifiers import PersonKey
from safebus.streams.register.changes import changes_of
from safebus.streams.register.store import Register
from safebus.streams.register.to_confirm import to_confirm
from safebus.streams.register.write import register_of
from safebus.streams.rules import sharing
from safebus.streams.rules.asked_again import read_view
from safebus.streams.rules.sharing import SetAside


def policy_try(event_file: Path, folder: Path, *, now: datetime, key: PersonKey, rules_digest: str) -> dict[str, Any]:
    """
    The decision record that would be written, each answer with `view`, the fields its recipient would get.

    `warnings` is what of the folder would have to be confirmed by name if it were loaded.

    Raises:
        BadInput: The event or the folder does not fit; says what to mend.
        BadRegister: The folder's problems, with file and line.
    """
    try:
        event = from_json(event_file.read_text("utf-8"))
    except OSError as exc:
        raise BadInput(f"`{event_file}` cannot be read: {exc.strerror}") from None
    entries = [change.entry for change in changes_of(folder, Register(), key)]
    warnings = [{"name": one.name, "says": one.says} for one in to_confirm(entries, Register(), event_schemas())]
    register = register_of(entries, at=now)
    received = codec.decode(codec.encode(event))
    outcome = sharing.share(
        received,
        register,
        origin=Origin(topic=f"in.{event.publisher.agency}", partition=0, offset=0),
        now=now,
        key=key,
        rules_digest=rules_digest,
    )
    if isinstance(outcome, SetAside):
        aside = {"reason": outcome.reason, "detail": outcome.detail}
        return {"event_id": event.event_id, "quarantine": aside, "warnings": warnings}
    found: dict[str, Any] = json.loads(outcome.record.model_dump_json())
    views = {o.notification.notification_id: read_view(o.notification, register) for o in outcome.outputs}
    for answer in found["answers"]:
        answer["view"] = plain(views[answer["notification_id"]]) if answer["notification_id"] else None
    return found | {"warnings": warnings}
