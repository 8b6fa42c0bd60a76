"""What a signal must be to become an event, and what is said of one that does not."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from a_change import changed, changes, paths
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.producers.importers.mns import import_signal
from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome
from safebus.schemas import codec
from safebus.schemas.errors import BadInput
from safebus.schemas.events import Confidentiality
from safebus.schemas.identifiers import derived_id

Signal = Callable[[bytes], Outcome]
REAL = Path(__file__).parents[2] / "data" / "real" / "mns"
DEATH: dict[str, Any] = json.loads((REAL / "pds-death-notification-2.json").read_text())
RECORD: dict[str, Any] = json.loads((REAL / "pds-record-change-2.json").read_text())
CLOUD: dict[str, Any] = json.loads((REAL / "cloudevent-pds-death-2.json").read_text())
CANARY = "canary73651"  # no type of message has five digits on end


def context(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a signal that say what and whom."""
    parts: list[dict[str, Any]] = document["entry"][0]["resource"]["parameter"][4]["part"]
    return parts


def imported(outcome: Outcome) -> Imported:
    assert isinstance(outcome, Imported), outcome
    return outcome


def reason(outcome: Outcome) -> ImportReason:
    assert isinstance(outcome, NotImported), outcome
    return outcome.reason


def test_a_signal_is_the_same_event_in_either_form(signal: Signal) -> None:
    """Source: MNS, "formats differ in their presentation only; the content is the same"."""
    fhir = changed(DEATH, ("id",), CLOUD["id"])

    assert signal(json.dumps(fhir).encode()) == signal(json.dumps(CLOUD).encode())


def test_the_event_does_not_depend_on_when_it_was_received() -> None:
    data = json.dumps(DEATH).encode()
    outcomes = {
        codec.encode(imported(import_signal(data, agency="nhs-england", received_at=at)).event)
        for at in (datetime(2020, 6, 1, 13, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    }

    assert len(outcomes) == 1


@pytest.mark.parametrize(
    ("source_id", "event_id"),
    [
        ("963b28e0-067a-4a3f-bee8-f613c23541b2", "963b28e0-067a-4a3f-bee8-f613c23541b2"),
        ("963B28E0-067A-4A3F-BEE8-F613C23541B2", "963b28e0-067a-4a3f-bee8-f613c23541b2"),
        ("signal 17", derived_id("mns", "nhs-england", "signal 17")),
    ],
)
def test_the_event_id_comes_from_the_source_id(signal: Signal, source_id: str, event_id: str) -> None:
    event = imported(signal(json.dumps(changed(DEATH, ("id",), source_id)).encode())).event

    assert (event.event_id, event.payload.source_event_id) == (event_id, source_id)


def test_a_subject_and_a_record_of_someone_else_are_a_conflict(signal: Signal) -> None:
    other = changed(CLOUD, ("subject",), "9000000009")

    assert reason(signal(json.dumps(other).encode())) is ImportReason.IDENTITY_CONFLICT


@pytest.mark.parametrize("place", ["Patient/9434765919", "https://pds.example/FHIR/R4/Patient/9434765919?_format=json"])
def test_a_record_of_someone_else_is_a_conflict_however_it_is_pointed_at(signal: Signal, place: str) -> None:
    other = changed(CLOUD, ("dataref",), place)

    assert reason(signal(json.dumps(other).encode())) is ImportReason.IDENTITY_CONFLICT


def test_two_subjects_are_a_conflict(signal: Signal) -> None:
    twice = copy.deepcopy(DEATH)
    context(twice).append(copy.deepcopy(context(twice)[2]))

    assert reason(signal(json.dumps(twice).encode())) is ImportReason.IDENTITY_CONFLICT


def test_a_signal_without_a_subject_is_about_nobody(signal: Signal) -> None:
    """The schema allows it; the bus cannot do anything with it."""
    nobody = copy.deepcopy(DEATH)
    del context(nobody)[2]

    assert reason(signal(json.dumps(nobody).encode())) is ImportReason.MISSING_FIELD


def test_a_subject_of_another_system_is_no_nhs_number(signal: Signal) -> None:
    other = copy.deepcopy(DEATH)
    context(other)[2]["valueReference"]["identifier"]["system"] = "https://example.test/local-id"

    assert reason(signal(json.dumps(other).encode())) is ImportReason.BAD_IDENTIFIER


@pytest.mark.parametrize("number", ["9912003889", "991200388", "9912003888x", "٩٩١٢٠٠٣٨٨٨"])
def test_a_number_that_fails_its_check_is_refused(signal: Signal, number: str) -> None:
    assert reason(signal(json.dumps({**CLOUD, "subject": number}).encode())) is ImportReason.BAD_IDENTIFIER


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-10T09:30:01Z",  # more than a day ahead of when it was received
        "2020-06-01",
        "2020-06-01T13:00:00",
        "2020-W23-1T13:00:00Z",
        "2020-13-01T13:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "yesterday",
    ],
)
def test_a_time_that_cannot_be_is_refused(signal: Signal, time: str) -> None:
    assert reason(signal(json.dumps({**CLOUD, "time": time}).encode())) is ImportReason.BAD_TIME


