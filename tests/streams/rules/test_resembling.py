"""What protects a person holds though nobody had their number; and nothing is delivered for a likeness."""

from typing import Any

import pytest
from a_reason import AVA, GARY, MAYA, consent
from a_register import KEY, change, demo, put, share

from safebus.deploy.local.demo import story
from safebus.schemas.bus_records import Earlier
from safebus.schemas.event_schemas import event_schemas
from safebus.schemas.events import Event, PersonRole
from safebus.streams.register.entries import read_folder
from safebus.streams.register.store import Register
from safebus.streams.rules.adversary import accused_in
from safebus.streams.rules.consent import State
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.resembling import with_likenesses

INCIDENT, MOVE = story.incident(), story.moved_to_temporary_accommodation(1)
BEN = KEY.token("nhs", "9990237573")


def without_numbers(event: Event, *refs: str) -> Event:
    """As an officer writes it down at a door."""
    none = {"nhs_number": None, "upn": None, "local_id": None}
    subjects = tuple(p.model_copy(update=none) if p.ref in refs else p for p in event.subjects)
    return event.model_copy(update={"subjects": subjects})


def without_gary() -> Event:
    return INCIDENT.model_copy(
        update={"subjects": tuple(p for p in INCIDENT.subjects if p.role is not PersonRole.ALLEGED_PERPETRATOR)}
    )


def answer(event: Event, register: Register, recipient: str, token: str) -> Any:
    found = share(event, register).record.answers
    return next(a for a in found if (a.recipient, a.subject_token) == (recipient, token))


def test_someone_who_endangers_the_mother_keeps_his_school_out_though_nobody_asked_for_her_number() -> None:
    """Of Ben, whose number is known, the school he governs hears nothing before a person has looked."""
    register = put(demo(), "danger/1", "danger", {"person_id": GARY, "to": MAYA, "source": "an order"})
    event = without_numbers(without_gary(), "maya")

    assert answer(event, demo(), "beech-primary", BEN).outcome == "PERMIT"
    held = answer(event, register, "beech-primary", BEN)
    assert (held.outcome, [reason.code for reason in held.reasons]) == ("HOLD", ["ADVERSARY_POSSIBLE"])


def test_a_restricted_child_without_a_number_hides_the_household_as_with_it() -> None:
    register = change(demo(), f"person/{AVA}", lambda body: body.update(restricted=True))
    event = without_numbers(INCIDENT, "ava")

    assert answer(event, register, "fordshire-mash", BEN).restricted
    assert not answer(event, demo(), "fordshire-mash", BEN).restricted


@pytest.mark.parametrize("number", ["9990316767", "9912003888"], ids=["another's", "of one without a name"])
def test_what_protects_her_holds_though_her_number_is_mistyped_as_that_of_somebody_else(number: str) -> None:
    register = put(demo(), "danger/1", "danger", {"person_id": GARY, "to": MAYA, "source": "an order"})
    register = change(register, f"person/{MAYA}", lambda body: body.update(restricted=True))
    event = without_gary()
    subjects = tuple(
        p.model_copy(update={"nhs_number": number}) if p.ref == "maya" else p for p in event.subjects if p.ref != "cora"
    )
    payload = event.payload.model_copy(
        update={"children": tuple(c for c in event.payload.children if c.subject_ref != "cora")}  # type: ignore[union-attr]
    )
    found = event.model_copy(update={"subjects": subjects, "payload": payload})

    held = answer(found, register, "beech-primary", BEN)
    assert (held.outcome, [reason.code for reason in held.reasons]) == ("HOLD", ["ADVERSARY_POSSIBLE"])
    assert answer(found, register, "fordshire-mash", BEN).restricted


def test_a_likeness_delivers_nothing() -> None:
    """Ava's school has her in its care by her number; a name is not enough to tell it."""
    register = change(demo(), f"person/{AVA}", lambda body: body.update(restricted=True))

    assert "ash-primary" not in {a.recipient for a in share(without_numbers(INCIDENT, "ava"), register).record.answers}


