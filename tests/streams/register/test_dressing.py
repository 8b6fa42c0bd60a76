"""A register is the same whichever secrets its records were written under."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from a_register import ENTRIES, FOLDER, NOON, demo, put, record
from a_register import KEY as FIRST
from a_token import OF_THE_FIRST

from safebus.schemas import codec
from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput, BadRegister
from safebus.schemas.keys import PersonKey
from safebus.streams.register import dressing
from safebus.streams.register.changes import left_out
from safebus.streams.register.store import Register, body_of
from safebus.streams.register.write import as_records, ending_record, register_of, request_digest, switching_record

KEY = PersonKey(FIRST.secret, (b"l" * 32, b"m" * 32))
RECORDS = as_records(ENTRIES, at=NOON, by="test", reason="test")


def loaded(written: list[RegisterRecord], key: PersonKey = KEY) -> Register:
    """As whoever follows the register takes them in."""
    register = Register()
    for offset, each in enumerate(written):
        register.apply(offset, dressing.plain(each, key))
    return register


def standing(register: Register) -> dict[str, str]:
    return {record_id: body_of(entry) for record_id, (_, entry) in register.entries().items()}


@pytest.mark.parametrize("generations", [[1], [2], [1, 2], [3, 1, 2]])
def test_a_register_of_several_generations_is_the_one_of_the_newest(generations: list[int]) -> None:
    written = [
        dressing.dressed(each, KEY.of(generations[number % len(generations)])) for number, each in enumerate(RECORDS)
    ]

    assert standing(loaded(written)) == standing(demo())
    assert loaded(written).persons == demo().persons and loaded(written).tied() == demo().tied()


def test_nothing_of_a_person_is_written_as_the_first_secret_makes_it() -> None:
    written = [dressing.dressed(each, KEY.of(2)) for each in RECORDS]
    kinds = {each.kind for each in written if "/2." in each.record_id}

    assert not any(OF_THE_FIRST.search(text) for each in written for text in (each.record_id, each.body or ""))
    assert any(OF_THE_FIRST.search(each.record_id) for each in RECORDS if each.kind == "person")
    assert kinds == {"person", "involvement", "affiliation", "consent"}


def test_an_entry_that_was_written_before_is_ended_and_comes_back_after() -> None:
    """Its id is another on the topic, and the same entry."""
    before = demo()
    record_id = next(each for each in before.entries() if each.startswith("involvement/"))
    ended = ending_record(record_id, before, at=NOON, by="test", reason="test")
    written = dressing.dressed(ended, KEY.of(2))
    register = loaded([*RECORDS, written])

    assert written.record_id != record_id not in register.entries() and written.body is None
    assert dressing.plain_id(written.record_id, KEY) == record_id == dressing.plain_id(record_id, KEY)
    assert dressing.dressed_id(record_id, KEY.of(2)) == written.record_id
    assert dressing.dressed_id("partner/haven", KEY.of(2)) == dressing.plain_id("partner/haven", KEY) == "partner/haven"


def test_what_cannot_be_read_or_written_is_said() -> None:
    written = dressing.dressed(next(each for each in RECORDS if each.kind == "person"), KEY.of(3))
    odd = record("involvement/1", "involvement", None)

    with pytest.raises(BadInput, match=r"an entry of kind `person`: generation 3 of the bus's secret is not here"):
        dressing.plain(written, PersonKey(FIRST.secret, (b"l" * 32,)))
    with pytest.raises(BadInput, match=r"an entry of kind `involvement`: what stands for a person has 32 hex digits"):
        dressing.dressed(odd, KEY.of(2))
    assert dressing.plain(odd, KEY) is odd


def test_a_register_says_which_generation_counts_from_which_offset() -> None:
    register = demo()
    record = switching_record(register, KEY, at=NOON, by="test", reason="stolen")
    before = register.generation
    register.apply(register.offset + 1, record)
    again = register_of(ENTRIES, at=NOON)

    assert (before, register.generation, again.generation) == (1, 2, 1)
    assert (record.record_id, record.kind) == ("token_key/2", "token_key")
    assert json.loads(record.body or "") == {
        "generation": 2,
        "fingerprint": KEY.of(2).fingerprint,
        "digest_fingerprint": KEY.of(2).digests.fingerprint,
    }
    assert codec.decode_record(codec.encode_record(record), RegisterRecord) == record
    assert dressing.dressed(record, KEY.of(2)) == record


def test_two_persons_ask_for_the_same_switch() -> None:
    """What is compared says nothing of when."""
    one, other = (switching_record(demo(), KEY, at=at, by="x", reason="x") for at in (NOON, NOON + timedelta(days=1)))

    assert request_digest([one], KEY) == request_digest([other], KEY)


def test_an_event_that_was_published_before_the_switch_keeps_its_ids() -> None:
    """It may come again after it, and a day is given for clocks."""
    register = demo()
    at_once = register.generation_for_ids(NOON)
    for number in (2, 3):
        at = NOON + timedelta(days=10 * number)
        register.apply(register.offset + 1, switching_record(register, KEY, at=at, by="test", reason="test"))
    days = (0, 20, 20.9, 21, 30.9, 31, 400)
    found = [register.generation_for_ids(NOON + timedelta(days=each)) for each in days]

    assert (at_once, found) == (1, [1, 1, 1, 2, 2, 3, 3])


def test_there_is_no_way_back() -> None:
    register = demo()
    second = switching_record(register, KEY, at=NOON, by="test", reason="test")
    register.apply(register.offset + 1, second)
    register.apply(register.offset + 1, second)  # written twice it is the same
    third = switching_record(register, KEY, at=NOON, by="test", reason="test")
    register.apply(register.offset + 1, third)

    with pytest.raises(BadRegister, match="generation 2 of the bus's secret, and 3 is in use: there is no way back"):
        register.apply(register.offset + 1, second)
    with pytest.raises(BadRegister, match="generation none of the bus's secret, and 3 is in use"):
        put(register, "token_key/3", "token_key", None)
    with pytest.raises(BadInput, match=r"cannot be ended; `safebus keys rotate` makes the secret that follows it"):
        ending_record("token_key/3", register, at=NOON, by="test", reason="test")
    assert register.generation == 3


def test_nothing_is_switched_to_that_was_not_made() -> None:
    with pytest.raises(BadInput, match="and the next one is not here; `safebus keys rotate person` makes it"):
        switching_record(demo(), FIRST, at=NOON, by="test", reason="test")


def test_the_secret_in_use_is_not_missing_from_a_folder() -> None:
    register = demo()
    register.apply(register.offset + 1, switching_record(register, KEY, at=NOON, by="test", reason="test"))

    assert left_out(FOLDER, register, FIRST) == []


def test_a_partner_that_is_paused_by_a_command_is_not_missing_from_a_folder() -> None:
    register = demo()
    pause = {"partner": "ash-primary", "paused": True, "said_at": NOON.isoformat()}
    put(register, "deliveries/ash-primary", "deliveries", pause)

    assert left_out(FOLDER, register, FIRST) == []
