"""
Fixture F1 end to end: what exactly arrives in each partner's own system, and what does not.

Whole values are compared, so a field too many fails as surely as a field too few.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from a_bus import Bus

from safebus.deploy.local.demo import story, watch
from safebus.deploy.local.demo.demonstrate import NEEDLES, RECIPIENTS
from safebus.schemas.bus_records import Outcome

pytestmark = pytest.mark.flow

EVENT = {
    "event_id": story.incident().event_id,
    "event_type": "police.encompass.v1",
    "lifecycle": "NEW",
    "occurred_at": "2026-11-19T21:40:00.000Z",
    "recorded_at": "2026-11-19T23:05:00.000Z",
    "published_at": "2026-11-19T23:10:00.000Z",
    "purpose": "safeguarding",
    "urgency": "PRIORITY",
    "respond_by": None,
    "source_reliability": "REPORTED",
}
INCIDENT = {"police_reference": "TEST-4711", "incident_type": "domestic abuse, assault"}
AVA = {"given_name": "Ava", "family_name": "Hart", "date_of_birth": "2015-03-02"}
BEN = {"given_name": "Ben", "family_name": "Hart", "date_of_birth": "2017-09-14"}
CORA = {"given_name": "Cora", "family_name": "Hart", "date_of_birth": "2024-05-20"}
HOME = {"lines": ["12 Mill Lane", "Fordham"], "postcode": "ZZ99 3VZ", "uprn": None, "local_authority": "E99999999"}


async def received(bus: Bus, partner: str) -> list[dict[str, Any]]:
    """The released fields of every message about the incident, in the partner's own system."""
    parcels = await bus.partners.received(partner)
    return [p["fields"] for p in parcels if p["event_id"] == EVENT["event_id"]]


@pytest.fixture(scope="module")
def told() -> dict[str, list[dict[str, Any]]]:
    """What each partner must hold, field by field."""
    mash = {
        **EVENT,
        "publisher": {
            "agency": "fordshire-police",
            "org_scheme": "CJS-OU",
            "org_code": "99",
            "org_name": "Fordshire Police",
            "contact": "public protection desk, 01632 960101",
        },
        "adults": [
            {
                "role": "ADULT_VICTIM",
                "given_name": "Maya",
                "family_name": "Hart",
                "date_of_birth": "1990-06-11",
                "relationship": "mother",
                "phone": "07700 900123",
                "safe_to_call": False,
            }
        ],
        "alleged_perpetrators": [
            {
                "given_name": "Gary",
                "family_name": "Stone",
                "date_of_birth": "1986-01-30",
                "relationship": "mother's partner",
            }
        ],
    }
    mash_payload = {
        **INCIDENT,
        "incident_address": "12 Mill Lane, Fordham",
        "circumstances": "Neighbour called; mother injured; children upstairs and in the kitchen.",
        "risk_grade": "HIGH",
        "previous_incidents": 3,
    }
    sibling = {"relationship": None}

    def about(child: dict[str, Any], more: dict[str, Any], part: dict[str, Any], others: list[Any]) -> dict[str, Any]:
        return {
            **mash,
            "payload": {**mash_payload, "children": [part]},
            "subject": {**child, "home_address": HOME, "registered_gp": "ZZ001", **more},
            "other_children": [{**o, **sibling} for o in others],
        }

    ava_there = {"present": True, "spoken_to": True, "words": "I took Cora upstairs."}
    ben_there = {"present": True, "spoken_to": True, "words": "I hid under the table."}
    cora_there = {"present": True, "spoken_to": False, "words": None}
    health = {**EVENT, "adults": [{"relationship": "mother"}], "other_children_count": 2}
    return {
        "ash-primary": [
            {
                **EVENT,
                "payload": {**INCIDENT, "children": [ava_there]},
                "subject": {**AVA, "upn": "X313000026001"},
                "alleged_perpetrators": [{"relationship": "mother's partner"}],
            }
        ],
        "beech-primary": [],
        "fordshire-mash": [
            about(
                AVA,
                {"nhs_number": "9990079196", "upn": "X313000026001", "school": "Ash Primary School"},
                ava_there,
                [BEN, CORA],
            ),
            about(
                BEN,
                {"nhs_number": "9990237573", "upn": "L313000026002", "school": "Beech Primary School"},
                ben_there,
                [AVA, CORA],
            ),
            about(CORA, {"nhs_number": "9990316767", "upn": None, "school": None}, cora_there, [AVA, BEN]),
        ],
        "fordshire-0-19": [
            {
                **health,
                "payload": {**INCIDENT, "children": [{"present": True, "spoken_to": True}]},
                "subject": {**AVA, "nhs_number": "9990079196"},
            },
            {
                **health,
                "payload": {**INCIDENT, "children": [{"present": True, "spoken_to": False}]},
                "subject": {**CORA, "nhs_number": "9990316767"},
            },
        ],
        "haven": [
            {
                **EVENT,
                "payload": {**INCIDENT, "risk_grade": "HIGH", "previous_incidents": 3, "children": []},
                "subject": {
                    "given_name": "Maya",
                    "family_name": "Hart",
                    "date_of_birth": "1990-06-11",
                    "phone": "07700 900123",
                    "safe_to_call": False,
                },
                "alleged_perpetrators": [
                    {
                        "given_name": "Gary",
                        "family_name": "Stone",
                        "date_of_birth": "1986-01-30",
                        "relationship": "mother's partner",
                    }
                ],
                "other_children_count": 3,
            }
        ],
        "meadow-practice": [],
        "county-hospital": [],
        "fordshire-housing": [],
    }


