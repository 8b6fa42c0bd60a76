"""What may follow what in the register of consents, and what of a folder is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import registrar
from deploy.up import DEMO_REGISTER
from schemas.errors import BadInput
from schemas.identifiers import PersonKey
from streams.rules.consent import ConsentEntry, Meaning, State
from streams.rules.register import Register

KEY = PersonKey(b"k" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AVA = KEY.token("nhs", "9990079196")


def demo() -> Register:
    return registrar.register_of((c.entry for c in registrar.plan(DEMO_REGISTER, Register(), KEY)), at=NOW)


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
        record = registrar.consent_record(entry, at=NOW, by="test", reason="test")
        register.apply(register.offset + 1, record)
    return register


def test_a_withdrawal_for_all_takes_back_what_was_given_for_some() -> None:
    """Given to two named recipients; whoever takes it back need not name them again."""
    register = with_(demo(), decided(State.GIVEN, recipients=("ash-primary", "meadow-practice")))

    registrar.check_consent(decided(State.WITHDRAWN, at=NOW + timedelta(0)), register, now=NOW)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (decided(State.WITHDRAWN), "a consent that is `unknown` cannot become `withdrawn`"),
        (decided(State.GIVEN, at=NOW + timedelta(days=1)), "lies in the future"),
        (decided(State.GIVEN, person="nobody"), "not in the register"),
        (decided(State.WITHDRAWN, recipients=("ash-primary",)), "cannot become `withdrawn`"),
    ],
)
def test_what_cannot_be_is_refused_with_what_could(entry: ConsentEntry, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        registrar.check_consent(entry, demo(), now=NOW)


def test_an_older_decision_than_the_one_on_record_is_refused() -> None:
    register = with_(demo(), decided(State.GIVEN))

    with pytest.raises(BadInput, match="the newest decides"):
        registrar.check_consent(decided(State.WITHDRAWN, at=NOW - timedelta(days=1)), register, now=NOW)


def test_loading_what_is_there_changes_nothing() -> None:
    assert {change.what for change in registrar.plan(DEMO_REGISTER, demo(), KEY)} == {"same"}


def test_an_empty_folder_is_not_taken_for_an_empty_register(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no"):
        registrar.plan(tmp_path, Register(), KEY)
