"""May this recipient have this event about this person? What no example in tests/examples says."""

from typing import Any

import pytest
from a_reason import (
    AVA,
    BASIS,
    CASES,
    HOUSING,
    INCIDENT,
    MOVE,
    consent,
    decided,
    encompass,
    looked_at,
    prohibition,
    sent,
    to_schools,
)
from a_register import NOON, agreement, change, demo, put, share

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Earlier, Outcome, Reason
from safebus.schemas.classes import Category
from safebus.schemas.events import Confidentiality, Handling
from safebus.streams.register.store import Register
from safebus.streams.rules import decision
from safebus.streams.rules.agreements import FlowBasis
from safebus.streams.rules.consent import State

PERMIT = (
    "PERMITTED",
    "AGREEMENT_REVIEW_OVERDUE",
    "RESTRICTED_PERSON",
    "SUSPECT_NOT_MATCHED",
    "NO_NOT_THEIRS",
    "OBJECTION_RECORDED",
    "NOT_A_CODE",
    "SAFE_ADDRESS_SHOWN",
    "CLAIM_UNKNOWN",
)


@pytest.mark.parametrize(
    "code", sorted(set(CASES) - set(PERMIT) - {"AGREEMENT_ENDED", "AGREEMENT_NARROWED", "TAKES_BACK"})
)
def test_a_refusal_gives_reasons_and_no_permit_among_them(code: str) -> None:
    codes = [reason.code for reason in CASES[code]()]

    assert code in codes
    assert not set(codes) & set(PERMIT)


@pytest.mark.parametrize("code", PERMIT)
def test_a_permit_gives_its_reasons_too(code: str) -> None:
    codes = [reason.code for reason in CASES[code]()]

    assert codes[0] == "PERMITTED"
    assert set(codes) <= set(PERMIT)


def test_every_fault_of_a_flow_is_told_at_once() -> None:
    """So that an agreement need not be mended one complaint at a time."""
    register = to_schools(
        purpose="research", interest=["x"], about=["PERSON"], basis={"art6": "A6-1-ea", "confidentiality": "CLDC-OPI"}
    )
    change(register, "agreement/fordshire-encompass", lambda b: b.update(status="draft", effective_from="2027-01-01"))

    assert [(r.code, r.rule) for r in decided(register)] == [
        ("PURPOSE_NOT_COVERED", "R01"),
        ("AGREEMENT_DRAFT", "R01"),
        ("AGREEMENT_NOT_YET", "R01"),
        ("NOT_IN_CARE", "R01"),
        ("SUBJECT_NOT_COVERED", "R01"),
        ("BASIS_NOT_AVAILABLE", "R03"),
        ("NO_POWER_OR_DUTY", "R01"),
    ]


def test_the_same_fault_of_two_flows_is_told_once() -> None:
    body = agreement().model_dump(mode="json", by_alias=True)
    first = body["flows"][0] | {"basis": BASIS | {"art6": "A6-1-ea"}}
    body["flows"] = [first, first | {"flow": "to-school-again"}]
    register = put(demo(), "agreement/fordshire-encompass", "agreement", None)

    assert decided(put(register, "agreement/small", "agreement", body)) == (
        Reason(code="BASIS_NOT_AVAILABLE", rule="R03", about="A6-1-ea"),
    )


def test_one_flow_without_a_fault_is_enough() -> None:
    body = agreement().model_dump(mode="json", by_alias=True)
    body["flows"][0]["purpose"] = "research"
    register = put(demo(), "agreement/a-small", "agreement", body | {"agreement": "a-small"})

    assert decided(register) == (Reason(code="PERMITTED", rule="R01", about="fordshire-encompass v3 to-schools"),)


def test_a_prohibition_for_another_purpose_permits_nothing_and_forbids_nothing() -> None:
    body = agreement().model_dump(mode="json", by_alias=True)
    body["flows"][0] |= {"effect": "refuse", "purpose": "research"}

    alone = put(demo(), "agreement/fordshire-encompass", "agreement", None)

    assert decided(put(alone, "agreement/small", "agreement", body)) == (
        Reason(code="NO_AGREEMENT", rule="R01", about="ash-primary"),
    )
    assert decided(put(demo(), "agreement/small", "agreement", body))[0].code == "PERMITTED"


