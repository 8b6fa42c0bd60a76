"""On a bus that is about real people, a number that nobody was ever given stands for nobody."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from a_register import demo, put

from safebus.schemas.errors import BadRegister
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.keys import PersonKey
from safebus.streams.register.entries import Entry, read_folder

KEY = PersonKey(b"k" * 32)
REAL = "people_here:\n  - {are: real}\n"
SYNTHETIC = "people:\n  - {alias: ava, nhs_number: '9990079196'}\n"
SAID = (
    "`people.yaml` line 2: person `ava` has an NHS number that is for trying only and nobody's, and this bus is about "
    "real people; give theirs"
)


def read(files: Mapping[str, str], *, real_people: bool = False) -> list[Entry]:
    return read_folder(files, KEY, event_schemas(), real_people=real_people)


def test_a_bus_that_says_nothing_is_one_to_try_with() -> None:
    assert not demo().real_people
    assert len(read({"people.yaml": SYNTHETIC})) == 1


@pytest.mark.parametrize(
    "person",
    ["nhs_number: '9990079196'", "upn: X313000026001, superseded_numbers: ['9990079196']"],
    ids=["now", "before"],
)
def test_a_register_of_real_people_takes_no_number_that_is_for_trying(person: str) -> None:
    people = f"people:\n  - {{alias: ava, {person}}}\n"
    for files, known in (({"people.yaml": people, "a.yaml": REAL}, False), ({"people.yaml": people}, True)):
        with pytest.raises(BadRegister) as refused:
            read(files, real_people=known)
        assert refused.value.problems == [SAID]


def test_real_numbers_are_taken_and_what_the_folder_says_counts() -> None:
    ours = "people:\n  - {alias: ava, nhs_number: '4010232137'}\n"
    invented = "people_here:\n  - {are: invented}\n"

    assert len(read({"people.yaml": ours, "a.yaml": REAL})) == 2
    assert len(read({"people.yaml": SYNTHETIC, "a.yaml": invented}, real_people=True)) == 2


def test_the_register_keeps_it() -> None:
    register = demo()
    put(register, "people_here", "people_here", {"are": "real"})
    assert register.real_people

    put(register, "people_here", "people_here", {"are": "invented"})
    assert not register.real_people


def test_somebody_known_by_a_name_that_is_none_is_nobody() -> None:
    with pytest.raises(BadRegister, match="person `x` has no identifier"):
        read({"people.yaml": "people:\n  - {alias: x, family_name: Unknown, date_of_birth: 1990-02-03}\n"})
