"""What may follow what in the register of consents, and what of a folder is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safebus.deploy.local.up import DEMO_REGISTER
from safebus.schemas.errors import BadInput, BadRegister
from safebus.schemas.keys import PersonKey
from safebus.streams.register.changes import changes_of, left_out, likely_slips, not_read, read_files
from safebus.streams.register.store import Register
from safebus.streams.register.write import (
    as_records,
    check_consent,
    consent_record,
    deliveries_record,
    ending_record,
    register_of,
)
from safebus.streams.rules.consent import ConsentEntry, Meaning, State

KEY = PersonKey(b"k" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AVA = KEY.token("nhs", "9990079196")
ENTRIES = [change.entry for change in changes_of(DEMO_REGISTER, Register(), KEY)]


def demo() -> Register:
    return register_of(ENTRIES, at=NOW)


def decided(
    state: State,
    *,
    purpose: str = "safeguarding",
    at: datetime = NOW,
    recipients: tuple[str, ...] = (),
    person: str = AVA,
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
        (
            decided(State.GIVEN, recipients=("ash-primry",)),
            "`ash-primry`, who is not in the register; did you mean `ash-primary`",
        ),
        (decided(State.REFUSED, purpose="safegarding"), "no flow has the purpose `safegarding`; did you mean `safeg"),
        (decided(State.REFUSED, purpose="trip"), "no flow has the purpose `trip`; there are "),
    ],
)
def test_what_cannot_be_is_refused_with_what_could(entry: ConsentEntry, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_consent(entry, demo(), now=NOW)


def test_an_older_decision_than_the_one_on_record_is_refused() -> None:
    register = with_(demo(), decided(State.GIVEN))

    with pytest.raises(BadInput, match="the newest decides"):
        check_consent(decided(State.WITHDRAWN, at=NOW - timedelta(days=1)), register, now=NOW)


def test_who_is_asked_again_may_say_no_or_take_back_what_stood_before() -> None:
    register = with_(demo(), decided(State.GIVEN, at=NOW - 2 * HOUR))
    check_consent(decided(State.REQUESTED, at=NOW - HOUR), register, now=NOW)
    with_(register, decided(State.REQUESTED, at=NOW - HOUR))

    for no in (State.REFUSED, State.WITHDRAWN):
        check_consent(decided(no), register, now=NOW)


def test_a_decision_said_before_a_request_and_typed_in_after_it_is_taken() -> None:
    """Only decisions compete by their time; a request is none."""
    register = with_(demo(), decided(State.REQUESTED))

    check_consent(decided(State.GIVEN, at=NOW - HOUR), register, now=NOW)


@pytest.mark.parametrize("state", [State.GIVEN, State.RENEWED, State.REFUSED, State.WITHDRAWN])
def test_nobody_records_what_is_not_theirs_to_say(state: State) -> None:
    by_gary = decided(state).model_copy(update={"by": KEY.token("nhs", "9990475148")})
    by_an_officer = decided(state).model_copy(update={"expressed_by": "officer"})

    with pytest.raises(BadInput, match=f"`{state}` is not theirs to say for this person; `may_speak_for`"):
        check_consent(by_gary, demo(), now=NOW)
    with pytest.raises(BadInput, match="nobody speaks in this capacity; give one of subject, parent, young_person"):
        check_consent(by_an_officer, demo(), now=NOW)


def test_what_ended_a_consent_is_recorded_whoever_says_so() -> None:
    register = with_(demo(), decided(State.GIVEN, at=NOW - HOUR))

    check_consent(decided(State.REVOKED).model_copy(update={"expressed_by": "officer"}), register, now=NOW)


def test_what_did_not_count_stands_in_nobodys_way() -> None:
    """Someone who may not agree did so once; now the parent is asked for the first time."""
    by_gary = decided(State.GIVEN, at=NOW - HOUR).model_copy(update={"by": KEY.token("nhs", "9990475148")})
    register = with_(demo(), by_gary)

    check_consent(decided(State.GIVEN), register, now=NOW)
    check_consent(decided(State.REFUSED), register, now=NOW)


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


def test_what_was_confirmed_stands_with_the_reason_of_its_entry() -> None:
    meant = {"agreement/fordshire-encompass/v3": ("one thing", "another")}

    found = {r.record_id: r.reason for r in as_records(ENTRIES, at=NOW, by="test", reason="signed", confirmed=meant)}

    assert found.pop("agreement/fordshire-encompass/v3") == "signed; confirmed: one thing; confirmed: another"
    assert set(found.values()) == {"signed"}


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
            "interest: [nursery]",
            "nobody has anyone in care as `nursery",
        ),
        ("family.yaml", "role: attends_school", "role: nursery", "no agreement is for those in the role `nursery"),
        ("encompass.yaml", "review_by: 2027-06-30", "review_by: 2025-12-01", "has expired already"),
        (
            "encompass.yaml",
            "event: [ENVELOPE, INCIDENT_FACT]",
            "event: [ENVELOPE, INCIDENT_FACT, FREE_TEXT]",
            "`release.event` names FREE_TEXT, which only `fields` releases",
        ),
        (
            "family.yaml",
            "purpose: temporary_accommodation_notice",
            "purpose: safeguarding",
            "no flow waits for consent to `safeguarding`",
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
    assert not any(said in line for line in likely_slips(ENTRIES, Register(), today=NOW.date()))


def test_every_yaml_file_is_read_however_its_name_ends_and_the_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("partners.yaml", "withdrawals.yml", "more/dangers.YAML", ".hidden.yaml"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbfconsents: []\n")
    for name in ("README.md", "more/people.csv", ".DS_Store"):
        (tmp_path / name).write_text("about this folder")

    assert read_files(tmp_path) == dict.fromkeys(
        ("more/dangers.YAML", "partners.yaml", "withdrawals.yml"), "consents: []\n"
    )
    assert not_read(tmp_path) == [".hidden.yaml", "README.md", "more/people.csv"]


def test_a_file_that_is_not_utf_8_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_bytes("a: 1\nname: Siobh\xe1n\n".encode("cp1252"))

    with pytest.raises(BadRegister, match=r"people\.yaml`: line 2, column 12: byte 0xE1 is not UTF-8"):
        read_files(tmp_path)


def test_what_an_editor_or_a_versioned_folder_keeps_beside_it_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "partners.yaml").write_text("partners: []\n")
    (tmp_path / ".gitlab-ci.yml").write_text("stages: []\n")
    (tmp_path / ".#partners.yaml").symlink_to("somebody@desk.1234")
    (tmp_path / "..data").symlink_to(DEMO_REGISTER)

    assert list(read_files(tmp_path)) == ["partners.yaml"]


def test_a_link_to_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "partners.yaml").write_text("partners: []\n")
    (tmp_path / "there").symlink_to(DEMO_REGISTER)

    with pytest.raises(BadInput, match=r"`there`: .* no link to a folder is followed"):
        read_files(tmp_path)


@pytest.mark.parametrize("name", ["withdrawals.yml~", "dangers.YAML.bak", "more/family.yaml.txt"])
def test_a_file_that_would_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A withdrawal in it would not be heard."""
    (tmp_path / "partners.yaml").write_text("partners: []\n")
    (tmp_path / "more").mkdir()
    (tmp_path / name).write_text("consents: []\n")
    (tmp_path / "README.md").write_text("about this folder")

    with pytest.raises(BadInput, match=re.escape(f"`{name}`: a register folder is read from files named *.yaml")):
        read_files(tmp_path)