@pytest.mark.parametrize(
    ("changes", "forbids"),
    [
        ({}, True),
        ({"review_by": "2026-02-01"}, True),
        ({"status": "draft"}, False),
        ({"status": "suspended"}, False),
        ({"effective_from": "2026-11-21"}, False),
        ({"expires_on": "2026-11-20"}, True),
        ({"expires_on": "2026-11-19"}, False),
    ],
)
def test_a_prohibition_forbids_from_its_day_until_it_is_ended(changes: dict[str, Any], forbids: bool) -> None:
    assert (decided(prohibition(**changes))[0].code == "PROHIBITED") is forbids


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2026-11-20", "2026-11-20", "PERMITTED"),
        ("2026-11-21", "2027-11-20", "AGREEMENT_NOT_YET"),
        ("2026-01-01", "2026-11-19", "AGREEMENT_EXPIRED"),
    ],
)
def test_an_agreement_holds_on_its_first_day_and_on_its_last(first: str, last: str, code: str) -> None:
    assert decided(encompass(effective_from=first, review_by=last, grace_days=0))[0].code == code


def test_every_standing_refusal_is_told() -> None:
    register = prohibition()
    change(register, "partner/ash-primary", lambda body: body.update(suspended=True))

    assert [r.code for r in decided(register)] == ["PARTNER_SUSPENDED", "PROHIBITED"]


def test_what_is_refused_is_not_held_as_well() -> None:
    """A person who looks at it could not permit it."""
    event = INCIDENT.model_copy(update={"handling": Handling(confidentiality=Confidentiality.V)})

    assert [r.code for r in decided(prohibition(), event=event)] == ["PROHIBITED"]
    assert [r.code for r in decided(demo(), event=event)] == ["VERY_RESTRICTED"]


def test_a_basis_that_answers_another_question_is_unknown() -> None:
    assert decided(to_schools(basis=BASIS | {"art6": "POLICE-CL"})) == (
        Reason(code="BASIS_UNKNOWN", rule="R09", about="POLICE-CL"),
    )
    assert decided(to_schools(basis=BASIS | {"receiving_art6": {"public_authority": "POLICE-CL"}})) == (
        Reason(code="BASIS_UNKNOWN", rule="R09", about="POLICE-CL"),
    )


def test_a_body_that_is_no_public_authority_needs_no_power_of_its_own() -> None:
    register = to_schools(basis={"art6": "A6-1-ea", "confidentiality": "CLDC-OPI"})
    change(register, "partner/fordshire-police", lambda body: body.update(org_type="charity"))

    assert decided(register)[0].code == "PERMITTED"


SCH1, SUBSTANTIAL = "DPA18-S1-P2-18", "A9-2-g"


@pytest.mark.parametrize(
    ("art9_or_10", "sch1", "carried"),
    [
        (None, None, set()),
        (SUBSTANTIAL, None, set()),
        (None, SCH1, set()),
        (SUBSTANTIAL, SCH1, {Category.SPECIAL, Category.CRIMINAL}),
        ("A9-2-c", None, {Category.SPECIAL}),
        ("A9-2-z", SCH1, set()),
        (SCH1, SUBSTANTIAL, set()),
    ],
)
def test_what_a_basis_carries_beyond_ordinary_data(
    art9_or_10: str | None, sch1: str | None, carried: set[Category]
) -> None:
    """A9-2-c (vital interests) needs no Schedule 1; A9-2-g does; the last row has the two the wrong way round."""
    register = demo()
    vital = register.bases[SUBSTANTIAL].model_dump(mode="json") | {"code": "A9-2-c", "needs_sch1": False}
    put(register, "basis/A9-2-c", "basis", vital)
    basis = FlowBasis(art6="A6-1-e", art9_or_10=art9_or_10, sch1=sch1, confidentiality="CLDC-OPI")

    assert _carried(register, basis) == carried


def _carried(register: Register, basis: FlowBasis) -> frozenset[Category]:
    police, school = register.partners["fordshire-police"], register.partners["ash-primary"]
    return decision.conditions(register, basis, sender=police, recipient=school, territory="england", on=NOON.date())


@pytest.mark.parametrize("code", [SUBSTANTIAL, SCH1])
@pytest.mark.parametrize(
    "narrower", [{"available_to": ["charity"]}, {"recipient_flag": "health_body"}], ids=["the sender", "the recipient"]
)
def test_a_condition_carries_nothing_for_whom_it_is_not(code: str, narrower: dict[str, Any]) -> None:
    """Health data would go to somebody whom the condition does not reach."""
    register = change(demo(), f"basis/{code}", lambda body: body.update(narrower))
    basis = FlowBasis(art6="A6-1-e", art9_or_10=SUBSTANTIAL, sch1=SCH1, confidentiality="CLDC-OPI")

    assert _carried(demo(), basis) == {Category.SPECIAL, Category.CRIMINAL}
    assert Category.CRIMINAL not in _carried(register, basis)
    assert (Category.SPECIAL in _carried(register, basis)) is (
        code == SCH1 and not demo().bases[SUBSTANTIAL].needs_sch1
    )


