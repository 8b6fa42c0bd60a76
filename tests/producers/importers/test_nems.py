"""What a message must be to become an event, whom it is about, and what is said of one that does not."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import pytest
from a_message import MOVED
from hypothesis import given, settings
from hypothesis import strategies as st

from safebus.producers.importers.nems import import_message
from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome
from safebus.schemas import codec
from safebus.schemas.events import Address, Confidentiality, DatedAddress, Lifecycle, Person, PersonRole
from safebus.schemas.identifiers import derived_id

Message = Callable[[bytes], Outcome]
REAL = Path(__file__).parents[2] / "data" / "real" / "nems"
ADDRESS = (REAL / "PDS-Change-Of-Address-ems-example.xml").read_text()
FORMAL = (REAL / "PDS-Death-Notification-formal-ems-example.xml").read_text()
REMOVED = (REAL / "PDS-Death-Notification-removed-ems-example.xml").read_text()
#: As published it was sent a month before the change that it tells of, which is set aside.
SENT_TOO_EARLY = (REAL / "BirthNotificationWithMother.xml").read_text()
BIRTH = SENT_TOO_EARLY.replace('lastUpdated value="2017-11-01T15:00:33', 'lastUpdated value="2017-10-02T20:13:00')
FHIR = "{http://hl7.org/fhir}"
HEADER_EXTENSION = "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-"
CANARY = "canary73651"  # no type of message has five digits on end


def swapped(text: str, *pairs: tuple[str, str]) -> bytes:
    """The message with other words in it. Each must be there, or the test tests nothing."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()


#: The published deaths with one number throughout, and the birth with a mother whose number passes its check.
ONE_NUMBER = ("6101231234", "9912003888")
ONE_NAME = ("JONES", "DAWKINS")
MOTHER = ("1112223330", "9000000009")


def imported(outcome: Outcome) -> Imported:
    assert isinstance(outcome, Imported), outcome
    return outcome


def reason(outcome: Outcome) -> ImportReason:
    assert isinstance(outcome, NotImported), outcome
    return outcome.reason


def test_a_death_has_its_time(message: Message) -> None:
    event = imported(message(swapped(FORMAL, ONE_NUMBER, ONE_NAME))).event

    assert (event.payload.change, event.payload.died_at) == ("DEATH", datetime(2017, 11, 1, 15, tzinfo=UTC))
    assert event.subjects == (
        Person(
            ref="person",
            role=PersonRole.PERSON,
            given_name="Jack",
            family_name="DAWKINS",
            date_of_birth=date(2017, 10, 2),
            nhs_number="9912003888",
            home_address=Address(lines=("4 Sandmoor Drive", "LEEDS"), postcode="LS17 7DF"),
        ),
    )


def test_an_informal_death_is_a_death(message: Message) -> None:
    event = imported(message(swapped(FORMAL, ONE_NUMBER, ONE_NAME, ('<code value="2"/>', '<code value="1"/>')))).event

    assert event.payload.change == "DEATH"


def test_a_removed_death_takes_the_death_back(message: Message) -> None:
    event = imported(message(swapped(REMOVED, ONE_NUMBER, ONE_NAME))).event

    assert (event.payload.change, event.payload.died_at) == ("DEATH_REMOVED", None)


def test_a_day_of_death_is_not_made_a_midnight(message: Message) -> None:
    data = swapped(FORMAL, ONE_NUMBER, ONE_NAME, ("2017-11-01T15:00:00+00:00", "2017-11-01"))
    outcome = imported(message(data))

    assert outcome.event.payload.died_at is None
    assert outcome.left_out == ("time of death: only a day or less is given",)


