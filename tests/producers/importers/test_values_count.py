"""What a value says counts, not that it is there; and a type of message that nobody knows is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from a_message import BORN, CASES, MOVED, swapped

from safebus.producers.importers.known_types import checked_type, known_types, list_version
from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome
from safebus.schemas.errors import Refused
from safebus.schemas.events import IdentityChange

Message = Callable[[bytes], Outcome]
ALIVE = '<deceasedBoolean value="false"/>'
STATUS = (
    '<extension url="https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-CareConnect-DeathNotificationStatus-1">'
    '<extension url="deathNotificationStatus"><valueCodeableConcept><coding><code value="{}"/></coding>'
    "</valueCodeableConcept></extension></extension>"
)
BABY = '<Patient><id value="p2"/>'


def reason(outcome: Outcome) -> ImportReason | str:
    return outcome.reason if isinstance(outcome, NotImported) else outcome.event.payload.change


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], IdentityChange.BIRTH),
        ([(ALIVE, "")], IdentityChange.BIRTH),
        ([(ALIVE, '<deceasedBoolean value="true"/>')], ImportReason.NOT_A_LIVE_BIRTH),
        ([(ALIVE, '<deceasedBoolean value="no"/>')], ImportReason.BAD_VALUE),
        ([(ALIVE, '<deceasedDateTime value="2026-06-01"/>')], ImportReason.NOT_A_LIVE_BIRTH),
        ([(ALIVE, ALIVE + '<deceasedDateTime value="2026-06-01"/>')], ImportReason.CONTRADICTION),
        ([(BABY, BABY + STATUS.format("U"))], IdentityChange.BIRTH),
        ([(BABY, BABY + STATUS.format("2")), (ALIVE, "")], ImportReason.NOT_A_LIVE_BIRTH),
        ([(BABY, BABY + STATUS.format("2"))], ImportReason.CONTRADICTION),
        ([(BABY, BABY + STATUS.format("9"))], ImportReason.BAD_VALUE),
        ([('<status value="final"/>', '<status value="entered-in-error"/>')], ImportReason.MISSING_FIELD),
        ([('<type value="seealso"/>', '<type value="replaced-by"/>')], ImportReason.MISSING_FIELD),
        ([(BABY, BABY + '<active value="false"/>')], ImportReason.UNVERIFIED_IDENTITY),
        ([(BABY, BABY + '<active value="true"/>')], IdentityChange.BIRTH),
        ([(BABY, BABY + '<modifierExtension url="https://example.com/not"/>')], ImportReason.UNKNOWN_MODIFIER),
        ([(BABY, BABY + '<implicitRules value="https://example.com/rules"/>')], ImportReason.UNKNOWN_MODIFIER),
    ],
)
def test_a_baby_lives_unless_a_value_says_otherwise(
    message: Message, pairs: list[tuple[str, str]], expected: ImportReason | IdentityChange
) -> None:
    assert reason(message(swapped(BORN, *pairs))) is expected


def test_a_number_that_somebody_had_before_is_not_theirs(message: Message) -> None:
    start = MOVED.rindex("<identifier>")
    system = '<system value="https://fhir.nhs.uk/Id/nhs-number"/>'
    for old in ('<use value="old"/>', '<period><end value="2020-01-01"/></period>'):
        former = f'<identifier>{system}<value value="9990237573"/>{old}</identifier>'
        outcome = message((MOVED[:start] + former + MOVED[start:]).encode())

        assert isinstance(outcome, Imported)
        assert outcome.event.subjects[0].nhs_number == "9990079196"


@pytest.mark.parametrize(
    ("feed", "event_type", "said"),
    [
        ("mns", "pds-brand-new-1", "type `pds-brand-new-1` is not known to this importer; known: pds-death-"),
        ("mns", "pds-death-notification-3", "which knows `pds-death-notification-2`: another version; known: "),
        ("mns", "uk.nhs.thing.v1", "type `uk.nhs.thing.v1` is not known"),
        ("nems", "pds-change-of-address-2", "which knows `pds-change-of-address-1`: another version"),
        ("mns", "9990079196", "type that it names is not known"),
        ("mns", "death of Ava Hart", "type that it names is not known"),
        ("mns", "x" * 101, "type that it names is not known"),
        ("mns", "\x1b[31mred", "type that it names is not known"),
        ("nems", "vaccinations-1", "found `vaccinations-1`, for which there is no notification"),
    ],
)
def test_a_type_outside_the_list_is_named_unless_it_may_be_a_person(feed: str, event_type: str, said: str) -> None:
    with pytest.raises(Refused, match="UNSUPPORTED_EVENT_TYPE") as exc:
        checked_type(feed, event_type)

    assert said in exc.value.detail


def test_a_list_says_of_when_it_is(signal: Message) -> None:
    outcome = signal(b'{"specversion": "1.0", "type": "new-thing-1", "id": "1", "source": "x"}')

    assert isinstance(outcome, NotImported)
    assert f"(list of {list_version()})" in outcome.detail


def test_every_type_that_is_published_as_an_example_is_in_the_list() -> None:
    known = known_types()

    assert {feed: len([t for t in types.values() if t]) for feed, types in known.items()} == {"mns": 3, "nems": 3}


def test_a_signal_of_a_death_status_says_no_more_than_that_something_changed(signal: Message) -> None:
    """It is sent, too, when a death is taken back."""
    outcome = signal((CASES / "mns" / "death_status_removed_looks_like_this.json").read_bytes())

    assert isinstance(outcome, Imported)
    said = outcome.event.payload
    assert (said.change, said.source_event_type) == (IdentityChange.RECORD_CHANGED, "pds-death-notification-2")


@pytest.mark.parametrize("file", sorted((CASES / "nems").iterdir()), ids=lambda path: path.stem)
def test_the_cases_that_went_wrong_are_right(message: Message, file: Path) -> None:
    right = {
        "a_addr_only_future": ImportReason.CONTRADICTION,
        "a_apostrophe_curly_vs_straight": IdentityChange.ADDRESS_CHANGED,
        "a_hyphen_vs_space": IdentityChange.ADDRESS_CHANGED,
        "b_deceased_false": IdentityChange.BIRTH,
        "d_before_birth": ImportReason.CONTRADICTION,
    }

    assert reason(message(file.read_bytes())) is right[file.stem]


def test_a_signal_that_is_older_than_what_it_tells_of_is_set_aside(signal: Message) -> None:
    text = (CASES.parents[1] / "real" / "mns" / "pds-death-notification-2.json").read_text("utf-8")
    instead = text.replace('"valueInstant": "2020-06-01T13:00:00Z"', '"valueInstant": "2020-06-01T13:06:00Z"')
    assert instead != text

    assert reason(signal(instead.encode())) is ImportReason.CONTRADICTION
