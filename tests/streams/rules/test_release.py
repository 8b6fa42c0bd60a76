"""Which fields of an event may a recipient have? The rule of each leaf, and the view that follows."""

import copy
from typing import Any

import pytest
from a_register import flow
from unchecked import unchecked

from safebus.deploy.local.demo import story
from safebus.schemas import codec, gate
from safebus.schemas.bus_records import FieldRule
from safebus.schemas.classes import Category, DataClass
from safebus.schemas.event_schemas import EventSchema, event_schemas
from safebus.schemas.events import Event, PersonRole
from safebus.streams.rules import release
from safebus.streams.rules.agreements import Flow, Group
from safebus.streams.rules.reasons import Rule
from safebus.streams.rules.release import ENVELOPE, Hidden, Restriction, ViewLeaf, collapse, plan, rule_for, view_paths
from safebus.streams.rules.views import group_of, groups_in

ENCOMPASS = event_schemas().of("police.encompass.v1")
ORDINARY: frozenset[Category] = frozenset()
ALL = frozenset({Category.SPECIAL, Category.CRIMINAL})


def made(
    of: Flow,
    schema: EventSchema = ENCOMPASS,
    *,
    restricted: Restriction = Restriction.NOBODY,
    conditions: frozenset[Category] = ORDINARY,
) -> release.Plan:
    return plan(schema, of, restricted=restricted, conditions=conditions)


def seen(of: Flow, *, subject: str = "ava", event: Event | None = None, **how: Any) -> dict[str, Any]:
    """What a recipient under this flow reads, from the bytes."""
    found = made(of, **how)
    record = codec.decode(codec.encode(event or story.incident())).record
    return gate.read(found.view.value(found.view.record(record, subject_ref=subject)), found.view.parsed)


def releasing(*, fields: tuple[str, ...] = (), mask: dict[str, str] | None = None, **classes: list[str]) -> Flow:
    return flow(release=classes, fields=fields, mask=mask or {})


def leaf(data_class: DataClass, *, group: Group = Group.SUBJECT, since: int = 1, path: str = "subject.x") -> ViewLeaf:
    return ViewLeaf(path, "subjects[].x", group, data_class, "string", since)


APART, PLACES = frozenset({Hidden.EARLIER_NUMBERS}), frozenset({Hidden.HOMES})
SCENE = frozenset({Hidden.SCENE})
EARLIER_NUMBER = ViewLeaf(
    "payload.superseded_nhs_number",
    "payload.superseded_nhs_number",
    Group.EVENT,
    DataClass.NHS_NUMBER,
    "string",
    1,
)
PHONE, NAME, WORDS = DataClass.CONTACT_SAFE, DataClass.ID_CORE, DataClass.VOICE_OF_CHILD


