"""
What do all events look like? Random ones of every type, and small ones to change by hand.

Random events are drawn from the Avro schema, not from our classes: so a class that accepts less than its
schema says, without a reason written here, fails a test.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from safebus.schemas import gate, labels
from safebus.schemas.event_schemas import EventSchema, event_schemas
from safebus.schemas.events import EVENT_CLASSES, PLAN_CODES, Event, PlanType

TYPES = sorted(EVENT_CLASSES)
#: Valid by modulus 11 and never issued to anyone.
NHS_NUMBERS = ("9990079196", "9990237573", "9990316767", "9990395950", "9990475148", "9990554331", "9990633525")
UPNS = ("X313000026001", "L313000026002", "W31300002601A")

_MOMENTS = st.integers(
    int((datetime(1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)),
    int((datetime(9999, 12, 31, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)),
).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)  # the gate takes no NUL

_WHAT_THE_WORLD_ALLOWS: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.uuids().map(str),
    "supersedes_event_id": st.none() | st.uuids().map(str),
    "agency": st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True),
    "works_for": st.lists(st.from_regex(r"[a-z][a-z0-9-]{1,39}", fullmatch=True), max_size=3),
    "nhs_number": st.none() | st.sampled_from(NHS_NUMBERS),
    "superseded_nhs_number": st.none() | st.sampled_from(NHS_NUMBERS),
    "purpose": st.from_regex(r"[a-z][a-z0-9_]{0,59}", fullmatch=True),
    "upn": st.none() | st.sampled_from(UPNS),
    "local_id": st.none() | st.from_regex(r"[A-Z]{2}-[1-9][0-9]{0,5}", fullmatch=True),
    "sequence": st.none() | st.integers(0, 2**63 - 1),
    "previous_incidents": st.none() | st.integers(0, 100_000),
    "attendances_last_year": st.none() | st.integers(0, 1000),
    "refrain": st.lists(st.sampled_from(sorted(labels.REFRAIN)), max_size=2),
    "obligations": st.lists(st.sampled_from(sorted(labels.OBLIGATIONS)), max_size=2),
}


#: Signs that no message of ours holds, so that one of them in a message is a leak.
CANARIES = "ᚠᚢᚦᚨ"


def records(raw: Any, *, signs: str | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Records under a schema, as plain Python values, where every string may be anything (of these signs)."""
    return _records(json.dumps(raw), signs)


# Made once for each schema: to make a strategy for every example takes longer than to draw from it.
@cache
def _records(raw: str, signs: str | None) -> st.SearchStrategy[dict[str, Any]]:
    text = st.text(signs, max_size=12) if signs else _TEXT
    return _values(json.loads(raw), {}, must_say_something=False, text=text)


@cache
def _that_say_something(event_type: str) -> st.SearchStrategy[dict[str, Any]]:
    return _values(event_schemas().of(event_type).raw, {}, must_say_something=True)


@st.composite
def event_records(draw: st.DrawFn, event_type: str) -> dict[str, Any]:
    """A valid event of this type, as plain Python values."""
    record = draw(_that_say_something(event_type))
    record["event_type"] = event_type
    subjects = record["subjects"] or [a_record(event_type)["subjects"][0]]
    for number, person in enumerate(subjects):
        person["ref"] = f"p{number}"
    subjects[0]["role"] = draw(st.sampled_from(["CHILD", "UNBORN_CHILD", "PERSON"]))
    if EVENT_CLASSES[event_type].ABOUT_ONE:
        for person in subjects[1:]:
            person["role"] = "OTHER_ADULT"
    record["subjects"] = subjects
    if "plan_type" in record["payload"]:
        record["payload"]["snomed_code"] = PLAN_CODES[PlanType(record["payload"]["plan_type"])]
    if record["supersedes_event_id"] == record["event_id"]:
        record["supersedes_event_id"] = None
    if record["lifecycle"] != "NEW" and record["supersedes_event_id"] is None:
        record["supersedes_event_id"] = str(draw(st.uuids()))  # what follows says what it follows
    if "children" in record["payload"]:
        about = [person["ref"] for person in subjects if person["role"] in ("CHILD", "UNBORN_CHILD", "PERSON")]
        told = zip(record["payload"]["children"], draw(st.permutations(about)), strict=False)
        record["payload"]["children"] = [child | {"subject_ref": ref} for child, ref in told]
    return record


def events(event_type: str) -> st.SearchStrategy[Event]:
    """A valid event of this type."""
    return event_records(event_type).map(EVENT_CLASSES[event_type].model_validate)


