"""Who is considered, once for each person in their care?"""

from datetime import date

from a_register import KEY, NOON, change, demo, put

from safebus.deploy.local.demo import story
from safebus.schemas.events import Event
from safebus.streams.register.store import Register
from safebus.streams.rules.identity import match_all
from safebus.streams.rules.routing import interested


def considered(event: Event, register: Register, on: date = NOON.date()) -> list[tuple[str, str, tuple[str, ...]]]:
    matches = match_all(event, register, KEY)
    return [(i.recipient, i.person.ref, i.roles) for i in interested(event, matches, register, on)]


def test_everyone_with_a_person_in_their_care_and_every_hub_by_subject_then_recipient() -> None:
    assert considered(story.incident(), demo()) == [
        ("ash-primary", "ava", ("attends_school",)),
        ("fordshire-0-19", "ava", ("school_nursing",)),
        ("fordshire-housing", "ava", ("household_of_tenant",)),
        ("fordshire-mash", "ava", ("subscription",)),
        ("meadow-practice", "ava", ("registered_patient",)),
        ("beech-primary", "ben", ("attends_school",)),
        ("fordshire-mash", "ben", ("subscription",)),
        ("fordshire-0-19", "cora", ("health_visiting",)),
        ("fordshire-mash", "cora", ("subscription",)),
        ("meadow-practice", "cora", ("registered_patient",)),
        ("haven", "maya", ("client",)),
    ]


def test_the_publisher_is_not_told_what_it_said_itself() -> None:
    register = put(
        demo(), "subscription/x", "subscription", {"partner": "fordshire-police", "event_type": "police.encompass.v1"}
    )

    assert considered(story.incident(), register) == considered(story.incident(), demo())


def test_a_partner_with_two_parts_is_considered_once_with_both() -> None:
    ava = KEY.token("nhs", "9990079196")
    register = put(
        demo(), "involvement/x", "involvement", {"person_id": ava, "partner": "fordshire-mash", "role": "social_worker"}
    )

    assert ("fordshire-mash", "ava", ("social_worker", "subscription")) in considered(story.incident(), register)


def test_ties_and_subscriptions_count_only_in_their_time() -> None:
    register = demo()
    for record_id, (kind, _) in list(register.entries().items()):
        if kind in ("involvement", "subscription"):
            change(register, record_id, lambda body: body.update(ends_on="2026-11-19"))

    assert considered(story.incident(), register) == []
    assert len(considered(story.incident(), register, date(2026, 11, 19))) == 11


def test_an_adult_victim_is_no_matter_for_a_hub_that_watches_over_children() -> None:
    assert [i for i in considered(story.incident(), demo()) if i[1] == "maya"] == [("haven", "maya", ("client",))]