@pytest.mark.parametrize(
    ("of", "under", "how", "rule"),
    [
        (leaf(NAME), releasing(subject=["ID_CORE"]), {}, "AGREEMENT"),
        (leaf(NAME), releasing(fields=("subject.x",)), {}, "AGREEMENT"),
        (leaf(NAME), releasing(), {}, "NOT_NAMED"),
        (leaf(NAME), releasing(adults=["ID_CORE"]), {}, "NOT_NAMED"),
        (leaf(WORDS), releasing(subject=["VOICE_OF_CHILD"]), {}, "PROSE"),
        (leaf(WORDS), releasing(fields=("subject.x",)), {}, "AGREEMENT"),
        (leaf(NAME, since=2), releasing(subject=["ID_CORE"]), {}, "SINCE"),
        (leaf(NAME, since=2), releasing(fields=("subject.x",)), {}, "SINCE"),
        (leaf(DataClass.REFERRER), releasing(fields=("subject.x",)), {}, "NEVER"),
        (leaf(DataClass.HEALTH_CHILD), releasing(subject=["HEALTH_CHILD"]), {}, "R07"),
        (leaf(DataClass.HEALTH_CHILD), releasing(subject=["HEALTH_CHILD"]), {"conditions": ALL}, "AGREEMENT"),
        (leaf(DataClass.CRIMINAL), releasing(fields=("subject.x",)), {}, "R07"),
        (
            leaf(DataClass.CRIMINAL),
            releasing(fields=("subject.x",)),
            {"conditions": frozenset({Category.SPECIAL})},
            "R07",
        ),
        (leaf(PHONE), releasing(subject=["CONTACT_SAFE"]), {"restricted": Restriction.HOUSEHOLD}, "R16"),
        (leaf(PHONE), releasing(fields=("subject.x",)), {"restricted": Restriction.HOUSEHOLD}, "R16"),
        (leaf(WORDS), releasing(fields=("subject.x",)), {"restricted": Restriction.HOUSEHOLD}, "R16"),
        (leaf(NAME), releasing(subject=["ID_CORE"]), {"restricted": Restriction.HOUSEHOLD}, "AGREEMENT"),
        (leaf(NAME, group=Group.ADULTS), releasing(adults=["ID_CORE"]), {"restricted": Restriction.HOUSEHOLD}, "R16"),
        (
            leaf(NAME, group=Group.OTHER_CHILDREN),
            releasing(other_children=["ID_CORE"]),
            {"restricted": Restriction.HOUSEHOLD},
            "R16",
        ),
        (
            leaf(NAME, group=Group.ALLEGED_PERPETRATORS),
            releasing(alleged_perpetrators=["ID_CORE"]),
            {"restricted": Restriction.HOUSEHOLD},
            "AGREEMENT",
        ),
        (leaf(DataClass.LOCATION_HOME), releasing(subject=["LOCATION_HOME"]), {"hides": PLACES}, "SAFE_PLACE"),
        (leaf(DataClass.LOCATION_INCIDENT), releasing(subject=["LOCATION_INCIDENT"]), {"hides": PLACES}, "AGREEMENT"),
        (leaf(DataClass.LOCATION_INCIDENT), releasing(subject=["LOCATION_INCIDENT"]), {"hides": SCENE}, "SAFE_PLACE"),
        (leaf(DataClass.LOCATION_SAFE), releasing(subject=["LOCATION_SAFE"]), {"hides": PLACES}, "AGREEMENT"),
        (EARLIER_NUMBER, releasing(event=["NHS_NUMBER"]), {}, "AGREEMENT"),
        (EARLIER_NUMBER, releasing(event=["NHS_NUMBER"]), {"hides": APART}, "R25"),
        (
            EARLIER_NUMBER,
            releasing(fields=("payload.superseded_nhs_number",)),
            {"hides": APART},
            "R25",
        ),
    ],
)
def test_each_leaf_has_one_rule_and_a_refusal_is_looked_for_first(
    of: ViewLeaf, under: Flow, how: dict[str, Any], rule: str
) -> None:
    options = {"restricted": Restriction.NOBODY, "conditions": ORDINARY} | how

    assert rule_for(of, under, **options) == (Rule[rule], rule == "AGREEMENT")


def test_a_person_s_leaf_appears_once_for_each_group() -> None:
    paths = view_paths(ENCOMPASS)

    assert [path for path in paths if path.endswith("given_name")] == [
        "subject.given_name",
        "other_children[].given_name",
        "adults[].given_name",
        "alleged_perpetrators[].given_name",
    ]
    assert paths["payload.children[].words"].group is Group.EVENT


def test_a_view_holds_what_is_named_and_nothing_else() -> None:
    under = releasing(event=["RISK_SCORE"], subject=["UPN"], alleged_perpetrators=["RELATIONSHIP"])

    assert seen(under) == {
        "payload": {"risk_grade": "HIGH", "previous_incidents": 3},
        "subject": {"upn": "X313000026001"},
        "alleged_perpetrators": [{"relationship": "mother's partner"}],
    }


def test_a_flow_that_releases_nothing_gives_an_empty_view() -> None:
    assert seen(releasing()) == {}


def test_a_list_about_persons_keeps_only_the_one_the_message_is_about() -> None:
    under = releasing(fields=("payload.children[].words",))

    assert [seen(under, subject=ref)["payload"]["children"] for ref in ("ava", "ben", "cora", "maya")] == [
        [{"words": "I took Cora upstairs."}],
        [{"words": "I hid under the table."}],
        [{"words": None}],
        [],
    ]


def test_the_groups_are_those_seen_from_the_person_the_message_is_about() -> None:
    under = releasing(subject=["ID_CORE"], other_children=["ID_CORE"], adults=["ID_CORE"])

    about_maya = seen(under, subject="maya")

    assert (about_maya["subject"]["given_name"], about_maya["adults"]) == ("Maya", [])
    assert [child["given_name"] for child in about_maya["other_children"]] == ["Ava", "Ben", "Cora"]
    assert [adult["given_name"] for adult in seen(under)["adults"]] == ["Maya"]


