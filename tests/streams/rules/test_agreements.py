"""What an agreement must say before it may carry anything."""

from datetime import date
from typing import Any

import pytest
from a_register import AGREEMENT, FLOW, agreement, flow
from pydantic import ValidationError

from safebus.schemas.classes import DataClass
from safebus.streams.rules.agreements import Agreement, Flow, FlowBasis, Group, Release


def complaints(model: type[Flow] | type[Agreement], values: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return [error["msg"].removeprefix("Value error, ") for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"basis": None},
            "`basis` is missing; a permit answers four questions: art6, art9_or_10 with sch1, power_or_duty, "
            "confidentiality",
        ),
        ({"interest": []}, "`interest` is missing; name involvement roles such as `attends_school`, or `subscription`"),
        (
            {"objection_reason": None},
            "`objection_reason` is missing; a flow that does not wait for consent says why it is shared over an "
            "objection (R11)",
        ),
        (
            {"consent": "treatment"},
            "`consent: treatment` is never a reason to share; use service_agreement or data_protection",
        ),
        (
            {"release": {"event": ["REFERRER"]}},
            "`release` names REFERRER, which no agreement may release",
        ),
    ],
)
def test_a_permit_says_what_it_rests_on(changes: dict[str, Any], complaint: str) -> None:
    assert complaints(Flow, FLOW | changes) == [complaint]


def test_a_flow_that_waits_for_consent_needs_no_reason_against_an_objection() -> None:
    assert flow(consent="service_agreement", objection_reason=None).objection_reason is None


def test_a_prohibition_needs_no_basis() -> None:
    """Nobody has to justify that something is not shared."""
    prohibition = {k: FLOW[k] for k in ("flow", "event_type", "from", "to", "purpose")} | {"effect": "refuse"}

    assert Flow.model_validate(prohibition).release == Release()


def test_a_flow_is_between_those_who_signed() -> None:
    stranger = FLOW | {"to": ["ash-primary", "haven"]}

    assert complaints(Agreement, AGREEMENT | {"flows": [stranger]}) == [
        "flow `to-school` names haven, who did not sign; add them to `parties`"
    ]


def test_each_flow_has_a_name_of_its_own() -> None:
    assert complaints(Agreement, AGREEMENT | {"flows": [FLOW, FLOW]}) == [
        "two flows have the same name; give each its own"
    ]


def test_what_a_release_leaves_out_gives_nothing() -> None:
    release = Release(subject=(DataClass.ID_CORE,))

    assert {group: release.of(group) for group in Group} == {
        Group.EVENT: frozenset(),
        Group.SUBJECT: frozenset({DataClass.ID_CORE}),
        Group.OTHER_CHILDREN: frozenset(),
        Group.ADULTS: frozenset(),
        Group.ALLEGED_PERPETRATORS: frozenset(),
    }


def test_a_basis_gives_the_answers_it_has() -> None:
    basis = FlowBasis(art6="A6-1-c", sch1="DPA18-S1-P2-18", confidentiality="CLDC-OPI")

    assert list(basis.codes()) == [("art6", "A6-1-c"), ("sch1", "DPA18-S1-P2-18"), ("confidentiality", "CLDC-OPI")]


@pytest.mark.parametrize(
    ("changes", "last_day"),
    [
        ({}, date(2027, 1, 31)),
        ({"grace_days": 0}, date(2027, 1, 1)),
        ({"expires_on": "2027-01-10"}, date(2027, 1, 10)),
        ({"expires_on": "2028-01-01"}, date(2027, 1, 31)),
    ],
)
def test_an_agreement_holds_to_its_end_or_through_its_grace(changes: dict[str, Any], last_day: date) -> None:
    assert agreement(**changes).last_day() == last_day


def test_two_flows_are_alike_only_if_everything_in_them_is() -> None:
    assert flow().key == flow().key
    assert flow().key != flow(mask={"subject.date_of_birth": "year"}).key