@pytest.mark.parametrize(
    ("text", "pair", "expected"),
    [
        (FORMAL, ('<code value="2"/>', '<code value="U"/>'), ImportReason.CONTRADICTION),
        (FORMAL, ('<code value="2"/>', '<code value="3"/>'), ImportReason.BAD_VALUE),
        (FORMAL, ('<code value="2"/>', '<code value="2"/><code value="U"/>'), ImportReason.BAD_VALUE),
        (FORMAL, ('<code value="2"/>', ""), ImportReason.MISSING_FIELD),
        (FORMAL, ("<deceasedDateTime value=\"2017-11-01T15:00:00+00:00\"/>", '<deceasedBoolean value="false"/>'),
         ImportReason.CONTRADICTION),
        (FORMAL, ("2017-11-01T15:00:00+00:00", "2031-01-01T00:00:00Z"), ImportReason.BAD_TIME),
    ],
)  # fmt: skip
def test_a_death_is_never_concluded(message: Message, text: str, pair: tuple[str, str], expected: ImportReason) -> None:
    """Without one clear status nothing is told: neither a death nor that there was none."""
    assert reason(message(swapped(text, ONE_NUMBER, ONE_NAME, pair))) is expected


def test_two_numbers_are_nobody_even_if_one_is_right(message: Message) -> None:
    right_and_right = swapped(FORMAL, ("6101231234", "9000000009"))

    assert reason(message(right_and_right)) is ImportReason.IDENTITY_CONFLICT
    assert reason(message(FORMAL.encode())) is ImportReason.IDENTITY_CONFLICT


def test_a_number_that_agrees_with_nothing_beside_it_is_a_conflict(message: Message) -> None:
    """The published death, its number mended: the family names still differ, and no birth date stands twice."""
    assert reason(message(swapped(FORMAL, ONE_NUMBER))) is ImportReason.IDENTITY_CONFLICT


def test_a_name_that_differs_is_left_out_when_the_birth_date_agrees(message: Message) -> None:
    data = swapped(FORMAL, ONE_NUMBER, ('<gender value="male"/>', '<birthDate value="2017-10-02"/>'))
    outcome = imported(message(data))

    assert outcome.left_out == ("name of `person`: the message gives more than one",)
    person = outcome.event.subjects[0]
    assert (person.given_name, person.family_name, person.date_of_birth) == (None, None, date(2017, 10, 2))


def test_a_birth_date_that_agrees_is_kept(message: Message) -> None:
    data = swapped(ADDRESS, ("2019-10-02T20", "2017-10-02T20"), ('birthDate value="2019', 'birthDate value="2017'))
    outcome = imported(message(data))

    assert (outcome.left_out, outcome.event.subjects[0].date_of_birth) == ((), date(2017, 10, 2))


def test_a_number_that_fails_its_check_is_not_replaced(message: Message) -> None:
    assert reason(message(swapped(ADDRESS, ("9912003888", "9912003889")))) is ImportReason.BAD_IDENTIFIER


def test_a_number_only_the_header_gives_is_not_taken(message: Message) -> None:
    other = ('https://fhir.nhs.uk/Id/nhs-number"/>\n\t\t\t\t\t<value', 'https://example.test/id"/>\n\t\t\t\t\t<value')

    assert reason(message(swapped(ADDRESS, other))) is ImportReason.MISSING_FIELD


def test_a_number_that_was_never_verified_is_quarantined(message: Message) -> None:
    assert (
        reason(message(swapped(ADDRESS, ('<code value="01"/>', '<code value="02"/>'))))
        is ImportReason.UNVERIFIED_IDENTITY
    )


def test_a_birth_is_about_the_baby(message: Message) -> None:
    event = imported(message(swapped(BIRTH, MOTHER))).event

    assert event.subjects == (
        Person(
            ref="child",
            role=PersonRole.CHILD,
            given_name="Jack",
            family_name="DAWKINS",
            date_of_birth=date(2017, 10, 2),
            nhs_number="9912003888",
            home_address=Address(lines=("4 Sandmoor Drive", "LEEDS"), postcode="LS17 7DF"),
        ),
        Person(
            ref="mother",
            role=PersonRole.PARENT_CARER,
            given_name="Sally",
            family_name="DAWKINS",
            date_of_birth=date(1987, 10, 2),
            relationship="mother",
            nhs_number="9000000009",
            registered_gp="B86056",
        ),
    )
    assert event.payload.change == "BIRTH"


def test_a_birth_with_a_wrong_number_of_the_mother_is_quarantined(message: Message) -> None:
    assert reason(message(BIRTH.encode())) is ImportReason.BAD_IDENTIFIER


