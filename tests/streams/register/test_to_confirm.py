"""What an agreement gives that its recipient is never given: named at load, and loaded only when that name is said."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from a_register import AGREEMENT, ENTRIES, FLOW, FOLDER, KEY, agreement, change, change_flow, demo, put

from safebus.schemas.errors import BadInput
from safebus.schemas.event_schemas import event_schemas
from safebus.streams.register.changes import changes_of
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register
from safebus.streams.register.to_confirm import ToConfirm, confirmed, to_confirm
from safebus.streams.rules.parties import Partner

SAFE_TO_ASH = "small v1 to-school: LOCATION_SAFE to ash-primary (school)"


def asked(*bodies: Any, register: Register | None = None) -> list[ToConfirm]:
    """What these would bring into the demonstration's register that must be confirmed."""
    entries = [
        Entry(
            f"partner/{body.partner}" if isinstance(body, Partner) else f"agreement/{body.agreement}",
            "partner" if isinstance(body, Partner) else "agreement",
            body,
            f"`x.yaml` line {i}",
        )
        for i, body in enumerate(bodies)
    ]
    return to_confirm(entries, register or demo(), event_schemas())


def names(*bodies: Any, register: Register | None = None) -> list[str]:
    return [one.name for one in asked(*bodies, register=register)]


def giving(status: str = "active", version: int = 1, **changes: Any) -> Any:
    """The small agreement, to Ash Primary, giving something else."""
    return agreement(status=status, version=version, flows=[FLOW | changes])


def a_partner(partner: str, sector: str) -> Partner:
    return Partner(partner=partner, name=partner, sector=sector, org_type="public_authority", call="the desk")


def test_nothing_of_the_demonstration_must_be_confirmed() -> None:
    assert to_confirm(ENTRIES, Register(), event_schemas()) == []


def test_nothing_of_the_base_of_the_cases_must_be_confirmed() -> None:
    base = Path(__file__).parents[2] / "data" / "cases" / "decisions" / "base"
    entries = [change.entry for change in changes_of(base, Register(), KEY)]

    assert to_confirm(entries, Register(), event_schemas()) == []


def test_a_safe_address_to_a_school_is_named_with_all_that_releases_it() -> None:
    release = {"subject": ["ID_CORE", "LOCATION_SAFE"], "adults": ["LOCATION_SAFE"]}

    assert asked(giving(release=release)) == [
        ToConfirm(
            SAFE_TO_ASH,
            "`x.yaml` line 0: flow `to-school` gives ash-primary LOCATION_SAFE (release.subject: LOCATION_SAFE; "
            "release.adults: LOCATION_SAFE), which a recipient of sector `school` is never given; "
            "if it is meant, confirm it by name",
            "agreement/small",
        )
    ]


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"fields": ["subject.safe_address.postcode"]}, "LOCATION_SAFE"),
        ({"fields": ["payload.officer_notes"]}, "FREE_TEXT"),
        ({"fields": ["payload.circumstances"]}, "INCIDENT_NARRATIVE"),
        ({"fields": ["adults[].phone"]}, "CONTACT_SAFE"),
        ({"release": {"other_children": ["ID_CORE"]}}, "OTHER_CHILDREN"),
        ({"mask": {"other_children": "count"}}, "OTHER_CHILDREN"),
        ({"release": {"alleged_perpetrators": ["ID_CORE"]}}, "ALLEGED_PERPETRATORS"),
        ({"release": {"event": ["CRIMINAL"]}}, "CRIMINAL"),
        ({"release": {"event": ["RISK_SCORE"]}}, "RISK_SCORE"),
    ],
)
def test_what_a_school_is_never_given_is_named(changes: dict[str, Any], row: str) -> None:
    assert names(giving(**changes)) == [f"small v1 to-school: {row} to ash-primary (school)"]


@pytest.mark.parametrize(
    "changes",
    [
        {"release": {"subject": ["ID_CORE", "UPN", "NHS_NUMBER", "LOCATION_HOME"]}},
        {"release": {"alleged_perpetrators": ["RELATIONSHIP"]}},
        {"fields": ["payload.children[].words"]},
        {"effect": "refuse", "release": {"subject": ["LOCATION_SAFE"]}},
    ],
)
def test_what_a_school_may_have_and_what_it_is_refused_is_not(changes: dict[str, Any]) -> None:
    assert names(giving(**changes)) == []


def test_each_recipient_is_asked_of_by_what_it_is() -> None:
    """The hub may have the notes, the school may not; health may be a GP, who may have the number of children."""
    parties = [*AGREEMENT["parties"]]
    parties += [{**parties[1], "partner": name} for name in ("fordshire-mash", "county-hospital")]
    row = FLOW | {"to": ["ash-primary", "fordshire-mash", "county-hospital"], "mask": {"other_children": "count"}}

    assert names(agreement(parties=parties, flows=[row | {"fields": ["payload.officer_notes"]}])) == [
        "small v1 to-school: FREE_TEXT to ash-primary (school)",
        "small v1 to-school: OTHER_CHILDREN to ash-primary (school)",
        "small v1 to-school: FREE_TEXT to county-hospital (health)",
    ]


def test_a_draft_is_asked_of_and_what_has_been_terminated_is_not() -> None:
    assert names(giving("draft", fields=["subject.safe_address.postcode"])) == [SAFE_TO_ASH]
    assert names(giving("terminated", fields=["subject.safe_address.postcode"])) == []


