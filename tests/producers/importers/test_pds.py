"""Whatever answers in the place of PDS: a record, a word on what is wrong, and never a place that is hidden."""

import json
from datetime import UTC, datetime
from typing import Any

from a_change import changes
from a_pds import PATIENT, RESTRICTED
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.producers.importers.mns import Signal, read_signal
from safebus.producers.importers.mns_records import import_looked_up
from safebus.producers.importers.outcome import Imported, ImportReason
from safebus.producers.importers.pds import NotAPatient, PdsRecord, read_patient
from safebus.schemas import codec
from safebus.schemas.errors import Refused
from safebus.schemas.events import Confidentiality

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
TYPES = ("pds-death-notification-2", "nhs-number-change-2", "pds-record-change-2")
WITH_PLACES: dict[str, Any] = {**PATIENT, "meta": RESTRICTED["meta"]}
PLACES = ("Trevelyan", "LS1 6AE", "Y12345", "01632960587", "Manchester")


def signal(event_type: str) -> Signal:
    said = {"specversion": "1.0", "id": "s", "source": "x", "type": event_type, "time": "2026-06-02T13:00:00Z"}
    return read_signal(json.dumps({**said, "subject": "9000000009"}).encode(), received_at=NOW)


def answered(document: Any) -> PdsRecord | None:
    """The record; None: something was said instead."""
    try:
        return read_patient(json.dumps(document).encode())
    except (NotAPatient, Refused) as exc:
        assert isinstance(exc, NotAPatient) or ImportReason(exc.reason)
        return None


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_no_answer_makes_the_importer_raise_or_names_a_hidden_place(data: st.DataObject) -> None:
    document = data.draw(changes(data.draw(st.sampled_from([PATIENT, RESTRICTED, WITH_PLACES]))))
    record = answered(document)
    if record is None:
        return
    of = signal(data.draw(st.sampled_from(TYPES)))
    found = [import_looked_up(of, record, agency="nhs-england", asked_at=NOW, case_secret=b"x" * 32) for _ in "12"]

    assert found[0] == found[1]
    if isinstance(found[0], Imported):
        assert codec.decode(codec.encode(found[0].event)).event == found[0].event
        if found[0].event.handling.confidentiality is Confidentiality.R:
            assert not [place for place in PLACES if place in found[0].event.model_dump_json()]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_said_of_an_answer_repeats_no_value_of_it(data: st.DataObject) -> None:
    document = data.draw(changes(PATIENT))
    values = ("9000000009", "Jane", "Smith", *PLACES)
    try:
        outcome = import_looked_up(
            signal(TYPES[0]),
            read_patient(json.dumps(document).encode()),
            agency="nhs-england",
            asked_at=NOW,
            case_secret=b"x" * 32,
        )
    except (NotAPatient, Refused) as exc:
        said = str(exc)
    else:
        said = "; ".join(outcome.left_out) if isinstance(outcome, Imported) else outcome.describe()

    assert not [value for value in values if value in said]


@given(st.binary(max_size=200))
def test_no_bytes_are_a_patient(data: bytes) -> None:
    try:
        read_patient(data)
    except NotAPatient as exc:
        assert str(exc)
    else:
        raise AssertionError("these bytes were taken for a record")