def test_what_is_said_in_days_to_come_is_not_loaded(tmp_path: Path) -> None:
    """It would have beaten the mother's refusal, and permitted on that day."""
    for path in DEMO_REGISTER.rglob("*.yaml"):
        text = path.read_text("utf-8").replace("decided_at: 2026-11-02T10:15:00Z", "decided_at: 2027-11-02T10:15:00Z")
        (tmp_path / path.name).write_text(text, "utf-8")
    loaded_at = datetime(2026, 11, 20, tzinfo=UTC)

    with pytest.raises(BadRegister, match=r"`family\.yaml` line 56: `decided_at` 2027-11-02T10:15.* in the future"):
        changes_of(tmp_path, Register(), KEY, now=loaded_at)
    assert changes_of(DEMO_REGISTER, Register(), KEY, now=loaded_at)


def test_a_second_word_that_pauses_changes_how_long_and_not_since_when() -> None:
    """Who asks since when a partner has heard nothing would be told since the last word."""
    register = demo()

    def say(after: timedelta, *, paused: bool, until: datetime | None = None) -> tuple[datetime, datetime]:
        at = NOW + after
        record = deliveries_record("ash-primary", register, paused=paused, until=until, at=at, by="test", reason="test")
        register.apply(register.offset + 1, record)
        word = register.deliveries_word("ash-primary")
        assert word is not None
        return word.began, word.said_at

    said = [
        say(0 * HOUR, paused=True, until=NOW + 5 * HOUR),
        say(1 * HOUR, paused=True, until=NOW + 3 * HOUR),
        say(2 * HOUR, paused=True),
        say(3 * HOUR, paused=False),
        say(4 * HOUR, paused=True, until=NOW + 5 * HOUR),
        say(6 * HOUR, paused=True),  # the one before it was over
    ]

    assert [((began - NOW) // HOUR, (at - NOW) // HOUR) for began, at in said] == [
        (0, 0),
        (0, 1),
        (0, 2),
        (3, 3),
        (4, 4),
        (6, 6),
    ]
