"""What a signal and the record that it points at say together: never more than both, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from a_pds import AVA, BEN, PATIENT, RESTRICTED, TOKEN, Pds, Say, a_pds, html, outcome, record

from safebus.producers.importers.input_files import InputFile
from safebus.producers.importers.looking_up import Lookup, looked_up
from safebus.producers.importers.mns import import_signal
from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, NotNow
from safebus.producers.importers.pds_client import Endpoint, PdsClient
from safebus.schemas import codec
from safebus.schemas.events import Address, Confidentiality, IdentityChange, IdentityEvent

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
SECRET = b"only this agency has it, 32 byte"
DEATH, NUMBER, CHANGE = "pds-death-notification-2", "nhs-number-change-2", "pds-record-change-2"
STATUS = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DeathNotificationStatus"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
HOME = {"use": "home", "line": ["12 Mill Lane", "", "", "Fordton", ""], "postalCode": "ZZ99 3AB"}
HART = {"use": "usual", "given": ["Ava"], "family": "Hart"}
#: Who lives, under the name that she has.
ALIVE: dict[str, Any] = {
    "name": [HART],
    "birthDate": "2015-03-02",
    "address": [HOME],
    "generalPractitioner": [{"identifier": {"system": ODS, "value": "Y12345"}}],
}


def living(number: str = AVA, *, version: str = "7", **changes: Any) -> Say:
    meta = {"versionId": version, "security": PATIENT["meta"]["security"]}
    parts = {**ALIVE, "meta": meta, "extension": [], **changes}
    drop = [] if "deceasedDateTime" in changes else ["deceasedDateTime"]
    return record(number=number, drop=drop, **parts)


def dead(code: str | None = "2", *, at: str | None = "2026-06-01T03:10:00+01:00", **changes: Any) -> Say:
    status = {"url": "deathNotificationStatus", "valueCodeableConcept": {"coding": [{"code": code}]}}
    extension = [{"url": STATUS, "extension": [status]}] if code else []
    return living(extension=extension, **({"deceasedDateTime": at} if at else {}), **changes)


def signal(event_type: str, *, number: str = AVA, version: str | None = None, name: str = "s") -> InputFile:
    said = {
        "specversion": "1.0",
        "id": f"signal {name} {event_type}",
        "source": "uk.example.test",
        "type": event_type,
        "time": "2026-06-02T13:00:00Z",
        "subject": number,
        **({"versionid": version} if version else {}),
    }
    data = json.dumps(said).encode()
    return InputFile(f"{name}.json", f"/signals/{name}.json", data, len(data))


@pytest.fixture
async def pds() -> AsyncIterator[Pds]:
    async with a_pds() as server:
        yield server


Found = Imported | NotImported | NotNow


async def all_of(pds: Pds, *files: InputFile, token: str = TOKEN, now: datetime = NOW) -> list[Found]:
    async def no_pause(_: float) -> None: ...

    async with PdsClient(Endpoint(pds.url, lambda: token), pause=no_pause) as client:
        lookup = Lookup(client, SECRET)
        return [found async for _, found in looked_up(files, agency="nhs-england", now=now, lookup=lookup)]


async def event(pds: Pds, file: InputFile, **changes: Any) -> tuple[IdentityEvent, tuple[str, ...]]:
    [found] = await all_of(pds, file, **changes)
    assert isinstance(found, Imported), found
    assert codec.decode(codec.encode(found.event)).event == found.event
    return found.event, found.left_out


def by_itself(file: InputFile) -> IdentityEvent:
    """What the signal says without anybody being asked."""
    found = import_signal(file.data, agency="nhs-england", received_at=NOW)
    assert isinstance(found, Imported)
    return found.event


async def test_a_change_brings_the_record_as_it_is_today(pds: Pds) -> None:
    pds.says(AVA, living())
    found, left_out = await event(pds, signal(CHANGE))
    person = found.subjects[0]

    assert (found.payload.change, found.payload.record_version, left_out) == (IdentityChange.RECORD_CHANGED, "7", ())
    assert (person.nhs_number, person.given_name, person.family_name) == (AVA, "Ava", "Hart")
    assert (person.date_of_birth, person.registered_gp) == (date(2015, 3, 2), "Y12345")
    assert person.home_address == Address(lines=("12 Mill Lane", "Fordton"), postcode="ZZ99 3AB")


@pytest.mark.parametrize(
    ("said", "change", "died_at", "left_out"),
    [
        (dead("2"), IdentityChange.DEATH, datetime(2026, 6, 1, 2, 10, tzinfo=UTC), ()),
        (dead("1"), IdentityChange.DEATH, datetime(2026, 6, 1, 2, 10, tzinfo=UTC), ()),
        (dead("2", at=None), IdentityChange.DEATH, None, ()),
        (dead("2", at="2026-06-01T00:00:00+00:00"), IdentityChange.DEATH, None, ("time of death: only a day or less",)),
        (dead("2", at="2026-05"), IdentityChange.DEATH, None, ("time of death: only a day or less",)),
        (dead("U", at=None), IdentityChange.DEATH_REMOVED, None, ()),
        (dead(None, at=None), IdentityChange.RECORD_CHANGED, None, ("whether they died: the record has no death",)),
        (dead(None), IdentityChange.RECORD_CHANGED, None, ("whether they died: the record has no death",)),
        (dead("2", at="2026-06-08"), IdentityChange.RECORD_CHANGED, None, ("a death after this signal",)),
    ],
    ids=["formal", "informal", "no time", "midnight", "a month", "removed", "no status", "a date alone", "later"],
)
async def test_a_death_is_what_the_record_says_of_it(
    pds: Pds, said: Say, change: IdentityChange, died_at: datetime | None, left_out: tuple[str, ...]
) -> None:
    pds.says(AVA, said)
    found, why = await event(pds, signal(DEATH))

    assert (found.payload.change, found.payload.died_at) == (change, died_at)
    assert [any(each.startswith(start) for each in why) for start in left_out] == [True] * len(left_out)
    assert len(why) == len(left_out)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (dead("2", at="2014-06-01"), ImportReason.CONTRADICTION),  # before the birth
        (dead("2", at="2026-06-11T08:00:00Z"), ImportReason.CONTRADICTION),  # tomorrow
        (dead("2", at="2027-01-01"), ImportReason.CONTRADICTION),
        (dead("2", at="2026-06-01T03:10:00"), ImportReason.BAD_TIME),  # no zone
        (dead("U"), ImportReason.CONTRADICTION),
        (dead("9"), ImportReason.BAD_VALUE),
        (living(birthDate="2026-06-11"), ImportReason.CONTRADICTION),
        (outcome(404, "RESOURCE_NOT_FOUND"), ImportReason.NOT_AT_SOURCE),
        (outcome(404, "INVALIDATED_RESOURCE"), ImportReason.NOT_AT_SOURCE),
    ],
    ids=lambda value: "" if isinstance(value, Say) else str(value),
)
async def test_what_cannot_be_is_set_aside(pds: Pds, said: Say, reason: ImportReason) -> None:
    pds.says(AVA, said)
    [found] = await all_of(pds, signal(DEATH))

    assert isinstance(found, NotImported)
    assert found.reason is reason


async def test_a_restricted_person_has_no_address_and_the_event_says_restricted(pds: Pds) -> None:
    """Also where something between PDS and us has put one back."""
    pds.says(AVA, living(meta={**RESTRICTED["meta"]}))
    found, left_out = await event(pds, signal(CHANGE))
    person = found.subjects[0]

    assert (person.home_address, person.registered_gp, person.family_name) == (None, None, "Hart")
    assert (person.confidentiality, found.handling.confidentiality) == (Confidentiality.R, Confidentiality.R)
    assert "12 Mill Lane" not in found.model_dump_json()
    assert left_out == (
        "home address of `person`: the record is restricted",
        "GP practice of `person`: the record is restricted",
    )


async def test_a_number_change_names_both_numbers_where_the_service_gives_the_new_one(pds: Pds) -> None:
    pds.says(AVA, living(BEN))
    found, _ = await event(pds, signal(NUMBER))

    assert (found.payload.change, found.payload.superseded_nhs_number) == (IdentityChange.NUMBER_CHANGED, AVA)
    assert found.subjects[0].nhs_number == BEN


async def test_a_number_change_of_a_restricted_person_ties_no_two_numbers_together(pds: Pds) -> None:
    """Whoever has a new number to be safe is found by the old one, if anybody writes both down."""
    pds.says(AVA, living(BEN, meta=RESTRICTED["meta"]))
    found, _ = await event(pds, signal(NUMBER))

    assert BEN not in found.model_dump_json()
    assert (found.subjects[0].nhs_number, found.handling.confidentiality) == (AVA, Confidentiality.R)


@pytest.mark.parametrize("event_type", [DEATH, CHANGE])
async def test_nothing_is_taken_from_an_answer_under_another_number(pds: Pds, event_type: str) -> None:
    """Superseded, or a cache that mixed two children up: only a signal of a number change tells which."""
    file = signal(event_type)
    pds.says(AVA, dead("2", number=BEN))
    found, left_out = await event(pds, file)

    assert found == by_itself(file)
    assert left_out == (
        "what the record says: the answer is under another NHS number than was asked for; look it up at the source",
    )


async def test_a_number_that_is_no_longer_valid_is_a_number_change(pds: Pds) -> None:
    file = signal(NUMBER)
    pds.says(AVA, outcome(404, "INVALIDATED_RESOURCE"))
    found, left_out = await event(pds, file)

    assert found == by_itself(file)
    assert "INVALIDATED_RESOURCE" in left_out[0]


async def test_a_number_change_under_the_same_number_says_no_other(pds: Pds) -> None:
    pds.says(AVA, living())
    found, left_out = await event(pds, signal(NUMBER))

    assert (found.payload.change, found.payload.superseded_nhs_number) == (IdentityChange.NUMBER_CHANGED, None)
    assert left_out == ("the other NHS number: the record is under the number of the signal",)


async def test_a_record_that_is_older_than_the_signal_is_asked_for_again_later(pds: Pds) -> None:
    """A replica that lags behind would say that somebody lives."""
    pds.says(AVA, living(version="3"))
    [found] = await all_of(pds, signal(DEATH, version='W/"4"'))

    assert found == NotNow("the record is at version 3 still, the signal tells of version 4; import it again later")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"name": [{**HART, "period": {"end": "2026-06-09"}}]},
            "name of `person`: every name",
        ),
        ({"name": []}, None),
        ({"name": [{"use": "usual", "given": None, "family": None}]}, "no answer"),
        ({"birthDate": "2015-03"}, "date of birth of `person`: it gives no certain day"),
        (
            {"address": [{**HOME, "period": {"start": "2026-12-25"}}]},
            "home address of `person`: it starts",
        ),
        (
            {"address": [{**HOME, "period": {"end": "2026-06-10"}}]},
            "home address of `person`: every home",
        ),
        ({"address": [HOME, {"use": "home", "line": ["2 Elm Row"]}]}, "home address of `person`: several"),
        ({"address": [HOME, {"use": "temp", "line": ["A refuge"]}]}, None),
    ],
    ids=str,
)
async def test_what_is_not_certain_today_is_left_out_and_said(
    pds: Pds, changes: dict[str, Any], line: str | None
) -> None:
    pds.says(AVA, living(**changes))
    [found] = await all_of(pds, signal(CHANGE))
    if line == "no answer":
        assert isinstance(found, NotNow)
        return
    assert isinstance(found, Imported)

    assert "A refuge" not in found.event.model_dump_json()
    assert [each.startswith(line or "-") for each in found.left_out] == ([True] if line else [])


async def test_the_same_record_is_a_repeat_and_a_newer_one_is_news(pds: Pds) -> None:
    pds.says(AVA, living(), living(), living(version="8"))
    (first, _), (again, _), (news, _) = [await event(pds, signal(CHANGE)) for _ in "123"]

    assert codec.encode(first) == codec.encode(again)
    assert news.event_id != first.event_id
    assert by_itself(signal(CHANGE)).event_id not in (first.event_id, news.event_id)


async def test_a_number_that_is_not_answered_stops_itself_alone(pds: Pds) -> None:
    pds.says(AVA, html(500))
    pds.says(BEN, living(BEN))
    first, second, third = await all_of(
        pds, signal(CHANGE), signal(CHANGE, number=BEN, name="t"), InputFile("x.json", "/x.json", b"{", 1)
    )

    assert isinstance(first, NotNow)
    assert isinstance(second, Imported)
    assert isinstance(third, NotImported)


async def test_a_service_that_does_not_answer_is_not_asked_forty_times(pds: Pds) -> None:
    pds.says(AVA, html(503))
    found = await all_of(pds, *(signal(CHANGE, name=str(n)) for n in range(40)))

    assert [type(each) for each in found] == [NotNow] * 40
    assert len(pds.asked) == 3 * 4
    assert isinstance(found[-1], NotNow)
    assert found[-1].detail == "not asked for: PDS cannot be asked: it answers 503; import this again later"


async def test_a_wrong_token_is_tried_once(pds: Pds) -> None:
    pds.says(AVA, living())
    found = await all_of(pds, *(signal(CHANGE, name=str(n)) for n in range(5)), token="expired")

    assert [type(each) for each in found] == [NotNow] * 5
    assert pds.asked == []


async def test_an_answer_that_names_a_day_says_the_same_wherever_it_is_asked(pds: Pds) -> None:
    """Half past eleven in summer, UTC, is tomorrow at home: an address from tomorrow on is where she lives."""
    pds.says(AVA, living(address=[{**HOME, "period": {"start": "2026-06-11"}}]))
    found, _ = await event(pds, signal(CHANGE), now=NOW.replace(hour=23, minute=30))

    assert found.subjects[0].home_address is not None
