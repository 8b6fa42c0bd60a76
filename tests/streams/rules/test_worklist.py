"""What a person must look at, though the event is decided: each kind once, and nothing that needs nobody."""

from datetime import date
from typing import Any

import pytest
from a_reason import BASIS, INCIDENT, MOVE, consent, suspect, to_schools
from a_register import KEY, change, demo, put, share

from safebus.deploy.local.demo import story
from safebus.schemas.events import Confidentiality, Event, Handling, Person, PersonRole
from safebus.streams.register.store import Register
from safebus.streams.rules.bases import DUTY
from safebus.streams.rules.consent import State
from safebus.streams.rules.parties import Involvement

BEN_ID = KEY.token("nhs", "9990237573")
AVA, BEN = "subjects.0 (CHILD)", "subjects.1 (CHILD)"


def to_see(event: Event, register: Register | None = None) -> set[tuple[str, str, str | None]]:
    return {(seen.who, seen.code, seen.recipient) for seen in share(event, register or demo()).record.worklist}


def test_a_school_of_the_suspect_s_is_told_nothing_and_another_contact_must_be_found() -> None:
    assert to_see(INCIDENT) == {(BEN, "ADVERSARY", "beech-primary")}


def test_every_answer_that_is_held_is_somebody_s_to_decide() -> None:
    held = INCIDENT.model_copy(update={"handling": Handling(confidentiality=Confidentiality.V)})

    found = to_see(held)

    assert (AVA, "VERY_RESTRICTED", "ash-primary") in found
    assert len(found) == len([a for a in share(held, demo()).record.answers if a.outcome == "HOLD"]) + 1


def test_a_doubtful_person_is_there_with_what_is_doubtful() -> None:
    ava, *others = INCIDENT.subjects
    mixed = ava.model_copy(update={"family_name": "Hurst"})
    event = INCIDENT.model_copy(update={"subjects": (mixed, *others)})

    [entry] = [seen for seen in share(event, demo()).record.worklist if seen.who == AVA]

    assert (entry.code, entry.about, entry.recipient) == ("IDENTITY_MISMATCH", "family_name", None)


def test_a_doubtful_suspect_is_there_too() -> None:
    found = to_see(suspect(given_name="Henry"))

    assert ("subjects.4 (ALLEGED_PERPETRATOR)", "IDENTITY_MISMATCH", None) in found


@pytest.mark.parametrize(
    ("basis", "listed"),
    [(BASIS | {"art6": DUTY}, True), (BASIS, False)],
)
def test_a_recipient_of_a_duty_that_is_not_told_is_there(basis: dict[str, Any], listed: bool) -> None:
    register = to_schools(basis=basis)
    put(
        register,
        "partner/ash-primary",
        "partner",
        register.partners["ash-primary"].model_dump(mode="json") | {"suspended": True},
    )

    assert ((AVA, "PARTNER_SUSPENDED", "ash-primary") in to_see(INCIDENT, register)) is listed


def test_a_hub_that_only_watches_is_nobody_s_duty() -> None:
    register = to_schools(basis=BASIS | {"art6": DUTY})
    body = register.partners["fordshire-mash"].model_dump(mode="json") | {"suspended": True}
    put(register, "partner/fordshire-mash", "partner", body)

    assert not [seen for seen in to_see(INCIDENT, register) if seen[2] == "fordshire-mash"]


def test_of_whom_nobody_is_told_somebody_must_know() -> None:
    unknown = story.AVA.model_copy(update={"nhs_number": "9990554331", "upn": None, "given_name": "Zoe"})

    assert to_see(MOVE.model_copy(update={"subjects": (unknown,)})) == {(AVA, "NO_RECIPIENT", None)}


@pytest.mark.parametrize("state", [State.REFUSED, State.WITHDRAWN])
def test_a_no_is_the_end_of_it(state: State) -> None:
    """A person's own wish: nobody has to look."""
    assert to_see(MOVE, consent(state)) == set()


@pytest.mark.parametrize("state", [State.UNKNOWN, State.REQUESTED, State.EXPIRED])
def test_silence_is_not(state: State) -> None:
    assert to_see(MOVE, consent(state)) == {(AVA, "NO_RECIPIENT", None)}


def test_a_yes_of_which_nobody_knows_whether_it_counts_is_for_a_person() -> None:
    found = to_see(MOVE, consent(State.GIVEN, capacity="representative"))

    assert (AVA, "CONSENT_UNSURE", "ash-primary") in found
    assert (AVA, "NO_RECIPIENT", None) in found


def test_the_day_by_which_the_publisher_needs_an_answer_stands_beside_it() -> None:
    needed = INCIDENT.occurred_at.replace(microsecond=0)
    event = INCIDENT.model_copy(update={"respond_by": needed})

    assert {seen.by for seen in share(event, demo()).record.worklist} == {needed}


# A duty that names nobody


def with_first(**changes: Any) -> Event:
    ava, *others = INCIDENT.subjects
    return INCIDENT.model_copy(update={"subjects": (ava.model_copy(update=changes), *others)})


