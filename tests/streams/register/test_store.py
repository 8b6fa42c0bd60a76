"""The register at an offset is what its records say, whichever were replaced or ended on the way."""

import json
from datetime import date
from typing import Any

import pytest
from a_register import AGREEMENT, ENTRIES, FLOW, demo, put, record
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadRegister
from safebus.streams.register.store import KINDS, Register, RegisterAsOf, body_of
from safebus.streams.rules.consent import Meaning

PARTNER = {"partner": "xx", "name": "X", "sector": "school", "org_type": "charity", "call": "X, 01632 960000"}
BASIS = {
    "code": "B",
    "kind": "art6",
    "title": "B",
    "source": "B",
    "territory": ["england"],
    "in_force_from": "2020-01-01",
}
CONSENT = {
    "person_id": "p",
    "meaning": "service_agreement",
    "purpose": "notice",
    "state": "given",
    "decided_at": "2026-11-20T12:00:00Z",
    "expressed_by": "parent",
    "method": "in person",
}
DANGER = {"person_id": "p", "to": "q", "source": "an order"}
SPEAKS = {"person_id": "p", "by": "m", "as": "parental_responsibility", "source": "birth certificate"}
#: Record id -> kind, and two bodies that may stand under it.
BODIES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "partner/xx": ("partner", [PARTNER, PARTNER | {"suspended": True}]),
    "basis/B": ("basis", [BASIS, BASIS | {"in_force_from": None}]),
    "event_rule/e": (
        "event_rule",
        [{"event_type": "e", "code": "N1", "source": "S"}, {"event_type": "e", "code": "N2", "source": "S"}],
    ),
    "agreement/small": (
        "agreement",
        [AGREEMENT, AGREEMENT | {"version": 2, "flows": [FLOW | {"to": ["fordshire-police"]}]}],
    ),
    "agreement/other": ("agreement", [AGREEMENT | {"agreement": "other"}, AGREEMENT | {"agreement": "other"}]),
    "person/p": ("person", [{"person_id": "p", "tokens": {"nhs": "1"}}, {"person_id": "p", "tokens": {"nhs": "2"}}]),
    "person/q": ("person", [{"person_id": "q", "tokens": {"nhs": "1"}}, {"person_id": "q", "tokens": {"upn": "1"}}]),
    "involvement/1": (
        "involvement",
        [{"person_id": "p", "partner": "xx", "role": "r"}, {"person_id": "q", "partner": "xx", "role": "r"}],
    ),
    "subscription/1": ("subscription", [{"partner": "xx", "event_type": "e"}, {"partner": "xx", "event_type": "f"}]),
    "affiliation/1": (
        "affiliation",
        [{"person_id": "p", "partner": "xx", "relation": "r"}, {"person_id": "q", "partner": "xx", "relation": "r"}],
    ),
    "danger/1": ("danger", [DANGER, DANGER | {"to": "p", "person_id": "q"}]),
    "may_speak_for/1": ("may_speak_for", [SPEAKS, SPEAKS | {"person_id": "q"}]),
    "consent/1": ("consent", [CONSENT, CONSENT | {"purpose": "other"}]),
    "consent/2": ("consent", [CONSENT | {"state": "withdrawn"}, CONSENT | {"state": "refused"}]),
}


def seen(register: Register) -> dict[str, Any]:
    """Everything that can be asked of a register, for the records above; offsets of consents aside."""
    people, types = ("p", "q"), ("e", "f")
    partners = ("fordshire-police", "ash-primary", "xx")
    return {
        "entries": dict(register.entries()),
        "partners": register.partners,
        "bases": register.bases,
        "event_rules": register.event_rules,
        "agreements": register.agreements,
        "persons": register.persons,
        "flows": [register.flows(FLOW["event_type"], a, b, date(2026, 11, 20)) for a in partners for b in partners],
        "tokens": [register.persons_with(scheme, token) for scheme in ("nhs", "upn") for token in ("1", "2")],
        "involvements": [register.involvements(p) for p in people],
        "affiliations": [register.affiliations(p) for p in people],
        "dangers": [register.dangers(p) for p in people],
        "speakers": [register.may_speak_for(p) for p in people],
        "subscriptions": [register.subscriptions(t) for t in types],
        "consents": [
            [entry for _, entry in register.consents("p", Meaning.SERVICE_AGREEMENT, purpose)]
            for purpose in ("notice", "other")
        ],
    }


def made_of(records: list[RegisterRecord]) -> Register:
    return Register.at(enumerate(records), len(records))


