"""How is a view built from a list of fields? The list alone decides, wherever it comes from."""

import copy

import pytest

from safebus.deploy.local.demo import story
from safebus.schemas import codec, gate
from safebus.schemas.event_schemas import EventSchema, event_schemas
from safebus.streams.rules import views
from safebus.streams.rules.views import view_of

ENCOMPASS = event_schemas().of("police.encompass.v1")
INCIDENT = codec.decode(codec.encode(story.incident())).record
FIELDS = ("payload.risk_grade", "subject.date_of_birth: year", "adults[].role", "other_children_count")


def test_a_list_of_fields_gives_a_view_that_reads_as_it_says() -> None:
    made = view_of(ENCOMPASS, FIELDS)

    assert made.fields == FIELDS
    assert gate.read(made.value(made.record(INCIDENT, subject_ref="ava")), made.parsed) == {
        "payload": {"risk_grade": "HIGH"},
        "subject": {"date_of_birth": 2015},
        "adults": [{"role": "ADULT_VICTIM"}],
        "other_children_count": 2,
    }


def test_the_order_of_the_list_changes_no_byte() -> None:
    made, turned = view_of(ENCOMPASS, FIELDS), view_of(ENCOMPASS, FIELDS[::-1])

    assert made.fingerprint == turned.fingerprint
    assert made.value(made.record(INCIDENT, subject_ref="ben")) == turned.value(
        turned.record(INCIDENT, subject_ref="ben")
    )


def test_a_view_is_made_once_and_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_MOST_VIEWS", 1)
    monkeypatch.setattr(views, "_VIEWS", {})
    first = view_of(ENCOMPASS, FIELDS)

    assert view_of(ENCOMPASS, FIELDS) is first
    view_of(ENCOMPASS, FIELDS[:1])
    again = view_of(ENCOMPASS, FIELDS)
    assert again is not first
    assert again.raw == first.raw


def test_a_list_that_is_about_persons_in_another_way_is_built_anew() -> None:
    """Avro's fingerprint leaves out `personRef`: two schemas can look alike and keep other elements."""
    raw = copy.deepcopy(ENCOMPASS.raw)
    children = next(f for f in raw["fields"][-1]["type"]["fields"] if f["name"] == "children")
    children["personRef"] = "words"
    other = EventSchema(ENCOMPASS.event_type, ENCOMPASS.version, raw)
    fields = ("payload.children[].present",)

    assert other.fingerprint == ENCOMPASS.fingerprint
    one, two = (view_of(schema, fields).record(INCIDENT, subject_ref="ava") for schema in (ENCOMPASS, other))
    assert (len(one["payload"]["children"]), two["payload"]["children"]) == (1, [])
