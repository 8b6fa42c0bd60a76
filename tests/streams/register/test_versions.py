"""Versions of an agreement stand side by side, the one in force on the day governs, and what was ended stays ended."""

from datetime import date, timedelta
from typing import Any

import pytest
from a_register import AGREEMENT, FLOW, NOON, agreement, demo, put
from hypothesis import given
from hypothesis import strategies as st

from safebus.schemas.bus_records import RegisterRecord
from safebus.schemas.errors import BadInput
from safebus.streams.register.changes import _what
from safebus.streams.register.cross_checks import cross_check
from safebus.streams.register.entries import Entry
from safebus.streams.register.store import Register, agreement_id, body_of
from safebus.streams.register.write import ending_record, lifting_record, reviving_record
from safebus.streams.rules.agreements import Agreement, Status, governing, speaking

TODAY = date(2026, 11, 20)
V3 = "agreement/fordshire-encompass/v3"


def version(number: int, **changes: Any) -> Agreement:
    return agreement(version=number, flows=[FLOW | {"purpose": "apart"}], **changes)


def standing(*versions: Agreement, register: Register | None = None) -> Register:
    """The demonstration's register with these versions beside each other."""
    register = register or demo()
    for each in versions:
        put(register, agreement_id(each), "agreement", each.model_dump(mode="json", by_alias=True))
    return register


def flows_of(register: Register, on: date = TODAY) -> list[int]:
    found = register.flows(FLOW["event_type"], "fordshire-police", "ash-primary", on)
    return [each.version for each, flow in found if each.agreement == "small"]


def problems(*versions: Agreement, register: Register | None = None) -> list[str]:
    entries = [Entry(agreement_id(each), "agreement", each, "x") for each in versions]
    return [line.removeprefix("x: agreement `small` ") for line in cross_check(entries, register or demo())]


def write(register: Register, record: RegisterRecord) -> None:
    register.apply(register.offset + 1, record)


# Which version governs


@pytest.mark.parametrize(
    ("next_one", "in_force"),
    [
        ({"status": "draft"}, 1),
        ({"effective_from": "2026-11-21"}, 1),
        ({"effective_from": "2026-11-20"}, 2),
        ({"status": "suspended"}, 2),
        ({"status": "terminated"}, 2),
        ({"expires_on": "2026-06-30"}, 2),
    ],
)
def test_the_highest_that_has_begun_and_is_no_draft_governs(next_one: dict[str, str], in_force: int) -> None:
    """One that was suspended, terminated or has expired does not bring its predecessor back."""
    register = standing(version(1), version(2, **next_one))

    assert flows_of(register) == [in_force]
    found = register.agreement("small", TODAY)
    assert found is not None and found.version == in_force


def test_a_version_that_drops_a_flow_ends_it_from_its_first_day() -> None:
    other = version(2, effective_from="2026-12-01")
    other = other.model_copy(
        update={"flows": (other.flows[0].model_copy(update={"event_type": "identity.change.v1"}),)}
    )
    register = standing(version(1), other)

    assert flows_of(register, date(2026, 11, 30)) == [1]
    assert flows_of(register, date(2026, 12, 1)) == []


def test_before_the_first_version_the_one_to_come_says_so_and_governs_nothing() -> None:
    draft = version(1, status="draft")

    assert governing([draft], TODAY) is None
    assert speaking([draft], TODAY) is draft
    assert speaking([], TODAY) is None


_VERSIONS = st.lists(
    st.builds(
        lambda number, status, begins: version(
            number, status=status, effective_from=(TODAY + timedelta(days=begins)).isoformat()
        ),
        st.integers(1, 5),
        st.sampled_from([status.value for status in Status]),
        st.integers(-3, 3),
    ),
    unique_by=lambda each: each.version,
)


@given(_VERSIONS, st.integers(-5, 5))
def test_a_draft_or_a_version_to_come_changes_nothing(versions: list[Agreement], day: int) -> None:
    on = TODAY + timedelta(days=day)
    without = [each for each in versions if each.status is not Status.DRAFT and each.effective_from <= on]

    assert governing(versions, on) == governing(without, on)
    assert (governing(versions, on) is None) == (not without)


def test_an_old_register_where_each_version_took_the_place_of_the_one_before_means_what_it_meant() -> None:
    register = Register()
    for each in (version(1), version(2, status="draft")):
        body = each.model_dump(mode="json", by_alias=True)
        register.apply(
            register.offset + 1,
            RegisterRecord(
                record_id="agreement/small",
                kind="agreement",
                recorded_at=NOON,
                recorded_by="t",
                reason="t",
                body=body_of(Agreement.model_validate(body)),
            ),
        )

    assert [*register.standing("small")] == ["agreement/small"]
    assert flows_of(register) == [2]
    assert _what(Entry("agreement/small/v2", "agreement", version(2, status="draft"), "x"), register) == "same"
    assert _what(Entry("agreement/small/v3", "agreement", version(3), "x"), register) == "added"