def _values(
    node: Any, named: dict[str, Any], *, must_say_something: bool, text: st.SearchStrategy[str] = _TEXT
) -> st.SearchStrategy[Any]:
    if isinstance(node, list):
        return st.none() | _values(next(b for b in node if b != "null"), named, must_say_something=False, text=text)
    if isinstance(node, str) and node in named:
        node = named[node]
    if isinstance(node, dict) and "name" in node:
        named[node["name"]] = node
    kind = node if isinstance(node, str) else node.get("logicalType", node["type"])
    if kind == "record":
        return st.fixed_dictionaries(
            {f["name"]: _field(f, named, must_say_something=must_say_something, text=text) for f in node["fields"]}
        )
    if kind == "array":
        return st.lists(_values(node["items"], named, must_say_something=must_say_something, text=text), max_size=3)
    if kind == "enum":
        return st.sampled_from(node["symbols"])
    return {
        "string": text.filter(len) if must_say_something else text,
        "bytes": st.binary(max_size=12),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "date": st.dates(),
        "timestamp-millis": _MOMENTS,
    }[kind]


def _field(
    field: Mapping[str, Any], named: dict[str, Any], *, must_say_something: bool, text: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    # A named type must be learnt where it stands, even when the field's values are drawn otherwise.
    by_schema = _values(field["type"], named, must_say_something=must_say_something, text=text)
    return _WHAT_THE_WORLD_ALLOWS.get(field["name"], by_schema) if must_say_something else by_schema


_PAYLOADS: dict[str, dict[str, Any]] = {
    "police.encompass.v1": {
        "police_reference": "TEST-1",
        "incident_type": "DOMESTIC",
        "children": [{"subject_ref": "child", "present": True, "spoken_to": False}],
    },
    "care.protection-plan.v1": {
        "plan_type": "CHILD_PROTECTION",
        "snomed_code": "342191000000101",
        "start_date": "2026-01-05",
        "authority_name": "HTEST Council",
        "office_phone": "01632 960001",
        "emergency_duty_phone": "01632 960002",
    },
    "health.ed-attendance.v1": {
        "provider_ods": "ZZ001",
        "arrived_at": "2026-01-05T21:10:00Z",
        "left_before_seen": False,
        "concern_code": "878111000000109",
        "plan_known": True,
    },
    "housing.temporary-accommodation.v1": {
        "application_reference": "TEST-2",
        "placed_on": "2026-01-05",
        "placed_in_authority": "E99999999",
        "accommodation_kind": "HOSTEL",
        "agreed_on": "2026-01-04",
        "agreed_by": "PARENT",
    },
    "identity.change.v1": {
        "change": "RECORD_CHANGED",
        "source_event_type": "pds-record-change-1",
        "source_event_id": "TEST-3",
        "source_system": "MNS",
    },
}


def a_plain_event(event_type: str = "police.encompass.v1", **changes: Any) -> dict[str, Any]:
    """The smallest event of this type, as a publisher would write it in JSON."""
    event = {
        "event_id": "0b0f6ad4-6f0b-4a9c-8d2e-5afe00000001",
        "event_type": event_type,
        "occurred_at": "2026-01-05T21:00:00Z",
        "recorded_at": "2026-01-05T22:00:00Z",
        "published_at": "2026-01-05T22:00:01Z",
        "publisher": {"agency": "htest-police", "org_scheme": "CJS-OU", "org_code": "99", "org_name": "HTEST Police"},
        "subjects": [{"ref": "child", "role": "CHILD"}],
        "claimed_basis": {"art6": "6(1)(e)"},
        "purpose": "safeguarding",
        "payload": _PAYLOADS[event_type],
    }
    return copy.deepcopy(event | changes)


def an_event(event_type: str = "police.encompass.v1", **changes: Any) -> Event:
    return EVENT_CLASSES[event_type].model_validate(a_plain_event(event_type, **changes))


def a_record(event_type: str = "police.encompass.v1", **changes: Any) -> dict[str, Any]:
    """The smallest event as the plain values that Avro writes."""
    return an_event(event_type, **changes).model_dump(mode="python")


def bytes_of(record: Mapping[str, Any], schema: EventSchema | None = None) -> bytes:
    """A message value whose content need not be possible: written by the schema alone, past our classes."""
    schema = schema or event_schemas().of(str(record["event_type"]))
    return gate.MARKER + schema.fingerprint + gate.write(dict(record), schema.parsed)


def texts(value: Any) -> Iterator[str]:
    """Every string inside plain values."""
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def as_plain_avro(node: Any, value: Any, named: dict[str, Any] | None = None) -> Any:
    """The same values as an Avro library without logical types takes them: dates as days, times as milliseconds."""
    named = {} if named is None else named
    if isinstance(node, list):
        return None if value is None else as_plain_avro(next(b for b in node if b != "null"), value, named)
    if isinstance(node, str):
        node = named.get(node, node)
    if isinstance(node, dict) and "name" in node:
        named[node["name"]] = node
    kind = node if isinstance(node, str) else node.get("logicalType", node["type"])
    if kind == "record":
        return {f["name"]: as_plain_avro(f["type"], value[f["name"]], named) for f in node["fields"]}
    if kind == "array":
        return [as_plain_avro(node["items"], item, named) for item in value]
    if kind == "date":
        return (value - date(1970, 1, 1)).days
    if kind == "timestamp-millis":
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return str(value) if kind == "enum" else value


def changed(raw: Any) -> Any:
    """A copy of a schema, to change."""
    return json.loads(json.dumps(raw))
