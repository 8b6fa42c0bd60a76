"""Whoever holds something on a consent that has ended is told of it, or a person hears that they were not."""

from __future__ import annotations

import pytest
from an_attempt import KEY, NOON, ON_A_DUTY, ON_CONSENT

from safebus.consumers.audit.untold import Untold, untold
from safebus.consumers.delivery import stages
from safebus.consumers.delivery.ledger import Ledger
from safebus.deploy.local.brokers import Broker
from safebus.schemas import topics
from safebus.schemas.bus_records import Notification, Stage
from safebus.schemas.kafka.connection import Connection
from safebus.schemas.kafka.writer import Writer

PERSON = "f" * 32
EVENT = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("notice", ["none", "taken", "refused"])
async def test_of_each_notice_that_is_owed_a_receipt_tells(broker: Broker, fresh: str, notice: str) -> None:
    partner = f"{fresh}-school"
    broker.create_topics({topics.receipts_from(partner): 4})
    connection = Connection(broker.bootstrap)
    outbound = Writer(connection, client_id="test")
    await outbound.start()
    ledger = Ledger(connection, outbound, partner=partner, transport="folder")
    await ledger.load()

    def named(notification: Notification, number: int) -> Notification:
        ids = {"notification_id": f"00000000-0000-4000-8000-00000000009{number}", "event_id": EVENT}
        return notification.model_copy(update={**ids, "recipient": partner, "subject_token": PERSON})

    owed, duty, waits = named(ON_CONSENT, 1), named(ON_A_DUTY, 2), named(ON_CONSENT, 3)
    for one, stage in ((owed, Stage.HANDED_OVER), (duty, Stage.HANDED_OVER), (waits, Stage.WAITING)):
        await ledger.write(one, stage, digest="d" * 64, attempt=1, at=NOON, answer="202", reason="")
    if notice != "none":
        reason = stages.ended_how("withdrawn") if notice == "taken" else "refused_by_partner"
        delivered = ledger.on_consent()[owed.notification_id]
        await ledger.write_notice(owed.notification_id, delivered, at=NOON, answer="202", reason=reason)
    await outbound.stop()
    asked = []

    def ended(**about: str) -> str | None:
        asked.append(about)
        return "withdrawn"

    found = await untold(connection, [partner, f"{fresh}-no-topic"], ended=ended, key=KEY.digests)

    mine = {"person": PERSON, "meaning": "service_agreement", "purpose": ON_CONSENT.purpose, "partner": partner}
    assert found == ([Untold(partner, owed.notification_id, EVENT, "withdrawn")] if notice == "none" else [])
    assert asked == ([mine] if notice == "none" else [])
    assert await untold(connection, [partner], ended=lambda **_: None, key=KEY.digests) == []
