"""
Publish a first event: a police force tells of an incident at which a child was present.

Start a bus with `safebus up`, then run this. The child is of the demonstration's register, so a school, a health
visitor and a council have her in their care; nobody in it exists.
"""

import asyncio
import uuid
from datetime import UTC, date, datetime

from safebus import (
    ChildAtIncident,
    ClaimedBasis,
    EncompassPayload,
    OperationEncompass,
    Person,
    PersonRole,
    Publisher,
    Sender,
    settings,
)

mine = settings.load()  # what `safebus up` wrote into .safebus: where the broker is, and this agency's own secret
now = datetime.now(UTC)

event = OperationEncompass(
    event_id=str(uuid.uuid4()),
    occurred_at=now,
    recorded_at=now,
    published_at=now,
    publisher=Sender(agency="fordshire-police", org_scheme="CJS-OU", org_code="99", org_name="Fordshire Police"),
    subjects=(
        Person(
            ref="child",
            role=PersonRole.CHILD,
            given_name="Ava",
            family_name="Hart",
            date_of_birth=date(2015, 3, 2),
            nhs_number="9990079196",
        ),
    ),
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
    secret = mine.case_secret("fordshire-police")
    async with Publisher(mine.connection(), agency="fordshire-police", case_secret=secret) as publisher:
        accepted = await publisher.publish(event, case="my case 1")  # returns when the broker has it
    print(accepted)
    print(f"now: .venv/bin/safebus explain {event.event_id}")


asyncio.run(main())
