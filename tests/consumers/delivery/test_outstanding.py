"""What stands on a consent is kept for years: all of it, in few bytes, and without making anybody wait."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from an_attempt import KEY, PARTNER

from safebus.consumers.delivery.ledger import Ledger, Receipts
from safebus.consumers.delivery.measures import CourierFacts
from safebus.consumers.delivery.notices import LOOK_EVERY, ONE_PART_IN, Notices
from safebus.consumers.delivery.outstanding import Delivered, Outstanding, Voice
from safebus.schemas.kafka.connection import Connection

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def uuid_of(number: int) -> str:
    return f"6f1c0f9e-0000-4000-8000-{number:012}"


def delivered(number: int, purpose: str = "temporary_accommodation_notice") -> Delivered:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return Delivered(digest, uuid_of(number), digest[:32], purpose, "service_agreement")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (uuid_of(1), delivered(1)),
        (uuid_of(2), delivered(2, purpose="")),
        (uuid_of(3).upper(), Delivered("ABCD", "abc", "2." + "a" * 32, "ünïcode", None)),
        ("", Delivered("", "", "", "", "")),
        ("abc-def", Delivered("ab cd", "-", "a" * 400, "a-b", "c" * 300)),
        ("0" * 32, Delivered("0" * 31, "0" * 30, "0" * 36, "x", "y")),
    ],
)
def test_what_goes_in_comes_out_whatever_it_is(key: str, value: Delivered) -> None:
    """A receipt that names what the bus would not write must not be taken for another."""
    held = Outstanding()
    held[key] = value

    assert held == {key: value}
    voice = Voice(key, value.subject_token, value.purpose, value.consent_meaning)
    assert (list(held.voices()), key in held, f"{key}0" in held) == ([voice], True, False)


def test_what_was_told_is_there_no_more_and_does_not_disturb_who_looks() -> None:
    held = Outstanding()
    for number in range(4):
        held[uuid_of(number)] = delivered(number)
    looking = held.voices()
    seen = [next(looking).notification_id]
    held.discard(uuid_of(2))
    held.discard("not there")
    held[uuid_of(9)] = delivered(9)
    seen += [voice.notification_id for voice in looking]

    assert seen == [uuid_of(0), uuid_of(1), uuid_of(3)]
    assert set(held) == {uuid_of(0), uuid_of(1), uuid_of(3), uuid_of(9)}


def test_each_takes_at_most_300_bytes() -> None:
    """So 100 000 of one partner are 30 MB; as plain values they were 62."""
    count, held = 20_000, Outstanding()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        held[uuid_of(number)] = delivered(number)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (after - before) / count < 300


@dataclass
class Register:
    """A register in which the consents of some have ended, and which takes its time to look at each."""

    ended: frozenset[str]
    now: datetime = NOON
    takes: timedelta = timedelta(0)

    async def refresh(self) -> int:
        return 1

    def consent_ended(self, *, person: str, **_: Any) -> str | None:
        self.now += self.takes
        return "withdrawn" if person in self.ended else None

    def word(self, partner: str, now: datetime) -> None:
        return None


def notices(register: Any, held: Ledger) -> Notices:
    return Notices(
        partner=PARTNER,
        adapter=register,
        ledger=held,
        recheck=register,
        key=KEY.digests,
        facts=CourierFacts(),
        clock=lambda: register.now,
        jitter=lambda: 0.0,
    )


class JustRead(Receipts):
    """Nobody has written anything since."""

    def read_since(self, topic: str, when: datetime) -> bool:
        return True


def ledger(count: int) -> Ledger:
    nowhere = Connection("127.0.0.1:1")
    found = Ledger(nowhere, None, partner=PARTNER, transport="folder", receipts=JustRead(nowhere))
    for number in range(count):
        found.on_consent()[uuid_of(number)] = delivered(number)
    return found


async def test_alerts_go_out_while_very_many_are_looked_at() -> None:
    """Else nothing was handed over to anybody for seconds, at each change of the register."""
    turns = 0

    async def something_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(something_else())
    await asyncio.sleep(0)
    begun = turns
    await notices(Register(frozenset()), ledger(5_000)).round()
    beside.cancel()

    assert turns - begun >= 5_000 / 200


async def test_looking_takes_a_part_of_the_time_however_many_there_are() -> None:
    register = Register(frozenset(), takes=timedelta(milliseconds=10))
    few, many = notices(register, ledger(10)), notices(register, ledger(1_000))
    began = register.now
    await few.round()
    after_few = (few.due(began + LOOK_EVERY - timedelta(seconds=1)), few.due(began + LOOK_EVERY))
    began = register.now
    await many.round()  # ten seconds
    again_at = began + ONE_PART_IN * timedelta(seconds=10)

    assert after_few == (False, True)
    assert (many.due(again_at - timedelta(seconds=1)), many.due(again_at)) == (False, True)