async def test_each_partner_holds_exactly_what_its_agreement_releases(
    bus: Bus, told: dict[str, list[dict[str, Any]]]
) -> None:
    await bus.publish(story.incident(), case="TEST-4711")
    await bus.settled(story.incident())

    def by_child(views: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(views, key=lambda view: str(view["subject"]["given_name"]))

    held = {partner: by_child(await received(bus, partner)) for partner in RECIPIENTS}
    assert held == {partner: by_child(views) for partner, views in told.items()}


async def test_who_got_nothing_is_on_record_with_the_reason_and_whom_to_ring(bus: Bus) -> None:
    await bus.publish(story.incident(), case="TEST-4711")
    seen = await bus.settled(story.incident())

    answers = seen.decisions[story.incident().event_id].answers
    refused = {(a.recipient, r.code, r.rule, a.call) for a in answers if a.outcome is Outcome.REFUSE for r in a.reasons}
    desk = "Fordshire Police public protection desk, 01632 960101"
    assert refused == {
        ("beech-primary", "ADVERSARY", "ADVERSARY", desk),
        ("meadow-practice", "NO_AGREEMENT", "R01", desk),
        ("fordshire-housing", "NO_AGREEMENT", "R01", desk),
    }


async def test_the_refuge_is_in_no_byte_but_the_publishers_own(bus: Bus) -> None:
    """Every topic, every file, every log line and every partner's system is searched; the search can find."""
    incident, housing = story.incident(), story.moved_to_temporary_accommodation(1)
    await bus.publish(incident, housing, case="TEST-4711")
    await bus.settled(incident, housing)

    held = await watch.bytes_with(bus.connection, NEEDLES)
    own = {"in.fordshire-police", "in.fordshire-housing"}
    systems = [await bus.partners.received(partner) for partner in RECIPIENTS]
    assert {topic for topic, count in held.items() if count} == own
    assert [n for n in NEEDLES if n in str(systems)] == []
    assert files_with(bus.folder) == set()


def files_with(folder: Path) -> set[str]:
    """Files that hold a needle, leaving out the broker's own log of the publishers' topics."""
    found = set()
    for file in folder.rglob("*"):
        if not file.is_file() or any(
            part.startswith(("in.fordshire-police-", "in.fordshire-housing-")) for part in file.parts
        ):
            continue
        data = file.read_bytes()
        if any(needle.encode() in data for needle in NEEDLES):
            found.add(str(file.relative_to(folder)))
    return found


async def test_one_event_has_the_same_ids_wherever_it_is_decided(bus: Bus) -> None:
    """Ids follow from inputs and key: a repeat is known on any broker, and whoever has one works out no other."""
    await bus.publish(story.incident(), case="TEST-4711")
    seen = await bus.settled(story.incident())

    record = seen.decisions[story.incident().event_id]
    key = bus.settings.person_key()
    token = key.token("nhs", "9990079196")
    ash = next(a for a in record.answers if a.recipient == "ash-primary")
    assert ash.decision_id == key.id("decision", "fordshire-police", record.event_id, "ash-primary", token)
    assert ash.notification_id == key.id("notification", ash.decision_id)