NOBODY_S: dict[str, Any] = {"nhs_number": "9990554331", "upn": None}


@pytest.mark.parametrize(
    ("said", "unmet"),
    [
        ({}, False),
        (NOBODY_S, True),
        (NOBODY_S | {"date_of_birth": None}, True),
        (NOBODY_S | {"date_of_birth": date(2022, 11, 19)}, True),  # four on that day
        (NOBODY_S | {"date_of_birth": date(2022, 11, 20)}, False),
        (NOBODY_S | {"date_of_birth": date(2024, 1, 1)}, False),
        (NOBODY_S | {"date_of_birth": date(2000, 1, 1)}, False),
    ],
    ids=str,
)
def test_a_child_whom_no_school_has_in_its_care_is_somebody_s_to_find(said: dict[str, Any], unmet: bool) -> None:
    """The hub is told, which hid it: the duty is to the school, and its teacher would wait for ever."""
    assert ((AVA, "DUTY_UNMET", None) in to_see(with_first(**said))) is unmet


def test_a_type_without_a_duty_asks_for_nobody() -> None:
    unknown = story.attendance().model_copy(
        update={"subjects": tuple(p.model_copy(update=NOBODY_S) for p in story.attendance().subjects)}
    )

    assert "DUTY_UNMET" not in {code for _, code, _ in to_see(unknown)}


def test_a_victim_of_16_who_is_called_an_adult_is_somebody_s_to_look_at() -> None:
    *others, maya, gary = INCIDENT.subjects
    young = INCIDENT.model_copy(
        update={
            "subjects": (*others, maya.model_copy(update={"date_of_birth": date(2010, 6, 1), "nhs_number": None}), gary)
        }
    )

    assert ("subjects.3 (ADULT_VICTIM)", "NOT_AN_ADULT", None) in to_see(young)


NOBODYS = "9990554331"


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ({"nhs_number": NOBODYS}, True),
        ({"nhs_number": None}, True),
        ({"nhs_number": None, "given_name": "AVA Rose", "family_name": " hart"}, True),
        ({"nhs_number": NOBODYS, "given_name": "Eva"}, False),
        ({"nhs_number": NOBODYS, "given_name": None}, False),
        ({"nhs_number": NOBODYS, "date_of_birth": date(2015, 3, 3)}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_known_child_under_a_number_that_is_nobody_s_is_somebody_s_to_look_at(
    said: dict[str, Any], listed: bool
) -> None:
    """The hub hears of a stranger; the health visitor who knows her by her own number hears nothing."""
    changes = ({"upn": None, "local_id": None} | said) if said else {}
    ava = INCIDENT.subjects[0].model_copy(update=changes)
    event = INCIDENT.model_copy(update={"subjects": (ava, *INCIDENT.subjects[1:])})

    assert ((AVA, "MAYBE_KNOWN", None) in to_see(event)) is listed


def test_who_is_named_as_two_is_there_already() -> None:
    """The child herself is matched; the second with her names is another or a slip, and she was told of."""
    again = INCIDENT.subjects[0].model_copy(update={"ref": "again", "nhs_number": NOBODYS, "upn": None})
    event = INCIDENT.model_copy(update={"subjects": (*INCIDENT.subjects, again)})

    assert not [seen for seen in to_see(event) if seen[1] == "MAYBE_KNOWN"]


def test_a_child_whose_school_is_in_no_agreement_is_somebody_s_to_tell() -> None:
    """The register knows the school; the duty is not met by knowing it."""
    new = {"partner": "new-school", "name": "New", "sector": "school", "org_type": "public_authority", "call": "them"}
    register = put(demo(), "partner/new-school", "partner", new)
    ties = [
        r for r, (_, body) in register.entries().items() if isinstance(body, Involvement) and body.person_id == BEN_ID
    ]
    for tie in ties:
        register = change(register, tie, lambda body: body.update(partner="new-school"))

    assert (BEN, "DUTY_UNMET", None) in to_see(INCIDENT, register)


@pytest.mark.parametrize(
    ("role", "born", "listed"),
    [
        (PersonRole.OTHER_ADULT, date(2015, 3, 2), True),
        (PersonRole.PARENT_CARER, date(2010, 1, 1), True),
        (PersonRole.PARENT_CARER, date(1990, 6, 11), False),
        (PersonRole.PARENT_CARER, None, False),
        (PersonRole.ALLEGED_PERPETRATOR, date(2010, 1, 1), False),
    ],
)
def test_somebody_of_school_age_who_is_called_an_adult_is_somebody_s_to_look_at(
    role: PersonRole, born: date | None, listed: bool
) -> None:
    other = Person(ref="other", role=role, given_name="Zoe", family_name="West", date_of_birth=born)
    event = INCIDENT.model_copy(update={"subjects": (*INCIDENT.subjects, other)})

    assert ((f"subjects.5 ({role})", "NOT_AN_ADULT", None) in to_see(event)) is listed
