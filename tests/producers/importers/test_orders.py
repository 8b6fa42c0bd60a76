"""Times of one message that cannot be as they say set it aside, and say why."""

from collections.abc import Callable
from datetime import date

import pytest
from a_message import BORN, DIED, HOME, MOVED, home, swapped

from safebus.producers.importers.outcome import Imported, ImportReason, NotImported, Outcome
from safebus.schemas.events import Address, DatedAddress

Message = Callable[[bytes], Outcome]
CHANGED, SENT = "2026-06-02T09:00:00+00:00", "2026-06-02T10:00:00+00:00"
DEATH = "2026-06-01T15:00:00+00:00"
BIRTH_DATES = ("2015-03-02", "2027-01-01")


def imported(outcome: Outcome) -> Imported:
    assert isinstance(outcome, Imported), outcome
    return outcome


def refused(outcome: Outcome) -> tuple[ImportReason, str]:
    assert isinstance(outcome, NotImported), outcome
    return outcome.reason, outcome.detail


@pytest.mark.parametrize(
    ("text", "pairs", "said"),
    [
        (DIED, [(DEATH, "2014-06-01T15:00:00+00:00")], "the death is before the date of birth"),
        (DIED, [(DEATH, "2014-06-01")], "the death is before the date of birth"),
        (DIED, [(DEATH, "2015-03-01")], "the death is before the date of birth"),
        (DIED, [(DEATH, "2014-12")], "the death is before the date of birth"),
        (DIED, [(DEATH, "2014")], "the death is before the date of birth"),
        (DIED, [(DEATH, "2026-06-02T09:30:00+00:00")], "the death is after the change of the record"),
        (DIED, [(DEATH, "2026-06-03")], "the death is after the change of the record"),
        (DIED, [(DEATH, "2026-07")], "the death is after the change of the record"),
        (DIED, [(CHANGED, "2026-06-01T09:00:00+00:00")], "the death is after the change of the record"),
        (MOVED, [BIRTH_DATES], "the date of birth of `person` is after the change of the record"),
        (MOVED, [("2015-03-02", "2026-06-03")], "the date of birth of `person` is after"),
        (MOVED, [(CHANGED, "2026-06-02T11:00:00+00:00")], "a message cannot be older than what it tells of"),
        (MOVED, [(SENT, "2026-05-02T10:00:00+00:00")], "starts after the message was sent"),
        (MOVED, [(HOME, home("next", start="2026-12-25"))], "starts after the message was sent"),
        (MOVED, [(HOME, home("now", start="2026-06-01") + home("next", start="2026-12-25"))], "starts after"),
        (MOVED, [(HOME, home("x", start="2026-06-01", end="2026-05-01"))], "ends before it starts"),
        (MOVED, [(HOME, home("x", start="2026-06", end="2026-05"))], "ends before it starts"),
        (BORN, [("1990-06-11", "2026-06-01")], "the mother was not born before the baby"),
        (BORN, [('birthDate value="2026-06-01', 'birthDate value="2026-06-09')], "the date of birth of `child`"),
    ],
)
def test_times_that_contradict_each_other_are_set_aside(
    message: Message, text: str, pairs: list[tuple[str, str]], said: str
) -> None:
    reason, detail = refused(message(swapped(text, *pairs)))

    assert reason is ImportReason.CONTRADICTION
    assert said in detail


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (DIED, [(DEATH, "2015-03-02")]),  # on the day of the birth
        (DIED, [(DEATH, "2015-03-02T00:00:00+00:00")]),  # that day, as PDS writes a day
        (DIED, [(DEATH, "2015")]),  # it may be after the second of March
        (DIED, [(DEATH, "2026-06-02T09:04:00+00:00")]),  # clocks differ
        (MOVED, [(CHANGED, "2026-06-02T10:04:00+00:00")]),
        (MOVED, [(CHANGED, "2026-06-02T10:30:00+01:00")]),  # half past nine
        (MOVED, [("2015-03-02", "2026-06-02")]),  # born on the day of the change
        (MOVED, [(HOME, home("9 Test Row", start="2026-06-02"))]),  # from the day of the message on
        (MOVED, [(SENT, "2026-06-02T23:30:00+00:00"), (HOME, home("9 Test Row", start="2026-06-03"))]),  # BST
        (MOVED, [("<meta><versionId", "<meta><x/><versionId"), (f'<lastUpdated value="{CHANGED}"/>', "")]),
    ],
)
def test_times_that_can_be_are_no_contradiction(message: Message, text: str, pairs: list[tuple[str, str]]) -> None:
    imported(message(swapped(text, *pairs)))


