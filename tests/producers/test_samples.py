"""Families that do not exist: always the same for a seed, valid, and about nobody."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from safebus.deploy.local.up import DEMO_REGISTER
from safebus.producers import samples
from safebus.schemas import codec, identifiers
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import read_files
from safebus.streams.register.entries import read_folder

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def all_events(seed: int) -> list[bytes]:
    made = samples.families(seed, 20)
    events = [e for f in made for e in samples.incidents(seed, f, 3, agency="fordshire-police", since=SINCE)]
    return [codec.encode(event) for event in events]


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert all_events(7) == all_events(7)
    assert not set(all_events(7)) & set(all_events(8))


def test_every_number_is_valid_and_of_the_block_that_is_never_issued() -> None:
    people = [p for f in samples.families(7, 200) for p in (*f.children, f.mother, f.suspect)]
    numbers = [p.nhs_number or "" for p in people]

    assert len(set(numbers)) == len(numbers) == len([identifiers.nhs_number(n) for n in numbers])
    assert {n[:3] for n in numbers} == {"999"}
    assert all(re.fullmatch(r"07700 900\d{3}", p.phone) for p in people if p.phone)


def test_what_the_samples_publish_the_gate_lets_in() -> None:
    for value in all_events(7):
        assert codec.decode(value).value == value


def test_the_register_that_knows_them_loads_beside_the_demonstrations() -> None:
    files = read_files(DEMO_REGISTER)
    files["samples.yaml"] = samples.register_text(samples.families(7, 5), school="ash-primary")
    before = len(read_folder(read_files(DEMO_REGISTER), PersonKey(b"k" * 32), event_schemas()))

    assert len(read_folder(files, PersonKey(b"k" * 32), event_schemas())) > before + 15
