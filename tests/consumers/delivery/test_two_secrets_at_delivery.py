"""An adapter knows a child by each token it ever had, and proves bytes by the secret they were decided under."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from an_attempt import ON_A_DUTY, Partner

from safebus.consumers.adapters.adapter import Parcel, PartnerAnswer, Reply
from safebus.consumers.delivery.attempt import Delivery
from safebus.consumers.delivery.cases import Cases, Item
from safebus.consumers.delivery.source import Waiting
from safebus.schemas import codec
from safebus.schemas.bus_records import Notification, Reason
from safebus.schemas.keys import PersonKey

BUS = PersonKey(b"k" * 32, (b"l" * 32,))
KEY = BUS.digests
CHILD, OTHER = BUS.token("nhs", "9990079196"), BUS.token("nhs", "9990237573")


def of(child: str, generation: int, **changes: Any) -> Notification:
    return ON_A_DUTY.model_copy(update={"subject_token": KEY.of(generation).dressed(child), **changes})


def item(number: int, child: str, generation: int, **changes: Any) -> Item:
    notification = of(child, generation, notification_id=f"n-{number}", **changes)
    return Item.of(notification, codec.encode_record(notification), KEY, waiting=Waiting(0, number, b""))


def test_what_a_partner_learns_about_one_child_comes_in_order_across_the_change() -> None:
    cases = Cases()
    for each in (item(1, CHILD, 1), item(2, CHILD, 2), item(3, OTHER, 2)):
        cases.add(each)

    assert [[i.waiting.offset for i in case.queue] for case in cases.free()] == [[1, 2], [3]]


def test_what_takes_back_finds_what_it_takes_back_across_the_change() -> None:
    cases, wrong = Cases(), item(1, CHILD, 1)
    cases.add(wrong)
    cases.add(item(2, CHILD, 2, takes_back="n-1"))

    assert wrong.taken_back


def test_bytes_are_proved_by_the_secret_they_were_decided_under() -> None:
    """So a redrive a year later, and a redo, are the same delivery."""
    for generation in (1, 2):
        notification = of(CHILD, generation)
        value = codec.encode_record(notification)
        delivery = Delivery.of(notification, value, KEY)

        assert delivery.digest == BUS.of(generation).digest(value) == Delivery.of(notification, value, KEY.of(2)).digest


class Asked(Partner):
    """Notes of whom the register is asked, and which case a parcel is of."""

    def why_not(self, notification: Notification, now: datetime) -> Reason | None:
        self.done.append(f"about {notification.subject_token}")
        return None

    @asynccontextmanager
    async def prepare(self, parcel: Parcel) -> AsyncIterator[PartnerAnswer]:
        self.done.append(f"case {parcel.case}")
        yield PartnerAnswer(Reply.ACCEPTED, "")


async def test_the_register_is_asked_and_the_partner_told_of_the_same_child_whichever_secret(
    partner: Partner,
) -> None:
    """And what is on record is written as the notification is."""
    asked = Asked(partner.connection)
    await asked.outbound.start()
    for number in (1, 2):
        notification = of(CHILD, number, notification_id=f"0000000{number}-0000-8000-8000-000000000000")
        await asked.make(Delivery.of(notification, codec.encode_record(notification), KEY))
    await asked.outbound.stop()

    assert {each for each in asked.done if each.startswith("about")} == {f"about {CHILD}"}
    assert [each for each in asked.done if each.startswith("case")] == [f"case {CHILD}"] * 2
    assert [r.subject_token for r in await asked.receipts()] == [CHILD, KEY.of(2).dressed(CHILD)]
