"""
What do a thousand events look like that share nothing but their schemas?

Drawn by a seeded `Random`, which takes a thousandth of the time that Hypothesis takes: here the encoders are tried, and
every run tries them with the same events.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from random_events import NHS_NUMBERS, TYPES, UPNS

from safebus.schemas import labels
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import EVENT_CLASSES, PLAN_CODES, PlanType

#: Of one, two, three and four bytes in UTF-8, some that meet a border, and what editors and terminals choke on.
SIGNS = "abz AZ09'\"\\\n\t\x7f\x80éß\u07ff\u0800€\u2028\ud7ff\ue000\ufeff\ufffd\uffff𐀀😀\U0010ffff"
#: The largest whole number that avsc writes; it is one less than JavaScript's own.
MOST = 2**53 - 2
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def text(chance: random.Random) -> str:
    return "".join(chance.choices(SIGNS, k=chance.choice([1, 2, 5, 12, 12, 70])))


def agency(chance: random.Random) -> str:
    return "htest-" + "".join(chance.choices("abc019-", k=chance.randint(1, 30)))


def new_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _perhaps(made: Callable[[random.Random], Any]) -> Callable[[random.Random], Any]:
    return lambda chance: None if chance.random() < 0.4 else made(chance)


#: Where the world allows less than the schema does.
_MADE: dict[str, Callable[[random.Random], Any]] = {
    "event_id": new_id,
    "supersedes_event_id": new_id,
    "agency": agency,
    "works_for": lambda chance: [agency(chance) for _ in range(chance.choice([0, 0, 1, 2, 20]))],
    "lines": lambda chance: [text(chance) for _ in range(chance.choice([*range(8), *range(8), 105]))],
    "nhs_number": _perhaps(lambda chance: chance.choice(NHS_NUMBERS)),
    "superseded_nhs_number": _perhaps(lambda chance: chance.choice(NHS_NUMBERS)),
    "upn": _perhaps(lambda chance: chance.choice(UPNS)),
    "local_id": _perhaps(lambda chance: f"AB-{chance.randint(1, 99_999)}"),
    "purpose": lambda chance: "p" + "".join(chance.choices("abc019_", k=chance.randint(0, 59))),
    "sequence": _perhaps(lambda chance: chance.choice([0, 1, 63, 64, 8191, 8192, 2**31, MOST])),
    "previous_incidents": _perhaps(lambda chance: chance.choice([0, 1, 63, 64, 8191, 8192, 100_000])),
    "attendances_last_year": _perhaps(lambda chance: chance.randint(0, 1000)),
    "refrain": lambda chance: chance.sample(sorted(labels.REFRAIN), chance.randint(0, 2)),
    "obligations": lambda chance: chance.sample(sorted(labels.OBLIGATIONS), chance.randint(0, 2)),
}


def event(chance: random.Random, event_type: str) -> dict[str, Any]:
    """A valid event of this type, as the plain values that Avro writes."""
    record: dict[str, Any] = _value(event_schemas().of(event_type).raw, {}, chance)
    record["event_type"] = event_type
    people = record["subjects"]
    for number, person in enumerate(people):
        person["ref"] = f"p{number}"
        if EVENT_CLASSES[event_type].ABOUT_ONE:
            person["role"] = "OTHER_ADULT"
    people[0]["role"] = chance.choice(["CHILD", "UNBORN_CHILD", "PERSON"])
    _put_in_order(record)
    payload = record["payload"]
    if "plan_type" in payload:
        payload["snomed_code"] = PLAN_CODES[PlanType(payload["plan_type"])]
    if "children" in payload:
        about = [person["ref"] for person in people if person["role"] in ("CHILD", "UNBORN_CHILD", "PERSON")]
        told = zip(payload["children"], about, strict=False)
        payload["children"] = [child | {"subject_ref": ref} for child, ref in told]
    return record


def events(count: int, *, seed: int = 13) -> list[tuple[str, dict[str, Any]]]:
    """(type, event) of so many, of every type in turn; the same for the same seed."""
    chance = random.Random(seed)
    return [(TYPES[n % len(TYPES)], event(chance, TYPES[n % len(TYPES)])) for n in range(count)]


def _value(node: Any, named: dict[str, Any], chance: random.Random) -> Any:
    if isinstance(node, list):
        inner = _value(node[1], named, chance)  # always, for a named type is learnt where it stands
        return inner if chance.random() < 0.6 else None
    if isinstance(node, str):
        node = named.get(node, node)
    if isinstance(node, dict) and "name" in node:
        named[node["name"]] = node
    kind = node if isinstance(node, str) else node.get("logicalType", node["type"])
    if kind == "record":
        return {
            field["name"]: made(chance) if (made := _MADE.get(field["name"])) else _value(field["type"], named, chance)
            for field in node["fields"]
        }
    if kind == "array":
        least = 1 if isinstance(node["items"], dict) else 0
        return [_value(node["items"], named, chance) for _ in range(chance.choice([least, 1, 1, 2, 3]))]
    if kind == "enum":
        return chance.choice(node["symbols"])
    return {
        "string": lambda: text(chance),
        "boolean": lambda: chance.random() < 0.5,
        "date": lambda: date.fromordinal(chance.randint(1, date.max.toordinal())),
        "timestamp-millis": lambda: _FIRST + timedelta(milliseconds=chance.randint(-62_135_596_800_000, 2**47)),
    }[kind]()


def _put_in_order(record: dict[str, Any]) -> None:
    """Move its times so that they can have come one after the other."""
    names = ("occurred_at", "recorded_at", "published_at")
    record |= dict(zip(names, sorted(record[name] for name in names), strict=True))
    payload, last = record["payload"], record["published_at"]
    for first, then in (("start_date", "end_date"), ("start_date", "delete_date"), ("arrived_at", "left_at")):
        if payload.get(then) is not None:
            payload[then] = max(payload[first], payload[then])
    for name in ("arrived_at", "left_at", "died_at"):
        if payload.get(name) is not None:
            payload[name] = min(payload[name], last)
    for person in record["subjects"]:
        born = person["date_of_birth"]
        person["date_of_birth"] = born and min(born, last.date(), (payload.get("died_at") or last).date())