@pytest.mark.parametrize(
    ("role", "group"),
    [
        (PersonRole.CHILD, Group.OTHER_CHILDREN),
        (PersonRole.UNBORN_CHILD, Group.OTHER_CHILDREN),
        (PersonRole.PERSON, Group.OTHER_CHILDREN),
        (PersonRole.PARENT_CARER, Group.ADULTS),
        (PersonRole.ADULT_VICTIM, Group.ADULTS),
        (PersonRole.OTHER_ADULT, Group.ADULTS),
        (PersonRole.ALLEGED_PERPETRATOR, Group.ALLEGED_PERPETRATORS),
    ],
)
def test_everyone_else_is_in_one_group(role: PersonRole, group: Group) -> None:
    assert group_of(role) is group


def test_the_groups_of_an_event_are_those_it_has_anyone_in() -> None:
    incident = codec.decode(codec.encode(story.incident())).record
    attendance = codec.decode(codec.encode(story.attendance())).record

    assert groups_in(incident, subject_ref="ava") == set(Group) - {Group.EVENT}
    assert groups_in(attendance, subject_ref="ava") == {Group.SUBJECT}


def test_children_may_be_counted_without_being_told_of() -> None:
    counted = releasing(mask={"other_children": "count"})

    assert seen(counted) == {"other_children_count": 2}
    assert seen(counted, subject="maya") == {"other_children_count": 3}
    assert seen(counted, restricted=Restriction.HOUSEHOLD) == {}


def test_a_mask_blurs_what_is_released_and_releases_nothing_itself() -> None:
    mask = {
        "subject.date_of_birth": "year",
        "subject.family_name": "initial",
        "subject.home_address.postcode": "outward_code",
    }

    assert seen(releasing(subject=["ID_CORE", "LOCATION_HOME"], mask=mask))["subject"] == {
        "given_name": "Ava",
        "family_name": "H",
        "date_of_birth": 2015,
        "home_address": {"lines": ["12 Mill Lane", "Fordham"], "postcode": "ZZ99", "uprn": None},
    }
    assert seen(releasing(mask=mask)) == {}


def test_a_masked_value_that_is_not_there_stays_away() -> None:
    under = releasing(subject=["ID_CORE"], mask={"subject.date_of_birth": "year"})
    unknown = story.AVA.model_copy(update={"date_of_birth": None})

    event = story.attendance().model_copy(update={"subjects": (unknown,)})

    assert seen(under, schema=event_schemas().of(event.event_type), event=event)["subject"]["date_of_birth"] is None


def test_of_what_cannot_be_blurred_nothing_goes() -> None:
    """A note beside the postcode, a house for a name: no remainder of it, and the rest of the view as ever."""
    mask = {"subject.home_address.postcode": "outward_code", "subject.family_name": "initial"}
    under = releasing(
        fields=("subject.home_address.postcode", "subject.family_name"), subject=["LOCATION_AREA"], mask=mask
    )
    assert story.AVA.home_address is not None
    address = story.AVA.home_address.model_copy(update={"postcode": "LS17 7DF (refuge)"})
    ava = story.AVA.model_copy(update={"home_address": address, "family_name": "3 Rowan House"})
    event = story.attendance().model_copy(update={"subjects": (ava,)})

    seen_of_her = seen(under, schema=event_schemas().of(event.event_type), event=event)["subject"]

    assert seen_of_her == {
        "family_name": None,
        "home_address": {"postcode": None, "local_authority": address.local_authority},
    }


def test_a_mask_on_what_is_never_left_out_gives_nothing_of_it_either() -> None:
    """No such agreement loads today; one that was loaded before that was looked at leaks nothing."""
    under = releasing(event=["INCIDENT_FACT"], mask={"payload.police_reference": "initial"})
    incident = story.incident()
    told = incident.payload.model_copy(update={"police_reference": "42/2026"})

    assert seen(under)["payload"]["police_reference"] == story.incident().payload.model_dump()["police_reference"][0]
    assert seen(under, event=incident.model_copy(update={"payload": told}))["payload"]["police_reference"] == ""