def test_a_clock_that_is_a_day_ahead_is_forgiven(signal: Signal) -> None:
    event = imported(signal(json.dumps({**CLOUD, "time": "2026-11-10T09:30:00Z"}).encode())).event

    assert event.published_at == datetime(2026, 11, 10, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "expected"), [("R", Confidentiality.R), ("V", Confidentiality.V), ("U", Confidentiality.N)]
)
def test_a_label_on_the_record_carried_along_holds_for_the_event(
    signal: Signal, code: str, expected: Confidentiality
) -> None:
    """A restricted record is restricted, wherever in the message that is said."""
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}
    hydrated = copy.deepcopy(DEATH)
    hydrated["entry"].append(
        {
            "fullUrl": "https://api.example.test/Patient/1",
            "resource": {"resourceType": "Patient", "meta": {"security": [label]}},
            "request": {"method": "GET", "url": "https://api.example.test/Patient/1"},
            "response": {"status": "200"},
        }
    )

    event = imported(signal(json.dumps(hydrated).encode())).event

    assert (event.handling.confidentiality, event.subjects[0].confidentiality) == (expected, expected)


@pytest.mark.parametrize(
    "security", [[{"system": "https://example.test", "code": "X"}], [{"code": "R"}], ["R"], "R", 7]
)
def test_a_label_nobody_understands_is_never_skipped(signal: Signal, security: object) -> None:
    assert reason(signal(json.dumps({**DEATH, "meta": {"security": security}}).encode())) is ImportReason.UNKNOWN_LABEL


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ImportReason.NOT_JSON),
        (b"<Bundle/>", ImportReason.NOT_JSON),
        (b"\xff\xfe{\x00}\x00", ImportReason.NOT_JSON),
        (b'{"specversion": NaN}', ImportReason.NOT_JSON),
        (b'{"subject": "1", "subject": "2"}', ImportReason.NOT_JSON),
        (b'{"id": "\\ud800"}', ImportReason.NOT_JSON),
        (b"[" + b"9" * 5000 + b"]", ImportReason.NOT_JSON),
        (b"[" * 100_000, ImportReason.TOO_DEEP),
        (b"[" * 65 + b"]" * 65, ImportReason.TOO_DEEP),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, ImportReason.TOO_DEEP),
        (b" " * 10_000_000, ImportReason.TOO_LARGE),
        (b"[]", ImportReason.NOT_A_SIGNAL),
        (b"null", ImportReason.NOT_A_SIGNAL),
        (b'{"specversion": "0.3"}', ImportReason.NOT_A_SIGNAL),
        (b'{"specversion": "1.0"}', ImportReason.MISSING_FIELD),
        (b'{"resourceType": "Patient"}', ImportReason.NOT_A_SIGNAL),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_signal_is_named(signal: Signal, data: bytes, expected: ImportReason) -> None:
    assert reason(signal(data)) is expected


def test_what_is_too_long_for_the_bus_is_too_large(signal: Signal) -> None:
    """An imported event is one that the gate lets in, so nothing imported is refused later."""
    long = {**CLOUD, "dataref": "https://example.test/" + "x" * 30_000}

    assert reason(signal(json.dumps(long).encode())) is ImportReason.TOO_LARGE


def test_an_id_that_no_field_holds_is_a_bad_value(signal: Signal) -> None:
    assert reason(signal(json.dumps({**CLOUD, "id": "x" * 201}).encode())) is ImportReason.BAD_VALUE


@pytest.mark.parametrize(
    ("agency", "received_at"),
    [("NHS England", datetime(2026, 1, 1, tzinfo=UTC)), ("nhs", datetime(2026, 1, 1))],  # noqa: DTZ001
)
def test_what_the_caller_got_wrong_is_an_error(agency: str, received_at: datetime) -> None:
    with pytest.raises(BadInput):
        import_signal(b"{}", agency=agency, received_at=received_at)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_to_a_signal_makes_the_importer_raise(signal: Signal, data: st.DataObject) -> None:
    """And whatever is imported goes through the gate, twice the same."""
    document: Any = data.draw(changes(data.draw(st.sampled_from([DEATH, RECORD, CLOUD]))))
    text = json.dumps(document).encode()

    outcome = signal(text)

    assert outcome == signal(text)
    if isinstance(outcome, Imported):
        value = codec.encode(outcome.event)
        assert codec.decode(value).event == outcome.event


@given(st.binary(max_size=200))
def test_no_bytes_make_the_importer_raise(signal: Signal, data: bytes) -> None:
    assert isinstance(signal(data), NotImported)


@pytest.mark.parametrize("document", [DEATH, RECORD, CLOUD], ids=["death", "record", "cloudevent"])
def test_a_refusal_repeats_no_value_of_the_signal(signal: Signal, document: dict[str, Any]) -> None:
    """Every field in turn holds a word, a list and a name that we would know again."""
    for path in paths(document):
        for value in (CANARY, [CANARY], {CANARY: CANARY}, f"9912003888{CANARY}"):
            outcome = signal(json.dumps(changed(document, path, value)).encode())

            if isinstance(outcome, NotImported):
                assert CANARY not in outcome.describe()
                assert "9912003888" not in outcome.describe()
