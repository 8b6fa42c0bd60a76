"""Do new entries hold together, with each other and with the register? Every complaint names file and line."""

from typing import Any

import pytest
from a_register import FLOW, KEY, agreement, demo, put

from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.rules.bases import EventRule
from safebus.streams.rules.consent import ConsentEntry, Meaning, State
from safebus.streams.rules.parties import Affiliation, Involvement, KnownPerson, Subscription

# Entries against each other, and against the register


def checked(*bodies: Any, register: Register | None = None) -> list[str]:
    """What speaks against adding these to the demonstration's register."""
    kinds: dict[type, str] = {
        ConsentEntry: "consent",
        Involvement: "involvement",
        Affiliation: "affiliation",
        Subscription: "subscription",
        EventRule: "event_rule",
    }
    entries = [Entry(f"x/{i}", kinds.get(type(b), "agreement"), b, f"`x.yaml` line {i}") for i, b in enumerate(bodies)]
    return cross_check(entries, register or demo())


def apart(**changes: Any) -> Any:
    """The small agreement for a purpose that no other has, so that it overlaps with none."""
    return agreement(flows=[FLOW | {"purpose": "apart"} | changes])


BASIS = {"art6": "A6-1-e", "power_or_duty": "POLICE-CL", "confidentiality": "CLDC-OPI"}


def test_an_agreement_that_fits_is_no_problem() -> None:
    assert checked(apart()) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (Involvement(person_id="p", partner="eve", role="r"), "involvement names partner `eve`"),
        (Affiliation(person_id="p", partner="eve", relation="r"), "affiliation names partner `eve`"),
        (Subscription(partner="eve", event_type="identity.change.v1"), "subscription names partner `eve`"),
    ],
)
def test_a_tie_to_a_partner_nobody_registered_is_a_problem(body: Any, complaint: str) -> None:
    assert checked(body) == [f"`x.yaml` line 0: {complaint}, who is not in the register"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"basis": BASIS | {"art6": "A6-1-z"}}, "`art6: A6-1-z` is not in the catalogue of bases"),
        (
            {"basis": BASIS | {"art6": "POLICE-CL"}},
            "`art6: POLICE-CL` answers `power_or_duty` in the catalogue, not `art6`",
        ),
        (
            {"basis": BASIS | {"art6": "A6-1-ea"}},
            "`A6-1-ea` is not open to `fordshire-police`, a public_authority (UK GDPR Art 6(1)(ea) and Annex 1, "
            "inserted by the Data (Use and Access) Act 2025 s.70)",
        ),
        (
            {"basis": BASIS | {"receiving_art6": {"charity": "A6-1-z"}}},
            "`receiving_art6: A6-1-z` is no Art 6 basis in the catalogue",
        ),
        (
            {"basis": BASIS | {"receiving_art6": {"charity": "POLICE-CL"}}},
            "`receiving_art6: POLICE-CL` is no Art 6 basis in the catalogue",
        ),
        (
            {"basis": BASIS | {"receiving_art6": {"charity": "A6-1-e"}}},
            "`A6-1-e` is not open to a charity (UK GDPR Art 6(1)(e), as amended by the Data (Use and Access) Act "
            "2025 s.70(2)(a))",
        ),
        (
            {"event_type": "housing.temporary-accommodation.v1"},
            "N14 waits for `service_agreement` (Housing Act 1996 s.213AA), found `consent: none`",
        ),
        (
            {"event_type": "housing.temporary-accommodation.v1", "consent": "data_protection"},
            "N14 waits for `service_agreement` (Housing Act 1996 s.213AA), found `consent: data_protection`",
        ),
    ],
)
def test_a_flow_rests_on_what_the_catalogue_and_the_law_allow(changes: dict[str, Any], complaint: str) -> None:
    assert checked(apart(**changes)) == [f"`x.yaml` line 0: agreement `small` flow `to-school`: {complaint}"]


def test_a_recipient_may_rely_on_what_is_open_to_its_kind() -> None:
    basis = BASIS | {"receiving_art6": {"charity": "A6-1-ea", "public_authority": "A6-1-e"}}

    assert checked(apart(basis=basis)) == []


def test_a_prohibition_rests_on_nothing_and_overlaps_with_nothing() -> None:
    assert checked(agreement(flows=[FLOW | {"effect": "refuse", "basis": {"art6": "z", "confidentiality": "z"}}])) == []


def test_a_signatory_nobody_registered_is_a_problem() -> None:
    register = put(demo(), "partner/ash-primary", "partner", None)

    assert checked(apart(), register=register) == [
        "`x.yaml` line 0: agreement `small` is signed by `ash-primary`, who is not in the register; "
        "add it to `partners`"
    ]


