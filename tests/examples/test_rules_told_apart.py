"""Who is meant? A message from which nobody can tell goes all the same, says so, and says whom to ask."""

from typing import Any

from a_case import (
    AVA,
    Decided,
    decide,
    described,
    incident,
    it_reaches,
    the_register,
    what_they_see,
    with_flow,
    with_partner,
    with_restricted_record,
)
from unchecked import unchecked

from safebus.schemas.bus_records import Notification
from safebus.schemas.events import Person, PersonRole
from safebus.streams.rules.told_apart import unclear_to_all

#: What an officer heard at the door. The hub finds the number later; no school has it.
FIRST_NAME_AND_NUMBER = described(AVA, family_name=None, date_of_birth=None, upn=None, home_address=None)
POLICE_DESK = "Fordshire Police public protection desk, 01632 960101"


def message(decided: Decided, recipient: str) -> Notification:
    """The message about Ava."""
    found = decided.notification(recipient, AVA)
    assert found is not None
    return found


def tells_by(decided: Decided, recipient: str) -> str:
    """What of the message about Ava tells this recipient that it is she."""
    return " ".join(path.removeprefix("subject.") for path in decided.answer(recipient, AVA).told_apart_by)


def asked(decided: Decided, recipient: str) -> str | None:
    """Whom the message about Ava says to ask who she is."""
    return message(decided, recipient).whom_to_ask


def only_these(**release: Any) -> dict[str, Any]:
    """What a flow to schools releases, and nothing else."""
    return {"release": release, "fields": [], "mask": {}}


def test_each_knows_the_child_of_the_incident_by_what_it_finds_people_by() -> None:
    decided = decide(incident(), the_register())

    assert tells_by(decided, "ash-primary") == "upn"
    assert tells_by(decided, "fordshire-0-19") == "nhs_number"
    assert {n.whom_to_ask for n in decided.notifications} == {None}


def test_a_first_name_and_a_number_of_the_nhs_reach_the_school_and_say_whom_to_ask() -> None:
    decided = decide(incident(FIRST_NAME_AND_NUMBER), the_register())

    assert it_reaches(decided, "ash-primary", AVA)
    assert what_they_see(decided, "ash-primary", AVA)["subject"]["given_name"] == "Ava"
    assert asked(decided, "ash-primary") == POLICE_DESK
    assert asked(decided, "fordshire-0-19") is None, "the health visitor finds her by that number"


def test_name_and_birth_date_are_enough_for_a_school_without_a_number() -> None:
    decided = decide(incident(described(AVA, upn=None)), the_register())

    assert tells_by(decided, "ash-primary") == "given_name family_name date_of_birth"


def test_an_agreement_that_gives_a_year_of_birth_leaves_the_school_guessing() -> None:
    register = with_flow(
        the_register(),
        "fordshire-encompass",
        "to-schools",
        release={"event": ["INCIDENT_FACT"], "subject": ["ID_CORE"]},
        fields=[],
        mask={"subject.date_of_birth": "year"},
    )

    assert asked(decide(incident(), register), "ash-primary") == POLICE_DESK


def test_a_partner_whose_records_have_the_number_is_told_apart_by_it() -> None:
    """As in a trial of the NHS number in schools: the register says so of that school."""
    register = with_flow(
        the_register(), "fordshire-encompass", "to-schools", **only_these(subject=["ROLE", "NHS_NUMBER"])
    )
    before = asked(decide(incident(), register), "ash-primary")
    with_partner(register, "ash-primary", numbers=["nhs_number", "upn"])

    assert before == POLICE_DESK
    assert asked(decide(incident(), register), "ash-primary") is None


def test_a_restricted_child_is_still_known_by_name_and_birth_date() -> None:
    """Of whom places are withheld: a home is not needed."""
    decided = decide(incident(described(AVA, upn=None)), with_restricted_record(the_register(), AVA))

    assert tells_by(decided, "ash-primary") == "given_name family_name date_of_birth"


def test_the_publisher_hears_before_it_sends_that_nobody_could_tell() -> None:
    child = Person(ref="ava", role=PersonRole.CHILD, given_name="Ava", local_id="FP-4711")
    others = tuple(person for person in incident().subjects if person.role is PersonRole.ALLEGED_PERPETRATOR)
    event = unchecked(incident(), {"subjects": (child, *others)})

    assert unclear_to_all(event) == ("subjects.0 (CHILD)",)
    assert unclear_to_all(incident(FIRST_NAME_AND_NUMBER)) == ()