def test_what_a_mask_leaves_out_changes_no_schema() -> None:
    """Views of the past stay readable: a mask has the type that it had, whatever it can or cannot blur."""
    mask = {"subject.home_address.postcode": "outward_code", "payload.police_reference": "initial"}
    raw = made(releasing(event=["INCIDENT_FACT"], subject=["LOCATION_HOME"], mask=mask)).view.raw
    by_name = {field["name"]: field["type"] for field in raw["fields"]}

    assert {"name": "police_reference", "type": "string"} in by_name["payload"]["fields"]
    (address,) = by_name["subject"]["fields"]
    assert {"name": "postcode", "type": ["null", "string"]} in address["type"][1]["fields"]


def test_a_part_that_is_not_there_stays_away() -> None:
    under = releasing(subject=["LOCATION_SAFE", "LOCATION_HOME"])

    assert seen(under, subject="maya")["subject"] == {
        "home_address": None,
        "safe_address": {"lines": [story.REFUGE], "postcode": story.REFUGE_POSTCODE, "kind": "REFUGE"},
    }


def test_a_part_of_which_only_withheld_fields_are_there_looks_as_if_it_were_not() -> None:
    """Else the presence of an address would tell of the address."""
    under = releasing(subject=["LOCATION_AREA"])
    street_only = story.AVA.model_copy(update={"home_address": story.HOME.model_copy(update={"local_authority": None})})
    nowhere = story.AVA.model_copy(update={"home_address": None})

    shown = [
        seen(under, event=story.incident().model_copy(update={"subjects": (ava, *story.incident().subjects[1:])}))
        for ava in (street_only, nowhere, story.AVA)
    ]

    assert [each["subject"]["home_address"] for each in shown] == [None, None, {"local_authority": "E99999999"}]


def test_a_code_leaves_as_its_word_so_that_a_later_word_changes_no_schema() -> None:
    under = releasing(adults=["ROLE"])

    assert seen(under)["adults"] == [{"role": "ADULT_VICTIM"}]
    assert made(under).view.raw["fields"][0]["type"]["items"]["fields"] == [{"name": "role", "type": "string"}]


# Plans


def test_a_plan_is_made_once_and_follows_from_what_it_rests_on() -> None:
    under = releasing(subject=["HEALTH_CHILD", "ID_CORE"])

    assert made(under) is made(releasing(subject=["HEALTH_CHILD", "ID_CORE"]))
    assert made(under) is not made(under, restricted=Restriction.HOUSEHOLD)
    assert made(under) is not made(under, conditions=ALL)


def test_plans_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_MOST_PLANS", 1)
    monkeypatch.setattr(release, "_PLANS", {})
    first, second = releasing(subject=["ID_CORE"]), releasing(subject=["UPN"])

    before = made(first)
    made(second)

    assert made(first) is not before
    assert made(first).view.raw == before.view.raw


def test_a_leaf_that_was_classified_anew_is_decided_anew() -> None:
    """Avro's fingerprint leaves out data classes, so two schemas can look alike and be different."""
    raw = copy.deepcopy(ENCOMPASS.raw)
    person = next(f for f in raw["fields"] if f["name"] == "subjects")["type"]["items"]
    next(f for f in person["fields"] if f["name"] == "phone")["dataClass"] = "FREE_TEXT"
    other = EventSchema(ENCOMPASS.event_type, ENCOMPASS.version, raw)
    under = releasing(subject=["CONTACT_SAFE"])

    assert other.fingerprint == ENCOMPASS.fingerprint
    assert [path for path, _ in made(under).released] == ["subject.phone", "subject.safe_to_call"]
    assert [path for path, _ in made(under, other).released] == ["subject.safe_to_call"]


PERSON: dict[str, Any] = {
    "type": "record",
    "name": "P",
    "fields": [
        {"name": "ref", "type": "string", "dataClass": "LINKAGE"},
        {"name": "role", "type": {"type": "enum", "name": "R", "symbols": ["CHILD"]}, "dataClass": "ROLE"},
        {
            "name": "home",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Place",
                    "fields": [{"name": "town", "type": ["null", "string"], "dataClass": "LOCATION_HOME"}],
                },
            ],
        },
        {"name": "second", "type": ["null", "Place"]},
    ],
}
ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "who", "type": "string", "dataClass": "LINKAGE"},
        {"name": "note", "type": "string", "dataClass": "INCIDENT_FACT"},
        {"name": "where", "type": ["null", "Place"]},
    ],
}
TWICE = EventSchema(
    "x.twice.v1",
    1,
    {
        "type": "record",
        "name": "Twice",
        "fields": [
            {"name": "subjects", "type": {"type": "array", "items": PERSON}},
            {
                "name": "at",
                "type": ["null", {"type": "record", "name": "At", "fields": [{"name": "place", "type": "Place"}]}],
            },
            {"name": "first", "personRef": "who", "type": {"type": "array", "items": ITEM}},
            {"name": "then", "personRef": "who", "type": ["null", {"type": "array", "items": "Item"}]},
        ],
    },
)


