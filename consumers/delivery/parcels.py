"""
What exactly does a partner's system receive?

The released fields, and around them what the partner needs to file and to ask back: ids, publisher, purpose, agreement,
labels. One form for every transport; an adapter only wraps it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from typing import Any, Final

from safebus.consumers.adapters.adapter import Parcel
from safebus.consumers.delivery.outstanding import Delivered
from safebus.schemas.bus_records import Notification

#: To whoever cannot tell it from what they may have; `whom_to_ask` stands beside it.
WHO_IS_MEANT: Final = (
    "what you may have of this does not say which person is meant: ask `whom_to_ask`, naming `event_id`, before you "
    "act on it or file it; do not take it for the nearest name"
)


def parcel_of(notification: Notification, view: dict[str, Any], digest: str, *, repeated: bool = False) -> Parcel:
    """
    A notification with its released fields.

    Args:
        notification: Its token as it is known here: what a partner keeps under one case stays so when the bus's secret
            changes.
        repeated: As the parcel has it.
    """
    n = notification
    return Parcel(
        notification_id=n.notification_id,
        event_id=n.event_id,
        event_type=n.event_type,
        case=n.subject_token,
        urgency=n.urgency,
        body={
            "notification_id": n.notification_id,
            "event_id": n.event_id,
            "event_type": n.event_type,
            "lifecycle": n.lifecycle,
            "publisher": n.publisher,
            "purpose": n.purpose,
            "urgency": n.urgency,
            "agreement": f"{n.agreement_id} v{n.agreement_version} {n.flow}",
            "labels": list(n.labels),
            "decided_at": plain(n.decided_at),
            "fields": plain(view),
        }
        | ({"takes_back": n.takes_back} if n.takes_back else {})
        | ({"whom_to_ask": n.whom_to_ask, "what_to_do": WHO_IS_MEANT} if n.whom_to_ask else {}),
        digest=digest,
        kind="notification",
        made_at=n.decided_at,
        repeated=repeated,
    )


def notice_of(notification_id: str, ended: Delivered, how: str, *, case: str) -> Parcel:
    """That the consent a notification stood on has ended. It says nothing the partner does not hold already."""
    return Parcel(
        notification_id=notification_id,
        event_id=ended.event_id,
        event_type="consent.withdrawn",
        case=case,
        urgency="PRIORITY",
        body={
            "notification_id": notification_id,
            "event_id": ended.event_id,
            "event_type": "consent.withdrawn",
            "purpose": ended.purpose,
            "consent": how,
            "what_to_do": "stop using what you were sent under this notification unless you have another basis for it",
        },
        digest=ended.digest,
        kind="consent.withdrawn",
    )


#: The type of what says that it is a test.
TEST: Final = "safebus.test.v1"


def trial_of(notification_id: str, partner: str, now: datetime) -> Parcel:
    """A notification about nobody, so marked that no one acts on it."""
    return Parcel(
        notification_id=notification_id,
        event_id=notification_id,
        event_type=TEST,
        case="0" * 32,
        urgency="ROUTINE",
        body={
            "notification_id": notification_id,
            "event_id": notification_id,
            "event_type": TEST,
            "lifecycle": "NEW",
            "test": True,
            "what_to_do": f"nothing: this is a test of the way to {partner}, and is about nobody",
            "decided_at": plain(now),
            "fields": {},
        },
        digest=hashlib.sha256(notification_id.encode()).hexdigest(),
        kind="notification",
        made_at=now,
    )


def plain(value: Any) -> Any:
    """JSON values. Times as RFC 3339 in UTC, dates as ISO 8601."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value