def test_the_recipient_s_own_basis_must_reach_it_too() -> None:
    register = to_schools(basis=BASIS | {"receiving_art6": {"public_authority": "A6-1-e"}})
    change(register, "basis/A6-1-e", lambda body: body.update(recipient_flag="health_body"))

    assert [(r.code, r.about) for r in decided(register)] == [("GATEWAY_RECIPIENT", "A6-1-e")] * 2


@pytest.mark.parametrize("meaning", ["service_agreement", "data_protection"])
def test_either_kind_of_no_is_an_objection(meaning: str) -> None:
    register = consent(State.REFUSED, purpose="safeguarding", meaning=meaning)

    assert [r.code for r in decided(register)] == ["PERMITTED", "OBJECTION_RECORDED"]


def test_a_no_to_treatment_is_no_objection_to_sharing() -> None:
    register = consent(State.REFUSED, purpose="safeguarding", meaning="treatment")

    assert [r.code for r in decided(register)] == ["PERMITTED"]


def test_a_person_nobody_knows_has_neither_objected_nor_agreed() -> None:
    """The MASH hears of the child; the move of a family nobody knows goes to nobody."""
    unknown = story.AVA.model_copy(update={"nhs_number": "9990554331", "upn": None})
    register = put(
        demo(),
        "subscription/x",
        "subscription",
        {"partner": "ash-primary", "event_type": "housing.temporary-accommodation.v1"},
    )
    change(register, f"agreement/{HOUSING}", lambda body: body["flows"][0].update(interest=["subscription"]))

    heard = share(INCIDENT.model_copy(update={"subjects": (unknown, *INCIDENT.subjects[1:])}), demo()).record.answers[0]
    moved = share(MOVE.model_copy(update={"subjects": (unknown,)}), register).record.answers[0]

    assert (heard.recipient, heard.outcome, [r.code for r in heard.reasons]) == (
        "fordshire-mash",
        Outcome.PERMIT,
        ["PERMITTED"],
    )
    assert (moved.outcome, [r.code for r in moved.reasons]) == (Outcome.REFUSE, ["CONSENT_UNKNOWN"])


def test_a_refusal_for_want_of_consent_says_where_consent_stands_and_since_which_record() -> None:
    register = consent(State.WITHDRAWN)

    answer = share(MOVE, register).record.answers[0]

    assert (answer.consent_state, answer.consent_offset) == ("withdrawn", register.offset)


def test_a_refusal_names_whom_to_ring_unless_nobody_knows_the_sender() -> None:
    known = share(INCIDENT, prohibition()).record.answers[0]
    unknown = share(INCIDENT, put(demo(), "partner/fordshire-police", "partner", None)).record.answers[0]

    assert (known.call, unknown.call) == ("Fordshire Police public protection desk, 01632 960101", None)
    assert (known.subject_token, unknown.subject_token) == (AVA, AVA)


@pytest.mark.parametrize(
    ("about", "refused"), [(["CHILD"], True), (["UNBORN_CHILD"], False), (["ADULT_VICTIM"], False)], ids=str
)
def test_a_ban_is_about_whom_it_says(about: list[str], refused: bool) -> None:
    """When it is decided and when it is about to be handed over alike."""
    flow = agreement().model_dump(mode="json", by_alias=True)["flows"][0] | {"effect": "refuse", "about": about}
    banned = prohibition(flows=[flow])

    assert ("PROHIBITED" in {reason.code for reason in decided(banned)}) is refused
    assert [reason.code for reason in looked_at(banned, sent())] == (["PROHIBITED"] if refused else [])


def test_a_plain_permit_says_that_it_is_covered_and_nothing_else() -> None:
    assert [reason.code for reason in decided(demo())] == ["PERMITTED"]


@pytest.mark.parametrize(("begins", "refused"), [("2026-11-20", True), ("2026-11-21", False)])
def test_a_ban_holds_from_its_first_day(begins: str, refused: bool) -> None:
    assert ("PROHIBITED" in {reason.code for reason in decided(prohibition(effective_from=begins))}) is refused


def test_a_hub_is_told_of_what_follows_something_unknown_whatever_else_it_is_to_the_child() -> None:
    """One with an open case on her must not hear less than one without."""
    register = put(
        demo(), "involvement/x", "involvement", {"person_id": AVA, "partner": "fordshire-mash", "role": "client"}
    )
    unknown = Earlier(known=False)

    assert [r.code for r in decided(register, "fordshire-mash", earlier=unknown)] == ["PERMITTED"]
    assert [r.code for r in decided(register, earlier=unknown)] == ["EPISODE_UNKNOWN"]
