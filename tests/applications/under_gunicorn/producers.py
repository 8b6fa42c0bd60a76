"""What does this application publish by?"""

from __future__ import annotations

from deploy import AGENCY, BUS, note
from safebus import Accepted, Connection, PublisherSync
from schemas import Incident

publisher = PublisherSync(Connection(BUS), agency=AGENCY, case_secret=b"s" * 32, timeout_s=30)


def publish(incident: Incident) -> Accepted:
    note("began", incident.id)
    try:
        return publisher.publish(incident.event(), case=incident.case)
    finally:
        note("ended", incident.id)