def test_a_mother_without_a_number_keeps_her_name(message: Message) -> None:
    """The guide allows it: a birth can be registered without her details."""
    start = BIRTH.index(f'<extension url="{HEADER_EXTENSION}RoutingDemographics-1">')
    end = BIRTH.index(f'<extension url="{HEADER_EXTENSION}MessageEventType-1">')
    routing = BIRTH[start:end]
    outcome = imported(message(swapped(BIRTH, (routing, ""), ('<value value="1112223330"/>', ""))))

    mother = outcome.event.subjects[1]
    assert (mother.nhs_number, mother.given_name, mother.role) == (None, "Sally", PersonRole.PARENT_CARER)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (
            ('<code value="1"/>\n\t\t\t\t\t\t<display value="Live"/>', '<code value="2"/>'),
            ImportReason.NOT_A_LIVE_BIRTH,
        ),
        (('<gender value="male"/>', '<deceasedDateTime value="2017-10-02"/>'), ImportReason.NOT_A_LIVE_BIRTH),
        (("237364002", "237364003"), ImportReason.MISSING_FIELD),
        (('<value value="9912003888"/>', ""), ImportReason.MISSING_FIELD),
        (("9912003888", "9000000009"), ImportReason.IDENTITY_CONFLICT),
        (("<link>", "<linked>"), ImportReason.NOT_XML),
        (("urn:uuid:d93aeee8-91bf-4da5-8658-ce86cfee4751\"/>\n\t\t\t\t\t</other>", "urn:uuid:nobody\"/></other>"),
         ImportReason.MISSING_FIELD),
    ],
)  # fmt: skip
def test_a_birth_that_needs_a_person_is_quarantined(
    message: Message, pair: tuple[str, str], expected: ImportReason
) -> None:
    """No machine tells a family's health visitor of a new baby that did not live."""
    assert reason(message(swapped(BIRTH, MOTHER, pair))) is expected


def test_a_restricted_mother_restricts_the_whole_event(message: Message) -> None:
    """Her baby's address is hers."""
    label = '<security><system value="http://hl7.org/fhir/v3/Confidentiality"/><code value="R"/></security>'
    profile = '<profile value="https://fhir.hl7.org.uk/STU3/StructureDefinition/CareConnect-Patient-1"/>'
    first = BIRTH.replace(profile, profile + label, 1)

    event = imported(message(swapped(first, MOTHER))).event

    assert [person.confidentiality for person in event.subjects] == [Confidentiality.R, Confidentiality.R]
    assert event.handling.confidentiality is Confidentiality.R


def test_a_label_nobody_understands_is_never_skipped(message: Message) -> None:
    data = swapped(ADDRESS, ("<status value", '<meta><security><code value="R"/></security></meta><status value'))

    assert reason(message(data)) is ImportReason.UNKNOWN_LABEL


@pytest.mark.parametrize(
    ("code", "lifecycle"), [("new", Lifecycle.NEW), ("update", Lifecycle.UPDATE), ("delete", Lifecycle.RETRACT)]
)
def test_the_message_type_is_the_lifecycle(message: Message, code: str, lifecycle: Lifecycle) -> None:
    event = imported(message(swapped(ADDRESS, ('<code value="new"/>', f'<code value="{code}"/>')))).event

    assert event.lifecycle is lifecycle


def home(address: str, message: Message) -> Outcome:
    start, end = ADDRESS.index("<!--Entry for new address.-->"), ADDRESS.index("</Patient>")
    return message((ADDRESS[:start] + address + ADDRESS[end:]).encode())


def at(line: str, *, use: str = "home", start: str = "", end: str = "") -> str:
    """One address."""
    period = "".join(f'<{name} value="{text}"/>' for name, text in (("start", start), ("end", end)) if text)
    return f'<address><use value="{use}"/><line value="{line}"/><period>{period}</period></address>'


