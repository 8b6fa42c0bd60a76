"""What is this application told of an incident?"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from deploy import AGENCY
from safebus import (
    ChildAtIncident,
    ClaimedBasis,
    EncompassPayload,
    OperationEncompass,
    Person,
    PersonRole,
    Sender,
)


class Incident(BaseModel):
    """Its id and its times are the caller's, so that whoever repeats a request repeats the event."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: str
    case: str
    reference: str
    told_at: datetime

    def event(self) -> OperationEncompass:
        return OperationEncompass(
            event_id=self.id,
            occurred_at=self.told_at,
            recorded_at=self.told_at,
            published_at=self.told_at,
            publisher=Sender(agency=AGENCY, org_scheme="CJS-OU", org_code="99", org_name="Fordshire Police"),
            subjects=(Person(ref="child", role=PersonRole.CHILD, nhs_number="9990079196"),),
            claimed_basis=ClaimedBasis(art6="A6-1-c", gateway="DAA21-49A"),
            purpose="safeguarding",
            payload=EncompassPayload(
                police_reference=self.reference,
                incident_type="domestic abuse",
                children=(ChildAtIncident(subject_ref="child", present=True, spoken_to=False),),
            ),
        )
