"""
What went wrong elsewhere, as public reports tell it, goes right here or is refused with what to do.

Each names the report that it is after; the words and values are ours.
"""

import json
from collections.abc import Callable

import pytest
from a_message import BORN, CASES, DIED, HOME, MOVED, home, swapped

from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome
from safebus.schemas.events import IdentityChange

Message = Callable[[bytes], Outcome]
SIGNAL = (CASES / "mns" / "samename" / "mon" / "signal.json").read_text("utf-8")
NO_BREAK = "999\u00a0007\u20099196"
DIED_AT_HOME = DIED[DIED.index("<address>") : DIED.index("</address>") + len("</address>")]
PATIENT = '<Patient><id value="p1"/>'
BORN_AT = 'Date value="2015-03-02"'
HTML = '<text><div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;b</div></text>'


def with_a_prefix() -> bytes:
    """The same message, every element of FHIR under a prefix."""
    text = MOVED.replace("<", "<f:").replace("<f:/", "</f:")
    return swapped(text, (' xmlns="http://hl7.org/fhir"', ' xmlns:x="urn:x" xmlns:f="http://hl7.org/fhir"'))


@pytest.mark.parametrize(
    ("report", "data", "change"),
    [
        ("NHSDigital/manage-vaccinations-in-schools#3560", swapped(MOVED, ("9990079196", NO_BREAK)), "ADDRESS_CHANGED"),
        ("hapifhir/hapi-fhir#266", b"\xef\xbb\xbf" + MOVED.encode(), "ADDRESS_CHANGED"),
        ("hapifhir/hapi-hl7v2#65", with_a_prefix(), "ADDRESS_CHANGED"),
        (
            "FirelyTeam/firely-net-sdk#988",
            swapped(MOVED, (BORN_AT, 'Date value=" "')),
            "ADDRESS_CHANGED",
        ),
        (
            "FirelyTeam/firely-net-sdk#1176",
            swapped(MOVED, ('value="O’Brien"', 'value=" O’Brien&#13;&#10;&#9;"')),
            "ADDRESS_CHANGED",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "#" in value else "",
)
def test_a_message_that_others_could_not_read_is_read(message: Message, report: str, data: bytes, change: str) -> None:
    outcome = message(data)

    assert isinstance(outcome, Imported), report
    person = outcome.event.subjects[0]
    assert (outcome.event.payload.change, person.nhs_number, person.family_name) == (
        IdentityChange(change),
        "9990079196",
        "O’Brien",
    )


@pytest.mark.parametrize(
    ("report", "data", "reason", "said"),
    [
        ("FirelyTeam/firely-net-sdk#1131", swapped(MOVED, (' xmlns="http://hl7.org/fhir"', "")),
         ImportReason.NOT_A_MESSAGE, 'in the namespace "http://hl7.org/fhir"'),
        ("hapifhir/hapi-fhir#1085", swapped(MOVED, (PATIENT, PATIENT + HTML)),
         ImportReason.NOT_XML, "an entity such as `&nbsp;`, which is of HTML"),
        ("nhsconnect/gpconnect#240", swapped(MOVED, ("https://fhir.nhs.uk/Id/", "http://fhir.nhs.net/Id/")),
         ImportReason.MISSING_FIELD, "no NHS number of system `https://fhir.nhs.uk/Id/nhs-number`"),
        ("FirelyTeam/spark#69", swapped(MOVED, (BORN_AT, 'Date value="2015-03-02T00:00:00"')),
         ImportReason.BAD_TIME, "`Patient.birthDate` is a time without a zone"),
        ("drajer-health/eCRNow#183", swapped(BORN, ('Boolean value="false"', 'Boolean value="true"')),
         ImportReason.NOT_A_LIVE_BIRTH, "a person must tell those concerned"),
    ],
    ids=lambda value: value if isinstance(value, str) and "#" in value else "",
)  # fmt: skip
def test_a_message_that_cannot_be_read_says_what_it_should_be(
    message: Message, report: str, data: bytes, reason: ImportReason, said: str
) -> None:
    outcome = message(data)

    assert isinstance(outcome, NotImported), report
    assert outcome.reason is reason
    assert said in outcome.detail


def test_an_address_for_letters_is_nobodys_home(message: Message) -> None:
    """CDCgov/NEDSS-Modernization#2935: another kind of address was shown as where the patient lives."""
    outcome = message(swapped(MOVED, (HOME, HOME + home("PO Box 1", start="2026-06-02", kind="postal"))))

    assert isinstance(outcome, Imported)
    assert outcome.event.payload.new_address is not None
    assert outcome.event.payload.new_address.lines == ("9 Test Row", "Fordton")


def test_addresses_whose_use_is_not_said_are_none_and_that_is_said(message: Message) -> None:
    """masslight/ottehr#2008: an address without a use made another one count."""
    no_use = "".join(f'<address><line value="{line}"/></address>' for line in "ab")
    outcome = message(swapped(DIED, (DIED_AT_HOME, no_use)))

    assert isinstance(outcome, Imported)
    assert outcome.event.subjects[0].home_address is None
    assert outcome.left_out == ("home address of `person`: none that is given is said to be a home",)


@pytest.mark.parametrize("time", ["2026-06-01t13:00:00z", "2026-06-01T13:00:00.1234567Z", "2026-06-01T14:00:00+01:00"])
def test_a_time_as_rfc_3339_writes_it_is_a_time(signal: Message, time: str) -> None:
    """cloudevents/sdk-python#152."""
    outcome = signal(SIGNAL.replace("2026-06-01T13:00:00Z", time).encode())

    assert isinstance(outcome, Imported)
    assert outcome.event.occurred_at.replace(microsecond=0).isoformat() == "2026-06-01T13:00:00+00:00"


@pytest.mark.parametrize(
    ("envelope", "within"),
    [({"MessageId": "1", "Body": SIGNAL}, "Body"), ({"Type": "Notification", "Message": SIGNAL}, "Message")],
    ids=["aws-powertools/powertools-lambda-typescript#3510", "govuk-one-login/authentication-api#799"],
)
def test_the_envelope_of_a_queue_is_named(signal: Message, envelope: dict[str, str], within: str) -> None:
    outcome = signal(json.dumps(envelope).encode())

    assert outcome == NotImported(
        ImportReason.NOT_A_SIGNAL,
        f"this is the envelope of a queue; give what stands in its `{within}`, as a file of its own",
    )