def test_a_sender_nobody_registered_is_told_once() -> None:
    register = put(demo(), "partner/fordshire-police", "partner", None)

    assert checked(apart(basis=BASIS), register=register) == [
        "`x.yaml` line 0: agreement `small` is signed by `fordshire-police`, who is not in the register; "
        "add it to `partners`"
    ]


def test_what_comes_with_the_agreement_counts() -> None:
    """Partners, bases and event rules of the same folder; here a rule that gates the type by consent."""
    rule = EventRule(event_type="police.encompass.v1", code="N99", consent="service_agreement", source="an Act")

    assert checked(rule, apart()) == [
        "`x.yaml` line 1: agreement `small` flow `to-school`: N99 waits for `service_agreement` (an Act), "
        "found `consent: none`"
    ]


@pytest.mark.parametrize("interest", ["attends_school", "attends_nursery"])
def test_two_flows_for_the_same_thing_are_a_problem(interest: str) -> None:
    """
    The answer would hang on which is looked at first.

    Other involvements make no difference: a partner may have a child in its care in two ways, and would then have less
    for every agreement whose name comes first.
    """
    assert checked(agreement(flows=[FLOW | {"interest": [interest]}])) == [
        "`x.yaml` line 0: agreement `small` flow `to-school`: covers `ash-primary` as flow `to-schools` of "
        "`fordshire-encompass` does; end one of them"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "research"},
        {"about": ["ADULT_VICTIM"]},
        {"event_type": "care.protection-plan.v1"},
        {"from": ["ash-primary"], "to": ["fordshire-police"], "basis": BASIS},
    ],
)
def test_flows_for_different_things_are_none(changes: dict[str, Any]) -> None:
    assert checked(agreement(flows=[FLOW | changes])) == []


@pytest.mark.parametrize(
    "ended",
    [{"status": "terminated"}, {"status": "suspended"}, {"status": "draft"}, {"expires_on": "2025-12-31"}],
)
def test_an_agreement_that_has_ended_may_be_followed_by_another(ended: dict[str, str]) -> None:
    """Else nothing could ever take its place."""
    body = demo().agreements["fordshire-encompass"].model_dump(mode="json", by_alias=True)
    register = put(demo(), "agreement/fordshire-encompass", "agreement", body | ended)

    assert checked(agreement(), register=register) == []


def test_an_agreement_that_begins_when_the_other_has_ended_is_no_rival() -> None:
    assert checked(agreement(effective_from="2027-08-01", review_by="2028-07-31")) == []


def test_what_was_signed_does_not_change() -> None:
    register = put(
        demo(), "agreement/small", "agreement", body_to_put := apart().model_dump(mode="json", by_alias=True)
    )

    assert checked(apart(), register=register) == []
    assert body_to_put["version"] == 1
    assert checked(apart(objection_reason="another reason"), register=register) == [
        "`x.yaml` line 0: version 1 of `small` is registered with other content; what was signed does not change, "
        "so give it the next version"
    ]


def test_a_version_that_was_ended_may_not_come_back_with_other_content() -> None:
    register = put(demo(), "agreement/small", "agreement", apart().model_dump(mode="json", by_alias=True))
    put(register, "agreement/small", "agreement", None)

    assert len(checked(apart(objection_reason="another reason"), register=register)) == 1


# Protections are not lifted by leaving a line out


def protected() -> Register:
    """The demonstration, with Ava restricted and adopted, and Haven suspended."""
    register = demo()
    ava = next(p for p in register.persons.values() if p.tokens.get("upn") == KEY.token("upn", "X313000026001"))
    restricted = ava.model_copy(update={"restricted": True, "adopted": True})
    suspended = register.partners["haven"].model_copy(update={"suspended": True})
    put(register, f"person/{ava.person_id}", "person", restricted.model_dump(mode="json"))
    return put(register, "partner/haven", "partner", suspended.model_dump(mode="json"))


def lifted(kind: str, body: Any) -> list[str]:
    """What is said when this entry is loaded over the protected register."""
    return cross_check([Entry(f"{kind}/x", kind, body, "`x.yaml` line 1")], protected())


def test_a_suspension_is_not_lifted_by_loading_a_folder() -> None:
    (line,) = lifted("partner", demo().partners["haven"])
    assert line == (
        "`x.yaml` line 1: partner `haven` is suspended, and this would lift it; "
        "if that is meant, `safebus register lift partner/x --execute --reason ...` first"
    )
    assert lifted("partner", demo().partners["ash-primary"]) == []


