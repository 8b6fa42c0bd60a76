"""
Events in which every text is a word that stands nowhere else, and where such words are found.

A word that turns up where nobody expects it shows a leak, whatever leaks it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from random_events import a_plain_event

from safebus.deploy.local.demo import story
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import EVENT_CLASSES, Event

#: Leaves of text that hold no word of anybody's choice: ids that travel, names of agencies, codes from fixed lists.
NOT_FREE = {
    "event_id", "event_type", "supersedes_event_id", "publisher.agency", "purpose", "subjects.works_for",
    "handling.refrain", "handling.obligations", "payload.snomed_code",
}  # fmt: skip

#: The same words as `subjects.ref`; and a number, as `subjects.nhs_number`.
SWAPPED_UNSEEN = {"payload.children.subject_ref", "payload.superseded_nhs_number"}

#: What identifies the people of the story -> what stands in its place, here and in the register's folder. Valid, and
#: never issued to anybody; what is not a number is a word that stands nowhere else.
SWAPPED = {
    "Ava": "Aqvetrana", "Ben": "Bqvetrano", "Cora": "Cqvetrana", "Maya": "Mqvetrana", "Gary": "Gqvetrano",
    "Hart": "Hqvetrart", "Stone": "Sqvetrone",
    "ava": "ref-qa", "ben": "ref-qb", "cora": "ref-qc", "maya": "ref-qm", "gary": "ref-qg",
    "9990079196": "9990633525", "9990237573": "9990554331", "9990316767": "9990712824", "9990395950": "9990870861",
    "9990475148": "9990791376",
    "X313000026001": "W31300002601A", "L313000026002": "U313000026055",
    "2015-03-02": "2015-03-07", "2017-09-14": "2017-09-19", "2024-05-20": "2024-05-23", "1990-06-11": "1990-06-17",
    "1986-01-30": "1986-01-27",
}  # fmt: skip


@dataclass
class Canaries:
    """
    What was planted.

    Attributes:
        where: Each word -> the leaf, or the argument, in which it was planted.
    """

    where: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def word(self, where: str) -> str:
        """A new one: letters, as nobody's name or code is made of."""
        # Unlike each other: what is like a safe address is withheld.
        made = hashlib.sha256(f"{where} {next(self._numbers)}".encode()).digest()
        found = "Zq" + "".join("bcdfghjklmnpqrstvwxyz"[byte % 21] for byte in made[:12])
        self.where[found] = where
        return found

    def event(self, event: Event) -> Event:
        """The same event, of which every text is a canary."""
        swapped = re.sub(r'"([^"]*)"', lambda found: f'"{SWAPPED.get(found[1], found[1])}"', event.model_dump_json())
        plain = json.loads(swapped)
        leaves = {
            leaf.path.replace("[]", ""): leaf.kind
            for leaf in event_schemas().of(event.event_type).leaves
            if leaf.kind in ("string", "strings")
        }
        known = {leaf for leaf in leaves if leaf.endswith(("nhs_number", ".upn", "subjects.ref", ".subject_ref"))}
        known |= {"subjects.given_name", "subjects.family_name"}
        self._plant(plain, {leaf: kind for leaf, kind in leaves.items() if leaf not in NOT_FREE | known}, "")
        for person in plain["subjects"]:
            for name in ("ref", "given_name", "family_name", "nhs_number", "upn", "date_of_birth"):
                if person[name] is not None:
                    self.where[person[name]] = f"subjects.{name}"
        return type(event).model_validate(plain)

    def _plant(self, value: dict[str, Any], leaves: Mapping[str, str], path: str) -> None:
        for name, inner in value.items():
            here = f"{path}.{name}".lstrip(".")
            if isinstance(inner, dict):
                self._plant(inner, leaves, here)
            elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
                for each in inner:
                    self._plant(each, leaves, here)
            elif here in leaves:
                value[name] = self.word(here) if leaves[here] == "string" else [self.word(here), self.word(here)]

    def found_in(self, data: bytes) -> set[str]:
        """Those that stand in these bytes."""
        return {word for word in self.where if word.encode() in data}

    def leaves_of(self, words: Iterable[str]) -> set[str]:
        """Where these were planted."""
        return {self.where[word] for word in words}


def stories() -> list[Event]:
    """One event of each type, about the people of the story."""
    told = [story.incident(), story.attendance(), story.protection_plan(), story.moved_to_temporary_accommodation(1)]
    change = a_plain_event("identity.change.v1")
    change["publisher"] |= {"agency": "nhs-england", "contact": "x"}
    change["subjects"] = [json.loads(story.CORA.model_dump_json())]
    change["payload"] |= {
        "change": "ADDRESS_CHANGED",
        "data_reference": "x",
        "record_version": "x",
        "new_address": {"lines": ["x"], "postcode": "x", "from_date": "2026-01-01"},
    }
    told.append(EVENT_CLASSES["identity.change.v1"].model_validate(change))
    assert {event.event_type for event in told} == set(event_schemas().current)
    return told


def swap_in_folder(file: Path) -> None:
    """The people of the story, in a register's folder."""
    text = file.read_text("utf-8")
    for old, new in SWAPPED.items():
        if not old.islower():  # an alias stands only in the folder
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
    file.write_text(text, "utf-8")
