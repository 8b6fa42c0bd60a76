"""A slip in a word of the register is an error with the word that was meant; a word that is merely new is none."""

from typing import Any

import pytest
from a_register import FLOW, agreement, demo, put

from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import KINDS
from safebus.streams.rules.bases import Basis, EventRule
from safebus.streams.rules.parties import Involvement, KnownPerson, Partner


def said(*bodies: Any) -> list[str]:
    """What speaks against adding these to the demonstration's register, without the place."""
    kinds = {model: kind for kind, model in KINDS.items()}
    entries = [Entry(f"x/{i}", kinds[type(b)], b, "x") for i, b in enumerate(bodies)]
    return [line.removeprefix("x: ") for line in cross_check(entries, demo())]


def involvement(role: str) -> Involvement:
    return Involvement(person_id="p", partner="ash-primary", role=role)


def partner(**changes: Any) -> Partner:
    return Partner.model_validate(
        {
            "partner": "oak-primary",
            "name": "Oak",
            "sector": "school",
            "org_type": "public_authority",
            "call": "the desk",
        }
        | changes
    )


def basis(**changes: Any) -> Basis:
    return Basis.model_validate(
        {"code": "X", "kind": "power_or_duty", "title": "T", "source": "S", "territory": ["england"]}
        | {"in_force_from": "2020-01-01"}
        | changes
    )


def person(*schemes: str) -> KnownPerson:
    return KnownPerson(person_id="p", tokens={scheme: f"t-{scheme}" for scheme in schemes})


def apart(**changes: Any) -> Any:
    return agreement(flows=[FLOW | {"purpose": "apart"} | changes])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            involvement("attends_shcool"),
            "involvement: no agreement is for those in the role `attends_shcool`; did you mean `attends_school`?",
        ),
        (
            apart(interest=["attends_shcool"]),
            "agreement `small` flow `to-school`: nobody has anyone in care as `attends_shcool`; "
            "did you mean `attends_school`?",
        ),
        (
            apart(interest=["subscripton"]),
            "agreement `small` flow `to-school`: nobody has anyone in care as `subscripton`; "
            "did you mean `subscription`?",
        ),
        (
            agreement(flows=[{**FLOW, "effect": "refuse", "purpose": "safegaurding"}]),
            "agreement `small` flow `to-school`: no other flow has the purpose `safegaurding`; "
            "did you mean `safeguarding`?",
        ),
        (
            agreement(territory="englnd", flows=[FLOW | {"purpose": "apart"}]),
            "agreement `small`: `englnd` is no territory; did you mean `england`?",
        ),
        (
            partner(territory="France"),
            "partner `oak-primary`: `France` is no territory; known are england, wales, scotland, northern-ireland",
        ),
        (basis(territory=["england", "whales"]), "basis `X`: `whales` is no territory; did you mean `wales`?"),
        (
            partner(flags=["cda115_authorty"]),
            "partner `oak-primary`: no basis asks for the flag `cda115_authorty`; did you mean `cda115_authority`?",
        ),
        (
            basis(recipient_flag="cda115_authorty"),
            "basis `X`: no partner has the flag `cda115_authorty`; did you mean `cda115_authority`?",
        ),
        (
            EventRule(event_type="identity.change.v1", code="N19", consent="service_agrement", source="S"),
            "event rule `N19`: `consent: service_agrement` is no meaning of consent; did you mean `service_agreement`?",
        ),
        (
            person("nhs", "local:fordshire-polise"),
            "person: `local` has a number of `fordshire-polise`, who is not in the register; "
            "did you mean `fordshire-police`?",
        ),
        (
            involvement("client").model_copy(update={"partner": "ash-primery"}),
            "involvement names partner `ash-primery`, who is not in the register; did you mean `ash-primary`?",
        ),
        (
            apart(basis={"art6": "A6-1-c", "power_or_duty": "DAA21-49", "confidentiality": "CLDC-STATUTE"}),
            "agreement `small` flow `to-school`: `power_or_duty: DAA21-49` is not in the catalogue of bases; "
            "did you mean `DAA21-49A`?",
        ),
    ],
)
def test_a_slip_is_one_line_with_the_word_that_was_meant(body: Any, complaint: str) -> None:
    assert said(body) == [complaint]


@pytest.mark.parametrize(
    "body",
    [
        involvement("attends_school"),
        involvement("household_of_tenant"),
        apart(interest=["youth_justice_worker"]),
        apart(interest=["subscription"]),
        partner(territory="northern-ireland", flags=["cda115_authority", "new_flag"]),
        basis(recipient_flag="cda115_authority"),
        basis(recipient_flag="another"),
        EventRule(event_type="identity.change.v1", code="N19", consent="service_agreement", source="S"),
        EventRule(event_type="identity.change.v1", code="N19", source="S"),
        person("nhs", "local:fordshire-police"),
    ],
)
def test_a_word_that_is_known_or_merely_new_is_no_slip(body: Any) -> None:
    assert said(body) == []


def test_what_comes_in_the_same_folder_is_known() -> None:
    """A new role with those who hold it, and a new agency with its numbers."""
    assert said(apart(interest=["attends_schools"]), involvement("attends_schools")) == []
    assert said(partner(), person("nhs", "local:oak-primary")) == []


def test_what_is_already_registered_is_not_blamed() -> None:
    """A slip of long ago does not stop every later load; it is named when its own entry comes again."""
    register = put(demo(), "involvement/x", "involvement", involvement("attends_shcool").model_dump(mode="json"))

    assert cross_check([Entry("involvement/y", "involvement", involvement("client"), "x")], register) == []
