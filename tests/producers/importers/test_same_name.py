"""Whom a message names twice, spelt in two ways, is one person; and what a person was called is not what they are."""

from collections.abc import Callable

import pytest
from a_message import MOVED, NAME, name, swapped

from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome

Message = Callable[[bytes], Outcome]
NO_BIRTH = [('<extension url="birthDateTime"><valueDateTime value="2015-03-02T00:00:00+00:00"/></extension>', "")]


def both(routing: str, patient: str) -> bytes:
    """A message whose routing demographics and Patient say these names; nothing but the name confirms the number."""
    stated = MOVED[MOVED.index("<valueHumanName>") : MOVED.index("</valueHumanName>") + len("</valueHumanName>")]
    inner = routing.removeprefix("<name>").removesuffix("</name>")
    return swapped(MOVED, (stated, f"<valueHumanName>{inner}</valueHumanName>"), (NAME, patient), *NO_BIRTH)


def called(outcome: Outcome) -> tuple[str | None, str | None]:
    assert isinstance(outcome, Imported), outcome
    person = outcome.event.subjects[0]
    return person.given_name, person.family_name


@pytest.mark.parametrize(
    ("routing", "patient", "expected"),
    [
        (name("Ava", "O'Brien"), name("Ava", "O’Brien"), ("Ava", "O’Brien")),
        (name("Ava", "Smith-Jones"), name("Ava", "Smith Jones"), ("Ava", "Smith Jones")),
        (name("ANNE MARIE", "HART"), name("Anne-Marie", "Hart"), ("Anne-Marie", "Hart")),
        (name("Zoe", "Hart"), name("Zoë", "Hart"), ("Zoë", "Hart")),
        (name("Zoe\u0308", "Hart"), name("Zoë", "Hart"), ("Zoë", "Hart")),
        (name("Ava Rose", "Hart"), name("Ava", "Hart"), ("Ava", "Hart")),
        (name("", "Hart"), name("Ava", "Hart"), ("Ava", "Hart")),
        (name("Ava", ""), name("Ava", "Hart"), ("Ava", "Hart")),
        (name("Unknown", "Hart"), name("Ava", "Hart"), ("Ava", "Hart")),
        (name("Ava", "Hart", use=""), name("Ava", "Hart", use="usual"), ("Ava", "Hart")),
        # She was Hart until she married.
        (name("Ava", "Hart"), name("Ava", "Hart", end="2020-01-01") + name("Ava", "Stone"), ("Ava", "Stone")),
        (name("Ava", "Hart"), name("Ava", "Hart", use="maiden") + name("Ava", "Stone"), ("Ava", "Stone")),
        (name("Ava", "Stone"), name("Ava", "Hart", end="2020-01-01") + name("Ava", "Stone"), ("Ava", "Stone")),
        (name("Ava", "Stone"), name("Ava", "Stone") + name("Ava", "Hart", start="2027-01-01"), ("Ava", "Stone")),
        (name("Ava", "Stone"), name("Ava", "Stone") + name("Avie", "Hart", use="nickname"), ("Ava", "Stone")),
        (name("Ava", "Hart"), name("Ava", "Hart", end="2026-06-02"), ("Ava", "Hart")),  # its last day
        (name("Ava", "Hart"), name("Ava", "Hart") + name("Ava Rose", "HART"), ("Ava Rose", "HART")),  # the fuller
    ],
)
def test_spelling_and_parts_left_out_make_no_other_person(
    message: Message, routing: str, patient: str, expected: tuple[str, str]
) -> None:
    outcome = message(both(routing, patient))

    assert called(outcome) == expected
    assert isinstance(outcome, Imported)
    assert outcome.left_out == ()


@pytest.mark.parametrize(
    ("routing", "patient"),
    [
        (name("Ava", "Hart"), name("Ava", "Hurst")),
        (name("Ava", "Hart"), name("Eva", "Hart")),
        (name("Ava", "Smith-Jones"), name("Ava", "Jones")),
        (name("Ava", "Stone"), name("Ava", "Hart", end="2020-01-01") + name("Ava", "Hurst")),
    ],
)
def test_another_name_is_a_conflict_where_nothing_else_confirms(message: Message, routing: str, patient: str) -> None:
    outcome = message(both(routing, patient))

    assert isinstance(outcome, NotImported)
    assert outcome.reason is ImportReason.IDENTITY_CONFLICT


@pytest.mark.parametrize(
    ("routing", "patient", "why"),
    [
        (name("Ava", "Hart"), name("Ava", "Hart", end="2020-01-01"), "every name given has ended"),
        (name("Ava", "Hart"), name("Ava", "Hart") + name("Ava", "Stone"), "the message gives more than one"),
        (name("", ""), name("Unknown", "Unknown"), "what is given says that it is not known"),
    ],
)
def test_a_name_that_nobody_goes_by_is_left_out(message: Message, routing: str, patient: str, why: str) -> None:
    outcome = message(both(routing, patient))

    assert called(outcome) == (None, None)
    assert isinstance(outcome, Imported)
    assert [why in each for each in outcome.left_out] == [True]


def test_a_year_of_birth_alone_confirms_nobody(message: Message) -> None:
    """Another name, and a year that half a million children share."""
    outcome = message(swapped(MOVED, (NAME, name("Eva", "Hurst")), ("2015-03-02T00:00:00+00:00", "2015")))

    assert isinstance(outcome, NotImported)
    assert outcome.reason is ImportReason.IDENTITY_CONFLICT


def test_a_name_that_ends_before_it_starts_is_set_aside(message: Message) -> None:
    outcome = message(both(name("Ava", "Hart"), name("Ava", "Hart", start="2020-01-01", end="2019-01-01")))

    assert isinstance(outcome, NotImported)
    assert outcome.reason is ImportReason.CONTRADICTION