steps = st.lists(st.tuples(st.sampled_from(sorted(BODIES)), st.sampled_from([0, 1, None])), max_size=30)


def as_records(found: list[tuple[str, int | None]]) -> list[RegisterRecord]:
    return [
        record(record_id, BODIES[record_id][0], None if i is None else json.dumps(BODIES[record_id][1][i]))
        for record_id, i in found
    ]


@settings(max_examples=150, deadline=None)
@given(steps)
def test_what_was_replaced_or_ended_leaves_no_trace(found: list[tuple[str, int | None]]) -> None:
    """The state is that of the records that still stand, applied alone."""
    last = dict(found)
    standing = [(record_id, i) for record_id, i in last.items() if i is not None]

    assert seen(made_of(as_records(found))) == seen(made_of(as_records(standing)))


@settings(max_examples=100, deadline=None)
@given(steps, st.data())
def test_the_register_at_an_offset_is_the_records_up_to_it(found: list[tuple[str, int | None]], data: Any) -> None:
    records = as_records(found)
    offset = data.draw(st.integers(-1, len(records) - 1))

    register = Register.at(enumerate(records), offset)

    assert seen(register) == seen(made_of(records[: offset + 1]))
    assert register.offset == offset


@pytest.mark.parametrize("record_id", sorted(BODIES))
def test_ending_an_entry_restores_what_was_there_before(record_id: str) -> None:
    kind, bodies = BODIES[record_id]
    others = [(other, 0) for other in BODIES if other != record_id]
    before = seen(made_of(as_records(others)))
    register = made_of(as_records(others))

    put(register, record_id, kind, bodies[0])
    assert seen(register) != before
    put(register, record_id, kind, None)

    assert seen(register) == before


def test_ending_what_was_never_there_changes_nothing() -> None:
    register = put(demo(), "partner/nobody", "partner", None)

    assert seen(register) == seen(demo())
    assert register.offset == demo().offset + 1


def test_every_version_of_an_agreement_stays_readable() -> None:
    """What was sent under it must still be understood, after the next one and after the end."""
    _, (first, second) = BODIES["agreement/small"]
    register = Register()
    for body in (first, second, None):
        put(register, "agreement/small", "agreement", body)

    assert sorted(register.versions) == [("small", 1), ("small", 2)]
    assert register.agreements == {}


def test_a_partner_named_twice_in_a_flow_does_not_keep_the_agreement_from_ending() -> None:
    twice = AGREEMENT | {"flows": [FLOW | {"to": ["ash-primary", "ash-primary"]}]}
    register = put(Register(), "agreement/small", "agreement", twice)

    put(register, "agreement/small", "agreement", None)

    assert register.flows("police.encompass.v1", "fordshire-police", "ash-primary", date(2026, 11, 20)) == []


@pytest.mark.parametrize(
    ("kind", "body", "complaint"),
    [
        ("wish", "{}", "register offset 99: unknown kind `wish`; upgrade this process"),
        ("partner", "{", "register offset 99: `partner/haven` is not a partner of this version: "),
        ("partner", '{"partner": "haven"}', "register offset 99: `partner/haven` is not a partner of this version: "),
    ],
)
def test_what_is_not_understood_is_refused_and_leaves_what_stood(kind: str, body: str, complaint: str) -> None:
    """Skipping it would decide on half a register; dropping what stood could lift a prohibition."""
    register = demo()

    with pytest.raises(BadRegister) as caught:
        register.apply(99, record("partner/haven", kind, body))

    assert str(caught.value).startswith(complaint)
    assert (register.offset, seen(register)) == (demo().offset, seen(demo()))


def test_an_entry_is_found_by_its_id() -> None:
    assert demo().entry("partner/haven") == demo().partners["haven"]
    assert demo().entry("partner/nobody") is None


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.record_id)
def test_an_entry_survives_being_written_down(entry: Any) -> None:
    text = body_of(entry.body)

    assert KINDS[entry.kind].model_validate_json(text) == entry.body
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_the_register_as_of_any_offset_forwards_and_backwards() -> None:
    """Redo and replay go through decisions in the order of their offsets, and sometimes back."""
    log = [(n, record(f"partner/{p.partner}", "partner", body_of(p))) for n, p in enumerate(demo().partners.values())]
    as_of = RegisterAsOf(log)

    for offset in (2, 5, 5, 1, 99, -1):
        assert as_of.at(offset).partners == Register.at(log, offset).partners