@pytest.mark.parametrize(
    "change",
    [
        (SENT, "2026-06-02T10:00:00"),
        (CHANGED, "2026-06-02T09:00:00"),
        ("2015-03-02T00:00:00+00:00", "2015-03-02T00:00:00"),
        ('start value="2026-06-01"', 'start value="2026-06-01T00:00:00"'),
        ('birthDate value="2015-03-02"', 'birthDate value="2015-03-02T10:00"'),
    ],
)
def test_a_time_without_a_zone_is_refused_wherever_it_stands(message: Message, change: tuple[str, str]) -> None:
    reason, detail = refused(message(swapped(MOVED, change)))

    assert reason is ImportReason.BAD_TIME
    assert "a time without a zone" in detail


def test_a_death_without_a_zone_is_refused_as_well(message: Message) -> None:
    assert "a time without a zone" in refused(message(swapped(DIED, (DEATH, "2026-06-01T15:00:00"))))[1]


def test_a_midnight_is_no_time_of_death(message: Message) -> None:
    """PDS holds days, and writes a day as its midnight."""
    found = imported(message(swapped(DIED, (DEATH, "2026-06-01T00:00:00+00:00"))))

    assert found.event.payload.died_at is None
    assert found.left_out == ("time of death: only a day or less is given",)


@pytest.mark.parametrize(
    ("routing", "patient", "born"),
    [
        ("2015-06-01T23:00:00+00:00", "2015-06-02", date(2015, 6, 2)),  # midnight at home, in UTC
        ("2015-06-01T23:30:00+00:00", "2015-06-01", date(2015, 6, 1)),  # half past eleven at home, called UTC
        ("2015-06-02T00:00:00+01:00", "2015-06-02", date(2015, 6, 2)),
        ("2015", "2015-06-02", date(2015, 6, 2)),
        ("2015-06", "2015", None),
        ("2015-06-01T23:00:00+00:00", "2015", None),  # one day or the next
    ],
)
def test_a_birthday_that_was_turned_into_utc_is_still_that_day(
    message: Message, routing: str, patient: str, born: date | None
) -> None:
    own = ('birthDate value="2015-03-02"', f'birthDate value="{patient}"')
    found = imported(message(swapped(MOVED, ("2015-03-02T00:00:00+00:00", routing), own)))

    assert found.event.subjects[0].date_of_birth == born
    assert found.left_out == (() if born else ("date of birth of `person`: it gives no certain day",))


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (home("gone", start="2020-01-01", end="2025"), ImportReason.MISSING_FIELD),
        (home("perhaps gone", start="2020-01-01", end="2026"), ImportReason.AMBIGUOUS),
        (home("perhaps not yet", start="2026-06"), ImportReason.AMBIGUOUS),
        (home("letters", start="2026-06-01", kind="postal"), ImportReason.MISSING_FIELD),
        (home("a", start="2026-06-01") + home("b", start="2026"), ImportReason.AMBIGUOUS),
    ],
)
def test_an_address_that_may_have_ended_is_not_told(message: Message, addresses: str, expected: ImportReason) -> None:
    assert refused(message(swapped(MOVED, (HOME, addresses))))[0] is expected


def test_one_place_that_is_given_twice_is_one(message: Message) -> None:
    """Sent so by a publisher that joins two systems."""
    twice = home("9 Test Row", start="2026-06-01") + home("9 TEST ROW", start="2026-06-01")
    found = imported(message(swapped(MOVED, (HOME, twice))))

    assert found.event.payload.new_address == DatedAddress(lines=("9 Test Row",), from_date=date(2026, 6, 1))


def test_where_somebody_lives_next_is_no_home_of_who_died(message: Message) -> None:
    next_one = home("now", start="2020-01-01") + home("next", start="2026-12-25")
    start, end = DIED.index("<address>"), DIED.index("</address>") + len("</address>")
    found = imported(message(swapped(DIED, (DIED[start:end], next_one))))

    assert found.event.subjects[0].home_address == Address(lines=("now",))
