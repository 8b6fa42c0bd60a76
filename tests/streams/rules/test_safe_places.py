"""A safe address goes nowhere, whatever box it was typed in."""

from importlib import resources
from typing import Any

import pytest
from a_reason import AVA
from a_register import KEY, change, change_flow, demo, share

from safebus.deploy.local.demo import story
from safebus.schemas import codec
from safebus.schemas.event_schemas import load
from safebus.schemas.events import Event, SafeAddress, SafeKind
from safebus.streams.rules.safe_places import cleared

INCIDENT = story.incident()
REFUGE = SafeAddress(lines=("Rowan House, 7 Hidden Close", "Fordham"), postcode="ZZ99 9RF", kind=SafeKind.REFUGE)


def told(refuge: SafeAddress | None = REFUGE, **payload: Any) -> Event:
    subjects = tuple(p.model_copy(update={"safe_address": refuge}) if p.ref == "maya" else p for p in INCIDENT.subjects)
    return INCIDENT.model_copy(update={"subjects": subjects, "payload": INCIDENT.payload.model_copy(update=payload)})


def cleared_of(event: Event) -> tuple[Any, tuple[str, ...]]:
    received = codec.decode(codec.encode(event))
    return cleared(received.record, received.schema)


def test_a_schema_that_nobody_has_used_yet_is_cleared_the_same() -> None:
    """Which texts may be cleared is kept for each schema, and other tests may have had it made."""
    received = codec.decode(codec.encode(told(incident_address="7 Hidden Close")))
    fresh = load(resources.files("safebus.schemas") / "avro").of(received.schema.event_type)
    record, where = cleared(received.record, fresh)

    assert (record, where) == cleared(received.record, received.schema)
    assert where


@pytest.mark.parametrize(
    "typed",
    [
        "now at ZZ99 9RF",
        "zz999rf",
        "Rowan House",
        "ROWAN-HOUSE.",
        "they moved to 7, Hidden Close",
        "somewhere in Hidden Close",
        "Row\u0430n House, 7 Hidden Clos\u00e9, zz99-9rf",
        "in H\u00eddden Clos\u00e9",
    ],
)
def test_it_is_found_however_it_is_typed(typed: str) -> None:
    record, paths = cleared_of(told(suspect_history=typed, officer_notes=None))

    assert paths == ("payload.suspect_history",)
    assert record["payload"]["suspect_history"] is None


@pytest.mark.parametrize("typed", ["12 Mill Lane, Fordham", "Hidden treasure", "closed 7 times", "ZZ99 3VZ"])
def test_a_town_and_a_word_of_it_are_no_address(typed: str) -> None:
    assert cleared_of(told(suspect_history=typed, officer_notes=None))[1] == ()


def test_the_shortest_postcode_there_is_tells() -> None:
    refuge = REFUGE.model_copy(update={"postcode": "M1 1AA"})

    assert cleared_of(told(refuge, suspect_history="at m11aa", officer_notes=None))[1] != ()


def test_without_a_postcode_the_lines_tell() -> None:
    refuge = REFUGE.model_copy(update={"postcode": None})

    assert cleared_of(told(refuge, suspect_history="Rowan House", officer_notes=None))[1] != ()
    assert cleared_of(told(refuge, suspect_history="ZZ99 9RF", officer_notes=None))[1] == ()


@pytest.mark.parametrize(
    ("lines", "typed", "found"),
    [
        (("Flat 2, 14 Long Willow Road",), "at Long Willow Road", True),
        (("The Willows", "Long Willow Road"), "at Long Willow Road", True),
        (("The Willows", "Long Willow"), "at Long Willow", False),
        (("1 Elm St",), "Elm Street", False),
        ((), "ZZ99 9RF", True),
        (("7 Hidden Close",), "Hidden Close", True),
    ],
)
def test_a_street_is_known_with_its_number_and_without(lines: tuple[str, ...], typed: str, found: bool) -> None:
    refuge = REFUGE.model_copy(update={"lines": lines})

    assert bool(cleared_of(told(refuge, suspect_history=typed, officer_notes=None))[1]) is found


def test_every_other_text_is_looked_at_and_what_files_a_message_stays() -> None:
    """What cannot be null is an empty text; of a list only the line that shows it goes."""
    event = told(police_reference="ROWANHOUSE7", officer_notes=None)
    ava = event.subjects[0]
    assert ava.home_address is not None
    home = ava.home_address.model_copy(
        update={"lines": ("12 Mill Lane", "7 Hidden Close"), "local_authority": "ZZ999RF"}
    )
    moved = ava.model_copy(update={"given_name": "Ava (Rowan House)", "home_address": home, "school": "zz999rf"})
    event = event.model_copy(update={"subjects": (moved, *event.subjects[1:]), "correlation_id": "rowanhouse7"})
    record, paths = cleared_of(event)

    assert paths == (
        "correlation_id",
        "payload.police_reference",
        "subjects[].given_name",
        "subjects[].home_address.lines",
        "subjects[].home_address.local_authority",
        "subjects[].school",
    )
    assert (record["payload"]["police_reference"], record["correlation_id"]) == ("", None)
    assert record["subjects"][0]["home_address"]["lines"] == ["12 Mill Lane"]
    assert record["event_id"] == event.event_id
    assert record["subjects"][3]["safe_address"]["postcode"] == "ZZ99 9RF"


