"""
Publish a first event: a police force tells of an incident at which a child was present.

Start a bus with `safebus up`, then run this. The child is of the demonstration's register, so a school, a health
visitor and a council have her in their care; nobody in it exists.
"""

import asyncio
import uuid
from datetime import UTC, datetime

from safebus.deploy.service import settings
from safebus.producers.publisher import Publisher
from safebus.schemas.events import (
    ChildAtIncident,
    ClaimedBasis,
    EncompassPayload,
    OperationEncompass,
    Person,
    PersonRole,
)
from safebus.schemas.events import Sender as From
from safebus.schemas.kafka.connection import Connection

now = datetime.now(UTC)
event = OperationEncompass(
    event_id=str(uuid.uuid4()),
    occurred_at=now,
    recorded_at=now,
    published_at=now,
    publisher=From(agency="fordshire-police", org_scheme="CJS-OU", org_code="99", org_name="Fordshire Police"),
    subjects=(Person(ref="child", role=PersonRole.CHILD, given_name="Ava", nhs_number="9990079196"),),
    claimed_basis=ClaimedBasis(art6="A6-1-c", gateway="DAA21-49A"),
    purpose="safeguarding",
    payload=EncompassPayload(
        police_reference="TEST-1",
        incident_type="domestic abuse",
        officer_notes="whatever stands here reaches nobody: no agreement names it",
        children=(ChildAtIncident(subject_ref="child", present=True, spoken_to=False),),
    ),
)


async def main() -> None:
    """Publish it, and say where to look."""
    mine = settings.load()
    broker = Connection(mine.bootstrap(), mine.tls())
    secret = mine.case_secret("fordshire-police")
    async with Publisher(broker, agency="fordshire-police", case_secret=secret) as publisher:
        accepted = await publisher.publish(event, case="my case 1")
    print(accepted)  # noqa: T201 - an example talks to its reader
    print(f"now: .venv/bin/safebus explain {event.event_id}")  # noqa: T201


asyncio.run(main())