def test_a_restriction_and_what_confirms_a_number_are_not_lifted_by_leaving_them_out() -> None:
    ava = demo().persons[KEY.token("nhs", "9990079196")]
    said = lifted("person", ava.model_copy(update={"confirm": {}}))

    assert [line.split(": ", 1)[1].split(", and")[0] for line in said] == [
        "this person's record is restricted",
        "this person was adopted",
        "this person is confirmed by name or birth date",
    ]


def test_a_child_known_by_another_identifier_is_not_made_two() -> None:
    """Otherwise every event about her would be set aside as ambiguous."""
    ava = demo().persons[KEY.token("nhs", "9990079196")]
    (line,) = lifted("person", ava.model_copy(update={"person_id": "another", "confirm": ava.confirm}))

    assert line.startswith("`x.yaml` line 1: this person stands in the register under another identifier")


# What a consent names


def said(state: State, **changes: Any) -> ConsentEntry:
    values = {
        "person_id": "p",
        "meaning": Meaning.SERVICE_AGREEMENT,
        "purpose": "temporary_accommodation_notice",
        "state": state,
        "decided_at": "2026-11-20T12:00:00Z",
        "expressed_by": "parent",
        "method": "in person",
    }
    return ConsentEntry.model_validate(values | changes)


@pytest.mark.parametrize("state", State)
def test_a_consent_for_what_exists_is_no_problem_whatever_it_says(state: State) -> None:
    assert checked(said(state, recipients=["ash-primary"])) == []


@pytest.mark.parametrize("state", State)
def test_a_consent_for_what_does_not_exist_is_a_problem_above_all_a_no(state: State) -> None:
    assert checked(said(state, purpose="temporary_accomodation_notice", recipients=["ash-primery"])) == [
        "`x.yaml` line 0: consent: no flow has the purpose `temporary_accomodation_notice`; "
        "did you mean `temporary_accommodation_notice`?",
        "`x.yaml` line 0: consent names partner `ash-primery`, who is not in the register; did you mean `ash-primary`?",
    ]


def test_what_was_agreed_to_under_an_agreement_that_ended_stays_on_record() -> None:
    register = put(demo(), "agreement/fordshire-temporary-accommodation", "agreement", None)

    assert checked(said(State.GIVEN), register=register) == []


def test_a_purpose_of_an_agreement_in_the_same_folder_exists() -> None:
    assert checked(said(State.GIVEN, purpose="apart"), apart()) == []


def test_in_an_empty_register_no_purpose_exists() -> None:
    assert checked(said(State.GIVEN), register=Register()) == [
        "`x.yaml` line 0: consent: no flow has the purpose `temporary_accommodation_notice`; there are none"
    ]


@pytest.mark.parametrize(
    ("basis", "named", "meaning"),
    [
        ({"art6": "A6-1-a"}, "art6: A6-1-a", "data_protection"),
        ({"confidentiality": "CLDC-CONSENT"}, "confidentiality: CLDC-CONSENT", "service_agreement"),
    ],
)
def test_a_flow_that_claims_consent_waits_for_it(basis: dict[str, str], named: str, meaning: str) -> None:
    assert checked(apart(basis=BASIS | basis)) == [
        f"`x.yaml` line 0: agreement `small` flow `to-school`: `{named}` claims consent, and the flow waits for none; "
        f"add `consent: {meaning}`, or name the basis it rests on"
    ]
    assert checked(apart(basis=BASIS | basis, consent=meaning)) == []


@pytest.mark.parametrize(
    ("fact", "other", "complaint"),
    [
        ({"lives_independently": True}, {}, "lives independently and decides, and this would give it to a parent"),
        ({"competent_since": "2026-01-31"}, {}, "was found competent to decide, and this would change it"),
        ({"competent_since": "2026-01-31"}, {"competent_since": "2026-02-01"}, "was found competent to decide"),
    ],
)
def test_a_folder_takes_no_decision_away_from_a_young_person(
    fact: dict[str, Any], other: dict[str, Any], complaint: str
) -> None:
    ava = {"person_id": "p", "tokens": {"nhs": "p"}}
    register = put(demo(), "person/p", "person", ava | fact)

    def told(body: dict[str, Any]) -> list[str]:
        return cross_check([Entry("person/p", "person", KnownPerson.model_validate(body), "here")], register)

    (only,) = told(ava | other)
    assert complaint in only and only.endswith("if that is meant, `safebus register end person/p` first")
    assert told(ava | fact) == []
