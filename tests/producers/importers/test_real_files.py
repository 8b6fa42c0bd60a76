"""What becomes of every message that the NHS has published as an example."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from safebus.producers.importers.outcome import Imported, ImportReason, NotImported
from safebus.producers.importers.report import import_file, table
from safebus.schemas import codec
from safebus.schemas.events import (
    Address,
    ClaimedBasis,
    DatedAddress,
    IdentityChange,
    IdentityChangePayload,
    IdentityEvent,
    Lifecycle,
    Person,
    PersonRole,
    Sender,
)

ROOT = Path(__file__).parents[3]
REAL = ROOT / "tests" / "data" / "real"
FILES: Mapping[str, bytes] = {
    path.relative_to(REAL).as_posix(): path.read_bytes() for feed in ("mns", "nems") for path in (REAL / feed).iterdir()
}
INPUTS = sorted(name for name in FILES if not name.endswith(("LICENSE", ".schema.json")))

UTC_2020 = datetime(2020, 6, 1, 13, 0, tzinfo=UTC)
PATIENT = "https://api.service.nhs.uk/personal-demographics/FHIR/R4/Patient/9912003888"
SPINE = "https://fhir.nhs.uk/Id/nhsSpineASID/477121000324"


def signalled(event_id: str, payload: IdentityChangePayload) -> IdentityEvent:
    """What the four signals have in common."""
    return IdentityEvent(
        event_id=event_id,
        lifecycle=Lifecycle.NEW,
        occurred_at=UTC_2020,
        recorded_at=UTC_2020,
        published_at=UTC_2020,
        publisher=Sender(agency="nhs-england", org_scheme="ODS", org_code="X26", org_name="NHS England"),
        subjects=(Person(ref="person", role=PersonRole.PERSON, nhs_number="9912003888"),),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="NHSA06-13"),
        purpose="record_accuracy",
        payload=payload,
    )


EVENTS: Mapping[str, IdentityEvent] = {
    "mns/cloudevent-pds-death-2.json": signalled(
        "236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
        IdentityChangePayload(
            change=IdentityChange.RECORD_CHANGED,
            source_event_type="pds-death-notification-2",
            source_event_id="236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
            source_system=SPINE,
            data_reference=PATIENT,
        ),
    ),
    "mns/pds-death-notification-2.json": signalled(
        "963b28e0-067a-4a3f-bee8-f613c23541b2",
        IdentityChangePayload(
            change=IdentityChange.RECORD_CHANGED,
            source_event_type="pds-death-notification-2",
            source_event_id="963b28e0-067a-4a3f-bee8-f613c23541b2",
            source_system=SPINE,
            data_reference=PATIENT,
        ),
    ),
    "mns/nhs-number-change-2.json": signalled(
        "685aec28-70bb-4763-853b-2bdc07a44415",
        IdentityChangePayload(
            change=IdentityChange.NUMBER_CHANGED,
            source_event_type="nhs-number-change-2",
            source_event_id="685aec28-70bb-4763-853b-2bdc07a44415",
            source_system=SPINE,
            data_reference=PATIENT,
        ),
    ),
    "mns/pds-record-change-2.json": signalled(
        "deb6ed8d-c54a-4489-8609-b15baf927541",
        IdentityChangePayload(
            change=IdentityChange.RECORD_CHANGED,
            source_event_type="pds-record-change-2",
            source_event_id="deb6ed8d-c54a-4489-8609-b15baf927541",
            source_system=SPINE,
            record_version='W/"4"',
        ),
    ),
    "nems/PDS-Change-Of-Address-ems-example.xml": IdentityEvent(
        event_id="3cfdf880-13e9-4f6b-8299-53e96ef5ec02",
        lifecycle=Lifecycle.NEW,
        sequence=1,
        occurred_at=datetime(2017, 11, 1, 15, 0, 33, tzinfo=UTC),
        recorded_at=datetime(2019, 11, 1, 15, 0, tzinfo=UTC),
        published_at=datetime(2019, 11, 1, 15, 0, tzinfo=UTC),
        publisher=Sender(agency="nhs-england", org_scheme="ODS", org_code="X26", org_name="NHS England"),
        subjects=(
            Person(
                ref="person",
                role=PersonRole.PERSON,
                given_name="Jack",
                family_name="DAWKINS",
                nhs_number="9912003888",
                home_address=Address(lines=("4 SANDMOOR DRIVE", "LEEDS"), postcode="LS17 7DF"),
            ),
        ),
        claimed_basis=ClaimedBasis(art6="A6-1-e", gateway="NHSA06-13"),
        purpose="record_accuracy",
        payload=IdentityChangePayload(
            change=IdentityChange.ADDRESS_CHANGED,
            source_event_type="pds-change-of-address-1",
            source_event_id="3cfdf880-13e9-4f6b-8299-53e96ef5ec02",
            source_system="urn:nhs:addressing:asid:477121000323",
            new_address=DatedAddress(
                lines=("4 SANDMOOR DRIVE", "LEEDS"), postcode="LS17 7DF", from_date=date(2019, 11, 1)
            ),
        ),
    ),
}

REASONS: Mapping[str, ImportReason] = {
    "mns/patientflags-change-1.json": ImportReason.UNSUPPORTED_EVENT_TYPE,
    "nems/BirthNotificationWithMother.xml": ImportReason.BAD_IDENTIFIER,
    "nems/PDS-Death-Notification-formal-ems-example.xml": ImportReason.IDENTITY_CONFLICT,
    "nems/PDS-Death-Notification-removed-ems-example.xml": ImportReason.IDENTITY_CONFLICT,
    "nems/Professional-Contacts-1-delete.xml": ImportReason.UNSUPPORTED_EVENT_TYPE,
    "nems/Professional-Contacts-1-new.xml": ImportReason.UNSUPPORTED_EVENT_TYPE,
    "nems/Professional-Contacts-1-update.xml": ImportReason.UNSUPPORTED_EVENT_TYPE,
}


def test_every_file_is_spoken_for() -> None:
    assert sorted([*EVENTS, *REASONS]) == INPUTS


@pytest.mark.parametrize("name", EVENTS)
def test_the_event_is_the_message_and_nothing_more(name: str) -> None:
    outcome = import_file(name, FILES[name])

    assert isinstance(outcome, Imported), outcome
    assert outcome.event == EVENTS[name]


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_imported_says_why(name: str) -> None:
    outcome = import_file(name, FILES[name])

    assert isinstance(outcome, NotImported), outcome
    assert outcome.reason is REASONS[name]


@pytest.mark.parametrize("name", EVENTS)
def test_an_imported_event_goes_through_the_gate(name: str) -> None:
    outcome = import_file(name, FILES[name])
    assert isinstance(outcome, Imported), outcome

    assert codec.decode(codec.encode(outcome.event)).event == outcome.event


@pytest.mark.parametrize("name", EVENTS)
def test_importing_twice_gives_the_same_bytes(name: str) -> None:
    first, second = import_file(name, FILES[name]), import_file(name, FILES[name])
    assert isinstance(first, Imported)
    assert isinstance(second, Imported)

    assert codec.encode(first.event) == codec.encode(second.event)


def test_no_two_files_give_the_same_event_id() -> None:
    """The published CloudEvent and change of address share a UUID: there it names the envelope, not the message."""
    assert len({event.event_id for event in EVENTS.values()}) == len(EVENTS)


def test_the_documentation_holds_the_table_as_it_is() -> None:
    written = (ROOT / "docs" / "importers.md").read_text("utf-8").splitlines()

    assert [line for line in written if line.startswith("|")] == table(FILES).splitlines()


def test_the_demo_has_the_same_files() -> None:
    """The demo is installed without the tests, so it carries its own copy."""
    demo = ROOT / "deploy" / "local" / "demo" / "real"

    assert {path.relative_to(demo).as_posix(): path.read_bytes() for path in demo.rglob("*") if path.is_file()} == {
        **FILES,
        "SOURCE.md": (REAL / "SOURCE.md").read_bytes(),
    }


def test_the_importer_checks_against_the_published_schema() -> None:
    ours = ROOT / "producers" / "importers" / "fhirsignal.schema.json"

    assert ours.read_bytes() == FILES["mns/fhirsignal.schema.json"]