# What does not load


def test_a_gap_between_versions_does_not_load() -> None:
    first = version(1, expires_on="2026-06-30")

    assert problems(first, version(2, effective_from="2026-07-01")) == []
    assert problems(first, version(2, effective_from="2026-07-02", status="draft")) == []
    assert (
        problems(version(1, expires_on="2026-06-30", status="suspended"), version(2, effective_from="2026-08-01")) == []
    )
    assert problems(first, version(2, effective_from="2026-07-03")) == [
        "leaves a gap: version 1 holds until 2026-06-30 and version 2 begins on 2026-07-03; begin earlier, or end "
        "version 1 first if the gap is meant"
    ]


def test_versions_of_one_agreement_are_no_rivals_of_each_other() -> None:
    assert problems(version(1), version(2), version(3, status="draft")) == []


def test_what_a_next_version_gives_up_another_agreement_may_take_over() -> None:
    """Until its first day the version before still covers it."""
    freed = version(2, effective_from="2026-07-01")
    freed = freed.model_copy(update={"flows": (freed.flows[0].model_copy(update={"purpose": "research"}),)})
    other = AGREEMENT | {"agreement": "other", "flows": [FLOW | {"purpose": "apart"}]}

    after = Agreement.model_validate(other | {"effective_from": "2026-07-01"})
    before = Agreement.model_validate(other | {"effective_from": "2026-06-30"})

    assert problems(version(1), freed, after) == []
    assert len(problems(version(1), freed, before)) == 2


# What was ended stays ended


def ended() -> Register:
    register = demo()
    write(register, ending_record(V3, register, at=NOON, by="the duty manager", reason="the police left"))
    return register


def test_an_old_folder_does_not_bring_an_ended_agreement_back() -> None:
    entry = Entry(V3, "agreement", demo().agreements["fordshire-encompass"], "`x.yaml` line 1")

    assert cross_check([entry], demo()) == []
    assert cross_check([entry], ended()) == [
        f"`x.yaml` line 1: `{V3}` was ended by the duty manager on 2026-11-20 (the police left); if it is to come "
        f"back, `safebus register revive {V3} --execute --reason ...` does it"
    ]


def test_a_command_of_its_own_brings_it_back() -> None:
    register = ended()
    write(register, reviving_record(V3, register, at=NOON, by="t", reason="a mistake"))

    assert register.entries() == demo().entries()
    assert register.ended == {}
    with pytest.raises(BadInput, match="was not ended"):
        reviving_record(V3, register, at=NOON, by="t", reason="a mistake")


def test_what_was_ended_under_its_old_id_stays_ended_under_the_new_one() -> None:
    register = demo()
    old = RegisterRecord(
        record_id="agreement/small",
        kind="agreement",
        recorded_at=NOON,
        recorded_by="t",
        reason="t",
        body=body_of(version(1)),
    )
    write(register, old)
    write(register, ending_record("agreement/small", register, at=NOON, by="t", reason="over"))

    assert len(problems(version(1), register=register)) == 1
    assert problems(version(2), register=register) == []


def suspended() -> Register:
    haven = demo().partners["haven"].model_copy(update={"suspended": True})
    return put(demo(), "partner/haven", "partner", haven.model_dump(mode="json"))


def test_a_suspension_is_not_lifted_by_ending_the_partner_and_loading_it_again() -> None:
    register = suspended()
    write(register, ending_record("partner/haven", register, at=NOON, by="t", reason="t"))

    (line,) = cross_check([Entry("partner/haven", "partner", demo().partners["haven"], "x")], register)
    assert "register revive partner/haven" in line
    write(register, reviving_record("partner/haven", register, at=NOON, by="t", reason="t"))
    assert register.partners["haven"].suspended


def test_a_suspension_is_lifted_by_a_command_of_its_own() -> None:
    register = suspended()
    write(register, lifting_record("partner/haven", register, at=NOON, by="t", reason="t"))

    assert register.entries() == demo().entries()
    for other in ("partner/haven", "partner/eve", V3):
        with pytest.raises(BadInput, match="nothing to lift"):
            lifting_record(other, register, at=NOON, by="t", reason="t")


def test_an_id_that_is_almost_one_is_answered_with_it() -> None:
    with pytest.raises(BadInput, match=f"did you mean `{V3}`"):
        ending_record("agreement/fordshire-encompass", demo(), at=NOON, by="t", reason="t")