def test_what_the_register_holds_is_not_asked_of_again_and_its_next_version_is() -> None:
    first = giving(fields=["subject.safe_address.postcode"])
    second = giving(version=2, fields=["subject.safe_address.postcode"])
    register = put(demo(), "agreement/small", "agreement", first.model_dump(mode="json", by_alias=True))

    assert names(first, register=register) == []
    assert names(second, register=register) == [SAFE_TO_ASH.replace("v1", "v2")]


def test_a_recipient_that_becomes_something_else_is_asked_of_where_its_line_stands() -> None:
    """The agreement stays as it was; whoever it speaks of is another kind of body now."""
    (one,) = asked(a_partner("haven", "school"), register=_a_haven_without_rows_of_its_own())

    assert one.name == "fordshire-encompass v4 to-haven: CONTACT_SAFE to haven (school)"
    assert one.says.startswith("`x.yaml` line 0: flow `to-haven` gives haven CONTACT_SAFE")
    assert one.record_id == "partner/haven"


def _a_haven_without_rows_of_its_own() -> Register:
    return change_flow(demo(), "fordshire-encompass", "to-haven", release={"subject": ["CONTACT_SAFE"]}, mask={})


def test_a_sector_that_the_matrix_does_not_know_is_asked_of_itself() -> None:
    """A typo in it would otherwise take every warning away."""
    found = asked(a_partner("ash-primary", "shcool"), giving(fields=["subject.safe_address.postcode"]))

    assert "small v1 to-school: no matrix for ash-primary (shcool)" in [one.name for one in found]
    assert {one.says.split(": ", 1)[1] for one in found} == {
        "nobody has said what a `shcool` is never given; did you mean `school`?"
    }


def test_a_sector_that_resembles_none_is_told_those_there_are() -> None:
    found = asked(a_partner("ash-primary", "x"), giving())

    assert found[-1].says.endswith(
        "`x` is never given; there are mash, school, community_health, emergency_department, police, probation, "
        "housing, da_charity, adult_care, health"
    )


def test_agreements_with_whom_nobody_registered_are_another_matter() -> None:
    assert asked(giving(fields=["payload.officer_notes"]), register=Register()) == []


def test_an_agreement_of_the_past_about_a_type_that_is_gone_does_not_stop_the_load() -> None:
    body = giving(fields=["payload.officer_notes"]).model_dump(mode="json", by_alias=True)
    body["flows"][0]["event_type"] = "police.gone.v1"
    register = put(demo(), "agreement/small", "agreement", body)

    assert names(register=register) == []


# Saying it by name


def test_what_is_confirmed_is_kept_with_the_entry_that_brings_it() -> None:
    found = asked(giving(fields=["subject.safe_address.postcode"]))

    assert confirmed(found, [SAFE_TO_ASH, SAFE_TO_ASH]) == {"agreement/small": [SAFE_TO_ASH]}
    assert confirmed(found, []) == {}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (
            "small v1 to-school: LOCATION_SAFE to ash",
            "nothing named `small v1 to-school: LOCATION_SAFE to ash` is to be confirmed; "
            f"did you mean `{SAFE_TO_ASH}`?",
        ),
        ("all", f"nothing named `all` is to be confirmed; there is {SAFE_TO_ASH}"),
    ],
)
def test_another_name_confirms_nothing(name: str, complaint: str) -> None:
    with pytest.raises(BadInput) as refused:
        confirmed(asked(giving(fields=["subject.safe_address.postcode"])), [name])

    assert str(refused.value) == complaint


def test_where_nothing_is_asked_nothing_is_confirmed() -> None:
    with pytest.raises(BadInput, match="nothing named `all` is to be confirmed; there is nothing"):
        confirmed([], ["all"])


def test_a_line_in_a_folder_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "register"
    shutil.copytree(FOLDER, folder)
    file = folder / "agreements" / "encompass.yaml"
    file.write_text(
        file.read_text("utf-8").replace('fields: ["payload.children[].words"]', "fields: [payload.officer_notes]", 1),
        "utf-8",
    )
    entries = [change.entry for change in changes_of(folder, Register(), KEY)]

    found = to_confirm(entries, Register(), event_schemas())

    assert [one.name for one in found] == [
        "fordshire-encompass v3 to-schools: FREE_TEXT to ash-primary (school)",
        "fordshire-encompass v3 to-schools: FREE_TEXT to beech-primary (school)",
    ]
    assert {one.says.split(": ")[0] for one in found} == {"`agreements/encompass.yaml` line 1"}


@pytest.mark.parametrize(
    ("until", "asks"),
    [(None, True), ("2026-12-01", True), ("2026-11-01", False), ("2026-10-01", False)],
)
def test_what_has_ended_holds_again_only_if_that_is_said(until: str | None, asks: bool) -> None:
    """An old folder told a school of a child who had left."""
    register = demo()
    record_id = next(r for r, (kind, _) in register.entries().items() if kind == "involvement")
    change(register, record_id, lambda body: body.update(ends_on="2026-11-01"))
    body = change(demo(), record_id, lambda body: body.update(ends_on=until)).entries()[record_id][1]
    found = to_confirm([Entry(record_id, "involvement", body, "`family.yaml` line 5")], register, event_schemas())

    assert [one.name for one in found] == ([f"{record_id} again"] if asks else [])
