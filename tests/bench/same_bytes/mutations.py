"""
How does one event of the town differ from the one it is made of?

Some of it is everyday (another child, a correction, another urgency), some is what goes wrong at a publisher's, and
some is what an attacker sends. All of it is chance, so all of it meets all the rest.
"""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

_TEXTS = ("", "x", "Neighbour called; mother injured.", "Élan ﷺ 👧\n second line", "12 Mill Lane, Fordham " * 40)
_PROSE = ("circumstances", "officer_notes", "concern_text", "diagnosis", "conference_notes", "reason_for_homelessness")
_AGENCIES = ("county-hospital", "haven", "fordshire-mash", "fordshire-police", "nobody-of-the-register")
_NOT_IN_THE_REGISTER = ("9990554943", "9991234569")
_ABOUT = ("CHILD", "UNBORN_CHILD", "PERSON")
_BENS_UPN = "L313000026002"


def mutated(
    event: dict[str, Any],
    chance: random.Random,
    *,
    now: datetime,
    children: list[dict[str, Any]],
    earlier: list[str],
) -> None:
    """Make it an event of its own, at this moment."""

    def now_and_then(percent: float) -> bool:
        return chance.random() * 100 < percent

    _when(event, chance, now)
    event["event_id"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    event["urgency"] = chance.choice(("ROUTINE", "PRIORITY", "IMMEDIATE"))
    if earlier and now_and_then(25):
        event["lifecycle"] = chance.choice(("UPDATE", "CORRECT", "RETRACT"))
        event["supersedes_event_id"] = chance.choice(earlier[-30:])
        event["sequence"] = chance.randrange(9)
    if now_and_then(40) and len(event["subjects"]) == 1:
        event["subjects"] = [{**chance.choice(children), "ref": event["subjects"][0]["ref"]}]
    for field in _PROSE:
        if field in event["payload"] and now_and_then(30):
            event["payload"][field] = chance.choice((None, *_TEXTS))
    if now_and_then(5):
        event["handling"] = {"confidentiality": chance.choice("RRV"), "sensitivity": ["a", "b"]}
    if now_and_then(3):
        event["purpose"] = chance.choice(("record_accuracy", "research"))
    if now_and_then(4):
        event["publisher"]["agency"] = chance.choice(_AGENCIES)
    _people(event, chance)


def _when(event: dict[str, Any], chance: random.Random, now: datetime) -> None:
    # Some happened long ago, a few are dated ahead by a publisher's clock.
    happened = now - timedelta(
        minutes=chance.choice((90, 600, 6000, 60_000, -30)), microseconds=chance.randrange(10**6)
    )
    event["occurred_at"] = happened.isoformat()
    event["recorded_at"] = (happened + timedelta(minutes=30)).isoformat()
    event["published_at"] = (happened + timedelta(minutes=31)).isoformat()


def _people(event: dict[str, Any], chance: random.Random) -> None:
    subjects = event["subjects"]
    percent = chance.random() * 100
    if percent < 4:
        subjects[0]["family_name"] = "Other"
    elif percent < 7:
        subjects[0]["upn"] = _BENS_UPN
    elif percent < 10:
        subjects[0] |= {"nhs_number": chance.choice(_NOT_IN_THE_REGISTER), "upn": None}
    elif percent < 13:
        subjects[0] |= {"nhs_number": None, "upn": None, "local_id": chance.choice((None, "L-1"))}
    elif percent < 16:
        chance.choice(subjects)["confidentiality"] = chance.choice("RRV")
    elif percent < 21 and len(subjects) > 1:
        _twins(subjects, chance)
    elif percent < 22:
        subjects[0]["nhs_number"] = "9990079197"  # its check digit does not fit
    elif percent < 23 and len(subjects) > 1:
        subjects[1]["nhs_number"] = subjects[0]["nhs_number"]
    for person in subjects:
        if person["role"] == "ALLEGED_PERPETRATOR" and chance.random() < 0.1:
            person["works_for"] = [chance.choice(("ash-primary", "fordshire-mash"))]
        elif person["role"] not in _ABOUT and chance.random() < 0.05:
            person["nhs_number"] = None


def _twins(subjects: list[dict[str, Any]], chance: random.Random) -> None:
    """Two who are not born yet go by their mother's number."""
    mother = next((p["nhs_number"] for p in subjects if p["role"] == "ADULT_VICTIM"), None)
    subjects += [
        {"ref": f"twin-{i}", "role": "UNBORN_CHILD", "nhs_number": mother} for i in range(chance.choice((1, 2)))
    ]


def damaged(value: bytes, chance: random.Random) -> bytes:
    """Bytes that no correct encoder wrote, or once in a while did."""
    at = chance.randrange(len(value))
    how = chance.randrange(4)
    if how == 0:
        return value[:at]
    if how == 1:
        return value + bytes([chance.randrange(256)])
    flipped = value[at] ^ (1 << chance.randrange(8))
    return value[:at] + bytes([flipped]) + value[at + 1 :]