def test_a_type_that_is_used_twice_is_released_place_by_place() -> None:
    place = {"town": "Fordham"}
    items = [{"who": "a", "note": "hers", "where": place}, {"who": "b", "note": "his", "where": None}]
    record = {
        "subjects": [
            {"ref": "a", "role": "CHILD", "home": place, "second": place},
            {"ref": "b", "role": "CHILD", "home": None, "second": None},
        ],
        "at": {"place": {"town": None}},
        "first": items,
        "then": items,
    }
    under = releasing(event=["INCIDENT_FACT"], fields=("subject.second.town", "then[].where.town", "at.place.town"))
    found = made(under, TWICE)

    built = [
        gate.read(found.view.value(found.view.record(record, subject_ref=ref)), found.view.parsed) for ref in ("a", "b")
    ]

    assert built == [
        {
            "at": None,
            "first": [{"note": "hers"}],
            "then": [{"note": "hers", "where": {"town": "Fordham"}}],
            "subject": {"second": {"town": "Fordham"}},
        },
        {"at": None, "first": [{"note": "his"}], "then": [{"note": "his", "where": None}], "subject": {"second": None}},
    ]


# What a decision lists


@pytest.mark.parametrize(
    ("leaves", "released", "withheld"),
    [
        ({"a": (True, "X")}, ["a X"], []),
        ({"a.b": (True, "X"), "a.c": (True, "X")}, ["a.* X"], []),
        ({"a.b": (True, "X"), "a.c": (False, "X")}, ["a.b X"], ["a.c X"]),
        ({"a.b": (True, "X"), "a.c": (True, "Y")}, ["a.b X", "a.c Y"], []),
        ({"a.b.c": (False, "X"), "a.b.d": (False, "X"), "a.e": (True, "X")}, ["a.e X"], ["a.b.* X"]),
        ({"a[].b.c": (True, "X"), "a[].d": (True, "X")}, ["a[].* X"], []),
    ],
)
def test_a_part_with_one_answer_is_listed_once(
    leaves: dict[str, tuple[bool, str]], released: list[str], withheld: list[str]
) -> None:
    found = tuple([f"{f.path} {f.rule}" for f in part] for part in collapse(leaves))

    assert found == (released, withheld)


def test_the_list_speaks_of_groups_that_are_there_only() -> None:
    under = releasing(subject=["UPN"], adults=["ROLE"], mask={"other_children": "count"})
    found = made(under)

    built = {"subject": {"upn": "X"}, "adults": [], "other_children_count": 0}
    alone, _ = found.listing(built, frozenset({Group.SUBJECT}))
    family, withheld = found.listing(built, frozenset({Group.SUBJECT, Group.OTHER_CHILDREN}))

    around = {FieldRule(path=path, rule="ENVELOPE") for path in ENVELOPE}
    assert {*alone} == around | {FieldRule(path="subject.upn", rule="AGREEMENT")}
    assert {*family} == {*alone, FieldRule(path="other_children_count", rule="AGREEMENT, released: how many")}
    assert FieldRule(path="other_children[].*", rule="NOT_NAMED") in withheld
    assert found.listing(built, frozenset({Group.SUBJECT})) is found.listing(built, frozenset({Group.SUBJECT}))