@pytest.mark.parametrize(
    "addresses",
    [
        at("new", start="2019-11-01"),
        at("older", start="2019-10-31") + at("new", start="2019-11-01"),
        at("new", start="2019-11-01") + at("ended", start="2019-11-01", end="2019-11-01"),
        at("new", start="2019-11-01") + at("for a while", use="temp", start="2019-11-02"),
    ],
)
def test_the_new_home_is_the_one_that_started_last(message: Message, addresses: str) -> None:
    event = imported(home(addresses, message)).event

    assert event.payload.new_address == DatedAddress(lines=("new",), from_date=date(2019, 11, 1))
    assert event.subjects[0].home_address == Address(lines=("new",))


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (at("one", start="2019-11-01") + at("other", start="2019-11-01"), ImportReason.AMBIGUOUS),
        (at("one", start="2019-11-01") + at("other"), ImportReason.AMBIGUOUS),
        (at("one", start="2019-11") + at("other", start="2019-10-01"), ImportReason.AMBIGUOUS),
        (at("gone", start="2019-10-01", end="2019-10-05"), ImportReason.MISSING_FIELD),
        (at("for a while", use="temp"), ImportReason.MISSING_FIELD),
        ("", ImportReason.MISSING_FIELD),
        (at("one", start="soon"), ImportReason.BAD_TIME),
        (at("one", start="2019-02-30"), ImportReason.BAD_TIME),
    ],
)
def test_an_address_is_never_chosen(message: Message, addresses: str, expected: ImportReason) -> None:
    """Telling where someone lives, wrongly, is the worst this feed could do."""
    assert reason(home(addresses, message)) is expected


def test_an_id_that_is_no_uuid_gives_a_derived_one(message: Message) -> None:
    event = imported(
        message(swapped(ADDRESS, ('<id value="3cfdf880-13e9-4f6b-8299-53e96ef5ec02"/>', '<id value="m1"/>')))
    ).event

    assert (event.event_id, event.payload.source_event_id) == (derived_id("nems", "nhs-england", "m1"), "m1")


