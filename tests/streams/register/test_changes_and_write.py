"""What may follow what in the register of consents, and what of a folder is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safebus.deploy.local.up import DEMO_REGISTER
from safebus.schemas.errors import BadInput
from safebus.schemas.identifiers import PersonKey
from safebus.streams.register.changes import changes_of, left_out, likely_slips
from safebus.streams.register.store import Register
from safebus.streams.register.write import check_consent, consent_record, ending_record, register_of
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

KEY = PersonKey(b"k" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AVA = KEY.token("nhs", "9990079196")


def demo() -> Register:
    return register_of((c.entry for c in changes_of(DEMO_REGISTER, Register(), KEY)), at=NOW)


def decided(
    state: State, *, purpose: str = "trip", at: datetime = NOW, recipients: tuple[str, ...] = (), person: str = AVA
) -> ConsentEntry:
    return ConsentEntry(
        person_id=person,
        meaning=Meaning.SERVICE_AGREEMENT,
        purpose=purpose,
        state=state,
        decided_at=at,
        recipients=recipients,
        expressed_by="parent",
        method="test",
    )


def with_(register: Register, *entries: ConsentEntry) -> Register:
    for entry in entries:
        record = consent_record(entry, at=NOW, by="test", reason="test")
        register.apply(register.offset + 1, record)
    return register


def test_a_withdrawal_for_all_takes_back_what_was_given_for_some() -> None:
    """Given to two named recipients; whoever takes it back need not name them again."""
    register = with_(demo(), decided(State.GIVEN, recipients=("ash-primary", "meadow-practice")))

    check_consent(decided(State.WITHDRAWN, at=NOW + timedelta(0)), register, now=NOW)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (decided(State.WITHDRAWN), "a consent that is `unknown` cannot become `withdrawn`"),
        (decided(State.GIVEN, at=NOW + timedelta(days=1)), "lies in the future"),
        (decided(State.GIVEN, person="nobody"), "not in the register"),
        (decided(State.WITHDRAWN, recipients=("ash-primary",)), "cannot become `withdrawn`"),
        (decided(State.GIVEN, recipients=("ash-primry",)), "`ash-primry` is no partner in the register"),
    ],
)
def test_what_cannot_be_is_refused_with_what_could(entry: ConsentEntry, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_consent(entry, demo(), now=NOW)


def test_an_older_decision_than_the_one_on_record_is_refused() -> None:
    register = with_(demo(), decided(State.GIVEN))

    with pytest.raises(BadInput, match="the newest decides"):
        check_consent(decided(State.WITHDRAWN, at=NOW - timedelta(days=1)), register, now=NOW)


def test_loading_what_is_there_changes_nothing() -> None:
    assert {change.what for change in changes_of(DEMO_REGISTER, demo(), KEY)} == {"same"}


def test_an_empty_folder_is_not_taken_for_an_empty_register(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no"):
        changes_of(tmp_path, Register(), KEY)


def test_what_is_left_out_of_a_folder_stays_in_force_and_is_named(tmp_path: Path) -> None:
    """Taking a line out ends nothing; someone who believes so must be told."""
    for file in DEMO_REGISTER.rglob("*.yaml"):
        text = file.read_text("utf-8")
        (tmp_path / file.name).write_text(text.replace("  - {person: ava, partner: ash-primary", "  #"), "utf-8")
    staying = left_out(tmp_path, demo(), KEY)

    assert [record_id.split("/")[0] for record_id in staying] == ["involvement"]
    assert left_out(DEMO_REGISTER, demo(), KEY) == []


def test_an_entry_can_be_ended_and_the_past_stays() -> None:
    register = demo()
    record_id = "subscription/fordshire-mash/police.encompass.v1"
    register.apply(register.offset + 1, ending_record(record_id, register, at=NOW, by="test", reason="test"))

    assert register.entry(record_id) is None
    with pytest.raises(BadInput, match="the register has no"):
        ending_record(record_id, register, at=NOW, by="test", reason="test")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "encompass.yaml",
            "interest: [attends_school]",
            "interest: [atends_school]",
            "nobody has anyone in care as `atends",
        ),
        ("family.yaml", "role: attends_school", "role: atends_school", "no agreement is for those in the role `atends"),
        ("encompass.yaml", "review_by: 2027-06-30", "review_by: 2024-06-30", "has expired already"),
        (
            "family.yaml",
            "purpose: temporary_accommodation_notice",
            "purpose: temp",
            "no flow waits for consent to `temp`",
        ),
    ],
)
def test_a_slip_that_would_silently_stop_sharing_is_pointed_at(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    for path in DEMO_REGISTER.rglob("*.yaml"):
        text = path.read_text("utf-8")
        (tmp_path / path.name).write_text(text.replace(old, new, 1) if path.name == file else text, "utf-8")
    entries = [change.entry for change in changes_of(tmp_path, Register(), KEY)]

    lines = likely_slips(entries, Register(), today=NOW.date())
    assert any(said in line for line in lines), lines
    clean = [change.entry for change in changes_of(DEMO_REGISTER, Register(), KEY)]
    assert not any(said in line for line in likely_slips(clean, Register(), today=NOW.date()))