def test_what_may_go_and_is_not_there_is_listed_neither_as_released_nor_as_withheld() -> None:
    found = made(releasing(subject=["UPN", "ID_CORE"], event=["INCIDENT_FACT"]))
    told = story.incident()

    def listed(*, children: Any, **ava: Any) -> set[str]:
        subjects = (told.subjects[0].model_copy(update=ava), *told.subjects[1:])
        payload = unchecked(told.payload, {"police_reference": "", "children": children})
        event = unchecked(told, {"subjects": subjects, "payload": payload}).model_dump()
        built = found.view.record(event, subject_ref="ava")
        released, withheld = found.listing(built, groups_in(event, subject_ref="ava"))
        paths = {field.path for field in released}
        assert not {field.path for field in withheld} & (paths | {"subject.family_name", "payload.police_reference"})
        return paths

    [child, *_] = told.payload.children
    some = listed(children=(unchecked(child, {"spoken_to": None}),), family_name=None)
    assert some >= {"subject.given_name", "subject.upn", "payload.children[].present"}
    assert not some & {"subject.family_name", "payload.children[].spoken_to", "payload.police_reference"}
    assert not {path for path in listed(children=()) if path.startswith("payload.children")}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_list_does_not_hang_on_what_was_listed_before(order: tuple[int, int]) -> None:
    """What cannot be null and is kept back leaves an empty text, which is nothing as well."""
    found = made(releasing(event=["INCIDENT_FACT"]))
    said = ("", "51/1234/26")

    listed = {}
    for i in order:
        told = story.incident()
        payload = unchecked(told.payload, {"police_reference": said[i]})
        built = found.view.record(unchecked(told, {"payload": payload}).model_dump(), subject_ref="ava")
        released, _ = found.listing(built, frozenset({Group.SUBJECT}))
        listed[i] = {field.path for field in released}

    assert listed[1] - listed[0] == {"payload.police_reference"}


def test_listings_that_follow_from_the_values_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "_MOST_LISTINGS", 2)
    found = made(releasing(subject=["UPN", "ID_CORE"]))
    for name in ("given_name", "family_name", "date_of_birth", "upn"):
        someone = dict.fromkeys(("given_name", "family_name", "date_of_birth", "upn")) | {name: "x"}
        found.listing({"subject": someone}, frozenset({Group.SUBJECT}))

    assert 1 <= len(found._listings) <= 2


def test_a_mask_is_listed_in_words() -> None:
    found = made(releasing(subject=["ID_CORE"], mask={"subject.date_of_birth": "year"}))

    assert dict(found.released)["subject.date_of_birth"] == "AGREEMENT, the year only"


YEAR = {"subject.date_of_birth": "year"}


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (releasing(subject=["ID_CORE", "UPN"]), releasing(subject=["ID_CORE"]), True),
        (releasing(subject=["ID_CORE"]), releasing(subject=["ID_CORE", "UPN"]), False),
        (releasing(subject=["ID_CORE"]), releasing(subject=["ID_CORE"], mask=YEAR), True),
        (releasing(subject=["ID_CORE"], mask=YEAR), releasing(subject=["ID_CORE"], mask=YEAR), True),
        (releasing(subject=["ID_CORE"], mask=YEAR), releasing(subject=["ID_CORE"]), False),
        (
            releasing(subject=["ID_CORE"], mask={"subject.family_name": "initial"}),
            releasing(subject=["ID_CORE"], mask=YEAR),
            False,
        ),
        (releasing(other_children=["ID_CORE"]), releasing(mask={"other_children": "count"}), True),
        (releasing(subject=["ID_CORE"]), releasing(mask={"other_children": "count"}), False),
    ],
)
def test_a_plan_covers_what_it_releases_at_least_as_clearly(wide: Flow, narrow: Flow, covers: bool) -> None:
    assert made(wide).covers(made(narrow)) is covers


def test_what_is_typed_where_a_code_belongs_stays_unless_the_very_field_is_named() -> None:
    """In texts that must be there, in those that need not, and in lists."""
    told = story.incident()
    gary = told.subjects[-1].model_copy(update={"relationship": "the man from number 7"})
    event = told.model_copy(
        update={
            "subjects": (*told.subjects[:-1], gary),
            "payload": told.payload.model_copy(update={"incident_type": "moved to Rowan House"}),
            "handling": told.handling.model_copy(update={"sensitivity": ("SEX", "at Rowan House")}),
        }
    )
    by_class = {"event": ["INCIDENT_FACT", "HANDLING"], "alleged_perpetrators": ["RELATIONSHIP"]}
    held_back = seen(releasing(**by_class), event=event)
    named = ("payload.incident_type", "handling.sensitivity", "alleged_perpetrators[].relationship")
    given = seen(releasing(fields=named), event=event)

    assert held_back["payload"]["incident_type"] == ""
    assert held_back["payload"]["police_reference"] == "TEST-4711"
    assert held_back["handling"]["sensitivity"] == ["SEX"]
    assert held_back["alleged_perpetrators"] == [{"relationship": None}]
    assert given["payload"]["incident_type"] == "moved to Rowan House"
    assert given["handling"]["sensitivity"] == ["SEX", "at Rowan House"]
    assert given["alleged_perpetrators"] == [{"relationship": "the man from number 7"}]