def test_the_event_does_not_depend_on_when_it_was_received() -> None:
    outcomes = {
        codec.encode(imported(import_message(ADDRESS.encode(), agency="nhs-england", received_at=at)).event)
        for at in (datetime(2019, 11, 1, 15, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    }

    assert len(outcomes) == 1


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (('<type value="message"/>', '<type value="batch"/>'), ImportReason.NOT_A_MESSAGE),
        (("<MessageHeader>", "<Basic>"), ImportReason.NOT_XML),
        (("http://hl7.org/fhir\">", "http://example.test\">"), ImportReason.NOT_A_MESSAGE),
        (("pds-change-of-address-1", "pds-change-of-gp-1"), ImportReason.UNSUPPORTED_EVENT_TYPE),
        (("urn:nhs:addressing:asid:477121000323", ""), ImportReason.MISSING_FIELD),
        (('<code value="new"/>', '<code value="NEW"/>'), ImportReason.BAD_VALUE),
        (('<versionId value="1"/>', '<versionId value="one"/>'), ImportReason.BAD_VALUE),
        (("2019-11-01T15:00:00+00:00", "2031-11-01T15:00:00+00:00"), ImportReason.BAD_TIME),
        (("2019-11-01T15:00:00+00:00", "2019-11-01"), ImportReason.BAD_TIME),
        (("2017-11-01T15:00:33+00:00", "2031-11-01T15:00:00Z"), ImportReason.BAD_TIME),
        (("urn:uuid:3f98da8c-3fe9-430e-8e7c-6edd078622f0", "urn:uuid:dffd3330-dc21-11e7-9296-cec278b6b50a"),
         ImportReason.NOT_A_MESSAGE),
        (("Extension-RoutingDemographics-1", "Extension-Other"), ImportReason.MISSING_FIELD),
        (('<line value="4 SANDMOOR DRIVE"/>', f'<line value="{"x" * 20_001}"/>'), ImportReason.TOO_LARGE),
        (('<line value="4 SANDMOOR DRIVE"/>', '<line value="x"/>' * 201), ImportReason.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_wrong_with_a_message_is_named(message: Message, pair: tuple[str, str], expected: ImportReason) -> None:
    assert reason(message(swapped(ADDRESS, pair))) is expected


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ImportReason.NOT_XML),
        (b"{}", ImportReason.NOT_XML),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', ImportReason.NOT_XML),
        (b"<a>&canary;</a>", ImportReason.NOT_XML),
        (b"<a/>", ImportReason.NOT_A_MESSAGE),
        (b'<Bundle xmlns="http://hl7.org/fhir"><type value="message"/></Bundle>', ImportReason.NOT_A_MESSAGE),
        (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>'.encode(), ImportReason.HOSTILE_XML),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', ImportReason.HOSTILE_XML),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', ImportReason.HOSTILE_XML),
        (b"<!DOCTYPE Bundle><Bundle/>", ImportReason.HOSTILE_XML),
        (b"<a>" * 65 + b"</a>" * 65, ImportReason.TOO_DEEP),
        (b"<a>" * 200_000, ImportReason.TOO_DEEP),
        (b"<a>" + b" " * 10_000_000 + b"</a>", ImportReason.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_xml_is_refused_before_it_is_understood(message: Message, data: bytes, expected: ImportReason) -> None:
    assert reason(message(data)) is expected


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_change_to_a_message_makes_the_importer_raise(message: Message, data: st.DataObject) -> None:
    """Elements taken out, doubled, moved and given any value; what is imported still goes through the gate."""
    text = data.draw(st.sampled_from([ADDRESS.encode(), swapped(BIRTH, MOTHER), swapped(FORMAL, ONE_NUMBER, ONE_NAME)]))
    root = fromstring(text)
    for _ in range(data.draw(st.integers(1, 3))):
        nodes = list(root.iter())
        node: Element = data.draw(st.sampled_from(nodes))
        match data.draw(st.sampled_from(["value", "out", "double", "into", "rename"])):
            case "value":
                letters = st.characters(codec="utf-8", exclude_categories=["C"])
                node.set("value", data.draw(st.text(letters, max_size=12)))
            case "out":
                node.clear()
            case "double":
                node.extend(list(node))
            case "into":
                SubElement(node, FHIR + data.draw(st.sampled_from(["extension", "address", "Patient", "meta", "name"])))
            case "rename":
                node.tag = FHIR + data.draw(st.sampled_from(["Patient", "identifier", "value", "use", "x"]))
    changed = tostring(root)

    outcome = message(changed)

    assert outcome == message(changed)
    if isinstance(outcome, Imported):
        assert codec.decode(codec.encode(outcome.event)).event == outcome.event


@given(st.binary(max_size=200))
def test_no_bytes_make_the_importer_raise(message: Message, data: bytes) -> None:
    assert isinstance(message(data), NotImported)


@pytest.mark.parametrize(
    "text",
    [ADDRESS.encode(), swapped(BIRTH, MOTHER), BIRTH.encode(), swapped(FORMAL, ONE_NUMBER, ONE_NAME), FORMAL.encode()],
    ids=["address", "birth", "birth as published", "death", "death as published"],
)
def test_no_detail_repeats_a_value_of_the_message(message: Message, text: bytes) -> None:
    """Every attribute and every name in turn is a word we would know again; so are two numbers from the message."""
    for number in range(len(list(fromstring(text).iter()))):
        for part in ("value", "url", "tag", "text"):
            root = fromstring(text)
            node = list(root.iter())[number]
            if part == "tag":
                node.tag = FHIR + CANARY
            elif part == "text":
                node.text = CANARY
            else:
                node.set(part, CANARY)
            outcome = message(tostring(root))

            said = "; ".join(outcome.left_out) if isinstance(outcome, Imported) else outcome.describe()
            assert not [word for word in (CANARY, "9912003888", "6101231234", "1112223330", "DAWKINS") if word in said]


def test_a_name_with_a_character_that_acts_stops_itself_and_no_other(message: Message) -> None:
    """A curly quote of Windows-1252 that was written as Unicode: all that was published with it was not."""
    outcome = message(MOVED.replace("O’Brien", "O&#x92;Brien").encode())

    assert isinstance(outcome, NotImported)
    assert outcome.reason is ImportReason.BAD_VALUE
    assert "U+0092" in outcome.detail