def test_so_many_parts_as_no_address_has_are_not_all_looked_for() -> None:
    """Each is looked for in every text of the event."""
    lines = tuple(f"{n} Nook{n}" for n in range(100, 300))
    refuge = REFUGE.model_copy(update={"lines": lines, "postcode": None})
    found = [cleared_of(told(refuge, suspect_history=lines[i], officer_notes=None))[1] for i in (0, 50, 150)]

    assert [bool(paths) for paths in found] == [True, True, False]


def test_whoever_is_called_by_the_address_is_called_otherwise_and_still_meant() -> None:
    """What Ava said goes to her school and to nobody else, whatever she is called in the event."""
    called = {"ava": "rowan-house-7-hidden-close", "ben": "zz999rf", "cora": "p1"}
    event = told(officer_notes=None)
    subjects = tuple(p.model_copy(update={"ref": called.get(p.ref, p.ref)}) for p in event.subjects)
    children = tuple(c.model_copy(update={"subject_ref": called[c.subject_ref]}) for c in INCIDENT.payload.children)
    event = event.model_copy(
        update={"subjects": subjects, "payload": INCIDENT.payload.model_copy(update={"children": children})}
    )
    record, paths = cleared_of(event)
    assert [person["ref"] for person in record["subjects"]] == ["p2", "p3", "p1", "maya", "gary"]
    assert [child["subject_ref"] for child in record["payload"]["children"]] == ["p2", "p3", "p1"]
    assert "subjects[].ref" in paths

    found = share(event, demo())
    [answer] = [a for a in found.record.answers if (a.recipient, a.subject_token) == ("ash-primary", AVA)]
    [output] = [o for o in found.outputs if o.notification.notification_id == answer.notification_id]
    assert [child["words"] for child in output.built["payload"]["children"]] == ["I took Cora upstairs."]
    for each in found.outputs:
        text = each.value.decode("latin-1").casefold()
        assert "hidden-close" not in text
        assert "zz999rf" not in text


def test_an_event_without_a_safe_address_is_not_touched() -> None:
    received = codec.decode(codec.encode(told(None)))

    assert cleared(received.record, received.schema)[0] is received.record


def test_where_a_family_was_put_up_is_a_safe_place_too() -> None:
    """The council says the address in its own box, and once more in another."""
    moved = story.moved_to_temporary_accommodation(1)
    payload = moved.payload.model_copy(
        update={"address_line": "7 Hidden Close", "postcode": "ZZ99 9RF", "reason_for_homelessness": "fled to zz999rf"}
    )
    ava = moved.subjects[0].model_copy(update={"school": "Hidden Close Primary"})
    received = codec.decode(codec.encode(moved.model_copy(update={"payload": payload, "subjects": (ava,)})))
    record, paths = cleared(received.record, received.schema)

    assert paths == ("payload.reason_for_homelessness", "subjects[].school")
    assert (record["payload"]["address_line"], record["payload"]["postcode"]) == ("7 Hidden Close", "ZZ99 9RF")


def test_a_childs_words_with_the_refuge_in_them_are_kept_back_and_that_is_on_record() -> None:
    """Ash Primary may have what Ava said, by name."""
    children = tuple(
        c.model_copy(update={"words": "We sleep at rowan house now."}) if c.subject_ref == "ava" else c
        for c in INCIDENT.payload.children
    )
    found = share(told(children=children), demo())
    [answer] = [a for a in found.record.answers if (a.recipient, a.subject_token) == ("ash-primary", AVA)]
    [output] = [o for o in found.outputs if o.notification.notification_id == answer.notification_id]

    assert [r.about for r in answer.reasons if r.code == "SAFE_ADDRESS_SHOWN"] == ["payload.children[].words withheld"]
    assert "rowan" not in str(output.built).casefold()
    assert "rowan" not in output.value.decode("latin-1").casefold()


def test_whoever_may_be_an_adopted_child_under_the_old_name_is_in_nobodys_message() -> None:
    """Two subjects: the child as she is now, and one with the number from before; nobody may put the two together."""
    before = "9990554331"
    register = change(
        demo(),
        f"person/{AVA}",
        lambda body: body.update(adopted=True, superseded=[KEY.token("nhs", before)]),
    )
    register = change_flow(
        register, "fordshire-encompass", "to-mash", release={"subject": ["ID_CORE"], "other_children": ["ID_CORE"]}
    )
    old = INCIDENT.subjects[1].model_copy(
        update={"ref": "old", "nhs_number": before, "upn": None, "given_name": "Adele", "family_name": "Birthname"}
    )
    children = tuple(c for c in INCIDENT.payload.children if c.subject_ref == "ava")
    event = INCIDENT.model_copy(
        update={
            "subjects": (INCIDENT.subjects[0], old, *INCIDENT.subjects[3:]),
            "payload": INCIDENT.payload.model_copy(update={"children": children}),
        }
    )
    found = share(event, register)

    told_of_ava = [o.built for o in found.outputs if o.notification.subject_token == AVA]
    assert told_of_ava
    assert "Birthname" not in str(told_of_ava)
    assert any(seen.code == "IDENTITY_AMBIGUOUS" for seen in found.record.worklist)