def test_a_suspect_without_a_number_agrees_for_no_child() -> None:
    """He has parental responsibility on record; whether it was he who agreed, a person must say."""
    register = put(
        consent(State.GIVEN, by=GARY, capacity="parent"),
        "may_speak_for/1",
        "may_speak_for",
        {"person_id": AVA, "by": GARY, "as": "parental_responsibility", "source": "birth certificate"},
    )
    suspect = INCIDENT.subjects[-1]
    told = MOVE.model_copy(update={"subjects": (*MOVE.subjects, suspect)})

    for event in (told, without_numbers(told, suspect.ref)):
        named = tuple(accused_in(event, KEY).values())
        for accused in (named, tuple(one.model_copy(update={"corrected": True}) for one in named)):
            later = share(MOVE, register, earlier=Earlier(accused=accused)).record.answers  # he is not named again
            assert [r.code for a in later if a.recipient == "ash-primary" for r in a.reasons] in (
                ["CONSENT_NOT_THEIRS"],
                ["CONSENT_UNSURE"],
            )
        assert [reason.code for reason in answer(event, register, "ash-primary", AVA).reasons] in (
            ["CONSENT_NOT_THEIRS"],
            ["CONSENT_UNSURE"],
        )
    assert answer(MOVE, register, "ash-primary", AVA).outcome == "PERMIT"


def test_before_birth_it_is_the_mother_who_speaks_and_her_danger_is_the_child_s() -> None:
    unborn = INCIDENT.subjects[0].model_copy(
        update={
            "ref": "bump",
            "role": PersonRole.UNBORN_CHILD,
            "nhs_number": "9990395950",
            "upn": None,
            "given_name": None,
            "family_name": None,
            "date_of_birth": None,
        }
    )
    event = INCIDENT.model_copy(
        update={"subjects": (unborn,), "payload": INCIDENT.payload.model_copy(update={"children": ()})}
    )
    found = with_likenesses(match_all(event, demo(), KEY), event, demo(), KEY)
    nobody = event.model_copy(update={"subjects": (unborn.model_copy(update={"nhs_number": "9990554331"}),)})

    assert found.mothers == {"bump": MAYA}
    assert with_likenesses(match_all(nobody, demo(), KEY), nobody, demo(), KEY).mothers == {}


TIES = {
    "affiliations": "{person: gary, partner: beech, relation: governor}",
    "dangers": "{person: gary, to: ava, source: s}",
    "may_speak_for": "{person: ava, by: gary, as: court_order, source: s}",
}


@pytest.mark.parametrize("section", [*TIES, None])
def test_whoever_must_be_found_by_name_is_registered_so(section: str | None) -> None:
    people = (
        "people:\n"
        '  - {alias: gary, nhs_number: "9990475148", given_name: Gary, family_name: Stone}\n'
        '  - {alias: ava, nhs_number: "9990079196", given_name: Ava, family_name: Hart}\n'
    )
    tie = f"{section}:\n  - {TIES[section]}\n" if section else ""
    entries = read_folder({"x.yaml": people + tie}, KEY, event_schemas())
    by_name = {e.body.person_id for e in entries if e.kind == "person" and e.body.family_alike}  # type: ignore[attr-defined]

    assert by_name == ({GARY} if section in ("affiliations", "may_speak_for") else {GARY, AVA} if section else set())
    again = read_folder({"x.yaml": people}, KEY, event_schemas(), tied={AVA})
    assert {e.body.person_id for e in again if e.body.family_alike} == {AVA}  # type: ignore[attr-defined]


@pytest.mark.parametrize("fact", ["restricted", "adopted"])
def test_so_is_whoever_must_be_hidden(fact: str) -> None:
    text = f'people:\n  - {{alias: ava, nhs_number: "9990079196", given_name: Ava, family_name: Hart, {fact}: true}}\n'
    [entry] = read_folder({"x.yaml": text}, KEY, event_schemas())

    assert entry.body.family_alike  # type: ignore[attr-defined]
