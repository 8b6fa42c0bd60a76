"""One parcel, and changes to it, for the tests of every adapter."""

from dataclasses import replace
from typing import Any

from safebus.consumers.adapters.adapter import Adapter, Parcel, PartnerAnswer, always, hand_over

ID = "6f1c0f9e-0000-4000-8000-000000000001"

ALERT = Parcel(
    notification_id=ID,
    event_id="6f1c0f9e-0000-4000-8000-0000000000e1",
    event_type="child.missing",
    case="00112233445566778899aabbccddeeff",
    urgency="URGENT",
    body={"notification_id": ID, "fields": {"name": "Zoë Ó Briain", "age": 9}},
    digest="d1",
    kind="notification",
)
#: As the courier makes it: the notification's id and digest.
WITHDRAWAL = replace(ALERT, event_type="consent.withdrawn", body={"notification_id": ID}, kind="consent.withdrawn")


def parcel(**changes: Any) -> Parcel:
    """The alert, changed."""
    return replace(ALERT, **changes)


async def handed(adapter: Adapter, what: Parcel) -> PartnerAnswer:
    """One attempt that nothing forbids."""
    return await hand_over(adapter, what, may_go=always)
