"""What is parked stays in sight until it is handed over or stopped, however often a person sends it again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from a_parcel import ID
from an_attempt import KEY, NOON, ON_A_DUTY, ON_CONSENT, PARTNER, WITHDRAWN, Partner, delivery

from safebus.consumers.adapters.adapter import Reply
from safebus.consumers.delivery import parked
from safebus.consumers.delivery.ledger import Ledger, Tried
from safebus.consumers.delivery.parked import LastTry, Said
from safebus.consumers.delivery.stages import code_of
from safebus.schemas import codec, topics
from safebus.schemas.bus_records import Stage
from safebus.schemas.errors import BadInput
from safebus.schemas.kafka.writer import Message
from safebus.schemas.own_records import Strange


async def redrive(partner: Partner) -> Said:
    found = await parked.find(partner.connection, PARTNER, ID)
    deliveries = [parked.again(found, KEY.digests, "they asked")]
    [said] = [
        said
        async for said in parked.redrive(
            partner.connection, PARTNER, deliveries, adapter=partner, recheck=partner, clock=lambda: NOON
        )
    ]
    return said


async def listed(partner: Partner) -> list[tuple[str, str]]:
    found = await parked.waiting(partner.connection, PARTNER)
    return [(p.notification.notification_id, p.reason) for p in found]


@pytest.mark.parametrize("reply", sorted(set(Reply) - {Reply.ACCEPTED, Reply.HELD_BACK}))
async def test_one_that_the_partner_does_not_take_stays_parked_and_is_on_record(partner: Partner, reply: Reply) -> None:
    await partner.park()
    partner.answers = [reply]
    said = await redrive(partner)

    last = (await partner.receipts())[-1]
    assert said == Said(ID, False, "the partner answered its code; it stays parked", True)
    assert (last.stage, last.attempt, last.answer) == (Stage.PARKED, 2, "its code")
    assert last.reason.endswith("; redriven: they asked")
    assert await listed(partner) == [(ID, "other_content")]
    # Whoever looks next sees what the partner said now, and not only why it was parked then.
    now = (await parked.find(partner.connection, PARTNER, ID)).last
    assert now == LastTry(NOON, code_of(last.reason), "its code", by_hand=True)


async def test_one_that_the_partner_takes_is_no_longer_parked(partner: Partner) -> None:
    await partner.park()
    partner.answers = [Reply.BUSY, Reply.ACCEPTED]
    first, second = await redrive(partner), await redrive(partner)

    assert not first.handed_over
    assert second == Said(ID, True, "handed over, answer its code")
    assert [r.stage for r in await partner.receipts()] == [Stage.PARKED, Stage.PARKED, Stage.HANDED_OVER]
    assert await listed(partner) == []
    with pytest.raises(BadInput, match="nothing is parked for `ash-primary`"):
        await redrive(partner)


async def test_one_that_is_no_longer_permitted_is_stopped_and_no_longer_parked(partner: Partner) -> None:
    await partner.park(ON_CONSENT)
    partner.refusal = WITHDRAWN
    said = await redrive(partner)

    assert said == Said(ID, False, "not handed over: CONSENT_WITHDRAWN")
    assert partner.done == ["register"]
    assert await listed(partner) == []


async def test_one_that_cannot_be_read_stays_parked(partner: Partner) -> None:
    """Whoever can make it readable finds it on the list."""
    await partner.park()
    partner.readable = False
    said = await redrive(partner)

    assert said == Said(ID, False, "not handed over: view_not_readable")
    assert await listed(partner) == [(ID, "other_content")]


async def test_a_restarted_adapter_does_not_try_what_a_person_has_sent_again(partner: Partner) -> None:
    await partner.park(ON_CONSENT)
    partner.answers = [Reply.BUSY]
    await redrive(partner)
    ledger = Ledger(partner.connection, None, partner=PARTNER, transport="folder")
    await ledger.load()

    ended = ledger.ended(ID)
    assert (ended is not None and ended.stage, ledger.tried(ID), ledger.attempts(ID)) == (Stage.PARKED, Tried(), 2)


async def test_what_the_bus_did_not_park_is_named_and_hides_nothing(partner: Partner) -> None:
    haven = ON_CONSENT.model_copy(update={"recipient": "haven"})
    await partner.outbound.send_all(
        Message(topics.parked_for(PARTNER), b"k", value, [("sb_reason", b"\xff")])
        for value in (b"junk", codec.encode_record(haven))
    )
    await partner.outbound.send_all(
        [Message(topics.parked_for(PARTNER), b"k", codec.encode_record(ON_CONSENT), [("sb_reason", None)])]  # type: ignore[list-item]
    )
    await partner.park()
    strange: list[Strange] = []

    found = await parked.waiting(partner.connection, PARTNER, on_strange=strange.append)

    assert [p.notification.notification_id for p in found] == [ID]
    assert [s.reason for s in strange] == ["UNKNOWN_SCHEMA", "NOT_THIS_TOPICS"]


async def test_one_that_was_handed_over_and_is_sent_again_is_parked_if_it_is_not_taken(partner: Partner) -> None:
    """A partner was restored from yesterday's copy: what it does not take again must be in sight."""
    partner.answers = [Reply.ACCEPTED, Reply.REFUSED, Reply.ACCEPTED]
    await partner.make(delivery())
    deliveries = [replace(delivery(redriven="restored"), repeated=True)]
    said = [
        each
        async for each in parked.redrive(
            partner.connection, PARTNER, deliveries, adapter=partner, recheck=partner, clock=lambda: NOON
        )
    ]

    assert said == [Said(ID, False, "the partner answered its code; it is parked", True)]
    assert await listed(partner) == [(ID, "refused_by_partner")]
    assert (await redrive(partner)).handed_over
    assert partner.repeated == [False, True, True]


@pytest.mark.parametrize(("although_paused", "tried"), [(False, 1), (True, 2)])
async def test_a_pause_that_comes_in_between_holds_for_what_a_person_sends(
    partner: Partner, although_paused: bool, tried: int
) -> None:
    """Whoever paused the partner had a reason, and whoever sends four hundred may not know of it."""
    partner.answers = [Reply.ACCEPTED, Reply.ACCEPTED]
    partner.paused = True  # once the first is ready to go
    another = ON_A_DUTY.model_copy(update={"notification_id": ID.replace("0001", "0002")})
    deliveries = [delivery(redriven="mended"), delivery(another, redriven="mended")]
    said = [
        each
        async for each in parked.redrive(
            partner.connection,
            PARTNER,
            deliveries,
            adapter=partner,
            recheck=partner,
            clock=lambda: NOON,
            although_paused=although_paused,
        )
    ]

    assert [each.handed_over for each in said] == [True] * tried
