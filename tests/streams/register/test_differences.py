"""What a folder would change, in words: who gains, who loses."""

from datetime import date
from typing import Any

import pytest
from a_register import NOON, change, change_flow, demo, put

from safebus.streams.register.differences import differences
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register, agreement_id
from safebus.streams.register.write import register_after
from safebus.streams.rules.agreements import Group, Status

TODAY = date(2026, 11, 20)
ENCOMPASS = "fordshire-encompass"
FOR = "police.encompass.v1 from fordshire-police (safeguarding)"


def said(after: Register, on: date = TODAY) -> list[str]:
    return differences(demo(), after, on)


def test_nothing_changes_nothing() -> None:
    assert said(demo()) == []
    assert said(change_flow(demo(), ENCOMPASS, "to-schools", objection_reason="in other words")) == []


def test_who_gains_and_who_loses_is_said_with_the_data_classes_of_whom() -> None:
    release = {"event": ["ENVELOPE", "INCIDENT_FACT", "RISK_SCORE"], "subject": ["ID_CORE"]}

    after = change_flow(demo(), ENCOMPASS, "to-schools", release=release, to=["ash-primary", "beech-primary"])

    assert [line for line in said(after) if line.startswith("ash-primary")] == [
        f"ash-primary gains for {FOR}: RISK_SCORE of event",
        f"ash-primary loses for {FOR}: RELATIONSHIP of alleged perpetrators; UPN of subject",
    ]


@pytest.mark.parametrize(
    "changes",
    [{"status": "suspended"}, {"status": "terminated"}, {"expires_on": "2026-11-19"}, {"effective_from": "2026-11-21"}],
)
def test_everyone_loses_what_no_longer_governs(changes: dict[str, Any]) -> None:
    found = said(change(demo(), f"agreement/{ENCOMPASS}", lambda body: body.update(changes)))

    assert {line.split(" for ")[0] for line in found} == {
        f"{name} loses" for name in ("ash-primary", "beech-primary", "fordshire-0-19", "fordshire-mash", "haven")
    }


def test_a_prohibition_takes_everything() -> None:
    body = {
        "agreement": "never",
        "version": 1,
        "title": "T",
        "status": "active",
        "effective_from": "2026-01-01",
        "review_by": "2027-12-31",
        "parties": [
            {"partner": name, "signed_by": "r", "signed_on": "2030-01-01"} for name in ("fordshire-police", "haven")
        ],
        "flows": [
            {
                "flow": "no",
                "effect": "refuse",
                "event_type": "police.encompass.v1",
                "from": ["fordshire-police"],
                "to": ["haven"],
                "purpose": "safeguarding",
            }
        ],
    }

    (line,) = said(put(demo(), "agreement/never/v1", "agreement", body))
    assert line.startswith(f"haven loses for {FOR}: ")


def test_who_has_not_signed_yet_gains_nothing_yet() -> None:
    def late(body: dict[str, Any]) -> None:
        next(row for row in body["parties"] if row["partner"] == "haven")["signed_on"] = "2026-11-21"

    after = change(demo(), f"agreement/{ENCOMPASS}", late)

    assert [line.split(" for ")[0] for line in said(after)] == ["haven loses"]
    assert said(after, date(2026, 11, 21)) == []


def test_the_register_after_a_load_leaves_the_one_before_as_it_is() -> None:
    before = demo()
    v4 = before.agreements[ENCOMPASS].model_copy(update={"version": 4, "status": Status.TERMINATED})

    after = register_after(before, [Entry(agreement_id(v4), "agreement", v4, "x")], at=NOON)

    assert len(said(after)) == 5
    assert before.entries() == demo().entries()


def test_a_mask_takes_and_its_end_gives() -> None:
    """An information-governance lead signed off a wider release as a cut."""
    masked = change_flow(demo(), ENCOMPASS, "to-schools", mask={"subject.date_of_birth": "year"})

    assert said(masked) == [
        f"{school} loses for {FOR}: subject.date_of_birth in full" for school in ("ash-primary", "beech-primary")
    ]
    assert differences(masked, demo(), TODAY) == [
        f"{school} gains for {FOR}: subject.date_of_birth in full" for school in ("ash-primary", "beech-primary")
    ]


def test_what_is_given_masked_and_was_not_given_is_a_gain() -> None:
    more = {"event": ["ENVELOPE", "INCIDENT_FACT"], "subject": ["ID_CORE", "UPN", "LOCATION_HOME"]}
    flows = [flow for flow in demo().agreements[ENCOMPASS].flows if flow.flow == "to-schools"]
    release = {group: [*map(str, flows[0].release.of(group))] for group in Group}
    before = change_flow(demo(), ENCOMPASS, "to-schools", release=release)
    after = change_flow(
        demo(),
        ENCOMPASS,
        "to-schools",
        release=release | {"subject": more["subject"]},
        mask={"subject.home_address.postcode": "outward_code"},
    )
    found = [line for line in differences(before, after, TODAY) if line.startswith("ash-primary gains")]

    assert found == [
        f"ash-primary gains for {FOR}: LOCATION_HOME of subject; subject.home_address.postcode as outward_code"
    ]
