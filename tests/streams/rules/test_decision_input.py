"""What all answers about one event rest on is looked up once."""

from typing import Any

import pytest
from a_reason import INCIDENT, MOVE, sent
from a_register import KEY, NOON, demo

from safebus.schemas import codec
from safebus.schemas.bus_records import Earlier
from safebus.schemas.events import Address, Event
from safebus.streams.rules import asked_again
from safebus.streams.rules.decision_input import EventFacts, facts_of
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.release import Hidden, Restriction


def facts(event: Event) -> EventFacts:
    received, register = codec.decode(codec.encode(event)), demo()
    return facts_of(received, match_all(event, register, KEY), register, now=NOON, key=KEY, earlier=Earlier())


def at_home(**address: Any) -> Event:
    """Ava lives there. Maya is at Rowan House, 7 Hidden Close, ZZ99 9RF."""
    ava, *others = INCIDENT.subjects
    home = Address(**({"lines": ("12 Mill Lane",), "postcode": "ZZ99 3VZ"} | address))
    return INCIDENT.model_copy(update={"subjects": (ava.model_copy(update={"home_address": home}), *others)})


def at_the_scene(address: str) -> Event:
    return INCIDENT.model_copy(update={"payload": INCIDENT.payload.model_copy(update={"incident_address": address})})


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (at_home(), set()),
        (at_home(postcode="zz999rf"), {Hidden.HOMES}),
        (at_home(lines=("ROWAN HOUSE 7 Hidden Close",)), {Hidden.HOMES}),
        (at_home(lines=("Flat 2", "Fordham"), postcode=None), set()),
        (at_the_scene("12 Mill Lane, Fordham"), set()),
        (at_the_scene("outside Rowan House, 7 Hidden Close"), {Hidden.SCENE}),
        (at_the_scene("somewhere in ZZ99 9RF"), {Hidden.SCENE}),
        (MOVE, set()),
    ],
)
def test_a_safe_address_that_is_written_as_an_ordinary_one_hides_the_fields_in_which_it_is(
    event: Event, shown: set[Hidden]
) -> None:
    found = facts(event)

    assert found.hides == shown
    assert found.restriction is Restriction.NOBODY


def test_the_refuge_leaves_in_no_field_then() -> None:
    view = asked_again.read_view(sent(at_home(postcode="ZZ99 9RF"), "fordshire-mash"), demo())

    assert view is not None
    assert "ZZ99" not in str(view)


def test_a_claim_that_the_catalogue_does_not_have_is_named() -> None:
    claimed = INCIDENT.claimed_basis.model_copy(update={"art6": "A6-1-zz", "gateway": None})

    assert facts(INCIDENT).claims == ()
    assert facts(INCIDENT.model_copy(update={"claimed_basis": claimed})).claims == ("claimed_basis.art6",)
